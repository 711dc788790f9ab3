// The model in a worker: same results, and no promise is left pending whatever becomes of the worker.
// Browsers do the same in tests/browser; here the worker can be disturbed on purpose.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { load } from 'pocket-diffusion';
import { tinyBytes } from './helpers.mjs';
import { Worker } from './worker_shim.mjs';

const OPTIONS = { label: 'square', seed: 11, steps: 5 };
const local = await load(tinyBytes);
const expected = (await local.generate(OPTIONS)).pixels;

let model;
beforeEach(async () => {
  globalThis.Worker = Worker;
  model = await load(tinyBytes, { worker: true });
});
afterEach(() => {
  model.close();
  delete globalThis.Worker;
});

test('the same description, pictures, steps and predictions as in this thread', async () => {
  const { memoryBytes, ...info } = model.info;
  const { memoryBytes: localMemory, ...localInfo } = local.info;
  assert.deepEqual(info, localInfo);
  assert.equal(memoryBytes, localMemory);
  assert.deepEqual(model.labels, local.labels);
  const [steps, localSteps] = [[], []];
  const options = { ...OPTIONS, state: true };
  const picture = await model.generate({ ...options, onStep: (event) => steps.push(event) });
  await local.generate({ ...options, onStep: (event) => localSteps.push(event) });
  assert.deepEqual(picture.pixels, expected);
  assert.deepEqual(steps, localSteps);
  const x = new Float32Array(256).map((_, index) => Math.sin(index));
  assert.deepEqual(await model.predict(x, 42, null), await local.predict(x, 42, null));
  assert.deepEqual(await model.operations(), await local.operations());
  assert.deepEqual(await model.activations(x, 42, 'circle', 30), await local.activations(x, 42, 'circle', 30));
  assert.equal(x.length, 256, 'the input is not handed over');
});

test('generateMany', async () => {
  const seeds = [];
  for await (const { options } of model.generateMany({ label: [0, 1], count: 2, seed: 2n ** 64n - 2n, steps: 1 })) seeds.push(options.seed);
  assert.deepEqual(seeds, [2n ** 64n - 2n, 2n ** 64n - 1n, 2n ** 64n - 2n, 2n ** 64n - 1n]);
});

test('abort: at once, with the reason, and the run ends', async () => {
  for (const at of [0, 1, 3, 5]) {
    const controller = new AbortController();
    const reason = new Error(`stop at ${at}`);
    let last = 0;
    const call = model.generate({ ...OPTIONS, signal: controller.signal, onStep: ({ step }) => {
      last = step;
      if (step === at) controller.abort(reason);
    } });
    if (at === 0) controller.abort(reason);
    await assert.rejects(call, (error) => error === reason);
    assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
    assert.equal(last, at);
  }
});

test('an abort without onStep stops the worker within a step', async () => {
  const controller = new AbortController();
  const call = model.generate({ label: 0, steps: 100, sampler: 'ddpm', signal: controller.signal });
  setTimeout(() => controller.abort(), 5);
  await assert.rejects(call, { name: 'AbortError' });
  assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
});

test('the next step waits for onStep; what it throws ends the call', async () => {
  let waiting = false;
  await model.generate({ ...OPTIONS, onStep: async () => {
    assert.equal(waiting, false);
    waiting = true;
    await new Promise((resolve) => setTimeout(resolve, 5));
    waiting = false;
  } });
  const failure = new Error('enough');
  await assert.rejects(model.generate({ ...OPTIONS, onStep: () => { throw failure; } }), (error) => error === failure);
  assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
});

test('errors keep their code, status and offset', async () => {
  await assert.rejects(load(tinyBytes.subarray(0, 100_000), { worker: true }), (error) => {
    assert.equal(error.name, 'PocketDiffusionError');
    assert.equal(error.code, 'SHORT');
    assert.equal(error.status, 1);
    assert.ok(error.offset >= 0);
    return true;
  });
});

test('the bytes given to load are not handed over', async () => {
  assert.ok(tinyBytes.length > 0);
  const bytes = tinyBytes.slice();
  (await load(bytes, { worker: true })).close();
  assert.deepEqual(bytes, tinyBytes);
});

test('close rejects what is pending', async () => {
  const closed = { code: 'CLOSED', status: 28 };
  const calls = [
    model.generate({ ...OPTIONS, steps: 100 }),
    model.generate({ ...OPTIONS, onStep: () => new Promise(() => {}) }),
    model.predict(new Float32Array(256), 0, 0),
  ].map((call) => assert.rejects(call, closed));
  model.close();
  await Promise.all(calls);
  await assert.rejects(model.generate(OPTIONS), closed);
});

test('a worker that dies: every pending promise rejects, the next call gets another worker', async () => {
  const dead = { name: 'PocketDiffusionError', code: 'WORKER', message: /out of order/ };
  const worker = Worker.last;
  const calls = [
    model.generate({ ...OPTIONS, steps: 100 }),
    model.generate({ ...OPTIONS, onStep: () => new Promise(() => {}) }),
    model.generateMany({ label: 0, steps: 100 }).next(),
  ].map((call) => assert.rejects(call, dead));
  await model.generate({ ...OPTIONS, steps: 1 }); // the others are under way
  calls.push(assert.rejects(model.predict(new Float32Array(256), 0, 0), dead));
  worker.dispatchEvent(Object.assign(new Event('error'), { message: 'out of order' }));
  await Promise.all(calls);
  assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
  assert.notEqual(Worker.last, worker);
});

test('an unreadable message ends the calls', async () => {
  const call = model.generate({ ...OPTIONS, steps: 100 });
  Worker.last.dispatchEvent(new Event('messageerror'));
  await assert.rejects(call, { code: 'WORKER' });
});

test('a worker script that is missing: load rejects', async () => {
  globalThis.Worker = class extends Worker {
    constructor(url, options) {
      super(new URL('missing.mjs', url), options);
      this.thread.removeAllListeners('error');
      this.thread.on('error', () => this.dispatchEvent(new Event('error'))); // as browsers do: without a message
    }
  };
  await assert.rejects(load(tinyBytes, { worker: true }), { code: 'WORKER', message: /script/ });
});

test('a constructor that throws: in-process unless a worker was asked for', async () => {
  globalThis.Worker = class extends EventTarget {
    constructor() {
      throw new DOMException('not from a file', 'SecurityError');
    }
  };
  await assert.rejects(load(tinyBytes, { worker: true }), { code: 'WORKER', message: /not from a file/ });
  globalThis.document = {};
  try {
    assert.deepEqual((await (await load(tinyBytes)).generate(OPTIONS)).pixels, expected);
  } finally {
    delete globalThis.document;
  }
});

test('abort while the worker starts', async () => {
  const controller = new AbortController();
  const loading = load(tinyBytes, { worker: true, signal: controller.signal });
  setImmediate(() => controller.abort());
  await assert.rejects(loading, { name: 'AbortError' });
});

test('foreign and malformed messages are ignored on both sides', async () => {
  const to = 'pocket-diffusion';
  const strange = [
    null, 1, 'hello', [], {}, { type: 'abort' }, { to, type: 'generate' }, { to, type: 'constructor', id: 1 },
    { to, type: 'generate', id: 'x', request: {}, steps: true }, { to, type: 'generate', id: 9000, request: null, steps: true },
    { to, type: 'generate', id: 9005, request: {}, steps: true },
    { to, type: 'predict', id: 9001, x: [1, 2], t: 0, label: 0 }, { to, type: 'open', id: 9002, module: {}, bytes: null },
    { to, type: '__proto__', id: 9003 }, { to, type: 'continue', id: 9004 }, { to, type: 'abort', id: NaN },
  ];
  const worker = Worker.last;
  const replies = [];
  worker.thread.on('message', (data) => data.id >= 9000 && replies.push(data));
  let step = 0;
  const picture = await model.generate({ ...OPTIONS, onStep: (event) => {
    assert.equal(event.step, ++step);
    for (const data of [...strange, { to, type: 'result', id: 1e6, value: 1 }, { to, type: 'step', id: 2 }, { to, type: 'step', id: 2, events: [1] }, { to, type: 'failure', id: 2 }]) {
      if (data !== null) worker.postMessage(data);
      worker.dispatchEvent(Object.assign(new Event('message'), { data }));
    }
  } });
  assert.deepEqual(picture.pixels, expected);
  assert.deepEqual(replies, []);
});
