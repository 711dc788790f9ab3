// PNG files, still and animated, from 8-bit pixels: W3C Portable Network Graphics (third edition), sections 5 and 11.
// The compression is the browser's own, outside the page's thread; the C core's encoder makes single small pictures.

import { KEYWORD as RECIPE_KEYWORD } from '../library/recipe.mjs';

/** @typedef {import('./paint.mjs').Image} Image */

const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
/** @type {Record<number, number>} */
const COLOUR_TYPES = { 1: 0, 2: 4, 3: 2, 4: 6 }; // channels -> colour type
const FILTER_NONE = 0;
const FILTER_UP = 2;
/** Delays are fractions of a second: milliseconds. */
const DELAY_DENOMINATOR = 1000;

// Annex D: CRC of the bytes of a chunk's type and data.
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Big-endian unsigned numbers. @param {Array<[value: number, bytes: 1 | 2 | 4]>} fields */
function numbers(...fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [, size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [value, size] of fields) {
    if (size === 4) view.setUint32(at, value);
    else if (size === 2) view.setUint16(at, value);
    else view.setUint8(at, value);
    at += size;
  }
  return bytes;
}

/** Length, type, data, CRC. @param {string} type @param {Uint8Array[]} parts */
function chunk(type, ...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(12 + length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length);
  for (let index = 0; index < 4; index++) bytes[4 + index] = type.charCodeAt(index);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  view.setUint32(at, crc32(bytes.subarray(4, at)));
  return bytes;
}

/** Rows with their filter types: Up where a row repeats the one above, as in enlarged pictures, otherwise None. @param {Image} image */
function filtered({ width, height, channels, pixels }) {
  const stride = width * channels;
  const rows = new Uint8Array((stride + 1) * height);
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * stride, (y + 1) * stride);
    const above = pixels.subarray((y - 1) * stride, y * stride);
    const repeats = y > 0 && row.every((value, index) => value === above[index]);
    rows[y * (stride + 1)] = repeats ? FILTER_UP : FILTER_NONE;
    if (!repeats) rows.set(row, y * (stride + 1) + 1);
  }
  return rows;
}

/** An iTXt chunk with the recipe, as docs/recipe.md describes it; nothing without one. @param {import('../index.d.ts').Recipe} [recipe] */
function recipeChunk(recipe) {
  if (!recipe) return new Uint8Array(0);
  // Keyword, NUL; not compressed; no language, no translated keyword; text.
  return chunk('iTXt', new TextEncoder().encode(`${RECIPE_KEYWORD}\0\0\0\0\0${JSON.stringify(recipe)}`));
}

/** A zlib stream (RFC 1950), as PNG wants it. @param {Uint8Array<ArrayBuffer>} bytes */
async function compress(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {Image} image */
const header = ({ width, height, channels }) =>
  chunk('IHDR', numbers([width, 4], [height, 4], [8, 1], [COLOUR_TYPES[channels], 1], [0, 1], [0, 1], [0, 1]));

/**
 * @param {Image} image
 * @param {import('../index.d.ts').Recipe} [recipe] for the file to carry
 * @returns {Promise<Blob>}
 */
export async function encodeStill(image, recipe) {
  const parts = [SIGNATURE, header(image), recipeChunk(recipe), chunk('IDAT', await compress(filtered(image))), chunk('IEND')];
  return new Blob(parts, { type: 'image/png' });
}

/**
 * An animated PNG that plays for ever. Programs that know no animation show the first frame.
 * @param {ReadonlyArray<{ image: Image, milliseconds: number }>} frames of one size
 * @param {import('../index.d.ts').Recipe} [recipe] for the file to carry
 * @returns {Promise<Blob>}
 */
export async function encodeAnimation(frames, recipe) {
  const [{ image: first }] = frames;
  const parts = [SIGNATURE, header(first), recipeChunk(recipe), chunk('acTL', numbers([frames.length, 4], [0, 4]))];
  let sequence = 0;
  for (const [index, { image, milliseconds }] of frames.entries()) {
    // Whole frames that replace each other: dispose and blend operation 0.
    parts.push(chunk('fcTL', numbers([sequence++, 4], [first.width, 4], [first.height, 4], [0, 4], [0, 4],
      [milliseconds, 2], [DELAY_DENOMINATOR, 2], [0, 1], [0, 1])));
    const data = await compress(filtered(image));
    parts.push(index === 0 ? chunk('IDAT', data) : chunk('fdAT', numbers([sequence++, 4]), data));
  }
  parts.push(chunk('IEND'));
  return new Blob(parts, { type: 'image/png' });
}
