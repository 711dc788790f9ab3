// The section "Start from a drawing", with real pointers, keys and files. What comes out is compared with Node.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { encodePNG, load, readRecipe } from 'pocket-diffusion';
import { modelPath } from '../native_pictures.mjs';
import { decodePNG } from '../node/png_reader.mjs';
import { MORE_ENGINES, settled } from './browsers.mjs';
import { lettersModel } from './letters_model.mjs';
import { change, downloaded, dropFile, pickClass, pixelsOf, pixelsOfGrid, showTab, swipe, textOf } from './page_tools.mjs';
import { visit } from './server.mjs';

const HASH = '#label=cat&s=3&seed=7&steps=6&sampler=ddim&count=1';
const OPTIONS = { label: 'cat', guidanceScale: 3, seed: 7, steps: 6, sampler: 'ddim' };
const SIDE = 32;
const RESULTS = 6;

let doodles;
let letters;
before(async () => {
  doodles = await load(modelPath);
  letters = await load(await lettersModel());
});
after(() => {
  doodles.close();
  letters.close();
});

const imageOf = (pixels, side = SIDE) => ({ width: side, height: side, channels: 1, pixels: Uint8Array.from(pixels) });
const byNode = async (options, model = doodles) => Array.from((await model.generate({ ...OPTIONS, ...options })).pixels);

const onEasel = async (page) => (await pixelsOf(page, '#easel-canvas'))[0];
const results = (page) => pixelsOf(page, '#edit-grid canvas');
const drawn = (page) => page.waitForSelector('#edit[data-state="done"]');
const press = (page, id) => page.$eval(id, (button) => button.click());
const preset = (page, title) => page.$$eval('#easel-presets button', (buttons, wanted) => buttons.find(({ textContent }) => textContent === wanted).click(), title);

/** The tab with the sheet to draw on. */
async function openSheet(page) {
  await showTab(page, 'draw');
  await page.waitForSelector('#edit:not([hidden]):not([inert])');
}

/** Does something and waits until the results are those of what is on the easel then. */
async function edit(page, action) {
  await page.$eval('#edit', (section) => (section.dataset.state = 'awaited'));
  await action();
  await drawn(page);
}

/** Waits until this is on the easel: a file is decoded, and a browser may tell of a finger, after the call that sent it. */
async function arrived(page, isThere) {
  for (let wait = 0; wait < 200; wait++) {
    if (isThere(await onEasel(page))) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail('it did not arrive on the easel');
}

/** Points of the drawing, in its pixels, as points of the window. */
async function places(page, points) {
  await page.$eval('#easel-canvas', (canvas) => canvas.scrollIntoView({ block: 'center' }));
  const { left, top, width } = await page.$eval('#easel-canvas', (canvas) => canvas.getBoundingClientRect().toJSON());
  return points.map(([x, y]) => [left + (x / SIDE) * width, top + (y / SIDE) * width]);
}

async function stroke(page, points) {
  const [first, ...rest] = await places(page, points);
  await page.mouse.move(...first);
  await page.mouse.down();
  for (const point of rest) await page.mouse.move(...point, { steps: 4 });
  await page.mouse.up();
}

for (const name of MORE_ENGINES) {
  describe(`a drawing to start from, in ${name}`, () => {
    let session;
    let page;
    let troubles;
    let leave;
    before(async () => {
      ({ session, page, troubles, leave } = await visit(name, HASH));
      await settled(page);
      await openSheet(page);
    });
    after(() => leave?.());

    test('strokes of the mouse become pictures of several seeds', async () => {
      assert.ok((await onEasel(page)).every((level) => level === 255), 'an empty sheet');
      assert.match(await textOf(page, '#edit-status'), /^Draw: 6 pictures/);
      await edit(page, () => stroke(page, [[8, 8], [24, 8], [24, 24], [8, 24], [8, 8]]));
      const drawing = await onEasel(page);
      const at = (x, y) => drawing[y * SIDE + x];
      assert.ok([at(8, 8), at(16, 8), at(23, 23)].every((level) => level < 64), 'ink on the lines');
      assert.ok([at(16, 16), at(2, 2), at(30, 30)].every((level) => level === 255), 'paper beside them');
      const shown = await results(page);
      assert.equal(shown.length, RESULTS);
      for (const index of [0, RESULTS - 1]) assert.deepEqual(shown[index], await byNode({ seed: 7 + index, image: imageOf(drawing), strength: 0.7 }));
    });

    test('strength and class by keys alone', async () => {
      const drawing = await onEasel(page);
      await page.focus('#edit-strength');
      await edit(page, () => page.keyboard.press('ArrowLeft'));
      assert.equal(await textOf(page, '#edit-strength-value'), '0.65');
      await page.waitForFunction(() => !document.querySelector('#edit-grid [data-state="draft"]'));
      await edit(page, () => change(page, () => pickClass(page, 'house')));
      assert.equal(await page.$eval('#class-list input:checked', (input) => input.parentElement.textContent), 'house');
      assert.deepEqual((await results(page))[1], await byNode({ label: 'house', seed: 8, image: imageOf(drawing), strength: 0.65 }));
    });

    test('what is not marked stays as it is', async () => {
      await edit(page, () => preset(page, 'Left half'));
      const drawing = await onEasel(page);
      const mask = imageOf(Array.from({ length: SIDE * SIDE }, (_, index) => (index % SIDE < SIDE / 2 ? 255 : 0)));
      const right = (pixels) => pixels.filter((_, index) => index % SIDE >= SIDE / 2);
      const shown = await results(page);
      for (const pixels of shown) assert.deepEqual(right(pixels), right(drawing));
      assert.notDeepEqual(shown[0], drawing);
      assert.deepEqual(shown[0], await byNode({ label: 'house', image: imageOf(drawing), mask }));
      await edit(page, () => page.select('#edit-resample', '2'));
      assert.deepEqual((await results(page))[0], await byNode({ label: 'house', image: imageOf(drawing), mask, resample: 2 }));
      await change(page, () => page.select('#sampler', 'unipc'));
      await drawn(page);
      assert.equal(await page.$eval('#edit-resample', (select) => select.disabled), true, 'it continues from earlier steps');
      await edit(page, () => change(page, () => page.select('#sampler', 'ddim')));
    });

    test('the mask is painted, too', async () => {
      await edit(page, () => preset(page, 'Nothing'));
      await page.$$eval('#easel-tools label', (labels) => labels.find(({ textContent }) => textContent === 'Mark').click());
      await edit(page, () => stroke(page, [[16, 16], [17, 16]]));
      const drawing = await onEasel(page);
      const corner = (pixels) => pixels.filter((_, index) => index % SIDE < 8 || index < 8 * SIDE);
      for (const pixels of await results(page)) assert.deepEqual(corner(pixels), corner(drawing));
      await edit(page, () => press(page, '#easel-undo'));
      assert.match(await textOf(page, '#edit-kind'), /^The whole picture changes/);
    });

    test('draws by keyboard alone, and undoes', async () => {
      await page.$$eval('#easel-tools label', (labels) => labels[0].click());
      await press(page, '#easel-clear');
      await page.waitForSelector('#edit[data-state="idle"]');
      await page.focus('#easel-canvas');
      for (const key of ['ArrowUp', 'ArrowLeft', ' ']) await page.keyboard.press(key);
      await edit(page, async () => {
        for (let moves = 0; moves < 6; moves++) await page.keyboard.press('ArrowRight');
        await page.keyboard.press(' ');
      });
      const drawing = await onEasel(page);
      for (let x = 15; x <= 21; x++) assert.ok(drawing[15 * SIDE + x] < 64, `ink at ${x}`);
      assert.equal(drawing[15 * SIDE + 28], 255);
      await page.keyboard.press('ArrowDown'); // the pen is up
      assert.deepEqual(await onEasel(page), drawing);
      await page.keyboard.down('Control');
      await page.keyboard.press('z');
      await page.keyboard.up('Control');
      assert.ok((await onEasel(page)).every((level) => level === 255));
    });

    test('a finger draws and does not scroll', { skip: name === 'webkit' && 'its remote control has no touches' }, async () => {
      const points = await places(page, [[6, 16], [26, 16]]);
      const before = await page.evaluate(() => {
        addEventListener('pointerdown', ({ pointerType }) => (globalThis.pointer = pointerType), { once: true, capture: true });
        return scrollY;
      });
      await edit(page, async () => {
        await swipe(page, points);
        await arrived(page, (drawing) => [6, 16, 26].every((x) => drawing[16 * SIDE + x] < 64));
      });
      assert.deepEqual(await page.evaluate(() => [globalThis.pointer, scrollY]), ['touch', before]);
    });

    test('a file that is dropped is fitted: its middle, its size, ink on paper as the model has it', async () => {
      // White ink on black, twice as large and wider than high.
      const [width, height] = [96, 64];
      const inked = (x, y) => x >= 40 && x < 56 && y >= 12 && y < 40;
      const pixels = Uint8Array.from({ length: width * height * 3 }, (_, index) => {
        const place = Math.floor(index / 3);
        return inked(place % width, Math.floor(place / width)) ? 250 : 20;
      });
      const expected = Array.from({ length: SIDE * SIDE }, (_, index) =>
        (inked((index % SIDE) * 2 + 16, Math.floor(index / SIDE) * 2) ? 0 : 255));
      await dropFile(page, await encodePNG({ width, height, channels: 3, pixels }), 'mine.png', 'image/png');
      await arrived(page, (drawing) => isDeepStrictEqual(drawing, expected));
      await drawn(page);
      assert.deepEqual((await results(page))[0], await byNode({ label: 'house', image: imageOf(expected), strength: 0.65 }));
    });

    test('a file that is no picture is explained and changes nothing', async () => {
      const before = await onEasel(page);
      await dropFile(page, Buffer.from('not a picture'), 'broken.png', 'image/png');
      await page.waitForSelector('#error:not([hidden])');
      assert.match(await textOf(page, '#error-text'), /^This file is not a picture/);
      assert.match(await textOf(page, '#error-detail'), /broken\.png/);
      const [top, bottom, window] = await page.$eval('#error', (box) => [box.getBoundingClientRect().top, box.getBoundingClientRect().bottom, innerHeight]);
      assert.ok(top >= 0 && bottom <= window, `in sight: ${top} to ${bottom} of ${window}`);
      assert.deepEqual(await onEasel(page), before);
      await page.click('#dismiss');
    });

    test('a picture of the grid is taken over, and what comes out is saved with its recipe', async () => {
      await showTab(page, 'doodles');
      await settled(page);
      await edit(page, () => press(page, '#edit-this'));
      const [picture] = await pixelsOfGrid(page);
      assert.deepEqual(await onEasel(page), picture);
      await page.select('#size', '8');
      await press(page, '#edit-save');
      const file = await downloaded(session.downloads, 'house-s3-seed7-edited.png');
      assert.equal(decodePNG(file).width, 8 * SIDE);
      const again = await doodles.generate({ recipe: readRecipe(file), image: imageOf(picture) });
      assert.deepEqual(Array.from(again.pixels), (await results(page))[0]);
      await press(page, '#edit-save-drawing');
      assert.deepEqual(Array.from(decodePNG(await downloaded(session.downloads, 'drawing.png')).pixels), picture);
      await edit(page, () => press(page, '#edit-go-on'));
      assert.deepEqual(await onEasel(page), Array.from(again.pixels));
    });

    test('stop stops', async () => {
      await page.$eval('#steps', (input) => {
        input.value = '900';
        input.onchange();
      });
      await page.waitForSelector('#edit[data-state="working"]');
      await press(page, '#stop');
      await page.waitForSelector('#edit[data-state="stopped"]');
      assert.equal(await page.$eval('#stop', (button) => button.disabled), true);
      await change(page, () => page.$eval('#steps', (input) => {
        input.value = '6';
        input.onchange();
      }));
    });

    test('another model takes the drawing over in its own size', async () => {
      await dropFile(page, await lettersModel(), 'letters.gguf');
      await page.waitForFunction(() => document.getElementById('easel-canvas').width === 16);
      await settled(page);
      await drawn(page);
      const seed = Number(await page.$eval('#seed', (input) => input.value));
      const label = await page.$eval('#class-list input:checked', (input) => input.parentElement.textContent);
      const image = imageOf(await onEasel(page), 16);
      assert.ok(new Set(image.pixels).size > 2, 'not empty');
      assert.deepEqual((await results(page))[0], await byNode({ label, seed, image, strength: 0.65 }, letters));
      assert.deepEqual(troubles, []);
    });
  });
}
