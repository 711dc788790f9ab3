// The article: one model for all figures, their state in the link, and a copy for use offline.

import { STATE_ATTRIBUTES } from './figure.mjs';
import { Lecture } from './lecture.mjs';
import { readState, writeState } from './link.mjs';
import { keepForOffline, keepModels } from './offline.mjs';
import { place } from './place.mjs';

/** @typedef {import('./figure.mjs').PocketDiffusionFigure} Figure */

/** Between a change and the link that has it, in milliseconds: browsers count how often a page changes its address. */
const PAUSE = 300;

const figures = /** @type {NodeListOf<Figure>} */ (document.querySelectorAll('pocket-diffusion-figure'));
const model = /** @type {HTMLSelectElement} */ (document.getElementById('model'));
/** @type {ReturnType<typeof setTimeout> | undefined} */
let pause;
let at = '';
const lecture = new Lecture(document.documentElement.lang.startsWith('zh') ? 'zh' : 'en', {
  onMove(section) {
    at = section ?? at;
    for (const figure of section ? document.getElementById(section)?.querySelectorAll('pocket-diffusion-figure') ?? [] : []) /** @type {Figure} */ (figure).begin();
    writeLink();
  },
  link() {
    writeNow();
    return location.href;
  },
});

/** @param {string} name */
const pathOf = (name) => `weights/${name}.gguf`;

function useModel() {
  for (const figure of figures) figure.setAttribute('model', `${place.site}${pathOf(model.value)}`);
  if (!place.alone) keepModels([pathOf(model.value)]).catch(() => {}); // only what is kept for use offline
}

function readLink() {
  const state = readState(location.hash);
  if (!state) { // a section's own link
    at = location.hash.slice(1) || at;
    writeLink();
    return;
  }
  at = state.at || at;
  model.value = [...model.options].some(({ value }) => value === state.model) ? state.model : model.options[0].value;
  for (const figure of figures) {
    const wanted = state.figures[figure.kind] ?? {};
    for (const name of STATE_ATTRIBUTES) {
      if (wanted[name] === undefined) figure.removeAttribute(name);
      else figure.setAttribute(name, wanted[name]);
    }
  }
  useModel();
  if (state.lecture) {
    lecture.enter(state.at);
  } else {
    lecture.leave();
    document.getElementById(state.at)?.scrollIntoView();
  }
  shareHash(location.hash);
}

/** The other language opens in the same state. @param {string} hash */
function shareHash(hash) {
  for (const each of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('a[hreflang]'))) each.hash = hash;
}

/** What is on show, with the section that the reader was last busy with. @param {Record<string, Record<string, string>>} [wanted] by kind: figures that shall be otherwise */
function linkOf(wanted = {}) {
  const changed = Object.fromEntries([...figures].map((figure) => [figure.kind, wanted[figure.kind] ?? figure.changed]));
  return writeState({ model: model.selectedIndex > 0 ? model.value : '', at, lecture: lecture.on, figures: changed });
}

function writeNow() {
  clearTimeout(pause);
  const link = linkOf() || (location.hash.includes('=') ? '' : location.hash); // a section's own link stays
  history.replaceState(history.state, '', link || location.pathname + location.search);
  shareHash(link);
}

function writeLink() {
  clearTimeout(pause);
  pause = setTimeout(writeNow, PAUSE);
}

/** The link of an exercise sets its figure, and leaves the model and the other figures as they are. @param {MouseEvent} event */
function followExercise(event) {
  const link = /** @type {HTMLAnchorElement | null} */ (/** @type {Element} */ (event.target).closest('a[href*="="]'));
  const state = link && readState(link.hash);
  if (!state || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  at = 'exercises';
  writeNow(); // so that Back leads here
  at = state.at;
  history.pushState(null, '', linkOf(state.figures));
  readLink();
}

document.addEventListener('change', ({ target }) => {
  if (target === model) useModel();
  else if (![...figures].some((figure) => figure === target)) return;
  at = /** @type {HTMLElement} */ (target).closest('section')?.id ?? at;
  writeLink();
});
/** @type {HTMLButtonElement} */ (document.getElementById('lecture')).onclick = () => lecture.enter();
document.getElementById('exercises')?.addEventListener('click', followExercise);
addEventListener('hashchange', readLink);
useModel();
readLink();
if (!place.alone) keepForOffline(() => [pathOf(model.value)]);
