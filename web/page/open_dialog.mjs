// Dialogs that are fetched when somebody opens them.

import { fetchMore } from './fetch_more.mjs';
import { fail } from './messages.mjs';

/** @typedef {{ open: (app: import('../page.mjs').App, given?: string) => unknown }} Part */

/** @param {import('../page.mjs').App} app @param {() => Promise<Part>} load @param {string} [given] hash of a link that leads there, or a text */
export async function openDialog(app, load, given) {
  try {
    const [part] = await Promise.all([load(), fetchMore()]);
    await part.open(app, given);
  } catch (error) {
    fail(error, () => openDialog(app, load, given));
  }
}
