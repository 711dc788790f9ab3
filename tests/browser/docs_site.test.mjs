// The documentation as a site: it opens under any path, asks for nothing elsewhere, finds words, and what stands in it draws.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildSite } from '../../scripts/site/build_site.mjs';
import { load } from '../../web/index.mjs';
import { doodlesPath, root } from '../node/helpers.mjs';
import { BROWSERS, launch } from './browsers.mjs';
import { serveStatic } from './static_server.mjs';

const missing = !existsSync(join(root, 'build/docs/bin/mkdocs')) && 'MkDocs is not installed: scripts/setup.sh docs';

for (const browser of BROWSERS) {
  describe(`the documentation in ${browser}`, { skip: missing }, () => {
    let folder;
    let server;
    let session;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-docs-site-'));
      await buildSite(folder);
      server = await serveStatic({ folders: { '/some/where/': folder }, policy: "default-src 'self' data: blob: 'unsafe-inline' 'wasm-unsafe-eval'" });
      session = await launch(browser);
    });
    after(async () => {
      await session?.close();
      await server?.close();
      await rm(folder, { recursive: true, force: true });
    });

    async function open(name) {
      const page = await session.browser.newPage();
      const troubles = [];
      page.on('pageerror', (error) => troubles.push(error.message));
      let next = null; // which Firefox fetches beforehand, and gives up when something else is wanted
      page.on('requestfailed', (request) => {
        const reason = request.failure()?.errorText ?? '';
        if (request.url() !== next || !/ABORT/.test(reason)) troubles.push(`failed: ${request.url()} ${reason}`);
      });
      page.on('response', (response) => response.status() >= 400 && troubles.push(`${response.status()}: ${response.url()}`));
      page.on('request', (request) => /^https?:/.test(request.url()) && !request.url().startsWith(server.origin) && troubles.push(`elsewhere: ${request.url()}`));
      await page.goto(`${server.origin}/some/where/docs/${name}`);
      next = await page.$eval('link[rel="next"]', ({ href }) => href);
      return { page, troubles };
    }

    test('an element on a page draws what Node.js draws', async () => {
      const { page, troubles } = await open('how-it-works.html');
      await page.$eval('pocket-diffusion', (element) => element.scrollIntoView());
      await page.waitForFunction(() => document.querySelector('pocket-diffusion').state === 'done', { timeout: 60_000 });
      const drawn = await page.$eval('pocket-diffusion', (element) => element.pictures.map(({ pixels }) => Array.from(pixels)));
      const model = await load(doodlesPath);
      const expected = [];
      for await (const { pixels } of model.generateMany({ label: 'cat', seed: 7, guidanceScale: 3, count: 3 })) expected.push(Array.from(pixels));
      model.close();
      assert.deepEqual(drawn, expected);
      assert.deepEqual(troubles, []);
      await page.close();
    });

    test('a word is found, and the page that has it opens at it', async () => {
      const { page, troubles } = await open('index.html');
      await page.type('input[name=query]', 'Karras');
      await page.waitForSelector('.md-search-result__link', { timeout: 30_000 });
      const [address] = await page.$$eval('.md-search-result__link', (links) => links.map(({ href }) => href));
      assert.match(address, /\/some\/where\/docs\/sampling\.html/);
      assert.deepEqual(troubles, []);
      await page.close();
    });

    test('it leads back to the pictures, which lead to it', async () => {
      const { page, troubles } = await open('guide.html');
      const [back] = await page.$$eval('.md-banner a', (links) => links.map(({ href }) => href));
      assert.equal(back, `${server.origin}/some/where/index.html`);
      await page.goto(back);
      const links = await page.$$eval('a[href^="docs/"]', (all) => all.map(({ href }) => href.split('#')[0]));
      assert.ok(links.length >= 3);
      for (const link of links) assert.equal((await fetch(link)).status, 200, link);
      assert.deepEqual(troubles, []);
      await page.close();
    });
  });
}
