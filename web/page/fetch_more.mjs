// Fetches what is not needed for the first pictures: parts of the page, when they are used, and the style of what they make.

import { isOneFile } from './models.mjs';

/** What has been fetched, by the names of parts and files; without what could not be had, so that it is asked for again. @type {Map<string, Promise<any>>} */
const fetched = new Map();

/** @template Result @param {string} name @param {() => Promise<Result>} load @returns {Promise<Result>} rejects with code PART */
function once(name, load) {
  if (!fetched.has(name)) {
    fetched.set(name, load().catch((error) => {
      fetched.delete(name);
      throw Object.assign(new Error(error.message), { code: 'PART' });
    }));
  }
  return /** @type {Promise<Result>} */ (fetched.get(name));
}

/** A file of the site. @param {string} path relative to the page @returns {Promise<ArrayBuffer>} rejects with code PART if it cannot be had */
export async function fetchFile(path) {
  try {
    const response = await fetch(new URL(path, document.baseURI));
    if (!response.ok) throw new Error(String(response.status));
    return await response.arrayBuffer();
  } catch (/** @type {any} */ error) {
    throw Object.assign(new Error(`${path}: ${error.message}`), { code: 'PART' });
  }
}

/**
 * A part of the page that is fetched when it is used. There is no other way to have one.
 * @template Part
 * @param {string} name of its file @param {() => Promise<Part>} load imports it
 * @returns {Promise<Part>} rejects with code PART if it cannot be had; it may be asked for again
 */
export const fetchPart = (name, load) => once(name, async () => {
  // Firefox remembers for as long as the page is open that a module could not be had: its files have to be there before it is asked.
  if (!isOneFile()) {
    const { [name]: paths = [] } = await once('parts', () => fetchFile('parts.json').then((data) => new Response(data).json()));
    await Promise.all(paths.map((/** @type {string} */ path) => once(path, () => fetchFile(path).then(() => true))));
  }
  return load();
});

/** @returns {Promise<unknown>} when it is there, or cannot be had: without it everything works nevertheless */
export function fetchStyle() {
  if (isOneFile()) return Promise.resolve();
  return once('style', () => new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: 'more.css', onload: resolve });
    link.onerror = () => {
      link.remove();
      reject(new Error('more.css'));
    };
    document.querySelector('link[rel="stylesheet"]')?.after(link);
  })).catch(() => {});
}

/** Most of what is not needed for the first pictures, in one part. @returns {Promise<typeof import('./more.mjs')>} */
export async function fetchMore() {
  const [more] = await Promise.all([fetchPart('more', () => import('./more.mjs')), fetchStyle()]);
  return more;
}
