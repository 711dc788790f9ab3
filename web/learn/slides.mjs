// The slides: one at a time, by keys, by a presenter's remote control, or by the bar. Their number stands in the link.

import { make } from '../page/elements.mjs';
import './figure.mjs';
import { writeState } from './link.mjs';
import { keepForOffline } from './offline.mjs';
import { barButton, codeButton, isKept, isPlain, present } from './presenting.mjs';

/** @typedef {import('./figure.mjs').PocketDiffusionFigure} Figure */

const root = document.documentElement;
const language = root.lang.startsWith('zh') ? 'zh' : 'en';
const TEXT = {
  en: { before: 'Slide before', next: 'Next slide', notes: 'Notes', screen: 'Full screen' },
  zh: { before: '上一页', next: '下一页', notes: '备注', screen: '全屏' },
}[language];
const ARTICLE = { en: 'index.html', zh: 'zh.html' }[language];
/** @type {Record<string, (at: number, last: number) => number>} */
const KEYS = {
  ArrowRight: (at) => at + 1, PageDown: (at) => at + 1, ' ': (at) => at + 1,
  ArrowLeft: (at) => at - 1, PageUp: (at) => at - 1, Home: () => 0, End: (_, last) => last,
};
const slides = [...document.querySelectorAll('section')];
const place = make('output', {});
let at = 0;

/** @param {HTMLElement | undefined} slide */
const figureOf = (slide) => /** @type {Figure | null | undefined} */ (slide?.querySelector('pocket-diffusion-figure'));

/** @param {number} index */
function show(index) {
  at = Math.min(Math.max(index, 0), slides.length - 1);
  place.value = `${at + 1} / ${slides.length}`;
  history.replaceState(history.state, '', `#${at + 1}`);
  present(slides, at);
  for (const slide of slides.slice(at, at + 2)) figureOf(slide)?.begin(); // the next one, too, so that nobody waits
}

const showNotes = () => root.toggleAttribute('data-bare');
function fill() {
  if (document.fullscreenElement) document.exitFullscreen();
  else root.requestFullscreen?.().catch(() => {}); // a window serves as well
}

/** The article, with the figure as it is on the slide. */
function articleLink() {
  const figure = figureOf(slides[at]);
  const model = figure?.getAttribute('model')?.split('/').at(-1)?.replace('.gguf', '') ?? '';
  const state = figure ? { model: model === 'doodles' ? '' : model, at: figure.kind, lecture: false, figures: { [figure.kind]: figure.changed } } : null;
  return new URL(`${ARTICLE}${state ? writeState(state) || `#${state.at}` : ''}`, location.href).href;
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (!isPlain(event) || isKept(event, 'input, select, button, a, canvas, pre, .formula')) return;
  if (event.key === 'n') showNotes();
  else if (event.key === 'f') fill();
  else if (KEYS[event.key]) show(KEYS[event.key](at, slides.length - 1));
  else return;
  event.preventDefault();
}

const screen = barButton(TEXT.screen, TEXT.screen, fill);
screen.className = 'screen';
const bar = make('nav', { className: 'lecture-bar' },
  barButton(TEXT.before, '‹', () => show(at - 1)), place, barButton(TEXT.next, '›', () => show(at + 1)),
  barButton(TEXT.notes, TEXT.notes, showNotes), codeButton(language, articleLink), screen);
document.body.append(bar);
root.dataset.deck = '';
addEventListener('keydown', onKey);
const followLink = () => show(Math.trunc(Number(location.hash.slice(1)) - 1) || 0);
addEventListener('hashchange', followLink);
followLink();
keepForOffline(() => [...new Set(slides.map((slide) => figureOf(slide)?.getAttribute('model')?.replace('../', '') ?? ''))].filter(Boolean));
