// Drawing on the picture of a figure, by mouse, finger or pen, and by keys: the arrows move, Space puts the pen down and lifts it.

import { tensorOfPixels } from './tensors.mjs';

/** @type {Record<string, readonly [number, number]>} */
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** Of the pen, in pixels. */
const RADIUS = 1.1;

export class Pad {
  #info;
  #onDraw;
  /** @type {Uint8Array} */
  #pixels;
  /** @type {[number, number] | null} */
  #last = null;
  /** @type {[number, number]} */
  #cursor;
  #down = false;

  /** @param {HTMLCanvasElement} canvas @param {import('../index.d.ts').ModelInfo} info @param {() => void} onDraw */
  constructor(canvas, info, onDraw) {
    this.#info = info;
    this.#onDraw = onDraw;
    this.#pixels = new Uint8Array(info.width * info.height * info.channels);
    this.#cursor = [info.width / 2, info.height / 2];
    canvas.tabIndex = 0;
    canvas.setAttribute('data-own', '');
    canvas.setAttribute('role', 'application');
    /** @param {PointerEvent} event @returns {[number, number]} */
    const at = (event) => {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      return [((event.clientX - left) / width) * info.width, ((event.clientY - top) / height) * info.height];
    };
    canvas.onpointerdown = (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      canvas.setPointerCapture(event.pointerId);
      this.#stroke(at(event));
    };
    canvas.onpointermove = (event) => {
      if (this.#last) this.#stroke(at(event));
    };
    canvas.onpointerup = canvas.onpointercancel = () => (this.#last = null);
    canvas.onkeydown = (event) => this.#key(event);
    canvas.onblur = () => {
      this.#down = false;
      this.#last = null;
    };
  }

  /** As the network sees it. */
  get tensor() {
    return tensorOfPixels(this.#pixels, this.#info);
  }

  /** @param {(index: number) => number} level 0 .. 255 of each value */
  fill(level) {
    this.#pixels.forEach((_, index) => (this.#pixels[index] = level(index)));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const move = KEYS[event.key];
    if (!move && event.key !== ' ') return;
    event.preventDefault();
    event.stopPropagation();
    if (!move) this.#down = !this.#down;
    const { width, height } = this.#info;
    const [dx, dy] = move ?? [0, 0];
    this.#cursor = [Math.min(Math.max(this.#cursor[0] + dx, 0), width), Math.min(Math.max(this.#cursor[1] + dy, 0), height)];
    if (this.#down) this.#stroke(this.#cursor);
    this.#last = null;
  }

  /** A line from where the pen was. @param {[number, number]} to */
  #stroke(to) {
    const from = this.#last ?? to;
    const count = Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) * 3) + 1;
    for (let k = 1; k <= count; k++) this.#dab(from[0] + ((to[0] - from[0]) * k) / count, from[1] + ((to[1] - from[1]) * k) / count);
    this.#last = to;
    this.#onDraw();
  }

  /** @param {number} x @param {number} y */
  #dab(x, y) {
    const { width, height, channels } = this.#info;
    for (let row = Math.max(0, Math.floor(y - 2)); row < Math.min(height, y + 2); row++) {
      for (let column = Math.max(0, Math.floor(x - 2)); column < Math.min(width, x + 2); column++) {
        const ink = Math.min(Math.max(RADIUS + 0.5 - Math.hypot(column + 0.5 - x, row + 0.5 - y), 0), 1);
        for (let place = (row * width + column) * channels; place < (row * width + column + 1) * channels; place++) {
          this.#pixels[place] = Math.min(this.#pixels[place], 255 * (1 - ink));
        }
      }
    }
  }
}
