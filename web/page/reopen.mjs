// Back to a text that was saved, when a file of it comes.

import { MOST_LETTERS } from './address.mjs';
import { fetchPart } from './fetch_more.mjs';
import { STAND_IN } from './first.mjs';
import { showError } from './messages.mjs';
import { openDialog } from './open_dialog.mjs';
import { addressOf, recipeIn } from './saved_text.mjs';

/**
 * What was saved of a text leads back to it.
 * @param {import('../page.mjs').App} app with a model @param {File} file an image, or a font @returns {Promise<boolean>} whether it does
 */
export async function reopen(app, file) {
  const { lettering, links, model } = app;
  const recipe = await recipeIn(file);
  const isFont = !file.type.startsWith('image/');
  const text = isFont ? lettering.text ?? STAND_IN.word : recipe?.sheet?.text;
  if (isFont && !recipe) showError('This font has no recipe: it was not made here.', file.name);
  if (!recipe || typeof text !== 'string') return isFont;
  /** @type {HTMLDialogElement | null} */ (document.querySelector('dialog[open]'))?.close(); // it shows what was on show before
  history.pushState(null, '', addressOf(recipe, text.slice(0, MOST_LETTERS), model));
  await links.open();
  if (text.length > MOST_LETTERS && lettering.usable && app.model.info.channels === 1) await openDialog(app, () => fetchPart('poster', () => import('./poster.mjs')), text);
  return true;
}
