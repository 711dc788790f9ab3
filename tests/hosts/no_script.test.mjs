// Where a script does not come after all, or comes as something that browsers refuse, the page and the element say so.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildElement } from '../../scripts/site/build_element.mjs';
import { buildSite } from '../../scripts/site/build_site.mjs';
import { launch } from '../browser/browsers.mjs';
import { serveStatic } from '../browser/static_server.mjs';

const ELEMENT = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>element</title>
<link rel="stylesheet" href="element/pocket-diffusion.css"><script type="module" src="element/pocket-diffusion.js"></script></head>
<body><pocket-diffusion src="element/doodles.gguf" label="cat"></pocket-diffusion></body></html>`;

const FAULTS = {
  'comes as something else': (request, response) => response.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end('export {}'),
  'is not there': (request, response) => response.writeHead(404).end(),
};

describe('a script that does not come', () => {
  let folder;
  let server;
  let session;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-no-script-'));
    await buildSite(join(folder, 'site'));
    await buildElement(join(folder, 'element'));
    server = await serveStatic({
      folders: { '/site/': join(folder, 'site'), '/element/': join(folder, 'element') }, pages: { '/element.html': ELEMENT },
    });
    session = await launch('chrome');
  });
  after(async () => {
    await session?.close();
    await server?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** Opens a page, and lets the time of its animations pass. */
  async function open(url) {
    const page = await session.browser.newPage();
    await page.goto(url);
    await page.waitForFunction(() => document.getAnimations({ subtree: true }).length > 0, { timeout: 10_000 });
    await page.evaluate(() => document.getAnimations({ subtree: true }).forEach((animation) => (animation.currentTime = 60_000)));
    return page;
  }

  for (const [what, answer] of Object.entries(FAULTS)) {
    test(`that ${what}: the page says so`, async () => {
      server.faults.set('/site/page.js', answer);
      const page = await open(`${server.origin}/site/`);
      assert.ok(await page.$eval('#late', (node) => node.checkVisibility({ visibilityProperty: true })));
      server.faults.delete('/site/page.js');
      await Promise.all([page.waitForNavigation(), page.click('#late a')]);
      await page.waitForFunction(() => !document.getElementById('late'), { timeout: 30_000 });
      await page.close();
    });

    test(`that ${what}: the element says so`, async () => {
      server.faults.set('/element/pocket-diffusion.js', answer);
      const page = await open(`${server.origin}/element.html`);
      assert.match(await page.$eval('pocket-diffusion', (node) => getComputedStyle(node, '::before').content), /has not come/);
      server.faults.delete('/element/pocket-diffusion.js');
      await page.close();
    });
  }
});
