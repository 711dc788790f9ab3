// Symbols in the labels of figures: "x_t", "x_{t-1}" and "x^2" with real subscripts.

import { make } from '../page/elements.mjs';

/** After a single letter: a class may be called hot_dog. */
const MARK = /(?<![\p{Script=Latin}\p{N}]{2})([_^])(?:\{([^}]*)\}|(.))/gu;

/** @param {string} text @returns {Generator<readonly ['' | '_' | '^', string]>} texts, each with its mark */
export function* partsOf(text) {
  let end = 0;
  for (const { 0: all, 1: mark, 2: group, 3: single, index } of text.matchAll(MARK)) {
    yield ['', text.slice(end, index)];
    yield [/** @type {'_' | '^'} */ (mark), group ?? single];
    end = index + all.length;
  }
  yield ['', text.slice(end)];
}

/** @param {string} text @returns {DocumentFragment} */
export function symbols(text) {
  const fragment = document.createDocumentFragment();
  for (const [mark, part] of partsOf(text)) fragment.append(mark ? make(mark === '_' ? 'sub' : 'sup', { textContent: part }) : part);
  return fragment;
}

/** With so many digits behind the point, and a real minus sign. @param {number} value */
export const digits = (value, places = 3) => value.toFixed(places).replace('-', '\u2212');
