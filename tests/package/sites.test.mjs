// The documentation sites of web/examples, each built with its generator, opened in Chromium and in Firefox in a sub-path.
// A picture has to be there, the pixels those of Node. The policy lets generators have scripts and styles inside their
// pages, but asks no other host.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cp, copyFile, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { load } from 'pocket-diffusion';
import { buildElement } from '../../scripts/site/build_element.mjs';
import { BROWSERS, launch, openPage } from '../browser/browsers.mjs';
import { serveStatic } from '../browser/static_server.mjs';
import { root } from '../node/helpers.mjs';
import { installPackage, unlessMissing } from './installed.mjs';

const MODEL = join(root, 'weights/doodles.gguf');
const examples = join(root, 'web/examples');
const python = join(root, 'build/examples/bin');
const vitepressModules = join(examples, 'vitepress/node_modules');
const present = (path) => (existsSync(path) ? path : null);

const run = (folder, command, ...options) =>
  execFileSync(command, options, { cwd: folder, encoding: 'utf8', stdio: 'pipe', env: { ...process.env, NO_MKDOCS_2_WARNING: '1' } });

/** The six files of the element, and a model. */
async function putElement(folder) {
  await buildElement(folder);
  await copyFile(MODEL, join(folder, 'doodles.gguf'));
}

/** What `npm install pocket-diffusion` makes of the example's folder. */
async function putPackage(folder) {
  const installed = await installPackage();
  const modules = join(folder, 'node_modules');
  await rm(modules, { recursive: true, force: true });
  await mkdir(modules);
  for (const name of await readdir(vitepressModules)) await symlink(join(vitepressModules, name), join(modules, name));
  await cp(join(installed.folder, 'node_modules/pocket-diffusion'), join(modules, 'pocket-diffusion'), { recursive: true });
  await installed.remove();
  await mkdir(join(folder, 'docs/public'), { recursive: true });
  await copyFile(MODEL, join(folder, 'docs/public/doodles.gguf'));
}

/**
 * needs: what must be installed; build(folder of a copy): the folder of the finished site; pages: path -> options;
 * ownTroubles: what is wrong with the generator's pages themselves.
 */
const SITES = {
  html: {
    needs: examples,
    async build(folder) {
      await putElement(join(folder, 'pocket-diffusion'));
      return folder;
    },
    pages: { 'index.html': { label: 'cat', seed: 7 } },
  },
  mkdocs: {
    needs: present(join(python, 'mkdocs')),
    async build(folder) {
      await putElement(join(folder, 'docs/pocket-diffusion'));
      run(folder, join(python, 'mkdocs'), 'build', '--strict', '--quiet');
      return join(folder, 'site');
    },
    pages: { 'index.html': { label: 'cat', seed: 7 }, 'guide/houses/index.html': { label: 'house', seed: 1, count: 4 } },
  },
  sphinx: {
    needs: present(join(python, 'sphinx-build')),
    async build(folder) {
      await putElement(join(folder, '_static/pocket-diffusion'));
      run(folder, join(python, 'sphinx-build'), '-q', '-W', '-b', 'html', '.', 'site');
      return join(folder, 'site');
    },
    pages: { 'index.html': { label: 'cat', seed: 7 } },
  },
  jupyter: {
    needs: present(join(python, 'jupyter-nbconvert')),
    async build(folder) {
      await putElement(join(folder, 'pocket-diffusion'));
      run(folder, join(python, 'jupyter-nbconvert'), '--to', 'html', 'doodles.ipynb');
      return folder;
    },
    pages: { 'doodles.html': { label: 'cat', seed: 7 } },
    ownTroubles: /cdnjs\.cloudflare\.com|MathJax|mermaid|dynamically imported module/, // of nbconvert's template: refused by the policy
  },
  vitepress: {
    needs: present(vitepressModules),
    root: '/',
    async build(folder) {
      await putPackage(folder);
      run(folder, process.execPath, 'node_modules/vitepress/bin/vitepress.js', 'build', 'docs');
      return join(folder, 'docs/.vitepress/dist');
    },
    pages: { 'index.html': { label: 'cat', seed: 7 } },
  },
};

/** html/index.html brings a stricter one. */
const POLICY = "default-src 'self' 'unsafe-inline' data: blob:; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'";

let model;
let sessions;
before(async () => {
  model = await load(MODEL);
  sessions = await Promise.all(BROWSERS.map((name) => launch(name)));
});
after(async () => {
  model?.close();
  await Promise.all(sessions?.map((session) => session.close()) ?? []);
});

async function assertDraws(session, url, options, ownTroubles) {
  const { page, troubles } = await openPage(session.browser, url);
  try {
    await page.waitForFunction(() => document.querySelector('pocket-diffusion').state === 'done', { timeout: 30_000 });
    const drawn = await page.evaluate(() => document.querySelector('pocket-diffusion').pictures.map(({ pixels }) => Array.from(pixels)));
    const expected = [];
    for await (const { pixels } of model.generateMany(options)) expected.push(Array.from(pixels));
    assert.deepEqual(drawn, expected);
    const visible = await page.evaluate(() => document.querySelector('pocket-diffusion').shadowRoot.querySelector('canvas').getBoundingClientRect().width);
    assert.ok(visible > 100, `${visible} pixels wide`);
    assert.deepEqual(troubles.filter((trouble) => !ownTroubles.test(trouble)), []);
  } finally {
    await page.close();
  }
}

for (const [name, { needs, build, pages, root: path = '/some/where/', ownTroubles = /^$/ }] of Object.entries(SITES)) {
  describe(`example ${name}`, unlessMissing(needs), () => {
    let folder;
    let server;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), `pocket-diffusion-${name}-`));
      const source = join(examples, name);
      await cp(source, folder, { recursive: true, filter: (file) => !file.startsWith(join(source, 'node_modules')) });
      server = await serveStatic({ folders: { [path]: await build(folder) }, policy: POLICY });
    });
    after(async () => {
      await server?.close();
      if (folder) await rm(folder, { recursive: true, force: true });
    });
    BROWSERS.forEach((browser, index) => {
      for (const [file, options] of Object.entries(pages)) {
        test(`${file} shows a picture in ${browser}`, () => assertDraws(sessions[index], `${server.origin}${path}${file}`, options, ownTroubles));
      }
    });
  });
}
