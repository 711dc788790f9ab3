// Ways from one picture to another, and how a link carries them. Knows no DOM.

import { formatClass, parseClass } from './options.mjs';
import { MAX_SEED, requestOf } from './settings.mjs';

/** @typedef {import('./settings.mjs').Settings} Settings */
/** @typedef {import('../index.d.ts').Model} Model */
/** @typedef {import('../index.d.ts').Picture} Picture */
/**
 * mix: of two classes, by their embeddings; seeds: from the noise of one seed to that of another; redraw: a picture made
 * anew as another class, ever more of it (SDEdit).
 * @typedef {'mix' | 'seeds' | 'redraw'} Way
 */
/**
 * @typedef {object} Morph
 * @property {Way} way
 * @property {number | null} label the class to begin with; null of a model that has no classes
 * @property {number} seed to begin with
 * @property {number} toLabel the class at the end, if the way leads to another one
 * @property {number} toSeed the seed at the end, if the way leads to another one
 * @property {number} at the picture on show, 0 .. LAST
 */

/** @type {Record<Way, string>} */
export const WAYS = { mix: 'Mix classes', seeds: 'Morph seeds', redraw: 'Redraw' };
/** Number of the last picture of a way. */
export const LAST = 16;

/** In the order in which they are drawn: ends first, then halves of what is between. */
export const ORDER = [0, LAST, ...[8, 4, 2, 1].flatMap((half) => Array.from({ length: 8 / half }, (_, index) => half + index * 2 * half))];

/** Of a film that goes to and fro, in milliseconds: a picture, and a rest at either end. */
const PICTURE_MILLISECONDS = 60;
const REST_MILLISECONDS = 700;

/** The ways that a model has. @param {Model} model @returns {Way[]} */
export const waysOf = ({ labels }) => (labels.length > 1 ? ['mix', 'seeds', 'redraw'] : ['seeds']);

/**
 * What generate() is to be asked for.
 * @param {Settings} settings @param {Morph} morph @param {number} at @param {Picture | null} first the picture at 0, which is redrawn
 * @returns {import('./studio.mjs').Request}
 */
export function requestAt(settings, { way, label, seed, toLabel, toSeed }, at, first) {
  const share = at / LAST;
  const begin = requestOf({ ...settings, label, seed });
  if (at === 0) return begin;
  if (way === 'seeds') return { ...begin, variationSeed: toSeed, variationStrength: share };
  // With fewer steps than places, neighbours would be the same.
  if (way === 'redraw') return { ...begin, label: toLabel, steps: Math.max(begin.steps, LAST), ...(first && { image: first, strength: share }) };
  if (at === LAST) return { ...begin, label: toLabel };
  const { label: _label, ...rest } = begin;
  return { ...rest, classMix: [{ label: Number(label), weight: 1 - share }, { label: toLabel, weight: share }] };
}

/** The pictures of a film, to and fro, and how long each is shown. @returns {Array<{ at: number, milliseconds: number }>} */
export function loop() {
  const there = Array.from({ length: LAST + 1 }, (_, at) => ({ at, milliseconds: at === 0 || at === LAST ? REST_MILLISECONDS : PICTURE_MILLISECONDS }));
  return [...there, ...there.slice(1, -1).reverse()];
}

/** What a link has beside settings whose class and seed are those to begin with. @param {Morph} morph @param {Model} model */
export function formatMorph({ way, toLabel, toSeed, at }, { labels }) {
  return `&${new URLSearchParams({ play: way, to: way === 'seeds' ? String(toSeed) : formatClass(toLabel, labels), at: String(at) })}`;
}

/** @param {string} text @param {number} most */
const wholeNumber = (text, most) => (/^\d{1,16}$/.test(text) && Number(text) <= most ? Number(text) : undefined);

/**
 * What a link asks for.
 * @param {string} hash @param {Model} model
 * @returns {{ morph: Partial<Morph>, refused: string[] }} morph: without what it does not say, or says of something that the model does
 *   not have, which is refused
 */
export function parseMorph(hash, model) {
  const parameters = new URLSearchParams(hash.replace(/^#/, ''));
  const way = waysOf(model).find((each) => each === parameters.get('play'));
  const to = parameters.get('to') ?? '';
  const at = wholeNumber(parameters.get('at') ?? '', LAST);
  const toLabel = way === 'seeds' ? undefined : parseClass(to, model.labels);
  const toSeed = way === 'seeds' ? wholeNumber(to, MAX_SEED) : undefined;
  const found = Object.entries({ way, toLabel, toSeed, at }).filter(([, value]) => value !== undefined);
  const asked = { play: way, to: toLabel ?? toSeed, at };
  const refused = Object.entries(asked).filter(([key, value]) => parameters.has(key) && value === undefined).map(([key]) => `${key}=${parameters.get(key)}`);
  return { morph: Object.fromEntries(found), refused };
}
