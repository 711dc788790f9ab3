// The page's drawing board without a page: strokes, masks, undo, and any picture as one of the model's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adapt, cropOf, paperOf } from '../../web/page/adapt.mjs';
import { Drawing, MASK_PRESETS } from '../../web/page/drawing.mjs';

const SIDE = 16;
const GREY = { width: SIDE, height: SIDE, channels: 1 };
const at = ({ image: { pixels } }, x, y) => pixels[y * SIDE + x];

/** A stroke from left to right through the centres of row 8. */
function draw(drawing, tool = 'pen', diameter = 1) {
  drawing.begin(tool, diameter, [0], 3.5, 8.5);
  drawing.moveTo(12.5, 8.5);
  drawing.end();
}

test('a stroke covers what is under it, once, with soft edges', () => {
  const drawing = new Drawing(GREY, 255);
  draw(drawing, 'pen', 2);
  for (let x = 4; x < 12; x++) {
    assert.equal(at(drawing, x, 8), 0);
    assert.deepEqual([at(drawing, x, 7), at(drawing, x, 9)], [128, 128], 'half covered, however often it was passed');
    assert.deepEqual([at(drawing, x, 6), at(drawing, x, 10)], [255, 255]);
  }
  assert.deepEqual([at(drawing, 1, 8), at(drawing, 15, 8)], [255, 255]);
  draw(drawing, 'eraser', 4);
  assert.ok(drawing.blank);
});

test('strokes over the edge are cut off', () => {
  const drawing = new Drawing(GREY, 0);
  drawing.begin('pen', 3, [255], -5, -5);
  drawing.moveTo(40, 40);
  drawing.end();
  for (let place = 0; place < SIDE; place++) assert.equal(at(drawing, place, place), 255);
  assert.equal(at(drawing, 15, 0), 0);
});

test('colours and alpha', () => {
  for (const [channels, ink, paper] of [[2, [9, 255], [255, 255]], [3, [9, 8, 7], [255, 255, 255]], [4, [9, 8, 7, 255], [255, 255, 255, 255]]]) {
    const drawing = new Drawing({ ...GREY, channels }, 255);
    drawing.begin('pen', 3, channels > 2 ? [9, 8, 7] : [9], 8.5, 8.5);
    drawing.end();
    const levels = (x, y) => Array.from(drawing.image.pixels.subarray((y * SIDE + x) * channels, (y * SIDE + x + 1) * channels));
    assert.deepEqual([levels(8, 8), levels(0, 0)], [ink, paper]);
    drawing.invert();
    assert.deepEqual(levels(0, 0), channels === 2 ? [0, 255] : [0, 0, 0, 255].slice(0, channels));
  }
});

test('a mask has 255 and 0 alone, and an empty one is none', () => {
  const drawing = new Drawing(GREY, 255);
  assert.equal(drawing.mask, null);
  draw(drawing, 'mark', 3);
  assert.ok(drawing.blank, 'the drawing is as it was');
  assert.deepEqual([...new Set(drawing.mask.pixels)].sort(), [0, 255]);
  draw(drawing, 'unmark', 5);
  assert.equal(drawing.mask, null);
  const marked = Object.fromEntries(Object.entries(MASK_PRESETS).map(([name, isMarked]) => {
    drawing.mark(isMarked);
    return [name, drawing.mask.pixels.filter(Boolean).length / SIDE ** 2];
  }));
  assert.deepEqual(marked, { left: 0.5, right: 0.5, top: 0.5, bottom: 0.5, middle: 0.25 });
  drawing.swapMask();
  assert.equal(drawing.mask.pixels.filter(Boolean).length, SIDE ** 2 * 0.75);
});

test('undo goes back step by step; what changed nothing is no step', () => {
  const drawing = new Drawing(GREY, 255);
  draw(drawing);
  const { image } = drawing;
  assert.equal(drawing.image, image, 'the same object until something changes');
  drawing.mark(MASK_PRESETS.left);
  draw(drawing); // where the ink is already
  drawing.clear();
  assert.ok(drawing.blank && drawing.mask === null);
  drawing.undo();
  assert.equal(drawing.mask.pixels[0], 255);
  drawing.undo();
  assert.equal(drawing.mask, null);
  assert.deepEqual(drawing.image, image);
  drawing.undo();
  assert.ok(drawing.blank && !drawing.canUndo);
  drawing.undo();
  for (let step = 0; step < 100; step++) drawing.invert();
  let steps = 0;
  for (; drawing.canUndo; steps++) drawing.undo();
  assert.equal(steps, 50);
});

test('the middle of a picture is taken, in the proportions of the model', () => {
  assert.deepEqual(cropOf({ width: 100, height: 60 }, { width: 32, height: 32 }), { x: 20, y: 0, width: 60, height: 60 });
  assert.deepEqual(cropOf({ width: 30, height: 60 }, { width: 20, height: 10 }), { x: 0, y: 22.5, width: 30, height: 15 });
});

const rgbaOf = (side, level) => Uint8ClampedArray.from({ length: side * side * 4 }, (_, index) => (index % 4 === 3 ? 255 : level(Math.floor(index / 4) % side, Math.floor(index / 4 / side))));
const isInk = (x, y) => x >= 6 && x < 10 && y >= 4 && y < 12;

test('ink on paper of any tone becomes ink on the paper of the model', () => {
  const pencil = rgbaOf(SIDE, (x, y) => (isInk(x, y) ? 70 : 190 + ((x * 7 + y * 3) % 9))); // a photographed sheet
  const chalk = rgbaOf(SIDE, (x, y) => (isInk(x, y) ? 230 : 40));
  for (const rgba of [pencil, chalk]) {
    for (const paper of [0, 255]) {
      const pixels = adapt(rgba, GREY, 1, paper, false);
      pixels.forEach((level, place) => {
        const wanted = isInk(place % SIDE, Math.floor(place / SIDE)) ? 255 - paper : paper;
        assert.ok(Math.abs(level - wanted) < 12, `${level} for ${wanted}`);
      });
    }
  }
});

test('photographs, faint things and colours stay as they are', () => {
  const ramp = rgbaOf(SIDE, (x) => x * 15);
  const faint = rgbaOf(SIDE, (x, y) => (isInk(x, y) ? 120 : 140));
  for (const rgba of [ramp, faint]) {
    const red = rgba.filter((_, index) => index % 4 === 0);
    assert.deepEqual([...adapt(rgba, GREY, 1, 255, false)], [...red]);
    assert.deepEqual([...adapt(rgba, { ...GREY, channels: 4 }, 1, 255, false)], [...rgba]);
  }
});

test('a picture of the model’s size, or a multiple, keeps its levels', () => {
  const drawn = (x, y) => (isInk(x, y) ? 3 : 254);
  const small = rgbaOf(SIDE, drawn).filter((_, index) => index % 4 === 0);
  const large = rgbaOf(SIDE * 3, (x, y) => drawn(Math.floor(x / 3), Math.floor(y / 3)));
  assert.deepEqual([...adapt(large, GREY, 3, 255, true)], [...small]);
  assert.deepEqual([...adapt(large, GREY, 3, 0, true)], [...small].map((level) => 255 - level));
});

test('the tone of the paper is that of the border', () => {
  const image = (level) => ({ ...GREY, pixels: Uint8Array.from({ length: SIDE * SIDE }, (_, place) => level(place % SIDE, Math.floor(place / SIDE))) });
  assert.equal(paperOf(image((x, y) => (isInk(x, y) ? 0 : 250))), 255);
  assert.equal(paperOf(image((x, y) => (isInk(x, y) ? 250 : 4))), 0);
});
