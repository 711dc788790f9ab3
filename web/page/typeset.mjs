// Letters set by their shapes, as print has them: for the word on show, its styles and what is saved of it. Knows no DOM.

import { Spacing, shapeOf } from '../outlines/spacing.mjs';
import { layByAdvances } from './word.mjs';

/**
 * @typedef {import('./paint.mjs').Image} Image
 * @typedef {import('./word.mjs').Letter} Letter
 * @typedef {import('../outlines/spacing.mjs').Shape} Shape
 */

/** Of letters that are still to be drawn, in parts of their squares. */
const UNKNOWN = { top: 0.2, bottom: 0.75, inked: 0.8 };
/** Letters of a recipe's sheet in a row. */
const COLUMNS = 16;
const PAPER = 255;

/** @type {WeakMap<Image, Shape | null>} */
const shapes = new WeakMap();

/** @param {Image} image */
function knownShape(image) {
  if (!shapes.has(image)) shapes.set(image, shapeOf(image));
  return shapes.get(image) ?? null;
}

/** A block of the width of what is to come. @param {number} advance @param {number} side @returns {Shape} */
function blockOf(advance, side) {
  const half = (advance * UNKNOWN.inked * side) / 2;
  const [minLeft, maxRight] = [side / 2 - half, side / 2 + half];
  const [top, bottom] = [Math.round(UNKNOWN.top * side), Math.round(UNKNOWN.bottom * side)];
  /** @param {number} value @param {number} outside */
  const edges = (value, outside) => new Float64Array(side).fill(outside).fill(value, top, bottom);
  return { left: edges(minLeft, Infinity), right: edges(maxRight, -Infinity), minLeft, maxRight, top, bottom, counters: [] };
}

/** Letters by the white between them. Those in colours, and words of which nothing is there, by their advances. @type {import('./word.mjs').Lay} */
export function layByShapes(letters, limit) {
  const [image] = letters.flatMap((letter) => letter.image ?? []);
  if (!image || image.channels !== 1) return layByAdvances(letters, limit);
  const side = image.height;
  const all = letters.map((letter) => (letter.space ? null : letter.image ? knownShape(letter.image) : blockOf(letter.advance, side)));
  const known = [...new Set(letters.flatMap((letter) => (letter.image && knownShape(letter.image)) || []))];
  if (known.length === 0) return layByAdvances(letters, limit); // nothing but paper
  const spacing = new Spacing(known, side);
  const broken = spacing.breakLines(all, limit * side);
  const rows = broken.map(([begin, end]) => {
    const { places, width } = spacing.line(all.slice(begin, end));
    return { begin, end, width: width / side, places: places.map((place) => place / side) };
  });
  return { rows, broken: broken.some(([, end]) => end < letters.length && !letters[end].space) };
}

/**
 * Letters in their rows, in the middle of a picture whose pixels are theirs. Where squares overlap the darker level stays, as of
 * ink on paper.
 * @param {ReadonlyArray<Letter>} letters @param {ReadonlyArray<import('./word.mjs').Row>} rows @returns {Image}
 */
export function setInPixels(letters, rows) {
  const { width: square, height: side, channels } = /** @type {Letter & { image: Image }} */ (letters.find(({ image }) => image)).image;
  const width = Math.ceil(Math.max(...rows.map((row) => row.width)) * square);
  const height = rows.length * side;
  const pixels = new Uint8Array(width * height * channels).fill(PAPER);
  rows.forEach((row, index) => row.places.forEach((place, letter) => {
    const { image } = letters[row.begin + letter];
    if (!image) return;
    const left = Math.round(width / 2 + (place - row.width / 2) * square);
    for (let y = 0; y < side; y++) {
      for (let x = Math.max(0, -left); x < Math.min(square, width - left); x++) {
        const target = ((index * side + y) * width + left + x) * channels;
        const source = (y * square + x) * channels;
        for (let channel = 0; channel < channels; channel++) {
          pixels[target + channel] = Math.min(pixels[target + channel], image.pixels[source + channel]);
        }
      }
    }
  }));
  return { width, height, channels, pixels };
}

/**
 * Of a sheet of the letters, which the command line makes again; the page sets the text.
 * @param {ReadonlyArray<import('../index.d.ts').Picture>} pictures one for each letter, spaces left out @param {string} text
 */
export function recipeOfText(pictures, text) {
  const labels = pictures.map(({ options }) => options.label);
  return { ...pictures[0].recipe, sheet: { labels, count: 1, columns: Math.min(labels.length, COLUMNS), text } };
}
