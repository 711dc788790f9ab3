// What the address says beyond the settings (settings.mjs): which view is on show, and the word that is set.

import { formatHash, linkedModel, parseHash } from './settings.mjs';

/** Longest text of the field. */
export const MOST_LETTERS = 24;

/** @param {string} hash */
const parametersOf = (hash) => new URLSearchParams(hash.replace(/^#/, ''));

/**
 * @param {string} hash
 * @returns {{ linked: boolean, digits: string, depth: import('./view.mjs').Depth, drawing: boolean, word: string | null }}
 *   linked: it asks for something; digits: of the model's SHA-256
 */
export function readAddress(hash) {
  const parameters = parametersOf(hash);
  const linked = [...parameters].length > 0;
  const view = parameters.get('view');
  return {
    linked,
    digits: linkedModel(hash),
    // Links from before there were views lead to where everything of them can be seen.
    depth: linked && view !== 'play' && view !== 'draw' ? 'lab' : 'play',
    drawing: view === 'draw',
    word: parameters.get('word')?.slice(0, MOST_LETTERS) ?? null,
  };
}

/** @param {import('./settings.mjs').Settings} settings @param {import('../index.d.ts').Model} model @param {import('./view.mjs').View} view @param {string | null} word */
export function writeAddress(settings, model, view, word) {
  const parameters = parametersOf(formatHash(settings, model));
  if (word !== null) parameters.set('word', word);
  if (view.drawing) parameters.set('view', 'draw');
  else if (view.inPlay) parameters.set('view', 'play');
  return `#${parameters}`;
}

/** Names of the settings that a link asks for. @param {string} hash @param {import('../index.d.ts').Model} model */
export const askedFor = (hash, model) => Object.keys(parseHash(hash, model).settings);
