// The page while it is being changed: its modules are bundled as they are saved, and open pages load anew.
//
//   npm run dev [-- --port NUMBER]      default: 8000
//
// Nothing is minified, and source maps lead to web/. What is no module (HTML, models, WebAssembly) comes from where it lies; after
// a change in src/, scripts/build.sh --wasm is all it takes.

import { createReadStream, existsSync, statSync, watch } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { context } from 'esbuild';
import { Page, setValue, valueOf } from './html.mjs';
import { separateWorker } from './start_worker.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const web = join(root, 'web');
const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png',
  '.json': 'application/json', '.wasm': 'application/wasm', '.webmanifest': 'application/manifest+json', '.map': 'application/json',
};
/** Loads the page anew when the server says so. */
const RELOAD = "new EventSource('changes').onmessage = () => location.reload();";

/** The page with the bundle's name; its policy stays, for faults against it are to be seen. */
async function pageOf() {
  const page = await Page.read(join(web, 'index.html'));
  setValue(page.one('script', { src: 'page.mjs' }), 'src', 'page.js');
  page.append('body', '<script type="module" src="reload.js"></script>');
  // A service worker would keep what is about to change.
  for (const link of page.all(['link'])) if (valueOf(link, 'rel') === 'manifest') page.remove(link);
  return String(page);
}

/** Files of the bundle, by their names, as they were built last. @type {Map<string, Uint8Array>} */
let built = new Map();
/** @type {Set<import('node:http').ServerResponse>} pages that wait for changes */
const pages = new Set();
const reload = () => pages.forEach((response) => response.write('data: changed\n\n'));

const take = {
  name: 'take',
  setup: ({ onEnd }) => onEnd(({ outputFiles = [], errors }) => {
    if (errors.length > 0) return; // esbuild has printed them
    built = new Map(outputFiles.map(({ path, contents }) => [path.slice(web.length + 1), contents]));
    console.log(`[${new Date().toTimeString().slice(0, 8)}] built`);
    reload();
  }),
};

function pathOf(request) {
  try {
    return normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname)).replace(/^\/+/, '') || 'index.html';
  } catch {
    return null; // no address
  }
}

async function answer(request, response) {
  const path = pathOf(request);
  if (path === null) return void response.writeHead(400).end();
  const send = (data, type) => response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(data);
  if (path === 'changes') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' }).flushHeaders();
    pages.add(response);
    response.on('close', () => pages.delete(response));
  } else if (path === 'index.html') {
    send(await pageOf(), TYPES['.html']);
  } else if (path === 'reload.js') {
    send(RELOAD, TYPES['.js']);
  } else if (path === 'parts.json') {
    send('{}', TYPES['.json']); // the page asks for its parts alone
  } else if (built.has(path)) {
    send(built.get(path), TYPES[extname(path)]);
  } else {
    const file = join(path.startsWith('weights/') ? root : web, path);
    if (path.startsWith('..') || path === 'service_worker.js' || !existsSync(file) || !statSync(file).isFile()) return void response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream', 'Cache-Control': 'no-store', 'Content-Length': statSync(file).size });
    createReadStream(file).pipe(response);
  }
}

const { values: { port } } = parseArgs({ options: { port: { type: 'string', default: '8000' } } });
const bundle = await context({
  entryPoints: ['page.mjs', 'worker.js', 'style.css', 'more.css'].map((name) => join(web, name)), outdir: web, bundle: true, splitting: true, format: 'esm',
  sourcemap: true, write: false, external: ['node:*'], target: 'es2022', logLevel: 'warning', plugins: [separateWorker, take],
});
await bundle.watch();
watch(web, (_, name) => name && /\.(?:html|wasm)$/.test(name) && reload()); // the folder, for many programs save by renaming
const server = createServer(answer).listen(Number(port), 'localhost', () => console.log(`http://localhost:${server.address().port}/`));
