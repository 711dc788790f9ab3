// What is written: text that steers no terminal, JSON, PNG files, progress.

import cliProgress from 'cli-progress';
import { encodePNG } from '../index.mjs';
import { writeOut, writeWhole } from './files.mjs';
import { stop } from './stopping.mjs';

/**
 * @typedef {import('../index.d.ts').Recipe} Recipe
 * @typedef {{ width: number, height: number, channels: number, pixels: Uint8Array }} Bitmap
 */

// Names come from files: nothing of them may steer a terminal.
/** @param {unknown} text */
// eslint-disable-next-line no-control-regex -- these are what is looked for
export const printable = (text) => String(text).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ');

/** Without characters that could steer a terminal. @param {unknown} value */
export const asJSON = (value) => JSON.stringify(value, (key, item) => {
  if (typeof item === 'bigint') return String(item);
  return ArrayBuffer.isView(item) ? Array.from(/** @type {Float64Array} */ (item)) : item;
}, 2).replace(/[\u007f-\u009f\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** @param {Uint8Array | Uint8ClampedArray | Float32Array} bytes */
export async function sha256(bytes) {
  return Buffer.from(await crypto.subtle.digest('SHA-256', /** @type {BufferSource} */ (bytes))).toString('hex');
}

/**
 * A PNG, with its recipe unless that is null, where the user wants it.
 * @param {string} file @param {Bitmap} image @param {Recipe | null} recipe
 */
export async function writePNG(file, { width, height, channels, pixels }, recipe) {
  const png = await encodePNG({ width, height, channels, pixels }, recipe ? { recipe } : {});
  stop.signal.throwIfAborted();
  if (file === '-') await writeOut(png);
  else await writeWhole(file, png, stop.signal);
}

export const isSVG = (/** @type {string} */ file) => /\.svg$/i.test(file);

/**
 * A PNG, or the outlines of ink if the name ends in .svg, as writePNG has it.
 * @param {string} file @param {Pick<import('./sheets.mjs').Output, 'image' | 'placed'>} laid @param {Recipe | null} recipe
 */
export async function writePicture(file, { image, placed }, recipe) {
  if (!isSVG(file)) return writePNG(file, image, recipe);
  const [{ contoursOf }, { writeSVG }] = await Promise.all([import('../outlines/contours.mjs'), import('../outlines/svg.mjs')]);
  // Each by itself: as one, a large sheet would take a hundred bytes a pixel.
  const outlines = placed.map(({ image: each, x, y }) => ({ contours: contoursOf(each), x, y }));
  const title = /** @type {Partial<import('../index.d.ts').Picture>} */ (image).options?.labelName;
  return writeWhole(file, new TextEncoder().encode(writeSVG(image, outlines, { title, recipe })), stop.signal);
}

/** @param {number} total @param {string} format */
export function startProgress(total, format) {
  if (!process.stderr.isTTY) return null;
  const bar = new cliProgress.SingleBar(
    { format: `{bar} {percentage}% | ${format} | {eta_formatted} left`, clearOnComplete: true },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, 0, { picture: 1 });
  return bar;
}
