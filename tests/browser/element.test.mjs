// <pocket-diffusion> on pages under the strict Content-Security-Policy of docs/element.md, in Chromium and in Firefox. What
// it draws is compared with Node.

import assert from 'node:assert/strict';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import axe from 'axe-core';
import { load, readRecipe } from 'pocket-diffusion';
import { modelPath } from '../native_pictures.mjs';
import { decodePNG } from '../node/png_reader.mjs';
import { root } from '../node/helpers.mjs';
import { ENGINES, launch, openPage } from './browsers.mjs';
import { STRICT_POLICY, serveStatic } from './static_server.mjs';

const MODEL = '/weights/doodles.gguf';

/** Runs in the page before anything else. */
function watch() {
  globalThis.workers = { started: 0, ended: 0 };
  const terminate = Worker.prototype.terminate;
  globalThis.Worker = class extends Worker {
    constructor(...options) {
      super(...options);
      workers.started++;
    }

    terminate() {
      workers.ended++;
      return terminate.call(this);
    }
  };
  globalThis.violations = [];
  addEventListener('securitypolicyviolation', ({ violatedDirective }) => violations.push(violatedDirective));
  globalThis.shifts = [];
  if (PerformanceObserver.supportedEntryTypes.includes('layout-shift')) {
    new PerformanceObserver((list) => shifts.push(...list.getEntries().map(({ value }) => value)))
      .observe({ type: 'layout-shift', buffered: true });
  }
  globalThis.element = (index = 0) => document.querySelectorAll('pocket-diffusion')[index];
  globalThis.inside = (selector, index = 0) => element(index).shadowRoot.querySelector(selector);
  globalThis.pixelsOf = (index = 0) => element(index).pictures.map(({ pixels }) => Array.from(pixels));
  globalThis.shownBy = (index = 0) => Array.from(element(index).shadowRoot.querySelectorAll('canvas'), (canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return Array.from({ length: data.length / 4 }, (_, pixel) => data[pixel * 4]);
  });
}

const pageOf = (...elements) => `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>element</title>
<link rel="icon" href="/web/favicon.svg"><link rel="stylesheet" href="/web/element.css">
<script type="module" src="/web/element.mjs"></script></head>
<body><main><h1>A page</h1><p>Before.</p>${elements.join('<p>Between.</p>')}<p id="below">After.</p></main></body></html>`;

const elementOf = (attributes, src = MODEL) => `<pocket-diffusion src="${src}" ${attributes}></pocket-diffusion>`;
const cat = 'label="cat" seed="7" steps="8" guidance-scale="3"';

const far = '<svg width="1" height="6000" aria-hidden="true"></svg>'; // a spacer that needs no style
const pages = {
  '/one.html': pageOf(elementOf(cat)),
  '/controls.html': pageOf(elementOf(`${cat} controls`)),
  '/two.html': pageOf(elementOf(`${cat} controls`), elementOf('label="house" seed="1" count="4" steps="6" sampler="ddpm"')),
  '/lazy.html': pageOf(far, elementOf(cat)),
  '/click.html': pageOf(elementOf(`${cat} loading="click" controls`)),
  '/eager.html': pageOf(far, elementOf(`${cat} loading="eager"`)),
  '/missing.html': pageOf(elementOf(`${cat} controls`, '/weights/missing.gguf')),
  '/slow.html': pageOf(elementOf(cat, '/weights/slow.gguf')),
  '/wrong.html': pageOf(elementOf('label="&lt;img src=x onerror=alert(1)&gt;"')),
  '/fallback.html': pageOf(`<pocket-diffusion src="${MODEL}" label="cat" count="3" controls><em>needs scripts</em></pocket-diffusion>`),
  '/poster.html': pageOf(elementOf(`${cat} loading="click" poster="/web/favicon.svg"`)),
  '/pixel.html': pageOf(elementOf(cat), elementOf('label="aardvark" seed="1" steps="2"', '/weights/characters.gguf')),
  '/no-classes.html': pageOf(elementOf('seed="3" steps="4" controls', '/golden/no-classes.gguf')),
  '/foreign.html': pageOf(elementOf(`${cat} cfg-scale="2"`)),
  '/blank.html': pageOf(),
};

const waitFor = (page, state, index = 0) => page.waitForFunction(
  (wanted, place) => customElements.get('pocket-diffusion') && element(place)?.state === wanted, { timeout: 20_000 }, state, index);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let model;
before(async () => (model = await load(modelPath)));
after(() => model.close());

async function expected(options) {
  const pictures = [];
  for await (const { pixels } of model.generateMany(options)) pictures.push(Array.from(pixels));
  return pictures;
}
const expectedCat = (changes) => expected({ label: 'cat', seed: 7, steps: 8, guidanceScale: 3, ...changes });

/** The only file in a folder, once it is whole; taken out of it. */
async function downloaded(folder) {
  for (let wait = 0; wait < 200; wait++) {
    const [name] = (await readdir(folder)).filter((file) => file.endsWith('.png'));
    const bytes = name ? await readFile(join(folder, name)) : [];
    if (bytes.length > 0) {
      await rm(join(folder, name));
      return { name, bytes };
    }
    await pause(50);
  }
  throw new Error('no file was saved');
}

for (const name of ENGINES) {
  describe(`element in ${name}`, () => {
    let server;
    let session;
    before(async () => {
      server = await serveStatic({ folders: { '/web/': join(root, 'web'), '/weights/': join(root, 'weights'), '/golden/': join(root, 'tests/golden') }, pages });
      session = await launch(name);
    });
    after(async () => {
      await session?.close();
      await server?.close();
    });

    /** use(page, requests of this page); the policy is kept, and nothing is on the console but `expectedTroubles`. */
    async function visit(path, use, { expectedTroubles = /^$/, origin = server.origin } = {}) {
      server.requests.length = 0;
      const { page, troubles } = await openPage(session.browser, `${origin}${path}`, { prepare: watch });
      try {
        await use(page, server.requests);
        assert.deepEqual(await page.evaluate(() => violations), []);
        assert.deepEqual(troubles.filter((trouble) => !expectedTroubles.test(trouble)), []);
      } finally {
        await page.close();
      }
    }

    const asked = (requests, ending) => requests.filter((path) => path.endsWith(ending)).length;

    async function assertAccessible(page) {
      await page.evaluate(axe.source);
      const violations = await page.evaluate(async () => {
        const result = await axe.run(document);
        return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      });
      assert.deepEqual(violations, []);
    }

    test('two elements: one download, one pool of workers, the pixels of Node', async () => {
      await visit('/two.html', async (page, requests) => {
        await waitFor(page, 'done', 0);
        await waitFor(page, 'done', 1);
        assert.deepEqual(await page.evaluate(() => pixelsOf(0)), await expectedCat());
        const houses = await expected({ label: 'house', seed: 1, count: 4, steps: 6, sampler: 'ddpm' });
        assert.deepEqual(await page.evaluate(() => pixelsOf(1)), houses);
        assert.deepEqual(await page.evaluate(() => shownBy(1)), houses);
        assert.equal(asked(requests, '.gguf'), 1);
        assert.equal(asked(requests, '.wasm'), 1);
        const most = await page.evaluate(() => Math.min(navigator.hardwareConcurrency, 4));
        const { started } = await page.evaluate(() => workers);
        assert.ok(started >= 1 && started <= most, `${started} workers of at most ${most}`);
        await assertAccessible(page);
      });
    });

    test('lazy: nothing but the element is asked for until it is near the window', async () => {
      await visit('/lazy.html', async (page, requests) => {
        await pause(700);
        assert.equal(await page.evaluate(() => element().state), 'idle');
        assert.ok(asked(requests, '/element.mjs') === 1);
        for (const file of ['.gguf', '.wasm', '/index.mjs', '/worker.js']) assert.equal(asked(requests, file), 0, file);
        await page.evaluate(() => element().scrollIntoView());
        await waitFor(page, 'done');
        for (const file of ['.gguf', '.wasm', '/index.mjs']) assert.equal(asked(requests, file), 1, file);
      });
    });

    test('eager: below the window, and drawn all the same', async () => {
      await visit('/eager.html', (page) => waitFor(page, 'done'));
    });

    test('click: nothing is asked for before the click', async () => {
      await visit('/click.html', async (page, requests) => {
        await pause(400);
        await assertAccessible(page);
        assert.equal(await page.evaluate(() => inside('.start').textContent), 'Draw cat');
        assert.equal(asked(requests, '.gguf') + asked(requests, '.wasm') + asked(requests, '/index.mjs'), 0);
        await (await page.$('pocket-diffusion >>> .start')).click();
        await waitFor(page, 'done');
        assert.deepEqual(await page.evaluate(() => shownBy()), await expectedCat());
      });
    });

    test('a poster is shown until there is a picture', async () => {
      await visit('/poster.html', async (page) => {
        await page.waitForFunction(() => inside('.poster').complete && inside('.poster').naturalWidth > 0);
        await page.evaluate(() => element().generate());
        assert.equal(await page.evaluate(() => inside('.poster').hidden), true);
      });
    });

    test('an attribute that changes ends the run and begins another', async () => {
      await visit('/blank.html', async (page) => {
        const result = await page.evaluate(async (src) => {
          const node = document.createElement('pocket-diffusion');
          Object.assign(node, { src, label: 'cat', seed: 7, steps: 250, guidanceScale: 3 });
          const drawn = [];
          node.addEventListener('generate', ({ detail }) => drawn.push(detail.pictures.length));
          document.querySelector('main').append(node);
          const first = node.generate().catch((error) => error.name);
          await new Promise((resolve) => node.addEventListener('step', ({ detail }) => detail.step === 3 && resolve()));
          node.setAttribute('label', 'dog');
          node.steps = 8;
          node.seed = 11;
          await new Promise((resolve) => node.addEventListener('generate', resolve, { once: true }));
          return { first: await first, drawn, pixels: pixelsOf(), attributes: [node.getAttribute('steps'), node.getAttribute('seed')] };
        }, MODEL);
        assert.equal(result.first, 'AbortError');
        assert.deepEqual(result.drawn, [1]);
        assert.deepEqual(result.attributes, ['8', '11']);
        assert.deepEqual(result.pixels, await expectedCat({ label: 'dog', seed: 11 }));
      });
    });

    test('events tell what happens, in order', async () => {
      await visit('/blank.html', async (page) => {
        const events = await page.evaluate(async (src) => {
          const node = document.createElement('pocket-diffusion');
          Object.assign(node, { src, label: 'cat', seed: 7, steps: 3, count: 1 });
          const seen = [];
          for (const type of ['progress', 'load', 'step', 'generate', 'error']) {
            node.addEventListener(type, ({ detail }) => seen.push([type, detail]));
          }
          document.querySelector('main').append(node);
          await node.generate();
          return seen.map(([type, detail]) => [type, {
            progress: () => detail.loaded / detail.total,
            load: () => detail.model.labels.length,
            step: () => [detail.step, detail.steps, detail.index, detail.count, detail.preview.pixels.length],
            generate: () => detail.pictures[0].options.labelName,
          }[type]()]);
        }, MODEL);
        const progress = events.filter(([type]) => type === 'progress');
        assert.ok(progress.length >= 1);
        assert.deepEqual(progress.at(-1), ['progress', 1]);
        const rest = [['load', 10], ...[1, 2, 3].map((step) => ['step', [step, 3, 0, 1, 1024]]), ['generate', 'cat']];
        assert.deepEqual(events.slice(progress.length), rest);
      });
    });

    test('the element that is taken out stops; with the last one the workers end', async () => {
      await visit('/two.html', async (page) => {
        await waitFor(page, 'done', 0);
        await waitFor(page, 'done', 1);
        const counts = await page.evaluate(async () => {
          const [first, second] = [element(0), element(1)];
          const nextTask = () => new Promise((resolve) => setTimeout(resolve, 100));
          let steps = 0;
          first.steps = 250;
          await new Promise((resolve) => first.addEventListener('step', () => ++steps === 3 && resolve()));
          first.remove();
          await nextTask();
          const seen = steps;
          const { ended } = workers;
          await nextTask();
          const still = steps;
          await second.generate(); // has its model yet
          second.remove();
          await nextTask();
          return { seen, still, endedByFirst: ended, workers, state: first.state };
        });
        assert.equal(counts.still, counts.seen);
        assert.equal(counts.endedByFirst, 0);
        assert.equal(counts.workers.ended, counts.workers.started);
        assert.equal(counts.state, 'idle');
      });
    });

    test('an element that is put elsewhere goes on; one that comes back begins again', async () => {
      await visit('/one.html', async (page, requests) => {
        await waitFor(page, 'done');
        const begun = await page.evaluate(async () => {
          const node = element();
          let runs = 0;
          node.addEventListener('step', ({ detail }) => detail.step === 1 && runs++);
          node.steps = 60;
          await new Promise((resolve) => node.addEventListener('step', resolve, { once: true }));
          document.querySelector('main').prepend(node);
          await new Promise((resolve) => node.addEventListener('generate', resolve, { once: true }));
          const moved = runs;
          node.label = 'dog';
          await new Promise((resolve) => node.addEventListener('step', resolve, { once: true }));
          node.remove();
          await new Promise((resolve) => setTimeout(resolve, 50));
          document.querySelector('main').append(node);
          await new Promise((resolve) => node.addEventListener('generate', resolve, { once: true }));
          return { moved, runs };
        });
        assert.deepEqual(begun, { moved: 1, runs: 3 });
        assert.ok(asked(requests, '.gguf') <= 2);
      });
    });

    test('an element that is taken out while it loads ends the download', async () => {
      let closed = false;
      server.faults.set('/weights/slow.gguf', (request, response) => {
        response.on('close', () => (closed = true));
        response.writeHead(200, { 'Content-Length': 3_000_000 });
        response.write(Buffer.alloc(1_500_000));
      });
      await visit('/slow.html', async (page) => {
        await page.waitForFunction(() => inside('.note')?.textContent === 'Loading 50 %', { timeout: 10_000 });
        await assertAccessible(page);
        await page.evaluate(() => element().remove());
        for (let wait = 0; wait < 50 && !closed; wait++) await pause(20);
        assert.ok(closed);
      });
    });

    test('a failed download is shown, and can be tried again', async () => {
      let broken = true;
      server.faults.set('/weights/missing.gguf', (request, response) => {
        if (broken) return response.writeHead(503).end();
        request.url = '/weights/doodles.gguf';
        return readFile(modelPath).then((bytes) => response.writeHead(200).end(bytes));
      });
      await visit('/missing.html', async (page) => {
        await waitFor(page, 'error');
        await assertAccessible(page);
        assert.match(await page.evaluate(() => inside('.error').innerText), /could not be loaded[^]*HTTP status 503[^]*Try again/);
        broken = false;
        await (await page.$('pocket-diffusion >>> .retry')).click();
        await waitFor(page, 'done');
        assert.equal(await page.evaluate(() => inside('.error').hidden), true);
        assert.deepEqual(await page.evaluate(() => shownBy()), await expectedCat());
      }, { expectedTroubles: /503|missing\.gguf/ });
    });

    test('a file that is no model, and one that is cut short, are errors with their code', async () => {
      const bytes = await readFile(modelPath);
      server.faults.set('/weights/html.gguf', (request, response) => response.writeHead(200).end('<!DOCTYPE html>'.repeat(10)));
      server.faults.set('/weights/short.gguf', (request, response) => response.writeHead(200).end(bytes.subarray(0, 100_000)));
      await visit('/blank.html', async (page) => {
        const codes = await page.evaluate(async () => {
          const node = document.createElement('pocket-diffusion');
          document.querySelector('main').append(node);
          const found = [];
          node.addEventListener('error', ({ detail }) => found.push(detail.error.code));
          for (const src of ['weights/html.gguf', 'weights/short.gguf']) {
            node.src = src;
            await node.generate().catch(() => {});
          }
          return found;
        });
        assert.deepEqual(codes, ['MAGIC', 'SHORT']);
      });
    });

    test('wrong attributes are named, labels are text, and the right value mends it', async () => {
      await visit('/wrong.html', async (page) => {
        await waitFor(page, 'error');
        assert.match(await page.evaluate(() => inside('.detail').textContent), /^label: no class "<img src=x onerror=alert\(1\)>"/);
        assert.equal(await page.evaluate(() => element().shadowRoot.querySelectorAll('img:not(.poster)').length), 0);
        const messages = await page.evaluate(async () => {
          const found = [];
          const cases = { steps: 'many', seed: '-1', count: '0', sampler: 'plms', 'guidance-scale': '1000' };
          element().label = 'cat';
          for (const [name, value] of Object.entries(cases)) {
            element().setAttribute(name, value);
            found.push(await element().generate().then(() => 'no error', (error) => `${error.name} ${error.message}`));
            element().removeAttribute(name);
          }
          await element().generate();
          return [...found, element().state];
        });
        assert.equal(messages.pop(), 'done');
        const names = ['TypeError steps:', 'TypeError seed:', 'RangeError count:', 'RangeError sampler:', 'RangeError guidanceScale:'];
        messages.forEach((message, index) => assert.ok(message.startsWith(names[index]), message));
      });
    });

    test('slider, another seed and saving by keyboard', async () => {
      await visit('/controls.html', async (page) => {
        await waitFor(page, 'done');
        await (await page.$('pocket-diffusion >>> input')).focus();
        for (let press = 0; press < 5; press++) await page.keyboard.press('ArrowRight');
        await page.waitForFunction(() => element().pictures[0].options.guidanceScale === 3.5, { timeout: 10_000 });
        await waitFor(page, 'done');
        assert.equal(await page.evaluate(() => element().getAttribute('guidance-scale')), '3.5');
        assert.deepEqual(await page.evaluate(() => shownBy()), await expectedCat({ guidanceScale: 3.5 }));
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter'); // another seed
        await page.waitForFunction(() => element().pictures[0].options.seed !== 7, { timeout: 10_000 });
        await waitFor(page, 'done');
        const seed = await page.evaluate(() => element().seed);
        const [pixels] = await expectedCat({ guidanceScale: 3.5, seed });
        assert.deepEqual(await page.evaluate(() => shownBy()), [pixels]);
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter'); // save
        const { name: file, bytes } = await downloaded(session.downloads);
        assert.equal(file, `cat-${seed}.png`);
        assert.equal(decodePNG(bytes).width, 512);
        const again = await model.generate({ recipe: readRecipe(bytes) });
        assert.deepEqual(Array.from(again.pixels), pixels);
        assert.deepEqual(new Uint8Array(bytes), await again.toPNG({ scale: 16 }));
      });
    });

    test('pictures are shown as what they are: ink with white paper, pixel art in whole blocks', async () => {
      await visit('/pixel.html', async (page) => {
        const looks = [];
        for (const index of [0, 1]) {
          await waitFor(page, 'done', index);
          looks.push(await page.evaluate((place) => {
            const { imageRendering, filter } = getComputedStyle(inside('canvas', place));
            return [imageRendering, filter !== 'none'];
          }, index));
        }
        assert.deepEqual(looks, [['auto', true], ['pixelated', false]]);
      });
    });

    test('a model without classes draws, and has no slider', async () => {
      await visit('/no-classes.html', async (page) => {
        await waitFor(page, 'done');
        assert.equal(await page.evaluate(() => element().pictures[0].options.labelName), '');
        assert.deepEqual(await page.evaluate(() => ['.scale', '[part~="reroll"]'].map((selector) => inside(selector).checkVisibility())), [false, true]);
        assert.equal(await page.evaluate(() => inside('canvas').getAttribute('aria-label')), 'Picture, seed 3, guidance scale 1');
      });
    });

    test('an attribute of other programs is named on the console, with what it means here', async () => {
      const said = [];
      await visit('/foreign.html', (page) => waitFor(page, 'done'), { expectedTroubles: { test: (trouble) => said.push(trouble) } });
      assert.deepEqual(said, ['console: <pocket-diffusion> has no attribute "cfg-scale": guidance-scale is what it means here']);
    });

    test('several pictures are saved as one sheet, laid out as they are shown', async () => {
      await visit('/two.html', async (page) => {
        await waitFor(page, 'done', 1);
        await page.evaluate(() => element(1).save());
        const { name: file, bytes } = await downloaded(session.downloads);
        assert.equal(file, 'house-1.png');
        const sheet = decodePNG(bytes);
        assert.deepEqual([sheet.width, sheet.height], [1026, 1026]); // two by two, two pixels between
        const houses = [];
        for await (const picture of model.generateMany({ label: 'house', seed: 1, count: 4, steps: 6, sampler: 'ddpm' })) houses.push(decodePNG(await picture.toPNG({ scale: 16 })));
        houses.forEach(({ pixels }, index) => {
          const [left, top] = [(index % 2) * 514, Math.floor(index / 2) * 514];
          const rows = Array.from({ length: 512 }, (_, y) => sheet.pixels.subarray((top + y) * 1026 + left, (top + y) * 1026 + left + 512));
          assert.deepEqual(Buffer.concat(rows), Buffer.from(pixels));
        });
      });
    });

    test('while the slider moves, pictures keep coming, and the last is that of the slider', async () => {
      await visit('/controls.html', async (page) => {
        await waitFor(page, 'done');
        const { drawn, scale } = await page.evaluate(async () => {
          const slider = inside('input');
          let drawn = 0;
          element().addEventListener('generate', () => drawn++);
          for (let value = 0; value < 100; value++) {
            slider.value = value / 10;
            slider.dispatchEvent(new Event('input'));
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
          slider.dispatchEvent(new Event('change'));
          while (element().pictures[0].options.guidanceScale !== 9.9) await new Promise((resolve) => setTimeout(resolve, 10));
          return { drawn, scale: element().guidanceScale };
        });
        assert.equal(scale, 9.9);
        assert.ok(drawn >= 4, `${drawn} pictures in a second`);
        assert.deepEqual(await page.evaluate(() => shownBy()), await expectedCat({ guidanceScale: 9.9 }));
      });
    });

    test('nothing on the page moves, however late the script comes', async () => {
      server.faults.set('/web/element.mjs', async () => {
        await pause(400);
        return true;
      });
      for (const path of ['/controls.html', '/fallback.html', '/two.html', '/click.html']) {
        await visit(path, async (page) => {
          const top = () => page.evaluate(() => document.getElementById('below').getBoundingClientRect().top);
          await page.evaluate(() => new Promise(requestAnimationFrame));
          const early = await top();
          if (path === '/click.html') await page.waitForFunction(() => inside('.start'));
          else await waitFor(page, 'done');
          assert.ok(Math.abs((await top()) - early) < 0.01, `${path}: ${early} became ${await top()}`);
          assert.deepEqual(await page.evaluate(() => shifts), [], path);
        });
      }
      server.faults.delete('/web/element.mjs');
    });

    test('on a dark page it is accessible, too', async () => {
      await visit('/click.html', async (page) => {
        await page.evaluate(() => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync(':root { color-scheme: dark; background: #111; color: #eee; }');
          document.adoptedStyleSheets = [sheet];
        });
        await page.waitForFunction(() => inside('.start'));
        await assertAccessible(page);
        await page.evaluate(() => element().generate());
        await assertAccessible(page);
        await page.evaluate(() => {
          element().label = 'nothing';
          return element().generate().catch(() => {});
        });
        await assertAccessible(page);
      });
    });

    test('a model of another origin needs that origin to allow it', async () => {
      const other = await serveStatic({ folders: { '/open/': join(root, 'weights') }, headers: { 'Access-Control-Allow-Origin': '*' } });
      const closed = await serveStatic({ folders: { '/closed/': join(root, 'weights') } });
      const policy = STRICT_POLICY.replace("connect-src 'self'", `connect-src 'self' ${other.origin} ${closed.origin}`);
      const here = await serveStatic({ folders: { '/web/': join(root, 'web') }, pages, policy });
      try {
        await visit('/blank.html', async (page) => {
          const found = await page.evaluate(async (...addresses) => {
            const node = document.createElement('pocket-diffusion');
            document.querySelector('main').append(node);
            const results = [];
            for (const src of addresses) {
              node.src = src;
              results.push(await node.generate().then((pictures) => pictures.length, (error) => error.code));
            }
            return results;
          }, `${other.origin}/open/doodles.gguf`, `${closed.origin}/closed/doodles.gguf`);
          assert.deepEqual(found, [1, 'NETWORK']);
        }, { origin: here.origin, expectedTroubles: /request to 127|CORS|Cross-Origin|Failed to load|^failed: .*closed/ });
      } finally {
        await Promise.all([other.close(), closed.close(), here.close()]);
      }
    });
  });
}
