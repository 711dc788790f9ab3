// Assembles the page in dist/site: what web/index.html needs, the weights, and nothing else.
//
//   node scripts/build_site.mjs [FOLDER]      default: dist/site
//
// All addresses are relative, so that the folder works under any path of any static host. Every module that the page
// imports at once is named in a modulepreload link: they arrive together rather than one import after the other.

import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, posix, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const IMPORT = /\b(?:import|export)\b[^'";]*?\bfrom\s*'(\.[^']+)'/g;
const ASSET = /new URL\('(\.[^']+)', import\.meta\.url\)/g;
const REFERENCE = /\b(?:src|href)="([^"#:]+)"/g;

const matches = (text, pattern) => Array.from(text.matchAll(pattern), ([, path]) => path);

/**
 * The files that `entries` lead to, relative to `folder`.
 * @param {string} folder
 * @param {string[]} entries
 * @param {{ assets?: boolean }} [options] follow workers and WebAssembly modules, too
 * @returns {Promise<string[]>}
 */
async function reachable(folder, entries, { assets = true } = {}) {
  const found = new Set(entries);
  for (const path of found) {
    if (!path.endsWith('.mjs')) continue;
    const text = await readFile(join(folder, path), 'utf8');
    const paths = [...matches(text, IMPORT), ...(assets ? matches(text, ASSET) : [])];
    for (const each of paths) found.add(posix.join(posix.dirname(path), each));
  }
  return [...found];
}

/** An older site is replaced; a folder with anything else in it stays as it is. */
async function makeEmpty(folder) {
  const names = await readdir(folder).catch(() => []);
  if (names.length > 0 && !names.includes('pocket-diffusion.wasm')) {
    throw new Error(`${folder} holds other files: name an empty folder`);
  }
  await rm(folder, { recursive: true, force: true });
}

/**
 * @param {string} [folder] emptied first
 * @returns {Promise<string[]>} the files, relative to it
 */
export async function buildSite(folder = join(root, 'dist/site')) {
  const web = join(root, 'web');
  const html = await readFile(join(web, 'index.html'), 'utf8');
  const entries = matches(html, REFERENCE);
  const modules = await reachable(web, entries.filter((path) => path.endsWith('.mjs')), { assets: false });
  const links = modules.map((path) => `  <link rel="modulepreload" href="${path}">\n`).join('');

  const { models } = JSON.parse(await readFile(join(root, 'weights/manifest.json'), 'utf8'));
  const files = await reachable(web, entries);
  const weights = ['manifest.json', ...models.map(({ file }) => file)].map((file) => `weights/${file}`);
  await makeEmpty(folder);
  const copies = [
    ...files.map((path) => [join(web, path), join(folder, path)]),
    ...weights.map((path) => [join(root, path), join(folder, path)]),
  ];
  for (const [source, target] of copies) {
    await mkdir(dirname(target), { recursive: true });
    await cp(source, target);
  }
  await writeFile(join(folder, 'index.html'), html.replace('</head>', `${links}</head>`));
  return ['index.html', ...files, ...weights];
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const folder = resolve(process.argv[2] ?? join(root, 'dist/site'));
  try {
    const files = await buildSite(folder);
    console.log(`${folder}: ${files.length} files`);
  } catch (error) {
    console.error(`build_site.mjs: ${error.message}`);
    process.exitCode = 1;
  }
}
