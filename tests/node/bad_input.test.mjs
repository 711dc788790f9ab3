// Every kind of bad input has a test: what tests/bad/README.md names is there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from './helpers.mjs';

const KINDS = 79;
const read = (path) => readFileSync(join(root, path), 'utf8');

/** The rows with a number: their cells. */
const rows = read('tests/bad/README.md').split('\n').filter((line) => /^\| \d/.test(line)).map((line) => line.split(' | '));

test('every kind of bad input is in the table, once', () => {
  assert.deepEqual(rows.map(([number]) => Number(number.slice(2))), Array.from({ length: KINDS }, (_, k) => k + 1));
});

for (const [number, what, , proofs] of rows) {
  test(`${number.slice(2)}: ${what}`, () => {
    assert.ok(proofs, 'four cells');
    for (const proof of proofs.replace(/ \|$/, '').split('; `tests/')) {
      const [path, ...names] = [...`\`${proof.replace(/^`/, '')}`.matchAll(/`([^`]+)`/g)].map(([, text]) => text);
      const file = path.startsWith('tests/') ? path : `tests/${path}`;
      assert.ok(names.length > 0, file);
      const lines = read(file).split('\n');
      const isThere = (name) => (file.endsWith('.txt') ? lines.some((line) => line.startsWith(`${name} `)) : lines.some((line) => line.includes(name)));
      for (const name of names) assert.ok(isThere(name), `${file} has no ${name}`);
    }
  });
}
