// What a visitor can set, and how a link carries it. Knows no DOM.

/**
 * @typedef {object} Settings
 * @property {number} label class number
 * @property {number} guidanceScale s, SCALE.min .. SCALE.max in tenths
 * @property {number} seed of the first picture; the others follow, seed + 1, seed + 2, ...
 * @property {number} steps 1 .. timesteps
 * @property {'ddim' | 'ddpm'} sampler
 * @property {number} count pictures, one of COUNTS
 */

export const SCALE = { min: 0, max: 10, step: 0.1 };
export const COUNTS = [1, 6, 12, 24];
/** index.html keeps room for as many. */
const DEFAULT_COUNT = 12;
export const SAMPLERS = ['ddim', 'ddpm'];
/** The last picture's seed, too, has to be a safe integer. */
export const MAX_SEED = Number.MAX_SAFE_INTEGER - COUNTS.at(-1);

/** Six digits: short enough to read out, many enough not to meet again. */
const ROLLED_SEEDS = 1_000_000;

const clamp = (value, min, max) => Math.min(Math.max(value, min), max);

/** Nearest tenth within SCALE, so that a slider, a link and Node mean the same number. */
export const roundScale = (value) => Math.round(clamp(value, SCALE.min, SCALE.max) * 10) / 10;

/** A seed drawn at random that differs from `previous`. */
export function rollSeed(previous) {
  const [random] = crypto.getRandomValues(new Uint32Array(1));
  const seed = random % ROLLED_SEEDS;
  return seed === previous ? (seed + 1) % ROLLED_SEEDS : seed;
}

/** @param {import('../index.d.ts').Model} model @returns {Settings} */
export function defaultSettings({ info }) {
  const { guidanceScale, steps, sampler } = info.recommended;
  return { label: 0, guidanceScale: roundScale(guidanceScale), seed: rollSeed(), steps, sampler, count: DEFAULT_COUNT };
}

const wholeNumber = (text, min, max) => {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return value >= min && value <= max ? value : undefined;
};

function labelNumber(text, labels) {
  const named = labels.indexOf(text);
  return named >= 0 ? named : wholeNumber(text, 0, labels.length - 1);
}

/**
 * The settings that a link carries. Values that this model cannot use are left out and named in `refused`;
 * keys that are not known are ignored.
 * @param {string} hash with or without '#'
 * @param {import('../index.d.ts').Model} model
 * @returns {{ settings: Partial<Settings>, refused: string[] }}
 */
export function parseHash(hash, { labels, info }) {
  const readers = {
    label: (text) => ['label', labelNumber(text, labels)],
    s: (text) => {
      const value = text.trim() === '' ? NaN : Number(text);
      return ['guidanceScale', value >= SCALE.min && value <= SCALE.max ? roundScale(value) : undefined];
    },
    seed: (text) => ['seed', wholeNumber(text, 0, MAX_SEED)],
    steps: (text) => ['steps', wholeNumber(text, 1, info.timesteps)],
    sampler: (text) => ['sampler', SAMPLERS.includes(text) ? text : undefined],
    count: (text) => ['count', COUNTS.find((count) => String(count) === text)],
  };
  const settings = {};
  const refused = [];
  for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ''))) {
    if (!Object.hasOwn(readers, key)) continue;
    const [name, value] = readers[key](text);
    if (value === undefined) refused.push(`${key}=${text}`);
    else settings[name] = value;
  }
  return { settings, refused };
}

/** @param {Settings} settings @param {ReadonlyArray<string>} labels @returns {string} with '#' */
export function formatHash({ label, guidanceScale, seed, steps, sampler, count }, labels) {
  // A name that stands for two classes would lead to the first of them.
  const name = labels.indexOf(labels[label]) === label ? labels[label] : String(label);
  return `#${new URLSearchParams({ label: name, s: String(guidanceScale), seed, steps, sampler, count })}`;
}
