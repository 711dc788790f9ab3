// Where the page's models come from: the site's weights folder, the page itself when everything is in one file, or a
// file that the visitor opens.

import { load } from '../index.mjs';

/** As the library does by itself; the page has to know the number. */
const MOST_WORKERS = 4;
export const workerCount = () => Math.max(1, Math.min(navigator.hardwareConcurrency ?? 1, MOST_WORKERS));

/** Whether everything is in this one file (scripts/build_site.mjs): then there is nothing to fetch. */
export const isOneFile = () => document.querySelector('script[data-asset]') !== null;

/** Base64 is decoded in pieces of this length, a multiple of 4, so that the page keeps answering. */
const PIECE = 2 ** 18;

const nextTask = () => new Promise((resolve) => setTimeout(resolve));

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

/**
 * The site's models.
 * @returns {Promise<Array<{ name: string, file: string, sha256: string }>>} empty if there is no list
 */
export async function listModels() {
  try {
    const response = await fetch(new URL('weights/manifest.json', document.baseURI));
    return response.ok ? (await response.json()).models : [];
  } catch {
    return [];
  }
}

/**
 * @param {string | File} source address relative to the page, or a file of the visitor's own
 * @param {(progress: { loaded: number, total: number }) => void} onProgress
 * @returns {Promise<import('../index.d.ts').Model>}
 */
export async function loadModel(source, onProgress) {
  const options = { workers: workerCount(), onProgress };
  const wasm = await embedded('pocket-diffusion.wasm');
  if (wasm) options.wasm = wasm;
  if (typeof source !== 'string') return load(source, options);
  return load((await embedded(source)) ?? new URL(source, document.baseURI), options);
}
