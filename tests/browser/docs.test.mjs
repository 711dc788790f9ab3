// The pages and the programs for pages of the documentation, in Chromium, beside the files that scripts/site/build_element.mjs
// makes.

import assert from 'node:assert/strict';
import { copyFile, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildElement } from '../../scripts/site/build_element.mjs';
import { buildFigures } from '../../scripts/site/build_learn.mjs';
import { blocks } from '../doc_blocks.mjs';
import { root } from '../node/helpers.mjs';
import { launch, openPage } from './browsers.mjs';
import { serveStatic } from './static_server.mjs';

/** Some blocks have their styles in the page. */
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src 'self' blob:; style-src 'self' 'unsafe-inline'";

describe('pages of the documentation', () => {
  let folder;
  let server;
  let session;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-docs-'));
    await buildElement(folder);
    await cp(join(root, 'weights'), folder, { recursive: true });
    await copyFile(join(root, 'weights', 'doodles.gguf'), join(folder, 'mine.gguf')); // the reader's own, in docs/training.md
    await buildFigures(join(folder, 'figures'));
    await copyFile(join(root, 'weights', 'digits.gguf'), join(folder, 'figures', 'digits.gguf')); // docs/learn.md
    server = await serveStatic({ folders: { '/pocket-diffusion/': folder, '/figures/': join(folder, 'figures') }, policy: POLICY });
    session = await launch('chrome');
  });
  after(async () => {
    await session?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** HTML -> nothing, once the elements on it have drawn and the program has run. */
  async function open(html, program = '') {
    const script = program && '<script type="module" src="program.mjs"></script>';
    server.pages['/page.html'] = `<!DOCTYPE html><meta charset="utf-8"><title>page</title>${html}${script}`;
    server.faults.set('/program.mjs', (request, response) =>
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(`${program}\nglobalThis.ended = true;`));
    const { page, troubles } = await openPage(session.browser, `${server.origin}/page.html`);
    try {
      await page.waitForFunction((wanted) => (!wanted || globalThis.ended) &&
        [...document.querySelectorAll('pocket-diffusion, pocket-diffusion-figure')].every(({ state }) => state === 'done'), { timeout: 30_000 }, Boolean(program))
        .catch((error) => assert.fail(`${error.message} ${troubles.join('; ')}`));
      assert.deepEqual(troubles, []);
    } finally {
      await page.close();
    }
  }

  blocks.forEach(({ name, file, language, browser, reason, text }, index) => {
    if (reason) return;
    if (language === 'html') test(`${name} is drawn`, () => open(text));
    if (!browser) return;
    const before = blocks.slice(0, index).findLast((block) => block.file === file && block.language === 'html')?.text ?? '';
    test(`${name} runs`, () => open(before, text));
  });
});
