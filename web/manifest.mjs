// The list of a site's models, with what their files must be.

import { PocketDiffusionError } from './errors.mjs';
import { MAX_FILE_BYTES, locate, readSource } from './source.mjs';

const MAX_MANIFEST_BYTES = 2 ** 20;

const isObject = (value) => typeof value === 'object' && value !== null;

/** What make() returns, null if it throws. */
function parse(make) {
  try {
    return make();
  } catch {
    return null;
  }
}

/** The address of a model: below the folder of the manifest, whatever `file` says. */
function addressOf(file, manifest, refuse) {
  const folder = parse(() => new URL('.', manifest));
  const url = typeof file === 'string' ? parse(() => new URL(file, folder)) : null;
  // Backslashes and %2e%2e have become what they stand for.
  const below = folder && url?.href.startsWith(folder.href) && url.href !== folder.href && !url.search && !url.hash;
  if (!below) throw refuse(`file ${JSON.stringify(file)?.slice(0, 60)} is not a path below the manifest's folder`);
  return url;
}

function checkModel(entry, manifest, refuse) {
  if (!isObject(entry)) throw refuse('a model is not an object');
  const { name, file, bytes, sha256, license = '' } = entry;
  if (typeof name !== 'string' || typeof license !== 'string') throw refuse('name and license must be strings');
  const url = addressOf(file, manifest, refuse);
  if (!(Number.isInteger(bytes) && bytes > 0 && bytes <= MAX_FILE_BYTES)) throw refuse(`bytes of ${name} must be 1 to ${MAX_FILE_BYTES}`);
  if (!/^[\da-f]{64}$/i.test(sha256)) throw refuse(`sha256 of ${name} must be 64 hexadecimal digits`);
  return { name, url, fileBytes: bytes, sha256: sha256.toLowerCase(), license };
}

/**
 * @param {string | URL} source as in index.d.ts
 * @param {{ signal?: AbortSignal, stallTimeout: number }} options
 * @returns {Promise<import('./index.d.ts').ManifestEntry[]>}
 */
export async function readManifestFile(source, options) {
  const manifest = await locate(source);
  const refuse = (message) => new PocketDiffusionError('MANIFEST', `the manifest ${manifest} cannot be used: ${message}`);
  const bytes = await readSource(manifest, { ...options, limit: MAX_MANIFEST_BYTES });
  const text = new TextDecoder().decode(bytes);
  const content = parse(() => JSON.parse(text));
  if (content === null) throw refuse(`not JSON${/^\s*</.test(text) ? ', it looks like HTML' : ''}`);
  if (!Array.isArray(content.models)) throw refuse('no list "models"');
  return content.models.map((entry) => checkModel(entry, manifest, refuse));
}
