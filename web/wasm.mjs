// Finds and compiles the WebAssembly module.

import { PocketDiffusionError } from './errors.mjs';
import { copyBytes, fetchResponse, isBytes, isModule, isNode, isURL, parseURL } from './source.mjs';

// The smallest function with SIMD128 instructions: (func (result v128) i32.const 0 i8x16.splat i8x16.popcnt)
const SIMD_MODULE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11);

const modules = new Map(); // URL -> promise of its compiled module

function checkJavaScriptEngine() {
  if (typeof WebAssembly !== 'object') {
    throw new PocketDiffusionError('UNSUPPORTED', 'this JavaScript engine has no WebAssembly');
  }
  if (!WebAssembly.validate(SIMD_MODULE)) {
    throw new PocketDiffusionError('UNSUPPORTED', 'this JavaScript engine has no WebAssembly SIMD');
  }
}

async function compileBytes(bytes, where) {
  if (bytes[0] !== 0 || bytes[1] !== 0x61 || bytes[2] !== 0x73 || bytes[3] !== 0x6d) {
    throw new PocketDiffusionError('WASM', `${where} is not a WebAssembly module`);
  }
  return WebAssembly.compile(bytes);
}

async function compileURL(url) {
  if (url.protocol === 'file:' && isNode()) {
    const { readFile } = await import(/* webpackIgnore: true */ /* @vite-ignore */ 'node:fs/promises');
    return compileBytes(await readFile(url), url.href);
  }
  const response = await fetchResponse(url);
  // compileStreaming insists on the right MIME type, which many servers do not send.
  const type = response.headers.get('content-type') ?? '';
  if (WebAssembly.compileStreaming && /^application\/wasm$/i.test(type)) return WebAssembly.compileStreaming(response);
  return compileBytes(new Uint8Array(await response.arrayBuffer()), url.href);
}

/** The place of the module as a URL; a string is relative to the page, under Node a path. */
async function locate(wasm) {
  if (wasm === undefined) return new URL('./pocket-diffusion.wasm', import.meta.url);
  if (isURL(wasm)) return wasm;
  if (!isNode()) return new URL(wasm, globalThis.document?.baseURI ?? globalThis.location?.href);
  const { pathToFileURL } = await import(/* webpackIgnore: true */ /* @vite-ignore */ 'node:url');
  return parseURL(wasm) ?? pathToFileURL(wasm);
}

/**
 * A compiled module is kept for the next call; a failure is not, so that the next call tries again.
 * @param {string | URL | ArrayBuffer | ArrayBufferView | WebAssembly.Module} [wasm] default: the file beside this one
 * @returns {Promise<WebAssembly.Module>}
 */
export async function compile(wasm) {
  checkJavaScriptEngine();
  if (isModule(wasm)) return wasm;
  const failed = (error) => {
    if (error instanceof PocketDiffusionError) throw error;
    throw new PocketDiffusionError('WASM', `the WebAssembly module cannot be loaded: ${error.message}`, { cause: error });
  };
  if (isBytes(wasm)) return compileBytes(copyBytes(wasm, 'wasm'), 'wasm').catch(failed);
  const url = await locate(wasm);
  if (!modules.has(url.href)) {
    const module = compileURL(url).catch(failed);
    modules.set(url.href, module);
    module.catch(() => modules.delete(url.href));
  }
  return modules.get(url.href);
}
