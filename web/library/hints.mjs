// What is meant by a name that no option has: other programs' names for ours, and slips of the finger.

import { FOREIGN } from './foreign.mjs';

const MAX_LENGTH = 64; // of what is compared

/** @param {string} name */
const plain = (name) => name.toLowerCase().replace(/[^a-z\d]/g, '').slice(0, MAX_LENGTH);

/** Levenshtein distance. @param {string} a @param {string} b */
function editDistance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

/**
 * The candidate nearest to `text`, letter case aside; `most`: the largest distance that still counts.
 * @param {string} text @param {ReadonlyArray<string>} candidates
 */
export function nearest(text, candidates, most = Infinity) {
  /** @param {string} string */
  const short = (string) => string.toLowerCase().slice(0, MAX_LENGTH);
  const wanted = short(text);
  let best;
  let least = most + 1;
  for (const candidate of candidates) {
    if (Math.abs(short(candidate).length - wanted.length) >= least) continue;
    const distance = editDistance(wanted, short(candidate));
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/**
 * Ours of what other programs call so.
 * @param {string} name in any spelling @param {ReadonlyArray<string>} known @returns {string[]} of `known`
 */
export const foreign = (name, known) =>
  FOREIGN.filter(([ours, ...theirs]) => known.includes(ours) && theirs.includes(plain(name))).map(([ours]) => ours);

/**
 * What may be meant by an unknown name: ours in another spelling, what others call ours, or one that is a slip away.
 * @param {string} name @param {ReadonlyArray<string>} known @returns {string[]} of `known`; may be empty
 */
export function suggestions(name, known) {
  const wanted = plain(name);
  const spelled = known.filter((each) => plain(each) === wanted);
  if (spelled.length > 0) return spelled;
  const meant = foreign(name, known);
  if (meant.length > 0) return meant;
  const near = nearest(name, known, Math.max(3, Math.ceil(wanted.length / 3)));
  return near === undefined ? [] : [near];
}
