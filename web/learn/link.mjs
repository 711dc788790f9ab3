// The state of all figures in a link: #at=guidance&model=digits&guidance.s=5&noise.t=100. What is as it begins is left out.

import { KINDS, STATE_ATTRIBUTES } from './figure.mjs';

/** @typedef {{ model: string, at: string, lecture: boolean, figures: Record<string, Record<string, string>> }} Article of figures: by kind, then by attribute */

/** Null for a link to a section, or none. @param {string} hash @returns {Article | null} */
export function readState(hash) {
  if (!hash.includes('=')) return null;
  /** @type {Article} */
  const state = { model: '', at: '', lecture: false, figures: {} };
  for (const [key, value] of new URLSearchParams(hash.slice(1))) {
    const [kind, name] = key.split('.');
    if (key === 'model' || key === 'at') state[key] = value;
    else if (key === 'lecture') state.lecture = true;
    else if (Object.hasOwn(KINDS, kind) && STATE_ATTRIBUTES.includes(name)) (state.figures[kind] ??= {})[name] = value;
  }
  return state;
}

/** @param {Article} state @returns {string} '' if all is as it begins */
export function writeState({ model, at, lecture, figures }) {
  const parts = new URLSearchParams();
  for (const [kind, changed] of Object.entries(figures)) for (const [name, value] of Object.entries(changed)) parts.set(`${kind}.${name}`, value);
  if (model) parts.set('model', model);
  if (lecture) parts.set('lecture', '');
  if (parts.size > 0 && at) parts.set('at', at);
  return parts.size > 0 ? `#${parts}` : '';
}
