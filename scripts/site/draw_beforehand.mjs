// Draws web/strip.png, web/tabs.png and web/preview.png with the shipped models: what the page shows until a model has
// come, the pictures of its tabs, and what programs show beside a link to it.
//
//   node scripts/site/draw_beforehand.mjs [FOLDER]      default: web

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import { enlarge } from '../../web/library/rendering.mjs';
import { load } from '../../web/node.mjs';
import { firstOf } from '../../web/page/first.mjs';
import { imageOfState } from '../../web/page/paint.mjs';
import { compose } from '../../web/page/sheet.mjs';
import { setInPixels } from '../../web/page/typeset.mjs';
import { advanceOf, layByAdvances } from '../../web/page/word.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = process.argv[2] ?? join(root, 'web');

/** Side of a letter and of a tab's picture, in pixels. */
const SIDE = 32;
/** What stands for each model: found by looking at many. */
const TABS = [
  { name: 'letters', label: 'a', seed: 5 }, { name: 'doodles', label: 'cat', seed: 41 },
  { name: 'characters', label: 'cat', seed: 3 }, { name: 'digits', label: '7', seed: 7 },
];
/** Of their pictures, in each channel. */
const TAB_LEVELS = 12;
/** Moments of the strip, as shares of the way; the last one is the word. */
const MOMENTS = [0, 0.35, 0.6, 0.75, 0.9, 1];
/** Of the strip's pixels: few, for static cannot be compressed; as long as it is hardly anything else it is black and white. */
const BITS = 2;
const STATIC = 0.95;

/** Beside a link: as large as most programs want it. */
const PREVIEW = { width: 1200, height: 630, lines: 4, factor: 2 };

const open = (name) => load(join(root, 'weights', `${name}.gguf`));

/** Means over squares. */
function shrink({ width, height, channels, pixels }, side) {
  const factor = width / side;
  const small = new Uint8Array(side * side * channels);
  small.forEach((_, index) => {
    const channel = index % channels;
    const [x, y] = [Math.floor(index / channels) % side, Math.floor(index / channels / side)];
    let sum = 0;
    for (let dy = 0; dy < factor; dy++) for (let dx = 0; dx < factor; dx++) sum += pixels[((y * factor + dy) * width + x * factor + dx) * channels + channel];
    small[index] = Math.round(sum / factor ** 2);
  });
  return { width: side, height: side * (height / width), channels, pixels: small };
}

/** The nearest of some levels. */
const coarse = (image, levels) => ({ ...image, pixels: image.pixels.map((level) => Math.round(Math.round((level / 255) * (levels - 1)) * (255 / (levels - 1)))) });

/** The page's first word at some moments of its way out of the static, one below the other; in the end as Play draws it. */
async function drawStrip() {
  const { word, seed } = firstOf('letters');
  const [model, fast] = await Promise.all([open('letters'), open('letters-fast')]);
  const frames = {};
  for (const label of new Set(word)) {
    const states = [];
    const onStep = ({ step, steps, state }) => {
      if (MOMENTS.some((share) => Math.max(1, Math.round(share * steps)) === step)) states.push(imageOfState(state, model.info));
    };
    await model.generate({ label, seed, state: true, onStep });
    const picture = await fast.generate({ label, seed });
    frames[label] = [...states.slice(0, MOMENTS.length - 1), picture].map((image, moment) => coarse(shrink(image, SIDE), MOMENTS[moment] < STATIC ? 2 : 2 ** BITS));
  }
  model.close();
  fast.close();
  const lines = MOMENTS.map((_, moment) => [...word].map((label) => ({ image: frames[label][moment], advance: advanceOf(label), space: false })));
  // Each moment alone: within a line darker levels win where squares overlap.
  const images = lines.map((line) => setInPixels(line, layByAdvances(line, Infinity).rows));
  return compose(images, 1);
}

/** The first word in some styles, in the middle of a sheet of paper. */
async function drawPreview() {
  const { word, seed } = firstOf('letters');
  const { width, height, lines, factor } = PREVIEW;
  const model = await open('letters');
  const images = [];
  for (let line = 0; line < lines; line++) {
    const letters = [];
    for (const label of word) {
      const picture = await model.generate({ label, seed: seed + line });
      letters.push({ image: enlarge(picture, model.info.rendering, factor), advance: advanceOf(label), space: false });
    }
    images.push(setInPixels(letters, layByAdvances(letters, Infinity).rows));
  }
  model.close();
  const words = compose(images, 1);
  const pixels = new Uint8Array(width * height).fill(255);
  const [left, top] = [Math.floor((width - words.width) / 2), Math.floor((height - words.height) / 2)];
  for (let y = 0; y < words.height; y++) pixels.set(words.pixels.subarray(y * words.width, (y + 1) * words.width), (top + y) * width + left);
  return coarse({ width, height, channels: 1, pixels }, 2 ** BITS);
}

/** Four pictures side by side, in colour. */
async function drawTabs() {
  const pictures = [];
  for (const { name, label, seed } of TABS) {
    const model = await open(name);
    const picture = shrink(await model.generate({ label, seed }), SIDE);
    const rgb = new Uint8Array(SIDE * SIDE * 3).map((_, index) => picture.pixels[picture.channels === 3 ? index : Math.floor(index / 3)]);
    pictures.push({ width: SIDE, height: SIDE, channels: 3, pixels: rgb });
    model.close();
  }
  return coarse(compose(pictures, pictures.length), TAB_LEVELS);
}

/** A PNG of few bits for a grey level, or of 8 bits for colours: W3C Portable Network Graphics, sections 7 and 11. */
function encode({ width, height, channels, pixels }) {
  if (channels === 3) return file({ width, height, bits: 8, colour: 2 }, Buffer.concat(Array.from({ length: height }, (_, y) =>
    Buffer.concat([Buffer.alloc(1), pixels.subarray(y * width * 3, (y + 1) * width * 3)]))));
  const stride = Math.ceil((width * BITS) / 8);
  const rows = Buffer.alloc((stride + 1) * height);
  const most = 2 ** BITS - 1;
  pixels.forEach((level, index) => {
    const [x, y] = [index % width, Math.floor(index / width)];
    rows[y * (stride + 1) + 1 + Math.floor((x * BITS) / 8)] |= Math.round((level / 255) * most) << (8 - BITS - ((x * BITS) % 8));
  });
  return file({ width, height, bits: BITS, colour: 0 }, rows);
}

function file({ width, height, bits, colour }, rows) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([bits, colour], 8);
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', header), chunk('IDAT', deflateSync(rows, { level: 9 })), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  }
  return ~crc >>> 0;
}

await writeFile(join(folder, 'strip.png'), encode(await drawStrip()));
await writeFile(join(folder, 'tabs.png'), encode(await drawTabs()));
await writeFile(join(folder, 'preview.png'), encode(await drawPreview()));
