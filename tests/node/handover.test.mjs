// Pictures that one worker begins and another one finishes: the same bytes, previews and traces as without a change of hands.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, mock, test } from 'node:test';
import { load } from 'pocket-diffusion';
import { ModelHost } from '../../web/library/host.mjs';
import { SAMPLER_NAMES } from '../../web/library/options.mjs';
import { checkGenerateBatchOptions } from '../../web/library/validate.mjs';
import { isBuilt, modelPaths, nativeHashes, optionsOf, pixelHash, requests } from '../native_pictures.mjs';
import { tinyBytes, wasmPath } from './helpers.mjs';

const VIEWS = { preview: true, state: true, trace: true };
const local = await load(tinyBytes);
const module = new WebAssembly.Module(readFileSync(wasmPath));

/** Two instances with the same model. */
async function openTwo(bytes) {
  const both = [new ModelHost(), new ModelHost()];
  for (const host of both) await host.open(module, bytes);
  return both;
}
const hosts = await openTwo(tinyBytes);
afterEach(() => mock.restoreAll());

/** A request to a ModelHost for pictures of `options`. */
function requestOf(options, pictures, { info, labels } = local) {
  const { all } = checkGenerateBatchOptions({ ...options, pictures }, info, labels);
  const { label: _label, labelName: _name, seed: _seed, variationSeed: _variation, ...shared } = all[0];
  return { pictures: all, ...shared, inversion: 0, preview: false, state: false, trace: false };
}

/** Every look at the clock takes 10 milliseconds, so that no run is nearly finished before its last step. */
function slowClock() {
  let now = 0;
  mock.method(performance, 'now', () => (now += 10));
}

/** Begins with one host and goes on with the next one after each of `changes`, numbers of steps; the events are collected. */
async function handOver(all, request, changes, events = []) {
  let saved = [];
  for (let part = 0; part <= changes.length; part++) {
    const pause = new AbortController();
    if (changes[part] === (changes[part - 1] ?? 0)) pause.abort(); // no step in between
    const onStep = (each) => {
      events.push(each);
      if (each[0].step === changes[part]) pause.abort();
    };
    const outcome = await all[part % all.length].generate({ ...request, saved }, { onStep, pause: pause.signal });
    if (part === changes.length) return outcome;
    assert.deepEqual([outcome.pixels, outcome.noise], [[], []]);
    assert.equal(outcome.saved.length, request.pictures.length);
    saved = outcome.saved;
  }
  return null;
}

test('pictures and events with a change of hands after any step', async () => {
  slowClock();
  for (const sampler of SAMPLER_NAMES) {
    const request = { ...requestOf({ steps: 4, sampler, eta: 1, guidanceScale: 3, momentum: -0.5 }, [{ label: 0, seed: 5 }, { label: 2, seed: 6 }]), ...VIEWS };
    const steps = [];
    const { pixels } = await handOver(hosts, request, [], steps);
    for (let change = 0; change < steps.length; change++) {
      const events = [];
      const outcome = await handOver(hosts, request, [change, Math.min(change + 1, steps.length - 1)], events);
      assert.deepEqual(outcome.pixels, pixels, `${sampler}, after ${change}`);
      assert.deepEqual(events, steps, `${sampler}, after ${change}`);
    }
  }
});

test('pictures that take turns, begun together and finished by themselves', async () => {
  slowClock();
  const request = requestOf({ label: 0, steps: 6 }, [{ seed: 5 }, { seed: 6 }, { seed: 7 }]);
  const { pixels } = await hosts[0].generate(request);
  for (const most of [1, 2, 3, 4]) {
    const pause = new AbortController();
    const events = [];
    const onStep = (each) => {
      events.push(each.map(({ step }) => step));
      if (events.length === 3) pause.abort();
    };
    const { saved } = await hosts[0].generate({ ...request, most }, { onStep, pause: pause.signal });
    assert.deepEqual(events, [[1, 1, 1], [2, 2, 2], [3, 3, 3]]);
    for (const [index, picture] of request.pictures.entries()) {
      const finished = await hosts[1].generate({ ...request, pictures: [picture], saved: [saved[index]] });
      assert.deepEqual(finished.pixels, [pixels[index]], `${most} at a time, picture ${index}`);
    }
    assert.deepEqual((await hosts[1].generate({ ...request, most, saved })).pixels, pixels);
  }
});

test('the native program, which changes no hands, makes the same pictures', { skip: !isBuilt('native') && 'build/native is not there' }, async () => {
  const asked = requests.filter(({ model, steps }) => ['tiny', 'tiny_colour'].includes(model) && steps > 1);
  assert.ok(asked.length > 5);
  const hashes = nativeHashes('native', asked);
  slowClock();
  for (const name of ['tiny', 'tiny_colour']) {
    const bytes = new Uint8Array(readFileSync(modelPaths[name]));
    const model = await load(bytes);
    const both = await openTwo(bytes);
    for (const [index, request] of asked.entries()) {
      if (request.model !== name) continue;
      const { pixels } = await handOver(both, requestOf(optionsOf(request, model.info), [{}], model), [Math.floor(request.steps / 2)]);
      assert.equal(pixelHash(pixels[0]), hashes[index], JSON.stringify(request));
    }
    model.close();
  }
});

test('nearly finished runs go on to their end', async () => {
  let now = 0;
  mock.method(performance, 'now', () => (now += 1)); // a step takes one millisecond
  const request = requestOf({ label: 0, steps: 20 }, [{ seed: 5 }]);
  for (const [change, left] of [[5, 15], [12, 8], [13, 7], [19, 1]]) {
    const pause = new AbortController();
    const onStep = ([{ step }]) => { if (step === change) pause.abort(); };
    const { pixels, saved } = await hosts[0].generate(request, { onStep, pause: pause.signal });
    assert.deepEqual([pixels.length, saved.length], left >= 8 ? [0, 1] : [1, 0], `${left} steps left`);
  }
});

test('what was saved from something else, or damaged, is refused, and the next run is as it was', async () => {
  slowClock();
  const request = requestOf({ label: 0, steps: 4 }, [{ seed: 5 }]);
  const { pixels } = await hosts[0].generate(request);
  const pause = new AbortController();
  pause.abort();
  const { saved: [bytes] } = await hosts[0].generate(request, { pause: pause.signal });
  const damaged = bytes.slice();
  damaged[100] ^= 1;
  for (const [saved, changed, code] of [
    [[damaged], {}, 'SAVED'], [[bytes], { guidanceScale: 2 }, 'SAVED'], [[bytes], { pictures: [{ label: 0, seed: 6, variationSeed: null }] }, 'SAVED'],
    [[bytes.subarray(1)], {}, 'BUFFER'], [[new Uint8Array([...bytes, 0])], {}, 'BUFFER'], [[new Uint8Array(0)], {}, 'BUFFER'],
  ]) {
    await assert.rejects(hosts[1].generate({ ...request, ...changed, saved }), { name: 'PocketDiffusionError', code });
    assert.deepEqual((await hosts[1].generate(request)).pixels, pixels);
  }
});

/** The sheets of models with several workers, and how often their batches were divided. */
async function draw(model, options) {
  const pictures = [];
  const events = [];
  const onStep = ({ index, ...event }) => { (events[index] ??= []).push(event); };
  for await (const { pixels, trace } of model.generateMany({ ...options, onStep })) pictures.push({ pixels, trace });
  return { pictures, events };
}

/** Counts the batches that came back unfinished, of the threads of node:worker_threads that start from now on. */
function countDivided() {
  const count = { divided: 0 };
  process.on('worker', (thread) => thread.on('message', ({ type, value }) => {
    if (type === 'result' && value?.saved?.length > 0) count.divided++;
  }));
  return count;
}

// A step of the tiny network takes about a millisecond, so that 60 of them are worth sharing.
const SHEET = { label: 0, seed: 40, steps: 60, sampler: 'ddim', eta: 1, preview: true };

test('sheets on several workers: the pictures and events of one', { timeout: 60_000 }, async () => {
  const count = countDivided();
  for (const [workers, pictures] of [[2, 3], [2, 9], [3, 4]]) {
    const options = { ...SHEET, count: pictures, trace: pictures === 3 };
    const alone = await draw(local, options);
    const model = await load(tinyBytes, { workers });
    try {
      for (let round = 0; round < 3; round++) assert.deepEqual(await draw(model, options), alone, `${pictures} pictures, ${workers} workers`);
    } finally {
      model.close();
    }
  }
  assert.ok(count.divided > 0, 'no batch was divided');
});

test('abort, and a worker that ends, while batches are divided', { timeout: 60_000 }, async () => {
  const threads = [];
  process.on('worker', (thread) => threads.push(thread));
  const model = await load(tinyBytes, { workers: 2 });
  const alone = await draw(local, { ...SHEET, count: 3 });
  try {
    for (const end of ['abort', 'kill', 'abort', 'kill']) {
      assert.deepEqual(await draw(model, { ...SHEET, count: 3 }), alone);
      const controller = new AbortController();
      const reason = new Error('stop');
      // When the first picture is finished, the batch of the others is divided: they end at the next step that is heard of.
      const ended = [];
      let divided = false;
      const onStep = ({ index, step, steps }) => {
        if (index === 0) divided ||= step === steps;
        else if (divided || step === steps) {
          if (end === 'abort') controller.abort(reason);
          else if (ended.length === 0) ended.push(...threads.map((thread) => thread.terminate()));
        }
      };
      await assert.rejects(async () => {
        for await (const { pixels } of model.generateMany({ ...SHEET, count: 3, onStep, signal: controller.signal })) assert.ok(pixels);
      }, (error) => (end === 'abort' ? error === reason : error.code === 'WORKER'));
      const awake = setInterval(() => {}, 1000); // the threads, idle by now, do not keep the process alive
      await Promise.all(ended); // nobody can know that a worker ends until it has
      clearInterval(awake);
    }
    assert.deepEqual(await draw(model, { ...SHEET, count: 3 }), alone);
  } finally {
    model.close();
  }
});
