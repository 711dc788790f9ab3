// The page: brings together the model, the view on show, the form, and the parts that draw. What stands here is needed
// for the first pictures; the Lab and the sheet to draw on are fetched when somebody enters them.

import { MOST_LETTERS, askedFor, readAddress, writeAddress } from './page/address.mjs';
import { ClassPicker } from './page/classes.mjs';
import { Controls } from './page/controls.mjs';
import { acceptFiles } from './page/drop.mjs';
import { element, nextTask, plural } from './page/elements.mjs';
import { STAND_IN, firstOf } from './page/first.mjs';
import { makeKeep } from './page/keep.mjs';
import { Lettering } from './page/lettering.mjs';
import { announce, fail, hideError, setProgress, setStatus, showError } from './page/messages.mjs';
import { isOneFile, isSlowNetwork, listModels, loadModel, pathFor, tabOf, unavailableTabs, workerCount } from './page/models.mjs';
import { OPTIONS } from './page/options.mjs';
import { Pictures } from './page/pictures.mjs';
import { carryOver, defaultSettings, linkedModel, modelDigits, parseHash, requestOf } from './page/settings.mjs';
import { Studio } from './page/studio.mjs';
import { View } from './page/view.mjs';

/**
 * What the parts of the page know of each other.
 * @typedef {object} App
 * @property {Studio} studio
 * @property {View} view
 * @property {import('./index.d.ts').Model} model
 * @property {string | null} path of the model, relative to the page; null: a file of the visitor's
 * @property {boolean} standIn the model is one for digits, until that of the tab has come
 * @property {Controls} controls
 * @property {import('./page/settings.mjs').Settings} settings
 * @property {Lettering} lettering
 * @property {Pictures} pictures
 * @property {import('./page/studio.mjs').Board} editBoard
 * @property {ReturnType<typeof makeKeep>} keep
 * @property {{ loadMilliseconds: number, run: { pictures: number, steps: number, milliseconds: number } | null }} measured
 * @property {() => void} showAddress
 * @property {() => void} wordChanged
 * @property {() => void} reportIdle there is nothing on the sheet to draw on
 * @property {(picture: import('./index.d.ts').Picture | null) => Promise<void>} draw puts a picture on that sheet, and shows it
 */

/** Of links that name no model: from before links did. */
const UNNAMED = 'doodles';
/** Of a file of the visitor's. */
const OWN_TAB = 'own file';
const MEGABYTE = 1e6;
/** Pictures of the classes are small: they need no more steps than these. */
const CLASS_STEPS = 10;
const CLASS_SEED = 3;
/** The address follows the settings when they rest: browsers refuse one that changes with every move of a slider. */
const ADDRESS_MILLISECONDS = 300;
/** After the first pictures; everything else comes before the copy for the next visit. */
const OFFLINE_MILLISECONDS = 1000;

const page = element('page');
/** @type {App} */
const app = {
  studio: new Studio(),
  path: null,
  standIn: false,
  measured: { loadMilliseconds: 0, run: null },
  get settings() { return this.controls.settings; },
  showAddress,
  wordChanged: () => show(app.settings),
  reportIdle: () => report('edit', { state: 'idle', draft: false, finished: 0, computed: 0, milliseconds: 0 }),
  draw: async (picture) => {
    await showView({ drawing: true });
    edit?.take(picture);
  },
};
app.view = new View(chooseTab, (depth) => showView({ depth }));
app.keep = makeKeep(app);
app.studio.beforeFill = () => app.controls?.flush();
// Boards in the order of their importance.
app.lettering = new Lettering(app, (each) => report('word', each));
app.pictures = new Pictures(app, {
  report: (each) => report('grid', each),
  choose: () => lab?.choose(),
  step: (index, image, frame) => index === app.pictures.chosen && lab?.step(image, frame),
  picture: (index, picture, draft) => {
    if (!draft) learn(picture);
    if (index === app.pictures.chosen) lab?.showChosen();
  },
});
app.editBoard = app.studio.addBoard({
  onStep: (index, { preview }) => edit?.showStep(index, preview),
  onPicture: (index, picture, draft) => edit?.showPicture(index, picture, draft),
  onReport: (each) => report('edit', each),
});
const classBoard = app.studio.addBoard({
  onPicture: (index, picture) => {
    learn(picture);
    classes?.paint(classesWanted[index], picture);
  },
});

/** @type {ClassPicker | null} */
let classes = null;
let classesWanted = []; // class numbers on classBoard
/** @type {import('./page/lab.mjs').Lab | null} */
let lab = null;
/** @type {import('./page/edit.mjs').Edit | null} */
let edit = null;
/** @type {import('./page/models.mjs').Listed[]} */
let listed = []; // the site's models
let ownFile = ''; // name of the visitor's file in use
let ownHash = ''; // what the page itself has put into the address
let foreignLink = ''; // one that was made with a model that is not here
let newestLoad = 0; // number of the newest attempt to load a model
/** @type {import('./index.d.ts').Picture | null} */
let sample = null; // the first picture of the model
let addressTimer;

// ---- models

async function start() {
  const { linked, digits, depth, drawing, word } = readAddress(location.hash);
  listed = await listModels();
  const entry = listed.find(({ sha256 }) => digits && sha256?.startsWith(digits));
  const tab = entry ? tabOf(entry.name) : linked && word === null ? UNNAMED : app.view.tab;
  app.view.show({ tab, depth, drawing });
  offerTabs();
  if (word !== null) app.lettering.text = word;
  if (!linked && isSlowNetwork()) await open(pathFor(listed, STAND_IN.name, true), { standIn: true });
  await open(entry?.path ?? pathOf(tab));
}

/** The file for a tab as the view is now. */
const pathOf = (tab) => pathFor(listed, tab, app.view.inPlay && !app.view.drawing);

/** The visitor wants to see another one. @param {string} tab */
async function chooseTab(tab) {
  if (tab === 'draw') return showView({ drawing: true });
  app.view.show({ tab, drawing: tab === app.view.tab ? false : app.view.drawing && document.activeElement === element('draw-model') });
  if (tab === OWN_TAB || pathOf(tab) === app.path) await showView({});
  else await open(pathOf(tab));
}

/** @param {Partial<Pick<View, 'depth' | 'drawing'>>} changes */
async function showView(changes) {
  app.view.show(changes);
  if (!app.model) return;
  if (app.path !== null && pathOf(app.view.tab) !== app.path) return open(pathOf(app.view.tab));
  await fetchParts();
  if (app.controls) show(app.settings);
}

/** What the view needs beyond the first pictures. */
async function fetchParts() {
  try {
    if (!app.view.inPlay && !lab) lab = new (await import('./page/lab.mjs')).Lab(app);
    if (app.view.drawing && !edit) {
      edit = new (await import('./page/edit.mjs')).Edit(app);
      edit.use(app.model);
      if (sample) edit.learnPaper(sample);
    }
  } catch (error) {
    fail(Object.assign(new Error(error.message), { code: 'NETWORK' }), () => showView({}));
  }
}

/**
 * Draws with this model from now on; if it cannot be loaded, everything stays as it is.
 * @param {string | File} source @param {{ standIn?: boolean }} [how]
 */
async function open(source, { standIn = false } = {}) {
  const attempt = ++newestLoad;
  const startedAt = performance.now();
  hideError();
  setStatus(typeof source === 'string' ? 'Loading the model …' : `Reading ${source.name} …`);
  page.dataset.loading = '';
  try {
    const loaded = await loadModel(source, (progress) => attempt === newestLoad && showDownload(progress));
    if (attempt !== newestLoad) return loaded.close();
    app.measured = { loadMilliseconds: performance.now() - startedAt, run: null };
    await use(loaded, source, standIn);
  } catch (error) {
    if (attempt === newestLoad) refuse(error, source);
  } finally {
    if (attempt === newestLoad) delete page.dataset.loading;
  }
}

/** A file of the visitor's: a picture to start from, or a model. @param {File} file */
async function openFile(file) {
  if (!file.type.startsWith('image/') || !app.model) return open(file);
  await showView({ drawing: true });
  edit?.open(file);
}

function refuse(error, source) {
  if (!app.model) page.dataset.state = 'failed';
  else {
    setStatus(`Still drawing with ${app.model.info.name || 'the model before'}`);
    page.dataset.state = 'done';
    app.view.show({ tab: tabOfPath(app.path) });
  }
  if (typeof source === 'string') fail(error, () => open(source));
  else fail(error, null, source.name);
}

const tabOfPath = (path) => (path === null ? OWN_TAB : tabOf(listed.find((each) => each.path === path)?.name ?? path.replace(/^.*\/|\.gguf$/g, '')));

/** Connects everything to a model. @param {import('./index.d.ts').Model} next @param {string | File} source @param {boolean} standIn */
async function use(next, source, standIn) {
  const previous = app.model ?? null;
  app.model = next;
  app.path = typeof source === 'string' ? source : null;
  app.standIn = standIn;
  sample = null;
  app.studio.setModel(next, workerCount());
  previous?.close();
  ownFile = typeof source === 'string' ? '' : source.name;
  offerTabs();
  if (!standIn) app.view.show({ tab: tabOfPath(app.path) });
  app.pictures.use();
  app.lettering.use();
  edit?.use(next);
  app.controls = new Controls(next, ...startSettings(previous), show);
  foreignLink = '';
  element('generate').disabled = false;
  describeModel();
  lab?.use();
  if (!classes) await nextTask();
  if (app.model !== next) return;
  classes = new ClassPicker(
    { list: element('class-list'), box: element('search'), search: element('class-search'), found: element('class-found'),
      hint: element('class-hint'), wall: element('class-wall'), dialog: element('wall') },
    next.labels, (label) => app.controls.pickClass(label), drawClasses);
  await fetchParts();
  if (app.model !== next) return;
  page.dataset.ready = '';
  show(app.settings);
  reportLink();
}

/**
 * What a model begins with: what it recommends, except what a link asks for or the visitor has chosen before.
 * @param {import('./index.d.ts').Model | null} previous
 * @returns {[settings: import('./page/settings.mjs').Settings, own: string[]]} as Controls takes them
 */
function startSettings(previous) {
  const { model } = app;
  const begin = { ...defaultSettings(model), ...firstSettings(model) };
  const waiting = linkedModel(foreignLink) === modelDigits(model) && foreignLink;
  if (previous && !waiting && location.hash === ownHash) {
    const { settings, own } = app.controls;
    return [{ ...begin, ...carryOver(settings, own, previous, model) }, [...own]];
  }
  const hash = waiting || location.hash;
  // The page remembers for each address of its own what was chosen: when it is loaded again, the rest is no wish.
  const chosen = history.state?.own ?? askedFor(hash, model);
  return [{ ...begin, ...parseLink(hash).settings }, chosen];
}

/** What was chosen for the first look at a model of the site. */
function firstSettings(model) {
  const { seed, label: name } = firstOf(app.view.tab) ?? {};
  const label = model.labels.indexOf(name);
  return { ...(seed !== undefined && !ownFile && { seed }), ...(label >= 0 && { label }) };
}

/** What the address asks for; what it leaves out is as the model recommends. */
function parseLink(hash = location.hash) {
  const { settings, refused } = parseHash(hash, app.model);
  if (Object.keys(settings).length === 0) return { settings, refused };
  return { settings: { ...Object.fromEntries(OPTIONS.map(({ name, initial }) => [name, initial(app.model)])), ...settings }, refused };
}

function describeModel() {
  const { name, parameterCount, fileBytes, license, author, description, width, height } = app.model.info;
  const parts = [name, `${(parameterCount / 1e6).toFixed(1)} million parameters`, `${(fileBytes / MEGABYTE).toFixed(1)} MB`, license];
  element('model-line').textContent = `${parts.filter(Boolean).join(' · ')}. Nothing you do here leaves this page.`;
  element('model-about').textContent = [description, author].filter(Boolean).join('. ');
  page.style.setProperty('--picture-ratio', String(width / height));
  element('open').disabled = false;
}

/** A tab for every model of the site, and for a file of the visitor's. */
async function offerTabs() {
  const titles = new Map(listed.map(({ name }) => [tabOf(name), tabOf(name)]));
  if (listed.length === 0) for (const { dataset, textContent } of element('tabs').children) titles.set(dataset.tab, textContent);
  if (ownFile) titles.set(OWN_TAB, ownFile);
  titles.delete('draw');
  app.view.offer(titles);
  const out = await unavailableTabs(listed);
  if (out.size > 0) app.view.offer(titles, out);
}

function showDownload({ loaded, total }) {
  if (!total) return;
  setProgress(loaded / total);
  setStatus(`Loading the model … ${(loaded / MEGABYTE).toFixed(1)} of ${(total / MEGABYTE).toFixed(1)} MB`);
}

// ---- drawing

/** The part that the view is about. @returns {'word' | 'grid' | 'edit'} */
function mainPart() {
  if (app.view.drawing) return 'edit';
  return app.view.inPlay && app.lettering.usable ? 'word' : 'grid';
}

/** @param {import('./page/settings.mjs').Settings} settings */
function show(settings, { draft = false, again = false } = {}) {
  if (!classes || !app.model) return; // the page is not ready, and will show the settings when it is
  hideError();
  const main = mainPart();
  page.dataset.part = main;
  const { labels } = app.model;
  const wish = main === 'word' ? element('word-title').textContent.toLowerCase() : `“${labels[settings.label]}”`;
  app.controls.describe(app.view.inPlay, wish);
  element('generate').textContent = main === 'word' ? 'Other styles' : 'Draw again';
  element('classes').hidden = main === 'word';
  element('edit').hidden = main !== 'edit';
  element('board').hidden = main !== 'grid';
  classes.value = settings.label;
  const seed = settings.seed + (main === 'grid' ? app.pictures.chosen : 0);
  app.lettering.draw({ ...settings, seed }, { draft });
  if (main === 'grid') app.pictures.draw(settings, { draft, again });
  else app.pictures.rest();
  if (main === 'edit') edit?.draw({ draft });
  else app.editBoard.stop();
  lab?.show(settings, { draft });
  if (!draft) drawClasses(classesWanted);
  clearTimeout(addressTimer);
  addressTimer = setTimeout(showAddress, draft ? ADDRESS_MILLISECONDS : 0);
}

function showAddress() {
  if (app.standIn) return;
  ownHash = writeAddress(app.settings, app.model, app.view, app.lettering.text);
  history.replaceState({ own: [...app.controls.own] }, '', ownHash);
}

/** Pictures of these classes are wanted for the picker. */
function drawClasses(labels) {
  classesWanted = labels;
  if (!page.dataset.part || element('classes').hidden) return classBoard.stop(); // other pictures come first
  const settings = defaultSettings(app.model);
  const steps = Math.min(settings.steps, CLASS_STEPS);
  classBoard.show(labels.map((label) => requestOf({ ...settings, label, steps, seed: CLASS_SEED })));
}

/** Any picture shows the tone of the model's paper. */
function learn(picture) {
  sample ??= picture;
  edit?.learnPaper(picture);
}

/**
 * How far a part is; of those that the view is not about nobody needs to know.
 * @param {'word' | 'grid' | 'edit'} part @param {import('./page/studio.mjs').Report} each
 */
function report(part, each) {
  if (part === 'edit') edit?.report(each);
  if (part === 'grid') lab?.report(each);
  for (const id of ['word-save', 'play-save']) {
    if (id === 'word-save' || part === mainPart()) element(id).disabled = part === 'grid' ? each.finished === 0 : !app.lettering.finished;
  }
  if (part !== mainPart()) return;
  const { state, draft, draftSteps, progress = 0, finished, computed, milliseconds, error } = each;
  const before = page.dataset.state;
  page.dataset.state = draft ? 'draft' : state === 'idle' ? 'done' : state;
  element('stop').disabled = state !== 'working';
  element('play-link').disabled = false;
  setProgress(progress);
  if (!performance.getEntriesByName('first-picture').length && finished > 0) performance.mark('first-picture');
  const { steps, label, guidanceScale } = app.settings;
  const all = part === 'word' ? app.lettering.board.slots.length : part === 'grid' ? app.settings.count : finished;
  if (draft) setStatus(`Preview with ${Math.min(draftSteps, steps)} of ${steps} steps`);
  else if (state === 'working') setStatus(`Drawing … ${finished} of ${all}`);
  else if (state === 'stopped') setStatus(`Stopped after ${finished} of ${all}`);
  else if (state === 'failed' && part !== 'edit') fail(error, () => show(app.settings));
  if (page.dataset.state === before || state === 'failed') return;
  if (state === 'done') {
    setStatus('');
    if (computed) app.measured.run = { pictures: computed, steps, milliseconds };
    if (part === 'word') announce(`The word ${element('word-text').value} at guidance scale ${guidanceScale}.`);
    if (part === 'grid') announce(`${plural(all, 'picture')} of ${app.model.labels[label]} at guidance scale ${guidanceScale}.`);
    lab?.showFigures();
    prepareNextVisit();
  }
  if (state === 'stopped') announce('Stopped.');
}

function stop() {
  for (const board of [app.lettering.board, app.pictures.board, app.editBoard, classBoard, lab?.sweepBoard]) board?.stop();
}

// ---- links

function openLink() {
  if (!classes) return;
  const { digits, depth, drawing, word } = readAddress(location.hash);
  const linked = listed.find(({ sha256 }) => digits && digits !== modelDigits(app.model) && sha256?.startsWith(digits));
  app.view.show({ depth, drawing });
  if (word !== null) app.lettering.text = word;
  if (linked) return void open(linked.path);
  askedFor(location.hash, app.model).forEach((name) => app.controls.own.add(name));
  app.controls.settings = { ...app.settings, ...parseLink().settings };
  fetchParts().then(() => show(app.settings));
  reportLink();
}

/** Says what of the address this model cannot do. To be called before the address follows the settings. */
function reportLink() {
  if (location.hash === ownHash || app.standIn) return;
  const digits = linkedModel(location.hash);
  const own = modelDigits(app.model);
  const { refused } = parseLink();
  if (digits && own && digits !== own) {
    foreignLink = location.hash;
    showError('This link was made with another model: its pictures differ from those here. Open that model’s file to see the very same ones.',
      `SHA-256 of the link’s model: ${digits}…, of this one: ${own}…`);
  } else if (refused.length > 0) {
    showError('The link asks for something that this model does not have; the rest of it is used.', refused.join(', '));
  }
}

/** The copy for visits without a network has the models that were used. */
async function keepModel() {
  const { active } = await navigator.serviceWorker.ready;
  if (app.path !== null) active.postMessage(app.path);
}

/** What can wait until the first pictures are there: the copy for visits without a network. */
function prepareNextVisit() {
  if (isOneFile() || app.standIn) return;
  if (prepareNextVisit.done) return void (navigator.serviceWorker?.controller && keepModel());
  prepareNextVisit.done = true;
  setTimeout(() => {
    // Refused for example where the page was not served over HTTPS: then the page works as before.
    navigator.serviceWorker?.register('service_worker.js').then(keepModel, () => {});
  }, OFFLINE_MILLISECONDS);
}

element('word-text').maxLength = MOST_LETTERS;
element('generate').onclick = () => app.controls.drawAgain();
element('stop').onclick = stop;
element('play-save').onclick = () => (mainPart() === 'word' ? app.keep.saveWord() : app.keep.savePicture());
element('play-link').onclick = app.keep.copyLink;
acceptFiles({ overlay: element('drop'), button: element('open'), input: element('file') }, openFile);
addEventListener('hashchange', openLink);
for (const change of ['online', 'offline']) addEventListener(change, offerTabs);
// The page is painted before megabytes are asked for: on a slow network they would be in the way of its style sheet.
if (document.hidden) setTimeout(start);
else requestAnimationFrame(() => setTimeout(start));
