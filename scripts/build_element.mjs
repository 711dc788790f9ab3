// Bundles <pocket-diffusion> for pages without a bundler: four files to put anywhere, together.
//
//   node scripts/build_element.mjs [FOLDER]      default: dist/element
//
//   pocket-diffusion.mjs    the element and the library, minified; exports what web/element.mjs and web/index.mjs export
//   worker.mjs              what runs in the workers
//   pocket-diffusion.wasm
//   pocket-diffusion.css    keeps the room of the elements until the script has come (web/element.css)

import { copyFile, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const web = join(root, 'web');

const ENTRY = "export * from './element.mjs';\nexport * from './index.mjs';\n";

/** @param {string} [folder] made if it is not there; other files in it stay */
export async function buildElement(folder = join(root, 'dist/element')) {
  await mkdir(folder, { recursive: true });
  // The addresses of the worker and of the WebAssembly module are relative to the script, and stay as they are.
  const options = { bundle: true, minify: true, format: 'esm', target: 'es2022', legalComments: 'none', logLevel: 'warning' };
  await Promise.all([
    esbuild.build({ ...options, stdin: { contents: ENTRY, resolveDir: web }, outfile: join(folder, 'pocket-diffusion.mjs') }),
    esbuild.build({ ...options, entryPoints: [join(web, 'worker.mjs')], outfile: join(folder, 'worker.mjs') }),
    copyFile(join(web, 'pocket-diffusion.wasm'), join(folder, 'pocket-diffusion.wasm')),
    copyFile(join(web, 'element.css'), join(folder, 'pocket-diffusion.css')),
  ]);
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const folder = resolve(process.argv[2] ?? join(root, 'dist/element'));
  await buildElement(folder);
  console.log(folder);
}
