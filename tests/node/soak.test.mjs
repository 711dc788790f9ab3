// scripts/checks/soak.mjs for a short while: the memory of each series stays flat.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SERIES, excesses, growth, run } from '../../scripts/checks/soak.mjs';

test('growth is what the second half of a series grows by', () => {
  assert.equal(growth([9, 9, 9, 9, 0, 1, 2, 3]), 3);
  assert.equal(growth([0, 5, 7, 7, 7, 7]), 0);
});

const COUNTS = { generations: 300, loads: 40, refusals: 40, workers: 8 };
for (const name of Object.keys(SERIES)) {
  test(`${COUNTS[name]} ${name}: memory stays flat`, async () => {
    await run(name, Math.ceil(COUNTS[name] / 4)); // what is compiled and cached comes first
    assert.deepEqual(excesses(await run(name, COUNTS[name])), []);
  });
}
