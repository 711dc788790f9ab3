// What the page says of how far its pictures are.

import { element, plural } from './elements.mjs';
import { announce, fail, setProgress, setStatus } from './messages.mjs';
import { keepForLater } from './offline.mjs';
import { nameOf } from './settings.mjs';

/** @typedef {import('./studio.mjs').Report} Report */

/** @param {import('../page.mjs').App} app @param {Report} report of the part on show */
function describe(app, { state, draft, dragged, draftSteps, finished, error }) {
  const { steps } = app.settings;
  const all = { word: app.lettering.board.slots.length, grid: app.settings.count, edit: app.editBoard.slots.length }[app.part];
  if (draft && draftSteps < steps) setStatus(`Preview with ${draftSteps} of ${steps} steps`);
  else if (state === 'working' && dragged) setStatus(''); // pictures of few steps follow the hand: there is nothing to wait for
  else if (state === 'working') setStatus(`Drawing … ${finished} of ${all}`);
  else if (state === 'stopped') setStatus(`Stopped after ${finished} of ${all}`);
  else if (state === 'failed' && app.part !== 'edit') fail(error, () => app.show(app.settings));
  else setStatus('');
}

/** @param {import('../page.mjs').App} app @param {Report} report of the part on show, which has just been finished */
function finish(app, { computed, milliseconds }) {
  const { count, guidanceScale, label, steps } = app.settings;
  if (computed) app.measured.run = { pictures: computed, steps, milliseconds };
  if (app.part === 'word') announce(`The word ${element('word-text').value} at guidance scale ${guidanceScale}.`);
  if (app.part === 'grid') announce(`${plural(count, 'picture')} of ${nameOf(app.model, label)} at guidance scale ${guidanceScale}.`);
  app.lab?.showFigures();
  if (!app.standIn) keepForLater(app.path);
}

/** Pictures that a moving value brought are told of when it has been at rest for so long. */
const REST_MILLISECONDS = 500;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let telling;

/** @param {import('../page.mjs').App} app @param {'word' | 'grid' | 'edit'} part @param {Report} report of it */
export function reportProgress(app, part, report) {
  if (part === 'edit') app.edit?.report(report);
  if (part === 'grid') app.lab?.report(report);
  if (part === 'word') element('word-save').disabled = !app.lettering.finished;
  if (part !== app.part) return; // nobody sees it
  const { state, draft, progress, finished } = report;
  const { dataset } = element('page');
  const before = dataset.state;
  dataset.state = draft ? 'draft' : state === 'idle' ? 'done' : state;
  element('stop').disabled = state !== 'working';
  element('play-link').disabled = element('morph-open').disabled = false;
  element('play-save').disabled = element('play-share').disabled = element('play-svg').disabled = part === 'word' ? !app.lettering.finished : !app.pictures.picture;
  setProgress(progress);
  if (finished > 0 && performance.getEntriesByName('first-picture').length === 0) performance.mark('first-picture');
  describe(app, report);
  if (dataset.state === before) return;
  clearTimeout(telling);
  if (state === 'done' && report.dragged) telling = setTimeout(() => finish(app, report), REST_MILLISECONDS);
  else if (state === 'done') finish(app, report);
  if (state === 'stopped') announce('Stopped.');
}
