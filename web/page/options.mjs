// The options of sampling and guidance beyond the everyday ones, as the form under "More settings" shows them and a link carries
// them: those of the library's table that have a name in links. docs/sampling.md has the formulas. Knows no DOM.

import { OPTIONS as RUN_OPTIONS, formOf, rangeOf } from '../library/options.mjs';

/** @typedef {import('./settings.mjs').Settings} Settings */
/** @typedef {import('../index.d.ts').Model} Model */

/** @typedef {typeof import('../library/options.mjs').FORMS} Forms */
/** @typedef {{ [Name in keyof Forms]: Forms[Name] extends { link: string } ? Name : never }[keyof Forms]} Linked names of the rows with a link */
/**
 * The values of OPTIONS, by name.
 * @typedef {Pick<import('../index.d.ts').ResolvedOptions, Linked> & { guidanceLow: number, guidanceHigh: number }} Values
 */
/** @typedef {Values[keyof Values]} Value */

/**
 * @typedef {object} Option
 * @property {keyof Values} name
 * @property {string} key in a link
 * @property {string} title
 * @property {'choice' | 'number' | 'whole' | 'flag' | 'class'} kind class: a class number, or null for the null class
 * @property {(model: Model) => Value} initial
 * @property {Value} [neutral] what it is left at where it does not apply
 * @property {ReadonlyArray<string>} choices of a choice; elsewhere none
 * @property {(model: Model) => readonly [min: number, max: number]} range of numbers
 * @property {number} [step] of the arrows of a number field
 * @property {(settings: Omit<Settings, 'count'>) => boolean} [applies] whether it has an effect beside the others; elsewhere it is left
 *   at its neutral value
 * @property {string} [needs] what it needs in order to apply
 * @property {true} [twoPredictions] a network that takes the scale does not have it
 */

/**
 * One end of the guidance interval.
 * @param {'guidanceLow' | 'guidanceHigh'} name @param {string} key @param {string} title @param {0 | 1} end @returns {Option}
 */
const endOfInterval = (name, key, title, end) => ({
  name, key, title, kind: 'whole', choices: [], step: 1, twoPredictions: true, range: ({ info }) => [0, info.timesteps - 1], initial: ({ info }) => info.recommended.guidanceInterval[end],
});

/** The field of an option of generate(); none without a link. @param {string} name @returns {Option[]} */
function fieldsOf(name) {
  const row = RUN_OPTIONS[name];
  const { link, title = name, step, applies, needs } = formOf(name) ?? {};
  if (!link || row.kind === 'other') return [];
  return [{
    name: /** @type {Linked} */ (name), key: link, title, step, applies, needs, kind: row.kind, choices: row.choices ?? [],
    neutral: row.neutral ?? row.initial, twoPredictions: row.twoPredictions,
    range: ({ info }) => rangeOf(row, info),
    initial: ({ info }) => ('initial' in row ? row.initial : /** @type {Record<string, any>} */ (info.recommended)[name]),
  }];
}

/** @type {ReadonlyArray<Option>} */
export const OPTIONS = Object.keys(RUN_OPTIONS).flatMap((name) => {
  if (name === 'guidanceInterval') {
    return [endOfInterval('guidanceLow', 'low', 'Guide from timestep', 0), endOfInterval('guidanceHigh', 'high', 'Guide up to timestep', 1)];
  }
  return fieldsOf(name);
});

/** Whether the model has the option at all. @param {Option} option @param {Model} model */
export const isOf = ({ twoPredictions }, { info }) => !(twoPredictions && info.guidanceIsInput);

/** @param {Option} option @param {Omit<Settings, 'count'>} settings */
export const applies = (option, settings) => option.applies?.(settings) ?? true;

/**
 * The options as generate() takes them.
 * @param {Omit<Settings, 'count'>} settings
 * @returns {Omit<Values, 'guidanceLow' | 'guidanceHigh'> & { guidanceInterval: [tLow: number, tHigh: number] }}
 */
export function samplingOptions(settings) {
  const used = Object.fromEntries(OPTIONS.map((option) => [option.name, applies(option, settings) ? settings[option.name] : option.neutral]));
  const { guidanceLow, guidanceHigh, ...rest } = /** @type {Values} */ (used);
  return { ...rest, guidanceInterval: [Math.min(guidanceLow, guidanceHigh), Math.max(guidanceLow, guidanceHigh)] };
}

/** A finite number from text, NaN from anything else. @param {string} text */
const parseNumber = (text) => (/^-?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : NaN);

/**
 * The value that `text` stands for in a link or a form field.
 * @param {Option} option @param {string} text @param {Model} model
 * @returns {Value | undefined} undefined if this model or this option has no such value
 */
export function parseOption(option, text, model) {
  if (!isOf(option, model)) return undefined;
  switch (option.kind) {
    case 'choice': return option.choices.includes(text) ? /** @type {Value} */ (text) : undefined;
    case 'flag': return /** @type {Record<string, boolean>} */ ({ 0: false, 1: true })[text];
    case 'class': return text === '' ? null : parseClass(text, model.labels);
    default: {
      const value = parseNumber(text);
      const [min, max] = option.range(model);
      const usable = value >= min && value <= max && (option.kind !== 'whole' || Number.isInteger(value));
      return usable ? value : undefined;
    }
  }
}

/** @param {Option} option @param {Value} value @param {ReadonlyArray<string>} labels @returns {string} what parseOption turns back into `value` */
export function formatOption(option, value, labels) {
  if (option.kind === 'flag') return value ? '1' : '0';
  if (option.kind === 'class') return value === null ? '' : formatClass(Number(value), labels);
  return String(value);
}

/** Class number of a name or a number, undefined if there is none. @param {string} text @param {ReadonlyArray<string>} labels */
export function parseClass(text, labels) {
  const named = labels.indexOf(text);
  if (named >= 0) return named;
  return /^\d{1,5}$/.test(text) && Number(text) < labels.length ? Number(text) : undefined;
}

/** @param {number} label @param {ReadonlyArray<string>} labels @returns {string} the class's name; its number where the name stands for another class or reads as a number. */
export function formatClass(label, labels) {
  return parseClass(labels[label], labels) === label ? labels[label] : String(label);
}
