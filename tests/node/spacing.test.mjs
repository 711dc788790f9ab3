// Letters in a line: what is even is the white between them. The shapes are drawn here, so that it is known what is right.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Spacing, shapeOf } from '../../web/outlines/spacing.mjs';

const SIDE = 64;
/** A letter of ink between two edges in rows 8 to 48. @param {(y: number) => number} left @param {(y: number) => number} right */
function draw(left, right, [top, bottom] = [8, 48]) {
  const pixels = new Uint8Array(SIDE * SIDE).fill(255);
  for (let y = top; y < bottom; y++) pixels.fill(0, y * SIDE + Math.round(left(y)), y * SIDE + Math.round(right(y)));
  return { width: SIDE, height: SIDE, channels: 1, pixels };
}
const stem = draw(() => 28, () => 36);
const round = draw((y) => 32 - Math.sqrt(420 - (y - 28) ** 2), (y) => 32 + Math.sqrt(420 - (y - 28) ** 2));
const up = draw((y) => 28 - (y - 8) / 3, (y) => 36 + (y - 8) / 3); // A
const down = draw((y) => 14 + (y - 8) / 3, (y) => 50 - (y - 8) / 3); // V
const shapes = Object.fromEntries(Object.entries({ stem, round, up, down }).map(([name, image]) => [name, shapeOf(image)]));
const spacing = new Spacing(Object.values(shapes), SIDE);

/** The white between two letters in a line, in each row. */
function whites(first, second) {
  const { places: [a, b] } = spacing.line([first, second]);
  return Array.from({ length: 40 }, (_, row) => b + second.left[8 + row] - a - first.right[8 + row]);
}
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

test('a shape has its edges between pixels; paper has none', () => {
  const { minLeft, maxRight, top, bottom } = shapes.stem;
  assert.ok(Math.abs(minLeft - 28) < 0.5 && Math.abs(maxRight - 36) < 0.5);
  assert.deepEqual([top, bottom, spacing.baseline], [8, 48, 48]);
  assert.equal(shapeOf(draw(() => 0, () => 0)), null);
});

test('round and slanted letters stand nearer than straight ones, so that the white is even', () => {
  const straight = mean(whites(shapes.stem, shapes.stem));
  assert.ok(Math.min(...whites(shapes.round, shapes.round)) < 0.7 * straight);
  for (const [first, second] of [['round', 'round'], ['stem', 'round'], ['up', 'down'], ['down', 'up']]) {
    const ratio = mean(whites(shapes[first], shapes[second])) / straight;
    assert.ok(ratio > 0.75 && ratio < 1.3, `${first} ${second}: ${ratio}`);
  }
  assert.ok(spacing.kerning(shapes.up, shapes.down) < -3, 'A and V are kerned');
  assert.ok(Math.abs(spacing.kerning(shapes.stem, shapes.stem)) < 0.5, 'stems are not');
});

test('ink never touches', () => {
  const flag = shapeOf(draw((y) => (y < 14 ? 12 : 28), (y) => (y < 14 ? 60 : 36)));
  const all = [...Object.values(shapes), flag];
  const each = new Spacing(all, SIDE);
  for (const first of all) {
    for (const second of all) {
      const { places: [a, b] } = each.line([first, second]);
      for (let y = 8; y < 48; y++) assert.ok(b + second.left[y] - a - first.right[y] > 1);
    }
  }
});

test('lines break after spaces, long words where they are full; spaces between lines are left out', () => {
  const { stem: i } = shapes;
  const word = [i, i, i];
  const text = [...word, null, ...word, null, null, ...word];
  const { width } = spacing.line([...word, null, ...word]);
  assert.deepEqual(spacing.breakLines(text, Infinity), [[0, 12]]);
  assert.deepEqual(spacing.breakLines(text, width + 0.1), [[0, 7], [9, 12]]);
  assert.deepEqual(spacing.breakLines(text, width - 0.1), [[0, 3], [4, 7], [9, 12]]);
  assert.deepEqual(spacing.breakLines(word, 1), [[0, 1], [1, 2], [2, 3]]);
  assert.deepEqual(spacing.breakLines([null, ...word, null], Infinity), [[1, 4]]);
  assert.deepEqual(spacing.breakLines([], 100), []);
});
