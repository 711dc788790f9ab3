// Bundles <pocket-diffusion> for pages without a bundler: five files to put anywhere, together.
//
//   node scripts/build_element.mjs [FOLDER]      default: dist/element
//
//   pocket-diffusion.mjs    the element and the library, minified; exports what web/element.mjs and web/index.mjs export
//   worker.mjs              what runs in the workers
//   engine.mjs              what both of them need
//   pocket-diffusion.wasm
//   pocket-diffusion.css    keeps the room of the elements until the script has come (web/element.css)

import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const web = join(root, 'web');

/** Modules that the page and its workers share, in a file of their own: it is downloaded once. */
const SHARED = ['async', 'engine', 'errors', 'host', 'platform', 'protocol', 'trace'].map((name) => `./${name}.mjs`);

const exportsOf = (modules) => modules.map((name) => `export * from '${name}';\n`).join('');

const sharedElsewhere = {
  name: 'shared-elsewhere',
  setup: (build) => build.onResolve({ filter: /^\./ }, ({ path }) =>
    SHARED.includes(path.replace(/^\.\.?\//, './')) ? { path: './engine.mjs', external: true } : null),
};

/**
 * The scripts. The addresses of the worker and of the WebAssembly module are relative to them, and stay as they are.
 * @param {string[]} exported modules of the library
 * @returns {Promise<{ name: string, contents: Uint8Array }[]>}
 */
export async function bundle(exported) {
  const options = { bundle: true, minify: true, format: 'esm', target: 'es2022', legalComments: 'none', logLevel: 'warning', write: false };
  const make = async (name, modules, plugins) => {
    const { outputFiles } = await esbuild.build({ ...options, plugins, stdin: { contents: exportsOf(modules), resolveDir: web } });
    return { name, contents: outputFiles[0].contents };
  };
  return Promise.all([
    make('engine.mjs', SHARED, []),
    make('pocket-diffusion.mjs', exported, [sharedElsewhere]),
    make('worker.mjs', ['./worker.mjs'], [sharedElsewhere]),
  ]);
}

/** @param {string} [folder] made if it is not there; other files in it stay */
export async function buildElement(folder = join(root, 'dist/element')) {
  await mkdir(folder, { recursive: true });
  await Promise.all([
    ...(await bundle(['./element.mjs', './index.mjs'])).map(({ name, contents }) => writeFile(join(folder, name), contents)),
    copyFile(join(web, 'pocket-diffusion.wasm'), join(folder, 'pocket-diffusion.wasm')),
    copyFile(join(web, 'element.css'), join(folder, 'pocket-diffusion.css')),
  ]);
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const folder = resolve(process.argv[2] ?? join(root, 'dist/element'));
  await buildElement(folder);
  console.log(folder);
}
