#!/usr/bin/env node
// Command line: `pocket-diffusion generate ...`, `sweep ...`, `font ...`, `recipe FILE` and `info MODEL`.
//
// Exit status: 0 done, 1 failed (one line on standard error), 2 wrong usage, 128 + n stopped by signal n.

import { constants } from 'node:os';
import { Command, CommanderError } from 'commander';
import { suggestedFlags } from './cli/axis.mjs';
import { UsageError } from './cli/errors.mjs';
import { readRecipeFile, writeOut } from './cli/files.mjs';
import { addFont } from './cli/font.mjs';
import { addGenerate } from './cli/generate.mjs';
import { info } from './cli/info.mjs';
import { flagOf } from './cli/options.mjs';
import { asJSON, printable } from './cli/output.mjs';
import { stoppedBy } from './cli/stopping.mjs';
import { addSweep } from './cli/sweep.mjs';
import { version } from './index.mjs';

const FAILED = 1;
const WRONG_USAGE = 2;

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
  addGenerate(program);
  addSweep(program);
  addFont(program);
  program
    .command('recipe')
    .description('Print the recipe of a PNG or SVG as JSON.')
    .argument('<file>', 'a PNG or SVG made here')
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
  const signal = stoppedBy();
  if (signal) return 128 + constants.signals[signal];
  return error instanceof UsageError || error?.argument ? WRONG_USAGE : FAILED;
}

process.stdout.on('error', () => {}); // reported by writeOut
try {
  await makeProgram().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
