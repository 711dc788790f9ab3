// Finds and compiles the WebAssembly module.

import { abortable } from './library/async.mjs';
import { PocketDiffusionError } from './library/errors.mjs';
import { importBuiltin, isNode } from './library/platform.mjs';
import { STALL_TIMEOUT, copyBytes, download, isBytes, isModule, locate } from './library/source.mjs';

// The smallest function with SIMD128 instructions: (func (result v128) i32.const 0 i8x16.splat i8x16.popcnt)
const SIMD_MODULE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11);

// The smallest one with an instruction of relaxed SIMD: (func (result v128) two splats, i8x16.relaxed_swizzle)
const RELAXED_MODULE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 0, 253, 15, 65, 0, 253, 15, 253, 128, 2, 11);

/** Reading stops there, whatever a server goes on to send. */
const MAX_MODULE_BYTES = 16 * 2 ** 20;

/**
 * @typedef {object} Entry
 * @property {Promise<WebAssembly.Module>} module
 * @property {boolean} done
 * @property {number} waiting calls that want it
 * @property {AbortController} controller of the download
 */

/** @type {Map<string, Entry>} by URL */
const entries = new Map();

function checkJavaScriptEngine() {
  if (typeof WebAssembly !== 'object') {
    throw new PocketDiffusionError('UNSUPPORTED', 'this JavaScript engine has no WebAssembly');
  }
  if (!WebAssembly.validate(SIMD_MODULE)) {
    throw new PocketDiffusionError('UNSUPPORTED', 'this JavaScript engine has no WebAssembly SIMD');
  }
}

/** @param {Uint8Array<any>} bytes @param {string} where */
async function compileBytes(bytes, where) {
  if (bytes[0] !== 0 || bytes[1] !== 0x61 || bytes[2] !== 0x73 || bytes[3] !== 0x6d) {
    throw new PocketDiffusionError('WASM', `${where} is not a WebAssembly module`);
  }
  return WebAssembly.compile(bytes);
}

/** @param {URL} url @param {AbortSignal} signal @param {number} stallTimeout */
async function compileURL(url, signal, stallTimeout) {
  if (url.protocol === 'file:' && isNode()) {
    const { readFile } = await importBuiltin('fs/promises');
    return compileBytes(await readFile(url), url.href);
  }
  return download(url, { signal, stallTimeout, limit: MAX_MODULE_BYTES }, async (response, read) => {
    // compileStreaming insists on the right MIME type, which many servers do not send.
    const type = response.headers.get('content-type') ?? '';
    if (!WebAssembly.compileStreaming || !/^application\/wasm$/i.test(type)) return compileBytes(await read(response), url.href);
    // The copy is read along to see that the download goes on.
    const copy = response.clone();
    const module = WebAssembly.compileStreaming(response);
    module.catch(() => {}); // that the download broke off says more
    await read(copy);
    return module;
  });
}

/** @param {any} error @returns {never} */
function failed(error) {
  if (error instanceof PocketDiffusionError) throw error;
  throw new PocketDiffusionError('WASM', `the WebAssembly module cannot be loaded: ${error.message}`, { cause: error });
}

/**
 * Begins a download that all calls for this URL share.
 * @param {URL} url @param {number} stallTimeout
 */
function begin(url, stallTimeout) {
  const controller = new AbortController();
  /** @type {Entry} */
  const entry = { module: compileURL(url, controller.signal, stallTimeout).catch(failed), done: false, waiting: 0, controller };
  entries.set(url.href, entry);
  entry.module.then(() => { entry.done = true; }, () => forget(url, entry));
  return entry;
}

/** @param {URL} url @param {Entry} entry */
function forget(url, entry) {
  if (entries.get(url.href) === entry) entries.delete(url.href);
}

/** @param {URL} url @param {{ signal?: AbortSignal, stallTimeout: number }} options */
async function compileShared(url, { signal, stallTimeout }) {
  const entry = entries.get(url.href) ?? begin(url, stallTimeout);
  entry.waiting++;
  try {
    return await abortable(entry.module, signal);
  } finally {
    entry.waiting--;
    // A download that nobody waits for any more may be a stalled one: the next call must not join it.
    if (entry.waiting === 0 && !entry.done) {
      forget(url, entry);
      entry.controller.abort();
    }
  }
}

/**
 * A compiled module is kept for the next call; a failure is not, so that the next call tries again.
 * @param {import('./index.d.ts').LoadOptions['wasm']} wasm default: a file beside this one
 * @param {{ relaxed?: boolean, signal?: AbortSignal, stallTimeout?: number }} [options] as in LoadOptions
 * @returns {Promise<WebAssembly.Module>}
 */
export async function compile(wasm, { relaxed, signal, stallTimeout = STALL_TIMEOUT } = {}) {
  checkJavaScriptEngine();
  if (isModule(wasm)) return wasm;
  if (isBytes(wasm)) return compileBytes(copyBytes(wasm, 'wasm'), 'wasm').catch(failed);
  const own = () => relaxed && WebAssembly.validate(RELAXED_MODULE)
    ? new URL('./pocket-diffusion-relaxed.wasm', import.meta.url) : new URL('./pocket-diffusion.wasm', import.meta.url);
  return compileShared(wasm === undefined ? own() : await locate(wasm), { signal, stallTimeout });
}
