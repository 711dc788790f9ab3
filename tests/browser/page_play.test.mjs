// What a visitor meets first, in Chromium and in Firefox, on a telephone and on a desktop: the tabs, the word, the slider
// beneath, the pickers, and the way into the Lab. What is drawn is compared with Node.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { load, readRecipe } from 'pocket-diffusion';
import { pixelHash } from '../native_pictures.mjs';
import { root } from '../node/helpers.mjs';
import { decodePNG } from '../node/png_reader.mjs';
import { ENGINES, MORE_ENGINES, launch, openPage, settled } from './browsers.mjs';
import { lettersModel } from './letters_model.mjs';
import { change, downloaded, dropFile, pixelsOf, showDepth, showTab, tabOnShow, textOf } from './page_tools.mjs';
import { serveSite, visit } from './server.mjs';

const STYLES = 12;
const VIEWPORTS = { telephone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };
/** Few steps: what the pictures look like does not matter here. */
const WORD = '#word=no&s=2&seed=5&steps=1&sampler=lcm&view=play';
const weights = (name) => new URL(`../../weights/${name}.gguf`, import.meta.url);

let letters;
before(async () => (letters = await load(weights('letters-fast'))));
after(() => letters.close());

const lettersOf = (page) => pixelsOf(page, '.word-row canvas');
/** Every style of the word is there. */
const stylesDrawn = (page) => page.waitForFunction((count) => document.getElementById('styles').dataset.state === 'done' &&
  document.querySelectorAll('#styles .tile[data-state="done"]').length === count, { timeout: 60_000 }, STYLES);
const chooseStyle = (page, index) => page.$$eval('#styles .tile', (tiles, each) => tiles[each].click(), index);
const byNode = async (label, options) => Array.from((await letters.generate({ label, steps: 1, sampler: 'lcm', ...options })).pixels);
const boxOf = (page, selector) => page.$eval(selector, (node) => {
  const { x, y, width, height } = node.getBoundingClientRect();
  return [x, y + scrollY, width, height].map(Math.round);
});

async function moveSlider(page, value) {
  await change(page, () => page.$eval('#scale', (slider, wanted) => {
    slider.dispatchEvent(new Event('pointerdown'));
    slider.value = wanted;
    slider.dispatchEvent(new Event('input'));
    slider.dispatchEvent(new Event('change'));
  }, String(value)));
}

/** The tab is on show, its model in use, and everything drawn. */
async function enter(page, tab) {
  await showTab(page, tab);
  await page.waitForSelector(`#page[data-tab="${tab}"]:not([data-loading])`, { timeout: 60_000 });
  await settled(page, { timeout: 60_000 });
}

for (const name of ENGINES) {
  for (const [device, viewport] of Object.entries(VIEWPORTS)) {
    if (device === 'desktop' && !MORE_ENGINES.includes(name)) continue;
    describe(`the first screen in ${name} on a ${device}`, () => {
      let session;
      let page;
      let troubles;
      let leave;
      before(async () => {
        ({ session, page, troubles, leave } = await visit(name, WORD, { viewport }));
        await settled(page, { timeout: 60_000 });
      });
      after(() => leave?.());

      test('says what it is, and asks for one thing', async () => {
        assert.equal(await textOf(page, '.statement'), 'A neural network of two megabytes, in this page, turns static into pictures. Nothing is sent.');
        assert.deepEqual(await page.$$eval('[role="tab"]', (tabs) => tabs.map(({ textContent }) => textContent)), ['Lettering', 'Doodles', 'Characters', 'Digits', 'Draw']);
        assert.equal(await tabOnShow(page), 'Lettering');
        await stylesDrawn(page);
        const fields = await page.$$eval('input, select, textarea', (all) => all.filter((field) => field.checkVisibility()).map(({ id }) => id));
        assert.deepEqual(fields.filter(Boolean), ['word-text', 'style-other', 'style-between', 'scale', 'play-transparent']);
        const [needed, available] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.ok(needed <= available, `${needed} pixels`);
        assert.equal(await page.$eval('.sheet', (sheet) => sheet.offsetHeight - sheet.clientHeight), 0, 'no scroll bar under the word');
      });

      test('a value that is left before anything of it is there leaves no style stale', async () => {
        await stylesDrawn(page);
        // In one task: of the value between nothing can be drawn.
        const stale = await page.$eval('#scale', (slider) => {
          slider.dispatchEvent(new Event('pointerdown'));
          const move = (value, event) => {
            slider.value = value;
            slider.dispatchEvent(new Event(event));
          };
          move('1', 'change');
          const count = document.querySelectorAll('#styles .tile[data-state="stale"]').length;
          move('2', 'change');
          return count;
        });
        assert.equal(stale, STYLES);
        await settled(page);
        await stylesDrawn(page);
      });

      test('sets the word in twelve styles, each from one seed, and the one that is chosen large', async () => {
        const tiles = await pixelsOf(page, '#styles .tile canvas');
        assert.equal(new Set(tiles.map(String)).size, STYLES, 'no two are alike');
        for (const style of [11, 0]) {
          await change(page, () => chooseStyle(page, style));
          const pixels = await lettersOf(page);
          assert.equal(pixels.length, 2);
          assert.deepEqual(pixels[0], await byNode('n', { seed: 5 + style, guidanceScale: 2 }));
        }
        const [word, tile] = await Promise.all(['.word-row', '#styles .tile'].map((selector) => boxOf(page, selector)));
        assert.ok(word[3] > 1.8 * tile[3], `${word} over ${tile}`);
      });

      test('goes from one style to another by keys, and back by a choice', async () => {
        await change(page, async () => {
          await page.focus('#style-between');
          for (let key = 0; key < 5; key++) await page.keyboard.press('ArrowRight');
          await page.waitForFunction(() => location.hash.includes('between=0.25'));
        });
        assert.deepEqual((await lettersOf(page))[1], await byNode('o', { seed: 5, guidanceScale: 2, variationSeed: 5 + 11, variationStrength: 0.25 }));
        assert.equal(await page.$eval('#style-between', (slider) => slider.getAttribute('aria-valuetext')), '25 % from style 1 to style 12');
        assert.match(await page.evaluate(() => location.hash), /&word=no&style=1&to-style=12&between=0.25&view=play$/);
        await change(page, async () => {
          await page.focus('#styles input:checked');
          await page.keyboard.press('ArrowRight');
        });
        assert.deepEqual((await lettersOf(page))[1], await byNode('o', { seed: 6, guidanceScale: 2 }));
        await change(page, () => chooseStyle(page, 0));
        assert.match(await page.evaluate(() => location.hash), /&word=no&view=play$/);
      });

      test('at scale 0 the static alone decides: all letters are the same', async () => {
        await moveSlider(page, 0);
        assert.match(await textOf(page, '#scale-says'), /^At 0 the static alone decides/);
        const [first, ...rest] = await lettersOf(page);
        for (const other of rest) assert.deepEqual(other, first);
        assert.deepEqual(first, await byNode('n', { seed: 5, guidanceScale: 0 }));
        await page.click('#recommended');
        await settled(page, { timeout: 60_000 });
      });

      test('typing moves nothing else, whatever it is', async () => {
        const places = async () => Promise.all(['#word-sheet', '.guidance', '#generate', '.colophon'].map((selector) => boxOf(page, selector)));
        const before = await places();
        await page.focus('#word-text');
        for (const text of ['Hé', 'llo wörld, a longer line', '']) {
          await page.$eval('#word-text', (input) => input.select());
          if (text) await page.type('#word-text', text);
          else await page.keyboard.press('Backspace');
          assert.deepEqual(await places(), before, text);
        }
        assert.equal(await textOf(page, '#word-hint'), 'Type a word.');
        await page.type('#word-text', 'é');
        assert.equal(await textOf(page, '#word-hint'), 'This model has no “é”.');
        await change(page, async () => {
          await page.keyboard.press('Backspace');
          await page.type('#word-text', 'on');
        });
        await page.waitForFunction(() => /&word=on&view=play$/.test(location.hash)); // the one letter may be drawn before the other
      });

      test('the word is saved as it stands there', async () => {
        await page.click('#play-save');
        const file = await downloaded(session.downloads, 'on-seed5.png');
        const { width, height, pixels } = decodePNG(file);
        assert.equal(height, 256);
        assert.ok(width > 200 && width < 2 * 256, `${width} pixels wide`);
        assert.ok(pixels.includes(0) && pixels.includes(255));
        const { options, sheet } = readRecipe(file);
        assert.deepEqual([options.seed, sheet.text, sheet.labels.map((label) => letters.labels[label])], [5, 'on', ['o', 'n']]);
        await page.click('#play-transparent');
        await page.click('#play-save');
        const cut = decodePNG(await downloaded(session.downloads, 'on-seed5.png'));
        await page.click('#play-transparent');
        assert.deepEqual([cut.width, cut.height, cut.channels], [width, height, 2]);
        // Laid on white it is the same.
        assert.deepEqual(pixels.map((_, index) => 255 - cut.pixels[2 * index + 1] + Math.round(cut.pixels[2 * index] * cut.pixels[2 * index + 1] / 255)), pixels);
      });

      test('tabs are changed by arrow keys, and each has its own text', async () => {
        await page.focus('#tab-letters');
        await page.keyboard.press('ArrowLeft');
        assert.equal(await tabOnShow(page), 'Draw');
        await page.keyboard.press('ArrowLeft');
        await page.waitForSelector('#page[data-tab="digits"]:not([data-loading])', { timeout: 60_000 });
        await settled(page, { timeout: 60_000 });
        assert.equal(await textOf(page, '#word-title'), 'Your number');
        assert.match(await page.$eval('#word-text', (input) => input.value), /^\d+$/);
        assert.ok((await lettersOf(page)).length > 2, 'no empty box');
        assert.equal(await page.evaluate(() => document.activeElement.id), 'tab-digits');
      });

      test('many classes: typing finds also other words, Enter picks, the height stays, the chosen one is in sight', async () => {
        await enter(page, 'characters');
        await page.waitForSelector('#class-search:enabled');
        const before = await boxOf(page, '#classes');
        await page.type('#class-search', 'monk');
        await page.waitForSelector('#class-found [role="option"]');
        assert.deepEqual(await boxOf(page, '#classes'), before);
        assert.deepEqual(await page.$$eval('#class-found [role="option"]', (all) => all.map(({ textContent }) => textContent)), ['apemonkey', 'orangutanmonkey']);
        await page.keyboard.press('ArrowDown');
        assert.equal(await page.$eval('#class-search', (input) => document.getElementById(input.getAttribute('aria-activedescendant')).textContent), 'orangutanmonkey');
        await change(page, () => page.keyboard.press('Enter'));
        assert.equal(await page.$eval('#class-list :checked', (input) => input.parentElement.textContent), 'orangutan');
        const [left, width] = await page.$eval('#class-list :checked', (input) => [input.parentElement.getBoundingClientRect().left, innerWidth]);
        assert.ok(left > 0 && left < width, `at ${left}`);
        assert.deepEqual(await boxOf(page, '#classes'), before);
      });

      test('all heads hang on a wall, in groups', async () => {
        await page.click('#class-wall');
        await page.waitForSelector('#wall[open] h3');
        assert.equal(await page.$$eval('#wall .class', (all) => all.length), 254);
        assert.ok(await page.$$eval('#wall h3', (all) => all.length) > 5);
        assert.equal(await page.$eval('#wall [aria-pressed="true"]', (button) => button.textContent), 'orangutan');
        await page.waitForFunction(() => [...document.querySelectorAll('#wall canvas')].filter(({ width }) => width > 1).length > 5);
        await page.keyboard.press('Escape');
        assert.equal(await page.$('#wall[open]'), null);
        await page.click('#class-wall');
        await page.waitForSelector('#wall[open] input');
        await page.type('#wall input', 'whale');
        await change(page, () => page.$$eval('#wall .class', (all) => all.find((each) => !each.hidden && each.textContent === 'whale').click()));
        assert.equal(await page.$eval('#class-list :checked', (input) => input.parentElement.textContent), 'whale');
      });

      test('a picture is drawn on with every model, and the results stand beside or under the sheet', async () => {
        await enter(page, 'draw');
        assert.equal(await page.$eval('#draw-model', (select) => select.selectedOptions[0].textContent), 'Characters');
        assert.equal(await page.$eval('#class-list :checked', (input) => input.parentElement.textContent), 'whale');
        const sheet = await boxOf(page, '.paper');
        const results = await boxOf(page, '#edit-grid');
        const gap = device === 'desktop' ? results[0] - sheet[0] - sheet[2] : results[1] - sheet[1] - sheet[3];
        assert.ok(gap > 0 && gap < 60, `${gap} pixels`);
        assert.ok(results[1] + results[3] <= 844, 'one sees the results follow the pen');
        await page.select('#draw-model', 'digits');
        await page.waitForFunction(() => document.querySelectorAll('#class-list .class').length === 10);
        await settled(page);
        await page.$eval('#easel-canvas', (canvas) => canvas.scrollIntoView({ block: 'center' }));
        await page.focus('#easel-canvas');
        for (const key of [' ', 'ArrowDown', 'ArrowDown', ' ']) await page.keyboard.press(key);
        await page.waitForSelector('#edit[data-state="done"]', { timeout: 60_000 });
        assert.ok((await pixelsOf(page, '#edit-grid canvas')).every((pixels) => new Set(pixels).size > 20));
      });

      test('the way into the Lab and back keeps what is on show', async () => {
        await enter(page, 'characters');
        await showDepth(page, 'lab');
        await page.waitForSelector('#steps:enabled');
        await settled(page, { timeout: 60_000 });
        const grid = await pixelsOf(page, '#grid canvas');
        assert.doesNotMatch(await page.evaluate(() => location.hash), /view=/);
        await showDepth(page, 'play');
        await settled(page);
        assert.deepEqual(await pixelsOf(page, '#grid canvas'), grid);
        assert.equal(await page.$eval('#steps', (input) => input.checkVisibility()), false);
      });

      test('the words of the Lab are explained on demand', async () => {
        await showDepth(page, 'lab');
        await page.$eval('#fine', (fields) => fields.scrollIntoView({ block: 'center' }));
        const button = '#fine .field-sampler .term';
        await page.waitForSelector(button);
        assert.equal(await page.$eval(button, (node) => node.getAttribute('aria-label')), 'What is Sampler?');
        if (device === 'telephone') {
          await page.click(button);
        } else {
          await page.focus(button);
          await page.keyboard.press('Enter');
        }
        await page.waitForSelector(`${button}[aria-expanded="true"]`);
        const note = await page.$eval(button, (node) => {
          const { left, right, top, bottom } = document.getElementById(node.getAttribute('aria-controls')).getBoundingClientRect();
          return { fits: left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight, text: document.getElementById(node.getAttribute('aria-controls')).textContent };
        });
        assert.ok(note.fits);
        assert.match(note.text, /^The rule that turns/);
        await page.keyboard.press('Escape');
        await page.waitForSelector(`${button}[aria-expanded="false"]`);
        await page.$eval('#more', (details) => (details.open = true));
        await page.waitForSelector('#options .field');
        for (const [field, term] of await page.$$eval('#options .field', (all) => all.map((each) => [each.textContent, each.querySelector('.term')?.getAttribute('aria-expanded')]))) {
          assert.equal(term, 'false', field);
        }
      });

      test('the Tab key goes as the eye does: downwards', async () => {
        for (const depth of ['play', 'lab']) {
          await showDepth(page, depth);
          const places = await page.evaluate(() => [...document.querySelectorAll('a[href], button, input, select, summary, canvas[tabindex="0"]')]
            .filter((node) => node.checkVisibility() && !node.disabled && node.tabIndex >= 0 && node.getBoundingClientRect().height > 2 && !node.closest('.skip'))
            .map((node) => ({ name: node.id || node.textContent.trim(), top: node.getBoundingClientRect().top, bottom: node.getBoundingClientRect().bottom })));
          for (let index = 1; index < places.length; index++) {
            const [above, below] = [places[index - 1], places[index]];
            // A label with its field is one place in a row of them.
            assert.ok(below.bottom > above.top - 48, `${depth}: ${below.name} stands above ${above.name}`);
          }
        }
        await showDepth(page, 'play');
      });

      test('files that are none of the page’s are named, a checkpoint is pointed to the exporter', async () => {
        for (const [file, sentence] of [
          ['notes.txt', 'notes.txt is neither a model file (.gguf) nor a picture.'],
          ['mine.pt', 'mine.pt is a checkpoint. The exporter makes a model file (.gguf) of it'],
        ]) {
          await dropFile(page, Buffer.from('something else, of some length'), file);
          await page.waitForFunction((wanted) => document.getElementById('error-text').textContent.startsWith(wanted), {}, sentence);
          await page.click('#dismiss');
        }
      });

      test('a model that was never told a class draws, without picker and slider', async () => {
        await showDepth(page, 'play');
        await moveSlider(page, 3.5);
        await settled(page);
        await dropFile(page, readFileSync(join(root, 'tests/golden/no-classes.gguf')), 'no-classes.gguf');
        await page.waitForFunction(() => document.querySelector('#tabs [aria-selected="true"]').textContent === 'no-classes.gguf');
        await settled(page);
        for (const id of ['classes', 'guidance']) assert.equal(await page.$eval(`#${id}`, (node) => node.checkVisibility()), false, id);
        assert.ok((await pixelsOf(page, '#grid canvas')).every((pixels) => new Set(pixels).size > 20));
        assert.doesNotMatch(await page.evaluate(() => location.hash), /label=/);
      });

      test('no message on the console', () => {
        assert.deepEqual(troubles, []);
      });
    });
  }

  describe(`models of the page in ${name}`, () => {
    let site;
    let session;
    before(async () => {
      site = await serveSite();
      session = await launch(name);
    });
    after(async () => {
      await session?.close();
      await site?.close();
    });

    test('to play the fast model of a tab is taken, the Lab and the sheet have the whole one', async () => {
      const entry = (model, file, bytes) => ({ name: model, file, bytes: bytes.length, sha256: pixelHash(bytes), license: '' });
      const [whole, fast] = [await lettersModel(['A', 'B', 'C']), await lettersModel(['X', 'Y', 'Z'])];
      const models = [entry('letters', 'letters.gguf', whole), entry('letters-fast', 'letters-fast.gguf', fast)];
      site.extra.set('weights/letters.gguf', { type: 'application/octet-stream', body: whole });
      site.extra.set('weights/letters-fast.gguf', { type: 'application/octet-stream', body: fast });
      site.extra.set('weights/manifest.json', { type: 'application/json', body: JSON.stringify({ models }) });
      const context = await session.browser.createBrowserContext();
      const { page, troubles } = await openPage(context, site.url);
      await settled(page);
      assert.deepEqual(await page.$$eval('[role="tab"]', (tabs) => tabs.map(({ textContent }) => textContent)), ['Lettering', 'Draw']);
      assert.match(await page.evaluate(() => location.hash), new RegExp(`model=${models[1].sha256.slice(0, 12)}`));
      await showDepth(page, 'lab');
      await page.waitForFunction((digits) => location.hash.includes(digits), {}, models[0].sha256.slice(0, 12));
      await settled(page);
      assert.deepEqual(await page.$$eval('.key', (keys) => keys.map(({ textContent }) => textContent)).catch(() => []), []);
      await showDepth(page, 'play');
      await page.waitForFunction((digits) => location.hash.includes(digits), {}, models[1].sha256.slice(0, 12));
      await settled(page);
      await showTab(page, 'draw');
      await page.waitForFunction(() => [...document.querySelectorAll('.class')].map(({ textContent }) => textContent).join('') === 'ABC');
      assert.deepEqual(troubles, []);
      for (const path of ['letters.gguf', 'letters-fast.gguf', 'manifest.json']) site.extra.delete(`weights/${path}`);
      await context.close();
    });

    const unprepared = name === 'webkit' && 'nothing can be prepared in the copy of a page';
    test('without a network only tabs that were fetched can be chosen', { skip: unprepared }, async () => {
      const context = await session.browser.createBrowserContext();
      // Remote control cannot take the network away from every browser: the server is gone, and the browser says so.
      const prepare = () => Object.defineProperty(Navigator.prototype, 'onLine', { get: () => !sessionStorage.offline });
      const { page } = await openPage(context, `${site.url}#label=cat&steps=3&count=1`, { prepare });
      await settled(page);
      await page.waitForFunction(async () => Boolean(await caches.match(new URL('weights/doodles.gguf', document.baseURI))), { timeout: 30_000, polling: 200 });
      site.down = true;
      try {
        await page.evaluate(() => (sessionStorage.offline = 'yes'));
        await page.reload();
        await settled(page);
        await page.waitForSelector('#tab-letters:disabled');
        assert.deepEqual(await page.$$eval('[role="tab"]:disabled', (tabs) => tabs.map(({ textContent }) => textContent)), ['Lettering', 'Characters', 'Digits']);
        // Of doodles there is a fast model for Play, which was never fetched: the other draws there, too.
        await showDepth(page, 'play');
        await settled(page);
        assert.equal(await page.$eval('#page', (node) => node.dataset.state), 'done');
        assert.equal(await page.$eval('#model-line', (line) => line.textContent.split(' ')[0]), 'doodles');
        await page.evaluate(() => {
          sessionStorage.removeItem('offline');
          dispatchEvent(new Event('online'));
        });
        await page.waitForSelector('#tab-letters:enabled');
      } finally {
        site.down = false;
      }
      await context.close();
    });
  });
}

test('letters have a keyboard', async () => {
  const site = await serveSite();
  const session = await launch('chrome');
  try {
    const { page } = await openPage(session.browser, `${site.url}#label=k&s=2&seed=5&steps=3&sampler=ddim&count=1&model=${letters.info.sha256.slice(0, 12)}`);
    await settled(page);
    assert.equal(await page.$$eval('.key', (keys) => keys.map(({ textContent }) => textContent).join('')), letters.labels.join(''));
    assert.equal(await page.$eval('.key :checked', (input) => input.parentElement.textContent), 'k');
    await page.focus('.key :checked');
    await change(page, () => page.keyboard.press('ArrowRight'));
    assert.match(await page.evaluate(() => location.hash), /label=l&/);
  } finally {
    await session.close();
    await site.close();
  }
});
