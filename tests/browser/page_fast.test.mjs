// A model of few evaluations a picture that stands beside a whole one: what is fetched for Play, how far its slider goes,
// that all pictures follow a hand on it, and what passes between the two models. What is drawn is compared with Node.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { load } from 'pocket-diffusion';
import { BROWSERS, launch, openPage, settled } from './browsers.mjs';
import { change, holdSlider, pixelsOfGrid, setNumber, showDepth } from './page_tools.mjs';
import { serveSite } from './server.mjs';

const COUNT = 9;
const weights = (name) => new URL(`../../weights/${name}.gguf`, import.meta.url);

let fast;
let whole;
before(async () => ([fast, whole] = await Promise.all(['doodles-fast', 'doodles'].map((name) => load(weights(name))))));
after(() => [fast, whole].forEach((model) => model.close()));

const digits = (model) => model.info.sha256.slice(0, 12);
const linkTo = (model, label, scale) => `#label=${label}&s=${scale}&seed=7&count=${COUNT}&view=play&model=${digits(model)}`;
const hashOf = (page) => page.evaluate(() => location.hash);
const numberOf = (page, selector, property = 'value') => page.$eval(selector, (input, name) => Number(input[name]), property);
const usesModel = (page, model) => page.waitForFunction((wanted) => location.hash.includes(`model=${wanted}`), { timeout: 60_000 }, digits(model));

async function byNode(label, guidanceScale) {
  const pictures = [];
  for (let index = 0; index < COUNT; index++) pictures.push(Array.from((await fast.generate({ label, guidanceScale, seed: 7 + index })).pixels));
  return pictures;
}

for (const name of BROWSERS) {
  describe(`fast doodles in ${name}`, () => {
    let site;
    let session;
    let page;
    let troubles;
    const open = async (hash) => {
      await page.goto('about:blank');
      await page.goto(`${site.url}${hash}`);
      await settled(page, { timeout: 60_000 });
    };
    before(async () => {
      site = await serveSite();
      session = await launch(name);
      ({ page, troubles } = await openPage(session.browser, `${site.url}${linkTo(fast, 'cat', 3)}`));
      await settled(page, { timeout: 60_000 });
    });
    after(async () => {
      await session?.close();
      await site?.close();
    });

    test('to play, nothing but the fast file is fetched', async () => {
      const fetched = await page.evaluate(() => performance.getEntriesByType('resource').map((entry) => entry.name.replace(/^.*\//, '')));
      assert.deepEqual(fetched.filter((file) => file.endsWith('.gguf')), ['doodles-fast.gguf']);
      assert.deepEqual(await pixelsOfGrid(page), await byNode('cat', 3));
    });

    test('at scale 0 the class has no say', async () => {
      await open(linkTo(fast, 'cat', 0));
      const cats = await pixelsOfGrid(page);
      await open(linkTo(fast, 'house', 0));
      assert.deepEqual(await pixelsOfGrid(page), cats);
      assert.deepEqual(cats, await byNode('clock', 0));
    });

    test('all pictures follow while the finger moves, in full', async () => {
      await open(linkTo(fast, 'cat', 0));
      const moveTo = await holdSlider(page, 0.01);
      let from = 0;
      for (const share of [0.25, 0.5, 0.75]) {
        while (from < share) await moveTo(from += 1 / 32);
        const scale = await numberOf(page, '#scale');
        assert.ok(scale > 0);
        // The hand rests but holds on.
        const expected = (await byNode('cat', scale)).map((pixels) => pixels.join());
        await page.waitForFunction((wanted) => [...document.querySelectorAll('#grid .tile canvas')].every((canvas, index) => {
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((_, at) => at % 4 === 0).join() === wanted[index];
        }), { timeout: 10_000, polling: 50 }, expected);
        assert.deepEqual(await page.$$eval('#grid .tile', (tiles) => tiles.filter(({ dataset }) => dataset.state === 'draft').length), 0);
      }
      await page.mouse.up();
    });

    test('the slider goes as far as the model knows; scale, class and seed pass to the whole one, its settings wait for it', async () => {
      await open(linkTo(fast, 'cat', 6));
      assert.deepEqual([await numberOf(page, '#scale', 'min'), await numberOf(page, '#scale', 'max')], fast.info.guidanceScaleRange);
      await showDepth(page, 'lab');
      await usesModel(page, whole);
      await settled(page, { timeout: 60_000 });
      assert.equal(await numberOf(page, '#scale', 'max'), 10);
      assert.match(await hashOf(page), /label=cat&s=6&seed=7&/);
      assert.equal(await numberOf(page, '#steps'), whole.info.recommended.steps);
      await change(page, () => setNumber(page, '#steps', 3));
      await change(page, () => page.$eval('#scale', (slider) => {
        slider.value = '10';
        slider.dispatchEvent(new Event('input'));
      }));
      await showDepth(page, 'play');
      await usesModel(page, fast);
      await settled(page, { timeout: 60_000 });
      assert.equal(await numberOf(page, '#scale'), fast.info.guidanceScaleRange[1]);
      assert.match(await hashOf(page), new RegExp(`seed=7&steps=${fast.info.recommended.steps}&sampler=${fast.info.recommended.sampler}&`));
      await showDepth(page, 'lab');
      await usesModel(page, whole);
      await settled(page, { timeout: 60_000 });
      assert.equal(await numberOf(page, '#steps'), 3);
    });

    test('what a link asks of it that it cannot do is named', async () => {
      await open(`${linkTo(fast, 'cat', 9)}&rescale=0.5`);
      assert.match(await page.$eval('#error-detail', ({ textContent }) => textContent), /s=9, rescale=0\.5/);
      assert.deepEqual(troubles, []);
    });
  });
}
