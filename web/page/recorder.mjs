// What is kept of the runs that made the pictures on show.

import { imageOfState } from './paint.mjs';

/** @typedef {import('./paint.mjs').Image} Image */
/** @typedef {{ step: number, steps: number, timestep: number, state: Image, preview: Image }} Frame x_t and the x_0 estimate */

/** Frames kept of a run. */
export const MOST_FRAMES = 32;

/** @param {number} steps @param {number} most @returns {number[]} `most` whole numbers of 1 .. steps, all of them if there are no more: first, last, and evenly between */
export function moments(steps, most) {
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

  /** @param {number} index of the picture @param {import('./studio.mjs').Step} event with x_t @returns {Frame | null} if kept */
  add(index, { step, steps, timestep, state, preview }) {
    if (step === 1 || !this.#runs[index]) this.#runs[index] = [];
    if (!state || !moments(steps, MOST_FRAMES).includes(step)) return null;
    const frame = { step, steps, timestep, state: imageOfState(state, this.#info), preview };
    this.#runs[index].push(frame);
    return frame;
  }

  /** @param {number} index of the picture @returns {Frame[]} */
  framesOf(index) {
    return this.#runs[index] ?? [];
  }
}
