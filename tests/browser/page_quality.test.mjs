// How good the page is: for people who cannot see it or use no mouse, in speed, in size, and what it asks of the network.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { load } from 'pocket-diffusion';
import { buildOneFile } from '../../scripts/site/build_site.mjs';
import { modelPath, pixelHash } from '../native_pictures.mjs';
import { MORE_ENGINES, launch, openPage, settled } from './browsers.mjs';
import { lettersModel } from './letters_model.mjs';
import { change, dropFile, longestTask, pixelsOfGrid, showDepth, showTab, textOf, waitForState } from './page_tools.mjs';
import { serveCompressed, serveSite } from './server.mjs';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const HASH = '#label=cat&s=3&seed=7&steps=10&sampler=ddim&count=6';

/** The first picture on a cold start, in milliseconds. */
const FIRST_PICTURE = 1500;
const CODE_BYTES = 150_000; // with gzip
const DOWNLOAD_BYTES = 4_000_000;
/** Of the page's thread, in milliseconds of its CPU time. */
const LONGEST_TASK = 50;
/** Of layouts that shift: up to here nobody notices. */
const MOST_SHIFT = 0.01;
const WIDTHS = [320, 360, 390, 412, 430];
/** Networks as Chromium's tools have them; bytes per second, milliseconds. */
const FAST_3G = { latency: 562.5, downloadThroughput: 180_000, uploadThroughput: 84_375 };
const DSL = { latency: 40, downloadThroughput: 1_500_000, uploadThroughput: 500_000 };
/** On the slow one, in milliseconds: something that moves and explains, and a picture of the visitor's own browser. */
const MOVING = 3000;
const OWN_PICTURE = 9000;
/** Other programs on the machine can only make a measurement worse: the best of so many counts. */
const TRIES = 4;

let expected;
/** First digits of the SHA-256 of the model for characters. */
let characters;
before(async () => {
  characters = pixelHash(readFileSync(new URL('../../weights/characters.gguf', import.meta.url))).slice(0, 12);
  const model = await load(modelPath);
  expected = Array.from((await model.generate({ label: 'cat', guidanceScale: 3, seed: 7, steps: 10, sampler: 'ddim' })).pixels);
  model.close();
});

/** What axe-core finds: WCAG 2.2 A and AA, and its best practices. */
async function violations(page) {
  const found = await page.evaluate(async () => {
    const { violations: all } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return all.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ').slice(0, 300)}`);
  });
  return found;
}

/** How much longer a computation takes than it would with a core of its own; 2 at most, for more excuses too much. */
function slowdown() {
  const start = performance.now();
  const cpu = process.cpuUsage();
  while (performance.now() - start < 200);
  const { user, system } = process.cpuUsage(cpu);
  return Math.min(2, ((performance.now() - start) * 1000) / (user + system));
}

/** Sums up what shifts. Runs in the page before anything else. */
function observeShifts() {
  globalThis.shift = 0;
  globalThis.moved = [];
  new PerformanceObserver((list) => list.getEntries().forEach(({ value, hadRecentInput, sources }) => {
    if (hadRecentInput) return; // as browsers count it
    globalThis.shift += value;
    globalThis.moved.push(...sources.map(({ node }) => node?.id || node?.className || node?.nodeName));
  })).observe({ type: 'layout-shift', buffered: true });
}

/** Notes when the strip begins to move, and where the slider's thumb is. Runs in the page before anything else. */
function observeFirstScreen() {
  globalThis.moving = 0;
  globalThis.sliders = new Set();
  const look = () => {
    const strip = document.querySelector('#strip img');
    if (!globalThis.moving && strip?.complete && strip.getAnimations().length > 0) globalThis.moving = performance.now();
    const slider = document.getElementById('scale');
    if (slider && document.styleSheets.length > 0) {
      const { left, top, width } = slider.getBoundingClientRect();
      globalThis.sliders.add([left, top, width, slider.value, slider.max].join(' '));
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

/** States of the page, each on top of the one before. */
const STATES = {
  'as it opens': async () => {},
  'details open': async (page) => {
    await page.$$eval('details', (all) => all.forEach((details) => (details.open = true)));
    await page.waitForSelector('#option-grid');
  },
  'settings that do not apply': (page) => change(page, () => page.select('#sampler', 'ddpm')),
  'a preview': async (page) => {
    await page.$eval('#scale', (slider) => {
      slider.value = '7';
      slider.dispatchEvent(new Event('input'));
    });
    await settled(page);
  },
  compared: async (page) => {
    await page.click('#pin');
    await change(page, () => page.click('#recommended'));
  },
  'a drawing': async (page) => {
    await page.$eval('#edit-this', (button) => button.click());
    await page.waitForSelector('#edit[data-state="done"]');
  },
  'a part marked': async (page) => {
    await page.$$eval('#easel-presets button', ([first]) => first.click());
    await page.waitForSelector('#edit[data-state="done"]');
  },
  'a file that is no picture': async (page) => {
    await dropFile(page, Buffer.from('not a picture'), 'broken.png', 'image/png');
    await page.waitForSelector('#error:not([hidden])');
  },
  stopped: async (page) => {
    await page.$eval('#steps', (input) => {
      input.value = '900';
      input.onchange();
    });
    await page.$eval('#stop', (button) => button.click());
    await waitForState(page, 'stopped');
  },
  'a broken model': async (page) => {
    await dropFile(page, Buffer.from('not a model at all, not by far'), 'broken.gguf');
    await page.waitForSelector('#error:not([hidden])');
  },
  'a word': async (page) => {
    await openLetters(page);
    await settled(page);
  },
  'a word to play with': async (page) => {
    await showDepth(page, 'play');
    await settled(page);
  },
  'an explanation': async (page) => {
    await showDepth(page, 'lab');
    await settled(page);
    await page.$eval('#fine .term', (button) => button.click());
  },
};

/** A model of letters, and a word that is set in them. */
async function openLetters(page) {
  await dropFile(page, await lettersModel(), 'letters.gguf');
  await page.waitForSelector('[data-tab="own file"]');
  await page.$eval('[data-tab="own file"]', (tab) => tab.click());
  await page.waitForSelector('#word[data-state="done"]');
}

/** Of the page with characters, each on top of the one before. */
const MANY_CLASSES = {
  'a row of many classes': async () => {},
  'classes found': async (page) => {
    await page.waitForSelector('#class-search:enabled');
    await page.type('#class-search', 'ca');
    await page.waitForSelector('#class-found [role="option"] canvas');
  },
  'the wall of all classes': async (page) => {
    await page.click('#class-wall');
    await page.waitForSelector('#wall[open] h3');
  },
};

describe('quality of the page', () => {
  let site;
  let session;
  before(async () => {
    site = await serveSite();
    session = await launch('chrome');
  });
  after(async () => {
    await session?.close();
    await site?.close();
  });

  for (const dark of [false, true]) {
    test(`axe-core finds nothing in any state, ${dark ? 'dark' : 'light'}`, async () => {
      const axe = await readFile(axePath, 'utf8');
      const { page } = await openPage(session.browser, `${site.url}${HASH}`, { dark, prepare: axe });
      await settled(page);
      for (const [name, act] of Object.entries(STATES)) {
        await act(page);
        assert.deepEqual(await violations(page), [], name);
      }
      await page.goto('about:blank');
      await page.goto(`${site.url}#label=cat&s=1&seed=7&steps=3&count=6&view=play&model=${characters}`);
      await settled(page);
      for (const [name, act] of Object.entries(MANY_CLASSES)) {
        await act(page);
        assert.deepEqual(await violations(page), [], name);
      }
      await page.close();
    });
  }

  test('axe-core finds nothing on a phone', async () => {
    const axe = await readFile(axePath, 'utf8');
    const viewport = { width: 320, height: 640, isMobile: true, hasTouch: true };
    const { page } = await openPage(session.browser, `${site.url}${HASH}`, { viewport, prepare: axe });
    await settled(page);
    await page.$eval('#edit-this', (button) => button.click());
    await page.waitForSelector('#edit[data-state="done"]');
    assert.deepEqual(await violations(page), []);
    const [needed, available] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(needed <= available, `${needed} pixels`);
    await page.close();
  });

  test('the first picture comes soon, nothing shifts, and the page is never busy for long', async (t) => {
    const tries = [];
    const good = ({ first, slowdown, shift, longest }) => first / slowdown < FIRST_PICTURE && shift === 0 && longest <= LONGEST_TASK;
    while (tries.length < TRIES && !tries.some(good)) {
      const context = await session.browser.createBrowserContext();
      const page = await context.newPage();
      await page.evaluateOnNewDocument(observeShifts);
      await page.tracing.start({ categories: ['toplevel', 'blink.user_timing'] });
      const before = slowdown();
      await page.goto(site.url);
      await page.waitForFunction(() => performance.getEntriesByName('first-picture').length > 0);
      const factor = (before + slowdown()) / 2;
      const shift = await page.evaluate(() => globalThis.shift);
      await showTab(page, 'doodles');
      await page.waitForSelector('#page[data-tab="doodles"]:not([data-loading])', { timeout: 60_000 });
      await settled(page);
      await showDepth(page, 'lab');
      await page.waitForSelector('#sweep button');
      await page.$eval('#sweep', (row) => row.scrollIntoView());
      await page.waitForSelector('#sweep[data-state="done"]', { timeout: 30_000 });
      const longest = longestTask(await page.tracing.stop());
      const seen = await page.evaluate(() => ({ first: performance.getEntriesByName('first-picture')[0].startTime }));
      tries.push({ ...seen, shift, longest, slowdown: factor });
      await context.close();
    }
    t.diagnostic(JSON.stringify(tries));
    assert.ok(tries.some(good), JSON.stringify(tries));
  });

  for (const width of WIDTHS) {
    test(`nothing shifts at ${width} pixels, while the model comes and is used`, async () => {
      const context = await session.browser.createBrowserContext();
      const page = await context.newPage();
      await page.setViewport({ width, height: 800, isMobile: true, hasTouch: true });
      await page.evaluateOnNewDocument(observeShifts);
      const client = await page.createCDPSession();
      await client.send('Network.enable');
      await client.send('Network.emulateNetworkConditions', { offline: false, ...DSL });
      for (const hash of ['', HASH]) {
        await page.goto('about:blank');
        await page.goto(`${site.url}${hash}`);
        await settled(page, { timeout: 90_000 });
        const { sum, moved } = await page.evaluate(() => ({ sum: globalThis.shift, moved: globalThis.moved }));
        assert.ok(sum <= MOST_SHIFT, `${sum} at ${hash || 'the first screen'}: ${moved}`);
      }
      await context.close();
    });
  }

  test('on a slow network and a slow processor something moves soon, and the slider never jumps', async (t) => {
    const tries = [];
    const good = ({ moving, first, factor }) => moving / factor <= MOVING && first / factor <= OWN_PICTURE;
    const server = await serveCompressed(site.folder);
    while (tries.length < TRIES && !tries.some(good)) {
      const context = await session.browser.createBrowserContext();
      const page = await context.newPage();
      await page.setViewport({ width: 390, height: 844, isMobile: true, hasTouch: true });
      await page.evaluateOnNewDocument(observeFirstScreen);
      const client = await page.createCDPSession();
      await client.send('Network.enable');
      await client.send('Network.emulateNetworkConditions', { offline: false, ...FAST_3G });
      await client.send('Emulation.setCPUThrottlingRate', { rate: 4 });
      const before = slowdown();
      await page.goto(server.url, { waitUntil: 'domcontentloaded' });
      await page.waitForFunction(() => performance.getEntriesByName('first-picture').length > 0, { timeout: 60_000 });
      const factor = (before + slowdown()) / 2;
      const seen = await page.evaluate(() => ({ moving: globalThis.moving, first: performance.getEntriesByName('first-picture')[0].startTime, sliders: [...globalThis.sliders] }));
      await page.waitForFunction(() => location.hash.includes('word='), { timeout: 90_000 });
      assert.deepEqual(await page.evaluate(() => [...globalThis.sliders]), seen.sliders.slice(0, 1), 'one place of the slider, one value');
      tries.push({ ...seen, factor });
      await context.close();
    }
    await server.close();
    t.diagnostic(JSON.stringify(tries));
    assert.ok(tries.some(good), JSON.stringify(tries));
  });

  test('the download for a first picture is small', async (t) => {
    const context = await session.browser.createBrowserContext();
    site.requests.length = 0;
    const { page } = await openPage(context, site.url);
    await page.waitForFunction(() => performance.getEntriesByName('first-picture').length > 0);
    const paths = new Set(site.requests.map((path) => path || 'index.html'));
    await context.close();
    const bytes = { code: 0, weights: 0 };
    for (const path of paths) {
      const data = readFileSync(join(site.folder, path));
      if (path.endsWith('.gguf')) bytes.weights += data.length;
      else bytes.code += gzipSync(data, { level: 9 }).length;
    }
    t.diagnostic(`${bytes.code} bytes of code, ${bytes.weights} of weights`);
    assert.ok(bytes.code > 50_000 && bytes.code <= CODE_BYTES, `${bytes.code} bytes of code from ${[...paths]}`);
    assert.ok(bytes.weights > 0 && bytes.code + bytes.weights <= DOWNLOAD_BYTES, `${bytes.weights} bytes of weights`);
  });

  test('can be installed as an app', async () => {
    const { page } = await openPage(session.browser, `${site.url}${HASH}`);
    await settled(page);
    const client = await page.createCDPSession();
    const { errors } = await client.send('Page.getAppManifest');
    const { installabilityErrors } = await client.send('Page.getInstallabilityErrors');
    assert.deepEqual(errors, []);
    // Another profile than that of a person has no installed apps.
    assert.deepEqual(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito'), []);
    await page.close();
  });

  test('moves nothing by itself for those who asked for calm', async () => {
    const page = await session.browser.newPage();
    await page.emulateMediaFeatures([{ name: 'prefers-reduced-motion', value: 'reduce' }]);
    await page.evaluateOnNewDocument(() => {
      globalThis.painted = 0;
      const put = CanvasRenderingContext2D.prototype.putImageData;
      CanvasRenderingContext2D.prototype.putImageData = function (...parameters) {
        if (this.canvas.closest('#grid')) painted++;
        return put.apply(this, parameters);
      };
    });
    await page.goto(`${site.url}${HASH}`);
    await settled(page);
    assert.equal(await page.evaluate(() => painted), 6, 'each picture once, when it is finished');
    await page.close();
  });
});

for (const name of MORE_ENGINES) {
  describe(`the one file in ${name}`, () => {
    let folder;
    let session;
    let path;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-file-'));
      path = join(folder, 'pocket-diffusion.html');
      await buildOneFile(path);
      session = await launch(name);
    });
    after(async () => {
      await session?.close();
      await rm(folder, { recursive: true, force: true });
    });

    test('opens from a folder, asks for nothing, and draws the same pictures', async () => {
      const { page, troubles } = await openPage(session.browser, `${pathToFileURL(path)}${HASH}`, { prepare: () => {
        globalThis.workersMade = 0;
        const Original = Worker;
        globalThis.Worker = class extends Original {
          constructor(...parameters) {
            super(...parameters);
            workersMade++;
          }
        };
      } });
      const requests = [];
      page.on('request', (request) => requests.push(request.url()));
      await settled(page);
      assert.deepEqual((await pixelsOfGrid(page))[0], expected);
      if (name !== 'webkit') assert.ok(await page.evaluate(() => workersMade) > 0, 'in workers'); // there nothing can be prepared in a file
      await page.$eval('#edit-this', (button) => button.click());
      await page.waitForSelector('#edit[data-state="done"]');
      await change(page, () => page.click('#generate'));
      await openLetters(page);
      assert.match(await textOf(page, '#model-line'), /^Tiny test model/);
      assert.deepEqual(requests.filter((url) => !/^(blob|data):/.test(url)), []);
      assert.match(await page.$eval('meta[http-equiv="Content-Security-Policy"]', (meta) => meta.content), /^default-src 'none'; (?!.*connect-src)/);
      assert.deepEqual(troubles, []);
    });
  });
}
