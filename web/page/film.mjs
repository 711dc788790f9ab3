// How a picture came out of the noise: what is kept of its run, and the strip under the grid that shows it.

import { blank, imageOfState, paint } from './paint.mjs';
import { makeTile } from './radios.mjs';

/** @typedef {import('./paint.mjs').Image} Image */
/** @typedef {{ step: number, steps: number, timestep: number, state: Image, preview: Image }} Frame x_t and the x_0 estimate */

/** Frames kept of a run, and columns of the strip. */
const MOST_FRAMES = 32;
const COLUMNS = 8;

/** @returns {number[]} `most` whole numbers of 1 .. steps, all of them if there are no more: first, last, and evenly between */
export function moments(steps, most = COLUMNS) {
  if (steps <= most) return Array.from({ length: steps }, (_, index) => index + 1);
  return Array.from({ length: most }, (_, index) => 1 + Math.round((index * (steps - 1)) / (most - 1)));
}

/** The frames of each picture's newest run. */
export class Recorder {
  #info;
  /** @type {Frame[][]} */
  #runs = [];

  /** @param {import('../index.d.ts').ModelInfo} info */
  constructor(info) {
    this.#info = info;
  }

  /** @param {number} index of the picture @param {import('../index.d.ts').StepEvent} event @returns {Frame | null} if kept */
  add(index, { step, steps, timestep, state, preview }) {
    if (step === 1 || !this.#runs[index]) this.#runs[index] = [];
    if (!moments(steps, MOST_FRAMES).includes(step)) return null;
    const frame = { step, steps, timestep, state: imageOfState(state, this.#info), preview };
    this.#runs[index].push(frame);
    return frame;
  }

  /** @returns {Frame[]} */
  framesOf(index) {
    return this.#runs[index] ?? [];
  }

  clear() {
    this.#runs = [];
  }
}

export class Film {
  #rows; // { name, container, tiles, kind }
  #columns = []; // step of each column
  #onLook;
  #frames = [];

  /**
   * @param {HTMLElement} stateRow receives the tiles of x_t
   * @param {HTMLElement} previewRow receives those of the x_0 estimate
   * @param {(image: Image | null, frame: Frame | null) => void} onLook a moment was chosen; null: the finished picture
   */
  constructor(stateRow, previewRow, onLook) {
    this.#rows = [
      { kind: 'state', name: 'Noise left', container: stateRow, tiles: [] },
      { kind: 'preview', name: 'Best guess', container: previewRow, tiles: [] },
    ];
    this.#onLook = onLook;
  }

  /**
   * Shows a run of `steps` network calls as far as it has come.
   * @param {Frame[]} frames nothing is shown of those of a run with other steps
   */
  show(frames, steps) {
    this.#prepare(steps);
    this.#frames = [];
    for (const { tiles } of this.#rows) tiles.forEach(({ canvas }) => blank(canvas));
    this.rest();
    if (frames[0]?.steps === steps) frames.forEach((frame) => this.add(frame));
  }

  /** Shows one more moment of the run. @param {Frame} frame */
  add(frame) {
    this.#prepare(frame.steps);
    // Those of a run before may be on show.
    this.#frames = [...this.#frames.filter(({ step }) => step < frame.step), frame];
    const column = this.#columns.indexOf(frame.step);
    if (column >= 0) this.#rows.forEach(({ tiles, kind }) => paint(tiles[column].canvas, frame[kind]));
  }

  /** Chooses the finished picture. */
  rest() {
    const last = this.#rows[1].tiles.at(-1);
    if (last) last.input.checked = true;
  }

  #prepare(steps) {
    const kept = moments(steps, MOST_FRAMES);
    const columns = moments(kept.length).map((place) => kept[place - 1]);
    if (String(columns) === String(this.#columns)) return;
    this.#columns = columns;
    for (const row of this.#rows) {
      row.tiles = columns.map((step, column) => {
        const tile = makeTile('film', () => this.#look(row.kind, step, column));
        tile.input.setAttribute('aria-label', `${row.name}, step ${step} of ${steps}`);
        return tile;
      });
      row.container.replaceChildren(...row.tiles.map(({ root }) => root));
    }
    this.rest();
  }

  #look(kind, step, column) {
    const frame = this.#frames.find((each) => each.step === step) ?? null;
    const finished = kind === 'preview' && column === this.#columns.length - 1;
    this.#onLook(finished || !frame ? null : frame[kind], finished ? null : frame);
  }
}
