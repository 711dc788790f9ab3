// The strip under the grid: how the chosen picture came out of the noise.

import { imageOfState, paint } from './paint.mjs';

const MOMENTS = 8;

/** @returns {number[]} the steps shown of a run of `steps`: first, last, and evenly between */
export function moments(steps) {
  if (steps <= MOMENTS) return Array.from({ length: steps }, (_, index) => index + 1);
  return Array.from({ length: MOMENTS }, (_, index) => 1 + Math.round((index * (steps - 1)) / (MOMENTS - 1)));
}

export class Film {
  #rows;
  #info;
  #steps = 0;

  /**
   * @param {HTMLElement} stateRow receives the canvases of x_t
   * @param {HTMLElement} previewRow receives those of the x_0 estimate
   * @param {import('../index.d.ts').ModelInfo} info
   */
  constructor(stateRow, previewRow, info) {
    this.#rows = [stateRow, previewRow];
    this.#info = info;
  }

  /**
   * Shows a run of `steps` as far as it has come.
   * @param {import('../index.d.ts').StepEvent[]} frames nothing is shown of those of a run with other steps
   */
  show(frames, steps) {
    this.#prepare(steps);
    for (const row of this.#rows) [...row.children].forEach(blank);
    if (frames[0]?.steps === steps) frames.forEach((event) => this.add(event));
  }

  /** Shows one more step of the run. @param {import('../index.d.ts').StepEvent} event */
  add(event) {
    this.#prepare(event.steps);
    const column = moments(event.steps).indexOf(event.step);
    if (column < 0) return;
    const images = [imageOfState(event.state, this.#info), event.preview];
    this.#rows.forEach((row, index) => paint(row.children[column], images[index]));
  }

  #prepare(steps) {
    if (steps === this.#steps) return;
    this.#steps = steps;
    for (const row of this.#rows) {
      row.replaceChildren(...moments(steps).map(() => document.createElement('canvas')));
    }
  }
}

function blank(canvas) {
  canvas.width = canvas.height = 1;
}
