// How pictures are spread over workers in batches, with made-up pictures and times.
import assert from 'node:assert/strict';
import { afterEach, mock, test } from 'node:test';
import { makeInBatches } from '../../web/library/batches.mjs';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const upTo = (total) => Array.from({ length: total }, (_, index) => index);

afterEach(() => mock.restoreAll());

/** Makes the index of every picture; `log` gets the size of every batch. */
function maker(stepTime, log) {
  return async ({ indices }) => {
    log.push(indices.length);
    await turn();
    return { pictures: indices, saved: [], stepTime: stepTime * indices.length };
  };
}

async function read(total, workers, make) {
  const pictures = [];
  for await (const picture of makeInBatches(total, workers, make)) pictures.push(picture);
  return pictures;
}

/**
 * Draws pictures of STEPS steps in a time of its own. `stepTime(pictures, worker)`: milliseconds; a change of hands takes 1.
 * Returns how long it takes, how often a batch was divided, and the batches with their steps.
 */
const STEPS = 10;
async function simulate(total, workers, stepTime) {
  let now = 0;
  let divided = 0;
  const waiting = [];
  const free = upTo(workers);
  const batches = [];
  const made = Array.from({ length: total }, () => []);
  mock.method(performance, 'now', () => now);
  const wait = (time) => new Promise((resolve) => waiting.push({ at: now + time, resolve }));
  const make = async ({ indices, saved, most, pause }) => {
    const worker = free.shift();
    assert.notEqual(worker, undefined, 'no more batches than workers');
    const batch = { worker, indices, from: saved[0] ?? 0 };
    batches.push(batch);
    const sizes = upTo(Math.ceil(indices.length / most)).map((k) => Math.min(most, indices.length - k * most));
    const roundTime = sizes.reduce((sum, size) => sum + stepTime(size, worker), 0);
    if (saved.length > 0) await wait(1);
    let outcome = { pictures: indices, saved: [], stepTime: roundTime };
    for (let step = saved[0] ?? 0; step < STEPS; step++) {
      if (pause.aborted && (STEPS - step) * roundTime > 10) {
        divided++;
        outcome = { pictures: [], saved: indices.map(() => step), stepTime: 0 };
        break;
      }
      await wait(roundTime);
      for (const index of indices) made[index].push(step);
    }
    free.unshift(worker);
    return outcome;
  };
  let pictures = null;
  const reading = read(total, workers, make).then((all) => { pictures = all; });
  while (!pictures) {
    await turn();
    if (pictures || waiting.length === 0) break;
    waiting.sort((a, b) => a.at - b.at);
    const next = waiting.shift();
    now = next.at;
    next.resolve();
  }
  await reading;
  assert.deepEqual(pictures, upTo(total));
  for (const steps of made) assert.deepEqual(steps, upTo(STEPS), 'every step once, in order');
  return { time: now, divided, batches };
}

test('sizes: one, then as many as keep a step short, of about the same size towards the end', async () => {
  for (const [total, stepTime, sizes] of [
    [1, 12, [1]],
    [9, 12, [1, 4, 4]],
    [9, 20, [1, 2, 2, 2, 2]],
    [4, 26, [1, 1, 1, 1]],
    [3, 500, [1, 1, 1]],
    [6, 0, [1, 3, 2]],
    [12, 12, [1, 4, 4, 3]],
  ]) {
    const log = [];
    assert.deepEqual(await read(total, 1, maker(stepTime, log)), upTo(total));
    assert.deepEqual(log, sizes, `${total} pictures, ${stepTime} ms`);
  }
});

test('several workers: each its share of what is left', async () => {
  for (const [total, workers, stepTime, sizes] of [
    [9, 2, 12, [1, 1, 4, 3, 2, 2]],
    [10, 2, 12, [1, 1, 4, 4]],
    [8, 2, 12, [1, 1, 3, 3]],
    [3, 2, 100, [1, 2, 1, 1]],
    [4, 2, 100, [1, 1, 1, 1]],
    [5, 4, 100, [1, 2, 1, 1, 1, 1]],
  ]) {
    const { batches } = await simulate(total, workers, (size) => stepTime * size);
    assert.deepEqual(batches.map(({ indices }) => indices.length), sizes, `${total} pictures, ${workers} workers, ${stepTime} ms`);
    mock.restoreAll();
  }
});

test('workers end at about the same time, whatever the number of pictures', async () => {
  for (const [workers, share] of [[2, 0.98], [3, 0.88], [4, 0.84]]) {
    for (const stepTime of [12, 100]) {
      const shares = [];
      for (let total = 3 * workers; total <= 40; total++) {
        const { time } = await simulate(total, workers, (size) => stepTime * size);
        mock.restoreAll();
        const least = total * STEPS * stepTime / workers;
        // A worker alone with the last picture, and the others idle, would be as many as whole pictures leave.
        assert.ok(time <= Math.ceil(total / workers) * STEPS * stepTime * 1.03, `${total} pictures, ${workers} workers: ${time} ms`);
        shares.push(least / time);
      }
      const mean = shares.reduce((sum, value) => sum + value) / shares.length;
      assert.ok(mean > share, `${workers} workers, ${stepTime} ms: ${mean}`);
    }
  }
});

test('nine pictures on two workers take half of the time of one', async () => {
  for (const stepTime of [12, 100]) {
    const { time, divided } = await simulate(9, 2, (size) => stepTime * size);
    mock.restoreAll();
    assert.ok(time < 4.5 * STEPS * stepTime * 1.05 && divided >= 1, `${time} ms`);
  }
});

test('a slow worker gives pictures away', async () => {
  let taken = 0;
  for (let total = 9; total <= 20; total++) {
    const { time, batches } = await simulate(total, 2, (size, worker) => (worker === 0 ? 10 : 30) * size);
    mock.restoreAll();
    const least = total * STEPS / (1 / 10 + 1 / 30);
    assert.ok(time < 1.3 * least, `${total} pictures: ${time} ms, at least ${least}`);
    taken += batches.filter(({ worker, from }) => worker === 0 && from > 0).length;
  }
  assert.ok(taken > 0);
});

test('a batch that is nearly finished, or cannot be divided, is left alone', async () => {
  for (const [total, stepTime] of [[2, 100], [4, 100], [8, 1]]) {
    assert.equal((await simulate(total, 2, (size) => stepTime * size)).divided, 0, `${total} pictures, ${stepTime} ms`);
    mock.restoreAll();
  }
});

test('in order, whatever finishes first', async () => {
  let calls = 0;
  const make = async ({ indices }) => {
    for (let i = (7 * ++calls) % 5; i >= 0; i--) await turn();
    return { pictures: indices, saved: [], stepTime: 20 };
  };
  assert.deepEqual(await read(40, 3, make), upTo(40));
});

test('never more batches at a time than workers', async () => {
  let now = 0;
  let most = 0;
  const make = async ({ indices, saved, pause }) => {
    most = Math.max(most, ++now);
    await turn();
    now--;
    return pause.aborted ? { pictures: [], saved: indices, stepTime: 0 } : { pictures: saved.length > 0 ? saved : indices, saved: [], stepTime: 10 };
  };
  assert.deepEqual(await read(51, 3, make), upTo(51));
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
  const make = async ({ indices }) => {
    started++;
    await turn();
    if (indices.includes(2)) throw failure;
    return { pictures: indices, saved: [], stepTime: 100 };
  };
  const seen = [];
  await assert.rejects(async () => {
    for await (const picture of makeInBatches(10, 1, make)) seen.push(picture);
  }, (error) => error === failure);
  assert.deepEqual(seen, [0, 1]);
  assert.equal(started, 3);
});

/** A batch of several pictures waits until it is divided. */
const untilDivided = async ({ indices, pause }) => {
  for (let i = 0; i < 50 && indices.length > 1 && !pause.aborted; i++) await turn();
  return pause.aborted ? { pictures: [], saved: indices, stepTime: 0 } : { pictures: indices, saved: [], stepTime: 10 };
};

test('a failure elsewhere does not keep the pictures of a divided batch back', async () => {
  const failure = new Error('no');
  const asked = []; // of each batch: what it was, and how to end it
  const make = (batch) => new Promise((resolve, reject) => { asked.push({ ...batch, resolve, reject }); });
  const seen = [];
  const reading = assert.rejects(async () => {
    for await (const picture of makeInBatches(4, 3, make)) seen.push(picture);
  }, (error) => error === failure);
  await turn();
  assert.deepEqual(asked.map(({ indices }) => indices), [[0], [1, 2], [3]]);
  asked[0].resolve({ pictures: [0], saved: [], stepTime: 100 });
  await turn();
  assert.ok(asked[1].pause.aborted && !asked[2].pause.aborted);
  asked[2].reject(failure);
  await turn();
  asked[1].resolve({ pictures: [], saved: ['one', 'two'], stepTime: 0 });
  await turn();
  assert.deepEqual(asked.slice(3).map(({ indices, saved }) => [...indices, ...saved]), [[1, 'one'], [2, 'two']]);
  for (const { indices, resolve } of asked.slice(3)) resolve({ pictures: indices, saved: [], stepTime: 100 });
  await reading;
  assert.deepEqual(seen, [0, 1, 2]);
});

test('what fails when it is continued shows in its place', async () => {
  const failure = new Error('no');
  const seen = [];
  await assert.rejects(async () => {
    for await (const picture of makeInBatches(3, 2, (batch) => {
      if (batch.saved.length > 0) throw failure;
      return untilDivided(batch);
    })) seen.push(picture);
  }, (error) => error === failure);
  assert.deepEqual(seen, [0]);
});
