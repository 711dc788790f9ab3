// The grid: pictures of one class, one of them the chosen one.

import { element, isCalm } from './elements.mjs';
import { Grid } from './grid.mjs';
import { Recorder } from './recorder.mjs';
import { nameOf, requestOf } from './settings.mjs';

/** @typedef {import('./recorder.mjs').Frame} Frame */

export class Pictures {
  #app;
  #board;
  #grid;
  /** @type {Recorder | null} */
  #recorder = null;

  /** @param {import('../page.mjs').App} app @param {(picture: import('../index.d.ts').Picture) => void} onFull gets those that are not drafts */
  constructor(app, onFull) {
    this.#app = app;
    this.#grid = new Grid(element('grid'), () => {
      this.#board.first = this.chosen;
      app.lab?.choose();
    });
    this.#board = app.studio.addBoard({
      onStep: (index, event) => this.#showStep(index, event),
      onPicture: (index, picture, draft) => {
        if (!draft) onFull(picture);
        this.#grid.paint(index, picture);
        this.#grid.setState(index, draft ? 'draft' : 'done');
        if (index === this.chosen) app.lab?.showChosen();
      },
      onReport: (report) => app.report('grid', report),
      state: true,
    });
  }

  /** @param {number} index @param {import('./studio.mjs').Step} event */
  #showStep(index, event) {
    this.#grid.setState(index, 'running');
    const frame = this.#recorder?.add(index, event);
    if (isCalm()) return;
    const image = frame?.state ?? event.preview;
    this.#grid.paint(index, image);
    if (index === this.chosen) this.#app.lab?.step(image, frame);
  }

  /** As many places as there will be pictures. @param {number} count */
  prepare(count) {
    this.#grid.resize(count);
    element('board').dataset.count = String(count);
  }

  get board() {
    return this.#board;
  }

  /** Number of the chosen one. */
  get chosen() {
    return this.#grid.chosen;
  }

  /** The chosen picture, once it is there in full. @returns {import('../index.d.ts').Picture | null} */
  get picture() {
    return this.#board.slots[this.chosen]?.picture ?? null;
  }

  /** All of them, once they are there. @returns {import('../index.d.ts').Picture[] | null} */
  get all() {
    const { slots } = this.#board;
    const pictures = slots.flatMap(({ picture }) => picture ?? []);
    return pictures.length > 0 && pictures.length === slots.length ? pictures : null;
  }

  /** How the chosen one came about. @returns {Frame[]} */
  get frames() {
    return this.#recorder?.framesOf(this.chosen) ?? [];
  }

  /** What is painted where the chosen one is. */
  get image() {
    return this.#grid.imageOf(this.chosen);
  }

  /** Another model. */
  use() {
    this.#recorder = new Recorder(this.#app.model.info);
    this.#grid.clear();
  }

  /** @param {import('./settings.mjs').Settings} settings */
  draw(settings, { draft = false, again = false } = {}) {
    const { label, seed, count } = settings;
    this.#grid.resize(count);
    element('board').dataset.count = String(count);
    for (let index = 0; index < count; index++) {
      this.#grid.describe(index, `Picture ${index + 1}, ${nameOf(this.#app.model, label)}, seed ${seed + index}`);
    }
    this.#board.first = this.chosen;
    this.#board.show(Array.from({ length: count }, (_, index) => requestOf(settings, index)), { draft, again });
    if (!draft) this.#board.slots.forEach(({ has }, index) => has !== 'picture' && this.#grid.markStale(index));
  }

  /** Nothing of it is on show. What is there stays. */
  rest() {
    this.#board.stop();
  }
}

