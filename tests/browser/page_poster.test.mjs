// A text as a poster, as outlines and as a font, in Chromium and in Firefox, by keyboard, on a narrow telephone.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { Resvg } from '@resvg/resvg-js';
import { load, readRecipe } from 'pocket-diffusion';
import { readSVGRecipe } from 'pocket-diffusion/outlines';
import { decodePNG } from '../node/png_reader.mjs';
import { MORE_ENGINES, settled } from './browsers.mjs';
import { lettersModel } from './letters_model.mjs';
import { downloaded, dropFile, textOf } from './page_tools.mjs';
import { visit } from './server.mjs';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Sets a field's value as a hand does. */
const set = (page, selector, value) => page.$eval(selector, (field, wanted) => {
  field.value = wanted;
  field.dispatchEvent(new Event(field.localName === 'select' ? 'change' : 'input'));
}, value);

for (const name of MORE_ENGINES) {
  describe(`poster and font in ${name}`, () => {
    let site;
    let session;
    let page;
    let troubles;
    let leave;
    before(async () => {
      ({ site, session, page, troubles, leave } = await visit(name, '#word=a&steps=2&sampler=ddim&view=play', { viewport: { width: 320, height: 640 }, dark: name === 'chrome', prepare: await readFile(axePath, 'utf8') }));
      await settled(page, { timeout: 60_000 });
      await dropFile(page, await lettersModel(), 'letters.gguf');
      await page.waitForSelector('[data-tab="own file"]');
      await page.waitForSelector('#word[data-state="done"]');
      site.requests.length = 0;
    });
    after(() => leave?.());
    const isReady = () => page.waitForFunction(() => document.querySelector('#poster-size') && [...document.querySelectorAll('#poster button')].find((button) => button.textContent === 'Save PNG' && !button.disabled));
    /** A saved file of this text in the style that is chosen. */
    const saved = async (text, extension, variation = '') => downloaded(session.downloads, await page.evaluate((words, how, ending) => {
      const [from, to] = ['poster-style', 'poster-other-style'].map((id) => document.getElementById(id).value);
      return `${words}-seed${from}${how && `-to${to}-by${how}`}.${ending}`;
    }, text, variation, extension));
    const press = (text) => page.$$eval('#poster button', (buttons, wanted) => buttons.find((button) => button.textContent === wanted).click(), text);

    test('is fetched when it is opened, by keyboard', async () => {
      await page.focus('#poster-open');
      await page.keyboard.press('Enter');
      await page.waitForSelector('#poster[open]');
      assert.ok(site.requests.some((path) => /^poster-/.test(path)));
      assert.ok(!site.requests.some((path) => /^make_font-/.test(path)), 'and what writes fonts later');
      await page.keyboard.press('Escape');
      await page.waitForSelector('#poster:not([open])');
      await page.click('#poster-open');
      await page.waitForSelector('#poster[open]');
    });

    test('a long text wraps, and is saved in the size that is asked for, with its recipe', async () => {
      await set(page, '#poster-text', 'abc cab bac abc cab bac abc é');
      await page.waitForFunction(() => document.querySelector('#poster [role="status"]').textContent.includes('“é”'));
      await isReady();
      assert.match(await page.$eval('.poster-canvas', (canvas) => canvas.getAttribute('aria-label')), /^The text abc .* [3-9] lines$/);
      await page.select('#poster-size', '1024');
      await press('Save PNG');
      const file = await saved('abc-cab-bac-abc-cab-bac-abc-é', 'png');
      const { width, height, channels, pixels } = decodePNG(file);
      assert.deepEqual([width, channels], [1024, 1]);
      assert.ok(height > 300);
      assert.ok(pixels.includes(0) && pixels.includes(255));
      assert.deepEqual(readRecipe(file).sheet.labels.slice(0, 4), [0, 1, 2, 2]);

      await page.$eval('#poster .check input', (box) => box.click());
      await isReady();
      await press('Save PNG');
      const cut = decodePNG(await saved('abc-cab-bac-abc-cab-bac-abc-é', 'png'));
      assert.equal(cut.channels, 2);
      assert.equal(cut.pixels[1], 0, 'without paper in the corner');
    });

    test('the SVG shows what the picture shows', async () => {
      await set(page, '#poster-text', 'ab c');
      await page.waitForFunction(() => document.querySelector('.poster-canvas').getAttribute('aria-label').includes('ab c,'));
      await press('Save SVG');
      const svg = String(await saved('ab-c', 'svg'));
      const recipe = readSVGRecipe(svg);
      assert.deepEqual(recipe.sheet.labels, [0, 1, 2]);
      const [width, ink] = await page.$eval('.poster-canvas', (canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return [canvas.width, Array.from({ length: data.length / 4 }, (_, index) => Number(data[4 * index] < 128)).join('')];
      });
      const { pixels } = new Resvg(svg, { background: 'white', fitTo: { mode: 'width', value: width } }).render();
      let [different, all] = [0, 0];
      for (let index = 0; index < ink.length; index++) {
        all += Number(ink[index]);
        different += Number((pixels[4 * index] < 128) !== (ink[index] === '1'));
      }
      assert.ok(all > 100 && different < 0.02 * all, `${different} of ${all}`);
      // The letters are those of the recipe.
      const model = await load(await lettersModel());
      const { sheet: _sheet, ...single } = recipe;
      assert.equal((await model.generate(single)).options.labelName, 'A');
      model.close();
    });

    test('between two styles, the letters are those of a variation', async () => {
      const before = await page.$eval('.poster-canvas', (canvas) => canvas.toDataURL());
      await set(page, '#poster-to-another-style', '0.5');
      await page.waitForFunction((old) => document.querySelector('.poster-canvas').toDataURL() !== old, {}, before);
      await press('Save SVG');
      const { options } = readSVGRecipe(String(await saved('ab-c', 'svg', '0.5')));
      assert.equal(options.variationStrength, 0.5);
      assert.equal(options.variationSeed, options.seed + 1);
    });

    test('a font is made, sets a paragraph before it is saved, and is one', async () => {
      await press('Make a font');
      await page.waitForSelector('.poster-sample:not([hidden])', { timeout: 60_000 });
      assert.match(await textOf(page, '#poster [role="status"]'), /: 3 letters, \d+ kB/);
      assert.deepEqual(await page.evaluate(() => [...document.fonts].map(({ status }) => status)), ['loaded']);
      await press('Save font');
      const family = (await textOf(page, '#poster [role="status"]')).replace(/^Saved /, '');
      const font = await downloaded(session.downloads, family);
      assert.equal(font.toString('latin1', 0, 4), 'OTTO');
    });

    test('fits into 320 pixels, and axe-core finds nothing in the dark', async () => {
      const [needed, available] = await page.$eval('#poster', (dialog) => [dialog.scrollWidth, dialog.clientWidth]);
      assert.ok(needed <= available, `${needed} pixels`);
      const found = await page.evaluate(async () => (await globalThis.axe.run(document.getElementById('poster'), { resultTypes: ['violations'] })).violations
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ').slice(0, 300)}`));
      assert.deepEqual(found, []);
    });

    test('another style has another font; a font is made while letters are drawn', async () => {
      await set(page, '#poster-to-another-style', '0.25');
      assert.equal(await page.$eval('.poster-sample', ({ hidden }) => hidden), true);
      assert.equal(await page.evaluate(() => document.fonts.size), 0);
      assert.equal(await page.$eval('#poster-to-another-style', (slider) => slider.getAttribute('aria-valuetext')), '25 %');
      // In the task of the change itself: a quick machine has the letters a moment later.
      const disabled = await page.$eval('#poster-text', (field) => {
        field.value = 'a\nb\nc';
        field.dispatchEvent(new Event('input', { bubbles: true }));
        return [...document.querySelectorAll('#poster button')].filter(({ textContent }) => /Save (PNG|SVG)/.test(textContent)).map((button) => button.disabled);
      });
      assert.deepEqual(disabled, [true, true], 'nothing to save until the letters are there');
      await press('Make a font');
      await page.waitForFunction(() => document.querySelector('.poster-canvas').getAttribute('aria-label').endsWith('3 lines'));
      await isReady();
      await page.waitForSelector('.poster-sample:not([hidden])', { timeout: 60_000 });
      await press('Save SVG');
      const { options } = readSVGRecipe(String(await saved('a-b-c', 'svg', '0.25')));
      assert.equal(options.variationStrength, 0.25);
    });

    test('closed while it draws, it leaves nothing; a double click opens one', async () => {
      await set(page, '#poster-to-another-style', '0.75');
      await press('Make a font');
      await press('Close');
      await page.waitForSelector('#poster:not([open])');
      await page.$eval('#poster-open', (button) => { button.click(); button.click(); });
      await page.waitForSelector('#poster[open]');
      await isReady();
      assert.equal(await page.$$eval('#poster h2', (titles) => titles.length), 1);
      assert.equal(await page.evaluate(() => document.fonts.size), 0);
      await set(page, '#poster-text', '');
      await page.waitForFunction(() => document.querySelector('.poster-canvas').getAttribute('aria-label') === 'No text yet');
      assert.equal(await page.$eval('.poster-canvas', ({ width }) => width), 1);
      assert.deepEqual(troubles, []);
    });

    test('every package in its scripts has its licence beside them', () => {
      const notices = site.text('licenses.txt');
      for (const text of ['d3-array', 'd3-contour', 'fit-curve', 'opentype.js', 'Frederik De Bleser', 'Mike Bostock', 'Devon Govett']) assert.ok(notices.includes(text), text);
    });
  });
}
