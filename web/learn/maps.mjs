// Maps of signed numbers as pictures: blue below 0, orange above, both as far from white. Who confuses red with green tells
// them apart, and who sees no colours sees the magnitude.

import { paint } from '../page/paint.mjs';
import { make } from '../page/elements.mjs';

/** From 0 to the end of the range, red, green and blue. */
const STOPS = { below: [[247, 247, 247], [67, 147, 195], [5, 48, 97]], above: [[247, 247, 247], [224, 130, 20], [127, 59, 8]] };

/** @param {number} value -1 .. 1; what lies outside is cut off @returns {number[]} */
export function colourOf(value) {
  const [first, second, third] = value < 0 ? STOPS.below : STOPS.above;
  const at = Math.min(Math.abs(value), 1) * 2;
  const [from, to] = at < 1 ? [first, second] : [second, third];
  return from.map((level, index) => level + (to[index] - level) * (at - (at < 1 ? 0 : 1)));
}

/**
 * All maps side by side, row by row, with a gap of one pixel around each.
 * @param {HTMLCanvasElement} canvas @param {ReadonlyArray<Float32Array>} maps @param {{ width: number, height: number, range: number, columns?: number }} options
 */
export function paintMaps(canvas, maps, { width, height, range, columns = 1 }) {
  const gap = columns > 1 ? 1 : 0;
  const across = columns * (width + gap) + gap;
  const down = Math.ceil(maps.length / columns) * (height + gap) + gap;
  const pixels = new Uint8ClampedArray(across * down * 4);
  maps.forEach((map, index) => {
    const left = (index % columns) * (width + gap) + gap;
    const top = Math.floor(index / columns) * (height + gap) + gap;
    for (let place = 0; place < map.length; place++) {
      const at = ((top + Math.floor(place / width)) * across + left + (place % width)) * 4;
      pixels.set([...colourOf(map[place] / range), 255], at);
    }
  });
  paint(canvas, { width: across, height: down, channels: 4, pixels });
}

/** A picture on which something can be pointed out, in shares of its sides. */
export class Board {
  #frame = make('div', { className: 'frame', hidden: true });
  node;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.node = make('div', { className: 'board' });
    canvas.replaceWith(this.node);
    this.node.append(canvas, this.#frame);
  }

  /** @param {number} left @param {number} top @param {number} width @param {number} height */
  point(left, top, width, height) {
    Object.entries({ left, top, width, height }).forEach(([name, share]) => this.#frame.style.setProperty(name, `${100 * share}%`));
    this.#frame.hidden = false;
  }

  /** Where the pointer is, in shares of the sides. @param {PointerEvent} event @returns {[number, number]} */
  placeOf(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const within = (/** @type {number} */ share) => Math.min(Math.max(share, 0), 0.999_999);
    return [within((event.clientX - left) / width), within((event.clientY - top) / height)];
  }
}
