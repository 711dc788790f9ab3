// The font of a seed. An entry of its own, for it needs packages that pictures do not. Documented in font.d.ts.

import { PocketDiffusionError, argumentError, show, tooBigError } from './library/errors.mjs';
import { buildFont, makeLetter } from './outlines/font.mjs';

/** Names in a font have at most as many characters here. */
const LONGEST_NAME = 60;
/** Of a model's name in the family name: seeds find room after it, in a PostScript name too. */
const LONGEST_MODEL_NAME = 20;
const LONGEST_LICENSE = 10_000;
/** Of generate(): what is about one picture. */
const NOT_OF_FONTS = ['label', 'classMix', 'image', 'mask', 'noise', 'recipe', 'onStep'];

/** Characters are never cut in two. @param {string} text @param {number} length in characters */
const cut = (text, length) => [...text].slice(0, length).join('').trim();

/** What other options draw has another name. @param {string} model @param {import('./index.d.ts').Picture['options']} options */
function defaultFamily(model, { seed, variationSeed, variationStrength }) {
  const variation = variationStrength ? ` to ${variationSeed} by ${variationStrength}` : '';
  return `Pocket ${cut(model, LONGEST_MODEL_NAME) || 'letters'} ${seed}${variation}`;
}

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
  for (const key of NOT_OF_FONTS) {
    if (/** @type {Record<string, unknown>} */ (options)[key] !== undefined) throw argumentError(TypeError, key, 'not of a font, which has every letter');
  }
  const about = license ?? `Drawn by the model "${info.name}"${info.license ? `, whose licence is ${info.license}` : ''}.`;
  if ([...about].length > LONGEST_LICENSE) throw tooBigError(`license: the text about the licence has more than ${LONGEST_LICENSE} characters: give a shorter one, or the address of it`);
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
  const family = cut((name ?? defaultFamily(info.name, picture.options)).trim(), LONGEST_NAME);
  const made = buildFont(letters, info.height, {
    family, designer: cut(info.author, LONGEST_NAME), description: JSON.stringify(recipe), license: about,
  });
  return { ...made, family, recipe };
}
