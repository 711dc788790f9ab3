// The page's studio without a page: what is asked of the model while a value is dragged, with a model that is made up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Studio } from '../../web/page/studio.mjs';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const STEPS = 10;
const requests = (scale, count = 9) => Array.from({ length: count }, (_, index) => ({ label: 0, seed: index, guidanceScale: scale, steps: STEPS }));

/** A studio with one board and a model whose runs end when the test says so. */
function begin({ workers = 2, board: callbacks = {} } = {}) {
  const runs = []; // those under way
  const log = []; // all of them
  const shown = []; // [index, scale, draft]
  const reports = [];
  const model = {
    generateBatch({ pictures, signal, ...options }) {
      return new Promise((resolve, reject) => {
        const run = { pictures, options, seeds: pictures.map(({ seed }) => seed), reject };
        const end = () => runs.splice(runs.indexOf(run), 1);
        run.finish = async () => {
          end();
          resolve(pictures.map((picture) => ({ ...picture, scale: options.guidanceScale })));
          await turn();
        };
        signal.addEventListener('abort', () => {
          end();
          run.aborted = true;
          reject(signal.reason);
        });
        runs.push(run);
        log.push(run);
      });
    },
  };
  const studio = new Studio();
  const board = studio.addBoard({
    onPicture: (index, picture, draft) => shown.push([index, picture.scale, draft]), onReport: (report) => reports.push(report), ...callbacks,
  });
  studio.setModel(model, workers);
  return { studio, board, runs, log, shown, reports };
}

/** All pictures in full once, and then the first drafts, which show how long a step takes. */
async function warmUp(made) {
  made.board.show(requests(1));
  while (made.runs.length > 0) await made.runs[0].finish();
  assert.equal(made.board.state, 'done');
  // Until then one worker was left idle for the page: it gets work with what is less important.
  const other = made.studio.addBoard({ onPicture() {} });
  other.show(requests(1, 1));
  await made.runs[0].finish();
  made.board.show(requests(2), { draft: true });
  assert.deepEqual(made.runs.map(({ seeds }) => seeds), [[0], [1]], 'nothing is known of this device yet');
  for (const run of [...made.runs]) await run.finish();
  made.log.length = made.shown.length = 0;
  made.log.push(...made.runs);
}

test('drafts: as many in a run as leave some for every worker, the newest value, those that wait longest first', async () => {
  const made = begin();
  await warmUp(made);
  const { board, runs, log } = made;
  assert.deepEqual(log.map(({ seeds }) => seeds), [[2, 3, 4, 5], [6, 7, 8]], 'under the value before');
  const scales = [3, 4, 5, 6, 7, 8];
  for (const scale of scales) {
    board.show(requests(scale), { draft: true });
    await runs[0].finish();
    assert.equal(runs.length, 2);
  }
  const begun = log.slice(2);
  assert.deepEqual(begun.map(({ options }) => options.guidanceScale), scales);
  assert.ok(begun.every(({ seeds }) => seeds.length === 4));
  // The two runs of four that are under way leave out one picture, which comes first in the next one.
  assert.deepEqual(begun.slice(0, 4).map(({ seeds }) => seeds), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 0, 1, 2], [3, 4, 5, 6]]);
});

test('a drag never begins a run anew because the value moved on, and shows what was under way', async () => {
  const made = begin();
  await warmUp(made);
  const { board, runs, shown } = made;
  const underWay = [...runs];
  board.show(requests(3), { draft: true });
  assert.deepEqual(runs, underWay);
  await underWay[0].finish();
  assert.deepEqual(shown.map(([index]) => index), underWay[0].seeds);
  assert.ok(shown.every(([, scale]) => scale === 2));
});

test('a picture of a value that was left is shown, and is not taken for the one that is wanted', async () => {
  const shown = [];
  const made = begin({ workers: 1, board: { onPicture: (index, { scale }, draft, current) => shown.push({ scale, draft, current }) } });
  const { board, runs } = made;
  const whole = (scale) => [{ label: 0, seed: 0, guidanceScale: scale, steps: 1 }]; // one step: what is drawn while a value is dragged is whole
  board.show(whole(1), { draft: true });
  const [first] = runs;
  board.show(whole(2), { draft: true });
  await first.finish();
  assert.deepEqual(shown, [{ scale: 1, draft: false, current: false }]);
  assert.equal(board.slots[0].picture, null);
  board.show(whole(2));
  while (runs.length > 0) await runs[0].finish();
  assert.deepEqual(shown.at(-1), { scale: 2, draft: false, current: true });
  assert.equal(board.slots[0].picture.scale, 2);
});

test('pictures that differ in more than label and seeds do not share a run', async () => {
  const made = begin();
  await warmUp(made);
  const { board, runs, log } = made;
  const mixed = requests(3).map((request, index) => (index % 2 ? { ...request, rescale: 0.5 } : { ...request, label: index }));
  board.show(mixed, { draft: true });
  while (runs.length > 0) await runs[0].finish();
  for (const { seeds, options, pictures } of log.slice(2)) {
    assert.equal(new Set(seeds.map((seed) => seed % 2)).size, 1, `${seeds}`);
    if (!options.rescale) assert.deepEqual(pictures.map(({ label }) => label), seeds);
  }
});

test('a run ends when the last of its pictures is no longer wanted', async () => {
  const made = begin();
  await warmUp(made);
  const { board, runs, shown } = made;
  const [run] = runs.filter(({ seeds }) => seeds.includes(0) || seeds.includes(8));
  const [kept] = [...run.seeds].sort((a, b) => a - b);
  board.show(requests(2, kept + 1), { draft: true });
  assert.equal(run.aborted, undefined);
  await run.finish();
  assert.deepEqual(shown.filter(([index]) => run.seeds.includes(index)).map(([index]) => index), [kept]);
  board.clear();
  assert.equal(runs.length, 0, 'all of them ended');
});

test('a failure of a run is told once and ends the others', async () => {
  const made = begin();
  await warmUp(made);
  const { board, runs, reports } = made;
  runs[0].reject(new Error('no'));
  await turn();
  assert.equal(board.state, 'failed');
  assert.equal(reports.filter(({ state }) => state === 'failed').length, 1);
  assert.ok(runs.filter(({ aborted }) => !aborted).length <= 1, 'but the one that failed');
});

test('a board of which nothing is wanted is done', () => {
  const { board, runs } = begin();
  board.show([]);
  assert.equal(board.state, 'done');
  assert.equal(runs.length, 0);
});

test('a device that is slow makes fewer steps, and runs of one', async () => {
  const made = begin({ workers: 1 });
  const { board, runs, studio } = made;
  board.show(requests(1));
  while (runs.length > 0) await runs[0].finish();
  board.show(requests(2), { draft: true });
  const steps = runs[0].options.steps;
  await new Promise((resolve) => setTimeout(resolve, 60 * steps));
  await runs[0].finish();
  assert.equal(runs[0].seeds.length, 1);
  assert.ok(runs[0].options.steps < steps, `${runs[0].options.steps} after ${steps}`);
  assert.equal(studio.draftSteps, runs[0].options.steps);
});

test('of a consistency model one step is a draft where two take too long, and is refined at rest', async () => {
  const made = begin({ workers: 1 });
  const { board, runs, studio, shown } = made;
  const two = (scale) => requests(scale, 4).map((request) => ({ ...request, steps: 2, sampler: 'lcm' }));
  board.show(two(1));
  while (runs.length > 0) await runs[0].finish();
  board.show(two(2), { draft: true });
  assert.equal(runs[0].options.steps, 2, 'nothing is known of this device yet');
  await new Promise((resolve) => setTimeout(resolve, 50));
  await runs[0].finish();
  assert.equal(studio.draftSteps, 1);
  while (runs.length > 0) await runs[0].finish();
  shown.length = 0;
  board.show(two(3), { draft: true });
  assert.equal(runs[0].options.steps, 1);
  while (board.drafting) await runs[0].finish();
  assert.ok(shown.length >= 4 && shown.every(([, scale, draft]) => scale === 3 && draft));
  board.show(two(3));
  assert.equal(runs[0].options.steps, 2);
  while (runs.length > 0) await runs[0].finish();
  assert.equal(board.state, 'done');
  assert.ok(board.slots.every(({ picture }) => picture.scale === 3));
});

test('where one step is a picture, each worker takes its share of the drafts at once; a board that follows has its turns, in groups', async () => {
  const made = begin();
  await warmUp(made);
  const { board, studio, runs, log } = made;
  const lcm = (scale, count, first = 0) => requests(scale, count).map((request) => ({ ...request, seed: first + request.seed, steps: 2, sampler: 'lcm' }));
  board.show(lcm(3, 9), { draft: true });
  while (runs.length > 0) await runs[0].finish();
  log.length = 0;
  for (let scale = 4; scale < 8; scale++) {
    board.show(lcm(scale, 9), { draft: true });
    await runs[0].finish();
  }
  assert.deepEqual(log.slice(0, 4).map(({ seeds }) => seeds), [[0, 1, 2, 3, 4], [5, 6, 7, 8], [0, 1, 2, 3, 4], [5, 6, 7, 8]]);

  const drawn = [];
  const follower = studio.addBoard({ follows: true, onPicture: (index) => drawn.push(index) });
  follower.group = 3;
  log.length = 0;
  for (let move = 0; move < 60; move++) {
    board.show(lcm(10 + move, 4), { draft: true });
    follower.show(lcm(10 + move, 12, 100), { draft: true });
    await runs[0].finish();
  }
  const begun = log.slice(4); // those before it came, and the first turns
  const own = begun.filter(({ seeds }) => seeds[0] < 100).flatMap(({ seeds }) => seeds).length;
  const following = begun.filter(({ seeds }) => seeds[0] >= 100);
  assert.ok(following.every(({ seeds }) => seeds.length === 3 && seeds[0] % 3 === 100 % 3 && new Set(seeds).size === 3), 'whole groups');
  const share = (3 * following.length) / own;
  assert.ok(share > 3 && share < 5, `${share} pictures for one`);
  assert.equal(new Set(drawn).size, 12, 'all of them, in turn');
  assert.ok(!log.some(({ aborted }) => aborted), 'none is begun anew because the value moved on');
});

test('pictures of few steps are whole while a value is dragged, and the board is done with each value', async () => {
  const made = begin();
  await warmUp(made);
  const { board, runs, shown, reports } = made;
  const few = (scale) => requests(scale).map((request) => ({ ...request, steps: 2 }));
  while (runs.length > 0) await runs[0].finish();
  for (const scale of [3, 4]) {
    shown.length = 0;
    board.show(few(scale), { draft: true });
    while (runs.length > 0) await runs[0].finish();
    assert.deepEqual(shown.map(([, ...rest]) => rest), Array.from({ length: 9 }, () => [scale, false]));
    assert.deepEqual([board.state, board.drafting, reports.at(-1).state, reports.at(-1).draft], ['done', false, 'done', false]);
  }
});
