// What each of the site's models shows first: seeds that were chosen by looking (scripts/screenshots.mjs), among them
// several styles for the words. Models that are not named here begin with what their files recommend.

/** @typedef {{ seed: number, label?: string, word?: string }} First label: name of a class */

/** @type {Record<string, First>} */
const FIRST = {
  letters: { seed: 3, word: 'diffusion' },
  doodles: { seed: 24, label: 'flower' },
  characters: { seed: 0, label: 'cat' },
  digits: { seed: 7, label: '7', word: '31415' },
};

/** @param {string} name of a model @returns {First | undefined} */
export const firstOf = (name) => (Object.hasOwn(FIRST, name) ? FIRST[name] : undefined);

/** What the digits draw while letters are on their way. */
export const STAND_IN = { name: 'digits', word: '31415' };
