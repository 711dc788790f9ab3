// A site that is replaced by a newer one while the service worker has a copy of the older one, on a server that tells
// browsers to keep everything for ever.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { buildSite } from '../../scripts/site/build_site.mjs';
import { BROWSERS, launch, openPage, settled } from '../browser/browsers.mjs';
import { serveStatic } from '../browser/static_server.mjs';

const POLICY = "default-src 'self' blob:; script-src 'self' 'wasm-unsafe-eval'";

/** The site as another version: a file has changed, and with it the list of the service worker. */
async function change(folder, version) {
  const read = (path) => readFile(join(folder, path), 'utf8');
  const html = (await read('index.html')).replace(/<html[^>]*>/, `<html lang="en" data-version="${version}">`);
  const hash = createHash('sha256').update(html).digest('hex');
  const worker = (await read('service_worker.js'))
    .replace(/(?<=const VERSION = ')[^']*/, version).replace(/(?<="": ")[0-9a-f]{64}/, hash);
  await writeFile(join(folder, 'index.html'), html);
  await writeFile(join(folder, 'service_worker.js'), worker);
}

const versionOf = (page) => page.evaluate(() => document.documentElement.dataset.version ?? 'first');
const hasCopy = (page) => page.waitForFunction(async () => (await navigator.serviceWorker.getRegistration())?.active?.state === 'activated', { timeout: 30_000, polling: 200 });
const offered = (page) => page.waitForSelector('#new-version', { timeout: 30_000 });
const becomes = (page, version) => page.waitForFunction((wanted) => document.documentElement.dataset.version === wanted, { timeout: 30_000, polling: 200 }, version);

for (const name of BROWSERS) {
  describe(`a new version in ${name}`, () => {
    let folder;
    let server;
    let session;
    let context;
    let url;
    let version = 0;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-version-'));
      await buildSite(folder);
      server = await serveStatic({ folders: { '/some/where/': folder }, policy: POLICY });
      server.faults.set('/some/where/service_worker.js', (_, response) => {
        response.setHeader('Cache-Control', 'public, max-age=31536000, immutable');
        return true;
      });
      url = `${server.origin}/some/where/#steps=1&count=1`;
      session = await launch(name);
    });
    beforeEach(async () => (context = await session.browser.createBrowserContext()));
    after(async () => {
      await session?.close();
      await server?.close();
      if (folder) await rm(folder, { recursive: true, force: true });
    });

    /** A page with a copy, under the control of its service worker, and a newer version on the server. */
    async function visit() {
      const { page, troubles } = await openPage(context, url);
      await settled(page);
      await hasCopy(page);
      await page.reload();
      await settled(page);
      const before = await versionOf(page);
      const next = `v${++version}`;
      await change(folder, next);
      return { page, troubles, before, next };
    }

    test('is said and taken at a click', async () => {
      const { page, troubles, before, next } = await visit();
      await page.reload();
      await offered(page);
      assert.equal(await versionOf(page), before, 'not before');
      await page.click('#new-version button');
      await becomes(page, next);
      await settled(page);
      assert.deepEqual(troubles, []);
      await context.close();
    });

    test('is taken at the next start', async () => {
      const { page, next } = await visit();
      await page.reload();
      await offered(page);
      await page.reload();
      await becomes(page, next);
      await settled(page);
      await context.close();
    });

    test('waits while another window shows the old one', async () => {
      const { page, before, next } = await visit();
      const { page: other } = await openPage(context, url);
      await settled(other);
      await page.bringToFront();
      await page.reload();
      await offered(page);
      await page.click('#new-version button');
      await page.waitForFunction(() => /other windows/.test(document.getElementById('new-version').textContent), { timeout: 30_000 });
      await page.reload();
      await settled(page);
      assert.equal(await versionOf(page), before);
      await other.close();
      // With the other window gone the page may take the new version, and come anew by itself, in this very moment.
      await page.reload().catch((error) => assert.match(error.message, /ABORTED/));
      await becomes(page, next);
      await context.close();
    });
  });
}
