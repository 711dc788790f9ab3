// The options of sampling and guidance beyond the everyday ones: what the form under "More settings" shows, what a link
// carries, and which of them have an effect together. docs/sampling.md has the formulas. Knows no DOM.

import { DDPM_MEANS, DDPM_VARIANCES, GUIDANCE_SCHEDULES, TIME_GRIDS } from '../library/engine.mjs';

/** @typedef {import('./settings.mjs').Settings} Settings */
/** @typedef {import('../index.d.ts').Model} Model */

/**
 * @typedef {object} Option
 * @property {keyof Settings} name
 * @property {string} key in a link
 * @property {string} title
 * @property {'choice' | 'number' | 'whole' | 'flag' | 'class'} kind class: a class number, or null for the null class
 * @property {(model: Model) => any} initial
 * @property {ReadonlyArray<string>} [choices]
 * @property {(model: Model) => [min: number, max: number]} [range] of numbers
 * @property {number} [step] of the arrows of a number field
 * @property {(settings: Settings) => boolean} [applies] whether it has an effect beside the others; elsewhere it is left
 *   at its neutral value
 * @property {string} [needs] what it needs in order to apply
 * @property {boolean} [guides] it is about guidance from two predictions: nothing for a network that takes the scale
 */

const share = () => [0, 1];
const timestep = ({ info }) => [0, info.timesteps - 1];
const isDDPM = ({ sampler }) => sampler === 'ddpm';

/** @type {ReadonlyArray<Option>} */
export const OPTIONS = [
  {
    name: 'timeGrid', key: 'grid', title: 'Time grid', kind: 'choice', choices: TIME_GRIDS,
    initial: ({ info }) => info.recommended.timeGrid,
  },
  {
    name: 'eta', key: 'eta', title: 'Eta, noise added', kind: 'number', range: share, step: 0.05,
    initial: ({ info }) => info.recommended.eta, applies: ({ sampler }) => sampler === 'ddim', needs: 'DDIM',
  },
  {
    name: 'ddpmMean', key: 'mean', title: 'DDPM mean from', kind: 'choice', choices: DDPM_MEANS, initial: () => 'x0',
    applies: isDDPM, needs: 'DDPM',
  },
  {
    name: 'ddpmVariance', key: 'variance', title: 'DDPM variance', kind: 'choice', choices: DDPM_VARIANCES,
    initial: () => 'posterior', applies: isDDPM, needs: 'DDPM',
  },
  { name: 'negativeLabel', key: 'away', title: 'Guide away from', kind: 'class', initial: () => null, guides: true },
  {
    name: 'guidanceSchedule', key: 'schedule', title: 'Guidance schedule', kind: 'choice', choices: GUIDANCE_SCHEDULES,
    initial: () => 'constant', applies: ({ guidanceScale }) => guidanceScale >= 1, needs: 'a scale of 1 or more', guides: true,
  },
  {
    name: 'guidanceLow', key: 'low', title: 'Guide from timestep', kind: 'whole', range: timestep, step: 1,
    initial: ({ info }) => info.recommended.guidanceInterval[0], guides: true,
  },
  {
    name: 'guidanceHigh', key: 'high', title: 'Guide up to timestep', kind: 'whole', range: timestep, step: 1,
    initial: ({ info }) => info.recommended.guidanceInterval[1], guides: true,
  },
  {
    name: 'rescale', key: 'rescale', title: 'Rescaled guidance', kind: 'number', range: share, step: 0.05, initial: () => 0, guides: true,
  },
  {
    name: 'dynamicThreshold', key: 'threshold', title: 'Dynamic thresholding', kind: 'number', range: share, step: 0.005,
    initial: () => 0,
  },
  {
    name: 'momentum', key: 'momentum', title: 'Momentum (APG)', kind: 'number', range: () => [-1, 1], step: 0.05, initial: () => 0,
    guides: true,
  },
  {
    name: 'normThreshold', key: 'norm', title: 'Norm threshold (APG)', kind: 'number', range: () => [0, 1e6], step: 0.5,
    initial: () => 0, guides: true,
  },
  { name: 'projection', key: 'projection', title: 'Projection (APG)', kind: 'flag', initial: () => false, guides: true },
  {
    name: 'keepParallel', key: 'parallel', title: 'Parallel part kept', kind: 'number', range: share, step: 0.05,
    initial: () => 0, applies: ({ projection }) => projection, needs: 'projection', guides: true,
  },
  {
    name: 'cfgPlusPlus', key: 'cfgpp', title: 'CFG++', kind: 'flag', initial: () => false,
    applies: ({ sampler, momentum, normThreshold }) => sampler === 'ddim' && momentum === 0 && normThreshold === 0,
    needs: 'DDIM, no momentum, no norm threshold', guides: true,
  },
];

/** What an option that does not apply is left at: the library's own default. */
const NEUTRAL = { eta: 0, ddpmMean: 'x0', ddpmVariance: 'posterior', guidanceSchedule: 'constant', keepParallel: 0, cfgPlusPlus: false };

/** Whether the model has the option at all. @param {Option} option @param {Model} model */
export const isOf = ({ guides = false }, { info }) => !(guides && info.guidanceIsInput);

export const applies = (option, settings) => option.applies?.(settings) ?? true;

/**
 * The options as generate() takes them.
 * @param {Settings} settings
 * @returns {Partial<import('../index.d.ts').GenerateOptions>}
 */
export function samplingOptions(settings) {
  const used = {};
  for (const option of OPTIONS) used[option.name] = applies(option, settings) ? settings[option.name] : NEUTRAL[option.name];
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
