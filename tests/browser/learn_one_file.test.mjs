// The article in the page of one file, opened from a folder, in Chromium and Firefox: the same as on the site, with figures
// that compute from what is in the file.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import { load } from 'pocket-diffusion';
import { PAGES, buildLearn } from '../../scripts/site/build_learn.mjs';
import { buildOneFile } from '../../scripts/site/build_site.mjs';
import { modelPath } from '../native_pictures.mjs';
import { BROWSERS, launch, openPage, settled } from './browsers.mjs';
import { axeFinds, drawn, kinds, sectionsShown, set, watch } from './learn_tools.mjs';

/** What the article may add to the file, in bytes as they lie there. */
const MOST_BYTES = 200_000;

let folder;
let address;
let bytes;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-article-'));
  const path = join(folder, 'pocket-diffusion.html');
  const without = await buildOneFile(path, { article: false });
  bytes = await buildOneFile(path) - without;
  address = pathToFileURL(path).href;
});
after(() => rm(folder, { recursive: true, force: true }));

test('the article adds at most 200 kB to the page in one file', (t) => {
  t.diagnostic(`${bytes} bytes more`);
  assert.ok(bytes > 50_000 && bytes <= MOST_BYTES, `${bytes} bytes`);
});

/** Opens an article, and what is asked for meanwhile. */
async function open(browser, rest, options = {}) {
  const opened = await openPage(browser, `${address}${rest}`, { prepare: watch, ...options });
  const requests = [];
  opened.page.on('request', (request) => requests.push(request.url()));
  await opened.page.waitForFunction(() => customElements.get('pocket-diffusion-figure'));
  return { ...opened, requests };
}

/** Nothing was refused, and nothing asked for that is not in the file. */
async function untroubled({ page, troubles, requests }) {
  assert.deepEqual([await page.evaluate(() => violations), troubles, requests.filter((url) => !/^(blob|data):/.test(url) && !url.startsWith(address))], [[], [], []]);
  await page.close();
}

/** Runs in a page: what an article says. */
function contentsOf(html) {
  const article = html === null ? document : new DOMParser().parseFromString(html, 'text/html');
  article.querySelectorAll('[data-site], noscript').forEach((node) => node.remove());
  const texts = [...article.querySelectorAll('h1, h2, p, li:not(:has(p)), td, th, caption, summary, pre, option, label')].map(({ textContent }) => textContent.trim());
  return {
    title: article.title, language: article.documentElement.lang, texts, formulas: [...article.querySelectorAll('math')].map(({ outerHTML }) => outerHTML),
    elements: [...article.querySelectorAll('body [id], body [class]')].filter(({ localName }) => localName !== 'script').map(({ localName, id, className }) => `${localName} ${id} ${className}`),
  };
}

for (const browser of BROWSERS) {
  describe(`the article in one file in ${browser}`, () => {
    let session;
    before(async () => (session = await launch(browser)));
    after(() => session?.close());

    test('every figure draws from what is in the file, and the program of the site computes the same', async () => {
      const opened = await open(session.browser, '?learn=en');
      for (const kind of kinds) await drawn(opened.page, kind);
      const model = await load(modelPath);
      await set(opened.page, 'reverse', { at: 100, steps: 9, sampler: 'ddim', eta: 0.5, label: 'banana', seed: 8 });
      const { pixels } = await model.generate({ label: 'banana', seed: 8, steps: 9, sampler: 'ddim', eta: 0.5 });
      model.close();
      assert.deepEqual((await opened.page.evaluate(() => valuesOf('reverse'))).pixels, Array.from(pixels));
      await opened.page.select('#model', 'digits');
      for (const kind of kinds) await drawn(opened.page, kind);
      const { name } = await opened.page.evaluate(() => valuesOf('guidance'));
      assert.match(name, /^\d$/, 'the other network');
      await untroubled(opened);
    });

    test('it says what the site says, in both languages, in the same formulas', async () => {
      const { files } = await buildLearn();
      for (const [language, name] of Object.entries(PAGES)) {
        const opened = await open(session.browser, `?learn=${language}#model=digits`);
        const there = await opened.page.evaluate(contentsOf, null);
        await opened.page.goto('about:blank');
        const expected = await opened.page.evaluate(contentsOf, files.get(`learn/${name}`));
        assert.ok(expected.formulas.length > 50 && expected.texts.length > 100);
        // What lecture mode adds to the page is no part of the article.
        assert.deepEqual({ ...there, elements: there.elements.filter((each) => !each.includes('lecture-bar')) }, expected);
        await opened.page.close();
      }
    });

    test('its links lead to what is in the file: figures, sections, the other language, the page and back', async () => {
      const { page, troubles } = await openPage(session.browser, `${address}#label=cat&s=3&seed=7&steps=4&count=6`, { prepare: watch });
      await settled(page);
      const hash = await page.evaluate(() => location.hash);
      const follow = async (selector) => {
        await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.$eval(selector, (link) => link.click())]);
        await page.waitForFunction(() => customElements.get('pocket-diffusion-figure') ?? document.getElementById('page')?.dataset.state);
      };
      await follow('#depth a');
      assert.deepEqual(await page.evaluate(() => [location.search, document.documentElement.lang, document.getElementById('page')]), ['?learn=en', 'en', null]);
      const dead = await page.$$eval('a', (links) => links.map((link) => link.getAttribute('href').replace(location.href.split('?')[0], ''))
        .filter((href) => !/^(\?|\?learn=(en|zh)|https:\/\/arxiv\.org\/abs\/[\d.]+)$/.test(href) && !document.getElementById(/^#([\w-]+)$/.exec(href)?.[1] ?? new URLSearchParams(href.slice(1)).get('at'))));
      assert.deepEqual(dead, []);
      await page.evaluate(() => document.querySelector('#exercises a[href^="#noise.t=400"]').click());
      await page.waitForFunction(() => location.hash.includes('noise.t=400') && figure('noise').state === 'done');
      await page.waitForFunction(() => document.querySelector('a[hreflang="zh"]').hash.includes('noise.t=400'));
      await follow('a[hreflang="zh"]');
      await drawn(page, 'noise');
      assert.deepEqual(await page.evaluate(() => [location.search, document.documentElement.lang, valuesOf('noise').t]), ['?learn=zh', 'zh-Hans', 400]);
      assert.match(await page.evaluate(() => inside('noise', '.says').textContent), /[\u4e00-\u9fff]/u);
      await follow('.home a');
      await settled(page);
      assert.ok(await page.evaluate(() => document.getElementById('page').checkVisibility()), 'the page');
      for (let steps = 0; steps < 4 && await page.evaluate((first) => location.search !== '' || location.hash !== first, hash); steps++) await page.goBack();
      await settled(page);
      assert.equal(await page.evaluate(() => location.hash), hash, 'Back leads to the very pictures');
      await page.goto('about:blank');
      await page.goto(`${address}?learn=zh#inside`);
      await page.waitForFunction(() => Math.abs(document.getElementById('inside')?.getBoundingClientRect().top ?? Infinity) < 40);
      assert.deepEqual([await page.evaluate(() => violations), troubles], [[], []]);
      await page.close();
    });

    test('lecture mode goes by keys; a file has no code for other screens', async () => {
      const opened = await open(session.browser, '?learn=en#model=digits');
      const { page } = opened;
      await page.$eval('#lecture', (button) => button.click());
      for (const [key, expected] of [['ArrowRight', 'prediction'], ['PageDown', 'posterior'], ['PageUp', 'prediction']]) {
        await page.keyboard.press(key);
        assert.deepEqual(await sectionsShown(page), [expected]);
      }
      await drawn(page, 'prediction');
      assert.deepEqual(await page.$$eval('.lecture-bar button', (all) => all.map(({ title }) => title)), ['Figure before', 'Next figure', 'Leave']);
      await page.keyboard.press('Escape');
      assert.ok((await sectionsShown(page)).length > 5);
      await untroubled(opened);
    });

    if (browser === 'chrome') test('axe-core finds nothing, on a telephone as well; nothing is wider than the window', async () => {
      for (const [language, dark, width] of [['en', false, 1280], ['zh', true, 390]]) {
        const opened = await open(session.browser, `?learn=${language}#model=digits`, { dark, viewport: { width, height: 844 } });
        for (const kind of kinds) await drawn(opened.page, kind);
        await opened.page.evaluate(axe.source);
        assert.deepEqual(await axeFinds(opened.page), [], language);
        assert.ok(await opened.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
        const squeezed = await opened.page.$$eval('pocket-diffusion-figure', (figures) => figures.flatMap(({ kind, shadowRoot }) => [...shadowRoot.querySelectorAll('.control > :is(label, output)')]
          .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).map(({ textContent }) => `${kind}: ${textContent}`)));
        assert.deepEqual(squeezed, [], 'names of inputs have room beside their values');
        await untroubled(opened);
      }
    });
  });
}
