// Bundles <pocket-diffusion> for pages without a bundler: files to put anywhere, together. Their names end in .js, which
// every server sends as JavaScript; nginx 1.22 of Debian 12, for one, does not know .mjs.
//
//   node scripts/site/build_element.mjs [FOLDER]      default: dist/element; then also dist/inline.mjs
//
//   pocket-diffusion.js     the element and the library, minified; exports what web/element.mjs and web/index.mjs export
//   worker.js               what runs in the workers
//   engine.js               what both of them need
//   rendering.js            enlarges pictures
//   pocket-diffusion.wasm, pocket-diffusion-relaxed.wasm   the core; the latter if a program asks for relaxed SIMD
//   pocket-diffusion.css    keeps the room of the elements until the script has come (web/element.css)
//   pocket-diffusion.mjs    the same as pocket-diffusion.js, for pages that have its former name
//
// dist/inline.mjs is the scripts and the strict module in one, for bundlers that know nothing of workers and WebAssembly.

import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import { CLASSIC, inlineWorker } from './inline_worker.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const web = join(root, 'web');

/** Modules that the page and its workers share, in a file of their own: it is downloaded once. */
const SHARED = ['async', 'engine', 'errors', 'host', 'platform', 'protocol', 'trace'].map((name) => join(web, 'library', `${name}.mjs`));

const EXPORTED = ['./element.mjs', './index.mjs'];

const exportsOf = (modules) => modules.map((name) => `export * from '${name}';\n`).join('');

const sharedElsewhere = {
  name: 'shared-elsewhere',
  setup: (build) => build.onResolve({ filter: /^\./ }, ({ path, resolveDir }) =>
    SHARED.includes(join(resolveDir, path)) ? { path: './engine.js', external: true } : null),
};

/** Enlarging is in a file of its own: not all that draw do it. */
const RENDERING = join(web, 'library', 'rendering.mjs');
const renderingElsewhere = {
  name: 'rendering-elsewhere',
  setup: (build) => build.onResolve({ filter: /^\./ }, ({ path, resolveDir }) =>
    join(resolveDir, path) === RENDERING ? { path: './rendering.js', external: true } : null),
};

const OPTIONS = { bundle: true, minify: true, format: 'esm', target: 'es2022', legalComments: 'none', logLevel: 'warning', write: false };

/** @param {string[]} modules whose exports the bundle has @param {import('esbuild').BuildOptions} [options] */
async function make(modules, options) {
  const { outputFiles } = await esbuild.build({ ...OPTIONS, stdin: { contents: exportsOf(modules), resolveDir: web }, ...options });
  return outputFiles[0].contents;
}

/**
 * The scripts. The addresses of the worker and of the WebAssembly module are relative to them, and stay as they are.
 * @param {string[]} exported modules of the library
 * @returns {Promise<{ name: string, contents: Uint8Array }[]>}
 */
export async function bundle(exported) {
  const plugins = [sharedElsewhere, renderingElsewhere];
  const [engine, library, worker, rendering] = await Promise.all([
    make(SHARED), make(exported, { plugins }), make(['./worker.js'], { plugins }), make([RENDERING], { plugins: [sharedElsewhere] }),
  ]);
  return [
    { name: 'engine.js', contents: engine }, { name: 'pocket-diffusion.js', contents: library }, { name: 'worker.js', contents: worker },
    { name: 'rendering.js', contents: rendering },
  ];
}

/** The script under the name that it had at first. */
export const FORMER_NAME = { name: 'pocket-diffusion.mjs', contents: "export * from './pocket-diffusion.js';\n" };

/** The WebAssembly module as an address that needs no file. */
const inlineModule = {
  name: 'inline-module',
  setup: (build) => build.onLoad({ filter: /[\\/]wasm\.mjs$/ }, async ({ path }) => {
    const [text, module] = [await readFile(path, 'utf8'), await readFile(join(web, 'pocket-diffusion.wasm'), 'base64')];
    const expression = /new URL\('\.\/pocket-diffusion(-relaxed)?\.wasm', import\.meta\.url\)/g; // one module for both
    if (text.match(expression)?.length !== 2) throw new Error('wasm.mjs does not name its modules in the form that bundlers look for');
    return { contents: `const inlined = 'data:application/wasm;base64,${module}';\n${text.replace(expression, 'new URL(inlined)')}` };
  }),
};

/** @param {string} [path] */
export async function buildInline(path = join(root, 'dist/inline.mjs')) {
  const worker = Buffer.from(await make(['./worker.js'], CLASSIC)).toString();
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await make(EXPORTED, { plugins: [inlineWorker(worker), inlineModule] }));
}

/** @param {string} [folder] made if it is not there; other files in it stay */
export async function buildElement(folder = join(root, 'dist/element')) {
  await mkdir(folder, { recursive: true });
  await Promise.all([
    ...[...await bundle(EXPORTED), FORMER_NAME].map(({ name, contents }) => writeFile(join(folder, name), contents)),
    ...['pocket-diffusion.wasm', 'pocket-diffusion-relaxed.wasm'].map((name) => copyFile(join(web, name), join(folder, name))),
    copyFile(join(web, 'element.css'), join(folder, 'pocket-diffusion.css')),
  ]);
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const folder = resolve(process.argv[2] ?? join(root, 'dist/element'));
  await buildElement(folder);
  console.log(folder);
  if (!process.argv[2]) await buildInline();
}
