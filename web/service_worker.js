// Keeps a copy of the site in the browser, so that it opens without a network. scripts/site/build_site.mjs fills in what the
// site consists of; VERSION is a hash of it: a new version is fetched as a whole beside the old one and takes over when
// no page uses that any more, or when the only one asks for it. Every file is compared with its hash, so that the files of two versions never mix,
// whatever the caches on the way hold.
//
// What cannot be kept, for example because the browser has no room, is asked from the network as if there were no copy.
// A classic script: not every browser has module service workers.

'use strict';

const VERSION = '';
/** Path relative to the site ('' and 'learn/' are pages themselves) -> SHA-256, lower-case hex. @type {Record<string, string>} */
const FILES = {};
/** Paths that are kept only when they are first asked for, or the page says that it has used them: models, and what few use. @type {string[]} */
const ON_DEMAND = [];

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const { scope } = worker.registration;
// Several sites may share an origin, and so the names of caches.
const PREFIX = `pocket-diffusion ${scope} `;
const CACHE = PREFIX + VERSION;

/** @param {string} path */
const addressOf = (path) => new URL(path, scope).href;

/** @param {string} address @returns {string | undefined} the path of a file of the site */
function pathOf(address) {
  const url = new URL(address);
  url.search = url.hash = '';
  if (!url.href.startsWith(scope)) return undefined;
  const path = url.href.slice(scope.length).replace(/(^|\/)index\.html$/, '$1');
  return Object.hasOwn(FILES, path) ? path : undefined;
}

/** @param {Response} response */
async function sha256(response) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await response.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Keeps a response if it is the file of this version. @param {string} path @param {Response} response @returns {Promise<boolean>} */
async function keep(path, response) {
  if (!response.ok || response.redirected || (await sha256(response.clone())) !== FILES[path]) return false;
  const cache = await caches.open(CACHE);
  await cache.put(addressOf(path), response);
  return true;
}

/** What this very visit has fetched is in the HTTP cache: the model is not downloaded twice. @param {string} path */
async function fetchAndKeep(path) {
  if (await keep(path, await fetch(addressOf(path), { cache: 'force-cache' }))) return;
  await keep(path, await fetch(addressOf(path), { cache: 'reload' }));
}

worker.addEventListener('install', (event) => {
  const paths = Object.keys(FILES).filter((path) => !ON_DEMAND.includes(path));
  event.waitUntil(Promise.allSettled(paths.map(fetchAndKeep)));
});

async function removeOldCopies() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)));
}

/** A model that the page has fetched before this worker was there. @param {string} path */
async function keepModel(path) {
  const cache = await caches.open(CACHE);
  if (!await cache.match(addressOf(path))) await fetchAndKeep(path);
}

/** Ids of the windows that show the site. */
async function windowsOfSite() {
  const windows = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  return windows.filter(({ url }) => url.startsWith(scope)).map(({ id }) => id);
}

/**
 * A page asks this version, which waits, to take over. Other windows would get files of two versions: then it goes on waiting.
 * @param {Client} asking
 */
async function takeOver(asking) {
  // What was closed or left just now is among them for a moment.
  for (let looks = 0; looks < 4; looks++) {
    const windows = await windowsOfSite();
    // It has been left: what comes in its place may be of the old version, and asks for itself.
    if (!windows.includes(asking.id)) return;
    if (windows.length === 1) return void worker.skipWaiting();
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  asking.postMessage('others');
}

worker.addEventListener('message', (event) => {
  if (ON_DEMAND.includes(event.data)) event.waitUntil(keepModel(event.data).catch(() => {}));
  if (event.data === 'take over') event.waitUntil(takeOver(/** @type {Client} */ (event.source)));
});

worker.addEventListener('activate', (event) => {
  event.waitUntil(removeOldCopies());
});

/** From the copy, or from the network and into the copy. @param {FetchEvent} event @param {string} path */
async function answer(event, path) {
  const kept = await caches.open(CACHE).then((cache) => cache.match(addressOf(path))).catch(() => undefined);
  if (kept) return kept;
  const response = await fetch(event.request);
  event.waitUntil(keep(path, response.clone()).catch(() => false));
  return response;
}

worker.addEventListener('fetch', (event) => {
  const path = event.request.method === 'GET' ? pathOf(event.request.url) : undefined;
  if (path !== undefined) event.respondWith(answer(event, path));
});
