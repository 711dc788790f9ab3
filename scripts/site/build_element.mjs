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

import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import { CLASSIC, inlineWorker, separateWorker } from './start_worker.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const web = join(root, 'web');

const EXPORTED = ['./element.mjs', './index.mjs'];

const OPTIONS = { bundle: true, minify: true, format: 'esm', target: 'es2022', legalComments: 'none', logLevel: 'warning', write: false };

/** A module that exports what `modules` do. @param {string[]} modules relative to web/ */
const exportsOf = (modules) => modules.map((name) => `export * from '${name}';\n`).join('');

/** The module `main` that the library's bundles begin with. @param {string[]} exported */
const mainModule = (exported) => ({
  name: 'main-module',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^main$/ }, () => ({ path: 'main', namespace: 'main' }));
    onLoad({ filter: /^main$/, namespace: 'main' }, () => ({ contents: exportsOf(exported), resolveDir: web }));
  },
});

/** What the element imports when it is near the window is there already, in the same file: no wrapping, no waiting. But for what enlarges pictures. */
const atOnce = {
  name: 'at-once',
  setup: ({ onLoad }) => onLoad({ filter: /[\\/]web[\\/]element(\.mjs|[\\/]models\.mjs)$/ }, async ({ path }) => {
    const names = [];
    const text = (await readFile(path, 'utf8')).replace(/(?<!\{)\bimport\('((?!\.\/library\/rendering\b)[^']+\.mjs)'\)/g, (_, name) => `Promise.resolve(imported${names.push(name)})`);
    return { contents: names.map((name, index) => `import * as imported${index + 1} from '${name}';\n`).join('') + text };
  }),
};

/** What enlarges pictures is loaded when a picture is enlarged. */
const renderingElsewhere = {
  name: 'rendering-elsewhere',
  setup: ({ onResolve }) => onResolve({ filter: /[\\/]rendering\.mjs$/ }, () => ({ path: './rendering.js', external: true })),
};

/**
 * The scripts. The addresses of the worker and of the WebAssembly module are relative to them, and stay as they are. What
 * the page and its workers share is in a file of its own: it is downloaded once. What enlarges pictures is in another one, for
 * not all that draw do it.
 * @param {string[]} exported modules of the library
 * @returns {Promise<{ name: string, contents: Uint8Array }[]>}
 */
export async function bundle(exported) {
  const { outputFiles } = await esbuild.build({
    ...OPTIONS, entryPoints: { 'pocket-diffusion': 'main', worker: join(web, 'worker.js') }, outdir: web, splitting: true, chunkNames: 'engine',
    plugins: [mainModule(exported), atOnce, renderingElsewhere, separateWorker],
  });
  const rendering = { name: 'rendering.js', contents: await make(['./library/rendering.mjs'], {}) };
  return [...outputFiles.map(({ path, contents }) => ({ name: basename(path), contents })), rendering];
}

/** @param {string[]} modules whose exports the bundle has @param {import('esbuild').BuildOptions} options */
async function make(modules, options) {
  const { outputFiles } = await esbuild.build({ ...OPTIONS, stdin: { contents: exportsOf(modules), resolveDir: web }, ...options });
  return outputFiles[0].contents;
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

/**
 * Each file is whole at any moment: another program may pack or read it meanwhile.
 * @param {string} folder made if it is not there; other files in it stay @param {Array<{ name: string, contents: string | Uint8Array }>} files
 */
async function writeFiles(folder, files) {
  await mkdir(folder, { recursive: true });
  const beside = await mkdtemp(`${resolve(folder)}-`); // outside, or it might be packed
  try {
    await Promise.all(files.map(async ({ name, contents }) => {
      await writeFile(join(beside, name), contents);
      await rename(join(beside, name), join(folder, name));
    }));
  } finally {
    await rm(beside, { recursive: true });
  }
}

/** @param {string} [path] */
export async function buildInline(path = join(root, 'dist/inline.mjs')) {
  const worker = Buffer.from(await make(['./worker.js'], CLASSIC)).toString();
  const contents = await make(EXPORTED, { plugins: [atOnce, inlineWorker(worker), inlineModule] });
  await writeFiles(dirname(path), [{ name: basename(path), contents }]);
}

/** @param {string} [folder] made if it is not there; other files in it stay */
export async function buildElement(folder = join(root, 'dist/element')) {
  const copies = { 'pocket-diffusion.wasm': 'pocket-diffusion.wasm', 'pocket-diffusion-relaxed.wasm': 'pocket-diffusion-relaxed.wasm', 'pocket-diffusion.css': 'element.css' };
  const copied = await Promise.all(Object.entries(copies).map(async ([name, file]) => ({ name, contents: await readFile(join(web, file)) })));
  await writeFiles(folder, [...await bundle(EXPORTED), FORMER_NAME, ...copied]);
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const folder = resolve(process.argv[2] ?? join(root, 'dist/element'));
  await buildElement(folder);
  console.log(folder);
  if (!process.argv[2]) await buildInline();
}
