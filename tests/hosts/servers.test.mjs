// The page, the element and the library on real web servers, in a sub-path: as the server comes, and with gzip and
// "Cache-Control: immutable". nginx in all browsers, the others in Chromium.

import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { load } from 'pocket-diffusion';
import { buildElement } from '../../scripts/site/build_element.mjs';
import { buildSite } from '../../scripts/site/build_site.mjs';
import { ENGINES, launch, openPage, settled } from '../browser/browsers.mjs';
import { pixelsOfGrid } from '../browser/page_tools.mjs';
import { doodlesPath } from '../node/helpers.mjs';
import { taken, unlessMissing } from './selection.mjs';
import { SERVER_NAMES, canBeTuned, isInstalled, startServer } from './servers.mjs';

const PATH = '/some/where/';
const HASH = '#label=cat&s=3&seed=7&steps=4&sampler=ddim&count=2';
const OPTIONS = { label: 'cat', seed: 7, steps: 4, guidanceScale: 3, sampler: 'ddim' };

const ELEMENT_PAGE = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>element</title>
<link rel="icon" href="favicon.svg"><link rel="stylesheet" href="element/pocket-diffusion.css">
<script type="module" src="element/pocket-diffusion.js"></script></head>
<body><pocket-diffusion src="element/doodles.gguf" label="cat" seed="7" steps="4" guidance-scale="3" sampler="ddim"></pocket-diffusion></body></html>`;

const LIBRARY_PAGE = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>library</title>
<link rel="icon" href="favicon.svg"></head><body></body></html>`;

/** Servers leave what is as small as this as it is. */
const WORTH_COMPRESSING = 1000;

let root;
const sessions = {};
let expected;
let scripts; // which browsers refuse if a server sends them under the wrong type

/** Beside every file one that is compressed, for servers that compress nothing themselves. */
async function compressAll(folder) {
  for (const name of await readdir(folder, { recursive: true })) {
    if (!/\.(js|css|html|wasm|gguf)$/.test(name)) continue;
    await writeFile(join(folder, `${name}.gz`), gzipSync(await readFile(join(folder, name))));
  }
}

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'pocket-diffusion-hosts-'));
  await chmod(root, 0o755); // servers run as users of their own
  const site = join(root, PATH);
  await mkdir(site, { recursive: true });
  await buildSite(site);
  const element = join(site, 'element');
  await buildElement(element);
  await copyFile(doodlesPath, join(element, 'doodles.gguf'));
  await writeFile(join(site, 'element.html'), ELEMENT_PAGE);
  await writeFile(join(site, 'library.html'), LIBRARY_PAGE);
  scripts = (await readdir(site, { recursive: true })).filter((name) => name.endsWith('.js'));
  await compressAll(root);
  for (const engine of ENGINES) if (engine === 'chrome' || taken('nginx')) sessions[engine] = await launch(engine);
  const model = await load(doodlesPath);
  expected = Array.from((await model.generate(OPTIONS)).pixels);
  model.close();
});
after(async () => {
  for (const session of Object.values(sessions)) await session.close();
  if (root) await rm(root, { recursive: true, force: true });
});

async function open(engine, url, look) {
  const { page, troubles } = await openPage(sessions[engine].browser, url);
  try {
    const seen = await look(page);
    assert.deepEqual(troubles, []);
    return seen;
  } finally {
    await page.close();
  }
}

for (const name of SERVER_NAMES.filter(taken)) {
  for (const tuned of canBeTuned(name) ? [false, true] : [false]) {
    describe(`${name}${tuned ? ' with gzip and Cache-Control: immutable' : ''}`, unlessMissing(isInstalled(name)), () => {
      let server;
      let url;
      before(async () => {
        server = await startServer(name, root, { tuned });
        url = server.origin + PATH;
      });
      after(() => server?.close());

      test('scripts are sent as JavaScript', async () => {
        assert.ok(scripts.length > 10);
        for (const script of scripts) {
          const response = await fetch(url + script);
          assert.match(response.headers.get('content-type') ?? '', /^(text|application)\/javascript\b/, script);
          const isLarge = (await response.text()).length >= WORTH_COMPRESSING;
          if (isLarge || !tuned) assert.equal(response.headers.get('content-encoding'), tuned ? 'gzip' : null, script);
          if (tuned) assert.match(response.headers.get('cache-control'), /immutable/, script);
        }
      });

      for (const engine of name === 'nginx' ? ENGINES : ['chrome']) {
        test(`the page draws in ${engine}`, () => open(engine, `${url}${HASH}`, async (page) => {
          await settled(page);
          assert.deepEqual((await pixelsOfGrid(page))[0], expected);
        }));

        test(`the element draws in ${engine}`, () => open(engine, `${url}element.html`, async (page) => {
          await page.waitForFunction(() => document.querySelector('pocket-diffusion').state === 'done', { timeout: 30_000 });
          assert.deepEqual(await page.evaluate(() => Array.from(document.querySelector('pocket-diffusion').pictures[0].pixels)), expected);
          if (engine === 'chrome') assert.equal(page.workers().length, 1);
        }));

        test(`a program imports the library, which draws in a worker in ${engine}`, () => open(engine, `${url}library.html`, async (page) => {
          const drawn = await page.evaluate(async (script, options) => {
            const { load } = await import(script);
            const model = await load(new URL('doodles.gguf', script), { worker: true });
            return Array.from((await model.generate(options)).pixels);
          }, `${url}element/pocket-diffusion.js`, OPTIONS);
          assert.deepEqual(drawn, expected);
        }));
      }
    });
  }
}
