// Dialogs that are fetched when somebody opens them.

import { fetchMore } from './fetch_more.mjs';
import { attempt } from './messages.mjs';

/** @typedef {{ open: (app: import('../page.mjs').App, given?: string) => unknown }} Part */

/** @param {import('../page.mjs').App} app @param {() => Promise<Part>} load @param {string} [given] hash of a link that leads there, or a text */
export const openDialog = (app, load, given) => attempt(async () => {
  const [part] = await Promise.all([load(), fetchMore()]);
  await part.open(app, given);
});
