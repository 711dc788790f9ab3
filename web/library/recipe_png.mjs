// Recipes in PNG files. A module of its own: who draws does not read them.

import { argumentError, show } from './errors.mjs';
import { inflate } from './inflate.mjs';
import { KEYWORD, MAX_TEXT_BYTES, parseRecipe, refuse } from './recipe.mjs';

/** The checksum of PNG chunks (PNG specification, annex D). @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** @param {Uint8Array} bytes */
const latin1 = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');

/** What a picture is that is no PNG, for messages. @param {Uint8Array} bytes */
function nameOf(bytes) {
  const start = latin1(bytes.subarray(0, 12));
  const [name] = Object.entries(SIGNATURES).find(([, signature]) => signature.test(start)) ?? [];
  return name ? `, but ${name}: recipes are in PNG files alone` : '';
}

/** @type {Record<string, RegExp>} */
const SIGNATURES = { 'a JPEG': /^\xff\xd8\xff/, 'a WebP': /^RIFF....WEBP/s };

/** @typedef {{ type: string, data: Uint8Array, crc: number, checked: Uint8Array }} Chunk checked: what the checksum is of */

/**
 * The chunks of a PNG file up to its end, which must be there: a file that was cut off has no recipe that can be trusted.
 * @param {Uint8Array} png @returns {Generator<Chunk, void, void>}
 */
function* chunksOf(png) {
  if (latin1(png.subarray(0, 8)) !== '\x89PNG\r\n\x1a\n') refuse(`not a PNG file${nameOf(png)}`);
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let at = 8, type = ''; type !== 'IEND';) {
    const left = png.length - at - 12; // length, type and checksum of this chunk
    const length = left < 0 ? 0 : view.getUint32(at);
    if (length > left) refuse('the PNG file ends too early');
    type = latin1(png.subarray(at + 4, at + 8));
    if ((at === 8) !== (type === 'IHDR')) refuse('the PNG file has no header, or two');
    yield { type, data: png.subarray(at + 8, at + 8 + length), crc: view.getUint32(at + 8 + length), checked: png.subarray(at + 4, at + 8 + length) };
    at += length + 12;
  }
}

/** Where the keyword's text begins, and whether it is compressed. Other programs move texts to chunks of other types. @type {Record<string, (data: Uint8Array) => { from: number, packed: number }>} */
const TEXTS = {
  tEXt: () => ({ from: KEYWORD.length + 1, packed: 0 }), // keyword, NUL, text
  zTXt: (data) => ({ from: KEYWORD.length + 2, packed: 1 + data[KEYWORD.length + 1] }), // keyword, NUL, method, compressed text
  iTXt: (data) => { // keyword, NUL, two bytes of compression, language, NUL, translated keyword, NUL, text
    const translated = data.indexOf(0, KEYWORD.length + 3) + 1;
    const from = translated && data.indexOf(0, translated) + 1;
    if (from === 0) refuse('the recipe is not a well-formed iTXt chunk');
    const packed = data[KEYWORD.length + 1];
    return { from, packed: packed && packed + data[KEYWORD.length + 2] };
  },
};

/** @param {Chunk} chunk with a text @returns {string} */
function textOf({ type, data, crc, checked }) {
  const tooLong = `the recipe has more than ${MAX_TEXT_BYTES} bytes`;
  if (data.length > MAX_TEXT_BYTES + 4 * KEYWORD.length) refuse(tooLong);
  if (crc !== crc32(checked)) refuse('the recipe is damaged: its checksum is wrong');
  const { from, packed } = TEXTS[type](data);
  const stored = data.subarray(from);
  const text = packed === 0 ? stored : packed === 1 ? inflate(stored, MAX_TEXT_BYTES) : null;
  if (!text) refuse(`the recipe is compressed, but not as PNG files are, or damaged, or ${tooLong.slice(11)}`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(text);
  } catch {
    if (type === 'iTXt') refuse('the recipe is not in UTF-8');
    return latin1(text); // as the specification has it; but many write UTF-8 into these, too
  }
}

/**
 * Documented in index.d.ts. Its result depends on the bytes alone.
 * @type {typeof import('../index.d.ts').readRecipe}
 */
export function readRecipe(png) {
  if (!ArrayBuffer.isView(png)) throw argumentError(TypeError, 'png', `must be a Uint8Array, not ${show(png)}`);
  const bytes = new Uint8Array(png.buffer, png.byteOffset, png.byteLength);
  /** @type {Chunk | null} */
  let found = null;
  for (const chunk of chunksOf(bytes)) {
    if (!Object.hasOwn(TEXTS, chunk.type) || latin1(chunk.data.subarray(0, KEYWORD.length + 1)) !== `${KEYWORD}\0`) continue;
    if (found) refuse('the PNG file has two recipes');
    found = chunk;
  }
  return found && parseRecipe(textOf(found));
}
