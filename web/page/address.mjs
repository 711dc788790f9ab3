// What the address says beyond the settings (settings.mjs): which view is on show, the word that is set, and its style.

import { formatHash, linkedModel, parseHash } from './settings.mjs';

/** Longest text of the field. */
export const MOST_LETTERS = 40;
/** Of a word: seeds that follow each other. */
export const STYLES = 12;

/**
 * Numbers of two styles from 0, and how far it is from the first to the second, 0 .. 1. The second may be one beside the twelve: number
 * STYLES is that of the seed `toSeed`, as files of other programs have it; null: there is none.
 * @typedef {{ chosen: number, other: number, between: number, toSeed: number | null }} Style
 */

/** @type {Readonly<Style>} */
export const FIRST_STYLE = { chosen: 0, other: 1, between: 0, toSeed: null };

/** The seed of a style. @param {number} style its number @param {number} seed of the first one @param {number | null} toSeed that of number STYLES */
export const seedOf = (style, seed, toSeed) => (style === STYLES && toSeed !== null ? toSeed : seed + style);

/** @param {string} hash */
const parametersOf = (hash) => new URLSearchParams(hash.replace(/^#/, ''));

/**
 * @param {string} hash
 * @returns {{ linked: boolean, digits: string, depth: import('./view.mjs').Depth, drawing: boolean, word: string | null, style: Style, refused: string[] }}
 *   linked: it asks for something; digits: of the model's SHA-256; refused: of the style, what there is none of
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
    ...readStyle(parameters),
  };
}

/** Styles are counted from 1. @param {URLSearchParams} parameters @returns {{ style: Style, refused: string[] }} */
function readStyle(parameters) {
  const style = { ...FIRST_STYLE };
  const refused = [];
  for (const [key, text] of parameters) {
    const value = text.trim() === '' ? NaN : Number(text);
    const isStyle = Number.isInteger(value) && value >= 1 && value <= STYLES;
    if (key === 'style' && isStyle) style.chosen = value - 1;
    else if (key === 'to-style' && isStyle) style.other = value - 1;
    else if (key === 'between' && value >= 0 && value <= 1) style.between = value;
    else if (key === 'to-seed' && /^\d{1,16}$/.test(text) && Number.isSafeInteger(value)) Object.assign(style, { other: STYLES, toSeed: value });
    else if (['style', 'to-style', 'to-seed', 'between'].includes(key)) refused.push(`${key}=${text}`);
  }
  if (style.other === style.chosen) style.other = style.chosen === 0 ? 1 : 0;
  return { style, refused };
}

/**
 * @param {import('./settings.mjs').Settings} settings @param {import('../index.d.ts').Model} model @param {import('./view.mjs').View} view
 * @param {string | null} word @param {Style} style
 */
export function writeAddress(settings, model, view, word, { chosen, other, between, toSeed }) {
  const parameters = parametersOf(formatHash(settings, model));
  if (word !== null) parameters.set('word', word);
  if (word !== null && (chosen > 0 || between > 0)) parameters.set('style', String(chosen + 1));
  if (word !== null && between > 0) {
    if (other === STYLES) parameters.set('to-seed', String(toSeed));
    else parameters.set('to-style', String(other + 1));
    parameters.set('between', String(between));
  }
  if (view.drawing) parameters.set('view', 'draw');
  else if (view.inPlay) parameters.set('view', 'play');
  return `#${parameters}`;
}

/** Names of the settings that a link asks for. @param {string} hash @param {import('../index.d.ts').Model} model */
export const askedFor = (hash, model) => Object.keys(parseHash(hash, model).settings);
