// The word: forty letters of it, what is saved of it and leads back to it, and outlines of single pictures.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Resvg } from '@resvg/resvg-js';
import { load, readRecipe } from 'pocket-diffusion';
import { makeFont } from 'pocket-diffusion/font';
import { readSVGRecipe, toSVG } from 'pocket-diffusion/outlines';
import { decodePNG } from '../node/png_reader.mjs';
import { BROWSERS, settled } from './browsers.mjs';
import { downloaded, dropFile, holdSlider, pixelsOf, showDepth, showTab, textOf } from './page_tools.mjs';
import { visit } from './server.mjs';

/** Few steps: what the letters look like does not matter here. */
const FAST = 's=2&seed=5&steps=3&sampler=ddim';
const BETWEEN = `#${FAST}&word=no on&style=3&to-style=6&between=0.35&view=play`;
const FORTY = 'a word of forty letters that goes on so4';
const weights = (name) => new URL(`../../weights/${name}.gguf`, import.meta.url);
const lettersOf = (page) => pixelsOf(page, '.word-row canvas');
const spaced = (page) => page.waitForFunction(() => document.querySelector('#styles .tile'), { timeout: 60_000 });

/** Share of the ink of both in which they differ, both drawn as wide as the first one. */
function differenceOf(png, svg) {
  const { width, height, channels, pixels } = decodePNG(png);
  const drawn = new Resvg(svg, { background: 'white', fitTo: { mode: 'width', value: width } }).render().pixels;
  let [different, ink] = [0, 0];
  for (let index = 0; index < width * height; index++) {
    const [a, b] = [pixels[index * channels] < 128, drawn[index * 4] < 128];
    different += Number(a !== b);
    ink += Number(a);
  }
  return different / ink;
}

for (const name of BROWSERS) {
  describe(`the word in ${name}`, () => {
    let session;
    let page;
    let troubles;
    let leave;
    before(async () => {
      ({ session, page, troubles, leave } = await visit(name, BETWEEN, { viewport: { width: 390, height: 844 } }));
      await settled(page, { timeout: 60_000 });
      await spaced(page);
    });
    after(() => leave?.());
    const hashSays = (...parts) => page.waitForFunction((all) => all.every((part) => location.hash.includes(part)), { timeout: 60_000 }, parts);
    /** Another word, in another style. */
    const leaveWord = async () => {
      await page.evaluate((hash) => { location.hash = hash; }, `#${FAST}&word=x&view=play`);
      await hashSays('word=x&');
      await settled(page, { timeout: 60_000 });
    };
    let saved;

    test('its PNG and its SVG show the same, and both lead back to it', async () => {
      const letters = await lettersOf(page);
      await page.click('#play-save');
      const png = await downloaded(session.downloads, 'no-on-seed7-to10-by0.35.png');
      await page.click('#play-svg');
      const svg = String(await downloaded(session.downloads, 'no-on-seed7-to10-by0.35.svg'));
      for (const { options, sheet } of [readRecipe(png), readSVGRecipe(svg)]) {
        assert.deepEqual([options.seed, options.variationSeed, options.variationStrength, sheet.text, sheet.labels.length], [7, 10, 0.35, 'no on', 4]);
      }
      const { width, height } = decodePNG(png);
      assert.deepEqual([height, width > 500], [256, true]);
      for (const [bytes, file, type] of [[png, 'word.png', 'image/png'], [Buffer.from(svg), 'word.svg', 'image/svg+xml']]) {
        await leaveWord();
        await dropFile(page, bytes, file, type);
        await hashSays('word=no+on', 'seed=7', 'style=1', 'to-style=4', 'between=0.35', 'steps=3');
        await settled(page, { timeout: 60_000 });
        assert.deepEqual(await lettersOf(page), letters, file);
      }
      saved = svg;
    });

    test('a text that is longer than the field opens as a poster', async () => {
      const long = 'no on '.repeat(9).trim();
      await dropFile(page, Buffer.from(saved.replace('&quot;text&quot;:&quot;no on&quot;', `&quot;text&quot;:&quot;${long}&quot;`)), 'long.svg', 'image/svg+xml');
      await page.waitForSelector('#poster[open] #poster-text', { timeout: 60_000 });
      assert.equal(await page.$eval('#poster-text', ({ value }) => value), long);
      assert.equal(await page.$eval('#poster-to-another-style', ({ value }) => value), '0.35');
      await page.keyboard.press('Escape');
    });

    test('a font leads to its style, also to one beside the twelve, a broken one is named', async () => {
      await leaveWord();
      const letters = await load(weights('letters'));
      const options = { seed: 9, steps: 1, sampler: 'ddim', variationSeed: 1000, variationStrength: 0.33 };
      const { bytes } = await makeFont(letters, options);
      await dropFile(page, bytes, 'own.otf', 'font/otf');
      await hashSays('seed=9', 'steps=1', 'word=x&', 'to-seed=1000', 'between=0.33');
      // It was made by the whole model, which takes the place of the fast one.
      const wanted = Array.from((await letters.generate({ label: 'x', ...options })).pixels);
      const isWanted = async () => {
        for (let go = 0; go < 100 && String((await lettersOf(page))[0]) !== String(wanted); go++) await new Promise((resolve) => setTimeout(resolve, 200));
        await settled(page, { timeout: 60_000 });
        assert.deepEqual((await lettersOf(page))[0], wanted);
      };
      await isWanted();
      letters.close();
      await spaced(page);
      const chosen = (select) => page.$eval(select, ({ selectedOptions: [option] }) => option.textContent);
      assert.equal(await chosen('#style-other'), 'seed 1000');
      assert.equal(await page.$eval('#style-between', (slider) => slider.getAttribute('aria-valuetext')), '33 % from style 1 to seed 1000');
      // What is saved of it leads back to it, and the poster has it, too.
      await page.click('#play-save');
      const png = await downloaded(session.downloads, 'x-seed9-to1000-by0.33.png');
      await page.evaluate((hash) => { location.hash = hash; }, `#${FAST}&word=x&view=play`);
      await hashSays('seed=5');
      await settled(page, { timeout: 60_000 });
      await page.waitForFunction(() => document.getElementById('style-other').lastChild.hidden);
      await dropFile(page, png, 'word.png', 'image/png');
      await hashSays('seed=9', 'to-seed=1000', 'between=0.33');
      await isWanted();
      await page.$eval('#poster-open', (button) => button.click());
      await page.waitForSelector('#poster[open] .buttons > button:enabled', { timeout: 60_000 });
      assert.deepEqual([await chosen('#poster-style'), await chosen('#poster-other-style')], ['seed 9', 'seed 1000']);
      await page.$$eval('#poster button', (all) => all.find(({ textContent }) => textContent === 'Save SVG').click());
      const poster = readSVGRecipe(String(await downloaded(session.downloads, 'x-seed9-to1000-by0.33.svg'))).options;
      assert.deepEqual([poster.seed, poster.variationSeed, poster.variationStrength], [9, 1000, 0.33]);
      await page.keyboard.press('Escape');
      for (const broken of [bytes.subarray(0, 400), bytes.subarray(0, 5), Buffer.alloc(0)]) {
        await page.$eval('#dismiss', (button) => button.click());
        await dropFile(page, broken, 'broken.otf');
        await page.waitForSelector('#error:not([hidden])');
        assert.match(await textOf(page, '#error-text'), /^This font has no recipe/);
      }
      await page.$eval('#dismiss', (button) => button.click());
      assert.ok((await page.evaluate(() => location.hash)).includes('seed=9'), 'and nothing is lost');
    });

    for (const [width, height, least] of [[390, 844, 30], [1280, 800, 60]]) {
      test(`forty letters wrap in ${width} pixels, all of one size`, async () => {
        await page.setViewport({ width, height });
        await page.evaluate((hash) => { location.hash = hash; }, `#${FAST}&word=${encodeURIComponent(FORTY)}&view=play`);
        await hashSays('word=a+word');
        await page.waitForFunction(() => document.querySelectorAll('.letter').length === 40, { timeout: 60_000 });
        await settled(page, { timeout: 120_000 });
        await new Promise((resolve) => setTimeout(resolve, 400)); // they settle
        const { boxes, sheet, rows } = await page.evaluate(() => {
          const boxOf = (node) => (({ left, top, width: wide, height: high }) => [left, top, wide, high])(node.getBoundingClientRect());
          const places = [...document.querySelectorAll('.letter')].filter((letter) => letter.firstChild.width > 1).map(boxOf);
          return { boxes: places, sheet: boxOf(document.getElementById('word-sheet')), rows: new Set(places.map(([, top]) => Math.round(top))).size };
        });
        const sizes = new Set(boxes.flatMap(([, , wide, high]) => [wide.toFixed(1), high.toFixed(1)]));
        assert.equal(sizes.size, 1, [...sizes].join(' '));
        assert.ok(Number([...sizes][0]) >= least, `${[...sizes]} pixels`);
        assert.ok(rows >= 2 && rows <= 4, `${rows} rows`);
        for (const [left, top, wide, high] of boxes) {
          assert.ok(left + wide / 2 > sheet[0] && left + wide / 2 < sheet[0] + sheet[2] && top >= sheet[1] && top + high <= sheet[1] + sheet[3] + 1, `${[left, top]} in ${sheet}`);
        }
        const [needed, available] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.ok(needed <= available);
      });
    }

    test('every style in sight follows a hand that does not come to rest', async () => {
      await page.evaluate(() => { location.hash = '#s=2&seed=5&steps=2&sampler=lcm&word=no&view=play'; });
      await hashSays('word=no&', 'seed=5');
      await settled(page, { timeout: 60_000 });
      await page.waitForSelector('#styles[data-state="done"]', { timeout: 60_000 });
      await page.evaluate(() => {
        globalThis.painted = new Map();
        const put = CanvasRenderingContext2D.prototype.putImageData;
        CanvasRenderingContext2D.prototype.putImageData = function (...all) {
          globalThis.painted.set(this.canvas, (globalThis.painted.get(this.canvas) ?? 0) + 1);
          return put.apply(this, all);
        };
      });
      const moveTo = await holdSlider(page, 0.1, 'end');
      /** How often the tiles in sight have been painted. */
      const counts = () => page.$$eval('#styles .tile canvas', (all) => all.flatMap((canvas) => {
        const { top, bottom } = canvas.getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight ? [globalThis.painted.get(canvas) ?? 0] : [];
      }));
      const begun = performance.now();
      for (let move = 0; Math.min(...await counts()) < 3; move++) {
        assert.ok(performance.now() - begun < 60_000, `painted ${await counts()}`);
        await moveTo(0.1 + 0.8 * Math.abs(((move / 40) % 2) - 1));
      }
      assert.ok((await counts()).length >= 4, 'several are in sight');
      await moveTo(0.6);
      await page.mouse.up();
      await settled(page, { timeout: 60_000 });
      const drawn = () => page.waitForFunction(() => document.querySelectorAll('#styles .tile[data-state="done"]').length === 12, { timeout: 60_000 });
      await drawn();
      const tiles = await pixelsOf(page, '#styles .tile canvas');
      const link = await page.evaluate(() => location.href);
      await page.goto('about:blank');
      await page.goto(link);
      await settled(page, { timeout: 60_000 });
      await drawn();
      assert.deepEqual(await pixelsOf(page, '#styles .tile canvas'), tiles, 'at rest they are what a link to them shows');
    });

    test('a doodle is saved as outlines, in Play and in the Lab; pixel art is not', async () => {
      await showTab(page, 'doodles');
      await page.waitForSelector('#page[data-tab="doodles"]:not([data-loading])', { timeout: 60_000 });
      await settled(page, { timeout: 60_000 });
      await showDepth(page, 'lab');
      await page.waitForSelector('#save-svg:enabled', { timeout: 60_000 });
      await settled(page, { timeout: 60_000 });
      const { label, s, seed } = Object.fromEntries(new URLSearchParams(await page.evaluate(() => location.hash.slice(1))));
      await page.$eval('#save-svg', (button) => button.click());
      const svg = String(await downloaded(session.downloads, `${label}-s${s}-seed${seed}.svg`));
      const recipe = readSVGRecipe(svg);
      assert.equal(recipe.options.seed, Number(seed));
      const doodles = await load(weights('doodles'));
      const picture = await doodles.generate(recipe);
      assert.equal(svg, toSVG(picture));
      assert.ok(differenceOf(await picture.toPNG({ scale: 16 }), svg) < 0.03);
      doodles.close();
      await showTab(page, 'characters');
      await page.waitForSelector('#page[data-tab="characters"]:not([data-loading])', { timeout: 60_000 });
      assert.equal(await page.$eval('#save-svg', (button) => button.checkVisibility()), false);
      assert.deepEqual(troubles, []);
    });
  });
}
