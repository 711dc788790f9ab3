// The options of the command line: how a text becomes a value, and the flags of generate and sweep.

import { InvalidArgumentError, Option } from 'commander';
import { OPTIONS, dashed, formOf } from '../library/options.mjs';

/** @typedef {import('commander').Command} Command */

/** @param {string} text */
export function parseNumber(text) {
  if (!/^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw new InvalidArgumentError('not a number.');
  return Number(text);
}

/** LOW,HIGH or a name, which the library checks. @param {string} text */
export function parseInterval(text) {
  if (/^[a-z]+$/.test(text)) return text;
  const parts = text.split(',');
  if (parts.length !== 2) throw new InvalidArgumentError('not two numbers with a comma between.');
  return parts.map((part) => parseNumber(part.trim()));
}

/** @param {string} text */
export function parseSeed(text) {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('not a whole number from 0 to 2^64 - 1.');
  const seed = BigInt(text);
  return seed <= Number.MAX_SAFE_INTEGER ? Number(seed) : seed;
}

/** A class name as it stands, or a number. @param {string} text @param {ReadonlyArray<string>} labels */
export function parseLabel(text, labels) {
  return !labels.includes(text) && /^\d+$/.test(text) ? Number(text) : text;
}

/**
 * One --label: a class name as it stands, or names and numbers with commas between.
 * @param {string} text @param {ReadonlyArray<string>} labels
 */
export function parseLabels(text, labels) {
  if (labels.includes(text)) return [text];
  return text.split(',').map((part) => parseLabel(part.trim(), labels));
}

/** NAME:WEIGHT,NAME:WEIGHT,... @param {string} text */
export function parseMix(text) {
  return text.split(',').map((part) => {
    const colon = part.lastIndexOf(':');
    if (colon < 1) throw new InvalidArgumentError('not CLASS:WEIGHT with commas between.');
    return { label: part.slice(0, colon).trim(), weight: parseNumber(part.slice(colon + 1).trim()) };
  });
}

/** What the argument of an option is called, and how its text is read. @type {Record<string, [argument: string, parse?: (text: string) => unknown]>} */
const ARGUMENTS = {
  number: ['<number>', parseNumber], whole: ['<number>', parseNumber], choice: ['<name>'], class: ['<name>'],
  guidanceInterval: ['<low,high>', parseInterval], seed: ['<number>', parseSeed], variationSeed: ['<number>', parseSeed],
};

/** Pictures and mixtures, which the library takes in another form. @type {Record<string, (command: Command, name: string) => void>} */
const IN_ANOTHER_FORM = {
  classMix: (command) => command.addOption(new Option('--mix <class:weight,...>', '2 to 8 classes with weights, instead of the label').argParser(parseMix).conflicts('label')),
  image: (command) => command.option('--image <png>', 'start from this picture, of the size of the model\'s'),
  mask: (command) => command
    .option('--mask <png>', 'white: make anew, black: keep the image')
    .option('--mask-threshold <level>', 'with a soft mask: grey levels from this one on, 1 to 255, are made anew', parseNumber),
  noise: (command) => command
    .option('--invert <png>', 'start from the noise that leads to this picture (DDIM inversion)')
    .option('--invert-label <name>', 'class of that picture (default: the label)')
    .option('--invert-iterations <number>', 'network calls of each step of the inversion (default: 1)', parseNumber),
  guidanceScale: (command) => {
    addOption(command, 'guidanceScale');
    command.addOption(new Option('--guidance-weight <number>', 'w = s - 1, instead of the scale').argParser(parseNumber).conflicts('guidanceScale'));
  },
};

/** The flags of an option of the library. @param {Command} command @param {string} name */
function addOption(command, name) {
  const { kind, choices } = OPTIONS[name];
  const flag = dashed(name);
  const [argument = '', parse] = ARGUMENTS[name] ?? ARGUMENTS[kind] ?? [];
  const option = new Option(`--${flag} ${argument}`.trim(), formOf(name)?.help);
  if (choices) option.choices(choices);
  if (parse) option.argParser(parse);
  command.addOption(option);
  if (kind === 'flag') command.option(`--no-${flag}`, 'do not, whatever the recipe says');
  if (kind === 'class') command.option(`--no-${flag}`, 'the null class, whatever the recipe says');
}

/** What generate and sweep have in common. @param {Command} command */
export function addSampling(command) {
  command
    .requiredOption('--model <file>', 'model: a path or a URL')
    .option('--from <file>', 'a PNG or SVG made here, or a recipe in JSON: its options, where no others are given')
    .option('--any-model', 'use the recipe with a model that it was not made for')
    .option('--label <name>', 'class name or number; repeat it, or put commas between, for several', (text, list) =>
      [...(list ?? []), text])
    .option('--relaxed', 'relaxed SIMD: faster, but last bits depend on the processor')
    .option('--no-relaxed', 'not, whatever the recipe says');
  for (const name of Object.keys(OPTIONS)) (IN_ANOTHER_FORM[name] ?? addOption)(command, name);
  return command;
}

/** Options of a command that say nothing about how a picture is made. */
export const OWN_OPTIONS = ['model', 'from', 'relaxed', 'count', 'columns', 'rows', 'zoom', 'separate', 'enlarge', 'transparent', 'film', 'filmPlanes', 'trace', 'preview', 'recipe', 'output', 'json'];
/** Those that readEditing makes other options of. */
export const READ_OPTIONS = ['mix', 'image', 'mask', 'invert', 'invertLabel', 'invertIterations'];

/** Where the library's arguments are other words on the command line. @type {Record<string, string>} */
const FLAGS = { classMix: '--mix', noise: '--invert', recipe: '--from', source: '--model' };

/** The option of the command line for one of the library. @param {string} name */
export const flagOf = (name) => FLAGS[name] ?? `--${dashed(name)}`;
