// The options of sampling and guidance beyond the everyday ones, as the form under "More settings" shows them and a link carries
// them: those of the library's table that have a name in links. docs/sampling.md has the formulas. Knows no DOM.

import { FORMS, OPTIONS as RUN_OPTIONS, rangeOf } from '../library/options.mjs';

/** @typedef {import('./settings.mjs').Settings} Settings */
/** @typedef {import('../index.d.ts').Model} Model */

/**
 * @typedef {object} Option
 * @property {keyof Settings} name
 * @property {string} key in a link
 * @property {string} title
 * @property {'choice' | 'number' | 'whole' | 'flag' | 'class'} kind class: a class number, or null for the null class
 * @property {(model: Model) => any} initial
 * @property {any} [neutral] what it is left at where it does not apply
 * @property {ReadonlyArray<string>} [choices]
 * @property {(model: Model) => [min: number, max: number]} [range] of numbers
 * @property {number} [step] of the arrows of a number field
 * @property {(settings: Settings) => boolean} [applies] whether it has an effect beside the others; elsewhere it is left
 *   at its neutral value
 * @property {string} [needs] what it needs in order to apply
 * @property {true} [twoPredictions] a network that takes the scale does not have it
 */

/** One end of the guidance interval. @returns {Option} */
const endOfInterval = (name, key, title, end) => ({
  name, key, title, kind: 'whole', step: 1, twoPredictions: true, range: ({ info }) => [0, info.timesteps - 1], initial: ({ info }) => info.recommended.guidanceInterval[end],
});

/** The field of an option of generate(). @param {string} name @returns {Option} */
function fieldOf(name) {
  const row = RUN_OPTIONS[name];
  const { link, title, step, applies, needs } = FORMS[name];
  return {
    name, key: link, title, step, applies, needs, kind: row.kind, choices: row.choices, neutral: row.neutral ?? row.initial,
    twoPredictions: row.twoPredictions,
    range: ({ info }) => rangeOf(row, info),
    initial: ({ info }) => ('initial' in row ? row.initial : info.recommended[name]),
  };
}

/** @type {ReadonlyArray<Option>} */
export const OPTIONS = Object.keys(RUN_OPTIONS).flatMap((name) => {
  if (name === 'guidanceInterval') {
    return [endOfInterval('guidanceLow', 'low', 'Guide from timestep', 0), endOfInterval('guidanceHigh', 'high', 'Guide up to timestep', 1)];
  }
  return FORMS[name]?.link ? [fieldOf(name)] : [];
});

/** Whether the model has the option at all. @param {Option} option @param {Model} model */
export const isOf = ({ twoPredictions }, { info }) => !(twoPredictions && info.guidanceIsInput);

export const applies = (option, settings) => option.applies?.(settings) ?? true;

/**
 * The options as generate() takes them.
 * @param {Settings} settings
 * @returns {Partial<import('../index.d.ts').GenerateOptions>}
 */
export function samplingOptions(settings) {
  const used = {};
  for (const option of OPTIONS) used[option.name] = applies(option, settings) ? settings[option.name] : option.neutral;
  const { guidanceLow, guidanceHigh, ...rest } = used;
  return { ...rest, guidanceInterval: [Math.min(guidanceLow, guidanceHigh), Math.max(guidanceLow, guidanceHigh)] };
}

/** A finite number from text, NaN from anything else. */
const parseNumber = (text) => (/^-?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : NaN);

/**
 * The value that `text` stands for in a link or a form field.
 * @param {Option} option @param {string} text @param {Model} model
 * @returns {any} undefined if this model or this option has no such value
 */
export function parseOption(option, text, model) {
  if (!isOf(option, model)) return undefined;
  switch (option.kind) {
    case 'choice': return option.choices.includes(text) ? text : undefined;
    case 'flag': return { 0: false, 1: true }[text];
    case 'class': return text === '' ? null : parseClass(text, model.labels);
    default: {
      const value = parseNumber(text);
      const [min, max] = option.range(model);
      const usable = value >= min && value <= max && (option.kind !== 'whole' || Number.isInteger(value));
      return usable ? value : undefined;
    }
  }
}

/** @returns {string} what parseOption turns back into `value` */
export function formatOption(option, value, labels) {
  if (option.kind === 'flag') return value ? '1' : '0';
  if (option.kind === 'class') return value === null ? '' : formatClass(value, labels);
  return String(value);
}

/** Class number of a name or a number, undefined if there is none. */
export function parseClass(text, labels) {
  const named = labels.indexOf(text);
  if (named >= 0) return named;
  return /^\d{1,5}$/.test(text) && Number(text) < labels.length ? Number(text) : undefined;
}

/** The class's name; its number where the name stands for another class or reads as a number. */
export function formatClass(label, labels) {
  return parseClass(labels[label], labels) === label ? labels[label] : String(label);
}
