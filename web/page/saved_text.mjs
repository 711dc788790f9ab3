// Files that the page or the command line has saved of a text: their recipes, and the address of what these have drawn. Knows no DOM.

import { parseRecipe } from '../library/recipe.mjs';
import { readRecipe } from '../library/recipe_png.mjs';
import { metadataIn } from '../outlines/svg.mjs';
import { STYLES } from './address.mjs';
import { OPTIONS, isOf } from './options.mjs';

/** Larger ones are not looked into. */
const MOST_BYTES = 2 ** 27;
/** Of a font's name table: description; of Windows, in UTF-16 (OpenType specification, "name"). */
const DESCRIPTION = 10;
const WINDOWS = 3;

/** The description of a font that has one. @param {Uint8Array} bytes of an OpenType file; what lies outside of it throws */
function descriptionOf({ buffer, byteOffset, byteLength }) {
  const view = new DataView(buffer, byteOffset, byteLength);
  for (let table = 0, at = 12; table < view.getUint16(4); table++, at += 16) {
    if (view.getUint32(at) !== 0x6e616d65) continue; // 'name'
    const names = view.getUint32(at + 8);
    const texts = names + view.getUint16(names + 4);
    for (let record = names + 6, left = view.getUint16(names + 2); left > 0; left--, record += 12) {
      if (view.getUint16(record) !== WINDOWS || view.getUint16(record + 6) !== DESCRIPTION) continue;
      const length = view.getUint16(record + 8);
      const begin = texts + view.getUint16(record + 10);
      return new TextDecoder('utf-16be', { fatal: true }).decode(new Uint8Array(buffer, byteOffset + begin, length));
    }
    return null; // one table of names: of a hostile file each of 65,535 might have as many records
  }
  return null;
}

/**
 * The recipe in a PNG, an SVG or a font; null if there is none, or it is damaged.
 * @param {File} file @returns {Promise<import('../index.d.ts').Recipe | null>}
 */
export async function recipeIn(file) {
  if (file.size > MOST_BYTES) return null;
  try {
    if (file.type === 'image/png') return readRecipe(new Uint8Array(await file.arrayBuffer()));
    const isSVG = file.type === 'image/svg+xml';
    if (!isSVG && file.type.startsWith('image/')) return null;
    const text = !isSVG ? descriptionOf(new Uint8Array(await file.arrayBuffer())) : metadataIn(await file.text())[0];
    return text ? parseRecipe(text) : null;
  } catch {
    return null;
  }
}

/** @param {unknown} seed as a recipe has it */
const numberOf = (seed) => Number(/** @type {any} */ (seed) ?? NaN);

/**
 * The address of what a recipe has drawn, with a text. Values are checked where links are read.
 * @param {import('../index.d.ts').Recipe} recipe @param {string} word the text, or the beginning of it
 * @param {import('../index.d.ts').Model} model whose class names the link may use
 */
export function addressOf({ model: { sha256 }, options }, word, model) {
  const recorded = /** @type {Record<string, any>} */ ({ ...options });
  const [low, high] = recorded.guidanceInterval ?? [];
  Object.assign(recorded, { guidanceLow: low, guidanceHigh: high });
  const parameters = new URLSearchParams();
  const [first, second, between] = [numberOf(recorded.seed), numberOf(recorded.variationSeed), numberOf(recorded.variationStrength)];
  const isOfTwelve = Math.abs(first - second) < STYLES;
  const seed = between > 0 && isOfTwelve ? Math.min(first, second) : first;
  parameters.set('s', String(recorded.guidanceScale));
  parameters.set('seed', String(seed));
  parameters.set('steps', String(recorded.steps));
  parameters.set('sampler', String(recorded.sampler));
  for (const option of OPTIONS) {
    const { key, kind, name } = option;
    const value = recorded[name];
    const isSame = sha256 === model.info.sha256;
    if (value === undefined || (isSame && !isOf(option, model))) continue;
    const isName = kind === 'class' && value !== null && isSame;
    parameters.set(key, kind === 'flag' ? String(Number(value)) : isName ? model.labels[value] ?? String(value) : String(value ?? ''));
  }
  if (sha256) parameters.set('model', sha256.slice(0, 12));
  parameters.set('word', word);
  parameters.set('style', String(first - seed + 1));
  if (between > 0) {
    if (isOfTwelve) parameters.set('to-style', String(second - seed + 1));
    else parameters.set('to-seed', String(second));
    parameters.set('between', String(between));
  }
  parameters.set('view', 'play');
  return `#${parameters}`;
}
