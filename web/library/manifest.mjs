// The list of a site's models, with what their files must be.

import { PocketDiffusionError } from './errors.mjs';
import { MAX_FILE_BYTES, locate, readSource } from './source.mjs';

const MAX_MANIFEST_BYTES = 2 ** 20;

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isObject = (value) => typeof value === 'object' && value !== null;

/**
 * What make() returns, null if it throws.
 * @template T @param {() => T} make
 */
function parse(make) {
  try {
    return make();
  } catch {
    return null;
  }
}

/** @typedef {(message: string) => PocketDiffusionError} Refuse makes the error */

/**
 * The address of a model: below the folder of the manifest, whatever `file` says.
 * @param {unknown} file @param {URL} manifest @param {Refuse} refuse
 */
function addressOf(file, manifest, refuse) {
  const folder = parse(() => new URL('.', manifest));
  const url = typeof file === 'string' && folder ? parse(() => new URL(file, folder)) : null;
  // Backslashes and %2e%2e have become what they stand for.
  const below = folder && url?.href.startsWith(folder.href) && url.href !== folder.href && !url.search && !url.hash;
  if (!below) throw refuse(`file ${JSON.stringify(file)?.slice(0, 60)} is not a path below the manifest's folder`);
  return url;
}

/** @param {unknown} entry @param {URL} manifest @param {Refuse} refuse */
function checkModel(entry, manifest, refuse) {
  if (!isObject(entry)) throw refuse('a model is not an object');
  const { name, file, bytes, sha256, license = '' } = entry;
  if (typeof name !== 'string' || typeof license !== 'string') throw refuse('name and license must be strings');
  const url = addressOf(file, manifest, refuse);
  const isSize = typeof bytes === 'number' && Number.isInteger(bytes) && bytes > 0 && bytes <= MAX_FILE_BYTES;
  if (!isSize) throw refuse(`bytes of ${name} must be 1 to ${MAX_FILE_BYTES}`);
  if (typeof sha256 !== 'string' || !/^[\da-f]{64}$/i.test(sha256)) throw refuse(`sha256 of ${name} must be 64 hexadecimal digits`);
  return { name, url, fileBytes: bytes, sha256: sha256.toLowerCase(), license };
}

/**
 * @param {string | URL} source as in index.d.ts
 * @param {{ signal?: AbortSignal, stallTimeout: number }} options
 * @returns {Promise<import('../index.d.ts').ManifestEntry[]>}
 */
export async function readManifestFile(source, options) {
  const manifest = await locate(source);
  /** @type {Refuse} */
  const refuse = (message) => new PocketDiffusionError('MANIFEST', `the manifest ${manifest} cannot be used: ${message}`);
  const bytes = await readSource(manifest, { ...options, limit: MAX_MANIFEST_BYTES });
  const text = new TextDecoder().decode(bytes);
  const content = parse(() => JSON.parse(text));
  if (content === null) throw refuse(`not JSON${/^\s*</.test(text) ? ', it looks like HTML' : ''}`);
  if (!Array.isArray(content.models)) throw refuse('no list "models"');
  return content.models.map((/** @type {unknown} */ entry) => checkModel(entry, manifest, refuse));
}
