// Fetches what is not needed for the first pictures: more.mjs, and the style of what it makes.

import { isOneFile } from './models.mjs';

/** @type {Promise<unknown> | null} */
let style = null;

/** @returns {Promise<unknown>} when it is there, or cannot be had: without it everything works nevertheless */
export function fetchStyle() {
  if (isOneFile()) return Promise.resolve();
  style ??= new Promise((resolve) => {
    const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: 'more.css', onload: resolve, onerror: resolve });
    document.querySelector('link[rel="stylesheet"]')?.after(link);
  });
  return style;
}

/** @returns {Promise<typeof import('./more.mjs')>} rejects if it cannot be had */
export async function fetchMore() {
  const [more] = await Promise.all([import('./more.mjs'), fetchStyle()]);
  return more;
}
