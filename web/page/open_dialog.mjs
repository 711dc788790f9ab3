// Dialogs that are fetched when somebody opens them.

import { fetchMore } from './fetch_more.mjs';
import { fail } from './messages.mjs';

/** @typedef {{ open: (app: import('../page.mjs').App) => unknown }} Part */

/** @param {import('../page.mjs').App} app @param {() => Promise<Part>} load */
export async function openDialog(app, load) {
  try {
    const [part] = await Promise.all([load(), fetchMore()]);
    await part.open(app);
  } catch (error) {
    fail(error);
  }
}
