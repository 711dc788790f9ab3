// How pictures are spread over workers in batches, with made-up pictures and times.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeInBatches } from '../../web/batches.mjs';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Makes the index of every picture; `log` gets the size of every batch. */
function maker(stepTime, log) {
  return async (indices) => {
    log.push(indices.length);
    await turn();
    return { pictures: indices, stepTime: stepTime * indices.length };
  };
}

async function read(total, workers, make) {
  const pictures = [];
  for await (const picture of makeInBatches(total, workers, make)) pictures.push(picture);
  return pictures;
}

test('sizes: one, then as many as keep a step short, fewer towards the end', async () => {
  for (const [total, workers, stepTime, sizes] of [
    [1, 1, 12, [1]],
    [9, 1, 12, [1, 4, 4]],
    [9, 1, 20, [1, 2, 2, 2, 2]],
    [4, 1, 26, [1, 1, 1, 1]],
    [3, 1, 500, [1, 1, 1]],
    [6, 1, 0, [1, 4, 1]],
    [9, 2, 12, [1, 1, 4, 2, 1]],
    [9, 4, 12, [1, 1, 1, 1, 2, 1, 1, 1]],
  ]) {
    const log = [];
    const pictures = await read(total, workers, maker(stepTime, log));
    assert.deepEqual(pictures, Array.from({ length: total }, (_, index) => index));
    assert.deepEqual(log, sizes, `${total} pictures, ${workers} workers, ${stepTime} ms`);
  }
});

test('in order, whatever finishes first', async () => {
  let calls = 0;
  const make = async (indices) => {
    for (let i = (7 * ++calls) % 5; i >= 0; i--) await turn();
    return { pictures: indices, stepTime: 20 };
  };
  assert.deepEqual(await read(40, 3, make), Array.from({ length: 40 }, (_, index) => index));
});

test('never more batches at a time than workers', async () => {
  let now = 0;
  let most = 0;
  const make = async (indices) => {
    most = Math.max(most, ++now);
    await turn();
    now--;
    return { pictures: indices, stepTime: 10 };
  };
  await read(50, 3, make);
  assert.equal(most, 3);
});

test('a slow reader is not left behind without bound, nor a huge sheet laid out', async () => {
  const log = [];
  const pictures = makeInBatches(2 ** 32, 2, maker(1, log));
  await pictures.next();
  for (let i = 0; i < 100; i++) await turn();
  const made = log.reduce((sum, size) => sum + size, 0);
  assert.ok(made > 8 && made <= 16, `${made} made`);
  await pictures.return();
});

test('a failure shows in its place and ends the work', async () => {
  const failure = new Error('no');
  let started = 0;
  const make = async (indices) => {
    started++;
    await turn();
    if (indices.includes(2)) throw failure;
    return { pictures: indices, stepTime: 100 };
  };
  const seen = [];
  await assert.rejects(async () => {
    for await (const picture of makeInBatches(10, 1, make)) seen.push(picture);
  }, (error) => error === failure);
  assert.deepEqual(seen, [0, 1]);
  assert.equal(started, 3);
});
