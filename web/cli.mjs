#!/usr/bin/env node
// Command line: `pocket-diffusion generate ...`, `sweep ...`, `recipe FILE` and `info MODEL`.
//
// Exit status: 0 done, 1 failed (one line on standard error), 2 wrong usage, 128 + n stopped by signal n.

import { constants } from 'node:os';
import path from 'node:path';
import cliProgress from 'cli-progress';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { parseAxis, suggestedFlags } from './cli/axis.mjs';
import { Canvas, Table, zoomFor } from './cli/canvas.mjs';
import { UsageError } from './cli/errors.mjs';
import { FILM_DEFAULT, FILM_PLANES, drawFilm, traceNumbers } from './cli/film.mjs';
import { readRecipeFile, writeOut, writeWhole } from './cli/files.mjs';
import { DDPM_MEANS, DDPM_VARIANCES, GUIDANCE_SCHEDULES, MIX_MODES, SAMPLERS, TIME_GRIDS } from './library/engine.mjs';
import { argumentError } from './library/errors.mjs';
import { encodePNG, load, version } from './index.mjs';
import { readPNG } from './cli/read_png.mjs';
import { MAX_ENLARGED_SIDE, enlarge, largestFactor } from './library/rendering.mjs';
import { checkGenerateOptions } from './library/validate.mjs';

/**
 * @typedef {import('./index.d.ts').Model} Model
 * @typedef {import('./index.d.ts').Picture} Picture
 * @typedef {import('./index.d.ts').Recipe} Recipe
 * @typedef {import('./index.d.ts').ResolvedOptions} ResolvedOptions
 * @typedef {{ width: number, height: number, channels: number, pixels: Uint8Array }} Bitmap
 * @typedef {Record<string, any>} Given options of a command, as commander has parsed them, or fields of a recipe
 * @typedef {Omit<ReturnType<typeof parseAxis>, 'key' | 'text'> & { key: string | null, text?: string }} Axis key: of the option; null without one
 * @typedef {{ rows: Axis, columns: Axis }} Axes
 */

const FAILED = 1;
const WRONG_USAGE = 2;

const SHEET_GAP = 2; // pixels between the pictures of a sheet
const SHEET_COLUMNS = 8; // of one class, before the next row begins
const MOST_IN_FILM = 8; // pictures

// Names come from files: nothing of them may steer a terminal.
/** @param {unknown} text */
// eslint-disable-next-line no-control-regex -- these are what is looked for
const printable = (text) => String(text).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ');

// ---- options

/** @param {string} text */
function parseNumber(text) {
  if (!/^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw new InvalidArgumentError('not a number.');
  return Number(text);
}

/** LOW,HIGH or a name, which the library checks. @param {string} text */
function parseInterval(text) {
  if (/^[a-z]+$/.test(text)) return text;
  const parts = text.split(',');
  if (parts.length !== 2) throw new InvalidArgumentError('not two numbers with a comma between.');
  return parts.map((part) => parseNumber(part.trim()));
}

/** @param {string} text */
function parseSeed(text) {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('not a whole number from 0 to 2^64 - 1.');
  const seed = BigInt(text);
  return seed <= Number.MAX_SAFE_INTEGER ? Number(seed) : seed;
}

/** A class name as it stands, or a number. @param {string} text @param {ReadonlyArray<string>} labels */
function parseLabel(text, labels) {
  return !labels.includes(text) && /^\d+$/.test(text) ? Number(text) : text;
}

/**
 * One --label: a class name as it stands, or names and numbers with commas between.
 * @param {string} text @param {ReadonlyArray<string>} labels
 */
function parseLabels(text, labels) {
  if (labels.includes(text)) return [text];
  return text.split(',').map((part) => parseLabel(part.trim(), labels));
}

/** NAME:WEIGHT,NAME:WEIGHT,... @param {string} text */
function parseMix(text) {
  return text.split(',').map((part) => {
    const colon = part.lastIndexOf(':');
    if (colon < 1) throw new InvalidArgumentError('not CLASS:WEIGHT with commas between.');
    return { label: part.slice(0, colon).trim(), weight: parseNumber(part.slice(colon + 1).trim()) };
  });
}

/** NAME,NAME,... @param {string} text */
function parsePlanes(text) {
  return text.split(',').map((part) => {
    const plane = FILM_PLANES.find((name) => name === part.trim());
    if (!plane) throw new InvalidArgumentError(`not some of ${FILM_PLANES.join(', ')} with commas between.`);
    return plane;
  });
}

/** Mixtures of classes, and pictures and noises to start from. @param {Command} command */
function addEditingOptions(command) {
  return command
    .addOption(new Option('--mix <class:weight,...>', '2 to 8 classes with weights, instead of the label').argParser(parseMix).conflicts('label'))
    .addOption(new Option('--mix-mode <name>', 'what of the classes is mixed').choices(MIX_MODES))
    .option('--image <png>', 'start from this picture, of the size of the model\'s')
    .option('--strength <number>', 'how much of the image is made anew, 0 to 1 (default: 0.5, with a mask 1)', parseNumber)
    .option('--mask <png>', 'white: make anew, black: keep the image')
    .option('--mask-threshold <level>', 'with a soft mask: grey levels from this one on, 1 to 255, are made anew', parseNumber)
    .option('--resample <number>', 'with a mask: how often each step is made', parseNumber)
    .option('--variation-seed <number>', 'seed to move the first noise towards; counts up instead of the seed', parseSeed)
    .option('--variation-strength <number>', 'how far, 0 to 1', parseNumber)
    .option('--invert <png>', 'start from the noise that leads to this picture (DDIM inversion)')
    .option('--invert-label <name>', 'class of that picture (default: the label)')
    .option('--invert-iterations <number>', 'network calls of each step of the inversion (default: 1)', parseNumber);
}

/** What generate and sweep have in common. @param {Command} command */
function addSampling(command) {
  command
    .requiredOption('--model <file>', 'model: a path or a URL')
    .option('--from <file>', 'a PNG made here, or a recipe in JSON: its options, where no others are given')
    .option('--any-model', 'use the recipe with a model that it was not made for')
    .option('--label <name>', 'class name or number; repeat it, or put commas between, for several', (text, list) =>
      [...(list ?? []), text])
    .option('--guidance-scale <number>', 'null + s (cond - null); 1 is the conditional model alone', parseNumber)
    .addOption(new Option('--guidance-weight <number>', 'w = s - 1, instead of the scale').argParser(parseNumber).conflicts('guidanceScale'))
    .option('--guidance-interval <low,high>', 'guide at timesteps low to high alone, or: all, diverse (half to seven tenths)', parseInterval)
    .addOption(new Option('--guidance-schedule <name>', 'of the weight over the steps').choices(GUIDANCE_SCHEDULES))
    .option('--negative-label <name>', 'class name or number to guide away from, instead of the null class')
    .option('--no-negative-label', 'the null class, whatever the recipe says')
    .option('--cfg-plus-plus', 'renoise with the null prediction (ddim)')
    .option('--no-cfg-plus-plus', 'do not, whatever the recipe says')
    .option('--projection', 'remove the part of the guidance that is parallel to the conditional prediction')
    .option('--no-projection', 'do not, whatever the recipe says')
    .option('--keep-parallel <number>', 'share of that part kept, 0 to 1', parseNumber)
    .option('--momentum <number>', 'of the guidance update, -1 to 1', parseNumber)
    .option('--norm-threshold <number>', 'longest guidance update; 0: any', parseNumber)
    .option('--rescale <number>', 'rescaled guidance, 0 to 1', parseNumber)
    .option('--dynamic-threshold <number>', 'percentile of dynamic thresholding, 0 to 1; 0: x_0 is clipped', parseNumber)
    .option('--steps <number>', 'steps per picture: network evaluations, of heun half of them', parseNumber)
    .addOption(new Option('--sampler <name>', 'solver').choices(SAMPLERS))
    .addOption(new Option('--time-grid <name>', 'timesteps that are visited').choices(TIME_GRIDS))
    .option('--eta <number>', 'stochasticity of ddim, 0 to 1', parseNumber)
    .option('--relaxed', 'relaxed SIMD: faster, but last bits depend on the processor')
    .option('--no-relaxed', 'not, whatever the recipe says')
    .addOption(new Option('--ddpm-mean <name>', 'what the mean of ddpm is made from').choices(DDPM_MEANS))
    .addOption(new Option('--ddpm-variance <name>', 'variance of ddpm').choices(DDPM_VARIANCES))
    .option('--seed <number>', 'of the first picture; the next ones count up (default: random)', parseSeed);
  return addEditingOptions(command);
}

/** What the names of other programs are on the command line alone, in words of hints.mjs. @type {Record<string, string>} */
const FOREIGN_FLAGS = {
  o: 'output', out: 'output', outdir: 'output', outputpath: 'output', outputdir: 'output', save: 'output', file: 'output',
  checkpoint: 'model', ckpt: 'model', modelpath: 'model', weights: 'model', m: 'model',
  grid: 'columns', nrow: 'columns', cols: 'columns',
};

/** In place of commander's, which knows spelling alone. @this {Command} @param {string} flag */
function unknownOption(flag) {
  const name = flag.replace(/^-+/, '').split('=', 1)[0];
  const flags = this.options.map((option) => option.long?.replace(/^--(no-)?/, '') ?? '');
  const meant = [FOREIGN_FLAGS[name.toLowerCase().replace(/[-_]/g, '')] ?? [], suggestedFlags(name, flags)].flat().filter((each) => flags.includes(each)).slice(0, 2);
  this.error(`error: unknown option '${printable(flag)}'${meant.length > 0 ? `\n(Did you mean ${meant.map((each) => `--${each}`).join(' or ')}?)` : ''}`, { code: 'commander.unknownOption' });
}

function makeProgram() {
  const program = new Command('pocket-diffusion')
    .description('Class-conditional image generation by diffusion with classifier-free guidance.')
    .version(version)
    .exitOverride();
  addSampling(program.command('generate'))
    .description('Make pictures and write them as PNG.')
    .option('--count <number>', 'pictures of each class (default: 1)', parseNumber)
    .option('--columns <number>', `pictures in a row of the sheet (default: the count, for one class at most ${SHEET_COLUMNS})`, parseNumber)
    .option('--separate', 'one file per picture, named OUTPUT-LABEL-NAME-SEED.png, instead of a sheet')
    .option('--enlarge <number>', `so many times larger, as suits the model's pictures, up to ${MAX_ENLARGED_SIDE} pixels (default: 1)`, parseNumber)
    .option('--transparent', 'of ink: without the paper')
    .option('--film <file>', 'PNG of the way: x_t, the x_0 estimate and what guidance adds, for up to 20 steps')
    .option('--film-planes <names>', `rows of the film, of ${FILM_PLANES.join(', ')}: with both predictions (default: ${FILM_DEFAULT.join()})`, parsePlanes)
    .option('--trace <file>', 'JSON of the way: of every network call the norms of x_t, x_0, both predictions and their difference')
    .option('--preview <file>', 'PNG of the x_0 estimate of the one picture, written anew after every step')
    .option('--output <file>', 'PNG to write, - for standard output; may be left out with --json, --film or --trace')
    .option('--no-recipe', 'write no recipe into the files')
    .option('--json', 'print the options as used and hashes of the pixels')
    .addHelpText('after', '\nWhat is not given is as the model recommends. Several pictures make a sheet, one row or more per class.')
    .action(generate);
  addSampling(program.command('sweep'))
    .description('Make a sheet of pictures that differ in one or two options, with labelled axes.')
    .option('--rows <axis>', 'option and its values: seed=1..4, label=cat,dog')
    .option('--columns <axis>', 'option and its values: guidance-scale=0,1,3,8; semicolons go between values with commas')
    .option('--zoom <number>', 'how much the pictures are enlarged', parseNumber)
    .requiredOption('--output <file>', 'PNG to write, - for standard output')
    .option('--no-recipe', 'write no recipe into the file')
    .addHelpText('after', '\nWithout --seed all pictures share one that is drawn at random.')
    .action(sweep);
  program
    .command('recipe')
    .description('Print the recipe of a PNG as JSON.')
    .argument('<file>', 'a PNG made here')
    .action(async (file) => writeOut(`${asJSON(await readRecipeFile(file))}\n`));
  program
    .command('info')
    .description('Describe a model.')
    .argument('<model>', 'a path or a URL')
    .option('--json', 'everything, as JSON')
    .option('--graph', 'the operations of its network')
    .action(info);
  for (const command of [program, ...program.commands]) {
    Object.assign(command, { unknownOption });
    command.exitOverride().showHelpAfterError('(--help lists the options)').allowExcessArguments(false);
  }
  return program;
}

// ---- stopping

const stop = new AbortController();
/** @type {NodeJS.Signals | null} */
let stoppedBy = null;
for (const name of /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(name, () => {
    if (stoppedBy) process.exit(128 + constants.signals[name]); // asked twice
    stoppedBy = name;
    stop.abort(new Error(`stopped by ${name}`));
  });
}

// ---- output

/** @param {Uint8Array | Uint8ClampedArray | Float32Array} bytes */
async function sha256(bytes) {
  return Buffer.from(await crypto.subtle.digest('SHA-256', /** @type {BufferSource} */ (bytes))).toString('hex');
}

/**
 * Pictures in rows of `columns`, a new row with every class, on white.
 * @param {Bitmap[]} pictures @param {number} perClass @param {number} columns
 */
function makeSheet(pictures, perClass, columns) {
  const { width, height, channels } = pictures[0];
  const rowsPerClass = Math.ceil(perClass / columns);
  const rows = rowsPerClass * (pictures.length / perClass);
  const used = Math.min(columns, perClass);
  const sheet = new Canvas(used * (width + SHEET_GAP) - SHEET_GAP, rows * (height + SHEET_GAP) - SHEET_GAP, channels);
  pictures.forEach((picture, index) => {
    const within = index % perClass;
    const row = Math.floor(index / perClass) * rowsPerClass + Math.floor(within / columns);
    sheet.draw(picture, (within % columns) * (width + SHEET_GAP), row * (height + SHEET_GAP));
  });
  return sheet;
}

/** @param {string} output @param {ResolvedOptions} options */
function separateName(output, { label, labelName, seed, variationSeed, variationStrength }) {
  const { dir, name, ext } = path.parse(output);
  const safe = labelName.replace(/[^\p{L}\p{N}_-]+/gu, '_').slice(0, 64);
  const varied = variationStrength > 0 ? `-${variationSeed}` : '';
  return path.join(dir, `${name}-${label ?? 'mix'}-${safe}-${seed}${varied}${ext || '.png'}`);
}

/** Pictures in a row of a sheet. @param {Picture[]} pictures @param {Given} options @returns {number} */
const columnsOf = (pictures, { count, columns }) =>
  columns ?? (pictures.length === count ? Math.min(count, SHEET_COLUMNS) : count);

/** Of one picture, or of all of them together. @param {Picture[]} pictures @param {Given} options @returns {Recipe} */
function recipeOf(pictures, options) {
  const { recipe } = pictures[0];
  if (pictures.length === 1) return recipe;
  const { count } = options;
  const labels = pictures.filter((_, index) => index % count === 0).map((picture) => picture.options.label);
  const shown = labels[0] === null ? {} : { labels }; // the options have the mixture
  return { ...recipe, sheet: { ...shown, count, columns: columnsOf(pictures, options) } };
}

/**
 * @param {Picture[]} pictures @param {Given} options @param {import('./index.d.ts').RenderingName} rendering
 * @returns {{ image: Bitmap, recipe: Recipe, file: string | null }[]} what to encode and where to put it
 */
function layOut(pictures, options, rendering) {
  const { output = null, count } = options;
  const images = pictures.map((picture) => /** @type {Bitmap} */ (enlarge(picture, rendering, options.enlarge, options.transparent)));
  if (options.separate) {
    return pictures.map((picture, index) => ({ image: images[index], recipe: picture.recipe, file: output && separateName(output, picture.options) }));
  }
  const image = images.length === 1 ? images[0] : makeSheet(images, count, columnsOf(pictures, options));
  return [{ image, recipe: recipeOf(pictures, options), file: output }];
}

/**
 * A PNG, with its recipe unless that is null, where the user wants it.
 * @param {string} file @param {Bitmap} image @param {Recipe | null} recipe
 */
async function writePNG(file, { width, height, channels, pixels }, recipe) {
  const png = await encodePNG({ width, height, channels, pixels }, recipe ? { recipe } : {});
  stop.signal.throwIfAborted();
  if (file === '-') await writeOut(png);
  else await writeWhole(file, png, stop.signal);
}

// ---- commands

/** Of generate and of sweep. @param {Given} options */
function checkEditingUsage({ image, invert, invertLabel, invertIterations }) {
  if (invert !== undefined && image !== undefined) throw new UsageError('--invert and --image both say what to start from');
  if (invert === undefined && invertLabel !== undefined) throw new UsageError('--invert-label: only with --invert');
  if (invert === undefined && invertIterations !== undefined) throw new UsageError('--invert-iterations: only with --invert');
}

/** @param {Given} options */
function checkUsage({ output, json, film, filmPlanes, trace, separate, columns, count, preview }) {
  if (output === undefined && !json && !film && !trace) throw new UsageError("required option '--output <file>' not specified");
  checkOutput(output);
  for (const [name, file] of Object.entries({ film, trace, preview })) {
    if (file === '' || file === '-') throw new UsageError(`--${name}: must be the name of a file`);
  }
  if (filmPlanes && film === undefined) throw new UsageError('--film-planes: only with --film');
  if (output === '-' && json) throw new UsageError('--json and --output - both write to standard output');
  if (output === '-' && separate) throw new UsageError('--separate writes several files: --output must be a name');
  checkCounts({ count, columns });
}

/** @param {string | undefined} output */
function checkOutput(output) {
  if (output === '') throw new UsageError('--output: empty name');
  if (output === '-' && process.stdout.isTTY) throw new UsageError('a PNG cannot be shown on a terminal: --output must be a name');
}

/** @param {Given} counts */
function checkCounts(counts) {
  for (const [name, value] of Object.entries(counts)) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      throw new UsageError(`--${name}: must be a whole number, 1 or more`);
    }
  }
}

/** @param {Given} options @returns {Promise<{ recipe?: Recipe, sheet: Given }>} of --from; a sheet's own fields apart */
async function readFrom({ from }) {
  if (from === undefined) return { sheet: {} };
  const { sheet, ...recipe } = await readRecipeFile(from);
  return { recipe, sheet: typeof sheet === 'object' && sheet !== null ? sheet : {} };
}

/**
 * The model in the arithmetic that is asked for, or that the recipe was made with.
 * @param {Given} given @param {Recipe | undefined} recipe
 */
async function open(given, recipe) {
  const relaxed = given.relaxed ?? recipe?.version.endsWith('+relaxed') ?? false;
  const model = await load(given.model, { relaxed, signal: stop.signal });
  if (relaxed && model.info.engine === version) {
    process.stderr.write('pocket-diffusion: this Node.js has no relaxed SIMD, so the strict arithmetic is used\n');
  }
  return model;
}

/** @param {number} total @param {string} format */
function startProgress(total, format) {
  if (!process.stderr.isTTY) return null;
  const bar = new cliProgress.SingleBar(
    { format: `{bar} {percentage}% | ${format} | {eta_formatted} left`, clearOnComplete: true },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, 0, { picture: 1 });
  return bar;
}

/** Options of a command that say nothing about how a picture is made. */
const OWN_OPTIONS = ['model', 'from', 'relaxed', 'count', 'columns', 'rows', 'zoom', 'separate', 'enlarge', 'transparent', 'film', 'filmPlanes', 'trace', 'preview', 'recipe', 'output', 'json'];
/** Those that readEditing makes other options of. */
const READ_OPTIONS = ['mix', 'image', 'mask', 'invert', 'invertLabel', 'invertIterations'];

/** A wish that cannot be met is refused before there is any work. @param {Given} options @param {import('./index.d.ts').ModelInfo} info */
function checkEnlarging({ enlarge: factor = 1, transparent }, info) {
  const largest = largestFactor(info);
  if (!(Number.isInteger(factor) && factor >= 1 && factor <= largest)) throw new UsageError(`--enlarge: must be a whole number from 1 to ${largest}`);
  if (transparent && info.rendering !== 'ink') throw new UsageError(`--transparent: for ink on paper; pictures of this model are "${info.rendering}"`);
}

/** @param {Given} options @param {Recipe | undefined} recipe @param {Model} model */
function checkLabelGiven({ label, mix }, recipe, { labels }) {
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
  if (labels.length !== 1 || labels[0] === undefined) throw new UsageError('--invert: needs one --invert-label');
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
async function requestOf(options, recipe, model) {
  const { labels } = model;
  const sampling = Object.fromEntries(Object.entries(options).filter(([name]) => ![...OWN_OPTIONS, ...READ_OPTIONS].includes(name)));
  const { label, negativeLabel } = sampling;
  if (label) sampling.label = label.flatMap((/** @type {string} */ text) => parseLabels(text, labels));
  if (negativeLabel === false) sampling.negativeLabel = null;
  else if (negativeLabel !== undefined) sampling.negativeLabel = parseLabel(negativeLabel, labels);
  return { ...sampling, ...await readEditing(model, options, recipe?.options), recipe, signal: stop.signal };
}

/** What of a run can be shown while it is under way. @param {Given} options @param {Given} request */
function checkShown({ film, preview, count }, { label }) {
  const pictures = (Array.isArray(label) ? label.length : 1) * count;
  if (preview && pictures > 1) throw new UsageError('--preview shows one picture, not several');
  if (film && pictures > MOST_IN_FILM) throw new UsageError(`--film shows at most ${MOST_IN_FILM} pictures, not ${pictures}`);
}

/** @param {Model} model @param {Given} request @param {(image: Bitmap) => unknown} onPreview */
async function generatePictures(model, request, onPreview) {
  /** @type {Picture[]} */
  const pictures = [];
  /** @type {ReturnType<typeof startProgress>} */
  let bar = null;
  /** @param {import('./index.d.ts').StepEvent & { index: number, count: number }} event */
  const onStep = async ({ steps, index, count, preview }) => {
    bar ??= startProgress(steps * count, `picture {picture} of ${count}`);
    bar?.increment(1, { picture: index + 1 }); // pictures advance together
    if (preview) await onPreview(preview);
  };
  try {
    for await (const picture of model.generateMany({ ...request, onStep })) pictures.push(picture);
  } finally {
    bar?.stop();
  }
  return pictures;
}

/** Without characters that could steer a terminal. @param {unknown} value */
const asJSON = (value) => JSON.stringify(value, (key, item) => {
  if (typeof item === 'bigint') return String(item);
  return ArrayBuffer.isView(item) ? Array.from(/** @type {Float64Array} */ (item)) : item;
}, 2).replace(/[\u007f-\u009f\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Options of generate that a sweep does not have. */
const NOT_OF_SWEEPS = ['count', 'columns', 'separate', 'enlarge', 'transparent', 'film', 'filmPlanes', 'trace', 'preview', 'json'];

/** `generate --from` of a sheet that `sweep` made. @param {Given} given @param {Command} command */
function generateSweep(given, command) {
  const [unusable] = NOT_OF_SWEEPS.filter((name) => given[name] !== undefined);
  if (unusable) throw new UsageError(`${flagOf(unusable)}: not with --from of a sweep, a sheet of pictures with different options`);
  const sweepCommand = command.parent?.commands.find((each) => each.name() === 'sweep');
  return sweep(given, /** @type {Command} */ (sweepCommand));
}

/** @param {Given} given @param {Command} command */
async function generate(given, command) {
  if (given.json) console.warn = () => {}; // what is printed is for programs, which see the seeds
  checkUsage(given);
  checkEditingUsage(given);
  const { recipe, sheet } = await readFrom(given);
  if (sheet.rows || typeof sheet.columns === 'string') {
    await generateSweep(given, command);
    return;
  }
  /** @type {Given} */
  const options = { ...given, count: given.count ?? sheet.count ?? 1, columns: given.columns ?? sheet.columns };
  checkCounts({ count: options.count, columns: options.columns });

  const model = await open(options, recipe);
  checkLabelGiven(given, recipe, model);
  checkEnlarging(given, model.info);
  const { film, filmPlanes, trace, preview, count } = options;
  const views = { trace: film !== undefined || trace !== undefined, preview: preview !== undefined };
  const labels = given.mix ? undefined : sheet.labels;
  const call = { label: labels, ...await requestOf(options, recipe, model), count, ...views };
  checkShown(options, call);
  const pictures = await generatePictures(model, call, (image) => writePNG(preview, image, null));
  model.close();
  if (film && !pictures[0].trace?.length) throw new UsageError(`--film: at this strength ${stepsOf(pictures[0].options)} are made`);

  const outputs = layOut(pictures, options, model.info.rendering);
  for (const { image, recipe: made, file } of outputs) {
    if (file) await writePNG(file, image, options.recipe ? made : null);
  }
  if (film) {
    const image = drawFilm(pictures, titleOf(model.info, pictures[0].options), model.info.rendering, filmPlanes);
    await writePNG(film, image, options.recipe ? recipeOf(pictures, options) : null);
  }

  const { name, sha256: modelHash } = model.info;
  if (trace) await writeTrace(trace, { name, sha256: modelHash }, pictures);
  if (options.json) await reportJSON({ name, sha256: modelHash }, pictures, outputs);
  else if (options.output !== '-') await reportLine(pictures, outputs.length === 1 ? outputs[0].file ?? film ?? trace : `${outputs.length} files`);
}

/** @param {string} file @param {object} model @param {Picture[]} pictures */
async function writeTrace(file, model, pictures) {
  const traced = pictures.map(async ({ options, trace = [] }) => ({ ...await describeOptions(options), trace: traceNumbers(trace) }));
  await writeWhole(file, new TextEncoder().encode(`${asJSON({ model, pictures: await Promise.all(traced) })}\n`), stop.signal);
}

/** Options for --json: arrays of a picture or of noise by their hash. @param {ResolvedOptions} options */
async function describeOptions({ image, mask, noise, ...others }) {
  /** @param {import('./index.d.ts').Image | null} each */
  const describe = async (each) => each && { width: each.width, height: each.height, channels: each.channels, pixelsSHA256: await sha256(each.pixels) };
  return { ...others, image: await describe(image), mask: await describe(mask), noise: noise && { length: noise.length, SHA256: await sha256(noise) } };
}

/** @param {object} model @param {Picture[]} pictures @param {{ image: Bitmap, file: string | null }[]} outputs */
async function reportJSON(model, pictures, outputs) {
  const described = pictures.map(async ({ options, pixels }) => ({ ...await describeOptions(options), pixelsSHA256: await sha256(pixels) }));
  const written = outputs.map(async ({ image, file }) => ({
    file, width: image.width, height: image.height, channels: image.channels, pixelsSHA256: await sha256(image.pixels),
  }));
  await writeOut(`${asJSON({ model, pictures: await Promise.all(described), outputs: await Promise.all(written) })}\n`);
}

/** The steps that were made: with an image the last ones of the grid (pd_edit_steps). @param {ResolvedOptions} options */
function stepsOf({ steps, strength }) {
  const made = Math.floor(Math.fround(strength) * (1 + 2 ** -23) * steps + 0.5);
  return `${made === steps ? '' : `${made} of `}${steps} step${steps === 1 ? '' : 's'}`;
}

/** @param {Picture[]} pictures @param {string} where */
async function reportLine(pictures, where) {
  const { guidanceScale, sampler, seed } = pictures[0].options;
  const names = [...new Set(pictures.map((picture) => picture.options.labelName))].join(', ');
  const what = `${names && `${names}: `}${pictures.length} picture${pictures.length === 1 ? '' : 's'}`;
  await writeOut(`${printable(`${where}: ${what}, seed ${seed}, guidance scale ${guidanceScale}, ${stepsOf(pictures[0].options)} of ${sampler}`)}\n`);
}

/** The part of a title that says what an option does. @type {Record<string, string>} */
const TITLE_PARTS = { guidanceWeight: 'guidanceScale', classMix: 'label' };

/**
 * What the pictures of a sweep have in common, on one line.
 * @param {{ name: string }} model @param {Given} options @param {ReadonlyArray<string>} [varied]
 */
function titleOf({ name }, { labelName, seed, guidanceScale, steps, sampler }, varied = []) {
  /** @type {Given} */
  const parts = {
    label: labelName, seed: `seed ${seed}`, guidanceScale: `guidance scale ${guidanceScale}`,
    steps: `${steps} step${steps === 1 ? '' : 's'}`, sampler,
  };
  for (const key of varied) delete parts[TITLE_PARTS[key] ?? key];
  return printable([name, ...Object.values(parts)].filter(Boolean).join(', '));
}

/** @type {Axis} */
const NO_AXIS = { key: null, name: '', texts: [''], values: [undefined] };

/**
 * @param {Given} given @param {Given} sheet @param {Command} command @param {ReadonlyArray<string>} labels
 * @returns {Axes}
 */
function axesOf({ rows, columns }, sheet, command, labels) {
  const options = command.options.filter((option) =>
    option.long === '--mix' || (!option.negate && ![...OWN_OPTIONS, ...READ_OPTIONS, 'anyModel'].includes(option.attributeName())));
  /** @param {string | undefined} text @param {string} flag */
  const parse = (text, flag) => (text === undefined ? NO_AXIS : parseAxis(text, flag, options, (label) => parseLabel(label, labels)));
  /** @param {unknown} text */
  const kept = (text) => (typeof text === 'string' ? text : undefined); // a sheet of generate has a number
  const axes = { rows: parse(rows ?? kept(sheet.rows), '--rows'), columns: parse(columns ?? kept(sheet.columns), '--columns') };
  if (!axes.rows.key && !axes.columns.key) throw new UsageError('--rows or --columns: one of them must be given');
  if (axes.rows.key === axes.columns.key) throw new UsageError(`--rows and --columns are both ${axes.rows.name}`);
  return axes;
}

/** One picture after the other. @param {Model} model @param {Given[]} requests @param {(picture: Picture, index: number) => void} use */
async function makeCells(model, requests, use) {
  const bar = startProgress(requests.length, `picture {picture} of ${requests.length}`);
  try {
    for (const [index, request] of requests.entries()) {
      use(await model.generate({
        ...request, preview: false, onStep: ({ step, steps }) => bar?.update(index + step / steps, { picture: index + 1 }),
      }), index);
    }
  } finally {
    bar?.stop();
  }
}

/**
 * One request for each cell, row by row. All are checked: a mistake in the last must not cost the others' time.
 * @param {Given} given @param {Recipe | undefined} recipe @param {Axes} axes @param {Model} model
 */
async function requestsOf(given, recipe, { rows, columns }, model) {
  /** @param {string} key */
  const isAxis = (key) => rows.key === key || columns.key === key;
  if (!isAxis('label') && !isAxis('classMix')) checkLabelGiven(given, recipe, model);
  const base = await requestOf(given, recipe, model);
  if (base.label?.length > 1) throw new UsageError('--label: one class, or several as --rows or --columns');
  if (base.label) [base.label] = base.label;
  if (!recipe && !isAxis('seed')) base.seed ??= crypto.getRandomValues(new Uint32Array(1))[0];
  /** @param {Axis} axis @param {unknown} value */
  const withAxis = ({ key }, value) => (key ? { [key]: value } : {});
  const requests = rows.values.flatMap((row) =>
    columns.values.map((column) => ({ ...base, ...withAxis(rows, row), ...withAxis(columns, column) })));
  const [{ resolved }] = requests.map((request) => checkGenerateOptions(request, model.info, model.labels));
  return { requests, first: resolved };
}

/** @param {Given} given @param {Command} command */
async function sweep(given, command) {
  checkOutput(given.output);
  checkEditingUsage(given);
  const { recipe, sheet } = await readFrom(given);
  checkCounts({ zoom: given.zoom ?? sheet.zoom });
  const model = await open(given, recipe);
  const zoom = given.zoom ?? sheet.zoom ?? zoomFor(model.info);
  const { rows, columns } = axesOf(given, sheet, command, model.labels);
  const axes = Object.entries({ rows, columns }).flatMap(([name, { key, text }]) => (key ? [{ name, key, text }] : []));
  const { requests, first } = await requestsOf(given, recipe, { rows, columns }, model);

  /** @param {Axis} axis */
  const text = ({ name, texts }) => ({ name, values: texts.map(printable) });
  const title = titleOf(model.info, first, axes.map(({ key }) => key));
  const table = new Table(model.info, { title, zoom, rows: text(rows), columns: text(columns) });
  /** @type {Recipe[]} */
  const recipes = [];
  await makeCells(model, requests, (picture, index) => {
    recipes.push(picture.recipe);
    table.put(picture, model.info.rendering, Math.floor(index / columns.values.length), index % columns.values.length);
  });
  model.close();
  const typed = Object.fromEntries(axes.map((axis) => [axis.name, axis.text]));
  await writePNG(given.output, table.image, given.recipe ? { ...recipes[0], sheet: { ...typed, zoom } } : null);
  if (given.output !== '-') {
    await writeOut(`${printable(`${given.output}: ${rows.values.length} x ${columns.values.length} pictures: ${title}`)}\n`);
  }
}

/** @param {string} source @param {{ json?: boolean, graph?: boolean }} options */
async function info(source, { json, graph }) {
  if (graph) {
    const { MAX_FILE_BYTES, STALL_TIMEOUT, readSource } = await import('./library/source.mjs');
    const { graphText } = await import('./cli/graph.mjs');
    await writeOut(await graphText(await readSource(source, { signal: stop.signal, limit: MAX_FILE_BYTES, stallTimeout: STALL_TIMEOUT })));
    return;
  }
  const model = await load(source, { signal: stop.signal });
  const { labels, info: about } = model;
  model.close();
  if (json) {
    await writeOut(`${asJSON({ ...about, labels })}\n`);
    return;
  }
  const { recommended } = about;
  const rows = {
    name: about.name,
    description: about.description,
    author: about.author,
    license: about.license,
    source: about.sourceUrl,
    picture: `${about.width} x ${about.height}, ${about.channels} channel${about.channels === 1 ? '' : 's'}, enlarged as ${about.rendering}`,
    network: `${about.networkChannels} x ${about.networkHeight} x ${about.networkWidth}, pixel unshuffle ${about.pixelUnshuffle}`,
    parameters: about.parameterCount,
    objective: about.objective,
    schedule: `${about.schedule}, ${about.timesteps} timesteps`,
    guidance: about.guidanceIsInput ? `an input of the network, scales ${about.guidanceScaleRange.join(' to ')}` : '',
    recommended: [
      recommended.sampler, `${recommended.steps} steps`, `time grid ${recommended.timeGrid}`, `guidance scale ${recommended.guidanceScale}`,
      ...about.guidanceIsInput ? [] : [`guided at ${recommended.guidanceInterval.join(' to ')}`], `eta ${recommended.eta}`,
      ...recommended.rescale ? [`rescale ${recommended.rescale}`] : [], ...recommended.projection ? ['projection'] : [],
    ].join(', '),
    file: `${about.fileBytes} bytes, SHA-256 ${about.sha256}`,
    memory: `${about.memoryBytes} bytes`,
    labels: labels.map((label, index) => `${index} ${label}`).join(', '),
  };
  const lines = Object.entries(rows).filter(([, value]) => value !== '');
  await writeOut(lines.map(([key, value]) => `${key.padEnd(12)} ${printable(value)}\n`).join(''));
}

// ---- start

/** Where the library's arguments are other words on the command line. @type {Record<string, string>} */
const FLAGS = { classMix: '--mix', noise: '--invert', recipe: '--from', source: '--model' };

/** The option of the command line for one of the library. @param {string} name */
const flagOf = (name) => FLAGS[name] ?? `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** The message of an error; a wrong argument goes by its name on the command line. @param {any} error */
function messageOf(error) {
  const message = String(error?.message ?? error);
  const prefix = `${error?.argument}: `;
  return error?.argument && message.startsWith(prefix) ?
    `${flagOf(error.argument)}: ${message.slice(prefix.length).replace('maskThreshold', flagOf('maskThreshold'))}` : message;
}

/** Prints what went wrong, on one line. @param {any} error @returns {number} exit status */
function report(error) {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE; // commander has printed it
  if (error?.code === 'EPIPE') return FAILED; // nobody reads on
  const code = /^[A-Z_]+$/.test(error?.code ?? '') && error.name === 'PocketDiffusionError' ? ` (${error.code})` : '';
  process.stderr.write(`pocket-diffusion: ${printable(messageOf(error))}${code}\n`);
  if (stoppedBy) return 128 + constants.signals[stoppedBy];
  return error instanceof UsageError || error?.argument ? WRONG_USAGE : FAILED;
}

process.stdout.on('error', () => {}); // reported by writeOut
try {
  await makeProgram().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
