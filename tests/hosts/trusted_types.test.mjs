// The page and the element under a policy that has browsers refuse addresses of scripts which no policy of Trusted Types has
// made. Firefox ESR has no Trusted Types: there nothing is refused.

import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildElement } from '../../scripts/site/build_element.mjs';
import { buildOneFile, buildSite } from '../../scripts/site/build_site.mjs';
import { launch, openPage, settled } from '../browser/browsers.mjs';
import { STRICT_POLICY, serveStatic } from '../browser/static_server.mjs';
import { doodlesPath } from '../node/helpers.mjs';

const TRUSTED = "; require-trusted-types-for 'script'; trusted-types pocket-diffusion";
const ELEMENT = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>element</title>
<script type="module" src="element/pocket-diffusion.js"></script></head>
<body><pocket-diffusion src="element/doodles.gguf" label="cat" seed="7" steps="4"></pocket-diffusion></body></html>`;
const REFUSED = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>refused</title></head><body></body></html>`;

describe('Trusted Types', () => {
  let folder;
  let server;
  let one;
  let session;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-trusted-'));
    await buildSite(join(folder, 'site'));
    await buildElement(join(folder, 'element'));
    await copyFile(doodlesPath, join(folder, 'element/doodles.gguf'));
    await buildOneFile(join(folder, 'one/pocket-diffusion.html'));
    const pages = { '/element.html': ELEMENT, '/refused.html': REFUSED };
    const folders = { '/site/': join(folder, 'site'), '/element/': join(folder, 'element') };
    server = await serveStatic({ folders, pages, policy: `${STRICT_POLICY}; manifest-src 'self'${TRUSTED}` });
    one = await serveStatic({ folders: { '/one/': join(folder, 'one') }, policy: TRUSTED.slice(2) });
    session = await launch('chrome');
  });
  after(async () => {
    await session?.close();
    await server?.close();
    await one?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function open(url, look) {
    const { page, troubles } = await openPage(session.browser, url);
    try {
      await look(page);
      assert.deepEqual(troubles, []);
    } finally {
      await page.close();
    }
  }

  test('the browser refuses a worker by its bare address', async () => {
    const { page } = await openPage(session.browser, `${server.origin}/refused.html`);
    const message = await page.evaluate(() => {
      try {
        return String(new Worker('element/worker.js'));
      } catch (error) {
        return error.message;
      }
    });
    assert.match(message, /TrustedScriptURL/);
    await page.close();
  });

  test('the page draws, and keeps its copy for use offline', () => open(`${server.origin}/site/`, async (page) => {
    await settled(page);
    assert.ok(page.workers().length > 0);
    await page.waitForFunction(async () => (await navigator.serviceWorker.getRegistration())?.active, { timeout: 30_000, polling: 200 });
  }));

  test('the page in one file draws', () => open(`${one.origin}/one/pocket-diffusion.html`, async (page) => {
    await settled(page);
    assert.ok(page.workers().length > 0);
  }));

  test('a figure of the article in one file draws', () => open(`${one.origin}/one/pocket-diffusion.html?learn=en#model=digits`, async (page) => {
    await page.waitForFunction(() => customElements.get('pocket-diffusion-figure'));
    await page.evaluate(() => document.querySelector('pocket-diffusion-figure').begin());
    await page.waitForFunction(() => document.querySelector('pocket-diffusion-figure').state === 'done', { timeout: 30_000 });
    assert.ok(page.workers().length > 0);
  }));

  test('the element draws in a worker', () => open(`${server.origin}/element.html`, async (page) => {
    await page.waitForFunction(() => document.querySelector('pocket-diffusion').state === 'done', { timeout: 30_000 });
    assert.equal(page.workers().length, 1);
  }));
});
