// The command sweep: a sheet of pictures that differ in one or two options.

import { checkGenerateOptions } from '../library/validate.mjs';
import { parseAxis } from './axis.mjs';
import { Table, zoomFor } from './canvas.mjs';
import { UsageError } from './errors.mjs';
import { writeOut } from './files.mjs';
import { OWN_OPTIONS, READ_OPTIONS, addSampling, parseLabel, parseNumber } from './options.mjs';
import { isSVG, printable, startProgress, writePNG } from './output.mjs';
import { titleOf } from './report.mjs';
import { checkCounts, checkEditingUsage, checkLabelGiven, checkOutput, open, readFrom, requestOf } from './request.mjs';

/**
 * @typedef {import('../index.d.ts').Model} Model
 * @typedef {import('../index.d.ts').Picture} Picture
 * @typedef {import('../index.d.ts').Recipe} Recipe
 * @typedef {Record<string, any>} Given options of a command, as commander has parsed them, or fields of a recipe
 * @typedef {Omit<ReturnType<typeof parseAxis>, 'key' | 'text'> & { key: string | null, text?: string }} Axis key: of the option; null without one
 * @typedef {{ rows: Axis, columns: Axis }} Axes
 */

/** @typedef {import('commander').Command} Command */

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
export async function sweep(given, command) {
  checkOutput(given.output);
  if (isSVG(given.output)) throw new UsageError('--output: a sweep is always a PNG, never an SVG');
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

/** @param {Command} program */
export function addSweep(program) {
  addSampling(program.command('sweep'))
    .description('Make a sheet of pictures that differ in one or two options, with labelled axes.')
    .option('--rows <axis>', 'option and its values: seed=1..4, label=cat,dog')
    .option('--columns <axis>', 'option and its values: guidance-scale=0,1,3,8; semicolons go between values with commas')
    .option('--zoom <number>', 'how much the pictures are enlarged', parseNumber)
    .requiredOption('--output <file>', 'PNG to write, - for standard output')
    .option('--no-recipe', 'write no recipe into the file')
    .addHelpText('after', '\nWithout --seed all pictures share one that is drawn at random.')
    .action(sweep);
}
