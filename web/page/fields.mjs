// What dialogs are made of: fields with their labels, and buttons.

import { make } from './elements.mjs';
import { explain } from './errors.mjs';

/** @param {string} text @param {HTMLElement} control @param {string} prefix of its id */
export function field(text, control, prefix) {
  control.id = `${prefix}-${text.toLowerCase().replace(/\W+/g, '-')}`;
  return make('div', { className: 'field' }, make('label', { htmlFor: control.id, textContent: text }), control);
}

/** @param {string} text @param {() => unknown} onclick */
export const button = (text, onclick) => make('button', { type: 'button', textContent: text, onclick });

/** @param {string} text @param {HTMLInputElement} control a checkbox */
export const check = (text, control) => make('label', { className: 'check' }, control, ` ${text}`);

/** The first line of a dialog. @param {HTMLDialogElement} dialog @param {string} id of its title @param {string} title */
export function head(dialog, id, title) {
  dialog.setAttribute('aria-labelledby', id);
  return make('div', { className: 'wall-head' }, make('h2', { id, textContent: title }), button('Close', () => dialog.close()));
}

/**
 * Work of a dialog: what goes wrong is said in it, for it covers the page's box; what was given up is no news.
 * @param {HTMLElement} says @param {() => Promise<unknown>} work
 */
export async function attempt(says, work) {
  try {
    await work();
  } catch (/** @type {any} */ error) {
    if (error?.name !== 'AbortError' && error?.code !== 'CLOSED') says.textContent = explain(error).sentence;
  }
}
