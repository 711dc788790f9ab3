// PNG files as pictures and masks for the command line. Under Node.js alone.

import { readFile } from 'node:fs/promises';
import { PNG } from 'pngjs';
import { kindOfPicture } from './picture_kinds.mjs';
import { argumentError, messageOf } from '../library/errors.mjs';

const RGBA = 4;

/** Which of the four bytes of each pixel are kept, by number of channels. @type {Record<number, number[]>} */
const KEPT = { 1: [0], 3: [0, 1, 2], 4: [0, 1, 2, 3] };

/**
 * @param {string} argument that names the file, for errors
 * @param {string} file
 * @param {number} channels 1 (colours are refused), 3, or 4; without the fourth, transparency is refused
 * @returns {Promise<{ width: number, height: number, channels: number, pixels: Uint8Array }>} 8 bits a channel; palettes
 *   and other depths are converted
 */
export async function readPNG(argument, file, channels) {
  /** @type {(message: string) => never} */
  const refuse = (message) => {
    throw argumentError(RangeError, argument, `${file}: ${message}`);
  };
  const bytes = await readFile(file).catch((error) => refuse(`cannot be read (${error.code ?? error.message})`));
  const other = kindOfPicture(bytes);
  if (other) refuse(`is ${other} picture: save it as PNG first`);
  let image;
  try {
    image = PNG.sync.read(bytes);
  } catch (error) {
    refuse(`not a usable PNG file (${messageOf(error)})`);
  }
  const { width, height, data } = image;
  const kept = KEPT[channels];
  const pixels = new Uint8Array(width * height * channels);
  for (let from = 0, to = 0; from < data.length; from += RGBA) {
    const grey = data[from] === data[from + 1] && data[from] === data[from + 2];
    if (channels === 1 && !grey) refuse('has colours; it must be grey');
    if (channels < RGBA && data[from + 3] !== 255) refuse('is transparent; it must be opaque');
    for (const channel of kept) pixels[to++] = data[from + channel];
  }
  return { width, height, channels, pixels };
}
