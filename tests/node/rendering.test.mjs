// Enlarged pictures. What is expected is written down here from the definitions, or comes from pngjs.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { PNG } from 'pngjs';
import { load, readRecipe } from 'pocket-diffusion';
import { enlarge, factorFor, largestFactor } from '../../web/library/rendering.mjs';
import { doodlesPath, hash, root } from './helpers.mjs';

const grey = (width, height, pixelAt) =>
  ({ width, height, channels: 1, pixels: Uint8Array.from({ length: width * height }, (_, i) => pixelAt(i % width, Math.floor(i / width))) });
const at = ({ width, pixels }, x, y) => pixels[y * width + x];

const doodles = await load(doodlesPath);
const cat = await doodles.generate({ label: 'cat', seed: 22, steps: 6 });
after(() => doodles.close());

test('at factor 1 a picture is what it was, byte for byte', async () => {
  for (const rendering of ['ink', 'pixel', 'smooth']) assert.equal(enlarge(cat, rendering, 1), cat);
  const plain = await cat.toPNG();
  assert.deepEqual(await cat.toPNG({ scale: 1, transparent: false }), plain);
  assert.deepEqual([...PNG.sync.read(Buffer.from(plain)).data].filter((_, i) => i % 4 === 0), [...cat.pixels]);
});

test('pixel art: every pixel is a block, in any number of channels', () => {
  for (const channels of [1, 3, 4]) {
    const image = { width: 3, height: 2, channels, pixels: Uint8Array.from({ length: 6 * channels }, (_, i) => (i * 47) % 256) };
    for (const factor of [2, 3, 7]) {
      const { width, height, pixels } = enlarge(image, 'pixel', factor);
      assert.deepEqual([width, height, pixels.length], [3 * factor, 2 * factor, 6 * factor * factor * channels]);
      pixels.forEach((value, i) => {
        const [x, y] = [Math.floor(i / channels) % width, Math.floor(i / channels / width)];
        assert.equal(value, image.pixels[(Math.floor(y / factor) * 3 + Math.floor(x / factor)) * channels + (i % channels)]);
      });
    }
  }
});

test('smooth: even surfaces stay as they are, slopes stay straight, nothing is darker or lighter than its surroundings by much', () => {
  for (const value of [0, 77, 255]) assert.ok(enlarge(grey(4, 4, () => value), 'smooth', 5).pixels.every((made) => made === value));
  const slope = enlarge(grey(9, 5, (x) => 20 * x), 'smooth', 4);
  for (let x = 8; x < 28; x++) assert.ok(Math.abs(at(slope, x, 9) - 20 * ((x + 0.5) / 4 - 0.5)) <= 0.5, `column ${x}`);
  const mirrored = enlarge(grey(6, 6, (x, y) => (x * 31 + y * 17) % 256), 'smooth', 3);
  const turned = enlarge(grey(6, 6, (x, y) => ((5 - x) * 31 + (5 - y) * 17) % 256), 'smooth', 3);
  assert.deepEqual([...turned.pixels].reverse(), [...mirrored.pixels], 'no side is preferred');
});

test('ink: paper is white whatever a model leaves on it, solid ink black, edges between stay grey', () => {
  for (const factor of [2, 8, 32]) {
    const specks = enlarge(grey(16, 16, (x, y) => 235 + ((x * 7 + y * 13) % 21)), 'ink', factor);
    assert.ok(specks.pixels.every((value) => value === 255), `paper, ${factor}`);
    assert.ok(enlarge(grey(8, 8, (x, y) => (x + y) % 16), 'ink', factor).pixels.every((value) => value === 0), `ink, ${factor}`);
    const edge = enlarge(grey(8, 8, (x) => (x < 4 ? 0 : 255)), 'ink', factor).pixels.subarray(0, 8 * factor);
    assert.ok(edge.every((value, x) => x === 0 || value >= edge[x - 1]), 'an edge rises');
    const soft = edge.filter((value) => value > 0 && value < 255).length;
    assert.ok(soft >= 1 && soft <= 8, `an edge is ${soft} of ${factor} pixels wide`);
  }
});

test('ink: a gap of one grey pixel between two strokes stays open, and a line keeps its width along its way', () => {
  const gap = enlarge(grey(9, 9, (x) => ({ 3: 0, 4: 150, 5: 0 })[x] ?? 255), 'ink', 8);
  assert.ok(Math.max(...gap.pixels.subarray(4 * gap.width + 30, 4 * gap.width + 42)) > 128);
  // A slanted line, two pixels wide, with soft edges: rows are cut at the same width.
  const line = enlarge(grey(24, 24, (x, y) => 255 * Math.min(Math.max(Math.abs(x - 6 - y / 3) - 0.5, 0), 1)), 'ink', 8);
  const widths = Array.from({ length: 96 }, (_, row) => line.pixels.subarray((row + 48) * line.width, (row + 49) * line.width).reduce((sum, value) => sum + 255 - value, 0) / 255);
  assert.ok(Math.max(...widths) / Math.min(...widths) < 1.35, `${Math.min(...widths)} to ${Math.max(...widths)} pixels`);
});

test('a picture as an enlarged PNG: its pixels, its recipe, up to 4096 pixels', async () => {
  const png = await cat.toPNG({ scale: 8 });
  const { width, height, data } = PNG.sync.read(Buffer.from(png));
  assert.deepEqual([width, height], [256, 256]);
  assert.deepEqual([...data].filter((_, i) => i % 4 === 0), [...enlarge(cat, 'ink', 8).pixels]);
  assert.deepEqual(readRecipe(png), JSON.parse(JSON.stringify(cat.recipe)));
  assert.equal(readRecipe(await cat.toPNG({ scale: 2, recipe: false })), null);
  const largest = Buffer.from(await cat.toPNG({ scale: 128 }));
  assert.deepEqual([largest.readUInt32BE(16), largest.readUInt32BE(20)], [4096, 4096]); // IHDR
  assert.equal(hash(cat.pixels), hash((await doodles.generate(cat.recipe)).pixels), 'nothing happened to the picture itself');
});

test('transparent paper: on white it looks as without, at every size', async () => {
  for (const scale of [1, 6]) {
    const { data } = PNG.sync.read(Buffer.from(await cat.toPNG({ scale, transparent: true })));
    const alpha = [...data].filter((_, i) => i % 4 === 3);
    assert.ok(alpha.filter((value) => value === 0).length > alpha.length / 2 && alpha.includes(255));
    assert.ok(data.every((value, i) => i % 4 === 3 || value === 0), 'black ink alone');
    if (scale > 1) assert.deepEqual(alpha.map((value) => 255 - value), [...enlarge(cat, 'ink', scale).pixels]);
    cat.pixels.forEach((value, i) => scale > 1 || value < 200 || assert.equal(alpha[i], 0, 'no speck is left'));
  }
  const characters = await load(join(root, 'weights', 'characters.gguf'));
  const owl = await characters.generate({ label: 'owl', seed: 1, steps: 1 });
  await assert.rejects(owl.toPNG({ transparent: true }), { name: 'RangeError', argument: 'transparent', message: /"pixel"/ });
  const { data } = PNG.sync.read(Buffer.from(await owl.toPNG({ scale: 2 })));
  assert.equal(data[4 * (64 * 31 + 41)], owl.pixels[3 * (32 * 15 + 20)]);
  characters.close();
});

test('wrong options are refused by name', async () => {
  for (const [name, value, type] of [
    ['scale', 0, 'RangeError'], ['scale', 129, 'RangeError'], ['scale', 1.5, 'RangeError'], ['scale', '2', 'TypeError'], ['transparent', 0, 'TypeError'],
    ['recipe', 1, 'TypeError'],
  ]) await assert.rejects(cat.toPNG({ [name]: value }), { name: type, argument: name });
  await assert.rejects(cat.toPNG({ size: 2 }), { name: 'TypeError', message: /unknown option "size"/ });
});

test('factors for a size in pixels', () => {
  assert.deepEqual([1, 32, 33, 256, 5000].map((side) => factorFor({ width: 32, height: 16 }, side)), [1, 1, 2, 8, 128]);
  assert.equal(largestFactor({ width: 5000, height: 10 }), 1);
});
