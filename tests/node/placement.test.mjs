// How many workers a model gets: as many as are wanted and fit into the memory, and always one.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { load } from 'pocket-diffusion';
import { place, workersWanted } from '../../web/library/placement.mjs';
import { doodlesPath, tinyPath } from './helpers.mjs';

const GIB = 2 ** 30;
const kept = ['navigator', 'document', 'Worker'].map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
afterEach(() => {
  for (const [name, descriptor] of kept) {
    delete globalThis[name];
    if (descriptor) Object.defineProperty(globalThis, name, descriptor);
  }
});

/** As if this were a page. @param {{ hardwareConcurrency: number, deviceMemory?: number }} navigator */
function pretend(navigator) {
  for (const [name, value] of Object.entries({ navigator, document: {}, Worker: class {} })) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
}

const TABLE = [ // cores, deviceMemory, bytes of a worker -> workers
  [8, 8, 40e6, 4], [8, 4, 40e6, 4], [8, 0.25, 40e6, 1], [2, 8, 40e6, 2],
  [8, 4, 707e6, 1], [8, 8, 707e6, 2], [8, 32, 707e6, 4], [8, undefined, 707e6, 1], [8, undefined, 200e6, 4], [8, undefined, 300e6, 2],
  [8, 1, 1073e6, 1], [undefined, 8, 40e6, 1],
];
for (const [hardwareConcurrency, deviceMemory, workerBytes, workers] of TABLE) {
  test(`${hardwareConcurrency} cores, ${deviceMemory} GB, ${workerBytes / 1e6} MB each: ${workers}`, () => {
    pretend({ hardwareConcurrency, deviceMemory });
    const placement = place({}, workersWanted({}), workerBytes);
    assert.equal(placement.workers, workers);
    assert.equal(placement.memoryBudget, (deviceMemory ?? 4) * GIB / 5);
    assert.ok(placement.workers === 1 || placement.workers * workerBytes <= placement.memoryBudget);
  });
}

test('who asks for a number of workers gets it, unless there is a budget', () => {
  pretend({ hardwareConcurrency: 2, deviceMemory: 1 });
  const placed = (wishes) => place(wishes, workersWanted(wishes), 1e9).workers;
  assert.equal(placed({ workers: 6 }), 6);
  assert.equal(placed({ workers: 6, memoryBudget: 3.5e9 }), 3);
  assert.equal(placed({ memoryBudget: Infinity }), 2);
  assert.equal(placed({ worker: false }), 0);
});

test('a model says where it runs', async () => {
  const here = await load(tinyPath);
  assert.equal(here.placement.workers, 0);
  assert.ok(here.placement.workerBytes >= here.info.memoryBytes);
  assert.equal(here.placement.memoryBudget, Infinity);
  here.close();
  const model = await load(doodlesPath, { workers: 3, memoryBudget: 2.5 * here.placement.workerBytes + 40e6 });
  assert.ok(Object.isFrozen(model.placement));
  const { workers, wanted, workerBytes, memoryBudget } = model.placement;
  assert.equal(workers, Math.max(1, Math.floor(memoryBudget / workerBytes)));
  assert.ok(workers < wanted && wanted === 3, `${workers} of ${wanted}`);
  const pictures = [];
  for await (const { pixels } of model.generateMany({ label: 'cat', seed: 1, steps: 2, count: 5 })) pictures.push(pixels);
  assert.equal(pictures.length, 5);
  model.close();
});

test('a budget is a number above 0', async () => {
  for (const [memoryBudget, type] of [[0, RangeError], [-1, RangeError], [NaN, RangeError], ['1e9', TypeError], [null, TypeError]]) {
    await assert.rejects(load(tinyPath, { memoryBudget }), (error) => error instanceof type && error.argument === 'memoryBudget');
  }
});
