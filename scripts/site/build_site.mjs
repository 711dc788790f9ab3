// Assembles the page in dist/site and, in one file that opens from a folder, in dist/pocket-diffusion.html.
//
//   node scripts/site/build_site.mjs [FOLDER] [--address URL]      default: dist/site; otherwise without the one file
//
// A static page does not know its own address, which the card needs that other programs show beside a link (Open Graph):
// --address says it, as https://example.org/doodles/.
//
// All addresses are relative, so that the folder works under any path of any static host. The page's modules become one
// module and the worker's another, without their comments: a visitor waits for few requests. Beside them lie the library and
// the element, for other pages, and the service worker, which gets the list of what to keep and a hash of each file. Every
// name ends in a way that every server knows: not all send .mjs as JavaScript.

import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { load } from '../../web/node.mjs';
import { aboutOf } from '../../web/page/settings.mjs';
import { buildDocs } from './build_docs.mjs';
import { FORMER_NAME } from './build_element.mjs';
import { buildLearn } from './build_learn.mjs';
import { Page, setValue, valueOf } from './html.mjs';
import { CLASSIC, inlineWorker, separateWorker } from './start_worker.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const web = join(root, 'web');
const weights = join(root, 'weights');

/** The model that the page opens with. */
const FIRST_MODEL = 'letters.gguf';
/** The page's script. */
const PAGE = 'page.js';
/** Names in the site -> what they are made of. */
const BUNDLES = { 'worker.js': 'worker.js', 'style.css': 'style.css', 'more.css': 'more.css' };
/** What other pages may have from the site: the library, the element, and what a frame shows. */
const FOR_OTHERS = { 'index.js': 'index.mjs', 'pocket-diffusion.js': 'element.mjs' };
const SERVICE_WORKER = 'service_worker.js';
/** Beside links to the page; draw_beforehand.mjs makes it. */
const PREVIEW = { file: 'preview.png', width: 1200, height: 630, alt: 'The word diffusion in four styles, each from a noise of its own' };

/** What a page names of files beside it. @param {Page} page */
const referencesOf = (page) => page.all(['link', 'img', 'script', 'a'])
  .map((element) => valueOf(element, 'src') ?? valueOf(element, 'href'))
  .filter((address) => address && !/[#:]/.test(address));

const sha256 = (data, encoding) => createHash('sha256').update(data).digest(encoding);

// ---- modules

/** Options of every bundle. Code for Node.js is never reached in a browser. */
const BUNDLE = { bundle: true, minify: true, write: false, external: ['node:*'], target: ['es2022'], legalComments: 'none', logLevel: 'error', plugins: [separateWorker] };

/** The page names its options itself: it needs no list of what others call them. */
const withoutForeignNames = {
  name: 'without-foreign-names',
  setup: (build) => build.onLoad({ filter: /[\\/]library[\\/]foreign\.mjs$/ }, () => ({ contents: 'export const FOREIGN = [];' })),
};

/** The page reads recipes when a file of them comes: by reopen.mjs, not with the first pictures. */
const withoutReader = {
  name: 'without-reader',
  setup: (build) => build.onLoad({ filter: /[\\/]web[\\/]index\.mjs$/ }, async ({ path }) => ({ contents: (await readFile(path, 'utf8')).replace(/^export \{ readRecipe \}.*$/m, '') })),
};

/** The element is a file of its own, which pages have that show it themselves, too. */
const elementBeside = {
  name: 'element-beside',
  setup: (build) => build.onResolve({ filter: /^\.\/element\.mjs$/ }, () => ({ path: './pocket-diffusion.js', external: true })),
};

/** Package that holds another one's code without its notice -> what that asks for. */
const WITHIN = { 'opentype.js': 'It contains tiny-inflate, under the same terms:\n\nCopyright (c) 2015-present Devon Govett' };

/**
 * The notices of all packages whose code got into bundles: most licences ask for them in every copy.
 * @param {Iterable<string>} inputs of esbuild's metafiles, relative to the root of the repository @returns {Promise<string>}
 */
async function noticesOf(inputs) {
  const folders = new Set([...inputs].flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []));
  const notices = await Promise.all([...folders].sort().map(async (folder) => {
    const { name, version } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'));
    const file = (await readdir(join(root, folder))).find((each) => /^licen[cs]e(\.|$)/i.test(each));
    if (!file) throw new Error(`${name}: has no file with its licence, which the site has to show`);
    const text = (await readFile(join(root, folder, file), 'utf8')).trim();
    return [`${name} ${version}`, text, ...(WITHIN[name] ? [WITHIN[name]] : [])].join('\n\n');
  }));
  return `${['Packages whose code is in these scripts, with their licences.', ...notices].join('\n\n----\n\n')}\n`;
}

/** @param {string} file in web/ @param {import('esbuild').BuildOptions} options @param {Set<string>} [inputs] what it is made of comes to them @returns {Promise<string>} */
async function bundle(file, options, inputs) {
  const { outputFiles, metafile } = await build({ ...BUNDLE, entryPoints: [join(web, file)], metafile: true, absWorkingDir: root, ...options });
  Object.keys(metafile.inputs).forEach((path) => inputs?.add(path));
  return outputFiles[0].text;
}

/** @typedef {{ files: Map<string, string>, first: string[], inputs: Set<string> }} Split first: the parts without which the page does not begin */

/** Parts of the page that are fetched when they are used, and whether the copy for use offline has them from the beginning. */
const LATE = {
  more: true, styles: true, poster: true, outline_files: true, reopen: true, make_font: false,
  embed_dialog: false, zip: false, gif: false, webm: false, morph: true,
};

/**
 * As if what comes later needed every module of the page: then those are in one file, which compresses better than the two
 * of what is shared and what is not.
 */
const inOneFile = {
  name: 'in-one-file',
  setup: (build) => build.onLoad({ filter: new RegExp(`page[/\\\\](${Object.keys(LATE).join('|')})\\.mjs$`) }, async ({ path }) => ({ contents: `${await readFile(path, 'utf8')}import '../page.mjs';` })),
};

/** A part's file, as BUNDLE names it. */
const PART = /^(\w+)-[A-Z0-9]{8}\.js$/;

/**
 * What the page has to have before it imports a part (web/page/fetch_more.mjs), by the names of parts.
 * @param {Map<string, { imports: Array<{ path: string, kind: string }>, entryPoint?: string }>} outputs by file @param {ReadonlySet<string>} first files that it begins with
 */
function partFiles(outputs, first) {
  /** @param {string} path @param {Set<string>} found */
  const collect = (path, found) => {
    if (first.has(path) || found.has(path)) return found;
    found.add(path);
    for (const { path: imported, kind } of outputs.get(path).imports) if (kind === 'import-statement') collect(imported, found);
    return found;
  };
  const parts = [...outputs].filter(([path, { entryPoint }]) => entryPoint && PART.test(path));
  return Object.fromEntries([...parts.map(([path]) => [PART.exec(path)[1], [...collect(path, new Set())]]), ['element', ['pocket-diffusion.js']]]);
}

/** The page in parts: what is not needed for the first pictures is fetched when it is used. @returns {Promise<Split>} */
async function splitPage() {
  const { outputFiles, metafile } = await build({
    ...BUNDLE, entryPoints: [join(web, 'page.mjs')], format: 'esm', splitting: true, metafile: true, outdir: web,
    plugins: [...BUNDLE.plugins, inOneFile, withoutForeignNames, withoutReader], entryNames: 'page', chunkNames: '[name]-[hash]', absWorkingDir: web,
  });
  const files = new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
  const first = new Set([PAGE]);
  for (const path of first) {
    for (const { path: imported, kind } of metafile.outputs[path].imports) if (kind === 'import-statement' && files.has(imported)) first.add(imported);
  }
  files.set('parts.json', JSON.stringify(partFiles(new Map(Object.entries(metafile.outputs)), first)));
  const inputs = new Set(Object.keys(metafile.inputs).map((path) => relative(root, join(web, path)).replaceAll('\\', '/')));
  return { files, first: [...first], inputs };
}

// ---- the folder

/** An older site is replaced; a folder with anything else in it stays as it is. */
async function makeEmpty(folder) {
  const names = await readdir(folder).catch(() => []);
  if (names.length > 0 && !names.includes('pocket-diffusion.wasm')) {
    throw new Error(`${folder} holds other files: name an empty folder`);
  }
  await rm(folder, { recursive: true, force: true });
}

/** The downloads of the engine and of the list of models begin with the page, not after its script. The model's waits for the page to be painted. */
const PRELOAD = `  <link rel="preload" href="pocket-diffusion.wasm" as="fetch" type="application/wasm" crossorigin>
  <link rel="preload" href="weights/manifest.json" as="fetch" type="application/json" crossorigin>
`;

/** As the service worker has it: a folder is its page. */
const INDEX = /(^|\/)index\.html$/;

/** The service worker with the hashes of the site's files. */
async function fillServiceWorker(files) {
  const template = await readFile(join(web, SERVICE_WORKER), 'utf8');
  const hashes = Object.fromEntries([...files].map(([path, data]) => [path.replace(INDEX, '$1'), sha256(data, 'hex')]));
  const fill = (text, from, to) => {
    if (!text.includes(from)) throw new Error(`${SERVICE_WORKER} has no line ${from}`);
    return text.replace(from, () => to);
  };
  const onDemand = [...files.keys()].filter((path) => path.endsWith('.gguf') || Object.entries(LATE).some(([name, kept]) => !kept && path.startsWith(`${name}-`)));
  let text = fill(template, "const VERSION = '';", `const VERSION = '${sha256(JSON.stringify(hashes), 'hex').slice(0, 16)}';`);
  text = fill(text, 'const FILES = {};', `const FILES = ${JSON.stringify(hashes, null, 2)};`);
  return fill(text, 'const ON_DEMAND = [];', `const ON_DEMAND = ${JSON.stringify(onDemand)};`);
}

/** What the page says of the model that it opens with: the largest text on it, which would otherwise come last. @param {string} file */
async function aboutModel(file) {
  const model = await load(join(weights, file));
  const text = aboutOf(model.info);
  await model.close();
  return text;
}

/** What other programs show beside a link to the page, by the Open Graph protocol. @param {Page} html @param {string} address of the site @returns {string} HTML */
export function cardOf(html, address) {
  const { href, protocol } = new URL(address.endsWith('/') ? address : `${address}/`);
  if (!/^https?:$/.test(protocol)) throw new Error(`--address ${address}: is none of a web server`);
  const properties = {
    'og:type': 'website', 'og:url': href, 'og:title': html.text(html.one('title')), 'og:description': valueOf(html.one('meta', { name: 'description' }), 'content'),
    'og:image': `${href}${PREVIEW.file}`, 'og:image:width': PREVIEW.width, 'og:image:height': PREVIEW.height, 'og:image:alt': PREVIEW.alt,
  };
  const tags = Object.entries(properties).map(([property, content]) => `<meta property="${property}" content="${String(content).replaceAll('"', '&quot;')}">\n`);
  return `${tags.join('')}<meta name="twitter:card" content="summary_large_image">\n`;
}

/**
 * @param {string} [folder] emptied first
 * @param {{ address?: string }} [options] address: where the site will be, for cards beside links to it
 * @returns {Promise<string[]>} the files, relative to it
 */
export async function buildSite(folder = join(root, 'dist/site'), { address = '' } = {}) {
  const html = await Page.read(join(web, 'index.html'));
  if (address) html.append('head', cardOf(html, address));
  setValue(html.one('script', { src: 'page.mjs' }), 'src', PAGE);
  html.fill(html.one('p', { id: 'model-about' }), await aboutModel(FIRST_MODEL));
  const { models } = JSON.parse(await readFile(join(weights, 'manifest.json'), 'utf8'));
  const manifest = JSON.parse(await readFile(join(web, 'manifest.webmanifest'), 'utf8'));
  const assets = [...referencesOf(html).filter((path) => !/^(docs|learn)\//.test(path)), ...manifest.icons.map(({ src }) => src), 'pocket-diffusion.wasm'];

  const docs = await buildDocs();
  if (docs.size === 0) html.remove(html.one('p', { class: 'ways' }));
  const page = await splitPage();
  const parts = page.first.filter((path) => path !== PAGE).map((path) => `  <link rel="modulepreload" href="${path}">\n`);
  html.append('head', PRELOAD + parts.join(''));
  const files = new Map([['index.html', String(html)], ...page.files]);
  for (const [path, source] of Object.entries(BUNDLES)) files.set(path, await bundle(source, { format: 'esm' }, page.inputs));
  for (const path of new Set(assets)) if (!files.has(path)) files.set(path, await readFile(join(web, path)));
  for (const file of ['manifest.json', ...models.map((each) => each.file)]) files.set(`weights/${file}`, await readFile(join(weights, file)));
  const learn = await buildLearn();
  learn.inputs.forEach((path) => page.inputs.add(path));
  for (const [path, data] of learn.files) files.set(path, data);
  // What is for other pages is no part of this one, and so of no copy that the service worker keeps.
  const serviceWorker = await fillServiceWorker(files);
  files.set(SERVICE_WORKER, serviceWorker);
  for (const [path, data] of learn.forOthers) files.set(path, data);
  for (const [path, source] of Object.entries(FOR_OTHERS)) files.set(path, await bundle(source, { format: 'esm' }, page.inputs));
  files.set('frame.js', await bundle('frame.mjs', { format: 'esm', plugins: [elementBeside] }));
  files.set('licenses.txt', await noticesOf(page.inputs));
  files.set(FORMER_NAME.name, FORMER_NAME.contents);
  files.set('pocket-diffusion.css', await readFile(join(web, 'element.css')));
  files.set('frame.html', String(await Page.read(join(web, 'frame.html'))));
  files.set(PREVIEW.file, await readFile(join(web, PREVIEW.file)));
  files.set('license.txt', await readFile(join(root, 'LICENSE')));
  for (const [path, data] of docs) files.set(path, data);

  await makeEmpty(folder);
  for (const [path, data] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), data);
  }
  return [...files.keys()];
}

// ---- the one file

/** A data block, which no policy and no parser takes for a script. */
const dataBlock = (path, bytes) => `<script type="text/plain" data-asset="${path}">${Buffer.from(bytes).toString('base64')}</script>\n`;

const hashSource = (text) => `'sha256-${sha256(text, 'base64')}'`;

/**
 * Everything in one page: script, style, icon, WebAssembly module, weights. Its policy forbids every connection.
 * @param {string} [path]
 * @returns {Promise<number>} its length in bytes
 */
export async function buildOneFile(path = join(root, 'dist/pocket-diffusion.html')) {
  const html = await Page.read(join(web, 'index.html'));
  // Modules and workers cannot be fetched by a page that was opened from a folder.
  const worker = await bundle('worker.js', CLASSIC);
  // The end tag of a script must not stand in one.
  const inputs = new Set();
  const script = (await bundle('page.mjs', { ...CLASSIC, plugins: [inlineWorker(worker), withoutForeignNames] }, inputs)).replaceAll('</script', '<\\/script');
  const style = await bundle('style.css', {}) + await bundle('more.css', {});
  const icon = `data:image/svg+xml;base64,${(await readFile(join(web, 'favicon.svg'))).toString('base64')}`;
  const policy = `default-src 'none'; script-src ${hashSource(script)} 'wasm-unsafe-eval'; worker-src blob:; ` +
    `img-src blob: data:; style-src ${hashSource(style)}; base-uri 'none'; form-action 'none'`;
  setValue(html.one('meta', { 'http-equiv': 'Content-Security-Policy' }), 'content', policy);
  html.remove(html.one('p', { class: 'ways' })); // they lie beside the site
  html.remove(html.one('a', { href: 'learn/index.html' }));
  html.remove(html.one('script', { src: 'page.mjs' }));
  for (const rel of ['apple-touch-icon', 'manifest', 'stylesheet']) html.all(['link'], { rel }).forEach((link) => html.remove(link));
  html.append('head', `<style>${style}</style>\n`);
  setValue(html.one('link', { rel: 'icon' }), 'href', icon);
  for (const image of html.all(['img'])) {
    const address = valueOf(image, 'src');
    if (address === 'favicon.svg') setValue(image, 'src', icon);
    else if (address) setValue(image, 'src', `data:image/png;base64,${(await readFile(join(web, address))).toString('base64')}`);
  }
  const { models } = JSON.parse(await readFile(join(weights, 'manifest.json'), 'utf8'));
  const assets = new Map([['pocket-diffusion.wasm', join(web, 'pocket-diffusion.wasm')], ...models.map(({ file }) => [`weights/${file}`, join(weights, file)])]);
  let blocks = '';
  for (const [asset, source] of assets) blocks += dataBlock(asset, await readFile(source));
  const notices = (await noticesOf(inputs)).replaceAll('<', '&lt;');
  html.append('body', `${blocks}<script type="text/plain" id="licenses">\n${notices}</script>\n<script>${script}</script>\n`);
  const text = String(html);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return Buffer.byteLength(text);
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  try {
    const { values: { address }, positionals: [named] } = parseArgs({ options: { address: { type: 'string' } }, allowPositionals: true });
    const folder = resolve(named ?? join(root, 'dist/site'));
    console.log(`${folder}: ${(await buildSite(folder, { address })).length} files`);
    if (!named) console.log(`dist/pocket-diffusion.html: ${await buildOneFile()} bytes`);
  } catch (error) {
    console.error(`build_site.mjs: ${error.message}`);
    process.exitCode = 1;
  }
}
