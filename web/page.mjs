// The page: loads a model, and brings together the form, the boards of pictures and the studio that computes them.

import { encodeStill } from './page/apng.mjs';
import { ClassPicker } from './page/classes.mjs';
import { Compare, describeSettings, differences } from './page/compare.mjs';
import { Controls } from './page/controls.mjs';
import { acceptFiles } from './page/drop.mjs';
import { Edit } from './page/edit.mjs';
import { embedSnippet } from './page/embed.mjs';
import { explain } from './page/errors.mjs';
import { figures, showFigures } from './page/figures.mjs';
import { Film, Recorder } from './page/film.mjs';
import { Grid } from './page/grid.mjs';
import { isOneFile, listModels, loadModel, workerCount } from './page/models.mjs';
import { OPTIONS } from './page/options.mjs';
import { blank, paint } from './page/paint.mjs';
import { download, fileName, filmFile, pictureFile, sheetFile, sizeFactors } from './page/saving.mjs';
import { MODEL_FREE, carryOver, defaultSettings, formatHash, linkedModel, modelDigits, parseHash, requestOf } from './page/settings.mjs';
import { enlarge, usableFactor } from './page/sheet.mjs';
import { Studio } from './page/studio.mjs';
import { SWEEP_SCALES, Sweep } from './page/sweep.mjs';
import { setText } from './page/text.mjs';
import { Word, isAlphabet } from './page/word.mjs';

const element = (id) => document.getElementById(id);
const page = element('page');
const big = element('big');
const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
/** Between parts of the work: the page answers in the meantime. */
const nextTask = () => new Promise((resolve) => setTimeout(resolve));
const plural = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;

const MEGABYTE = 1e6;
/** Pictures of the classes are small: they need no more steps than these. */
const CLASS_STEPS = 10;
const CLASS_SEED = 3;
/** The address follows the settings when they rest: browsers refuse one that changes with every move of a slider. */
const ADDRESS_MILLISECONDS = 300;
const PLAY_MILLISECONDS = 1600;
/** After the first pictures; everything else comes before the copy for the next visit. */
const OFFLINE_MILLISECONDS = 1000;

const studio = new Studio();
studio.beforeFill = () => controls?.flush();
// In the order of their importance. Letters come first where there is a word to set.
const wordBoard = studio.addBoard({ onStep: showLetterStep, onPicture: showLetter, onReport: reportWord });
const gridBoard = studio.addBoard({ onStep: showStep, onPicture: showPicture, onReport: reportGrid, state: true });
const edit = new Edit(studio, {
  settings: () => controls.settings,
  change: (changes) => controls.change(changes),
  calm: () => reducedMotion.matches,
  chosenPicture: () => gridBoard.slots[grid.chosen]?.picture ?? null,
  onReport: showStop,
  announce,
  fail,
  save: (picture) => save(pictureFile(picture, factor()), nameOf(`seed${picture.options.seed}`, 'edited')),
  saveImage: (image, name) => save(encodeStill(image), fileName(name)),
});
const classBoard = studio.addBoard({ onPicture: (index, picture) => classes.paint(classesWanted[index], picture) });
const sweepBoard = studio.addBoard({ onPicture: (index, picture) => sweep.paint(index, picture), onReport: reportSweep });

const grid = new Grid(element('grid'), choose);
const sweep = new Sweep(element('sweep'), (guidanceScale) => controls?.change({ guidanceScale }));
const word = new Word(element('word-row'));
const compare = new Compare(element('pinned-grid'));
const film = new Film(element('film-state'), element('film-preview'), look);

/** @type {import('./index.d.ts').Model | null} */
let model = null;
/** @type {Controls | null} */
let controls = null;
/** @type {ClassPicker | null} */
let classes = null;
/** @type {Recorder} */
let recorder;
let classesWanted = []; // class numbers on classBoard
let lettersWanted = []; // on wordBoard
let wordStyle = ''; // the settings that the letters on show were drawn with, as text
let sweepVisible = false;
let loadMilliseconds = 0;
let lastRun = null;
let listed = []; // the site's models
let ownHash = ''; // what the page itself has put into the address
let foreignLink = ''; // one that was made with a model that is not here
let newestLoad = 0; // number of the newest attempt to load a model
let retry = () => {};

// ---- models

async function start() {
  const digits = linkedModel(location.hash);
  if (digits && !isOneFile()) await offerModels();
  const linked = listed.find(({ sha256 }) => sha256.startsWith(digits));
  await open(digits && linked ? linked.path : page.dataset.model);
}

/**
 * Draws with this model from now on; if it cannot be loaded, everything stays as it is.
 * @param {string | File} source
 */
async function open(source) {
  const attempt = ++newestLoad;
  const startedAt = performance.now();
  hideError();
  setStatus(typeof source === 'string' ? 'Loading the model …' : `Reading ${source.name} …`);
  element('progress').hidden = false;
  try {
    const loaded = await loadModel(source, (progress) => attempt === newestLoad && showDownload(progress));
    if (attempt !== newestLoad) return loaded.close();
    loadMilliseconds = performance.now() - startedAt;
    await use(loaded, source);
  } catch (error) {
    if (attempt === newestLoad) refuse(error, source);
  }
}

/** A file of the visitor's: a picture to start from, or a model. @param {File} file */
function openFile(file) {
  if (file.type.startsWith('image/') && model) edit.open(file);
  else open(file);
}

function refuse(error, source) {
  if (!model) page.dataset.state = 'failed';
  else setStatus(`Still drawing with ${model.info.name || 'the model before'}`);
  const { sentence, detail } = explain(error);
  if (typeof source === 'string') fail(error, () => open(source));
  else showError(sentence, `${source.name}: ${detail}`);
  if (model) page.dataset.state = 'done';
  showModelChoice();
}

/** Connects everything to a model. @param {import('./index.d.ts').Model} next @param {string | File} source */
async function use(next, source) {
  const previous = model;
  model = next;
  studio.setModel(model, workerCount());
  previous?.close();
  recorder = new Recorder(model.info);
  unpin();
  [grid, sweep, word].forEach((part) => part.clear());
  edit.use(model);
  blank(big);
  wordStyle = '';
  controls = new Controls(model, ...startSettings(previous), show);
  foreignLink = '';
  describeModel(source);
  if (!classes) await nextTask();
  if (model !== next) return;
  classes = new ClassPicker(
    { list: element('class-list'), box: element('search'), search: element('class-search'), hint: element('class-hint') },
    model.labels, (label) => controls.pickClass(label), drawClasses);
  page.dataset.ready = '';
  show(controls.settings);
  reportLink();
}

/**
 * What a model begins with: what it recommends, except what a link asks for or the visitor has chosen before.
 * @param {import('./index.d.ts').Model | null} previous
 * @returns {[settings: import('./page/settings.mjs').Settings, own: string[]]} as Controls takes them
 */
function startSettings(previous) {
  const begin = { ...defaultSettings(model), ...startLabel() };
  const waiting = linkedModel(foreignLink) === modelDigits(model) && foreignLink;
  if (previous && !waiting && location.hash === ownHash) {
    return [{ ...begin, ...carryOver(controls.settings, controls.own, previous, model) }, [...controls.own]];
  }
  const hash = waiting || location.hash;
  // The page remembers for each address of its own what was chosen: when it is loaded again, the rest is no wish.
  const chosen = history.state?.own ?? Object.keys(parseHash(hash, model).settings);
  return [{ ...begin, ...parseLink(hash).settings }, [...MODEL_FREE, ...chosen]];
}

function startLabel() {
  const label = model.labels.indexOf(page.dataset.label);
  return label < 0 ? {} : { label };
}

/** What the address asks for; what it leaves out is as the model recommends. */
function parseLink(hash = location.hash) {
  const { settings, refused } = parseHash(hash, model);
  if (Object.keys(settings).length === 0) return { settings, refused };
  return { settings: { ...Object.fromEntries(OPTIONS.map(({ name, initial }) => [name, initial(model)])), ...settings }, refused };
}

function describeModel(source) {
  const { name, parameterCount, fileBytes, license, description, width, height } = model.info;
  const parts = [name, `${(parameterCount / 1e6).toFixed(1)} million parameters`, `${(fileBytes / MEGABYTE).toFixed(1)} MB`, license];
  element('model-line').textContent = `${parts.filter(Boolean).join(' · ')}. Nothing you do here leaves this page.`;
  element('model-line').title = description;
  page.style.setProperty('--picture-ratio', String(width / height));
  element('open').disabled = false;
  element('word').hidden = !isAlphabet(model.labels);
  if (!element('word').hidden && element('word-text').value === '') element('word-text').value = startWord();
  const sizes = sizeFactors(model.info);
  element('size').replaceChildren(...sizes.map((factor) =>
    Object.assign(document.createElement('option'), { value: String(factor), textContent: `${width * factor} × ${height * factor}` })));
  element('size').value = String(sizes[1] ?? 1);
  element('embed').hidden = typeof source !== 'string' || isOneFile();
  showModelChoice(source);
}

/** Something to begin with: the first letters of the alphabet that the model has. */
const startWord = () => model.labels.slice(0, 3).join('');

async function offerModels() {
  if (listed.length === 0) listed = await listModels();
  showModelChoice();
}

/** The list of models, if there is more than one. @param {string | File} [source] of the model in use */
function showModelChoice(source = element('model').current) {
  const select = element('model');
  select.current = source;
  const paths = new Map(listed.map(({ name, path }) => [path, name]));
  if (source instanceof File) paths.set('', source.name);
  select.replaceChildren(...[...paths].map(([value, textContent]) => Object.assign(document.createElement('option'), { value, textContent })));
  select.value = typeof source === 'string' ? source : '';
  select.hidden = paths.size < 2;
}

function showDownload({ loaded, total }) {
  if (!total) return;
  element('progress').value = loaded / total;
  setStatus(`Loading the model … ${(loaded / MEGABYTE).toFixed(1)} of ${(total / MEGABYTE).toFixed(1)} MB`);
}

// ---- drawing

/** @param {import('./page/settings.mjs').Settings} settings */
function show(settings, { draft = false, again = false } = {}) {
  if (!classes) return; // the page is not ready, and will show the settings when it is
  hideError();
  stopPlaying();
  const { label, seed, count, guidanceScale } = settings;
  classes.value = label;
  sweep.scale = guidanceScale;
  grid.resize(count);
  element('board').dataset.count = String(count);
  for (let index = 0; index < count; index++) {
    grid.describe(index, `Picture ${index + 1}, ${model.labels[label]}, seed ${seed + index}`);
  }
  drawWord({ draft });
  gridBoard.first = grid.chosen;
  gridBoard.show(Array.from({ length: count }, (_, index) => requestOf(settings, index)), { draft, again });
  if (!draft) gridBoard.slots.forEach(({ has }, index) => has !== 'picture' && grid.markStale(index));
  edit.draw({ draft });
  drawSweep();
  if (!draft) {
    drawClasses(classesWanted);
    // While a slider is dragged, this follows the pictures and not every move: of all that is on show only text changes.
    choose();
  }
  clearTimeout(show.addressTimer);
  show.addressTimer = setTimeout(showAddress, draft ? ADDRESS_MILLISECONDS : 0);
}

function showAddress() {
  ownHash = formatHash(controls.settings, model);
  history.replaceState({ own: [...controls.own] }, '', ownHash);
}

/** Pictures of these classes are wanted for the picker. */
function drawClasses(labels) {
  classesWanted = labels;
  if (gridBoard.slots.length === 0) return; // its pictures come first
  const settings = defaultSettings(model);
  const steps = Math.min(settings.steps, CLASS_STEPS);
  classBoard.show(labels.map((label) => requestOf({ ...settings, label, steps, seed: CLASS_SEED })));
}

function drawSweep() {
  if (!model || !sweepVisible) return;
  const { settings } = controls;
  const requests = SWEEP_SCALES.map((guidanceScale) => requestOf({ ...settings, guidanceScale }, grid.chosen));
  const key = JSON.stringify(requests);
  if (key === drawSweep.key && sweepBoard.working) return;
  if (key !== drawSweep.key) sweep.markStale();
  drawSweep.key = key;
  sweepBoard.show(requests);
}

function showStep(index, event) {
  grid.setState(index, 'running');
  const frame = recorder.add(index, event);
  if (reducedMotion.matches) return;
  grid.paint(index, event.preview);
  if (index !== grid.chosen) return;
  paint(big, event.preview);
  if (frame) film.add(frame);
}

function showPicture(index, picture, draft) {
  if (!draft && !performance.getEntriesByName('first-picture').length) performance.mark('first-picture');
  grid.paint(index, picture);
  grid.setState(index, draft ? 'draft' : 'done');
  if (!draft) edit.learnPaper(picture);
  if (index === grid.chosen) showChosen();
}

/** @param {import('./page/studio.mjs').Report} report */
function reportGrid({ state, draft, draftSteps, progress, finished, computed, milliseconds, error }) {
  const { steps, count, label, guidanceScale } = controls.settings;
  const before = page.dataset.state;
  page.dataset.state = draft ? 'draft' : state;
  showStop();
  if (element('progress').value !== progress) element('progress').value = progress;
  element('save-sheet').disabled = element('pin').disabled = finished < count;
  if (draft) setStatus(`Preview with ${Math.min(draftSteps, steps)} of ${steps} steps`);
  else if (state === 'working') setStatus(`Drawing … ${finished} of ${count}`);
  else if (state === 'stopped') setStatus(`Stopped after ${finished} of ${count}`);
  else if (state === 'done') setStatus(computed ? `${plural(computed, 'picture')} in ${(milliseconds / 1000).toFixed(1)} s` : plural(count, 'picture'));
  else if (state === 'failed') fail(error, () => show(controls.settings));
  if (state === before) return;
  if (state === 'done') {
    if (computed) lastRun = { pictures: computed, steps, milliseconds };
    announce(`${plural(count, 'picture')} of ${model.labels[label]} at guidance scale ${guidanceScale}.`);
    showFiguresIfOpen();
    prepareNextVisit();
  }
  if (state === 'stopped') announce('Stopped.');
}

function reportSweep({ state, error }) {
  element('sweep').dataset.state = state;
  if (state === 'failed') fail(error, drawSweep);
}

function stop() {
  for (const board of [wordBoard, gridBoard, edit.board, classBoard, sweepBoard]) board.stop();
}

function showStop() {
  element('stop').disabled = !gridBoard.working && !edit.board.working;
}

// ---- the chosen picture

/** Another picture of the grid was chosen, or the chosen one is another now. */
function choose() {
  gridBoard.first = grid.chosen;
  showChosen();
  film.show(recorder.framesOf(grid.chosen), networkCalls(controls.settings));
  drawSweep();
}

/** Heun's method evaluates the network twice in every step but the last. */
const networkCalls = ({ sampler, steps }) => (sampler === 'heun' ? 2 * steps - 1 : steps);

function showChosen() {
  stopPlaying();
  const index = grid.chosen;
  const { settings } = controls;
  const { picture } = gridBoard.slots[index];
  const name = model.labels[settings.label];
  const image = grid.imageOf(index);
  const [{ text: title }, ...rest] = describeSettings({ ...settings, seed: settings.seed + index }, model);
  element('chosen-title').textContent = title;
  element('chosen-options').textContent = rest.map(({ text }) => text).join(' · ');
  if (image) paint(big, image);
  big.setAttribute('aria-label', `Picture ${index + 1}, ${name}, large`);
  const frames = recorder.framesOf(index);
  const whole = Boolean(picture) && frames.at(-1)?.step === frames.at(-1)?.steps;
  for (const id of ['save', 'size', 'edit-this', 'edit-take']) element(id).disabled = !picture;
  for (const id of ['save-film', 'play']) element(id).disabled = !whole;
  for (const id of ['link', 'embed']) element(id).disabled = false;
  film.rest();
  showDifference();
}

/** A moment of the strip, large. */
function look(image, frame) {
  stopPlaying();
  const shown = image ?? grid.imageOf(grid.chosen);
  if (shown) paint(big, shown);
  if (frame) element('chosen-options').textContent = `step ${frame.step} of ${frame.steps} · t = ${frame.timestep}`;
  else showChosen();
}

function play() {
  const frames = recorder.framesOf(grid.chosen);
  const { picture } = gridBoard.slots[grid.chosen];
  stopPlaying();
  const images = [...frames.slice(0, -1).map(({ state }) => state), picture];
  const next = () => {
    paint(big, images.shift());
    if (images.length > 0) play.timer = setTimeout(next, PLAY_MILLISECONDS / frames.length);
  };
  next();
}

function stopPlaying() {
  clearTimeout(play.timer);
}

// ---- two settings side by side

/** @returns {boolean} whether all pictures were there to be pinned */
function pin() {
  const pictures = gridBoard.slots.map(({ picture }) => picture);
  if (!pictures.every(Boolean)) return false;
  const { settings } = controls;
  compare.pin(settings, pictures, model.labels[settings.label]);
  element('pinned-text').textContent = describeSettings(settings, model).map(({ text }) => text).join(' · ');
  showCompare(true);
  announce('Pinned as A. Change a setting to compare.');
  return true;
}

function unpin() {
  compare.unpin();
  showCompare(false);
}

function showCompare(pinned) {
  element('board').toggleAttribute('data-pinned', pinned);
  for (const id of ['pinned', 'side']) element(id).hidden = !pinned;
  element('big-figure').hidden = pinned;
  element('pin').textContent = pinned ? 'Pin anew' : 'Compare';
  showDifference();
}

function showDifference() {
  if (!compare.pinned) return;
  const changed = differences(compare.pinned.settings, controls.settings);
  const present = describeSettings(controls.settings, model).map(({ text }) => text).join(' · ');
  element('side-text').textContent = changed ? `${present} (differs: ${changed})` : 'The same as A: change a setting.';
}

/** What is on show becomes A, and the settings of A are those on show. */
function swap() {
  const { settings } = compare.pinned;
  if (pin()) controls.change(settings);
}

// ---- words

function drawWord({ draft = false } = {}) {
  if (element('word').hidden) return;
  const missing = word.set(element('word-text').value, model.labels);
  element('word-hint').textContent = missing.length
    ? `This model has no ${missing.map((each) => `“${each}”`).join(', ')}.` : 'One seed, one style: each letter from the same noise.';
  const { count: _count, label: _label, ...style } = { ...controls.settings, seed: controls.settings.seed + grid.chosen };
  if (JSON.stringify(style) !== wordStyle) word.markStale();
  wordStyle = JSON.stringify(style);
  lettersWanted = word.lacking;
  wordBoard.show(lettersWanted.map((label) => requestOf({ ...style, label })), { draft });
}

function showLetterStep(index, { preview }) {
  if (!reducedMotion.matches) word.paint(lettersWanted[index], preview, false);
}

function showLetter(index, picture, draft) {
  word.paint(lettersWanted[index], picture, !draft);
}

function reportWord({ state, error }) {
  element('word').dataset.state = state;
  element('word-save').disabled = state !== 'done' || word.length === 0;
  if (state === 'failed') fail(error, () => drawWord());
}

function saveWord() {
  const factor = usableFactor(Number(element('size').value), model.info, word.length, 1);
  const image = word.image((letter) => enlarge(letter, factor));
  if (!image) return;
  save(encodeStill(image), fileName(word.text, `seed${controls.settings.seed + grid.chosen}`));
}

// ---- keeping and sharing

/** @param {Promise<Blob>} making @param {string} name */
async function save(making, name) {
  try {
    download(await making, name);
    setStatus(`Saved ${name}`);
    announce('Saved.');
  } catch (error) {
    fail(error);
  }
}

const factor = () => Number(element('size').value);

function nameOf(...parts) {
  const { label, guidanceScale } = controls.settings;
  return fileName(model.labels[label], `s${guidanceScale}`, ...parts);
}

function savePicture() {
  const { picture } = gridBoard.slots[grid.chosen];
  if (picture) save(pictureFile(picture, factor()), nameOf(`seed${picture.options.seed}`));
}

function saveSheet() {
  const pictures = gridBoard.slots.map(({ picture }) => picture);
  if (pictures.every(Boolean)) save(sheetFile(pictures, factor()), nameOf(`seed${controls.settings.seed}`, 'sheet'));
}

function saveFilm() {
  const { picture } = gridBoard.slots[grid.chosen];
  if (picture) save(filmFile(recorder.framesOf(grid.chosen), picture, factor()), nameOf(`seed${picture.options.seed}`, 'film'));
}

/** @param {string} text @param {string} done what to say @param {string} instead a sentence to show above the text */
async function copy(text, done, instead) {
  try {
    await navigator.clipboard.writeText(text);
    setStatus(done);
    announce(done);
  } catch {
    showError(instead, text, null, true);
  }
}

function copyLink() {
  showAddress();
  copy(location.href, 'Link copied: it leads to these very pictures', 'The address of this page is the link:');
}

function copyEmbed() {
  const { current } = element('model');
  const addresses = { model: new URL(current, document.baseURI).href, element: new URL('pocket-diffusion.js', document.baseURI).href };
  copy(embedSnippet(controls.settings, model, addresses), 'Snippet copied: paste it into a page', 'Paste these lines into a page:');
}

function openLink() {
  if (!classes) return;
  const digits = linkedModel(location.hash);
  const linked = listed.find(({ sha256 }) => digits && digits !== modelDigits(model) && sha256.startsWith(digits));
  if (linked) return void open(linked.path);
  Object.keys(parseHash(location.hash, model).settings).forEach((name) => controls.own.add(name));
  controls.settings = { ...controls.settings, ...parseLink().settings };
  show(controls.settings);
  reportLink();
}

/** Says what of the address this model cannot do. To be called before the address follows the settings. */
function reportLink() {
  if (location.hash === ownHash) return;
  const digits = linkedModel(location.hash);
  const own = modelDigits(model);
  const { refused } = parseLink();
  if (digits && own && digits !== own) {
    foreignLink = location.hash;
    showError('This link was made with another model: its pictures differ from those here. Open that model’s file to see the very same ones.',
      `SHA-256 of the link’s model: ${digits}…, of this one: ${own}…`);
  } else if (refused.length > 0) {
    showError('The link asks for something that this model does not have; the rest of it is used.', refused.join(', '));
  }
}

// ---- telling

function setStatus(text) {
  setText(element('status'), text);
}

/** To screen readers, and sparingly. */
function announce(text) {
  element('announcer').textContent = text;
}

/** @param {unknown} error @param {() => void} [again] what the button does */
function fail(error, again) {
  const { sentence, detail } = explain(error);
  element('stop').disabled = true;
  setStatus('');
  showError(sentence, detail, again);
}

function showError(sentence, detail, again = null, opened = false) {
  element('error-text').textContent = sentence;
  element('error-detail').textContent = detail;
  element('error-detail').parentElement.open = opened;
  retry = again;
  element('retry').hidden = !again;
  element('error').hidden = false;
  element('error').scrollIntoView({ block: 'nearest' }); // what failed may be far below
}

function hideError() {
  if (!element('error').hidden) element('error').hidden = true;
}

function showFiguresIfOpen() {
  if (!element('figures').open || !model) return;
  showFigures(element('figure-list'), figures({
    info: model.info, workers: workerCount(), loadMilliseconds, run: lastRun, draftSteps: studio.draftSteps,
  }));
}

/** What can wait until the first pictures are there: the list of models, and the copy for visits without a network. */
function prepareNextVisit() {
  if (prepareNextVisit.done || isOneFile()) return;
  prepareNextVisit.done = true;
  setTimeout(() => {
    offerModels();
    // Refused for example where the page was not served over HTTPS: then the page works as before.
    navigator.serviceWorker?.register('service_worker.js').catch(() => {});
  }, OFFLINE_MILLISECONDS);
}

element('stop').onclick = stop;
element('play').onclick = play;
element('pin').onclick = pin;
element('unpin').onclick = unpin;
element('swap').onclick = swap;
element('save').onclick = savePicture;
element('save-sheet').onclick = saveSheet;
element('save-film').onclick = saveFilm;
element('word-save').onclick = saveWord;
element('word-text').oninput = () => drawWord();
element('link').onclick = copyLink;
element('embed').onclick = copyEmbed;
element('edit-this').onclick = () => edit.takeChosen();
element('retry').onclick = () => retry?.();
element('dismiss').onclick = hideError;
element('figures').ontoggle = showFiguresIfOpen;
element('model').onchange = () => element('model').value && open(element('model').value);
acceptFiles({ overlay: element('drop'), button: element('open'), input: element('file') }, openFile);
new IntersectionObserver(([{ isIntersecting }]) => {
  sweepVisible = isIntersecting;
  drawSweep();
}, { rootMargin: '200px' }).observe(element('sweep'));
addEventListener('hashchange', openLink);
// The page is painted before megabytes are asked for: on a slow network they would be in the way of its style sheet.
if (document.hidden) setTimeout(start);
else requestAnimationFrame(() => setTimeout(start));
