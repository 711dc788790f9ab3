// Several workers: the pictures of one thread, in order, and no promise is left pending whatever becomes of a worker.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, mock, test } from 'node:test';
import { Worker as NodeWorker } from 'node:worker_threads';
import { load } from 'pocket-diffusion';
import { root, tinyBytes, tinyPath } from './helpers.mjs';
import { Worker as WebWorker } from './worker_shim.mjs';

const OPTIONS = { label: 'square', seed: 11, steps: 5 };
const SHEET = { label: [0, 2], count: 5, seed: 40, steps: 6, eta: 1, preview: true, state: true };
const LONG = { label: 0, steps: 100, sampler: 'ddpm' };
const local = await load(tinyBytes);
const expected = (await local.generate(OPTIONS)).pixels;

let threads = []; // of node:worker_threads, in the order of their start
process.on('worker', (thread) => threads.push(thread));

const models = [];
async function loadPool(workers, source = tinyBytes, options = {}) {
  threads = [];
  const model = await load(source, { workers, ...options });
  models.push(model);
  return model;
}
afterEach(() => {
  for (const model of models.splice(0)) model.close();
  delete globalThis.Worker;
});

const running = () => threads.filter(({ threadId }) => threadId !== -1).length;

/** Resolves when a thread is gone, and keeps this process alive until then, which threads of the library do not. */
async function ended(thread) {
  if (thread.threadId === -1) return;
  const alive = setInterval(() => {}, 1000);
  await once(thread, 'exit');
  clearInterval(alive);
}

const rejectsWith = (promise, code) => assert.rejects(promise, { name: 'PocketDiffusionError', code });

/** Pictures and events of a sheet; the events by picture. */
async function draw(model, options) {
  const pictures = [];
  const steps = [];
  const onStep = ({ index, ...event }) => (steps[index] ??= []).push(event);
  for await (const { pixels, options: used } of model.generateMany({ ...options, onStep })) pictures.push({ pixels, used });
  return { pictures, steps };
}

/** Resolves at the first step of a call, with what it takes to let the call go on. */
function hold() {
  let started;
  let release;
  const gate = new Promise((resolve) => { release = resolve; });
  const atStep = new Promise((resolve) => { started = resolve; });
  return { atStep, release, onStep: () => { started(); return gate; } };
}

test('a Worker of node:worker_threads in the global scope is not taken for a Web Worker', async () => {
  globalThis.Worker = NodeWorker;
  const model = await loadPool(1);
  assert.equal((await model.generate({ label: 0, steps: 2 })).width, 16);
});

test('pictures, options, previews and states are those of this thread, bit for bit and in order', async () => {
  const alone = await draw(local, SHEET);
  assert.equal(alone.pictures.length, 10);
  for (const [index, { used }] of alone.pictures.entries()) {
    assert.deepEqual([used.label, used.seed], [index < 5 ? 0 : 2, 40 + (index % 5)]);
    const { label, labelName, ...options } = used;
    assert.deepEqual((await local.generate({ ...options, label })).pixels, alone.pictures[index].pixels, 'as a picture by itself');
    assert.deepEqual(alone.steps[index].map(({ step }) => step), [1, 2, 3, 4, 5, 6]);
  }
  for (const workers of [1, 2, 3]) {
    const model = await loadPool(workers);
    assert.deepEqual(model.info, local.info);
    assert.deepEqual(await draw(model, SHEET), alone, `${workers} workers`);
    assert.deepEqual(await draw(model, SHEET), alone, `${workers} workers, second time`);
    assert.equal(threads.length, workers);
  }
});

test('workers start when they are needed and not before; nothing is read twice', async () => {
  let reads = 0;
  const model = await loadPool(3, tinyPath, { onProgress: ({ loaded, total }) => { reads += Number(loaded === total); } });
  assert.equal(threads.length, 1);
  for (let i = 0; i < 3; i++) await model.generate(OPTIONS);
  await draw(model, { ...SHEET, label: 0, count: 1 });
  await Promise.all([1, 2, 3].map((t) => model.predict(new Float32Array(256), t, 0)));
  assert.equal(threads.length, 1);
  const calls = await Promise.all([1, 2].map(() => model.generate(OPTIONS)));
  assert.equal(threads.length, 2);
  calls.push(...await Promise.all(Array.from({ length: 7 }, () => model.generate(OPTIONS))));
  assert.equal(threads.length, 3);
  for (const { pixels } of calls) assert.deepEqual(pixels, expected);
  assert.equal(reads, 1);
});

test('pictures come while others are still being made', async () => {
  const model = await loadPool(2);
  let made = 0;
  const order = [];
  const onStep = ({ step }) => { made += Number(step === 20); };
  for await (const { options } of model.generateMany({ label: 0, count: 12, seed: 0, steps: 20, onStep })) {
    order.push(options.seed);
    if (order.length === 1) assert.ok(made < 12, `${made} made when the first came`);
  }
  assert.deepEqual(order, Array.from({ length: 12 }, (_, seed) => seed));
});

test('abort ends a sheet at once, in every worker', async () => {
  const model = await loadPool(2);
  await draw(model, SHEET);
  const controller = new AbortController();
  const reason = new Error('stop');
  const indices = new Set();
  let late = 0;
  const onStep = ({ index }) => {
    indices.add(index);
    if (controller.signal.aborted) late++;
    if (indices.size === 3) controller.abort(reason);
  };
  await assert.rejects(async () => {
    for await (const picture of model.generateMany({ ...LONG, count: 50, signal: controller.signal, onStep })) assert.ok(picture);
  }, (error) => error === reason);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(late, 0);
  assert.deepEqual(await draw(model, SHEET), await draw(local, SHEET));
  assert.equal(running(), 2);
});

test('an abort reaches the worker: the run ends there, not only here', { timeout: 20_000 }, async () => {
  const model = await loadPool(1);
  for (const onStep of [undefined, () => {}, () => new Promise(() => {})]) {
    const controller = new AbortController();
    const call = model.generate({ ...LONG, onStep, signal: controller.signal });
    const refused = assert.rejects(call, { name: 'AbortError' });
    setTimeout(() => controller.abort(), 10);
    await refused;
    const answer = new Promise((resolve) => {
      threads[0].on('message', ({ type }) => type !== 'step' && resolve(type));
    });
    threads[0].ref();
    assert.equal(await answer, 'failure');
  }
});

test('leaving the loop stops every worker', async () => {
  const model = await loadPool(2);
  let left = false;
  let late = 0;
  for await (const picture of model.generateMany({ ...LONG, count: 50, steps: 20, onStep: () => { late += Number(left); } })) {
    assert.ok(picture);
    break;
  }
  left = true;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(late, 0);
  assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
});

test('what onStep throws ends the sheet', async () => {
  const model = await loadPool(2);
  const failure = new Error('enough');
  const pictures = model.generateMany({ ...SHEET, onStep: ({ index }) => { if (index === 3) throw failure; } });
  await assert.rejects(async () => { for await (const picture of pictures) assert.ok(picture); }, (error) => error === failure);
  assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
});

test('a worker that is killed rejects only what ran there, and is replaced', async () => {
  const model = await loadPool(2);
  const [first, second] = [hold(), hold()];
  const calls = [model.generate({ ...OPTIONS, onStep: first.onStep }), model.generate({ ...OPTIONS, onStep: second.onStep })];
  await Promise.all([first.atStep, second.atStep]);
  const refused = rejectsWith(calls[0], 'WORKER');
  await threads[0].terminate();
  await refused;
  second.release();
  assert.deepEqual((await calls[1]).pixels, expected);
  assert.deepEqual((await Promise.all([model.generate(OPTIONS), model.generate(OPTIONS)])).map(({ pixels }) => pixels), [expected, expected]);
  assert.equal(threads.length, 3);
  assert.equal(running(), 2);
});

test('the only worker is killed: the next call starts another', async () => {
  const model = await loadPool(1);
  for (let round = 1; round <= 3; round++) {
    const held = hold();
    const refused = rejectsWith(model.generate({ ...OPTIONS, onStep: held.onStep }), 'WORKER');
    await held.atStep;
    await Promise.all([threads.at(-1).terminate(), refused]);
    assert.deepEqual(await model.predict(new Float32Array(256), 3, 0), await local.predict(new Float32Array(256), 3, 0));
    assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
    assert.equal(threads.length, round + 1);
  }
});

test('a worker killed in the middle of a sheet: the pictures before come, then the error', async () => {
  const model = await loadPool(2);
  await draw(model, SHEET);
  const pictures = [];
  let killed = false;
  const onStep = ({ index, step }) => {
    if (index !== 6 || step !== 3 || killed) return undefined;
    killed = true;
    return Promise.all(threads.map((thread) => thread.terminate()));
  };
  const sheet = async () => {
    for await (const { pixels } of model.generateMany({ ...SHEET, onStep })) pictures.push(pixels);
  };
  await rejectsWith(sheet(), 'WORKER');
  assert.ok(pictures.length >= 1 && pictures.length <= 6, `${pictures.length} pictures`);
  const alone = await draw(local, SHEET);
  assert.deepEqual(pictures, alone.pictures.slice(0, pictures.length).map(({ pixels }) => pixels));
  assert.deepEqual(await draw(model, SHEET), alone);
});

test('close during work ends every call and every worker', async () => {
  const model = await loadPool(3);
  const held = hold();
  const calls = [
    model.generate(LONG), model.generate({ ...OPTIONS, onStep: held.onStep }), model.generate(LONG), model.generate(LONG),
    model.generateMany({ ...LONG, count: 9 }).next(), model.predict(new Float32Array(256), 0, 0),
  ];
  const prediction = calls.pop();
  await prediction;
  const closed = calls.map((call) => rejectsWith(call, 'CLOSED'));
  await held.atStep;
  const all = threads.map(ended);
  model.close();
  model.close();
  await Promise.all([...closed, ...all]);
  assert.equal(running(), 0);
  await rejectsWith(model.generate(OPTIONS), 'CLOSED');
  await rejectsWith(model.predict(new Float32Array(256), 0, 0), 'CLOSED');
});

test('close while a second worker starts', async () => {
  const model = await loadPool(2);
  const calls = [model.generate(LONG), model.generate(LONG)].map((call) => rejectsWith(call, 'CLOSED'));
  await new Promise((resolve) => setImmediate(resolve));
  model.close();
  await Promise.all(calls);
  await Promise.all(threads.map(ended));
});

test('idle workers are released after a while, the last one never', { timeout: 20_000 }, async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const model = await loadPool(3);
    await draw(model, SHEET);
    assert.equal(running(), 3);
    const all = threads.map(ended);
    mock.timers.tick(29_000);
    const busy = hold();
    const call = model.generate({ ...OPTIONS, onStep: busy.onStep });
    await busy.atStep;
    mock.timers.tick(2_000);
    await Promise.all(all.slice(1));
    assert.equal(running(), 1, 'those that were idle for 31 seconds');
    busy.release();
    assert.deepEqual((await call).pixels, expected);
    mock.timers.tick(100_000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
    assert.equal(threads.length, 3, 'the last one is still there');
    assert.deepEqual(await draw(model, SHEET), await draw(local, SHEET));
    assert.equal(running(), 3);
  } finally {
    mock.timers.reset();
  }
});

test('release() ends what is idle and leaves what works alone; the next call starts a worker again', { timeout: 20_000 }, async () => {
  const model = await loadPool(2);
  const [first] = threads;
  const { atStep, release, onStep } = hold();
  const held = model.generate({ ...OPTIONS, onStep });
  await atStep;
  model.release();
  release();
  assert.deepEqual((await held).pixels, expected);
  model.release();
  await ended(first);
  assert.equal(running(), 0);
  assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
  assert.equal(running(), 1);
  local.release(); // without workers nothing happens
  assert.deepEqual((await local.generate(OPTIONS)).pixels, expected);
});

test('memory stays flat over many sheets', async () => {
  const model = await loadPool(2);
  const sheets = async (count) => {
    for (let i = 0; i < count; i++) await draw(model, { ...SHEET, steps: 2 });
    return process.memoryUsage().rss;
  };
  await sheets(100);
  const before = await sheets(50);
  const after = await sheets(300);
  // 300 sheets of 10 pictures: a run that is not freed keeps at least 25 kB, so all would be 75 MB.
  assert.ok(after - before < 25e6, `${((after - before) / 1e6).toFixed(1)} MB more`);
  assert.equal(threads.length, 2);
});

test('where no further worker can be made, those that run do the work', async () => {
  let made = 0;
  globalThis.Worker = class extends WebWorker {
    constructor(...values) {
      if (++made > 1) throw new RangeError('out of memory');
      super(...values);
    }
  };
  const model = await loadPool(3);
  assert.deepEqual(await draw(model, SHEET), await draw(local, SHEET));
  assert.ok(made > 1);
});

test('a trap in a worker rejects with TRAP; the next call gets another instance', async () => {
  globalThis.Worker = class extends WebWorker {
    constructor(url, options) {
      const script = `
        const { instantiate } = WebAssembly;
        WebAssembly.instantiate = async (...values) => {
          const { exports } = await instantiate(...values);
          let left = 4;
          return { exports: { ...exports, pd_wasm_run_step(run) {
            if (--left === 0) throw new WebAssembly.RuntimeError('unreachable');
            return exports.pd_wasm_run_step(run);
          } } };
        };
        await import(${JSON.stringify(String(url))});`;
      super(`data:text/javascript,${encodeURIComponent(script)}`, options);
    }
  };
  const model = await loadPool(1);
  for (let round = 0; round < 2; round++) {
    await Promise.all([rejectsWith(model.generate(OPTIONS), 'TRAP'), rejectsWith(model.generate(OPTIONS), 'TRAP')]);
    assert.equal((await model.generate({ ...OPTIONS, steps: 2 })).options.steps, 2);
    await rejectsWith(model.generate(OPTIONS), 'TRAP');
  }
});

test('a model that was not closed does not keep the process alive, work under way does', () => {
  const script = `
    const { load } = await import('pocket-diffusion');
    const model = await load(${JSON.stringify(tinyPath)}, { workers: 2 });
    let count = 0;
    for await (const picture of model.generateMany({ label: 0, count: 6, steps: 20 })) count++;
    console.log(count);`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: root, timeout: 20_000 });
  assert.equal(String(output), '6\n');
});

test('worker and workers', async () => {
  for (const [options, ErrorType, argument] of [
    [{ workers: -1 }, RangeError, 'workers'], [{ workers: 1.5 }, RangeError, 'workers'], [{ workers: 65 }, RangeError, 'workers'],
    [{ workers: '2' }, TypeError, 'workers'], [{ worker: false, workers: 1 }, RangeError, 'workers'],
    [{ worker: true, workers: 0 }, RangeError, 'workers'],
  ]) await assert.rejects(load(tinyBytes, options), (error) => error.constructor === ErrorType && error.argument === argument);
  for (const [options, count] of [[{}, 0], [{ worker: false }, 0], [{ workers: 0 }, 0], [{ worker: true }, 1], [{ worker: true, workers: 2 }, 1]]) {
    threads = [];
    const model = await load(tinyBytes, options);
    assert.equal(threads.length, count, JSON.stringify(options));
    assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
    model.close();
  }
});

test('a failed load leaves no worker behind', async () => {
  threads = [];
  await rejectsWith(load(tinyBytes.subarray(0, 100_000), { workers: 2 }), 'SHORT');
  await rejectsWith(load('/missing.gguf', { workers: 2 }), 'FILE');
  const controller = new AbortController();
  const loading = load(tinyBytes, { workers: 2, signal: controller.signal });
  setImmediate(() => controller.abort());
  await assert.rejects(loading, { name: 'AbortError' });
  await Promise.all(threads.map(ended));
  assert.equal(threads.length, 3);
});
