// The programs of docs/frameworks.md, which are those of web/examples, type-checked, built and opened: properties, events,
// removal, what a server renders, and a change of the source while the page is open.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch } from '../browser/browsers.mjs';
import { STRICT_POLICY, serveStatic } from '../browser/static_server.mjs';
import {
  assertDraws, closeModel, hasPackages, prepare, recommendedScale, removePackage, run, serve, visit,
} from './examples.mjs';
import { taken, unlessMissing } from './selection.mjs';

const CAT = { label: 'cat', seed: 7 };

/** name -> the file with the element, and one that must not pass the check of the types but for what it says. */
const VITE = {
  react: { source: 'src/App.tsx', wrong: { 'src/Wrong.tsx': '// @ts-expect-error no number\nexport const wrong = <pocket-diffusion steps="many" />;\n' } },
  vue: { source: 'src/App.vue', wrong: { 'src/Wrong.vue': '<template>\n  <!-- @vue-expect-error no number -->\n  <pocket-diffusion steps="many" />\n</template>\n<script setup lang="ts"></script>\n' } },
  svelte: { source: 'src/App.svelte', wrong: {} }, // has no such comment
  solid: { source: 'src/App.tsx', wrong: { 'src/Wrong.tsx': '// @ts-expect-error no number\nexport const wrong = () => <pocket-diffusion steps="many" />;\n' } },
};

let session;
before(async () => (session = await launch('chrome')));
after(async () => {
  await session?.close();
  await removePackage();
  closeModel();
});

const drawings = (page, count) =>
  page.waitForFunction((wanted) => document.querySelector('output').textContent === String(wanted), { timeout: 60_000 }, count);

/** Properties reach the element, events the program; undefined is no attribute; what is taken out stops. */
async function assertWorks(page) {
  await assertDraws(page, { ...CAT, guidanceScale: 3 });
  await drawings(page, 1);
  const [five, none] = await page.$$('p button');
  await five.click();
  await assertDraws(page, { ...CAT, guidanceScale: 5 });
  await drawings(page, 2);
  await none.click();
  await assertDraws(page, { ...CAT, guidanceScale: await recommendedScale() });
  await drawings(page, 3);
  const state = await page.evaluate(async () => {
    const element = document.querySelector('pocket-diffusion');
    const scale = element.guidanceScale;
    element.steps = 200;
    await new Promise((resolve) => element.addEventListener('step', resolve, { once: true }));
    element.parentElement.remove();
    await new Promise((resolve) => setTimeout(resolve, 100));
    return [scale, element.state];
  });
  assert.deepEqual(state, [null, 'idle']);
}

async function serveBuilt(folder, use) {
  const server = await serveStatic({ folders: { '/': join(folder, 'dist') }, policy: STRICT_POLICY.replace('blob:', 'blob: data:') });
  try {
    await visit(session, `${server.origin}/index.html`, use);
  } finally {
    await server.close();
  }
}

for (const [name, { source, wrong }] of Object.entries(VITE)) {
  if (!taken(name)) continue;
  describe(`framework ${name}`, unlessMissing(hasPackages(name)), () => {
    let folder;
    let text;
    before(async () => {
      folder = await prepare(name, { model: 'public' });
      text = await readFile(join(folder, source), 'utf8');
      for (const [file, wrongText] of Object.entries(wrong)) await writeFile(join(folder, file), wrongText);
      await run(folder, 'npm', 'run', 'build'); // with a check of the types
    });

    test('properties, events, undefined, removal', () => serveBuilt(folder, assertWorks));

    if (name === 'react') {
      test('rendered on a server', async () => {
        await run(folder, 'npm', 'run', 'prerender');
        const html = await readFile(join(folder, 'dist/index.html'), 'utf8');
        assert.match(html, /<pocket-diffusion [^>]*guidanceScale="3"/);
        await serveBuilt(folder, assertWorks);
      });
    }

    if (name === 'svelte') {
      test('a wrong property is refused', async () => {
        await writeFile(join(folder, 'src/Wrong.svelte'), '<script lang="ts"></script>\n<pocket-diffusion steps="many"></pocket-diffusion>\n');
        await assert.rejects(run(folder, 'npx', '--no-install', 'svelte-check'), /"many"/);
      });
    }

    test('the source changes while the page is open', async () => {
      const server = await serve(folder, 'node_modules/vite/bin/vite.js', '--host', '127.0.0.1', '--port', '0', '--clearScreen', 'false');
      try {
        await visit(session, server.url, async (page) => {
          await assertDraws(page, { ...CAT, guidanceScale: 3 });
          await page.evaluate(() => (globalThis.sameDocument = true));
          // As who edits would, again after a while: a busy machine may not watch the file yet.
          const edit = () => writeFile(join(folder, source), text.replace('"cat"', '"dog"'));
          const again = setInterval(edit, 10_000);
          await edit();
          await assertDraws(page, { ...CAT, label: 'dog', guidanceScale: 3 }).finally(() => clearInterval(again));
          assert.equal(await page.evaluate(() => globalThis.sameDocument), true);
        });
      } finally {
        await server.close();
        await writeFile(join(folder, source), text);
      }
    });
  });
}

if (taken('next')) {
  describe('framework next', unlessMissing(hasPackages('next')), () => {
    const program = 'node_modules/next/dist/bin/next';
    let folder;
    before(async () => (folder = await prepare('next', { model: 'public' })));

    test('rendered on a server; links forwards and back', async () => {
      await run(folder, process.execPath, program, 'build'); // with a check of the types
      const server = await serve(folder, program, 'start', '--hostname', '127.0.0.1', '--port', '0');
      try {
        const html = await (await fetch(server.url)).text();
        assert.match(html, /<pocket-diffusion [^>]*guidanceScale="3"/);
        await visit(session, server.url, async (page) => {
          await assertDraws(page, { ...CAT, guidanceScale: 3 });
          await drawings(page, 1);
          await (await page.$('a')).click();
          await assertDraws(page, { ...CAT, label: 'dog', guidanceScale: 3 });
          await drawings(page, 1);
          await page.goBack();
          await assertDraws(page, { ...CAT, guidanceScale: 3 });
        });
      } finally {
        await server.close();
      }
    });

    test('the source changes while the page is open', async () => {
      const source = join(folder, 'app/page.tsx');
      const text = await readFile(source, 'utf8');
      const server = await serve(folder, program, 'dev', '--hostname', '127.0.0.1', '--port', '0');
      try {
        await (await fetch(server.url)).text(); // compiles the page, which takes longer than browsers wait
        await visit(session, server.url, async (page) => {
          await assertDraws(page, { ...CAT, guidanceScale: 3 });
          await page.evaluate(() => (globalThis.sameDocument = true));
          await writeFile(source, text.replace('label="cat"', 'label="dog"'));
          await assertDraws(page, { ...CAT, label: 'dog', guidanceScale: 3 });
          assert.equal(await page.evaluate(() => globalThis.sameDocument), true);
        });
      } finally {
        await server.close();
        await writeFile(source, text);
      }
    });
  });
}
