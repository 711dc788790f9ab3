// The page: loads a model, and brings together the form, the grid and the studio that computes.

import { load } from './index.mjs';
import { Controls } from './page/controls.mjs';
import { explain } from './page/errors.mjs';
import { Film } from './page/film.mjs';
import { Grid } from './page/grid.mjs';
import { defaultSettings, formatHash, parseHash } from './page/settings.mjs';
import { Studio } from './page/studio.mjs';

const element = (id) => document.getElementById(id);
const page = element('page');
const modelURL = new URL(page.dataset.model, document.baseURI);
const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

const MAX_MODELS = 4;
const MEGABYTE = 1e6;

const grid = new Grid(element('grid'), showChosen);
const studio = new Studio({ onStep, onPicture, onReport });
/** @type {Array<import('./index.d.ts').Model>} instances of the same file */
let models = [];
/** @type {Controls} */
let controls;
/** @type {Film} */
let film;

// ---- loading

async function start() {
  hideError();
  setStatus('Loading the model …');
  try {
    const model = await load(modelURL, { workers: 1, onProgress: showDownload });
    film = new Film(element('film-state'), element('film-preview'), model.info);
    describeModel(model.info);
    const settings = { ...defaultSettings(model), ...startLabel(model), ...controls?.settings };
    const linked = parseHash(location.hash, model);
    controls = new Controls(model, { ...settings, ...linked.settings }, show);
    addModel(model);
    page.dataset.ready = '';
    show(controls.settings);
    reportRefused(linked.refused);
    addModels();
  } catch (error) {
    fail(error);
  }
}

function startLabel({ labels }) {
  const label = labels.indexOf(page.dataset.label);
  return label < 0 ? {} : { label };
}

function addModel(model) {
  models.push(model);
  studio.addModel(model);
  page.dataset.models = String(models.length);
}

/** One instance for every further core (the page itself needs little of one): pictures are independent of each other. */
async function addModels() {
  const wanted = Math.min(navigator.hardwareConcurrency ?? 1, MAX_MODELS);
  if (wanted < 2) return;
  const [first] = models;
  try {
    const bytes = await (await fetch(modelURL, { cache: 'force-cache' })).arrayBuffer();
    while (models.length < wanted) {
      const model = await load(bytes, { workers: 1 });
      // The page may have begun anew in the meantime.
      if (models[0] !== first) return model.close();
      addModel(model);
    }
  } catch {
    // The first one is enough to go on.
  }
}

/** Everything anew, with the settings as they are. */
function restart() {
  studio.removeModels();
  models.forEach((model) => model.close());
  models = [];
  start();
}

function showDownload({ loaded, total }) {
  if (!total) return;
  element('progress').value = loaded / total;
  setStatus(`Loading the model … ${(loaded / MEGABYTE).toFixed(1)} of ${(total / MEGABYTE).toFixed(1)} MB`);
}

function describeModel({ name, parameterCount, fileBytes, license }) {
  const parts = [
    name,
    `${(parameterCount / 1e6).toFixed(1)} million parameters`,
    `${(fileBytes / MEGABYTE).toFixed(1)} MB`,
    license,
  ];
  element('model-line').textContent = `${parts.filter(Boolean).join(' · ')}. Nothing you do here leaves this page.`;
}

// ---- generating

/** @param {import('./page/settings.mjs').Settings} settings */
function show(settings, { draft = false } = {}) {
  hideError();
  const { labels, info } = models[0];
  grid.resize(settings.count, info);
  grid.markStale();
  for (let index = 0; index < settings.count; index++) {
    grid.describe(index, `Picture ${index + 1}, ${labels[settings.label]}, seed ${settings.seed + index}`);
  }
  studio.first = grid.chosen;
  studio.show(settings, { draft });
  showChosen();
  // Browsers refuse an address that changes with every move of a slider.
  clearTimeout(show.addressTimer);
  show.addressTimer = setTimeout(() => history.replaceState(null, '', formatHash(settings, labels)), draft ? 300 : 0);
}

function onStep(index, event) {
  grid.setState(index, 'running');
  if (!reducedMotion.matches) {
    grid.paint(index, event.preview);
    if (index === grid.chosen) film.add(event);
  }
}

function onPicture(index, picture, draft) {
  grid.paint(index, picture);
  grid.setState(index, draft ? 'draft' : 'done');
  if (index === grid.chosen) showChosen();
}

/** @param {import('./page/studio.mjs').Report} report */
function onReport({ state, draft, draftSteps, progress, finished, milliseconds, error }) {
  const { steps, count, label, guidanceScale } = controls.settings;
  const working = state === 'working';
  page.dataset.state = draft ? 'draft' : state;
  element('stop').disabled = !working;
  element('progress').value = progress;
  if (draft) setStatus(`Preview with ${draftSteps} of ${steps} steps`);
  else if (working) setStatus(`Drawing … ${finished} of ${count}`);
  else if (state === 'stopped') setStatus(`Stopped after ${finished} of ${count}`);
  else if (state === 'done') setStatus(`${plural(count, 'picture')} in ${(milliseconds / 1000).toFixed(1)} s`);
  else fail(error);
  if (state === 'done') announce(`${plural(count, 'picture')} of ${models[0].labels[label]} at guidance scale ${guidanceScale}.`);
  if (state === 'stopped') announce('Stopped.');
}

const plural = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;

// ---- the chosen picture

function showChosen() {
  const index = grid.chosen;
  const { label, seed, guidanceScale, sampler, steps } = controls.settings;
  const { picture, frames } = studio.slots[index];
  const name = models[0].labels[label];
  studio.first = index;
  element('chosen-title').textContent = name;
  element('chosen-options').textContent =
    `seed ${seed + index} · scale ${guidanceScale} · ${sampler.toUpperCase()}, ${plural(steps, 'step')}`;
  element('save').disabled = !picture;
  element('film').setAttribute('aria-label', `From noise to picture ${index + 1}: ${name}`);
  film.show(frames, steps);
}

async function save() {
  const { picture } = studio.slots[grid.chosen];
  if (!picture) return;
  try {
    const { labelName, guidanceScale, seed } = picture.options;
    const name = labelName.replace(/[^\p{Letter}\p{Number}]+/gu, '-') || 'picture';
    const url = URL.createObjectURL(new Blob([await picture.toPNG()], { type: 'image/png' }));
    const anchor = Object.assign(document.createElement('a'), { href: url, download: `${name}-s${guidanceScale}-seed${seed}.png` });
    anchor.click();
    // The download has taken the bytes over long before this.
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    announce('Saved.');
  } catch (error) {
    fail(error);
  }
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(new URL(formatHash(controls.settings, models[0].labels), location.href).href);
    setStatus('Link copied: it leads to these very pictures');
    announce('Link copied.');
  } catch {
    setStatus('The address of this page is the link: copy it from the address bar');
    announce('The address of this page is the link.');
  }
}

function openLink() {
  if (!controls) return;
  const { settings, refused } = parseHash(location.hash, models[0]);
  controls.settings = { ...controls.settings, ...settings };
  show(controls.settings);
  reportRefused(refused);
}

// ---- telling

function setStatus(text) {
  element('status').textContent = text;
}

/** To screen readers, and sparingly. */
function announce(text) {
  element('announcer').textContent = text;
}

function reportRefused(refused) {
  if (refused.length === 0) return;
  showError('The link asks for something that this model does not have; the rest of it is used.', refused.join(', '), false);
}

function fail(error) {
  const { sentence, detail } = explain(error);
  page.dataset.state = 'failed';
  element('stop').disabled = true;
  setStatus('');
  showError(sentence, detail, true);
}

function showError(sentence, detail, canRetry) {
  element('error-text').textContent = sentence;
  element('error-detail').textContent = detail;
  element('retry').hidden = !canRetry;
  element('error').hidden = false;
}

function hideError() {
  element('error').hidden = true;
}

element('stop').onclick = () => studio.stop();
element('save').onclick = save;
element('link').onclick = copyLink;
element('retry').onclick = restart;
addEventListener('hashchange', openLink);
start();
