// The Lab: everything that can be set, looked into, compared and taken away. Fetched when somebody enters it.

import { Compare, describeSettings, differences } from './compare.mjs';
import { element, makeOption } from './elements.mjs';
import { fetchPart } from './fetch_more.mjs';
import { figures, showFigures } from './figures.mjs';
import { Film } from './film.mjs';
import { KINDS, usableKinds } from './films.mjs';
import { FineFields } from './fine_fields.mjs';
import { keepOf } from './keep.mjs';
import { announce, fail } from './messages.mjs';
import { isOneFile } from './models.mjs';
import { openDialog } from './open_dialog.mjs';
import { OptionFields } from './option_fields.mjs';
import { blank, paint } from './paint.mjs';
import { sizeFactors } from './saving.mjs';
import { SAMPLERS, canBeGuided, nameOf, requestOf } from './settings.mjs';
import { Sweep } from './sweep.mjs';
import { explainTerms } from './terms.mjs';

/** @typedef {import('./paint.mjs').Image} Image */
/** @typedef {import('./recorder.mjs').Frame} Frame */

const PLAY_MILLISECONDS = 1600;

/** The last step takes one. @param {import('./settings.mjs').Settings} settings */
const networkCalls = ({ sampler, steps }) => (SAMPLERS[sampler].evaluations ?? 1) * (steps - 1) + 1;

export class Lab {
  #app;
  #big = element('big');
  #film = new Film(element('film-state'), element('film-preview'), (image, frame) => this.#look(image, frame));
  #compare = new Compare(element('pinned-grid'));
  /** @type {Sweep | null} */
  #sweep = null;
  #sweepBoard;
  #sweepKey = '';
  #sweepVisible = false;
  /** @type {OptionFields | null} */
  #options = null;
  /** @type {FineFields | null} */
  #fine = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #playing;

  /** @param {import('../page.mjs').App} app */
  constructor(app) {
    this.#app = app;
    this.#sweepBoard = app.studio.addBoard({
      onPicture: (index, picture) => this.#sweep?.paint(index, picture),
      onReport: ({ state, error }) => {
        element('sweep').dataset.state = state;
        if (state === 'failed') fail(error, () => this.#drawSweep());
      },
    });
    const keep = keepOf(app);
    /** @type {Partial<Record<keyof import('./elements.mjs').Elements, () => void>>} */
    const on = {
      play: () => this.#play(), pin: () => this.#pin(), unpin: () => this.#unpin(), swap: () => this.#swap(), save: () => keep.savePicture(),
      'save-svg': () => keep.saveSVG(this.#app.pictures.picture),
      'save-sheet': keep.saveSheet, 'save-film': () => keep.saveFilm(/** @type {import('./films.mjs').Kind} */ (element('film-kind').value)), 'word-save': keep.saveWord, link: () => app.links.copy(),
      embed: () => openDialog(app, () => fetchPart('embed_dialog', () => import('./embed_dialog.mjs'))), 'edit-this': () => app.draw(app.pictures.picture),
    };
    for (const id of /** @type {Array<keyof typeof on>} */ (Object.keys(on))) element(id).onclick = on[id] ?? null;
    element('figures').ontoggle = () => this.showFigures();
    new IntersectionObserver(([{ isIntersecting }]) => {
      this.#sweepVisible = isIntersecting;
      this.#drawSweep();
    }, { rootMargin: '200px' }).observe(element('sweep'));
    explainTerms(element('panel'));
    usableKinds().then((kinds) => element('film-kind').replaceChildren(...kinds.map((kind) => makeOption(kind, KINDS[kind].title))));
    this.use();
  }

  get sweepBoard() {
    return this.#sweepBoard;
  }

  /** Another model, or the first one. */
  use() {
    const { model, controls, path } = this.#app;
    this.#unpin();
    this.#sweep = new Sweep(element('sweep'), model, (guidanceScale) => this.#app.controls.change({ guidanceScale }));
    this.#sweepKey = '';
    blank(this.#big);
    this.#options = new OptionFields(model, controls);
    this.#fine = new FineFields(model, controls);
    const { width, height, rendering } = model.info;
    const sizes = sizeFactors(model.info);
    element('size').replaceChildren(...sizes.map((factor) =>
      Object.assign(document.createElement('option'), { value: String(factor), textContent: `${width * factor} × ${height * factor}` })));
    element('size').value = String(sizes[1] ?? 1);
    element('scales').hidden = !canBeGuided(model);
    element('transparent-line').hidden = rendering !== 'ink';
    element('embed').hidden = path === null || isOneFile();
  }

  /** The settings on show are these. @param {import('./settings.mjs').Settings} settings */
  show(settings, { draft = false } = {}) {
    this.#stopPlaying();
    this.#options?.show(settings);
    this.#fine?.show(settings);
    if (this.#sweep) this.#sweep.scale = settings.guidanceScale;
    this.#drawSweep();
    // While a slider is dragged, this follows the pictures and not every move: of all that is on show only text changes.
    if (!draft) this.choose();
  }

  /** @param {import('./studio.mjs').Report} report of the grid */
  report({ finished, state }) {
    const all = finished >= this.#app.settings.count;
    element('save-sheet').disabled = element('pin').disabled = !all;
    if (state === 'done') this.showFigures();
  }

  /** A step of the chosen picture. @param {Image} image @param {Frame | null | undefined} frame if it is kept */
  step(image, frame) {
    paint(this.#big, image);
    if (frame) this.#film.add(frame);
  }

  // ---- the chosen picture

  /** Another picture of the grid was chosen, or the chosen one is another now. */
  choose() {
    this.showChosen();
    this.#film.show(this.#app.pictures.frames, networkCalls(this.#app.settings));
    this.#drawSweep();
  }

  showChosen() {
    this.#stopPlaying();
    const { settings, model, pictures } = this.#app;
    const { picture, chosen: index, image, frames } = pictures;
    const [{ text: title }, ...rest] = describeSettings({ ...settings, seed: settings.seed + index }, model);
    element('chosen-title').textContent = title;
    element('chosen-options').textContent = rest.map(({ text }) => text).join(' · ');
    if (image) paint(this.#big, image);
    this.#big.setAttribute('aria-label', `Picture ${index + 1}, ${title}, large`);
    const whole = Boolean(picture) && frames.at(-1)?.step === frames.at(-1)?.steps;
    for (const id of /** @type {const} */ (['save', 'save-svg', 'size', 'edit-this'])) element(id).disabled = !picture;
    for (const id of /** @type {const} */ (['save-film', 'film-kind', 'play'])) element(id).disabled = !whole;
    for (const id of /** @type {const} */ (['link', 'embed'])) element(id).disabled = false;
    this.#film.rest();
    this.#showDifference();
  }

  /** A moment of the strip, large. @param {Image | null} image @param {Frame | null} frame */
  #look(image, frame) {
    this.#stopPlaying();
    const shown = image ?? this.#app.pictures.image;
    if (shown) paint(this.#big, shown);
    if (frame) element('chosen-options').textContent = `step ${frame.step} of ${frame.steps} · t = ${frame.timestep}`;
    else this.showChosen();
  }

  #play() {
    const { frames, picture } = this.#app.pictures;
    this.#stopPlaying();
    /** @type {Image[]} */
    const images = [...frames.slice(0, -1).map(({ state }) => state), ...(picture ? [picture] : [])];
    const next = () => {
      const [image] = images.splice(0, 1);
      paint(this.#big, image);
      if (images.length > 0) this.#playing = setTimeout(next, PLAY_MILLISECONDS / frames.length);
    };
    next();
  }

  #stopPlaying() {
    clearTimeout(this.#playing);
  }

  // ---- one seed, every scale

  #drawSweep() {
    const { settings, pictures, view } = this.#app;
    const sweep = this.#sweep;
    if (!sweep || !this.#sweepVisible || view.inPlay || view.drawing) return;
    const requests = sweep.scales.map((guidanceScale) => requestOf({ ...settings, guidanceScale }, pictures.chosen));
    const key = JSON.stringify(requests);
    if (key === this.#sweepKey && this.#sweepBoard.working) return;
    if (key !== this.#sweepKey) sweep.markStale();
    this.#sweepKey = key;
    this.#sweepBoard.show(requests);
  }

  // ---- two settings side by side

  /** @returns {boolean} whether all pictures were there to be pinned */
  #pin() {
    const { settings, model, pictures } = this.#app;
    if (!pictures.all) return false;
    this.#compare.pin(settings, pictures.all, nameOf(model, settings.label));
    element('pinned-text').textContent = describeSettings(settings, model).map(({ text }) => text).join(' · ');
    this.#showCompare(true);
    announce('Pinned as A. Change a setting to compare.');
    return true;
  }

  #unpin() {
    this.#compare.unpin();
    this.#showCompare(false);
  }

  /** @param {boolean} pinned */
  #showCompare(pinned) {
    element('board').toggleAttribute('data-pinned', pinned);
    for (const id of /** @type {const} */ (['pinned', 'side'])) element(id).hidden = !pinned;
    element('big-figure').hidden = pinned;
    element('pin').textContent = pinned ? 'Pin anew' : 'Compare';
    this.#showDifference();
  }

  #showDifference() {
    if (!this.#compare.pinned) return;
    const { settings, model } = this.#app;
    const changed = differences(this.#compare.pinned.settings, settings);
    const present = describeSettings(settings, model).map(({ text }) => text).join(' · ');
    element('side-text').textContent = changed ? `${present} (differs: ${changed})` : 'The same as A: change a setting.';
  }

  /** What is on show becomes A, and the settings of A are those on show. */
  #swap() {
    const { pinned } = this.#compare;
    if (pinned && this.#pin()) this.#app.controls.change(pinned.settings);
  }

  // ---- for other pages, and for those who ask

  showFigures() {
    if (!element('figures').open) return;
    const { model, studio, measured } = this.#app;
    showFigures(element('figure-list'), figures({ info: model.info, placement: model.placement, draftSteps: studio.draftSteps, ...measured }));
  }
}
