// Files that the visitor takes away: pictures, sheets and films, as PNG. They carry the recipe of what they show.

import { encodeAnimation, encodeStill } from './apng.mjs';
import { compose, composeLines, enlarge, usableFactor } from './sheet.mjs';

/** @typedef {import('../index.d.ts').Picture} Picture */

/** Pictures are offered as they are, and enlarged to about these many pixels. */
const TARGET_SIZES = [256, 512];
/** How long a film is, and how long it rests on the finished picture. */
const FILM_MILLISECONDS = 1600;
const REST_MILLISECONDS = 1400;
/** Side by side on a sheet. */
const COLUMNS = { 1: 1, 6: 3, 12: 4, 24: 6 };

/** Enlargements that are worth offering for pictures of this size: whole factors, 1 first. */
export function sizeFactors({ width, height }) {
  const side = Math.max(width, height);
  return [...new Set([1, ...TARGET_SIZES.map((target) => Math.max(1, Math.round(target / side)))])];
}

/** Something that every file system takes. */
export const fileName = (...parts) => `${parts.map((part) => String(part).replace(/[^\p{Letter}\p{Number}.]+/gu, '-')).join('-').replace(/^[-.]+/, '') || 'picture'}.png`;

/** @param {Picture} picture @param {number} factor @returns {Promise<Blob>} */
export async function pictureFile(picture, factor) {
  if (factor === 1) return new Blob([await picture.toPNG()], { type: 'image/png' });
  return encodeStill(enlarge(picture, usableFactor(factor, picture, 1, 1)), picture.recipe);
}

/** All pictures of the grid, of one class, on one sheet. @param {ReadonlyArray<Picture>} pictures @returns {Promise<Blob>} */
export function sheetFile(pictures, factor) {
  const columns = COLUMNS[pictures.length];
  const usable = usableFactor(factor, pictures[0], columns, Math.ceil(pictures.length / columns));
  const [{ recipe, options }] = pictures;
  // As the command line has it, which makes the same pictures again: their seeds follow that of the first.
  const sheet = { labels: [options.label], count: pictures.length, columns };
  return encodeStill(compose(pictures.map((picture) => enlarge(picture, usable)), columns), pictures.length === 1 ? recipe : { ...recipe, sheet });
}

/** From x_T to the picture. @param {import('./recorder.mjs').Frame[]} frames @param {Picture} picture @returns {Promise<Blob>} */
export function filmFile(frames, picture, factor) {
  const usable = usableFactor(factor, picture, 1, 1);
  const milliseconds = Math.round(FILM_MILLISECONDS / frames.length);
  return encodeAnimation([
    ...frames.slice(0, -1).map(({ state }) => ({ image: enlarge(state, usable), milliseconds })),
    { image: enlarge(picture, usable), milliseconds: REST_MILLISECONDS },
  ], picture.recipe);
}

/** A text in some styles. @param {ReadonlyArray<NonNullable<import('./word.mjs').Word['line']>>} lines @returns {Promise<Blob>} */
export function linesFile(lines, factor) {
  const { image } = lines[0].find((letter) => letter.image);
  const usable = usableFactor(factor, image, lines[0].length, lines.length);
  return encodeStill(composeLines(lines.map((line) => line.map((letter) => ({ ...letter, image: letter.image && enlarge(letter.image, usable) })))));
}

/** Pixels as they are. @param {import('./paint.mjs').Image} image @returns {Promise<Blob>} */
export const imageFile = (image) => encodeStill(image);

/** @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement('a'), { href: url, download: name }).click();
  // The browser has taken the bytes over long before this.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
