// What a page must withstand, in Chromium and in Firefox: servers that misbehave, workers that vanish, storage that is
// full, and a model whose names are HTML. The page of the tests has a strict Content-Security-Policy.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { startBadServer } from '../bad_server.mjs';
import { modelPaths, nativeHashes, pixelHash } from '../native_pictures.mjs';
import { ENGINES, launch, openPage } from './browsers.mjs';
import { serveSite } from './server.mjs';

const tiny = readFileSync(modelPaths.tiny);
const SHA256 = pixelHash(tiny);
const REQUEST = { model: 'tiny', label: 1, seed: 3, steps: 3, guidanceScale: 3, sampler: 'ddim' };
const CODE_IN_NAME = '<img src=x onerror=hacked()>';

/** The tiny model with its first class name replaced by markup of the same length of file. */
function modelWithMarkup() {
  const bytes = Buffer.from(tiny);
  const at = bytes.indexOf('Tiny test model');
  const name = '<b onclick=x()>';
  assert.equal(name.length, 'Tiny test model'.length);
  bytes.write(name, at);
  const label = bytes.indexOf('triangle');
  bytes.write('<i onx=>', label);
  return bytes;
}

/** Runs in the page before anything else. */
function defineHelpers() {
  globalThis.hacked = () => { globalThis.wasHacked = true; };
  globalThis.library = () => import(new URL('index.js', location.href).href);
  globalThis.tryTo = async (url, options) => {
    const { load } = await library();
    try {
      const model = await load(url, { workers: 1, ...options });
      const { pixels } = await model.generate({ label: 1, seed: 3, steps: 3, guidanceScale: 3, sampler: 'ddim' });
      model.close();
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', pixels));
      return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    } catch (error) {
      return error.code ?? String(error);
    }
  };
}

// Not 'reset': browsers repeat a request by themselves when a connection that was kept is reset.
const NETWORK = [
  ['status-404', 'NETWORK'], ['html', 'MAGIC'], ['cut', 'NETWORK'], ['shorter', 'SHORT'], ['shorter', 'INTEGRITY', true],
  ['changed', 'INTEGRITY', true], ['endless', 'INTEGRITY', true], ['no-gzip', 'NETWORK'], ['redirect-elsewhere', 'NETWORK'],
  ['stall-in-body', 'NETWORK', false, { stallTimeout: 1500 }],
];

for (const name of ENGINES) {
  describe(`trust in ${name}`, () => {
    let site;
    let bad;
    let session;
    let page;
    let golden;
    before(async () => {
      [golden] = nativeHashes('native', [REQUEST]);
      bad = await startBadServer({ 'tiny.gguf': { type: 'application/octet-stream', body: tiny } }, { 'access-control-allow-origin': '*' });
      site = await serveSite({ connect: `${bad.url} ${bad.other}` });
      site.extra.set('markup.gguf', { type: 'application/octet-stream', body: modelWithMarkup() });
      site.extra.set('tiny.gguf', { type: 'application/octet-stream', body: tiny });
      session = await launch(name);
      ({ page } = await openPage(session.browser, `${site.url}blank.html`, { prepare: defineHelpers }));
    });
    after(async () => {
      await session?.close();
      await site?.close();
      await bad?.close();
    });

    for (const [behaviour, code, known, options] of NETWORK) {
      test(`${behaviour}${known ? ', hash and size known' : ''}: ${code}, then the golden picture`, async () => {
        const url = `${bad.url}/${behaviour}*${known ? 2 : 1}/${code}/tiny.gguf`;
        const asked = { ...options, ...(known && { sha256: SHA256, fileBytes: tiny.length }) };
        const outcomes = await page.evaluate(async (...values) => [await tryTo(...values), await tryTo(...values)], url, asked);
        // WebKit for GTK takes what is not compressed as it is, although it is said to be.
        assert.deepEqual(outcomes, [name === 'webkit' && behaviour === 'no-gzip' ? golden : code, golden]);
      });
    }

    test('another origin that does not allow it by CORS: NETWORK', async () => {
      assert.equal(await page.evaluate((url) => tryTo(url), `${bad.other}/tiny.gguf`), 'NETWORK');
    });

    test('an origin that the policy of the page forbids: NETWORK', async () => {
      assert.equal(await page.evaluate(() => tryTo('http://127.0.0.1:9/tiny.gguf')), 'NETWORK');
    });

    test('a worker that the browser takes away is noticed at once', async () => {
      const { code, milliseconds } = await page.evaluate(async () => {
        const { load } = await library();
        const Original = Worker;
        let worker;
        globalThis.Worker = class extends Original {
          constructor(...values) {
            super(...values);
            worker = this;
          }
        };
        const model = await load('tiny.gguf', { workers: 1 });
        globalThis.Worker = Original;
        const call = model.generate({ label: 0, steps: 100, onStep: () => new Promise(() => {}) }).then(() => 'none', (error) => error.code);
        const start = performance.now();
        worker.terminate(); // no event tells of it
        const result = await call;
        model.close();
        return { code: result, milliseconds: performance.now() - start };
      });
      assert.equal(code, 'WORKER');
      assert.ok(milliseconds < 5000, `${milliseconds} ms`);
    });

    test('full storage does not matter', async () => {
      const outcome = await page.evaluate(async () => {
        const fail = () => { throw new DOMException('full', 'QuotaExceededError'); };
        Storage.prototype.setItem = fail;
        IDBFactory.prototype.open = fail;
        if (globalThis.Cache) Cache.prototype.put = async () => fail();
        return tryTo('tiny.gguf');
      });
      assert.equal(outcome, golden);
    });

    test('names that are HTML stay text', async () => {
      const found = await page.evaluate(async (code) => {
        const { load } = await library();
        const model = await load('markup.gguf');
        const { name: title } = model.info;
        const error = await model.generate({ label: code }).catch((reason) => reason);
        const line = document.createElement('p');
        line.textContent = `${title} ${model.labels} ${error.message}`;
        document.body.append(line);
        model.close();
        return { title, labels: model.labels, elements: line.childElementCount, hacked: globalThis.wasHacked ?? false };
      }, CODE_IN_NAME);
      assert.deepEqual(found, { title: '<b onclick=x()>', labels: ['circle', 'square', '<i onx=>'], elements: 0, hacked: false });
    });

    test('the page shows such names as text', async () => {
      const markup = modelWithMarkup();
      const entry = { name: CODE_IN_NAME, file: 'doodles.gguf', bytes: markup.length, sha256: pixelHash(markup), license: CODE_IN_NAME };
      site.extra.set('weights/doodles.gguf', { type: 'application/octet-stream', body: markup });
      site.extra.set('weights/manifest.json', { type: 'application/json', body: JSON.stringify({ models: [entry] }) });
      const { page: whole, troubles } = await openPage(session.browser, `${site.url}#label=0`, { prepare: defineHelpers });
      await whole.waitForFunction(() => document.body.textContent.includes('<i onx=>'), { timeout: 30_000 });
      assert.equal(await whole.evaluate(() => document.querySelectorAll('[onx], [onclick], img[src="x"]').length), 0);
      assert.equal(await whole.evaluate(() => globalThis.wasHacked ?? false), false);
      assert.deepEqual(troubles, []);
      await whole.close();
    });
  });
}
