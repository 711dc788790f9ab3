// What the attributes of <pocket-diffusion> say. Knows no DOM: `get(name)` is a string, or null if there is none.

import { argumentError } from '../library/errors.mjs';
import { foreign } from '../library/hints.mjs';
import { OPTIONS, dashed } from '../library/options.mjs';

/** Options that have an attribute. */
const SAMPLING_OPTIONS = ['label', ...Object.keys(OPTIONS).filter((name) => OPTIONS[name].attribute), 'count'];
/** Attributes that change the pictures; the rest changes how they are shown. */
export const SAMPLING_ATTRIBUTES = SAMPLING_OPTIONS.map(dashed);

/**
 * What is meant by attributes that other programs have, a sentence for each. What has its own meaning in HTML is left alone.
 * @param {Iterable<string>} names of attributes
 */
export const foreignAttributes = (names) => [...names].filter((name) => name !== 'class' && !SAMPLING_ATTRIBUTES.includes(name)).flatMap((name) =>
  foreign(name, SAMPLING_OPTIONS).map((meant) => `<pocket-diffusion> has no attribute "${name}": ${dashed(meant)} is what it means here`));

/** Pictures of one element. */
export const MAX_COUNT = 64;

/** @type {import('../element.d.ts').Loading[]} */
const LOADING = ['lazy', 'eager', 'click'];

/** Of the largest side of a picture, and so of `width` and `height`. */
const MAX_SIDE = 8192;

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/** @typedef {(name: string) => string | null} Get */

/** @param {string} name of an attribute */
export const withoutDashes = (name) => name.replaceAll('-', '');

/**
 * Whatever a property is set to, as the text of an attribute. What makes no sense is refused when the text is read, and
 * said in the element.
 * @param {unknown} value
 */
export function attributeText(value) {
  try {
    return String(value);
  } catch {
    return Object.prototype.toString.call(value); // an object without a text, or with one that throws
  }
}

/** @param {string} text */
const short = (text) => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);

/** Undefined without the attribute; its range is checked by the library. @param {Get} get @param {string} name */
function readNumber(get, name) {
  const text = get(name)?.trim();
  if (text === undefined || text === '') return undefined;
  if (!NUMBER.test(text)) throw argumentError(TypeError, name, `must be a number, not ${short(text)}`);
  return Number(text);
}

/** @param {Get} get */
function readSeed(get) {
  const text = get('seed')?.trim();
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,20}$/.test(text)) throw argumentError(TypeError, 'seed', `must be a whole number, not ${short(text)}`);
  const seed = BigInt(text);
  return seed <= Number.MAX_SAFE_INTEGER ? Number(seed) : seed;
}

/** Whether it is one of those that there are the library checks. @param {Get} get @param {string} name */
const readWord = (get, name) => get(name)?.trim() || undefined;

/** A class name as it stands, or else a number; the first class, if there are any, without the attribute. @param {Get} get @param {ReadonlyArray<string>} labels */
function readLabel(get, labels) {
  const text = get('label');
  if (text === null) return labels.length > 0 ? 0 : undefined;
  return !labels.includes(text) && /^\d+$/.test(text.trim()) ? Number(text) : text;
}

/** @param {Get} get */
function readCount(get) {
  const count = readNumber(get, 'count') ?? 1;
  if (Number.isInteger(count) && count >= 1 && count <= MAX_COUNT) return count;
  throw argumentError(RangeError, 'count', `must be a whole number from 1 to ${MAX_COUNT}, not ${count}`);
}

/**
 * Options of generateMany().
 * @param {Get} get
 * @param {ReadonlyArray<string>} labels
 */
export function readOptions(get, labels) {
  /** @type {import('../index.d.ts').GenerateManyOptions} */
  const options = { label: readLabel(get, labels) };
  for (const [name, { kind, attribute }] of Object.entries(OPTIONS)) {
    if (attribute) Object.assign(options, { [name]: name === 'seed' ? readSeed(get) : kind === 'choice' ? readWord(get, dashed(name)) : readNumber(get, dashed(name)) });
  }
  return { ...options, count: readCount(get) };
}

/** @template T, U @param {() => T | undefined} read @param {U} fallback @returns {T | U} */
const orElse = (read, fallback) => {
  try {
    return read() ?? fallback;
  } catch {
    return fallback;
  }
};

/** How much room the pictures take: known before there is a model, whatever else is wrong. @param {Get} get */
export function readLayout(get) {
  /** @param {string} name */
  const side = (name) => {
    const value = orElse(() => readNumber(get, name), 1);
    return value >= 1 && value <= MAX_SIDE ? value : 1;
  };
  const count = orElse(() => readCount(get), 1);
  // Up to three in a row; more make a square, or one row less than that. element.css reserves as much.
  const columns = count <= 3 ? count : Math.ceil(Math.sqrt(count));
  const [width, height] = get('width') && get('height') ? [side('width'), side('height')] : [1, 1];
  return { count, columns, rows: Math.ceil(count / columns), width, height };
}

/** @param {Get} get */
export function readLoading(get) {
  const text = get('loading')?.trim().toLowerCase();
  return LOADING.find((known) => known === text) ?? 'lazy';
}

/** The value of the attribute as a property: null if it is missing or no number. @param {Get} get @param {string} name */
export const numberProperty = (get, name) => orElse(() => readNumber(get, name), null);
/** @param {Get} get */
export const seedProperty = (get) => orElse(() => readSeed(get), null);
