// Films as GIF, fetched when one is made: most of it is gifenc.

// @ts-expect-error: it has no types
import { GIFEncoder, applyPalette, quantize } from 'gifenc/dist/gifenc.esm.js';
import { nextTask } from './elements.mjs';

const COLOURS = 256;
/** Delays are hundredths of a second; browsers take less than two for ten. */
const SHORTEST = 20;

const GREYS = Array.from({ length: COLOURS }, (_, level) => [level, level, level]);

/** @param {import('./paint.mjs').Image} image RGB or RGBA */
function withAlpha({ width, height, channels, pixels }) {
  const rgba = new Uint8Array(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) rgba[pixel * 4 + channel] = pixels[pixel * channels + channel];
  }
  return rgba;
}

/** Greys are kept as they are; of colours each frame has the 256 that suit it. @param {import('./paint.mjs').Image} image */
function indexed(image) {
  if (image.channels === 1) return { palette: GREYS, index: Uint8Array.from(image.pixels) };
  const rgba = withAlpha(image);
  const palette = quantize(rgba, COLOURS);
  return { palette, index: applyPalette(rgba, palette) };
}

/** Plays for ever. @param {ReadonlyArray<import('./films.mjs').Frame>} frames of one size, grey, RGB or RGBA @returns {Promise<Blob>} */
export async function encodeGIF(frames) {
  const film = GIFEncoder();
  for (const { image, milliseconds } of frames) {
    const { palette, index } = indexed(image);
    film.writeFrame(index, image.width, image.height, { palette, delay: Math.max(SHORTEST, milliseconds) });
    await nextTask();
  }
  film.finish();
  return new Blob([film.bytes()], { type: 'image/gif' });
}
