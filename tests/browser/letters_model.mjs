// A model whose classes are letters: tests/golden/tiny.gguf under other class names. Its pictures are no letters.

import { readFile } from 'node:fs/promises';

const path = new URL('../golden/tiny.gguf', import.meta.url);

/** A GGUF string: uint64 length, then UTF-8. */
function stringOf(text) {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes]);
}

function replace(bytes, before, after) {
  const at = bytes.indexOf(before);
  if (at < 0 || bytes.indexOf(before, at + 1) >= 0) throw new Error('the model is not as expected');
  return Buffer.concat([bytes.subarray(0, at), after, bytes.subarray(at + before.length)]);
}

/**
 * What the class names lose in length the model's name gains, so that the tensors stay where they are.
 * @param {string[]} [labels] three @returns {Promise<Buffer>}
 */
export async function lettersModel(labels = ['A', 'B', 'C']) {
  const names = Buffer.concat(['circle', 'square', 'triangle'].map(stringOf));
  const letters = Buffer.concat(labels.map(stringOf));
  const name = 'Tiny test model';
  const longer = name.padEnd(name.length + names.length - letters.length, '.');
  return replace(replace(await readFile(path), names, letters), stringOf(name), stringOf(longer));
}
