#!/usr/bin/env node
// Command line: `pocket-diffusion generate ...` and `pocket-diffusion info MODEL`.
//
// Exit status: 0 done, 1 failed (one line on standard error), 2 wrong usage, 128 + n stopped by signal n.

import { open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import path from 'node:path';
import cliProgress from 'cli-progress';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { DDPM_MEANS, DDPM_VARIANCES, GUIDANCE_SCHEDULES, MIX_MODES, SAMPLERS, TIME_GRIDS } from './engine.mjs';
import { encodePNG, load, version } from './index.mjs';
import { readPNG } from './read_png.mjs';

const FAILED = 1;
const WRONG_USAGE = 2;

const SHEET_GAP = 2; // pixels between the pictures of a sheet
const SHEET_COLUMNS = 8; // of one class, before the next row begins

class UsageError extends Error {}

// Names come from files: nothing of them may steer a terminal.
const printable = (text) => String(text).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ');

// ---- options

function parseNumber(text) {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw new InvalidArgumentError('not a number.');
  return Number(text);
}

/** LOW,HIGH */
function parseInterval(text) {
  const parts = text.split(',');
  if (parts.length !== 2) throw new InvalidArgumentError('not two numbers with a comma between.');
  return parts.map((part) => parseNumber(part.trim()));
}

function parseSeed(text) {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('not a whole number from 0 to 2^64 - 1.');
  const seed = BigInt(text);
  return seed <= Number.MAX_SAFE_INTEGER ? Number(seed) : seed;
}

/** A class name as it stands, or a number. */
function parseLabel(text, labels) {
  return !labels.includes(text) && /^\d+$/.test(text) ? Number(text) : text;
}

/** One --label: a class name as it stands, or names and numbers with commas between. */
function parseLabels(text, labels) {
  if (labels.includes(text)) return [text];
  return text.split(',').map((part) => parseLabel(part.trim(), labels));
}

/** NAME:WEIGHT,NAME:WEIGHT,... */
function parseMix(text) {
  return text.split(',').map((part) => {
    const colon = part.lastIndexOf(':');
    if (colon < 1) throw new InvalidArgumentError('not CLASS:WEIGHT with commas between.');
    return { label: part.slice(0, colon).trim(), weight: parseNumber(part.slice(colon + 1).trim()) };
  });
}

/** Mixtures of classes, and pictures and noises to start from. */
function addEditingOptions(command) {
  return command
    .addOption(new Option('--mix <class:weight,...>', '2 to 8 classes with weights, instead of the label').argParser(parseMix).conflicts('label'))
    .addOption(new Option('--mix-mode <name>', 'what of the classes is mixed').choices(MIX_MODES))
    .option('--image <png>', 'start from this picture, of the size of the model\'s')
    .option('--strength <number>', 'how much of the image is made anew, 0 to 1 (default: 0.5, with a mask 1)', parseNumber)
    .option('--mask <png>', 'white: make anew, black: keep the image')
    .option('--resample <number>', 'with a mask: how often each step is made', parseNumber)
    .option('--variation-seed <number>', 'seed to move the first noise towards; counts up instead of the seed', parseSeed)
    .option('--variation-strength <number>', 'how far, 0 to 1', parseNumber)
    .option('--invert <png>', 'start from the noise that leads to this picture (DDIM inversion)')
    .option('--invert-label <name>', 'class of that picture (default: the label)')
    .option('--invert-iterations <number>', 'network calls of each step of the inversion (default: 1)', parseNumber);
}

function makeProgram() {
  const program = new Command('pocket-diffusion')
    .description('Class-conditional image generation by diffusion with classifier-free guidance.')
    .version(version)
    .exitOverride();
  const generating = program
    .command('generate')
    .description('Make pictures and write them as PNG.')
    .requiredOption('--model <file>', 'model: a path or a URL')
    .option('--label <name>', 'class name or number; repeat it, or put commas between, for several', (text, list) =>
      [...(list ?? []), text])
    .option('--guidance-scale <number>', 'null + s (cond - null); 1 is the conditional model alone', parseNumber)
    .addOption(new Option('--guidance-weight <number>', 'w = s - 1, instead of the scale').argParser(parseNumber).conflicts('guidanceScale'))
    .option('--guidance-interval <low,high>', 'guide at timesteps low to high alone', parseInterval)
    .addOption(new Option('--guidance-schedule <name>', 'of the weight over the steps').choices(GUIDANCE_SCHEDULES))
    .option('--negative-label <name>', 'class name or number to guide away from, instead of the null class')
    .option('--cfg-plus-plus', 'renoise with the null prediction (ddim)')
    .option('--projection', 'remove the part of the guidance that is parallel to the conditional prediction')
    .option('--keep-parallel <number>', 'share of that part kept, 0 to 1', parseNumber)
    .option('--momentum <number>', 'of the guidance update, -1 to 1', parseNumber)
    .option('--norm-threshold <number>', 'longest guidance update; 0: any', parseNumber)
    .option('--rescale <number>', 'rescaled guidance, 0 to 1', parseNumber)
    .option('--dynamic-threshold <number>', 'percentile of dynamic thresholding, 0 to 1; 0: x_0 is clipped', parseNumber)
    .option('--steps <number>', 'steps per picture: network evaluations, of heun half of them', parseNumber)
    .addOption(new Option('--sampler <name>', 'solver').choices(SAMPLERS))
    .addOption(new Option('--time-grid <name>', 'timesteps that are visited').choices(TIME_GRIDS))
    .option('--eta <number>', 'stochasticity of ddim, 0 to 1', parseNumber)
    .addOption(new Option('--ddpm-mean <name>', 'what the mean of ddpm is made from').choices(DDPM_MEANS))
    .addOption(new Option('--ddpm-variance <name>', 'variance of ddpm').choices(DDPM_VARIANCES))
    .option('--seed <number>', 'of the first picture; the next ones count up (default: random)', parseSeed);
  addEditingOptions(generating)
    .option('--count <number>', 'pictures of each class', parseNumber, 1)
    .option('--columns <number>', `pictures in a row of the sheet (default: the count, for one class at most ${SHEET_COLUMNS})`, parseNumber)
    .option('--separate', 'one file per picture, named OUTPUT-LABEL-NAME-SEED.png, instead of a sheet')
    .option('--output <file>', 'PNG to write, - for standard output; may be left out with --json')
    .option('--json', 'print the options as used and hashes of the pixels')
    .addHelpText('after', '\nWhat is not given is as the model recommends. Several pictures make a sheet, one row or more per class.')
    .action(generate);
  program
    .command('info')
    .description('Describe a model.')
    .argument('<model>', 'a path or a URL')
    .option('--json', 'everything, as JSON')
    .action(info);
  for (const command of [program, ...program.commands]) {
    command.exitOverride().showHelpAfterError('(--help lists the options)').allowExcessArguments(false);
  }
  return program;
}

// ---- stopping

const stop = new AbortController();
let stoppedBy = null;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(name, () => {
    if (stoppedBy) process.exit(128 + constants.signals[name]); // asked twice
    stoppedBy = name;
    stop.abort(new Error(`stopped by ${name}`));
  });
}

// ---- output

/** Whole or not at all: written beside its place, then moved there. Devices and pipes are written to directly. */
async function writeWhole(file, bytes) {
  const existing = await stat(file).catch(() => null);
  if (existing && !existing.isFile()) {
    await writeFile(file, bytes);
    return;
  }
  const target = existing ? await realpath(file) : file; // a link stays a link
  const temporary = path.join(path.dirname(target), `.${path.basename(target)}.${process.pid}.tmp`);
  try {
    const handle = await open(temporary, 'wx', existing?.mode ?? 0o666);
    try {
      await handle.writeFile(bytes);
    } finally {
      await handle.close();
    }
    stop.signal.throwIfAborted();
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

const writeOut = (data) => new Promise((resolve, reject) => {
  process.stdout.write(data, (error) => (error ? reject(error) : resolve()));
});

async function sha256(bytes) {
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

/** Pictures in rows of `columns`, a new row with every class, on white. */
function makeSheet(pictures, perClass, columns) {
  const { width, height, channels } = pictures[0];
  const rowsPerClass = Math.ceil(perClass / columns);
  const rows = rowsPerClass * (pictures.length / perClass);
  const used = Math.min(columns, perClass);
  const sheet = { width: used * (width + SHEET_GAP) - SHEET_GAP, height: rows * (height + SHEET_GAP) - SHEET_GAP, channels };
  sheet.pixels = new Uint8Array(sheet.width * sheet.height * channels).fill(255);
  pictures.forEach((picture, index) => {
    const within = index % perClass;
    const row = Math.floor(index / perClass) * rowsPerClass + Math.floor(within / columns);
    const left = (within % columns) * (width + SHEET_GAP);
    for (let y = 0; y < height; y++) {
      const target = (row * (height + SHEET_GAP) + y) * sheet.width + left;
      sheet.pixels.set(picture.pixels.subarray(y * width * channels, (y + 1) * width * channels), target * channels);
    }
  });
  return sheet;
}

function separateName(output, { label, labelName, seed, variationSeed, variationStrength }) {
  const { dir, name, ext } = path.parse(output);
  const safe = labelName.replace(/[^\p{L}\p{N}_-]+/gu, '_').slice(0, 64);
  const varied = variationStrength > 0 ? `-${variationSeed}` : '';
  return path.join(dir, `${name}-${label ?? 'mix'}-${safe}-${seed}${varied}${ext || '.png'}`);
}

/** @returns {{ image: object, file: string | null }[]} what to encode and where to put it */
function layOut(pictures, options) {
  const { output = null, count } = options;
  if (options.separate) return pictures.map((image) => ({ image, file: output && separateName(output, image.options) }));
  const oneClass = pictures.length === count;
  const columns = options.columns ?? (oneClass ? Math.min(count, SHEET_COLUMNS) : count);
  return [{ image: pictures.length === 1 ? pictures[0] : makeSheet(pictures, count, columns), file: output }];
}

// ---- commands

function checkUsage({ output, json, separate, columns, count, label, mix, image, invert, invertLabel, invertIterations }) {
  if (label === undefined && mix === undefined) throw new UsageError("required option '--label <name>' or '--mix <class:weight,...>' not specified");
  if (invert !== undefined && image !== undefined) throw new UsageError('--invert and --image both say what to start from');
  if (invert === undefined && invertLabel !== undefined) throw new UsageError('--invert-label: only with --invert');
  if (invert === undefined && invertIterations !== undefined) throw new UsageError('--invert-iterations: only with --invert');
  if (output === undefined && !json) throw new UsageError("required option '--output <file>' not specified");
  if (output === '') throw new UsageError('--output: empty name');
  if (output === '-' && json) throw new UsageError('--json and --output - both write to standard output');
  if (output === '-' && separate) throw new UsageError('--separate writes several files: --output must be a name');
  if (output === '-' && process.stdout.isTTY) throw new UsageError('a PNG cannot be shown on a terminal: --output must be a name');
  for (const [name, value] of Object.entries({ count, columns })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      throw new UsageError(`--${name}: must be a whole number, 1 or more`);
    }
  }
}

function startProgress(total) {
  if (!process.stderr.isTTY) return null;
  const bar = new cliProgress.SingleBar(
    { format: '{bar} {percentage}% | picture {picture} of {pictures} | {eta_formatted} left', clearOnComplete: true },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total.steps * total.pictures, 0, { picture: 1, pictures: total.pictures });
  return bar;
}

/** The noise of --invert. The label of the picture is its own, or the one that is asked for if that is one. */
async function invert(model, file, label, { steps, timeGrid, invertIterations }) {
  const labels = label === undefined ? [] : parseLabels(label, model.labels);
  if (labels.length !== 1) throw new UsageError('--invert: needs one --invert-label');
  const image = await readPNG('invert', file, model.info.channels);
  return (await model.invert({ image, label: labels[0], steps, timeGrid, iterations: invertIterations, signal: stop.signal })).noise;
}

/** The files and classes of the options in the form that generateMany takes. */
async function readEditing(model, { label, mix, image, mask, invert: inverted, invertLabel, ...sampling }) {
  const { channels } = model.info;
  const own = label?.length === 1 ? label[0] : undefined;
  return {
    label: label?.flatMap((text) => parseLabels(text, model.labels)),
    classMix: mix?.map((each) => ({ ...each, label: parseLabel(each.label, model.labels) })),
    image: image && await readPNG('image', image, channels),
    mask: mask && await readPNG('mask', mask, 1),
    noise: inverted && await invert(model, inverted, invertLabel ?? own, sampling),
  };
}

async function generatePictures(model, options) {
  const {
    model: _model, columns: _columns, separate: _separate, output: _output, json: _json, negativeLabel,
    mix: _mix, invert: _invert, invertLabel: _invertLabel, invertIterations: _invertIterations, ...sampling
  } = options;
  const pictures = [];
  let bar = null;
  const request = {
    ...sampling,
    ...await readEditing(model, options),
    negativeLabel: negativeLabel === undefined ? undefined : parseLabel(negativeLabel, model.labels),
    signal: stop.signal,
    preview: false,
    onStep(event) {
      bar ??= startProgress({ steps: event.steps, pictures: event.count });
      bar?.increment(1, { picture: event.index + 1 }); // pictures advance together
    },
  };
  try {
    for await (const picture of model.generateMany(request)) pictures.push(picture);
  } finally {
    bar?.stop();
  }
  return pictures;
}

const asJSON = (value) => JSON.stringify(value, (key, item) => {
  if (typeof item === 'bigint') return String(item);
  return ArrayBuffer.isView(item) ? Array.from(item) : item;
}, 2);

/** Options for --json: arrays of a picture or of noise by their hash. */
async function describeOptions({ image, mask, noise, ...others }) {
  const describe = async (each) => each && { width: each.width, height: each.height, channels: each.channels, pixelsSHA256: await sha256(each.pixels) };
  return { ...others, image: await describe(image), mask: await describe(mask), noise: noise && { length: noise.length, SHA256: await sha256(noise) } };
}

async function generate(options) {
  checkUsage(options);
  const model = await load(options.model, { signal: stop.signal });
  const pictures = await generatePictures(model, options);
  const { name, sha256: modelHash } = model.info;
  model.close();

  const outputs = layOut(pictures, options);
  for (const { image, file } of outputs) {
    if (!file) continue;
    const png = await encodePNG({ width: image.width, height: image.height, channels: image.channels, pixels: image.pixels });
    stop.signal.throwIfAborted();
    if (file === '-') await writeOut(png);
    else await writeWhole(file, png);
  }

  if (options.json) {
    const described = pictures.map(async ({ options: used, pixels }) => ({
      ...await describeOptions(used), pixelsSHA256: await sha256(pixels),
    }));
    const written = outputs.map(async ({ image, file }) => ({
      file, width: image.width, height: image.height, channels: image.channels, pixelsSHA256: await sha256(image.pixels),
    }));
    const report = { model: { name, sha256: modelHash }, pictures: await Promise.all(described), outputs: await Promise.all(written) };
    await writeOut(`${asJSON(report)}\n`);
  } else if (options.output !== '-') {
    const { guidanceScale, steps, sampler, seed } = pictures[0].options;
    const names = [...new Set(pictures.map((picture) => picture.options.labelName))].join(', ');
    const what = `${names}: ${pictures.length} picture${pictures.length === 1 ? '' : 's'}`;
    const where = outputs.length === 1 ? outputs[0].file : `${outputs.length} files`;
    await writeOut(`${printable(`${where}: ${what}, seed ${seed}, guidance scale ${guidanceScale}, ${steps} steps of ${sampler}`)}\n`);
  }
}

async function info(source, { json }) {
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
    picture: `${about.width} x ${about.height}, ${about.channels} channel${about.channels === 1 ? '' : 's'}`,
    network: `${about.networkChannels} x ${about.networkHeight} x ${about.networkWidth}, pixel unshuffle ${about.pixelUnshuffle}`,
    parameters: about.parameterCount,
    objective: about.objective,
    schedule: `${about.schedule}, ${about.timesteps} timesteps`,
    recommended: `${recommended.sampler}, ${recommended.steps} steps, guidance scale ${recommended.guidanceScale}, eta ${recommended.eta}`,
    file: `${about.fileBytes} bytes, SHA-256 ${about.sha256}`,
    memory: `${about.memoryBytes} bytes`,
    labels: labels.map((label, index) => `${index} ${label}`).join(', '),
  };
  const lines = Object.entries(rows).filter(([, value]) => value !== '');
  await writeOut(lines.map(([key, value]) => `${key.padEnd(12)} ${printable(value)}\n`).join(''));
}

// ---- start

/** Prints what went wrong, on one line. @returns {number} exit status */
function report(error) {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE; // commander has printed it
  if (error?.code === 'EPIPE') return FAILED; // nobody reads on
  const code = /^[A-Z_]+$/.test(error?.code ?? '') && error.name === 'PocketDiffusionError' ? ` (${error.code})` : '';
  process.stderr.write(`pocket-diffusion: ${printable(error?.message ?? error)}${code}\n`);
  if (stoppedBy) return 128 + constants.signals[stoppedBy];
  return error instanceof UsageError || error?.argument ? WRONG_USAGE : FAILED;
}

process.stdout.on('error', () => {}); // reported by writeOut
try {
  await makeProgram().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
