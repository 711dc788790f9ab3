// That a file is the one that was asked for.

import { sha256 } from './digest.mjs';
import { PocketDiffusionError } from './errors.mjs';
import { isBlob, isBytes, readSource } from './source.mjs';

/** @typedef {import('./source.mjs').ReadOptions & { sha256?: string, fileBytes?: number }} VerifyOptions */

/**
 * Files from which on there is not room for everything twice in the tab of a telephone: the copy that is hashed is gone before there
 * is an instance for them, and the page has no two such models.
 */
export const LARGE_BYTES = 8e6;

const hasDigest = () => Boolean(globalThis.crypto?.subtle);

/**
 * One download or one reading, with what was found.
 * @param {import('../index.d.ts').ModelSource} source @param {VerifyOptions} options
 */
async function attempt(source, { sha256: expectedHash, fileBytes, ...options }) {
  /** @param {string} message */
  const wrong = (message) => new PocketDiffusionError('INTEGRITY', `not the file that was asked for: ${message}`);
  const bytes = await readSource(source, { limit: fileBytes, ...options }).catch((error) => {
    throw fileBytes !== undefined && error.code === 'TOO_BIG' ? wrong(`it has more than ${fileBytes} bytes`) : error;
  });
  if (fileBytes !== undefined && bytes.length !== fileBytes) throw wrong(`it has ${bytes.length} bytes, not ${fileBytes}`);
  const hash = sha256(bytes);
  if (bytes.length > LARGE_BYTES) await hash;
  if (expectedHash !== undefined && await hash !== expectedHash) throw wrong(`its SHA-256 is ${await hash}, not ${expectedHash}`);
  return { bytes, hash };
}

/**
 * As readSource, and refuses other bytes than those that are described. A download that is refused is made once more
 * past all caches, which may hold an older file.
 * @param {import('../index.d.ts').ModelSource} source
 * @param {VerifyOptions} options
 * @returns {Promise<{ bytes: Uint8Array, hash: Promise<string> }>} hash: as sha256()
 */
export async function readVerified(source, options) {
  if (options.sha256 !== undefined && !hasDigest()) {
    throw new PocketDiffusionError('UNSUPPORTED', 'sha256 cannot be checked: crypto.subtle is missing, as on every page that ' +
      'came neither over HTTPS nor from localhost');
  }
  try {
    return await attempt(source, options);
  } catch (error) {
    const isOther = error instanceof PocketDiffusionError && error.code === 'INTEGRITY';
    if (!isOther || isBytes(source) || isBlob(source)) throw error;
    return attempt(source, { ...options, cache: 'reload' });
  }
}
