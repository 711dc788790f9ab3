// The command generate.

import { MAX_ENLARGED_SIDE, largestFactor } from '../library/rendering.mjs';
import { InvalidArgumentError } from 'commander';
import { UsageError } from './errors.mjs';
import { FILM_DEFAULT, FILM_PLANES, drawFilm } from './film.mjs';
import { addSampling, flagOf, parseNumber } from './options.mjs';
import { isSVG, startProgress, writePNG, writePicture } from './output.mjs';
import { reportJSON, reportLine, stepsOf, titleOf, writeTrace } from './report.mjs';
import { checkCounts, checkEditingUsage, checkLabelGiven, checkOutput, open, readFrom, requestOf } from './request.mjs';
import { SHEET_COLUMNS, layOut, recipeOf } from './sheets.mjs';
import { sweep } from './sweep.mjs';

/**
 * @typedef {import('../index.d.ts').Model} Model
 * @typedef {import('../index.d.ts').Picture} Picture
 * @typedef {{ width: number, height: number, channels: number, pixels: Uint8Array }} Bitmap
 * @typedef {Record<string, any>} Given options of a command, as commander has parsed them, or fields of a recipe
 */

/** @typedef {import('commander').Command} Command */

const MOST_IN_FILM = 8; // pictures

/** NAME,NAME,... @param {string} text */
function parsePlanes(text) {
  return text.split(',').map((part) => {
    const plane = FILM_PLANES.find((name) => name === part.trim());
    if (!plane) throw new InvalidArgumentError(`not some of ${FILM_PLANES.join(', ')} with commas between.`);
    return plane;
  });
}

/** @param {Given} options */
function checkUsage({ output, json, film, filmPlanes, trace, separate, columns, count, preview }) {
  if (output === undefined && !json && !film && !trace) throw new UsageError("required option '--output <file>' not specified");
  checkOutput(output);
  for (const [name, file] of Object.entries({ film, trace, preview })) {
    if (file === '' || file === '-') throw new UsageError(`--${name}: must be the name of a file`);
  }
  if (isSVG(film ?? '')) throw new UsageError('--film: is always a PNG, never an SVG');
  if (isSVG(preview ?? '')) throw new UsageError('--preview: is always a PNG, never an SVG');
  if (filmPlanes && film === undefined) throw new UsageError('--film-planes: only with --film');
  if (output === '-' && json) throw new UsageError('--json and --output - both write to standard output');
  if (output === '-' && separate) throw new UsageError('--separate writes several files: --output must be a name');
  checkCounts({ count, columns });
}

/** A wish that cannot be met is refused before there is any work. @param {Given} options @param {import('../index.d.ts').ModelInfo} info */
function checkEnlarging({ enlarge: factor = 1, transparent, output = '' }, info) {
  if (isSVG(output)) {
    if (info.rendering !== 'ink') throw new UsageError(`--output: SVG is for ink on paper; pictures of this model are "${info.rendering}"`);
    if (factor !== 1 || transparent) throw new UsageError('--output: an SVG has any size and no paper, without --enlarge and --transparent');
  }
  const largest = largestFactor(info);
  if (!(Number.isInteger(factor) && factor >= 1 && factor <= largest)) throw new UsageError(`--enlarge: must be a whole number from 1 to ${largest}`);
  if (transparent && info.rendering !== 'ink') throw new UsageError(`--transparent: for ink on paper; pictures of this model are "${info.rendering}"`);
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
  /** @param {import('../index.d.ts').StepEvent & { index: number, count: number }} event */
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
  for (const { file, recipe: made, ...laid } of outputs) {
    if (file) await writePicture(file, laid, options.recipe ? made : null);
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

/** @param {Command} program */
export function addGenerate(program) {
  addSampling(program.command('generate'))
    .description('Make pictures and write them as PNG, or ink as SVG.')
    .option('--count <number>', 'pictures of each class (default: 1)', parseNumber)
    .option('--columns <number>', `pictures in a row of the sheet (default: the count, for one class at most ${SHEET_COLUMNS})`, parseNumber)
    .option('--separate', 'one file per picture, named OUTPUT-LABEL-NAME-SEED.png, instead of a sheet')
    .option('--enlarge <number>', `so many times larger, as suits the model's pictures, up to ${MAX_ENLARGED_SIDE} pixels (default: 1)`, parseNumber)
    .option('--transparent', 'of ink: without the paper')
    .option('--film <file>', 'PNG of the way: x_t, the x_0 estimate and what guidance adds, for up to 20 steps')
    .option('--film-planes <names>', `rows of the film, of ${FILM_PLANES.join(', ')}: with both predictions (default: ${FILM_DEFAULT.join()})`, parsePlanes)
    .option('--trace <file>', 'JSON of the way: of every network call the norms of x_t, x_0, both predictions and their difference')
    .option('--preview <file>', 'PNG of the x_0 estimate of the one picture, written anew after every step')
    .option('--output <file>', 'PNG to write, or of ink SVG, by the name; - for a PNG on standard output; may be left out with --json, --film or --trace')
    .option('--no-recipe', 'write no recipe into the files')
    .option('--json', 'print the options as used and hashes of the pixels')
    .addHelpText('after', '\nWhat is not given is as the model recommends. Several pictures make a sheet, one row or more per class.')
    .action(generate);
}
