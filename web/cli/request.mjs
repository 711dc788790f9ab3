// From what was typed to what the library is asked for.

import { argumentError } from '../library/errors.mjs';
import { load, version } from '../index.mjs';
import { UsageError } from './errors.mjs';
import { readRecipeFile } from './files.mjs';
import { OWN_OPTIONS, READ_OPTIONS, parseLabel, parseLabels } from './options.mjs';
import { readPNG } from './read_png.mjs';
import { stop } from './stopping.mjs';

/**
 * @typedef {import('../index.d.ts').Model} Model
 * @typedef {import('../index.d.ts').Recipe} Recipe
 * @typedef {Record<string, any>} Given options of a command, as commander has parsed them, or fields of a recipe
 */

/** Of generate and of sweep. @param {Given} options */
export function checkEditingUsage({ image, invert, invertLabel, invertIterations }) {
  if (invert !== undefined && image !== undefined) throw new UsageError('--invert and --image both say what to start from');
  if (invert === undefined && invertLabel !== undefined) throw new UsageError('--invert-label: only with --invert');
  if (invert === undefined && invertIterations !== undefined) throw new UsageError('--invert-iterations: only with --invert');
}

/** @param {string | undefined} output */
export function checkOutput(output) {
  if (output === '') throw new UsageError('--output: empty name');
  if (output === '-' && process.stdout.isTTY) throw new UsageError('a PNG cannot be shown on a terminal: --output must be a name');
}

/** @param {Given} counts */
export function checkCounts(counts) {
  for (const [name, value] of Object.entries(counts)) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      throw new UsageError(`--${name}: must be a whole number, 1 or more`);
    }
  }
}

/** @param {Given} options @returns {Promise<{ recipe?: Recipe, sheet: Given }>} of --from; a sheet's own fields apart */
export async function readFrom({ from }) {
  if (from === undefined) return { sheet: {} };
  const { sheet, ...recipe } = await readRecipeFile(from);
  return { recipe, sheet: typeof sheet === 'object' && sheet !== null ? sheet : {} };
}

/**
 * The model in the arithmetic that is asked for, or that the recipe was made with.
 * @param {Given} given @param {Recipe | undefined} recipe
 */
export async function open(given, recipe) {
  const relaxed = given.relaxed ?? recipe?.version.endsWith('+relaxed') ?? false;
  const model = await load(given.model, { relaxed, signal: stop.signal });
  if (relaxed && model.info.engine === version) {
    process.stderr.write('pocket-diffusion: this Node.js has no relaxed SIMD, so the strict arithmetic is used\n');
  }
  return model;
}

/** @param {Given} options @param {Recipe | undefined} recipe @param {Model} model */
export function checkLabelGiven({ label, mix }, recipe, { labels }) {
  if (!label && !mix && !recipe && labels.length > 1) throw new UsageError("required option '--label <name>' or '--mix <class:weight,...>' not specified");
}

/** What the arguments of invert are called here. @type {Record<string, string>} */
const INVERT_OPTIONS = { image: 'invert', label: 'invertLabel', iterations: 'invertIterations' };

/**
 * The noise of --invert. The picture's label is its own, or the one that is asked for if that is one, as are the steps.
 * @param {Model} model @param {string} file @param {string | undefined} label @param {Given} options @param {Given} recorded
 */
async function invert(model, file, label, { steps, timeGrid, invertIterations }, recorded) {
  const labels = label === undefined ? [recorded.label ?? undefined] : parseLabels(label, model.labels);
  if (labels.length !== 1 || (labels[0] === undefined && model.labels.length > 0)) throw new UsageError('--invert: needs one --invert-label');
  const image = await readPNG('invert', file, model.info.channels);
  const sampling = { steps: steps ?? recorded.steps, timeGrid: timeGrid ?? recorded.timeGrid };
  try {
    return (await model.invert({ image, label: labels[0], ...sampling, iterations: invertIterations, signal: stop.signal })).noise;
  } catch (/** @type {any} */ error) {
    const name = INVERT_OPTIONS[error?.argument];
    throw name ? argumentError(error.constructor, name, error.message.slice(error.argument.length + 2)) : error;
  }
}

/** @param {{ label: string, weight: number }[]} mix @param {ReadonlyArray<string>} labels */
const readMix = (mix, labels) => mix.map(({ label, weight }) => ({ label: parseLabel(label, labels), weight }));

/**
 * The mixture, the pictures and the noise in the form that the library takes.
 * @param {Model} model @param {Given} options @param {Given} [recorded] of the recipe
 */
async function readEditing(model, { label, mix, image, mask, invert: inverted, invertLabel, ...sampling }, recorded = {}) {
  const { channels } = model.info;
  const own = label?.length === 1 ? label[0] : undefined;
  return {
    classMix: mix && readMix(mix, model.labels),
    image: image && await readPNG('image', image, channels),
    mask: mask && await readPNG('mask', mask, 1),
    noise: inverted && await invert(model, inverted, invertLabel ?? own, sampling, recorded),
  };
}

/**
 * What the library is asked for.
 * @param {Given} options @param {Recipe | undefined} recipe @param {Model} model @returns {Promise<Given>}
 */
export async function requestOf(options, recipe, model) {
  const { labels } = model;
  const sampling = Object.fromEntries(Object.entries(options).filter(([name]) => ![...OWN_OPTIONS, ...READ_OPTIONS].includes(name)));
  const { label, negativeLabel } = sampling;
  if (label) sampling.label = label.flatMap((/** @type {string} */ text) => parseLabels(text, labels));
  if (negativeLabel === false) sampling.negativeLabel = null;
  else if (negativeLabel !== undefined) sampling.negativeLabel = parseLabel(negativeLabel, labels);
  return { ...sampling, ...await readEditing(model, options, recipe?.options), recipe, signal: stop.signal };
}
