// The font of a seed. An entry of its own, for it needs packages that pictures do not. Documented in font.d.ts.

import { PocketDiffusionError, argumentError, show } from './library/errors.mjs';
import { buildFont, makeLetter } from './outlines/font.mjs';

/** Names in a font have at most as many characters here. */
const LONGEST_NAME = 60;

/** Classes that are one character each. @param {ReadonlyArray<string>} labels */
const charactersOf = (labels) => labels.filter((label) => [...label].length === 1 && !/[\s\p{C}]/u.test(label));

/** @type {typeof import('./font.d.ts').makeFont} */
export async function makeFont(model, { name, license, onProgress, ...options } = {}) {
  const { info, labels } = model;
  const characters = charactersOf(labels);
  if (info.channels !== 1 || characters.length === 0) throw argumentError(RangeError, 'model', 'must draw grey letters: its classes are to be single characters');
  for (const [key, text] of Object.entries({ name, license })) {
    if (text !== undefined && (typeof text !== 'string' || text.trim() === '')) throw argumentError(TypeError, key, `must be a text, not ${show(text)}`);
  }
  for (const key of ['label', 'classMix', 'onStep']) {
    if (/** @type {Record<string, unknown>} */ (options)[key] !== undefined) throw argumentError(TypeError, key, 'not of a font, which has every letter');
  }
  /** @type {import('./outlines/font.mjs').Letter[]} */
  const letters = [];
  /** @type {import('./index.d.ts').Picture | undefined} */
  let picture;
  let done = 0;
  for await (const each of model.generateMany({ ...options, label: characters, count: 1 })) {
    picture ??= each;
    const letter = makeLetter(characters[done++], each);
    if (letter) letters.push(letter);
    onProgress?.({ done, total: characters.length });
  }
  if (!picture || letters.length === 0) throw new PocketDiffusionError('NONFINITE', 'no letter has any ink: take another seed or scale');
  const recipe = { ...picture.recipe, sheet: { labels: characters.map((each) => labels.indexOf(each)), count: 1, columns: Math.ceil(Math.sqrt(characters.length)) } };
  const family = (name ?? `Pocket ${info.name || 'letters'} ${picture.options.seed}`).trim().slice(0, LONGEST_NAME);
  const made = buildFont(letters, info.height, {
    family, designer: info.author, description: JSON.stringify(recipe),
    license: license ?? `Drawn by the model "${info.name}"${info.license ? `, whose licence is ${info.license}` : ''}.`,
  });
  return { ...made, family, recipe };
}
