// How far drawn letters stand from each other: side bearings and kerning from their shapes, as type has them. What is even is
// the white between letters, not their distance: round and open sides come nearer than straight ones. Knows no package.

import { INK_EDGE } from '../library/rendering.mjs';

/** @typedef {import('../library/rendering.mjs').Image} Image */

/**
 * A letter by its edges, in pixels of its picture. Rows without ink have left = Infinity and right = -Infinity.
 * @typedef {object} Shape
 * @property {Float64Array} left of every row @property {Float64Array} right of every row
 * @property {number} minLeft @property {number} maxRight of all rows
 * @property {number} top first row with ink @property {number} bottom the row behind the last one
 * @property {number[]} counters widths of the white between the ink of a row
 */

/** White that lies deeper than this part of a picture's side, behind an edge, is open to above or beneath and is not counted. */
const DEEPEST = 0.15;
/** Between straight stems is as much of the white that is in the letters, which is their rhythm; and where no letter has any, as much of a side. */
const RHYTHM = 0.8;
const COUNTER = 0.2;
/** In parts of the white between stems: what is always left between ink and ink. */
const LEAST = 0.24;
/** Rows in which ink is next to other ink. */
const NEIGHBOURS = 2;
/** Kerning is less than this part of a side. */
const MOST_KERNING = 0.22;
/** A space, in parts of a side. */
const SPACE = 0.26;

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

/** The shape of a grey picture; null if it has no ink. @param {Image} image @returns {Shape | null} */
export function shapeOf({ width, height, pixels }) {
  const left = new Float64Array(height).fill(Infinity);
  const right = new Float64Array(height).fill(-Infinity);
  /** @type {number[]} */
  const counters = [];
  for (let y = 0; y < height; y++) {
    /** The level at a column; outside is paper. @param {number} x */
    const at = (x) => (x < 0 || x >= width ? 255 : pixels[y * width + x]);
    for (let x = 0; x <= width; x++) {
      const [before, here] = [at(x - 1), at(x)];
      if ((before <= INK_EDGE) === (here <= INK_EDGE)) continue;
      const edge = x - 0.5 + (before - INK_EDGE) / (before - here); // middles of pixels are at halves
      if (here <= INK_EDGE) {
        if (right[y] > 0) counters.push(edge - right[y]);
        left[y] = Math.min(left[y], edge);
      } else right[y] = edge;
    }
  }
  const top = right.findIndex((edge) => edge > -Infinity);
  if (top < 0) return null;
  const bottom = right.findLastIndex((edge) => edge > -Infinity) + 1;
  return { left, right, counters, minLeft: Math.min(...left), maxRight: Math.max(...right), top, bottom };
}

/** The distances of letters that are drawn in one style. Lengths are in pixels of their pictures. */
export class Spacing {
  #side;
  #white;
  /** The row on which the letters stand. @type {number} */
  baseline;

  /** @param {ReadonlyArray<Shape>} shapes of the letters that there are @param {number} side of their pictures */
  constructor(shapes, side) {
    const counters = shapes.flatMap((shape) => shape.counters);
    this.#side = side;
    this.#white = RHYTHM * (counters.length > 0 ? median(counters) : COUNTER * side);
    this.baseline = shapes.length > 0 ? median(shapes.map(({ bottom }) => bottom)) : side;
  }

  /** How wide a space is. */
  get space() {
    return SPACE * this.#side;
  }

  /**
   * The white between an edge and the box around the letter, on average of its rows above the baseline.
   * @param {Shape} shape @param {'left' | 'right'} edge @param {number} top @param {number} bottom
   */
  #depth(shape, edge, top, bottom) {
    const most = DEEPEST * this.#side;
    let sum = 0;
    for (let y = top; y < bottom; y++) sum += Math.min(most, edge === 'left' ? shape.left[y] - shape.minLeft : shape.maxRight - shape.right[y]);
    return bottom > top ? sum / (bottom - top) : 0;
  }

  /** Between the box around a letter and the edge of what it takes in a line: never less than what is left between ink and ink. @param {Shape} shape @param {'left' | 'right'} edge */
  bearing(shape, edge) {
    const bottom = Math.min(shape.bottom, this.baseline);
    return Math.max(LEAST * this.#white, this.#white - 2 * this.#depth(shape, edge, Math.min(shape.top, bottom - 1), bottom)) / 2;
  }

  /** What a letter takes in a line. @param {Shape} shape */
  advance(shape) {
    return this.bearing(shape, 'left') + shape.maxRight - shape.minLeft + this.bearing(shape, 'right');
  }

  /** By how much two letters come nearer (less than 0) or go apart. @param {Shape} first @param {Shape} second */
  kerning(first, second) {
    const top = Math.max(first.top, second.top);
    const bottom = Math.min(first.bottom, second.bottom, Math.max(this.baseline, top + 1));
    const bearings = this.bearing(first, 'right') + this.bearing(second, 'left');
    const even = bottom > top ? this.#white - this.#depth(first, 'right', top, bottom) - this.#depth(second, 'left', top, bottom) : bearings;
    const kerning = Math.max(even, this.#least(first, second)) - bearings;
    const most = MOST_KERNING * this.#side;
    return Math.min(Math.max(kerning, -most), most);
  }

  /** The distance of the boxes at which their ink is as near as it may be. @param {Shape} first @param {Shape} second */
  #least(first, second) {
    let nearest = Infinity;
    for (let y = first.top; y < first.bottom; y++) {
      for (let row = Math.max(0, y - NEIGHBOURS); row <= Math.min(y + NEIGHBOURS, second.left.length - 1); row++) {
        nearest = Math.min(nearest, first.maxRight - first.right[y] + second.left[row] - second.minLeft);
      }
    }
    return LEAST * this.#white - nearest;
  }

  /**
   * What a letter or a space takes after another one, or at the beginning of a line.
   * @param {Shape | null | undefined} before @param {Shape | null} shape
   */
  #taken(before, shape) {
    if (!shape) return this.space;
    return this.advance(shape) + (before ? this.kerning(before, shape) : 0);
  }

  /**
   * Letters in a line.
   * @param {ReadonlyArray<Shape | null>} shapes null: a space
   * @returns {{ places: number[], width: number }} places: of the left edges of the pictures, which may begin before the line
   */
  line(shapes) {
    let at = 0;
    const places = shapes.map((shape, index) => {
      at += this.#taken(shapes[index - 1], shape);
      return shape ? at - this.advance(shape) + this.bearing(shape, 'left') - shape.minLeft : at;
    });
    return { places, width: at };
  }

  /**
   * Where the lines of a text begin that are no wider than `width`: after spaces, and in words that are wider themselves.
   * @param {ReadonlyArray<Shape | null>} shapes null: a space @param {number} width
   * @returns {Array<[begin: number, end: number]>} without the spaces between lines
   */
  breakLines(shapes, width) {
    /** @type {Array<[number, number]>} */
    const lines = [];
    for (let begin = 0; begin < shapes.length;) {
      if (!shapes[begin]) {
        begin++;
        continue;
      }
      let [fits, space, taken] = [begin + 1, -1, this.#taken(null, shapes[begin])];
      for (; fits < shapes.length; fits++) {
        taken += this.#taken(shapes[fits - 1], shapes[fits]);
        if (taken > width) break;
      }
      if (fits < shapes.length) space = shapes.slice(0, fits + 1).lastIndexOf(null);
      let end = fits < shapes.length && space > begin ? space : fits;
      const next = end;
      while (!shapes[end - 1]) end--;
      lines.push([begin, end]);
      begin = next;
    }
    return lines;
  }
}
