// What packs archives, fetched when one is made: all of it is fflate.

import { zipSync } from 'fflate';

/** What is packed already is stored as it is. */
const PACKED = /\.gguf$/;

/** @param {Record<string, Uint8Array>} files by path @returns {Promise<Blob>} */
export async function makeZip(files) {
  const entries = Object.entries(files).map(([path, bytes]) => /** @type {const} */ ([path, [bytes, { level: PACKED.test(path) ? 0 : 6 }]]));
  const bytes = zipSync(/** @type {import('fflate').Zippable} */ (Object.fromEntries(entries)));
  return new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (bytes)], { type: 'application/zip' });
}
