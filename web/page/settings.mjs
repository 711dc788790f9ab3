// What a visitor can set, and how a link carries it. Knows no DOM.

import { SAMPLERS, SAMPLER_NAMES } from '../library/options.mjs';
import { OPTIONS, formatClass, formatOption, parseClass, parseOption, samplingOptions } from './options.mjs';

export { SAMPLERS };

/** @typedef {import('../index.d.ts').Model} Model */

/**
 * @typedef {object} Everyday
 * @property {number | null} label class number; null of a model that has no classes
 * @property {number} guidanceScale s, SCALE.min .. SCALE.max in tenths
 * @property {number} seed of the first picture; the others follow, seed + 1, seed + 2, ...
 * @property {number} steps 1 .. timesteps
 * @property {import('../index.d.ts').SamplerName} sampler
 * @property {number} count pictures, one of COUNTS
 */
/** @typedef {Everyday & import('./options.mjs').Values} Settings */
/** @typedef {import('./studio.mjs').Request & Pick<Settings, 'label' | 'seed'>} Request */

/** playMax: as far as the slider goes where it stands alone; more comes from links. */
export const SCALE = { min: 0, max: 10, playMax: 4 };
/** How many pictures there may be, and how many of them are side by side on a sheet. */
export const COLUMNS = new Map([[1, 1], [6, 3], [9, 3], [12, 4], [24, 6]]);
export const COUNTS = [...COLUMNS.keys()];
/** The page keeps room for as many. */
export const DEFAULT_COUNT = 12;
/** The last picture's seed, too, has to be a safe integer. */
export const MAX_SEED = Number.MAX_SAFE_INTEGER - Math.max(...COUNTS);

/** Six digits: short enough to read out, many enough not to meet again. */
const ROLLED_SEEDS = 1_000_000;

/** Digits of the model's SHA-256 in a link. */
const HASH_DIGITS = 12;

/** @param {number} value @param {number} min @param {number} max */
const clamp = (value, min, max) => Math.min(Math.max(value, min), max);

/** Nearest tenth within SCALE, so that a slider, a link and Node mean the same number. @param {number} value */
export const roundScale = (value) => Math.round(clamp(value, SCALE.min, SCALE.max) * 10) / 10;

/** Whether there is anything for the slider to do. @param {Model} model */
export const canBeGuided = ({ info: { hasNullClass, guidanceIsInput } }) => hasNullClass || guidanceIsInput;

/** The scales that a model can be asked for here. @param {Model} model @returns {[min: number, max: number]} */
export function scaleRange(model) {
  if (!canBeGuided(model)) return [1, 1];
  const [low, high] = model.info.guidanceScaleRange;
  return [Math.max(SCALE.min, Math.ceil(low * 10) / 10), Math.min(SCALE.max, Math.floor(high * 10) / 10)];
}

/** What a model recommends, as the slider can have it. @param {Model} model */
export const recommendedScale = (model) => roundScale(clamp(model.info.recommended.guidanceScale, ...scaleRange(model)));

/** @param {import('../index.d.ts').ModelInfo} info */
export const aboutOf = ({ description, author }) => [description, author].filter(Boolean).join('. ');

/** What is drawn, in a word. @param {Model} model @param {number | null} label */
export const nameOf = ({ labels, info }, label) => (label === null ? undefined : labels[label]) ?? (info.name || 'picture');

/** A seed drawn at random that differs from `previous`. @param {number} [previous] */
export function rollSeed(previous) {
  const [random] = crypto.getRandomValues(new Uint32Array(1));
  const seed = random % ROLLED_SEEDS;
  return seed === previous ? (seed + 1) % ROLLED_SEEDS : seed;
}

/** What a model recommends for OPTIONS. @param {Model} model @returns {import('./options.mjs').Values} */
export const recommendedOptions = (model) =>
  /** @type {import('./options.mjs').Values} */ (Object.fromEntries(OPTIONS.map(({ name, initial }) => [name, initial(model)])));

/** @param {Model} model @returns {Settings} */
export function defaultSettings(model) {
  const { steps, sampler } = model.info.recommended;
  return { label: model.labels.length > 0 ? 0 : null, guidanceScale: recommendedScale(model), seed: rollSeed(), steps, sampler, count: DEFAULT_COUNT, ...recommendedOptions(model) };
}

/**
 * The options of picture `index`, as generate() takes them.
 * @param {Omit<Settings, 'count'>} settings @returns {Request}
 */
export function requestOf(settings, index = 0) {
  const { label, guidanceScale, seed, steps, sampler } = settings;
  return { label, guidanceScale, seed: seed + index, steps, sampler, ...samplingOptions(settings) };
}

/** @param {string} text @param {number} min @param {number} max */
const wholeNumber = (text, min, max) => {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return value >= min && value <= max ? value : undefined;
};

/** The first digits of the model's SHA-256 as links have them; '' where the browser computes no hash. @param {Model} model */
export const modelDigits = ({ info }) => info.sha256.slice(0, HASH_DIGITS);

/** The digits of the model that a link was made with, lower-case; '' if it does not say. @param {string} hash */
export function linkedModel(hash) {
  const digits = new URLSearchParams(hash.replace(/^#/, '')).get('model') ?? '';
  return /^[0-9a-f]{12}$/i.test(digits) ? digits.toLowerCase() : '';
}

/**
 * The settings that a link carries. Values that this model cannot use are left out and named in `refused`;
 * keys that are not known are ignored.
 * @param {string} hash with or without '#'
 * @param {Model} model
 * @returns {{ settings: Partial<Settings>, refused: string[] }}
 */
export function parseHash(hash, model) {
  const { labels, info } = model;
  const [lowest, highest] = scaleRange(model);
  /** @type {Record<string, (text: string) => [name: keyof Settings, value: Settings[keyof Settings] | undefined]>} */
  const readers = {
    label: (text) => ['label', parseClass(text, labels)],
    s: (text) => {
      const value = text.trim() === '' ? NaN : Number(text);
      return ['guidanceScale', value >= lowest && value <= highest ? roundScale(value) : undefined];
    },
    seed: (text) => ['seed', wholeNumber(text, 0, MAX_SEED)],
    steps: (text) => ['steps', wholeNumber(text, 1, info.timesteps)],
    sampler: (text) => ['sampler', SAMPLER_NAMES.find((name) => name === text)],
    count: (text) => ['count', COUNTS.find((count) => String(count) === text)],
  };
  for (const option of OPTIONS) readers[option.key] = (text) => [option.name, parseOption(option, text, model)];
  /** @type {Record<string, Settings[keyof Settings]>} */
  const settings = {};
  /** @type {string[]} */
  const refused = [];
  for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ''))) {
    if (!Object.hasOwn(readers, key)) continue;
    const [name, value] = readers[key](text);
    if (value === undefined) refused.push(`${key}=${text}`);
    else settings[name] = value;
  }
  return { settings, refused };
}

/**
 * Every setting under its name in a link.
 * @param {Settings} settings @param {Model} model @returns {Array<[name: keyof Settings, key: string, text: string]>}
 */
function writeSettings(settings, { labels }) {
  const { label, guidanceScale, seed, steps, sampler, count } = settings;
  /** @type {ReturnType<typeof writeSettings>} */
  const ofClass = label === null ? [] : [['label', 'label', formatClass(label, labels)]];
  /** @type {ReturnType<typeof writeSettings>} */
  const ofOptions = OPTIONS.map((option) => [option.name, option.key, formatOption(option, settings[option.name], labels)]);
  return [
    ...ofClass, ['guidanceScale', 's', String(guidanceScale)], ['seed', 'seed', String(seed)],
    ['steps', 'steps', String(steps)], ['sampler', 'sampler', sampler], ['count', 'count', String(count)],
    ...ofOptions,
  ];
}

/**
 * Everything that the pixels depend on: options at the model's defaults are left out, for the link names the model.
 * @param {Settings} settings @param {Model} model @returns {string} with '#'
 */
export function formatHash(settings, model) {
  /** @param {keyof Settings} name */
  const asRecommended = (name) => OPTIONS.some((option) => option.name === name && settings[name] === option.initial(model));
  const parameters = new URLSearchParams();
  for (const [name, key, text] of writeSettings(settings, model)) if (!asRecommended(name)) parameters.set(key, text);
  if (modelDigits(model)) parameters.set('model', modelDigits(model));
  return `#${parameters}`;
}

/**
 * Settings for another model: classes by their names, the scale the nearest that it knows. What it cannot use is left out.
 * @param {Settings} settings @param {ReadonlySet<string>} names of the settings wanted
 * @param {Model} from @param {Model} to @returns {Partial<Settings>}
 */
export function carryOver(settings, names, from, to) {
  const [lowest, highest] = scaleRange(to);
  const guidanceScale = clamp(settings.guidanceScale, lowest, highest);
  const wanted = writeSettings({ ...settings, guidanceScale }, from).filter(([name]) => names.has(name)).map(([, key, text]) => [key, text]);
  return parseHash(new URLSearchParams(wanted).toString(), to).settings;
}
