// The article in Chromium and Firefox: every figure draws what Node computes, moves by keys, and stands in the link; one by one
// the figures work in pages of others under a strict policy.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import axe from 'axe-core';
import jsQR from 'jsqr';
import { load } from 'pocket-diffusion';
import { buildFigures } from '../../scripts/site/build_learn.mjs';
import { KINDS } from '../../web/learn/figure.mjs';
import { coarseShape, recognise, spreadOf } from '../../web/learn/kinds/price.mjs';
import { attentionOf, layersOf, sharesOf } from '../../web/learn/layers.mjs';
import { walk } from '../../web/learn/mixture.mjs';
import { clip, combine, estimates, guide, jump, marginal, posterior } from '../../web/learn/process.mjs';
import { noiseOf, pictureOf } from '../../web/learn/sources.mjs';
import { tensorOfPixels } from '../../web/learn/tensors.mjs';
import { modelPath } from '../native_pictures.mjs';
import { root } from '../node/helpers.mjs';
import { BROWSERS, launch, openPage } from './browsers.mjs';
import { longestTask } from './page_tools.mjs';
import { serveSite } from './server.mjs';
import { serveStatic } from './static_server.mjs';

/** Of the page's thread while a slider is dragged, in milliseconds of its CPU time. */
const LONGEST_TASK = 50;
const TRIES = 4;
const kinds = Object.keys(KINDS);
const readCode = jsQR.default ?? jsQR;

/** Runs in the page before anything else. */
function watch() {
  globalThis.violations = [];
  addEventListener('securitypolicyviolation', ({ violatedDirective, sourceFile }) => violations.push(`${violatedDirective} ${sourceFile}`));
  globalThis.figure = (kind) => document.querySelector(`pocket-diffusion-figure[kind="${kind}"]`);
  globalThis.inside = (kind, selector) => figure(kind).shadowRoot.querySelector(selector);
  /** Numbers of a figure; arrays travel as lists. */
  globalThis.valuesOf = (kind) => Object.fromEntries(Object.entries(figure(kind).values).map(([name, value]) => [name, ArrayBuffer.isView(value) ? Array.from(value) : value]));
}

async function drawn(page, kind) {
  await page.evaluate((one) => figure(one).begin(), kind);
  await page.waitForFunction((one) => ['done', 'error'].includes(figure(one).state), { timeout: 60_000 }, kind);
  assert.equal(await page.evaluate((one) => figure(one).state, kind), 'done', await page.evaluate((one) => inside(one, '.stage').textContent, kind));
}

/** Sets attributes of a figure, and waits until that is on show. */
async function set(page, kind, attributes) {
  await page.evaluate((one, wanted) => Object.entries(wanted).forEach(([name, value]) => figure(one).setAttribute(name, value)), kind, attributes);
  await drawn(page, kind);
}

let model;
before(async () => (model = await load(modelPath)));
after(() => model.close());

/** What a figure must show, by Node. */
const EXPECTED = {
  noise: async (page) => {
    await set(page, 'noise', { t: 500, label: 'house', seed: 3 });
    const { x, ...values } = await page.evaluate(() => valuesOf('noise'));
    const at = marginal(model.info, 500);
    assert.deepEqual(x, Array.from(jump(await pictureOf(model, model.labels.indexOf('house'), 7), await noiseOf(model, 3), at)));
    assert.equal(values.abar, model.info.alphasCumprod[500]);
    assert.ok(Math.abs(values.jumped / at.noise - 1) < 0.09 && Math.abs(values.walked / at.noise - 1) < 0.09, JSON.stringify(values));
    const says = await page.evaluate(() => inside('noise', '.equation').textContent);
    assert.equal(says, `xt=500 = ${at.signal.toFixed(3)} x0 + ${at.noise.toFixed(3)} ε`);
  },
  prediction: async (page) => {
    await set(page, 'prediction', { t: 700, label: 'cat', seed: 2, known: 'no' });
    const { x, epsHat } = await page.evaluate(() => valuesOf('prediction'));
    const [v, at] = [await model.predict(Float32Array.from(x), 700, null), marginal(model.info, 700)];
    assert.deepEqual(epsHat, x.map((value, index) => Math.fround(at.noise * value + at.signal * v[index])));
  },
  posterior: async (page) => {
    await set(page, 'posterior', { t: 500, back: 200, label: 'dog', seed: 4, guess: '' });
    const { mean, ...values } = await page.evaluate(() => valuesOf('posterior'));
    const at = marginal(model.info, 500);
    const x = jump(await pictureOf(model, model.labels.indexOf('dog'), 7), await noiseOf(model, 4), at);
    const x0 = clip(estimates('pred_v', await model.predict(x, 500, 'dog'), x, at).x0);
    const { ofPicture, ofState, deviation } = posterior(model.info, 500, 300);
    assert.deepEqual(mean, Array.from(combine(ofPicture, x0, ofState, x)));
    assert.ok(values.deviation === deviation && Math.abs(values.measured / deviation - 1) < 0.045, JSON.stringify(values));
  },
  reverse: async (page) => {
    await set(page, 'reverse', { at: 100, steps: 9, sampler: 'ddim', eta: 0.5, label: 'banana', seed: 8 });
    const made = await model.generate({ label: 'banana', seed: 8, steps: 9, sampler: 'ddim', eta: 0.5, trace: true });
    assert.deepEqual((await page.evaluate(() => valuesOf('reverse'))).pixels, Array.from(made.pixels));
    await set(page, 'reverse', { at: 33 });
    const { x, t, done } = await page.evaluate(() => valuesOf('reverse'));
    assert.deepEqual([x, t, done], [Array.from(made.trace[3].x.values), made.trace[3].timestep, 3]);
  },
  class: async (page) => {
    await set(page, 'class', { s: 3, seed: 6, at: 12 });
    const { first, none } = await page.evaluate(() => valuesOf('class'));
    const options = { label: 0, seed: 6, steps: 12, sampler: 'ddim' };
    assert.deepEqual(first, Array.from((await model.generate({ ...options, guidanceScale: 3 })).pixels));
    assert.deepEqual(none, Array.from((await model.generate({ ...options, guidanceScale: 0 })).pixels));
  },
  price: async (page) => {
    await set(page, 'price', { model: '../weights/digits.gguf', s: 4, label: 2 });
    const { spread, hits, recognised } = await page.evaluate(() => valuesOf('price'));
    const small = await load(join(root, 'weights/digits.gguf'));
    const shapes = [];
    let found = 0;
    for await (const { pixels } of small.generateMany({ label: 2, count: 48, seed: 1, steps: 6, sampler: 'unipc', guidanceScale: 4 })) {
      shapes.push(coarseShape(pixels, small.info));
      if (await recognise(small, tensorOfPixels(pixels, small.info), 10) === 2) found++;
    }
    small.close();
    assert.ok(Math.abs(spread - spreadOf(shapes)) < 1e-6);
    assert.deepEqual([hits, recognised], [found, found / 48]);
    assert.ok(found > 40);
  },
  plane: async (page) => {
    await set(page, 'plane', { s: 4, seed: 2, steps: 20, label: 1 });
    const { first } = await page.evaluate(() => valuesOf('plane'));
    const expected = walk({ seed: 120, steps: 20, label: 1, s: 4, eta: 0 }).at(-1);
    assert.ok(first.every((value, axis) => Math.abs(value - expected[axis]) < 1e-3), `${first}, ${expected}`); // browsers' exp and cos differ in the last digit
  },
  code: async (page) => {
    await set(page, 'code', { s: 2.5, steps: 12, label: 'bird', seed: 4 });
    const { difference, calls } = await page.evaluate(() => valuesOf('code'));
    assert.ok(difference < 1 / 255 && calls === 24, `${difference}`); // pixels are rounded to levels 2 / 255 apart
    assert.match(await page.evaluate(() => inside('code', 'pre').textContent), /^export async function draw\(model, x, \{ label, s, steps \}, show\) \{\n[^@]*\}$/);
  },
  inside: async (page) => {
    await set(page, 'inside', { layer: 5, t: 400, channel: 9, pixel: 3, label: 'clock', seed: 6, known: 'no' });
    const { x, map, shares, operation } = await page.evaluate(() => valuesOf('inside'));
    assert.deepEqual(x, Array.from(jump(await pictureOf(model, model.labels.indexOf('clock'), 7), await noiseOf(model, 6), marginal(model.info, 400))));
    const operations = await model.operations();
    const layer = layersOf(operations)[5];
    const places = layer.width * layer.height;
    assert.deepEqual([operation, map], [layer.operation, Array.from((await model.activations(Float32Array.from(x), 400, null, layer.operation)).slice(9 * places, 10 * places))]);
    const attention = attentionOf(operations);
    const expected = sharesOf(await model.activations(Float32Array.from(x), 400, null, attention.queries), attention, 3)[0];
    assert.ok(shares.every((share, place) => Math.abs(share - expected[place]) < 1e-6));
  },
  guidance: async (page) => {
    await set(page, 'guidance', { s: 4.5, label: 'flower', seed: 5, step: 6 });
    const { pixels, guided, t, disagreement, w } = await page.evaluate(() => valuesOf('guidance'));
    const options = { label: 'flower', seed: 5, sampler: 'ddim', steps: 12, eta: 0, guidanceScale: 4.5, trace: true };
    assert.deepEqual(pixels, Array.from((await model.generate(options)).pixels));
    assert.ok(disagreement < 1e-5 && w === 3.5);
    const { trace } = await model.generate({ ...options, guidanceScale: 1 });
    const { x: { values: x }, timestep } = trace[5];
    const [none, flower] = await Promise.all([null, 'flower'].map((label) => model.predict(x, timestep, label)));
    const at = marginal(model.info, t);
    const said = guide(none, flower, 4.5);
    const farthest = guided.reduce((most, value, index) => Math.max(most, Math.abs(value - (at.noise * x[index] + at.signal * said[index]))), 0);
    assert.ok(timestep === t && farthest < 1e-5, `${farthest}`);
  },
};

for (const browser of BROWSERS) {
  describe(`the article in ${browser}`, () => {
    let site;
    let session;
    before(async () => {
      site = await serveSite();
      session = await launch(browser);
    });
    after(async () => {
      await session?.close();
      await site?.close();
    });

    test('every figure draws what Node computes', async () => {
      assert.deepEqual(Object.keys(EXPECTED).sort(), [...kinds].sort());
      const { page, troubles } = await openPage(session.browser, `${site.url}learn/index.html`, { prepare: watch });
      for (const kind of kinds) await EXPECTED[kind](page);
      assert.deepEqual([await page.evaluate(() => violations), troubles], [[], []]);
      await page.close();
    });

    test('every input of every figure moves it by keys, in Chinese as well, and the link brings all of it back', async () => {
      const { page, troubles } = await openPage(session.browser, `${site.url}learn/zh.html#model=digits`, { prepare: watch });
      for (const kind of kinds) {
        await drawn(page, kind);
        for (const input of await page.$$(`pocket-diffusion-figure[kind="${kind}"] >>> :is(input, select)`)) {
          const look = () => page.evaluate((node) => (node.type === 'checkbox' ? node.checked : node.value), input);
          const [before, type] = [await look(), await page.evaluate((node) => node.type, input)];
          await input.focus();
          await page.keyboard.press({ checkbox: ' ', number: 'ArrowUp', 'select-one': 'ArrowDown' }[type] ?? 'ArrowRight');
          if (type === 'range' && before === await look()) await page.keyboard.press('ArrowLeft');
          await drawn(page, kind);
          assert.notEqual(await look(), before, `${kind}: ${type} ${await page.evaluate(({ name }) => name, input)}`);
          assert.ok(await page.evaluate((one, { name }) => figure(one).hasAttribute(name), kind, input), 'the figure has it');
        }
        const [says, spoken] = await page.evaluate(async (one) => {
          await new Promise((resolve) => setTimeout(resolve, 900));
          return ['.says', '.spoken'].map((selector) => inside(one, selector).textContent);
        }, kind);
        assert.match(says, /[\u4e00-\u9fff]/u);
        assert.equal(spoken, says, 'is read out');
      }
      const changed = await page.evaluate((all) => all.map((kind) => figure(kind).changed), kinds);
      assert.ok(changed.every((each) => Object.keys(each).length > 0), JSON.stringify(changed));
      const { hash } = new URL(await page.evaluate(() => location.href));
      const values = await page.evaluate((all) => all.map((kind) => valuesOf(kind)), kinds);
      await page.goto('about:blank');
      await page.goto(`${site.url}learn/index.html${hash}`);
      for (const [index, kind] of kinds.entries()) {
        await drawn(page, kind);
        const { name: _, ...again } = await page.evaluate((one) => valuesOf(one), kind);
        const { name: __, ...first } = values[index];
        assert.deepEqual(again, first, kind);
      }
      assert.equal(await page.$eval('#model', ({ value }) => value), 'digits');
      assert.deepEqual([await page.evaluate(() => violations), troubles], [[], []]);
      await page.close();
    });

    test('links leave alone what they do not name, and figures that have not begun keep what they say', async () => {
      const { page, troubles } = await openPage(session.browser, `${site.url}learn/index.html#model=digits&posterior.t=100&guidance.s=5&at=guidance`, { prepare: watch });
      const hashes = () => page.evaluate(() => [location.hash, ...[...document.querySelectorAll('nav a[hreflang]')].map(({ hash }) => hash)]);
      const wait = (...parts) => page.waitForFunction((all) => all.every((part) => location.hash.includes(part)), {}, parts);
      const kept = async (...parts) => {
        await wait(...parts);
        for (const hash of await hashes()) for (const part of ['model=digits', 'posterior.t=100', ...parts]) assert.ok(hash.includes(part), `${part} in ${hash}`);
      };
      await kept('guidance.s=5');
      await drawn(page, 'guidance');
      const slider = await page.$('pocket-diffusion-figure[kind="guidance"] >>> input[name="s"]');
      await slider.focus();
      await page.keyboard.press('ArrowRight');
      await kept('guidance.s=5.1');
      await page.evaluate(() => document.querySelector('.contents a[href="#plane"]').click());
      await kept('at=plane');
      await page.evaluate(() => document.querySelector('#exercises a[href^="#noise.t=400"]').click());
      await kept('guidance.s=5.1', 'noise.t=400', 'at=noise');
      assert.deepEqual(await page.evaluate(() => [document.getElementById('model').value, figure('noise').getAttribute('t')]), ['digits', '400']);
      assert.ok(await page.evaluate(() => Math.abs(document.getElementById('noise').getBoundingClientRect().top) < 40), 'goes to the figure');
      await page.goBack();
      await page.waitForFunction(() => !figure('noise').hasAttribute('t'));
      await kept('guidance.s=5.1', 'at=exercises');
      assert.deepEqual([await page.evaluate(() => violations), troubles], [[], []]);
      await page.close();
    });

    test('one of its figures works alone in another page, under a strict policy', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-figures-'));
      const pageOf = (kind) => `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>figure</title>
        <script type="module" src="/figures/pocket-diffusion-figure.js"></script></head>
        <body><main><h1>A course</h1><pocket-diffusion-figure kind="${kind}" model="/weights/digits.gguf" label="7"></pocket-diffusion-figure></main></body></html>`;
      await buildFigures(folder);
      const server = await serveStatic({
        folders: { '/figures/': folder, '/weights/': join(root, 'weights') },
        pages: Object.fromEntries([...kinds, 'nonsense'].map((kind) => [`/${kind}.html`, pageOf(kind)])),
      });
      try {
        for (const kind of kinds) {
          const { page, troubles } = await openPage(session.browser, `${server.origin}/${kind}.html`, { prepare: watch });
          await page.waitForFunction(() => customElements.get('pocket-diffusion-figure'));
          await drawn(page, kind);
          assert.deepEqual([await page.evaluate(() => violations), troubles], [[], []], kind);
          const loaded = server.requests.splice(0);
          assert.deepEqual(kinds.filter((other) => loaded.some((path) => path.includes(`learn-${other}-`))), [kind], 'nothing of other kinds');
          await page.close();
        }
        const { page } = await openPage(session.browser, `${server.origin}/nonsense.html`, { prepare: watch });
        await page.waitForFunction(() => globalThis.figure?.('nonsense').state === 'error');
        assert.match(await page.evaluate(() => inside('nonsense', '[role="alert"]').textContent), /kind: must be one of noise, .* not "nonsense"/);
        await page.close();
      } finally {
        await server.close();
        await rm(folder, { recursive: true });
      }
    });

    test('a drawing of the reader’s own is noised, made by mouse or by keys; all scales are measured at a click', async () => {
      const { page, troubles } = await openPage(session.browser, `${site.url}learn/index.html#model=digits&noise.t=0`, { prepare: watch });
      const click = (kind, name) => page.evaluate((one, wanted) => inside(one, `button[data-name="${wanted}"]`).click(), kind, name);
      /** Pixels of ink in x_0, which at t = 0 nothing hides. */
      const ink = async () => {
        await drawn(page, 'noise');
        return page.evaluate(() => valuesOf('noise').x.filter((value) => value < 0).length);
      };
      const given = await ink();
      await click('noise', 'clear');
      assert.ok(given > 20 && await ink() === 0, 'white paper');
      for (const key of [' ', ...new Array(8).fill('ArrowRight'), ' ', 'ArrowDown']) await page.keyboard.press(key);
      const byKeys = await ink();
      assert.ok(byKeys >= 8 && byKeys <= 40, `${byKeys}`);
      const canvas = await page.$('pocket-diffusion-figure[kind="noise"] >>> canvas[data-own]');
      const { x, y, width, height } = await canvas.boundingBox();
      await page.mouse.move(x + width * 0.2, y + height * 0.2);
      await page.mouse.down();
      await page.mouse.move(x + width * 0.8, y + height * 0.2);
      await page.mouse.up();
      assert.ok(await ink() > byKeys + 15, 'a line by mouse');
      await set(page, 'price', { label: 1, s: 0 });
      await click('price', 'all');
      await page.waitForFunction(() => figure('price').getAttribute('s') === '8' && figure('price').state === 'done', { timeout: 120_000 });
      const points = await page.evaluate(() => inside('price', '.line.first').getAttribute('d').split('L').length);
      assert.equal(points, 8);
      await click('price', 'all');
      await set(page, 'price', { s: 5 });
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 500)));
      assert.deepEqual(await page.evaluate(() => [figure('price').getAttribute('s'), figure('price').state]), ['5', 'done'], 'the reader’s own scale ends it');
      assert.deepEqual([await page.evaluate(() => violations), troubles], [[], []]);
      await page.close();
    });

    test('inside the network: a channel is looked at by pointing, kept by a click, and the place that asks is picked on the picture', async () => {
      const { page, troubles } = await openPage(session.browser, `${site.url}learn/index.html#model=digits&inside.layer=3`, { prepare: watch });
      await page.evaluate(() => { // a hand that is there before anything is drawn
        globalThis.early = 0;
        new MutationObserver((_, observer) => {
          const canvas = inside('inside', '.stage > .board > canvas');
          if (!canvas) return;
          observer.disconnect();
          for (const type of ['pointermove', 'click', 'pointerleave']) early += canvas.dispatchEvent(new PointerEvent(type));
        }).observe(figure('inside').shadowRoot, { childList: true, subtree: true });
      });
      await drawn(page, 'inside');
      assert.ok(await page.evaluate(() => early === 3 && !figure('inside').hasAttribute('channel')), 'and nothing comes of it');
      const said = () => page.evaluate(() => inside('inside', '.stage > .row .tile:nth-child(2) figcaption').textContent);
      const point = async (selector, x, y, act) => {
        const canvas = await page.$(`pocket-diffusion-figure[kind="inside"] >>> ${selector}`);
        await page.evaluate((node) => node.scrollIntoView({ block: 'center' }), canvas);
        const box = await canvas.boundingBox();
        await act(box.x + x * box.width, box.y + y * box.height);
        await drawn(page, 'inside');
      };
      const before = await said();
      await point('.stage > .board > canvas', 0.99, 0.02, (x, y) => page.mouse.move(x, y));
      const pointedAt = await said();
      assert.match(before, /^channel 1:/);
      assert.match(pointedAt, /^channel ([5-9]|1\d):/, 'the last of the first row');
      assert.equal(await page.evaluate(() => figure('inside').hasAttribute('channel')), false, 'only looked at');
      await page.mouse.move(0, 0);
      assert.equal(await said(), before);
      await point('.stage > .board > canvas', 0.99, 0.02, (x, y) => page.mouse.click(x, y));
      assert.equal(await page.evaluate(() => Number(figure('inside').getAttribute('channel')) + 1), Number(/\d+/.exec(pointedAt)[0]));
      await point('.tile canvas[data-own]', 0.05, 0.95, (x, y) => page.mouse.click(x, y));
      assert.equal(await page.evaluate(() => figure('inside').getAttribute('pixel')), '56', 'the first of the last row, of 8 × 8');
      await point('.way', 0.99, 0.5, (x, y) => page.mouse.click(x, y));
      assert.equal(await page.evaluate(() => figure('inside').getAttribute('layer')), '22', 'the last');
      await set(page, 'inside', { layer: 4 });
      assert.match(await page.evaluate(() => inside('inside', '.says').textContent), /down, linear attention.*has no shares to show/);
      assert.deepEqual([await page.evaluate(() => violations), troubles], [[], []]);
      await page.close();
    });

    test('lecture mode goes from figure to figure by keys, and shows the code of the place', async () => {
      const { page, troubles } = await openPage(session.browser, `${site.url}learn/index.html#model=digits`, { prepare: watch });
      await page.$eval('#lecture', (button) => button.click());
      const shown = () => page.$$eval('section', (all) => all.filter((section) => section.getBoundingClientRect().height > 0).map(({ id }) => id));
      assert.deepEqual(await shown(), ['noise']);
      for (const [key, expected] of [['ArrowRight', 'prediction'], ['PageDown', 'posterior'], ['ArrowLeft', 'prediction'], ['PageUp', 'noise'], ['ArrowLeft', 'noise']]) {
        await page.keyboard.press(key);
        assert.deepEqual(await shown(), [expected], key);
      }
      await drawn(page, 'noise');
      const slider = await page.$('pocket-diffusion-figure[kind="noise"] >>> input[type="range"]');
      await slider.focus();
      await page.keyboard.press('ArrowRight');
      assert.deepEqual([await shown(), await page.evaluate(({ value }) => value, slider)], [['noise'], '301'], 'a slider keeps its arrows');
      await page.keyboard.press('PageDown');
      assert.deepEqual([await shown(), await page.evaluate(({ value }) => value, slider)], [['prediction'], '301'], 'but a remote control goes on');
      await page.keyboard.press('PageUp');
      await page.$$eval('.lecture-bar button', (all) => all.find(({ textContent }) => textContent === 'QR code').click());
      const { data, width, height } = await page.waitForFunction(() => {
        const canvas = document.querySelector('.scan canvas');
        if (!canvas || canvas.width < 20) return false;
        const large = Object.assign(document.createElement('canvas'), { width: canvas.width * 4, height: canvas.height * 4 });
        const context = large.getContext('2d');
        context.imageSmoothingEnabled = false;
        context.drawImage(canvas, 0, 0, large.width, large.height);
        return { data: Array.from(context.getImageData(0, 0, large.width, large.height).data), width: large.width, height: large.height };
      }).then((handle) => handle.jsonValue());
      const link = new URL(readCode(Uint8ClampedArray.from(data), width, height).data);
      assert.match(link.hash, /noise\.t=301/, 'of this very moment');
      assert.doesNotMatch(link.hash, /lecture/, 'readers get the article');
      await page.$eval('.scan button', (button) => button.click());
      assert.match(await page.evaluate(() => location.hash), /noise\.t=301.*lecture/);
      await page.goto('about:blank');
      await page.goto(`${site.url}learn/index.html#at=guidance&lecture=`);
      await drawn(page, 'guidance');
      assert.deepEqual(await shown(), ['guidance'], 'a link into the lecture');
      await page.keyboard.press('Escape');
      assert.ok((await shown()).length > 5);
      assert.deepEqual([await page.evaluate(() => violations), troubles], [[], []]);
      await page.close();
    });

    test('the slides: all of them by keys, each with its figure drawn, notes, and the code of the figure; a place in the link, and offline', async () => {
      const { page, troubles } = await openPage(session.browser, `${site.url}learn/slides.html`, { prepare: watch });
      const shown = () => page.evaluate(() => {
        const sections = [...document.querySelectorAll('section')];
        const visible = sections.filter((section) => section.checkVisibility());
        return { count: sections.length, visible: visible.map(({ id }) => id), focused: document.activeElement?.textContent, title: visible[0].querySelector('h1').textContent };
      });
      /** The figure of the slide on show is drawn: something is on each of its canvases. */
      const figured = async () => {
        await page.waitForFunction(() => ['done', 'error', undefined].includes(document.querySelector('[data-shown] pocket-diffusion-figure')?.state), { timeout: 60_000 });
        assert.deepEqual(await page.evaluate(() => {
          const figure = document.querySelector('[data-shown] pocket-diffusion-figure');
          return figure ? [figure.state, [...figure.shadowRoot.querySelectorAll('canvas')].every(({ width }) => width > 1), figure.shadowRoot.querySelector('.says').textContent.length > 30] : ['done', true, true];
        }), ['done', true, true]);
      };
      const { count } = await shown();
      const seen = new Set();
      for (let number = 1; number <= count; number++) {
        const { visible: [id, ...others], focused, title } = await shown();
        assert.deepEqual([others, focused], [[], title], 'one at a time, and its heading is read out');
        assert.equal(await page.evaluate(() => location.hash), `#${number}`);
        seen.add(id);
        await figured();
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), id);
        if (browser === 'chrome') {
          if (number === 1) await page.evaluate(axe.source);
          assert.deepEqual(await page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ['violations'] })).violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`)), [], id);
        }
        await page.keyboard.press(number % 2 ? 'PageDown' : 'ArrowRight');
      }
      assert.equal(seen.size, count);
      await page.keyboard.press('n');
      assert.equal(await page.evaluate(() => document.querySelector('[data-shown] .notes').checkVisibility()), false);
      await page.keyboard.press('Home');
      assert.deepEqual((await shown()).visible, ['slide-title']);
      for (const [hash, id] of [['#2.5', 'slide-noise'], ['#0', 'slide-title'], ['#99', 'slide-end'], ['#x', 'slide-title']]) {
        await page.evaluate((text) => (location.hash = text), hash);
        await page.waitForFunction((wanted) => document.querySelector('[data-shown]')?.id === wanted, { timeout: 5000 }, id);
      }
      if (browser === 'chrome') { // the other one does not show how it prints
        await page.emulateMediaType('print');
        assert.equal((await shown()).visible.length, count, 'on paper all of them');
        assert.equal(await page.$eval('.lecture-bar', (bar) => bar.checkVisibility()), false);
        await page.emulateMediaType(null);
      }
      await page.evaluate(() => (location.hash = '#4'));
      await page.waitForFunction(() => document.querySelector('[data-shown]').id === 'slide-prediction');
      await figured();
      await page.$$eval('.lecture-bar button', (all) => all.find(({ textContent }) => textContent === 'QR code').click());
      await page.waitForSelector('.scan .address');
      assert.match(await page.$eval('.scan .address', ({ textContent }) => textContent), /learn\/index\.html#prediction\.t=900&at=prediction$/);
      await page.waitForFunction(async () => {
        const kept = (await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()))).flat();
        return ['doodles.gguf', 'digits.gguf', 'learn/slides-zh.html'].every((path) => kept.some(({ url }) => url.endsWith(path)));
      }, { polling: 200, timeout: 30_000 });
      site.down = true;
      try {
        await page.goto(`${site.url}learn/slides-zh.html#11`);
        await figured();
        assert.match((await shown()).title, /^[\u4e00-\u9fff]+$/u);
      } finally {
        site.down = false;
      }
      assert.deepEqual([await page.evaluate(() => violations), troubles], [[], []]);
      await page.close();
    });

    test('opens without a network when it has been read', async () => {
      const { page } = await openPage(session.browser, `${site.url}learn/index.html`, { prepare: watch });
      await drawn(page, 'noise');
      await page.waitForFunction(async () => {
        const names = await caches.keys();
        const kept = (await Promise.all(names.map(async (name) => (await caches.open(name)).keys()))).flat();
        return (await navigator.serviceWorker.getRegistration())?.active && kept.some(({ url }) => url.endsWith('doodles.gguf')) && kept.some(({ url }) => url.endsWith('learn/'));
      }, { polling: 200, timeout: 30_000 });
      site.down = true;
      try {
        for (const path of ['learn/', 'learn/index.html', 'learn/zh.html']) {
          await page.goto(`${site.url}${path}`);
          await drawn(page, 'guidance');
        }
      } finally {
        site.down = false;
      }
      await page.close();
    });

    if (browser !== 'chrome') return;

    test('fingers draw, drag sliders, point at channels and places; the page still scrolls beside them', async () => {
      const viewport = { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
      const { page, troubles } = await openPage(session.browser, `${site.url}learn/index.html#model=digits&noise.t=0`, { viewport, prepare: watch });
      /** A finger from one place of a part of a figure to another, in shares of its sides. */
      const drag = async (kind, selector, [fromX, fromY], [toX, toY]) => {
        await drawn(page, kind);
        const part = await page.$(`pocket-diffusion-figure[kind="${kind}"] >>> ${selector}`);
        await page.evaluate((node) => node.scrollIntoView({ block: 'center' }), part);
        const { x, y, width, height } = await part.boundingBox();
        const at = (share) => [x + width * (fromX + (toX - fromX) * share), y + height * (fromY + (toY - fromY) * share)];
        const touch = await page.touchscreen.touchStart(...at(0));
        for (let move = 1; move <= 8; move++) await touch.move(...at(move / 8));
        await touch.end();
        await drawn(page, kind);
      };
      await page.evaluate(() => figure('noise').begin());
      await drawn(page, 'noise');
      await page.evaluate(() => inside('noise', 'button[data-name="clear"]').click());
      await drag('noise', 'canvas[data-own]', [0.2, 0.3], [0.8, 0.3]);
      const ink = () => page.evaluate(() => valuesOf('noise').x.filter((value) => value < 0).length);
      for (let wait = 0; wait < 50 && await ink() <= 10; wait++) await new Promise((resolve) => setTimeout(resolve, 100));
      assert.ok(await ink() > 10 && await ink() < 120, `a line of ${await ink()} pixels`);
      for (const [kind, name] of [['noise', 't'], ['guidance', 's'], ['plane', 's'], ['inside', 'layer']]) {
        const before = await page.evaluate((one, input) => (figure(one).begin(), figure(one).getAttribute(input)), kind, name);
        await drag(kind, `input[name="${name}"]`, [0.4, 0.5], [0.8, 0.5]);
        // What a finger has done comes to the page as events, some after the call has returned.
        await page.waitForFunction((one, input, was) => figure(one).getAttribute(input) !== was, {}, kind, name, before);
      }
      await drag('inside', '.tile canvas[data-own]', [0.3, 0.3], [0.95, 0.05]);
      await page.waitForFunction(() => figure('inside').getAttribute('pixel') === '7'); // the last place of the first row
      const grid = await page.$('pocket-diffusion-figure[kind="inside"] >>> .stage > .board > canvas');
      const keeps = () => page.waitForFunction(() => Number(figure('inside').getAttribute('channel')) > 0, { timeout: 2000 }).then(() => true, () => false);
      let kept = false;
      for (let tries = 0; tries < 5 && !kept; tries++) { // while the page still scrolls a tap only stops it
        await page.evaluate((node) => node.scrollIntoView({ block: 'center' }), grid);
        const { x, y, width, height } = await grid.boundingBox();
        await page.touchscreen.tap(x + width * 0.97, y + height * 0.05);
        kept = await keeps();
      }
      assert.ok(kept, 'a tap keeps a channel');
      await drawn(page, 'inside');
      assert.equal(await page.evaluate((node) => getComputedStyle(node).touchAction, grid), 'auto', 'and a swipe over them scrolls');
      assert.deepEqual([await page.evaluate(() => violations), troubles], [[], []]);
      await page.close();
    });

    test('axe-core finds nothing, dark and light, in both languages', async () => {
      for (const [path, dark] of [['index.html', false], ['zh.html', true]]) {
        const { page } = await openPage(session.browser, `${site.url}learn/${path}#model=digits`, { dark, prepare: watch });
        for (const kind of kinds) await drawn(page, kind);
        await page.evaluate(axe.source);
        const found = await page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ['violations'] })).violations
          .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ').slice(0, 300)}`));
        assert.deepEqual(found, [], path);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
        await page.setViewport({ width: 320, height: 640 });
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no wider than a small telephone');
        await page.close();
      }
    });

    test('no task of the page takes longer than 50 ms while a slider is dragged', async () => {
      for (const kind of kinds) {
        let longest = Infinity;
        for (let tries = 0; tries < TRIES && longest > LONGEST_TASK; tries++) {
          const { page } = await openPage(session.browser, `${site.url}learn/index.html#model=digits`, { prepare: watch });
          await drawn(page, kind);
          const slider = await page.$(`pocket-diffusion-figure[kind="${kind}"] >>> input[type="range"]`);
          await page.evaluate((node) => node.scrollIntoView({ block: 'center' }), slider);
          const { x, y, width, height } = await slider.boundingBox();
          await page.tracing.start({ categories: ['toplevel', 'blink.user_timing', 'devtools.timeline'] });
          await page.evaluate(() => performance.mark('dragging'));
          await page.mouse.move(x + width * 0.3, y + height / 2);
          await page.mouse.down();
          for (let share = 0.3; share < 0.8; share += 0.01) await page.mouse.move(x + width * share, y + height / 2);
          await page.mouse.up();
          await drawn(page, kind);
          longest = Math.min(longest, longestTask(await page.tracing.stop(), 'dragging'));
          await page.close();
        }
        assert.ok(longest <= LONGEST_TASK, `${kind}: ${longest} ms`);
      }
    });
  });
}
