// What the benchmark says of its measurements.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { disagreement, measure, statistics, takeTurns } from '../../scripts/benchmark/rounds.mjs';

test('median, quartiles and extremes', () => {
  assert.deepEqual(statistics([5, 1, 4, 2, 3]), { median: 3, min: 1, lowerQuartile: 2, upperQuartile: 4, max: 5 });
  assert.deepEqual(statistics([4, 1]), { median: 2.5, min: 1, lowerQuartile: 1.75, upperQuartile: 3.25, max: 4 });
});

test('contestants take turns in a changing order, one at a time, and as often each', async () => {
  const log = [];
  let running = 0;
  const contestant = (name, milliseconds) => ({
    name,
    async time(count) {
      assert.equal(++running, 1);
      await null;
      log.push({ name, count });
      running--;
      return { wall: milliseconds * count * 2, cpu: milliseconds * count };
    },
  });
  const [a, b, c] = await takeTurns([contestant('a', 1), contestant('b', 5), contestant('c', 1000)], { rounds: 3, turn: 40 });
  const turns = log.slice(-9);
  assert.equal(turns.map(({ name }) => name).join(''), 'abcbcacab');
  assert.deepEqual([a.evaluationsPerTurn, b.evaluationsPerTurn, c.evaluationsPerTurn], [20, 4, 1]);
  assert.deepEqual(turns.filter(({ name }) => name === 'b').map(({ count }) => count), [4, 4, 4]);
  assert.equal(b.cpu.median, 5);
  assert.equal(b.wall.median, 10);
  assert.equal(b.ratio.median, 5);
  assert.equal(a.ratio.median, 1);
});

test('the ratio is that within a round, whatever the rounds have to do with each other', async () => {
  let round = 0;
  const times = (factor) => async (count) => ({ wall: count, cpu: count * factor * 2 ** (round++ >> 1) });
  const [, other] = await takeTurns([{ name: 'a', time: times(1) }, { name: 'b', time: times(3) }], { rounds: 6, turn: 1 });
  assert.deepEqual([other.ratio.min, other.ratio.max], [3, 3]);
});

test('disagreement is relative to the largest magnitude, and whatever is no number is infinitely wrong', () => {
  assert.equal(disagreement([1, -4.5], [1, -4]), 0.125);
  assert.equal(disagreement([1, NaN], [1, 2]), Infinity);
  assert.throws(() => disagreement([1], [1, 2]));
});

test('processor time is of this process, and no more than the time on the clock', async () => {
  const asleep = await measure(() => new Promise((resolve) => setTimeout(resolve, 60)));
  assert.ok(asleep.wall >= 55 && asleep.cpu < 30, JSON.stringify(asleep));
  const busy = await measure(() => {
    for (const end = process.cpuUsage().user + 40_000; process.cpuUsage().user < end;);
  });
  assert.ok(busy.cpu >= 30 && busy.cpu <= busy.wall, JSON.stringify(busy));
});
