// Files that the visitor takes away: pictures and sheets as PNG, and films. PNG files carry the recipe of what they show.

import { MAX_ENLARGED_SIDE, enlarge, largestFactor } from '../library/rendering.mjs';
import { encodeStill } from './apng.mjs';
import { fetchPart } from './fetch_more.mjs';
import { encodeFilm } from './films.mjs';
import { COLUMNS } from './settings.mjs';
import { compose, usableFactor } from './sheet.mjs';
import { layByShapes, recipeOfText, setInPixels } from './typeset.mjs';
import { fit } from './word.mjs';

/**
 * @typedef {import('../index.d.ts').Picture} Picture
 * @typedef {import('../index.d.ts').RenderingName} Rendering
 * @typedef {NonNullable<import('./lettering.mjs').Lettering['finished']>} Finished
 * @typedef {{ factor: number, rendering: Rendering, transparent: boolean }} Size how much larger files are, and as what they are drawn
 */

/** Pictures are offered as they are, and enlarged to about these many pixels. */
const TARGET_SIZES = [256, 512, 1024, 2048, MAX_ENLARGED_SIDE];
/** How long a film is, and how long it rests on the finished picture. */
const FILM_MILLISECONDS = 1600;
const REST_MILLISECONDS = 1400;

/** Enlargements that are worth offering for pictures of this size: whole factors, 1 first. @param {{ width: number, height: number }} size */
export function sizeFactors({ width, height }) {
  const side = Math.max(width, height);
  const factors = TARGET_SIZES.map((target) => Math.max(1, Math.round(target / side)));
  return [...new Set([1, ...factors.filter((factor) => factor <= largestFactor({ width, height }))])];
}

/** Something that every file system takes. @param {Array<string | number>} parts */
export const fileName = (parts, extension = 'png') => `${parts.map((part) => String(part).replace(/[^\p{Letter}\p{Number}.]+/gu, '-')).join('-').replace(/^[-.]+/, '') || 'picture'}.${extension}`;

/** @param {Picture} picture @param {Size} size @returns {Promise<Blob>} */
export async function pictureFile(picture, { factor, transparent }) {
  await fetchPart('rendering', () => import('../library/rendering.mjs')); // the library imports it, too
  const bytes = await picture.toPNG({ scale: Math.min(factor, largestFactor(picture)), transparent });
  return new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (bytes)], { type: 'image/png' });
}

/** All pictures of the grid, of one class, on one sheet. @param {ReadonlyArray<Picture>} pictures @param {Size} size @returns {Promise<Blob>} */
export function sheetFile(pictures, { factor, rendering, transparent }) {
  const columns = /** @type {number} */ (COLUMNS.get(pictures.length));
  const usable = usableFactor(factor, pictures[0], columns, Math.ceil(pictures.length / columns));
  const [{ recipe, options }] = pictures;
  // As the command line has it, which makes the same pictures again: their seeds follow that of the first.
  const sheet = { labels: [options.label], count: pictures.length, columns };
  const images = pictures.map((picture) => enlarge(picture, rendering, usable, transparent));
  return encodeStill(compose(images, columns), pictures.length === 1 ? recipe : { ...recipe, sheet });
}

/**
 * From x_T to the picture; static has blocks, as on the page.
 * @param {import('./recorder.mjs').Frame[]} frames @param {Picture} picture @param {Size} size @param {import('./films.mjs').Kind} kind
 */
export function filmFile(frames, picture, { factor, rendering }, kind) {
  const milliseconds = Math.round(FILM_MILLISECONDS / frames.length);
  return encodeFilm([
    ...frames.slice(0, -1).map(({ state }) => ({ image: state, rendering: /** @type {const} */ ('pixel'), milliseconds })),
    { image: picture, rendering, milliseconds: REST_MILLISECONDS },
  ], kind, factor, picture.recipe);
}

/**
 * A word as it stands on the page, or on one line.
 * @param {{ text: string, letters: import('./word.mjs').Letter[] }} word that is there in full @param {{ width: number, height: number }} box
 * @param {Size} size @returns {Promise<Blob>}
 */
export function wordFile({ text, letters }, box, { factor, rendering, transparent }) {
  const image = setInPixels(letters, fit(layByShapes, letters, box).rows);
  const pictures = /** @type {Picture[]} */ (letters.flatMap((letter) => letter.image ?? []));
  return encodeStill(enlarge(image, rendering, usableFactor(factor, image, 1, 1), transparent), recipeOfText(pictures, text));
}

/** Pixels as they are. @param {import('./paint.mjs').Image} image @returns {Promise<Blob>} */
export const imageFile = (image) => encodeStill(image);

/** As SVG. @param {Picture | Finished | null} drawn a picture of ink, or a word @returns {Promise<Blob>} */
export async function outlineFile(drawn) {
  const { pictureSVG, wordSVG } = await fetchPart('outline_files', () => import('./outline_files.mjs'));
  return drawn && 'letters' in drawn ? wordSVG(drawn) : pictureSVG(/** @type {Picture} */ (drawn));
}

/** @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement('a'), { href: url, download: name }).click();
  // The browser has taken the bytes over long before this.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
