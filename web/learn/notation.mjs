// Symbols in the labels of figures: "x_t", "x_{t-1}" and "x^2" with real subscripts.

import { make } from '../page/elements.mjs';

/** @param {string} text @returns {DocumentFragment} */
export function symbols(text) {
  const fragment = document.createDocumentFragment();
  for (const [, plain, mark, group, single] of text.matchAll(/([^_^]+)|([_^])(?:\{([^}]*)\}|(.))/gu)) {
    fragment.append(plain ?? make(mark === '_' ? 'sub' : 'sup', { textContent: group ?? single }));
  }
  return fragment;
}

/** Without marks, for what is read aloud. @param {string} text */
export const plain = (text) => text.replaceAll(/[_^]\{([^}]*)\}|[_^](?=.)/gu, '$1');

/** With so many digits behind the point, and a real minus sign. @param {number} value */
export const digits = (value, places = 3) => value.toFixed(places).replace('-', '\u2212');
