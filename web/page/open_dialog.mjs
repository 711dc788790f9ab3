// Dialogs that are fetched when somebody opens them.

import { fetchMore } from './fetch_more.mjs';
import { fail } from './messages.mjs';

/** @typedef {{ open: (app: import('../page.mjs').App, hash?: string) => unknown }} Part */

/** @param {import('../page.mjs').App} app @param {() => Promise<Part>} load @param {string} [hash] of a link that leads there */
export async function openDialog(app, load, hash) {
  try {
    const [part] = await Promise.all([load(), fetchMore()]);
    await part.open(app, hash);
  } catch (error) {
    fail(error);
  }
}
