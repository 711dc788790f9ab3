// Tensors of network space and pictures: pixel unshuffle and its inverse (torch.nn.functional.pixel_unshuffle), and levels.

import { make } from '../page/elements.mjs';
import { imageOfState, makeCanvas, paint } from '../page/paint.mjs';

/** @typedef {import('../index.d.ts').ModelInfo} ModelInfo */

/** 0 .. 255 to -1 .. 1, as the network sees it. @param {ArrayLike<number>} pixels interleaved rows @param {ModelInfo} info */
export function tensorOfPixels(pixels, { width, height, channels, pixelUnshuffle: factor }) {
  const networkWidth = width / factor;
  const plane = networkWidth * (height / factor);
  const tensor = new Float32Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const cell = Math.floor(y / factor) * networkWidth + Math.floor(x / factor);
      const phase = (y % factor) * factor + (x % factor);
      for (let channel = 0; channel < channels; channel++) {
        tensor[(channel * factor * factor + phase) * plane + cell] = pixels[(y * width + x) * channels + channel] / 127.5 - 1;
      }
    }
  }
  return tensor;
}

/** Where a pixel's value lies in a tensor. @param {number} x @param {number} y @param {ModelInfo} info */
export function placeOf(x, y, { width, height, pixelUnshuffle: factor }) {
  const networkWidth = width / factor;
  return ((y % factor) * factor + (x % factor)) * networkWidth * (height / factor) + Math.floor(y / factor) * networkWidth + Math.floor(x / factor);
}

/** A tensor as a picture of a figure, with its name under it. */
export class Tile {
  canvas = makeCanvas();
  #caption = make('figcaption');
  node = make('figure', { className: 'tile' }, this.canvas, this.#caption);
  #info;

  /** @param {ModelInfo} info @param {Node | string} caption */
  constructor(info, caption) {
    this.#info = info;
    this.canvas.setAttribute('role', 'img');
    this.name(caption);
  }

  /** @param {Node | string} caption */
  name(caption) {
    this.#caption.replaceChildren(caption);
    this.canvas.setAttribute('aria-label', this.#caption.textContent ?? '');
  }

  /** @param {Float32Array} tensor @param {number} [range] -range is black, 0 grey, +range white */
  show(tensor, range = 1) {
    paint(this.canvas, imageOfState(range === 1 ? tensor : tensor.map((value) => value / range), this.#info));
  }
}
