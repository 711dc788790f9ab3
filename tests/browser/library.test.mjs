// The library on an empty page under a strict Content-Security-Policy, in Chromium, Firefox and WebKit.

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { version } from 'pocket-diffusion';
import { modelPath, modelPaths, nativeHashes, optionsOf, requests } from '../native_pictures.mjs';
import { ENGINES, launch, openPage } from './browsers.mjs';
import { serveSite } from './server.mjs';

/** The page has no use for it, so it is no part of the site. */
const RELAXED_MODULE = new URL('../../web/pocket-diffusion-relaxed.wasm', import.meta.url);

/** The longest time that a page may not answer, in milliseconds. */
const LONGEST_GAP = 100;

/** Runs in the page before anything else. */
function defineHelpers() {
  globalThis.loadDoodles = async (options) => {
    const { load } = await import(new URL('index.js', location.href).href);
    return load(new URL('weights/doodles.gguf', location.href), options);
  };
  globalThis.pixelHash = async ({ pixels }) => {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', pixels));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  };
}

for (const name of ENGINES) {
  describe(`library in ${name}`, () => {
    let site;
    let session;
    let page;
    let troubles;
    before(async () => {
      site = await serveSite();
      site.extra.set('request_options.mjs', { type: 'text/javascript', body: `export ${optionsOf}` });
      for (const [model, path] of Object.entries(modelPaths)) {
        if (path !== modelPath) site.extra.set(`${model}.gguf`, { type: 'application/octet-stream', body: readFileSync(path) });
      }
      session = await launch(name);
      ({ page, troubles } = await openPage(session.browser, `${site.url}blank.html`, { prepare: defineHelpers }));
      await page.evaluate(async () => {
        globalThis.progress = [];
        globalThis.model = await loadDoodles({ onProgress: (event) => progress.push(event) });
      });
    });
    after(async () => {
      await session?.close();
      await site?.close();
    });

    test('reports the progress of the download', async () => {
      const progress = await page.evaluate(() => globalThis.progress);
      const size = statSync(modelPath).size;
      assert.deepEqual(progress.at(-1), { loaded: size, total: size });
      progress.reduce((previous, { loaded, total }) => {
        assert.ok(loaded > previous && total === size, `${loaded} of ${total} after ${previous}`);
        return loaded;
      }, 0);
    });

    test('makes the pixels of the native program', async () => {
      const hashes = await page.evaluate(async (all, names) => {
        const { load } = await import(new URL('index.js', location.href).href);
        const models = {};
        for (const name of names) models[name] = name === 'doodles' ? model : await load(new URL(`${name}.gguf`, location.href));
        const found = [];
        const { optionsOf } = await import(new URL('request_options.mjs', location.href).href);
        for (const request of all) {
          const asked = models[request.model];
          found.push(await pixelHash(await asked.generate(optionsOf(request, asked.info))));
        }
        return found;
      }, requests, Object.keys(modelPaths));
      assert.deepEqual(hashes, nativeHashes());
    });

    test('relaxed SIMD is used where it is asked for and there is some', async () => {
      site.extra.set('pocket-diffusion-relaxed.wasm', { type: 'application/wasm', body: readFileSync(RELAXED_MODULE) });
      const { engines, supported, largest } = await page.evaluate(async () => {
        const relaxed = await loadDoodles({ relaxed: true });
        const { engine } = relaxed.info;
        const [ours, theirs] = await Promise.all([model, relaxed].map((each) => each.generate({ label: 'cat', seed: 1 })));
        relaxed.close();
        const bytes = await (await fetch('pocket-diffusion-relaxed.wasm')).arrayBuffer();
        return {
          engines: [model.info.engine, engine],
          supported: WebAssembly.validate(bytes),
          largest: Math.max(...ours.pixels.map((value, i) => Math.abs(value - theirs.pixels[i]))),
        };
      });
      if (name === 'chrome') assert.ok(supported);
      assert.deepEqual(engines, [version, supported ? `${version}+relaxed` : version]);
      assert.ok(largest <= (supported ? 2 : 0), `${largest}`);
    });

    test('leaves the page responsive', async () => {
      // What else runs on the machine can only make it worse: the best of three.
      const draw = () => page.evaluate(async () => {
        let last = performance.now();
        let longest = 0;
        let ticks = 0;
        const timer = setInterval(() => {
          const now = performance.now();
          longest = Math.max(longest, now - last);
          last = now;
          ticks++;
        }, 5);
        await model.generate({ label: 'cat', seed: 1, steps: 40, onStep() {} });
        clearInterval(timer);
        return { longest, ticks };
      });
      const gaps = [];
      while (gaps.length < 3 && !(Math.min(...gaps) < LONGEST_GAP)) {
        const { longest, ticks } = await draw();
        assert.ok(ticks > 10, `${ticks} ticks`);
        gaps.push(longest);
      }
      assert.ok(Math.min(...gaps) < LONGEST_GAP, `${gaps} ms`);
    });

    test('an aborted run rejects at once and leaves no trace', async () => {
      const result = await page.evaluate(async () => {
        const options = { label: 'bird', seed: 5, steps: 10 };
        const controller = new AbortController();
        let abortedAt = 0;
        const aborted = model.generate({
          ...options,
          steps: 250,
          signal: controller.signal,
          onStep({ step }) {
            if (step !== 3) return;
            abortedAt = performance.now();
            controller.abort();
          },
        });
        const error = await aborted.then(() => ({ name: 'no error' }), (reason) => reason);
        const latency = performance.now() - abortedAt;
        const next = await pixelHash(await model.generate(options));
        const fresh = await loadDoodles();
        const undisturbed = await pixelHash(await fresh.generate(options));
        fresh.close();
        return { name: error.name, latency, next, undisturbed };
      });
      assert.equal(result.name, 'AbortError');
      assert.ok(result.latency < LONGEST_GAP, `${result.latency} ms`);
      assert.equal(result.next, result.undisturbed);
    });

    test('an aborted download rejects', async () => {
      const name = await page.evaluate(async () => {
        const controller = new AbortController();
        const loading = loadDoodles({ signal: controller.signal, onProgress: () => controller.abort() });
        return loading.then(() => 'no error', (error) => error.name);
      });
      assert.equal(name, 'AbortError');
    });

    test('pending calls reject when the worker fails', async () => {
      const codes = await page.evaluate(async () => {
        const Original = Worker;
        let worker;
        globalThis.Worker = class extends Original {
          constructor(url, options) {
            super(new URL('fragile_worker.js', url), options);
            worker = this;
          }
        };
        const fragile = await loadDoodles({ workers: 1 });
        globalThis.Worker = Original;
        const code = (call) => call.then(() => 'no error', (error) => error.code);
        const pending = [
          code(fragile.generate({ label: 0, steps: 250 })),
          code(fragile.generate({ label: 1, steps: 250, onStep: () => worker.postMessage('fail') })),
        ];
        const pendingCodes = await Promise.all(pending);
        return [...pendingCodes, await code(fragile.generate({ label: 0, steps: 1 }))];
      });
      assert.deepEqual(codes, ['WORKER', 'WORKER', 'no error']);
    });

    test('pending calls reject when the model is closed', async () => {
      const codes = await page.evaluate(async () => {
        const closing = await loadDoodles();
        const pending = closing.generate({ label: 0, steps: 250, onStep: () => closing.close() });
        const code = (call) => call.then(() => 'no error', (error) => error.code);
        return [await code(pending), await code(closing.generate({ label: 0 }))];
      });
      assert.deepEqual(codes, ['CLOSED', 'CLOSED']);
    });

    test('without a worker it works in the page; who asked for one learns why there is none', async () => {
      const { port, pathname } = new URL(site.url);
      const { page: other } = await openPage(session.browser, `${site.url}blank.html`, { prepare: defineHelpers });
      const expected = await page.evaluate(async () => pixelHash(await model.generate({ label: 4, seed: 7, steps: 4 })));
      for (const script of [`http://localhost:${port}${pathname}worker.js`, 'no_such_worker.js']) {
        const seen = await other.evaluate(async (address) => {
          const Original = Worker;
          let made = 0;
          globalThis.Worker = class extends Original {
            constructor(url, options) {
              made++;
              super(new URL(address, url), options);
            }
          };
          try {
            const alone = await loadDoodles();
            const hash = await pixelHash(await alone.generate({ label: 4, seed: 7, steps: 4 }));
            alone.close();
            const code = await loadDoodles({ worker: true }).then(() => 'no error', (error) => error.code);
            return { made, hash, code };
          } finally {
            globalThis.Worker = Original;
          }
        }, script);
        assert.deepEqual(seen, { made: 2, hash: expected, code: 'WORKER' }, script);
      }
      await other.close();
    });

    test('breaks no rule of the policy and asks nobody else', () => {
      const expected = /on purpose/; // the worker that failed; Firefox reports it on the console as well
      assert.deepEqual(troubles.filter((trouble) => !expected.test(trouble)), []);
    });
  });
}
