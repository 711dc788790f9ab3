// How a picture came out of the noise: the strip under the grid that shows it.

import { blank, paint } from './paint.mjs';
import { makeTile } from './radios.mjs';
import { MOST_FRAMES, moments } from './recorder.mjs';

/** @typedef {import('./paint.mjs').Image} Image */
/** @typedef {import('./recorder.mjs').Frame} Frame */
/** @typedef {{ kind: 'state' | 'preview', name: string, container: HTMLElement, tiles: Array<ReturnType<typeof makeTile>> }} Row */

const COLUMNS = 8;

export class Film {
  /** @type {[Row, Row]} */
  #rows;
  /** @type {number[]} */
  #columns = []; // step of each column
  #onLook;
  /** @type {Frame[]} */
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
   * @param {number} steps
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

  /** @param {number} steps */
  #prepare(steps) {
    const kept = moments(steps, MOST_FRAMES);
    const columns = moments(kept.length, COLUMNS).map((place) => kept[place - 1]);
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

  /** @param {Row['kind']} kind @param {number} step @param {number} column */
  #look(kind, step, column) {
    const frame = this.#frames.find((each) => each.step === step) ?? null;
    const finished = kind === 'preview' && column === this.#columns.length - 1;
    this.#onLook(finished || !frame ? null : frame[kind], finished ? null : frame);
  }
}
