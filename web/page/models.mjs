// Where the page's models come from: the site's weights folder, the page itself when everything is in one file, or a
// file that the visitor opens.

import { load, readManifest } from '../index.mjs';
import { nextTask } from './elements.mjs';

/** Whether everything is in this one file (scripts/site/build_site.mjs): then there is nothing to fetch. */
export const isOneFile = () => document.querySelector('script[data-asset]') !== null;

/** Base64 is decoded in pieces of this length, a multiple of 4, so that the page keeps answering. */
const PIECE = 2 ** 18;

/** @param {string} path @returns {Promise<Uint8Array | null>} the bytes of a file that is embedded in the page */
async function embedded(path) {
  const node = document.querySelector(`script[data-asset="${CSS.escape(path)}"]`);
  if (!node) return null;
  const text = node.textContent.trim();
  const padding = text.endsWith('==') ? 2 : Number(text.endsWith('='));
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let at = 0; at < text.length; at += PIECE) {
    const piece = atob(text.slice(at, at + PIECE));
    const start = (at / 4) * 3;
    for (let index = 0; index < piece.length; index++) bytes[start + index] = piece.charCodeAt(index);
    await nextTask();
  }
  return bytes;
}

/** @typedef {{ name: string, path: string, sha256?: string, fileBytes?: number, license?: string }} Listed path relative to the page */

/** @type {Promise<Listed[]> | null} */
let list = null;

async function readList() {
  if (isOneFile()) return listEmbedded();
  const page = new URL('.', document.baseURI).href;
  const entries = await readManifest(new URL('weights/manifest.json', page));
  return entries.map((entry) => ({ ...entry, path: entry.url.href.slice(page.length) }));
}

/** The models in the page itself. */
function listEmbedded() {
  const scripts = /** @type {NodeListOf<HTMLScriptElement>} */ (document.querySelectorAll('script[data-asset$=".gguf"]'));
  const paths = Array.from(scripts, ({ dataset }) => dataset.asset ?? '');
  return paths.map((path) => ({ path, name: path.replace(/^.*\/|\.gguf$/g, '') }));
}

/** A model whose pictures take few steps stands beside the one that it was made from, under this name. */
const FAST = '-fast';

/** The tab that a model belongs to. @param {string} name */
export const tabOf = (name) => (name.endsWith(FAST) ? name.slice(0, -FAST.length) : name);

/**
 * The file for a tab: where nothing but the picture counts, the fast model if the site has one; the other if that alone can be had.
 * @param {Listed[]} available @param {string} tab @param {boolean} fast
 * @returns {string} path; that of the usual place if there is none
 */
export function pathFor(available, tab, fast) {
  const names = fast ? [tab + FAST, tab] : [tab, tab + FAST];
  const [first] = names.flatMap((name) => available.filter((each) => each.name === name));
  return first?.path ?? `weights/${tab}.gguf`;
}

/** Of files that a slow network would take seconds for. */
const SLOW_BYTES_PER_SECOND = 250_000;
/** Smaller files say more of the way than of the network. */
const LEAST_BYTES = 10_000;

/** Whether the page itself took so long that a model of megabytes would try a visitor's patience. */
export function isSlowNetwork() {
  const loaded = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType('resource'));
  const files = loaded.filter(({ transferSize, responseStart }) => transferSize >= LEAST_BYTES && responseStart > 0);
  if (files.length === 0) return false;
  const bytes = files.reduce((sum, { transferSize }) => sum + transferSize, 0);
  const milliseconds = Math.max(...files.map(({ responseEnd }) => responseEnd)) - Math.min(...files.map(({ responseStart }) => responseStart));
  return bytes / milliseconds < SLOW_BYTES_PER_SECOND / 1000;
}

/** Those of the list that can be had: without a network, the ones of which there is a copy. @param {Listed[]} listed */
export async function availableModels(listed) {
  if (navigator.onLine || isOneFile() || !globalThis.caches) return listed;
  const copies = await Promise.all(listed.map(({ path }) => caches.match(new URL(path, document.baseURI)).catch(() => null)));
  return listed.filter((_, index) => copies[index]);
}

/**
 * The site's models. A list that cannot be read is asked for again the next time.
 * @returns {Promise<Listed[]>} empty if there is no list
 */
export function listModels() {
  list ??= readList();
  return list.catch(() => {
    list = null;
    return [];
  });
}

/** What the list says about a file: a model that is not the one of the list is refused. @param {URL} url */
async function expected(url) {
  const entry = (await listModels()).find(({ path }) => new URL(path, document.baseURI).href === url.href);
  if (!entry) return {};
  return { fileBytes: entry.fileBytes, ...(globalThis.crypto?.subtle && { sha256: entry.sha256 }) };
}

/**
 * @param {string | File} source address relative to the page, or a file of the visitor's own
 * @param {(progress: { loaded: number, total: number }) => void} onProgress
 * @returns {Promise<import('../index.d.ts').Model>}
 */
export async function loadModel(source, onProgress) {
  /** @type {import('../index.d.ts').LoadOptions} */
  const options = { worker: true, onProgress };
  const wasm = await embedded('pocket-diffusion.wasm');
  if (wasm) options.wasm = wasm;
  if (typeof source !== 'string') return load(source, options);
  const bytes = await embedded(source);
  if (bytes) return load(bytes, options);
  const url = new URL(source, document.baseURI);
  return load(url, { ...options, ...await expected(url) });
}
