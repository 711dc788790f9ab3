// Every malformed file of tests/bad/table.txt, through the library: refused with the same code and offset as in C
// (tests/core/test_bad_files.c), and nothing is left of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PocketDiffusionError, load } from 'pocket-diffusion';
import { root, tinyBytes } from './helpers.mjs';

const table = readFileSync(join(root, 'tests', 'bad', 'table.txt'), 'utf8').trimEnd().split('\n');

/** The fixture with the edits of one line: AT:COUNT:HEX in order, =SIZE. */
function apply(edits) {
  const parts = [];
  let from = 0;
  let size;
  for (const edit of edits) {
    if (edit.startsWith('=')) {
      size = Number(edit.slice(1));
      continue;
    }
    const [at, count, hexadecimal] = edit.split(':');
    parts.push(tinyBytes.subarray(from, Number(at)), Buffer.from(hexadecimal, 'hex'));
    from = Number(at) + Number(count);
  }
  const whole = Buffer.concat([...parts, tinyBytes.subarray(from)]);
  if (size === undefined) return new Uint8Array(whole);
  const cut = new Uint8Array(size);
  cut.set(whole.subarray(0, size));
  return cut;
}

test('malformed files are refused with the code and the offset that the table says', async () => {
  assert.ok(table.length > 200);
  for (const line of table) {
    const [name, code, offset, ...edits] = line.split(' ');
    await assert.rejects(load(apply(edits)), (error) => {
      assert.ok(error instanceof PocketDiffusionError, `${name}: ${error.stack}`);
      assert.equal(error.code, code, `${name}: ${error.message}`);
      if (offset !== '*') assert.equal(error.offset, offset === '-' ? -1 : Number(offset), `${name}: ${error.message}`);
      assert.doesNotMatch(error.message, /\n/, name);
      return true;
    });
  }
});
