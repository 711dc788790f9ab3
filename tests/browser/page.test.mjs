// The page as a visitor meets it, in Chromium and in Firefox. What is drawn is compared with Node.

import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { load } from 'pocket-diffusion';
import { modelPath } from '../native_pictures.mjs';
import { decodePNG } from '../node/png_reader.mjs';
import { ENGINES, launch, openPage, settled } from './browsers.mjs';
import {
  downloaded, holdSlider, pickClass, pixelsOfGrid, setNumber, stateOf, textOf, waitForState,
} from './page_tools.mjs';
import { serveSite } from './server.mjs';

/** The longest time that the page may not answer, in milliseconds. */
const LONGEST_GAP = 100;
/** Runs under way in one worker. */
const MOST_RUNS = 2;

/** Records what the page asks of its workers. Runs in the page before anything else. */
function watch() {
  globalThis.workers = new Set();
  globalThis.asked = []; // requests, with the value of the slider at that moment
  globalThis.unanswered = new Set(); // ids of calls
  globalThis.mostUnanswered = 0;
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message, transfer) {
    if (!workers.has(this)) {
      workers.add(this);
      this.addEventListener('message', ({ data }) => {
        if (data.type === 'result' || data.type === 'failure') unanswered.delete(data.id);
      });
    }
    const isClassPicture = message.request?.pictures[0].seed === 3;
    if (message.type === 'generate' && !isClassPicture) {
      asked.push({ slider: document.getElementById('scale')?.valueAsNumber, ...message.request });
      unanswered.add(message.id);
      // Later, for the abort of a run is posted after the start of the one that replaces it.
      setTimeout(() => (mostUnanswered = Math.max(mostUnanswered, unanswered.size)));
    }
    if (message.type === 'abort') unanswered.delete(message.id);
    return post.call(this, message, transfer);
  };
}

/** As `watch`, on a computer with four cores. */
const watchWithFourCores = `(${watch})(); Object.defineProperty(navigator, 'hardwareConcurrency', { value: 4 });`;

/** The class picker as a module of its own: the page's modules are bundled. */
async function bundleClasses() {
  const entryPoints = [fileURLToPath(new URL('../../web/page/classes.mjs', import.meta.url))];
  // Of what the page fetches later the search is enough; a page without anything has no box for messages.
  const instead = {
    fetch_more: "import * as search from './search.mjs'; export const fetchMore = async () => search; export const fetchPart = (name, load) => load();",
    messages: 'export const attempt = (work) => work();',
  };
  const later = {
    name: 'later',
    setup: (made) => made.onLoad({ filter: /(?:fetch_more|messages)\.mjs$/ }, ({ path }) => ({ contents: instead[basename(path, '.mjs')] })),
  };
  const { outputFiles } = await build({ entryPoints, bundle: true, write: false, format: 'esm', plugins: [later] });
  return outputFiles[0].text;
}

let model;
before(async () => (model = await load(modelPath)));
after(() => model.close());

/** By the Tab key, past whatever stands between. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 8; presses++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  assert.fail(`no way to ${selector}`);
}

/** What the grid has to show, by Node. */
async function expectedPixels({ count, ...options }) {
  const pictures = [];
  for await (const picture of model.generateMany({ count, ...options })) pictures.push(Array.from(picture.pixels));
  return pictures;
}

for (const name of ENGINES) {
  describe(`page in ${name}`, () => {
    let site;
    let session;
    let page;
    let troubles;
    const first = { label: 'cat', guidanceScale: 3, seed: 7, steps: 10, sampler: 'ddim', count: 6 };
    before(async () => {
      site = await serveSite();
      session = await launch(name);
      ({ page, troubles } = await openPage(session.browser, `${site.url}#label=cat&s=3&seed=7&steps=10&sampler=ddim&count=6`, { prepare: watch }));
      await settled(page);
    });
    after(async () => {
      await session?.close();
      await site?.close();
    });

    test('draws what its link asks for, and no picture is blank', async () => {
      const pixels = await pixelsOfGrid(page);
      for (const picture of pixels) assert.ok(new Set(picture).size > 20, 'many shades');
      assert.equal(new Set(pixels.map(String)).size, first.count);
      assert.deepEqual(pixels, await expectedPixels(first));
    });

    test('downloads the model once', () => {
      assert.equal(site.requests.filter((path) => path.endsWith('.gguf')).length, 1);
    });

    test('a class is picked by a click, the seed is kept by the lock', async () => {
      await page.click('#lock');
      await pickClass(page, 'house');
      await settled(page);
      assert.deepEqual(await pixelsOfGrid(page), await expectedPixels({ ...first, label: 'house' }));
      assert.match(await page.evaluate(() => location.hash), /label=house&s=3&seed=7&steps=10&sampler=ddim&count=6/);
    });

    test('works by keyboard alone', async () => {
      await page.focus('#class-list input:checked');
      await page.keyboard.press('ArrowRight'); // house -> rainbow
      await tabTo(page, '#scale');
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      assert.equal(await textOf(page, '#scale-value'), '3.2');
      await settled(page);
      const wanted = { ...first, label: 'rainbow', guidanceScale: 3.2 };
      assert.deepEqual(await pixelsOfGrid(page), await expectedPixels(wanted));
      await tabTo(page, '#recommended');
      await page.keyboard.press('Enter');
      await settled(page);
      assert.deepEqual(await pixelsOfGrid(page), await expectedPixels({ ...wanted, guidanceScale: 3 }));
      assert.equal(await textOf(page, '#announcer'), '6 pictures of rainbow at guidance scale 3.');
    });

    test('pictures follow the slider while it is dragged, and replaced values are dropped', async () => {
      const before = await pixelsOfGrid(page);
      await page.evaluate(() => {
        asked.length = 0;
        mostUnanswered = 0;
        globalThis.inputs = 0;
        document.addEventListener('input', () => inputs++, true);
        document.addEventListener('change', () => (asked.length = 0), true);
      });
      const moveTo = await holdSlider(page, 0.32);
      for (let share = 0.32; share < 0.9; share += 0.01) await moveTo(share);
      const status = await page.waitForFunction(() =>
        document.getElementById('page').dataset.state === 'draft' && document.getElementById('status').textContent);
      assert.match(await status.jsonValue(), /^Preview with \d+ of 10 steps$/);
      let during = before;
      for (const start = performance.now(); String(during) === String(before) && performance.now() - start < 10_000;) during = await pixelsOfGrid(page);
      assert.notDeepEqual(during, before);
      const drag = await page.evaluate(() => ({ asked: [...asked], inputs, mostUnanswered, workers: workers.size }));
      assert.ok(drag.inputs > 20, `${drag.inputs} moves`);
      for (const { guidanceScale, slider } of drag.asked) assert.equal(guidanceScale, slider, 'the newest value, always');
      assert.ok(drag.asked.length < drag.inputs * first.count, 'not every value for every picture');
      assert.ok(drag.mostUnanswered <= drag.workers * MOST_RUNS, `${drag.mostUnanswered} runs at a time`);
      await moveTo(0.95);
      await page.mouse.up();
      await settled(page);
      const guidanceScale = Number(await textOf(page, '#scale-value'));
      assert.ok(guidanceScale > 9);
      const after = await page.evaluate(() => asked);
      for (const request of after) assert.equal(request.guidanceScale, guidanceScale);
      assert.ok(after.length <= first.count, `${after.length} runs`);
      assert.deepEqual(await pixelsOfGrid(page), await expectedPixels({ ...first, label: 'rainbow', guidanceScale }));
      await page.click('#recommended');
      await settled(page);
    });

    test('stop stops, and the next pictures are those of an undisturbed run', async () => {
      await setNumber(page, '#steps', 200);
      await page.waitForSelector('.tile[data-state="running"]');
      await page.click('#stop');
      await waitForState(page, 'stopped');
      assert.match(await textOf(page, '#status'), /^Stopped after \d of 6$/);
      const stopped = await pixelsOfGrid(page);
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.deepEqual(await pixelsOfGrid(page), stopped);
      assert.equal(await page.$eval('#save', (button) => button.disabled), true);
      await setNumber(page, '#steps', 10);
      await settled(page);
      assert.deepEqual(await pixelsOfGrid(page), await expectedPixels({ ...first, label: 'rainbow' }));
    });

    test('saves the chosen picture as a PNG with the same pixels', async () => {
      const index = 3;
      await page.$$eval('#grid .tile', (tiles, wanted) => tiles[wanted].click(), index);
      assert.match(await textOf(page, '#chosen-options'), /seed 10 /);
      await page.select('#size', '1');
      await page.click('#save');
      const { width, height, channels, pixels } = decodePNG(await downloaded(session.downloads, 'rainbow-s3-seed10.png'));
      assert.deepEqual([width, height, channels], [32, 32, 1]);
      assert.deepEqual(Array.from(pixels), (await pixelsOfGrid(page))[index]);
    });

    test('the strip leads from noise to the chosen picture', async () => {
      const [state, preview] = await page.$$eval('.film-row', (rows) => rows.map((row) =>
        [...row.querySelectorAll('canvas')].map((canvas) => Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data))));
      assert.deepEqual([state.length, preview.length], [8, 8]);
      const chosen = (await pixelsOfGrid(page))[3];
      assert.deepEqual(preview.at(-1).filter((_, index) => index % 4 === 0), chosen);
      // x after the last step is x_0, up to rounding; after the first it is still nearly all noise.
      const distance = (image) => image.reduce((sum, value, index) => sum + Math.abs(value - preview.at(-1)[index]), 0) / image.length;
      assert.ok(distance(state.at(-1)) < 1, `${distance(state.at(-1))}`);
      assert.ok(distance(state[0]) > 40, `${distance(state[0])}`);
    });

    test('draws anew with a new seed, or with the same one under the lock', async () => {
      await page.click('#generate');
      await settled(page);
      assert.equal(await page.$eval('#seed', (input) => input.value), '7');
      await page.click('#lock');
      await page.click('#generate');
      await settled(page);
      assert.notEqual(await page.$eval('#seed', (input) => input.value), '7');
    });

    test('the address restores the settings, in this page and in a new one', async () => {
      const hash = '#label=clock&s=0.5&seed=9007199254740900&steps=7&sampler=ddpm&count=1';
      const wanted = { label: 'clock', guidanceScale: 0.5, seed: 9007199254740900, steps: 7, sampler: 'ddpm', count: 1 };
      await page.evaluate((value) => (location.hash = value), hash);
      await page.waitForFunction(() => document.querySelectorAll('#grid .tile').length === 1);
      await settled(page);
      const expected = await expectedPixels(wanted);
      assert.deepEqual(await pixelsOfGrid(page), expected);
      const other = await openPage(session.browser, `${site.url}${hash}`);
      await settled(other.page);
      assert.deepEqual(await pixelsOfGrid(other.page), expected);
      assert.equal(await other.page.evaluate(() => location.hash), `${hash}&model=${model.info.sha256.slice(0, 12)}`);
      assert.deepEqual(other.troubles, []);
      await other.page.close();
    });

    test('what a link asks in vain is told, the rest is used', async () => {
      await page.evaluate(() => (location.hash = '#label=unicorn&s=99&seed=-1&steps=0&sampler=magic&count=6&other=1'));
      await page.waitForFunction(() => document.querySelectorAll('#grid .tile').length === 6);
      await settled(page);
      assert.match(await textOf(page, '#error-text'), /^The link asks for something/);
      assert.equal(await textOf(page, '#error-detail'), 'label=unicorn, s=99, seed=-1, steps=0, sampler=magic');
      assert.match(await page.evaluate(() => location.hash), /^#label=clock&s=0.5&seed=9007199254740900&steps=7&sampler=ddpm&count=6&model=[0-9a-f]{12}$/);
    });

    // Where WebKit paints without a graphics card, on two cores, painting alone takes longer.
    test('stays responsive while it draws', { skip: name === 'webkit' && 'it paints without a graphics card' }, async () => {
      // What else runs on the machine can only make it worse: the best of three.
      const gaps = [];
      while (gaps.length < 3 && !(Math.min(...gaps) < LONGEST_GAP)) {
        await page.evaluate(() => {
          globalThis.longestGap = 0;
          let last = performance.now();
          globalThis.timer = setInterval(() => {
            const now = performance.now();
            longestGap = Math.max(longestGap, now - last);
            last = now;
          }, 5);
        });
        await page.click('#generate');
        await settled(page);
        gaps.push(await page.evaluate(() => {
          clearInterval(timer);
          return longestGap;
        }));
      }
      assert.ok(Math.min(...gaps) < LONGEST_GAP, `${gaps} ms`);
    });

    test('no message on the console', () => {
      assert.deepEqual(troubles, []);
    });

    test('fits into 320 pixels, and runs no inline script', async () => {
      const narrow = await openPage(session.browser, `${site.url}#label=cat`, { viewport: { width: 320, height: 640 } });
      await narrow.page.waitForSelector('#page[data-ready]');
      const [needed, available] = await narrow.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(needed <= available, `${needed} pixels`);
      const boxes = await narrow.page.$$eval('#grid .tile', (tiles) => tiles.map((tile) => {
        const { width, height } = tile.querySelector('canvas').getBoundingClientRect();
        return [tile.clientWidth, width, height].map(Math.round);
      }));
      for (const [tile, width, height] of boxes) assert.deepEqual([width, height], [tile, tile], 'square, and as wide as its place');
      const policy = await narrow.page.$eval('meta[http-equiv="Content-Security-Policy"]', (meta) => meta.content);
      assert.match(policy, /^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/);
      const ran = await narrow.page.evaluate(() => {
        document.head.append(Object.assign(document.createElement('script'), { textContent: 'globalThis.ran = true' }));
        return 'ran' in globalThis;
      });
      assert.equal(ran, false);
      await narrow.page.close();
    });

    test('several workers draw the same pictures', async () => {
      const hash = '#label=cat&s=3&seed=7&steps=10&sampler=ddim&count=6';
      const many = await openPage(session.browser, `${site.url}${hash}`, { prepare: watchWithFourCores });
      await settled(many.page);
      await many.page.click('#lock');
      await pickClass(many.page, 'dog');
      await settled(many.page);
      assert.deepEqual(await pixelsOfGrid(many.page), await expectedPixels({ ...first, label: 'dog' }));
      assert.ok(await many.page.evaluate(() => workers.size) >= 3, 'several workers');
      assert.deepEqual(many.troubles, []);
      await many.page.close();
    });

    test('thousands of classes are searched by name, with Enter the best one is picked', async () => {
      const blank = await openPage(session.browser, `${site.url}blank.html`);
      site.extra.set('classes.mjs', { type: 'text/javascript', body: await bundleClasses() });
      await blank.page.evaluate(async () => {
        const { ClassPicker } = await import(new URL('classes.mjs', location.href).href);
        const make = (name) => document.body.appendChild(document.createElement(name));
        const [list, box, search, found, hint, wall, dialog] = ['div', 'div', 'input', 'ul', 'p', 'button', 'dialog'].map(make);
        Object.assign(search, { id: 'search' });
        Object.assign(found, { id: 'found' });
        const names = Array.from({ length: 5000 }, (_, index) => (index === 321 ? '<b>Zebra</b>' : `class ${index}`));
        globalThis.picked = [];
        globalThis.list = list;
        globalThis.picker = new ClassPicker({ list, box, search, found, hint, wall, dialog }, names, (label) => picked.push(label), () => {});
      });
      await blank.page.waitForSelector('#search:enabled');
      const shown = await blank.page.evaluate(() => list.children.length);
      assert.ok(shown < 100, `${shown} at a time`);
      await blank.page.type('#search', 'zeb');
      assert.deepEqual(await blank.page.$$eval('#found li', (all) => all.map(({ textContent }) => textContent)), ['<b>Zebra</b>']);
      assert.equal(await blank.page.$('#found b'), null);
      await blank.page.keyboard.press('Enter');
      assert.deepEqual(await blank.page.evaluate(() => [picked, picker.value, list.querySelector(':checked').parentElement.textContent]), [[321], 321, '<b>Zebra</b>']);
      await blank.page.type('#search', 'unicorn');
      assert.deepEqual(await blank.page.$$eval('#found li', (all) => all.map(({ textContent }) => textContent)), ['No class of that name.']);
      await blank.page.keyboard.press('Enter');
      await blank.page.keyboard.press('Escape');
      assert.deepEqual(await blank.page.evaluate(() => [picked, document.getElementById('found').hidden]), [[321], true]);
      await blank.page.close();
    });

    test('a model that is not the one of the manifest is explained, and a second try works', async () => {
      const path = 'weights/letters-fast.gguf';
      const context = await session.browser.createBrowserContext(); // without the copy of the service worker
      site.extra.set(path, { type: 'application/octet-stream', body: 'this is not a model' });
      const broken = await openPage(context, `${site.url}#word=a&steps=2&view=play`);
      await waitForState(broken.page, 'failed');
      assert.equal(await textOf(broken.page, '#error-text'), 'The file that came is not the one that this site offers. Try again later.');
      site.extra.delete(path);
      await broken.page.click('#retry');
      await settled(broken.page);
      assert.equal(await stateOf(broken.page), 'done');
      assert.equal(await broken.page.$eval('#error', (box) => box.hidden), true);
      await context.close();
    });
  });
}
