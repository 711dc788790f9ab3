// Sheets of pictures with text on them.

import Font from 'simple-bitmap-font';
import { enlarge } from '../library/rendering.mjs';
import { UsageError } from './errors.mjs';

/** Sides that PNG encoding accepts. */
const MAX_SIDE = 8192;

const font = new Font();
const FACE = 8; // pixels, wide and high

/**
 * Eight rows of eight pixels for each character, the lowest bit on the left. What the face does not have is a question mark.
 * @param {string} text @returns {number[][]}
 */
const glyphsOf = (text) => Array.from(text.normalize('NFC'), (character) => {
  const index = font.getIndexForLetter(character);
  return font.font8x8_allChars[index > 0 ? index : font.getIndexForLetter('?')];
});

/** @typedef {{ width: number, height: number, channels: number, pixels: Uint8Array | Uint8ClampedArray }} Image of as many channels as the canvas */

export class Canvas {
  /** A white picture, of two channels a transparent one. @param {number} width @param {number} height @param {number} channels */
  constructor(width, height, channels) {
    if (Math.max(width, height) > MAX_SIDE) {
      throw new UsageError(`the sheet would have ${width} x ${height} pixels, more than ${MAX_SIDE}: ask for fewer pictures, or smaller ones`);
    }
    this.width = width;
    this.height = height;
    this.channels = channels;
    this.pixels = new Uint8Array(width * height * channels).fill(channels === 2 ? 0 : 255);
  }

  /** @param {Image} image @param {number} left @param {number} top */
  draw({ width, height, pixels }, left, top) {
    const stride = width * this.channels;
    for (let y = 0; y < height; y++) {
      this.pixels.set(pixels.subarray(y * stride, (y + 1) * stride), ((top + y) * this.width + left) * this.channels);
    }
  }

  /** Black text on one line. @param {string} text @param {number} left @param {number} top */
  write(text, left, top) {
    const colours = this.channels === 4 ? 3 : this.channels;
    glyphsOf(text).forEach((rows, index) => {
      for (let y = 0; y < FACE; y++) {
        for (let x = 0; x < FACE; x++) {
          if (!((rows[y] >> x) & 1)) continue;
          const target = ((top + y) * this.width + left + index * FACE + x) * this.channels;
          this.pixels.fill(0, target, target + colours);
        }
      }
    });
  }
}

const MOST_CHARACTERS = 160; // of a title; names in models may be longer
/** @param {string} text */
const clip = (text, most = MOST_CHARACTERS) => (text.length > most ? `${text.slice(0, most - 3)}...` : text);
/** @typedef {{ name: string, values: string[] }} AxisText */

/** @param {AxisText} axis */
const clipAxis = ({ name, values }) => ({ name, values: values.map((value) => clip(value, MOST_CHARACTERS / 4)) });

/** @param {string} text */
const widthOf = (text) => glyphsOf(text).length * FACE;
/** @param {string[]} texts */
const widest = (texts) => Math.max(0, ...texts.map(widthOf));

const MARGIN = 8;
const GAP = 4;
const LINE = FACE + GAP;

/**
 * A table of pictures: title, names and values of both axes, pictures. The layout is made before there are pictures, so
 * that a sheet that is too large costs no time.
 */
export class Table {
  #canvas;
  #zoom;
  #left; // of the first column
  #top; // of the first row
  #step; // from one column to the next

  /**
   * @param {{ width: number, height: number, channels: number }} size of every picture
   * @param {{ title: string, zoom: number, rows: AxisText, columns: AxisText }} texts with one value or more on each axis
   */
  constructor({ width, height, channels }, texts) {
    const { zoom } = texts;
    const [title, rows, columns] = [clip(texts.title), clipAxis(texts.rows), clipAxis(texts.columns)];
    this.#zoom = zoom;
    this.height = height * zoom;
    const gutter = widest([rows.name, ...rows.values]);
    this.#left = MARGIN + gutter + (gutter ? 2 * GAP : 0);
    this.#step = Math.max(width * zoom + GAP, widest(columns.values) + FACE);
    const lines = [title, columns.name, columns.values.some(Boolean) || rows.name].filter(Boolean).length;
    this.#top = MARGIN + lines * LINE + GAP;
    const right = this.#left + Math.max((columns.values.length - 1) * this.#step + Math.max(width * zoom, widthOf(columns.values[columns.values.length - 1])), widthOf(columns.name));
    const whole = Math.max(right, MARGIN + widthOf(title)) + MARGIN;
    this.#canvas = new Canvas(whole, this.#top + rows.values.length * (this.height + GAP) - GAP + MARGIN, channels);
    this.#write({ title, rows, columns });
  }

  /** @param {{ title: string, rows: AxisText, columns: AxisText }} texts */
  #write({ title, rows, columns }) {
    const canvas = this.#canvas;
    canvas.write(title, MARGIN, MARGIN);
    const above = this.#top - LINE - GAP / 2;
    if (columns.name) canvas.write(columns.name, this.#left, above - LINE);
    canvas.write(rows.name, MARGIN, above);
    columns.values.forEach((text, column) => canvas.write(text, this.#left + column * this.#step, above));
    rows.values.forEach((text, row) =>
      canvas.write(text, MARGIN, this.#top + row * (this.height + GAP) + Math.max(0, Math.floor((this.height - FACE) / 2))));
  }

  /** @param {Image} picture @param {import('../index.d.ts').RenderingName} rendering @param {number} row @param {number} column */
  put(picture, rendering, row, column) {
    this.#canvas.draw(enlarge(picture, rendering, this.#zoom), this.#left + column * this.#step, this.#top + row * (this.height + GAP));
  }

  get image() {
    return this.#canvas;
  }
}

/** How much small pictures are enlarged unless the caller says otherwise. @param {{ width: number, height: number }} size */
export const zoomFor = ({ width, height }) => Math.max(1, Math.round(96 / Math.max(width, height)));
