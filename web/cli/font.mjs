// The command font: a seed of a model of letters as a font that can be installed.

import { UsageError } from './errors.mjs';
import { writeOut, writeWhole } from './files.mjs';
import { READ_OPTIONS, addSampling, flagOf } from './options.mjs';
import { printable, startProgress } from './output.mjs';
import { open, requestOf } from './request.mjs';
import { stop } from './stopping.mjs';

/** Options of pictures that no font has; makeFont() refuses others. */
const NOT_OF_FONTS = [...READ_OPTIONS, 'label', 'from', 'anyModel'];

/** @param {Record<string, any>} given options of the command, as commander has parsed them */
async function font({ output, name, license, ...given }) {
  const [unusable] = NOT_OF_FONTS.filter((option) => given[option] !== undefined);
  if (unusable) throw new UsageError(`${flagOf(unusable)}: not of a font, which has every letter of one seed`);
  if (output === '' || output === '-' || !/\.otf$/i.test(output)) throw new UsageError('--output: must be the name of a file that ends in .otf');
  const model = await open(given, undefined);
  /** @type {ReturnType<typeof startProgress>} */
  let bar = null;
  try {
    const { makeFont } = await import('../font.mjs');
    const { recipe: _none, ...request } = await requestOf(given, undefined, model);
    const made = await makeFont(model, {
      ...request, name, license,
      onProgress: ({ total }) => {
        bar ??= startProgress(total, 'letters');
        bar?.increment(1);
      },
    });
    await writeWhole(output, made.bytes, stop.signal);
    await writeOut(`${printable(`${output}: ${made.family}, ${made.glyphs} letters, ${made.kerningPairs} pairs kerned, ${made.bytes.length} bytes`)}\n`);
  } finally {
    bar?.stop();
    model.close();
  }
}

/** @param {import('commander').Command} program */
export function addFont(program) {
  addSampling(program.command('font'))
    .description('Make a font (.otf) of a model of letters: every letter of one seed, with its spacing.')
    .requiredOption('--output <file>', 'OpenType font to write')
    .option('--name <family>', 'what it is called (default: after the model and the seed)')
    .option('--license <text>', 'about its licence (default: that of the model)')
    .action(font);
}
