// One seed over the whole range of guidance scales, a button for each.

import { makeCanvas, paint } from './paint.mjs';
import { scaleRange } from './settings.mjs';

export class Sweep {
  /** 0, 1, ... 10, or those of them that the model knows. */
  scales;
  #items;

  /** @param {HTMLElement} container @param {import('./settings.mjs').Model} model @param {(scale: number) => void} onChoose */
  constructor(container, model, onChoose) {
    const [min, max] = scaleRange(model);
    this.scales = Array.from({ length: Math.floor(max) + 1 }, (_, scale) => scale).filter((scale) => scale >= min);
    this.#items = this.scales.map((scale) => {
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

  /** Marks the scale in use. @param {number} scale */
  set scale(scale) {
    this.#items.forEach(({ button }, index) => button.setAttribute('aria-pressed', String(this.scales[index] === scale)));
  }

  markStale() {
    for (const { button } of this.#items) button.dataset.state = 'stale';
  }

  /** @param {number} index @param {import('./paint.mjs').Image} image */
  paint(index, image) {
    paint(this.#items[index].canvas, image);
    this.#items[index].button.dataset.state = 'done';
  }
}
