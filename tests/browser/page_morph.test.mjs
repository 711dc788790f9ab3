// Ways from one picture to another, their films and their links, sharing, and "Surprise me", in Chromium and in Firefox, on a
// narrow telephone, by keyboard and touch.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { load, readRecipe } from 'pocket-diffusion';
import { BROWSERS, openPage, settled } from './browsers.mjs';
import { lastFrame, meanDifference, playFilm, probeFilm } from './films.mjs';
import { downloaded, pixelsOf, tap, textOf } from './page_tools.mjs';
import { visit } from './server.mjs';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const HASH = '#label=cat&s=3&seed=24&view=play';
const BEGIN = { label: 'cat', guidanceScale: 3, seed: 24 };
/** A device that takes files from pages, and remembers them. */
const SHARING = `navigator.canShare = ({ files }) => files[0].type !== 'video/webm';
navigator.share = async ({ files: [file], url }) => {
  globalThis.asked++;
  if (globalThis.refusal) throw new DOMException('on purpose', globalThis.refusal);
  globalThis.shared = { name: file.name, type: file.type, size: file.size, url };
};`;

for (const name of BROWSERS) {
  describe(`ways between pictures in ${name}`, () => {
    let site;
    let session;
    let page;
    let troubles;
    let leave;
    let model;
    before(async () => {
      model = await load('weights/doodles-fast.gguf');
      const touch = name === 'chrome' ? { isMobile: true, hasTouch: true } : {};
      ({ site, session, page, troubles, leave } = await visit(name, HASH, {
        viewport: { width: 320, height: 640, ...touch }, dark: name === 'chrome', prepare: SHARING + await readFile(axePath, 'utf8'),
      }));
      await settled(page, { timeout: 60_000 });
    });
    after(async () => {
      await leave?.();
      model?.close();
    });
    const isDone = (where = page) => where.waitForSelector('.play-dialog[open][data-state="done"]', { timeout: 60_000 });
    const press = async (text) => {
      await page.$$eval('.play-dialog button', (all, wanted) => all.find(({ textContent }) => textContent === wanted).setAttribute('data-pressed', ''), text);
      await tap(page, '.play-dialog [data-pressed]');
      await page.$eval('.play-dialog [data-pressed]', (button) => button.removeAttribute('data-pressed'));
    };
    const shown = async (where = page) => (await pixelsOf(where, '.play-dialog canvas'))[0];
    const drawn = async (options) => Array.from((await model.generate(options)).pixels);
    const mixed = (share, others = {}) => drawn({ guidanceScale: 3, seed: 24, classMix: [{ label: 'cat', weight: 1 - share }, { label: 'dog', weight: share }], ...others });
    const choose = (index) => page.$$eval('#morph-ways input', (all, wanted) => all[wanted].click(), index);
    /** Puts the slider somewhere, as a hand does. */
    const slide = (at) => page.$eval('.play-dialog .slider', (slider, value) => {
      slider.value = String(value);
      slider.dispatchEvent(new Event('input'));
      slider.dispatchEvent(new Event('change'));
    }, at);

    test('two classes are mixed, by keyboard', async () => {
      assert.ok(!site.requests.some((path) => /^gif-|^webm-/.test(path)));
      await page.focus('#morph-open');
      await page.keyboard.press('Enter');
      await isDone();
      await page.waitForFunction(() => [...document.querySelectorAll('.play-dialog button')].some(({ textContent }) => textContent === 'Pause')); // it plays by itself
      await slide(8);
      assert.deepEqual(await shown(), await mixed(0.5));
      await page.focus('.play-dialog .slider');
      await page.keyboard.press('ArrowRight');
      assert.deepEqual(await shown(), await mixed(9 / 16));
      assert.equal(await page.$eval('.play-dialog .slider', (slider) => slider.getAttribute('aria-valuetext')), 'cat, 56 % dog');
      await slide(0);
      assert.deepEqual(await shown(), await drawn(BEGIN));
      await slide(16);
      assert.deepEqual(await shown(), await drawn({ ...BEGIN, label: 'dog' }));
    });

    test('fits into 320 pixels, and axe-core finds nothing', async () => {
      const [needed, available] = await page.$eval('.play-dialog', (dialog) => [dialog.scrollWidth, dialog.clientWidth]);
      assert.ok(needed <= available, `${needed} pixels`);
      const found = await page.evaluate(async () => (await globalThis.axe.run(document.querySelector('.play-dialog'), { resultTypes: ['violations'] })).violations
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ').slice(0, 300)}`));
      assert.deepEqual(found, []);
    });

    test('films go to and fro: GIF, WebM and APNG, in the eyes of FFmpeg and of the browser', async () => {
      const kinds = await page.$$eval('.play-dialog .morph-buttons option', (options) => options.map(({ value, textContent }) => [value, textContent]));
      assert.deepEqual(kinds, [['gif', 'GIF'], ['webm', 'WebM'], ['apng', 'APNG']]);
      for (const [kind] of kinds) {
        await page.select('.play-dialog .morph-buttons select', kind);
        await press('Save film');
        const file = await downloaded(session.downloads, `cat-mix-dog-seed24.${kind === 'apng' ? 'png' : kind}`);
        const { width, height, frames } = probeFilm(file);
        assert.deepEqual([width, height, frames], [kind === 'apng' ? 1024 : 512, kind === 'apng' ? 1024 : 512, kind === 'webm' ? 80 : 32], kind);
        assert.match(await textOf(page, '.play-dialog [role="status"]'), /^Saved cat-mix-dog-seed24\.\w+, \d+ kB$/);
        await playFilm(session.browser, file, kind);
        // The last picture is the one after the first: dark where that is dark.
        const last = lastFrame(file, width * height);
        const expected = await mixed(1 / 16);
        const small = expected.map((_, index) => last[(Math.floor(index / 32) + 0.5) * (height / 32) * width + ((index % 32) + 0.5) * (width / 32)]);
        const dark = expected.map((level) => (level < 95 ? 0 : 255));
        assert.ok(meanDifference(small.map((level) => (level < 128 ? 0 : 255)), dark) < 255 * 0.03, kind);
      }
    });

    test('seeds are morphed, and a picture is redrawn as another class', async () => {
      await choose(1);
      await isDone();
      await slide(4);
      assert.deepEqual(await shown(), await drawn({ ...BEGIN, variationSeed: 25, variationStrength: 0.25 }));
      await press('Save PNG');
      const file = await downloaded(session.downloads, 'cat-seed24-to25-at4.png');
      assert.equal(readRecipe(file).options.variationStrength, 0.25);
      await choose(2);
      await isDone();
      await slide(12);
      const image = await model.generate(BEGIN);
      assert.deepEqual(await shown(), await drawn({ ...BEGIN, label: 'dog', image, strength: 0.75, steps: 16 }));
    });

    test('the link carries all of it', async () => {
      await page.waitForFunction(() => location.hash.includes('&play=redraw&to=dog&at=12'));
      const { page: other, troubles: found } = await openPage(session.browser, await page.evaluate(() => location.href));
      await isDone(other);
      assert.deepEqual(await shown(other), await shown());
      assert.deepEqual(found, []);
      await other.close();
    });

    test('"Surprise me" has a link for each, and Back leads to the one before', async () => {
      const before = await page.evaluate(() => location.hash);
      await press('Surprise me');
      await page.waitForFunction((old) => location.hash !== old, {}, before);
      await isDone();
      await page.goBack();
      await page.waitForFunction((old) => location.hash.replace(/&at=\d+/, '') === old.replace(/&at=\d+/, ''), {}, before);
      await isDone();
      assert.equal(await page.$eval('#morph-to', ({ value }) => value), String(model.labels.indexOf('dog')));
    });

    test('gives a film to other programs where the device takes it', async () => {
      const share = () => page.$$eval('.play-dialog button', (all) => all.find(({ textContent }) => textContent === 'Share').hidden);
      await page.select('.play-dialog .morph-buttons select', 'webm');
      assert.equal(await share(), true);
      await page.select('.play-dialog .morph-buttons select', 'gif');
      assert.equal(await share(), false);
      await press('Share');
      await page.waitForFunction(() => globalThis.shared);
      const shared = await page.evaluate(() => globalThis.shared);
      assert.deepEqual([shared.name, shared.type], ['cat-redraw-dog-seed24.gif', 'image/gif']);
      assert.match(shared.url, /&play=redraw/);
    });

    test('a device that takes no file after long work is asked again at a click, at once', async () => {
      await page.evaluate(() => Object.assign(globalThis, { shared: null, refusal: 'NotAllowedError' }));
      await press('Share');
      await page.waitForFunction(() => document.querySelector('.play-dialog [role="status"]').textContent.includes('The file is ready: “Share now”'), { timeout: 60_000 });
      // In the task of the click itself: the device counts that.
      const atOnce = await page.$$eval('.play-dialog button', (all) => {
        globalThis.refusal = '';
        all.find(({ textContent }) => textContent === 'Share now').click();
        return globalThis.shared?.name;
      });
      assert.equal(atOnce, 'cat-redraw-dog-seed24.gif');
      await page.waitForFunction(() => [...document.querySelectorAll('.play-dialog button')].some(({ textContent }) => textContent === 'Share'));
      assert.equal(await textOf(page, '.play-dialog [role="status"]'), '', 'it is ready no more');

      // Another kind, another file; who thinks better of it is left alone.
      await page.evaluate(() => { globalThis.refusal = 'NotAllowedError'; });
      await press('Share');
      await page.waitForFunction(() => [...document.querySelectorAll('.play-dialog button')].some(({ textContent }) => textContent === 'Share now'), { timeout: 60_000 });
      await page.select('.play-dialog .morph-buttons select', 'apng');
      assert.equal(await textOf(page, '.play-dialog [role="status"]'), '');
      for (const refusal of ['AbortError', 'InvalidStateError']) {
        await page.evaluate((one) => Object.assign(globalThis, { asked: 0, refusal: one }), refusal);
        await press('Share');
        await page.waitForFunction(() => globalThis.asked === 1, { timeout: 60_000 });
        assert.equal(await textOf(page, '.play-dialog [role="status"]'), '', refusal);
      }
      await page.evaluate(() => { globalThis.refusal = 'DataError'; });
      await press('Share');
      await page.waitForFunction(() => document.querySelector('.play-dialog [role="status"]').textContent.startsWith('The device did not take the file.'), { timeout: 60_000 });
      await page.evaluate(() => { globalThis.refusal = ''; });
      await page.select('.play-dialog .morph-buttons select', 'gif');
    });

    test('a link to the page itself closes it', async () => {
      await page.evaluate(() => { location.hash = location.hash.replace(/&play=.*/, ''); });
      await page.waitForSelector('.play-dialog:not([open])');
      await settled(page);
      await page.click('#morph-open');
      await isDone();
    });

    test('closed, the page goes on as before, and can share and surprise, too', async () => {
      await page.keyboard.press('Escape');
      await page.waitForSelector('.play-dialog:not([open])');
      await settled(page);
      await page.waitForFunction(() => !location.hash.includes('play='));
      await page.evaluate(() => Object.assign(globalThis, { shared: null, refusal: 'NotAllowedError' }));
      await tap(page, '#play-share');
      await page.waitForFunction(() => document.getElementById('status').textContent.includes('“Share now”'));
      assert.equal(await textOf(page, '#play-share'), 'Share now');
      await page.evaluate(() => { globalThis.refusal = ''; });
      await tap(page, '#play-share');
      await page.waitForFunction(() => globalThis.shared);
      assert.deepEqual(await page.evaluate(() => [globalThis.shared.type, globalThis.shared.url === location.href]), ['image/png', true]);
      await page.waitForFunction(() => document.getElementById('play-share').textContent === 'Share');
      assert.equal(await textOf(page, '#status'), '', 'nothing is ready any more');

      const [seed, label] = await page.evaluate(() => [new URLSearchParams(location.hash.slice(1)).get('seed'), new URLSearchParams(location.hash.slice(1)).get('label')]);
      assert.equal(await textOf(page, '#generate'), 'Surprise me');
      // While there is nothing of it, there is nothing to share.
      assert.equal(await page.$eval('#generate', (button) => {
        button.click();
        return document.getElementById('play-share').disabled;
      }), true);
      await page.waitForFunction((old) => new URLSearchParams(location.hash.slice(1)).get('label') !== old, {}, label);
      await settled(page);
      await page.goBack();
      await page.waitForFunction((old) => location.hash.includes(`label=${old[1]}&`) && location.hash.includes(`seed=${old[0]}&`), {}, [seed, label]);
      // The chosen class, chosen again, has others.
      await page.$eval('.class input:checked', (input) => input.click());
      await page.waitForFunction((old) => location.hash.includes(`label=${old[1]}&`) && !location.hash.includes(`seed=${old[0]}&`), {}, [seed, label]);
      await settled(page);
      assert.deepEqual(troubles, []);
    });
  });
}
