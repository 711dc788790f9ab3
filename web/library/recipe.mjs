// Recipes: how a picture was made, as JSON that travels in its PNG file. docs/recipe.md has the schema.
//
// A recipe comes from a file that anybody may have written: nothing of it is believed before it was looked at.

import { sha256 } from './digest.mjs';
import { PocketDiffusionError, argumentError, show } from './errors.mjs';

const FORMAT = 1;
export const KEYWORD = 'pocket-diffusion'; // PD_RECIPE_KEYWORD
export const MAX_TEXT_BYTES = 2 ** 20; // PD_MAX_PNG_TEXT_BYTES
const MAX_NAME_LENGTH = 256; // names in models have no limit of their own
const MAX_DEPTH = 4; // of an option's value

/** @param {unknown} value @returns {value is Record<string, any>} */
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
/** @param {string} name */
const shorten = (name) => name.slice(0, MAX_NAME_LENGTH);

// ---- making

/**
 * The value of an option as JSON: bytes as their SHA-256, bigints as decimal digits.
 * @param {unknown} value @returns {Promise<any>}
 */
async function record(value) {
  if (typeof value === 'bigint') return String(value);
  if (ArrayBuffer.isView(value)) return { sha256: await sha256(value) };
  if (Array.isArray(value)) return Promise.all(value.map(record));
  if (!isObject(value)) return value;
  return Object.fromEntries(await Promise.all(Object.entries(value).map(async ([key, item]) => [key, await record(item)])));
}

/**
 * @param {import('../index.d.ts').ResolvedOptions} options @param {import('../index.d.ts').ModelInfo} info
 * @returns {Promise<import('../index.d.ts').Recipe>}
 */
export async function makeRecipe(options, info) {
  return {
    format: FORMAT,
    version: info.engine,
    model: { name: shorten(info.name), sha256: info.sha256 },
    options: await record({ ...options, labelName: shorten(options.labelName) }),
  };
}

// ---- reading

/**
 * What is wrong with the form of a recipe, or null. The options are checked where they are used.
 * @param {unknown} recipe
 */
function findFault(recipe) {
  if (!isObject(recipe)) return `must be an object, not ${show(recipe)}`;
  const { format, version: by, model, options, sheet = {}, ...others } = recipe;
  if (format !== FORMAT) return `has format ${show(format)}, but only ${FORMAT} is known`;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return `unknown key ${show(unknown)}`;
  if (typeof by !== 'string') return 'must have a version';
  const named = isObject(model) && typeof model.name === 'string' && typeof model.sha256 === 'string' && /^([0-9a-f]{64})?$/.test(model.sha256);
  if (!named || Object.keys(model).length !== 2) return 'must have a model with name and sha256';
  if (!isObject(options)) return 'must have options';
  return isObject(sheet) ? null : 'sheet must be an object';
}

/** @param {unknown} recipe @returns {import('../index.d.ts').Recipe} */
export function checkRecipe(recipe) {
  const fault = findFault(recipe);
  if (fault) throw argumentError(TypeError, 'recipe', fault);
  return /** @type {import('../index.d.ts').Recipe} */ (recipe);
}

/** @type {(message: string) => never} */
export const refuse = (message) => {
  throw new PocketDiffusionError('RECIPE', message);
};

/** A recipe as it stands in a file. @param {string} text JSON @returns {import('../index.d.ts').Recipe} */
export function parseRecipe(text) {
  if (text.length > MAX_TEXT_BYTES) refuse(`the recipe has more than ${MAX_TEXT_BYTES} bytes`);
  let recipe;
  try {
    recipe = JSON.parse(text);
  } catch {
    refuse('the recipe is not JSON');
  }
  const fault = findFault(recipe);
  if (fault) refuse(`the recipe ${fault}`);
  return recipe;
}

// ---- using

/** Whether the value stands for bytes that a recipe does not hold. @param {any} value @returns {boolean} */
function isDigest(value, depth = MAX_DEPTH) {
  if (typeof value !== 'object' || value === null || depth === 0) return false;
  return typeof value.sha256 === 'string' || Object.values(value).some((item) => isDigest(item, depth - 1));
}

/** @typedef {import('../index.d.ts').Recipe} Recipe @typedef {import('../index.d.ts').ModelInfo} ModelInfo */

/** Where one of the hashes is missing, the names must do. @param {Recipe['model']} model @param {ModelInfo} info */
function isOfModel({ name, sha256: hash }, info) {
  return hash && info.sha256 ? hash === info.sha256 : name === shorten(info.name);
}

/**
 * Every option of a recipe, fit to be given again.
 * @param {Recipe} recipe @param {ModelInfo} info @param {ReadonlyArray<string>} labels @param {boolean} anyModel
 */
function optionsOf({ model, options }, info, labels, anyModel) {
  const same = isOfModel(model, info);
  if (!same && !anyModel) {
    const [theirs, ours] = [model, info].map(({ name, sha256: hash }) => `${show(name)} (SHA-256 ${hash.slice(0, 12) || 'unknown'})`);
    throw new PocketDiffusionError('MODEL', `the recipe is for the model ${theirs}, not for ${ours}; anyModel makes another picture with this one`);
  }
  /** @type {Record<string, any>} */
  const { labelName, ...usable } = options;
  // In another model the class of this name may have another number; a mixture has no label.
  const hasSameName = typeof usable.label === 'number' && labelName === labels[usable.label];
  if (!same && usable.label !== null && !hasSameName) usable.label = labelName;
  for (const key of ['seed', 'variationSeed']) {
    if (typeof usable[key] === 'string' && /^\d{1,20}$/.test(usable[key])) usable[key] = BigInt(usable[key]);
  }
  return usable;
}

/** Whether somebody gave a recipe where options go. @param {unknown} given */
export const isRecipe = (given) => isObject(given) && Object.hasOwn(given, 'format');

/**
 * The options with those of their recipe where they name none themselves.
 * @param {Record<string, any>} given with or without a recipe @param {ModelInfo} info @param {ReadonlyArray<string>} labels
 * @param {(recorded: object) => void} check refuses unknown names in a recipe
 * @returns {{ options: Record<string, any>, inputs: [name: string, recorded: unknown][] }} inputs: what checkInputs compares
 */
export function withRecipe({ recipe, anyModel = false, ...own }, info, labels, check) {
  if (recipe === undefined) return { options: own, inputs: [] };
  if (checkRecipe(recipe).sheet) throw argumentError(TypeError, 'recipe', 'is that of a sheet of pictures: the command line makes it again');
  const recorded = optionsOf(recipe, info, labels, anyModel);
  check(recorded);
  const inputs = Object.entries(recorded).filter(([, value]) => isDigest(value));
  for (const [name] of inputs) {
    if (own[name] !== undefined) continue;
    throw argumentError(TypeError, name, 'the recipe was made with one, of which it has the SHA-256 alone: give it again');
  }
  if (own.guidanceWeight !== undefined) delete recorded.guidanceScale; // two names of one option
  if (own.classMix) delete recorded.label; // and two of what is shown
  else if (own.label !== undefined && own.label !== null) delete recorded.classMix;
  const named = Object.entries(own).filter(([, value]) => value !== undefined);
  return { options: { ...recorded, ...Object.fromEntries(named) }, inputs };
}

/**
 * Refuses an image, a mask or noise that is not the one a recipe was made with.
 * @param {[name: string, recorded: unknown][]} inputs @param {Record<string, any>} resolved
 */
export async function checkInputs(inputs, resolved) {
  for (const [name, expected] of inputs) {
    const actual = await record(resolved[name]);
    if (JSON.stringify(actual) !== JSON.stringify(expected)) {
      throw argumentError(RangeError, name, 'is not the one that the recipe was made with: its SHA-256 differs');
    }
  }
}
