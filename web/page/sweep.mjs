// One seed over the whole range of guidance scales, a button for each.

import { blank, makeCanvas, paint } from './paint.mjs';
import { SCALE } from './settings.mjs';

/** 0, 1, ... 10 */
export const SWEEP_SCALES = Array.from({ length: SCALE.max - SCALE.min + 1 }, (_, index) => SCALE.min + index);

export class Sweep {
  #items;

  /** @param {HTMLElement} container @param {(scale: number) => void} onChoose */
  constructor(container, onChoose) {
    this.#items = SWEEP_SCALES.map((scale) => {
      const button = Object.assign(document.createElement('button'), { type: 'button', className: 'sweep-item' });
      button.setAttribute('aria-label', `Use guidance scale ${scale}`);
      button.addEventListener('click', () => onChoose(scale));
      const canvas = makeCanvas();
      const caption = Object.assign(document.createElement('span'), { textContent: String(scale) });
      button.append(canvas, caption);
      return { button, canvas };
    });
    container.replaceChildren(...this.#items.map(({ button }) => button));
  }

  /** Marks the scale in use. */
  set scale(scale) {
    this.#items.forEach(({ button }, index) => button.setAttribute('aria-pressed', String(SWEEP_SCALES[index] === scale)));
  }

  markStale() {
    for (const { button } of this.#items) button.dataset.state = 'stale';
  }

  paint(index, image) {
    paint(this.#items[index].canvas, image);
    this.#items[index].button.dataset.state = 'done';
  }

  clear() {
    for (const { canvas } of this.#items) blank(canvas);
  }
}
