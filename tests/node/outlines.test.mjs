// Outlines of ink: what an SVG shows, as resvg draws it, is what the enlarged picture shows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Resvg } from '@resvg/resvg-js';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { load } from 'pocket-diffusion';
import { outlinesOf, readSVGRecipe, toSVG } from 'pocket-diffusion/outlines';
import { enlarge } from '../../web/library/rendering.mjs';
import { root } from './helpers.mjs';

const FACTOR = 16;
const MOST_DIFFERENT = 0.02;
const MOST_BYTES = 9000;

/** Whether each pixel is ink, enlarged, by an SVG renderer. */
function inkOf(svg) {
  const { pixels } = new Resvg(svg, { background: 'white', fitTo: { mode: 'zoom', value: FACTOR } }).render();
  return new Uint8Array(pixels.length / 4).map((_, index) => Number(pixels[4 * index] < 128));
}
const count = (ink) => ink.reduce((sum, each) => sum + each, 0);

/** The share of the ink's area in which an SVG differs from the enlarged picture. */
function difference(svg, picture) {
  const wanted = enlarge(picture, 'ink', FACTOR).pixels.map((value) => Number(value < 128));
  const seen = inkOf(svg);
  assert.equal(seen.length, wanted.length);
  return count(seen.map((ink, index) => ink ^ wanted[index])) / count(wanted);
}

/** A grey picture of what lies inside, with smooth edges, as a camera would have it. @param {(x: number, y: number) => boolean} inside */
function draw(side, inside) {
  const pixels = new Uint8Array(side * side);
  const fine = 16;
  for (let index = 0; index < pixels.length; index++) {
    let ink = 0;
    for (let part = 0; part < fine * fine; part++) {
      ink += Number(inside((index % side) + ((part % fine) + 0.5) / fine, Math.floor(index / side) + (Math.floor(part / fine) + 0.5) / fine));
    }
    pixels[index] = Math.round(255 * (1 - ink / (fine * fine)));
  }
  return { width: side, height: side, channels: 1, pixels };
}

for (const [name, labels, seeds] of [['letters', [...'AgRx8'], [3, 7]], ['doodles', ['cat', 'flower', 'house'], [3, 7]]]) {
  test(`${name}: at most 2 % of the ink differ from the enlarged picture, in a few kilobytes`, async (t) => {
    const model = await load(`${root}/weights/${name}.gguf`);
    const found = [];
    for (const label of labels.filter((each) => model.labels.includes(each))) {
      for (const seed of seeds) {
        const picture = await model.generate({ label, seed });
        const svg = toSVG(picture);
        found.push({ label, seed, bytes: svg.length, difference: difference(svg, picture) });
      }
    }
    model.close();
    assert.ok(found.length > 5);
    t.diagnostic(`at most ${Math.max(...found.map((each) => each.difference)).toFixed(4)} of the area and ${Math.max(...found.map(({ bytes }) => bytes))} bytes`);
    for (const each of found) {
      assert.ok(each.difference <= MOST_DIFFERENT, JSON.stringify(each));
      assert.ok(each.bytes <= MOST_BYTES, JSON.stringify(each));
    }
  });
}

test('a ring is two round contours, a square has four corners, paper has nothing', () => {
  const ring = outlinesOf(draw(64, (x, y) => Math.abs(Math.hypot(x - 32, y - 32) - 18) < 5));
  assert.equal(ring.length, 2);
  const radiiOf = (contour) => contour.map(([[x, y]]) => Math.hypot(x - 32, y - 32));
  const [inner, outer] = [...ring].sort((a, b) => Math.max(...radiiOf(a)) - Math.max(...radiiOf(b)));
  for (const [contour, radius] of [[inner, 13], [outer, 23]]) {
    for (const each of radiiOf(contour)) assert.ok(Math.abs(each - radius) < 0.3, `${each}, not ${radius}`);
    contour.forEach(([, , , end], index) => assert.deepEqual(end, contour[(index + 1) % contour.length][0], 'it is closed'));
  }
  const square = outlinesOf(draw(64, (x, y) => Math.max(Math.abs(x - 32), Math.abs(y - 32)) < 20));
  assert.equal(square.length, 1);
  for (const x of [12, 52]) for (const y of [12, 52]) assert.ok(square[0].some(([from]) => Math.hypot(from[0] - x, from[1] - y) < 0.8), `a corner at ${x}, ${y}`);
  assert.deepEqual(outlinesOf(draw(16, () => false)), []);
  assert.equal(count(inkOf(toSVG(draw(16, () => false)))), 0);
  const full = inkOf(toSVG(draw(16, () => true)));
  assert.ok(count(full) > 0.995 * full.length, 'ink up to the edge is closed there');
});

test('the file is well-formed, of the size of its picture, named, and carries its recipe', async () => {
  const model = await load(`${root}/tests/golden/tiny.gguf`);
  const picture = await model.generate({ label: 'circle', seed: 7, steps: 3 });
  const svg = toSVG(picture);
  assert.equal(XMLValidator.validate(svg), true);
  const { svg: element } = new XMLParser({ ignoreAttributes: false }).parse(svg);
  assert.equal(element['@_viewBox'], `0 0 ${picture.width} ${picture.height}`);
  assert.equal(element.title, 'circle');
  assert.equal(element.path['@_fill-rule'], 'evenodd');
  assert.deepEqual(readSVGRecipe(svg), picture.recipe);
  assert.deepEqual((await model.generate(readSVGRecipe(svg))).pixels, picture.pixels);
  model.close();

  const hostile = '</title><script>&"\u0000\u001b]]>';
  const recipe = { ...picture.recipe, model: { ...picture.recipe.model, name: hostile } };
  const named = toSVG(picture, { title: hostile, recipe });
  assert.equal(XMLValidator.validate(named), true);
  assert.doesNotMatch(named, /<script/);
  assert.deepEqual(readSVGRecipe(named), recipe);
  assert.doesNotMatch(toSVG(picture, { recipe: false }), /metadata/);
  assert.equal(readSVGRecipe('<svg/>'), null);
  // As other programs write it anew.
  const text = JSON.stringify(recipe).replace(/[&<>"']/g, (each) => `&#${each === '"' ? 'x22' : each.codePointAt()};`);
  assert.deepEqual(readSVGRecipe(`\ufeff<!-- -->\n<svg><metadata\n   class='a'  id = 'pocket-diffusion'\n >${text}</metadata ></svg>`), recipe);
  const holding = (json) => `<svg><metadata id="pocket-diffusion">${json}</metadata></svg>`;
  for (const [wrong, message] of [['{', 'not JSON'], ['{"format":2}', 'has format 2'], ['1</metadata><metadata id="pocket-diffusion">1', 'two recipes'], [' '.repeat(2 ** 20 + 1), 'more than 1048576']]) {
    assert.throws(() => readSVGRecipe(holding(wrong)), { code: 'RECIPE', message: new RegExp(message) });
  }
  const begin = process.cpuUsage();
  assert.equal(readSVGRecipe('<metadata '.repeat(1e5)), null);
  assert.ok(process.cpuUsage(begin).user < 1e6, 'in time that grows with its length alone'); // microseconds
});

test('wrong arguments are refused by name', () => {
  const picture = draw(8, () => true);
  const wrongs = [
    [null, 'picture'], [3, 'picture'], [{ ...picture, channels: 3, pixels: new Uint8Array(192) }, 'picture'], [{ ...picture, width: 7 }, 'pixels'],
    [{ ...picture, width: 0 }, 'width'], [{ ...picture, height: 2049 }, 'height'], [{ ...picture, pixels: [] }, 'pixels'],
  ];
  for (const [wrong, argument] of wrongs) {
    assert.throws(() => toSVG(wrong), { argument });
    assert.throws(() => outlinesOf(wrong), { argument });
  }
  assert.throws(() => toSVG(picture, { title: 3 }), { argument: 'title' });
  assert.throws(() => toSVG(picture, { recipe: 'no' }), { argument: 'recipe' });
  assert.throws(() => toSVG(picture, { colour: 'red' }), { argument: 'options' });
  assert.throws(() => readSVGRecipe(new Uint8Array(3)), { argument: 'svg' });
});
