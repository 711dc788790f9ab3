// What the page offers for other pages, tried there: on another origin, with its permission and without, and unpacked on a
// server of its own.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { load } from 'pocket-diffusion';
import { BROWSERS, openPage, settled } from './browsers.mjs';
import { downloaded, textOf } from './page_tools.mjs';
import { visit } from './server.mjs';
import { serveStatic } from './static_server.mjs';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
/** Of a page of somebody who has thought of no policy. */
const NO_POLICY = "default-src * 'unsafe-inline' 'wasm-unsafe-eval' blob: data:";
const CLASSES = ['cat', 'dog'];
const OPTIONS = { guidanceScale: 3, steps: 5, seed: 7, sampler: 'ddim' };

/** Pictures of every element in a document, as arrays of bytes, once all have been drawn. */
async function drawn(frame, count) {
  await frame.waitForFunction((wanted) => {
    const all = [...document.querySelectorAll('pocket-diffusion')];
    return all.length === wanted && all.every(({ state }) => state === 'done' || state === 'error');
  }, { timeout: 60_000 }, count);
  return frame.$$eval('pocket-diffusion', (all) => all.map((each) => (each.pictures[0] ? Array.from(each.pictures[0].pixels) : each.shadowRoot.textContent)));
}

/** What browsers say of themselves on another origin: requests, and in Firefox the worker that it does not start. */
const OF_ITSELF = /^request to 127\.0\.0\.1|may not load data from \S*\/worker\.js/;

for (const name of BROWSERS) {
  describe(`putting pictures into other pages, ${name}`, () => {
    let site;
    let session;
    let page;
    let troubles;
    let leave;
    let other; // another origin
    let expected;
    let labels;
    before(async () => {
      const model = await load('weights/doodles.gguf');
      expected = await Promise.all(CLASSES.map(async (label) => Array.from((await model.generate({ ...OPTIONS, label })).pixels)));
      ({ labels } = model);
      model.close();
      other = await serveStatic({ policy: NO_POLICY });
      ({ site, session, page, troubles, leave } = await visit(name, '#label=cat&s=3&steps=5&seed=7&sampler=ddim&count=1&view=lab', {
        viewport: { width: 390, height: 844 }, dark: name === 'chrome', prepare: await readFile(axePath, 'utf8'),
      }));
      await settled(page, { timeout: 60_000 });
    });
    after(async () => {
      await leave?.();
      await other?.close();
    });
    const kind = (index) => page.$$eval('#embed-kind input', (inputs, chosen) => inputs[chosen].click(), index);
    const press = (text) => page.$$eval('.embed button', (all, wanted) => all.find(({ textContent }) => textContent === wanted).click(), text);
    const copied = async () => {
      await page.evaluate(() => { globalThis.copied = ''; });
      await press('Copy');
      await page.waitForFunction(() => globalThis.copied);
      return page.evaluate(() => globalThis.copied);
    };
    /** A page of the other origin with this in it. @returns what `look` sees in it */
    async function elsewhere(code, look) {
      other.pages['/there.html'] = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>there</title></head><body>${code}</body></html>`;
      const there = await openPage(session.browser, `${other.origin}/there.html`);
      try {
        return await look(there.page, there.troubles.filter((trouble) => !OF_ITSELF.test(trouble)));
      } finally {
        await there.page.close();
      }
    }

    test('the dialog is fetched when it is opened, by keyboard, and shows the element itself', async () => {
      assert.ok(!site.requests.some((path) => /^embed_dialog-/.test(path)));
      await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { globalThis.copied = text; } }, configurable: true }));
      await page.focus('#embed');
      await page.keyboard.press('Enter');
      await page.waitForSelector('.embed[open] pocket-diffusion');
      assert.ok(!site.requests.some((path) => /^zip-/.test(path)), 'and what packs archives later');
      assert.deepEqual(await drawn(page, 1), expected.slice(0, 1));
      await page.select('#embed-classes', ...CLASSES.map((label) => String(labels.indexOf(label))));
      assert.deepEqual(await drawn(page, 2), expected);
      const found = await page.evaluate(async () => (await globalThis.axe.run(document.querySelector('.embed'), { resultTypes: ['violations'] })).violations
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ').slice(0, 300)}`));
      assert.deepEqual(found, []);
      const [needed, available] = await page.$eval('.embed', (dialog) => [dialog.scrollWidth, dialog.clientWidth]);
      assert.ok(needed <= available, `${needed} pixels`);
    });

    test('the element draws on another origin that may read this one, also where the version is pinned', async () => {
      site.open = true;
      const code = await copied();
      assert.match(code, /^<link rel="stylesheet" href="http:\S+pocket-diffusion\.css">\n<script type="module"/);
      await elsewhere(code, async (there, found) => {
        assert.deepEqual(await drawn(there, 2), expected);
        assert.equal(await there.$eval('pocket-diffusion', (node) => node.hasAttribute('controls')), true);
        assert.deepEqual(found, []);
      });
      await page.$$eval('.embed .check input', (all) => all.at(-1).click());
      await page.waitForFunction(() => document.querySelector('.embed textarea').value.includes('integrity="sha384-'));
      const pinned = await copied();
      await elsewhere(pinned, async (there) => assert.deepEqual(await drawn(there, 2), expected));
      await elsewhere(pinned.replaceAll('sha384-', 'sha384-AAAA'), async (there) => {
        await there.waitForNetworkIdle();
        assert.equal(await there.evaluate(() => customElements.get('pocket-diffusion') === undefined), true, 'another version is refused');
      });
      site.open = false;
    });

    test('a frame draws on every other origin, and has room enough', async () => {
      await kind(1);
      const code = await copied();
      assert.match(code, /^<iframe src="[^"]*frame\.html#src=weights/);
      await elsewhere(code, async (there, found) => {
        const frame = await (await there.waitForSelector('iframe')).contentFrame();
        assert.deepEqual(await drawn(frame, 2), expected);
        const [needed, available] = await frame.evaluate(() => [document.documentElement.scrollHeight, innerHeight]);
        assert.ok(needed <= available, `its height is ${available} of ${needed}`);
        assert.deepEqual(found, []);
      });
      // It shows models of this site alone.
      await elsewhere(code.replace('src=weights%2Fdoodles.gguf', `src=${encodeURIComponent(`${other.origin}/weights/doodles.gguf`)}`), async (there) => {
        const frame = await (await there.waitForSelector('iframe')).contentFrame();
        await frame.waitForFunction(() => document.querySelector('pocket-diffusion')?.state === 'error');
        assert.ok(!other.requests.includes('/weights/doodles.gguf'));
      });
      for (const path of ['../doodles.gguf', '%2e%2e/doodles.gguf', 'http://[']) {
        await elsewhere(code.replace('src=weights%2Fdoodles.gguf', `src=${encodeURIComponent(path)}`), async (there) => {
          const frame = await (await there.waitForSelector('iframe')).contentFrame();
          await frame.waitForFunction(() => document.querySelector('pocket-diffusion')?.state === 'error');
          const { folder, source } = await frame.evaluate(() => ({ folder: new URL('.', location.href).href, source: document.querySelector('pocket-diffusion').getAttribute('src') }));
          assert.equal(source, folder, path);
        });
      }
    });

    test('the archive, unpacked, draws under a strict policy on a server of its own', async () => {
      await kind(2);
      await press('Download zip');
      const folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-zip-'));
      const archive = join(folder, 'a.zip');
      await writeFile(archive, await downloaded(session.downloads, 'pocket-diffusion.zip'));
      execFileSync('python3', ['-m', 'zipfile', '-e', archive, folder]);
      await rm(archive);
      assert.deepEqual((await readdir(folder, { recursive: true })).sort(), ['index.html', 'pocket-diffusion', ...['doodles.gguf', 'license.txt', 'licenses.txt', 'pocket-diffusion.css',
        'pocket-diffusion.js', 'pocket-diffusion.wasm', 'worker.js'].map((file) => join('pocket-diffusion', file)), 'readme.txt']);
      assert.match(await readFile(join(folder, 'readme.txt'), 'utf8'), /CORS[^]*doodles\.gguf: CC/);
      const own = await serveStatic({ folders: { '/': folder } });
      const there = await openPage(session.browser, `${own.origin}/index.html`);
      try {
        assert.deepEqual(await drawn(there.page, 2), expected);
        assert.ok(own.requests.includes('/pocket-diffusion/worker.js'));
        assert.deepEqual(there.troubles, []);
      } finally {
        await there.page.close();
        await own.close();
        await rm(folder, { recursive: true });
      }
    });

    test('a refused clipboard leaves the code in a field, selected', async () => {
      await kind(0);
      await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: { writeText: async () => { throw new Error('no'); } }, configurable: true }));
      await press('Copy');
      await page.waitForFunction(() => document.querySelector('.embed [role="status"]').textContent.includes('selected'));
      assert.deepEqual(await page.$eval('.embed textarea', (area) => [document.activeElement === area, area.selectionStart, area.selectionEnd === area.value.length]), [true, 0, true]);
    });

    test('another model brings its classes and what it recommends', async () => {
      await page.select('#embed-model', 'weights/digits.gguf');
      await page.waitForFunction(() => document.querySelectorAll('#embed-classes option').length === 10 && document.querySelector('#embed-classes').value === '0'
        && document.querySelector('#embed-classes option').textContent === '0', { timeout: 60_000 });
      assert.match(await page.$eval('.embed textarea', ({ value }) => value), /digits\.gguf" label="0" /);
      await drawn(page, 1);
    });

    test('a model that cannot be loaded is said so, and the one before stays, whatever is changed meanwhile', async () => {
      site.extra.set('weights/characters.gguf', { type: 'application/octet-stream', body: 'this is not a model' });
      await page.select('#embed-model', 'weights/characters.gguf');
      await page.$eval('#embed-seed', (field) => {
        field.value = '8';
        field.dispatchEvent(new Event('input'));
      });
      await page.waitForFunction(() => document.querySelector('#embed-model').value === 'weights/digits.gguf', { timeout: 60_000 });
      site.extra.delete('weights/characters.gguf');
      assert.notEqual(await textOf(page, '.embed [role="status"]'), '');
      assert.match(await page.$eval('.embed textarea', ({ value }) => value), /digits\.gguf" label="0" .*seed="8"/);
      assert.deepEqual(await page.$$eval('#embed-classes, .embed button', (all) => all.map(({ disabled }) => disabled).filter(Boolean)), []);
      await drawn(page, 1);
    });

    test('closing it leaves nothing, and no errors', async () => {
      await page.keyboard.press('Escape');
      await page.waitForFunction(() => !document.querySelector('.embed') && !document.querySelector('pocket-diffusion'));
      assert.deepEqual(troubles, []);
      assert.equal(await textOf(page, '#error-text'), '');
    });
  });
}
