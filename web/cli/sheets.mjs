// How pictures lie in files: on a sheet, or each in a file of its own.

import path from 'node:path';
import { enlarge } from '../library/rendering.mjs';
import { Canvas } from './canvas.mjs';

/**
 * @typedef {import('../index.d.ts').Picture} Picture
 * @typedef {import('../index.d.ts').Recipe} Recipe
 * @typedef {import('../index.d.ts').ResolvedOptions} ResolvedOptions
 * @typedef {{ width: number, height: number, channels: number, pixels: Uint8Array }} Bitmap
 * @typedef {{ image: Bitmap, x: number, y: number }} Placed
 * @typedef {{ image: Bitmap, placed: Placed[], recipe: Recipe, file: string | null }} Output image: of all that is placed
 * @typedef {Record<string, any>} Given options of a command, as commander has parsed them, or fields of a recipe
 */

const SHEET_GAP = 2; // pixels between the pictures of a sheet
export const SHEET_COLUMNS = 8; // of one class, before the next row begins

/**
 * Pictures in rows of `columns`, a new row with every class, on white.
 * @param {Bitmap[]} pictures @param {number} perClass @param {number} columns
 * @returns {{ image: Bitmap, placed: Placed[] }}
 */
function makeSheet(pictures, perClass, columns) {
  const { width, height, channels } = pictures[0];
  const rowsPerClass = Math.ceil(perClass / columns);
  const rows = rowsPerClass * (pictures.length / perClass);
  const used = Math.min(columns, perClass);
  const sheet = new Canvas(used * (width + SHEET_GAP) - SHEET_GAP, rows * (height + SHEET_GAP) - SHEET_GAP, channels);
  const placed = pictures.map((image, index) => {
    const within = index % perClass;
    const row = Math.floor(index / perClass) * rowsPerClass + Math.floor(within / columns);
    const place = { image, x: (within % columns) * (width + SHEET_GAP), y: row * (height + SHEET_GAP) };
    sheet.draw(image, place.x, place.y);
    return place;
  });
  return { image: sheet, placed };
}

/** @param {Bitmap} image @returns {{ image: Bitmap, placed: Placed[] }} */
const alone = (image) => ({ image, placed: [{ image, x: 0, y: 0 }] });

/** @param {string} output @param {ResolvedOptions} options */
function separateName(output, { label, labelName, classMix, seed, variationSeed, variationStrength }) {
  const { dir, name, ext } = path.parse(output);
  const safe = labelName.replace(/[^\p{L}\p{N}_-]+/gu, '_').slice(0, 64);
  const varied = variationStrength > 0 ? `-${variationSeed}` : '';
  const what = classMix ? `-mix-${safe}` : label === null ? '' : `-${label}-${safe}`;
  return path.join(dir, `${name}${what}-${seed}${varied}${ext || '.png'}`);
}

/** Pictures in a row of a sheet. @param {Picture[]} pictures @param {Given} options @returns {number} */
const columnsOf = (pictures, { count, columns }) =>
  columns ?? (pictures.length === count ? Math.min(count, SHEET_COLUMNS) : count);

/** Of one picture, or of all of them together. @param {Picture[]} pictures @param {Given} options @returns {Recipe} */
export function recipeOf(pictures, options) {
  const { recipe } = pictures[0];
  if (pictures.length === 1) return recipe;
  const { count } = options;
  const labels = pictures.filter((_, index) => index % count === 0).map((picture) => picture.options.label);
  const shown = labels[0] === null ? {} : { labels }; // the options have the mixture
  return { ...recipe, sheet: { ...shown, count, columns: columnsOf(pictures, options) } };
}

/**
 * @param {Picture[]} pictures @param {Given} options @param {import('../index.d.ts').RenderingName} rendering
 * @returns {Output[]} what to encode and where to put it
 */
export function layOut(pictures, options, rendering) {
  const { output = null, count } = options;
  const images = pictures.map((picture) => /** @type {Bitmap} */ (enlarge(picture, rendering, options.enlarge, options.transparent)));
  if (options.separate) {
    return pictures.map((picture, index) => ({ ...alone(images[index]), recipe: picture.recipe, file: output && separateName(output, picture.options) }));
  }
  const laid = images.length === 1 ? alone(images[0]) : makeSheet(images, count, columnsOf(pictures, options));
  return [{ ...laid, recipe: recipeOf(pictures, options), file: output }];
}
