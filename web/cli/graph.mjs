// `info --graph`: the operations of a model's network, for people to read.

import { readFile } from 'node:fs/promises';
import { Engine } from '../library/engine.mjs';

/**
 * One line: the number of the operation, its name, the values it reads, what it makes, its integers, and what that depends on.
 * @param {import('../index.d.ts').GraphOperation} operation @param {number} index
 */
function lineOf({ name, inputs, shape, integers, depends, free }, index) {
  const reads = inputs.map((input) => (input < 0 ? '-' : input)).join(' ');
  const rest = [depends.join(' '), free ? 'free' : '', integers.length > 0 ? `[${integers.join(' ')}]` : ''].filter(Boolean).join('  ');
  return `${String(index).padStart(4)} ${name.padEnd(22)} ${reads.padEnd(16)} ${shape.join(' x ').padEnd(18)} ${rest}`.trimEnd();
}

/** @param {Uint8Array} bytes of a model file @returns {Promise<string>} */
export async function graphText(bytes) {
  const code = await readFile(new URL('../pocket-diffusion.wasm', import.meta.url));
  const engine = await Engine.create(await WebAssembly.compile(code));
  const operations = engine.describeGraph(engine.loadModel(bytes));
  const head = `${'   #'} ${'operation'.padEnd(22)} ${'inputs'.padEnd(16)} ${'value'.padEnd(18)} depends on, integers`;
  return `${[head, ...operations.map(lineOf)].join('\n')}\n`;
}
