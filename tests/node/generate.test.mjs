// Generation: events, abort, calls at the same time, close, traps, PNG.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PocketDiffusionError, encodePNG, load, version } from 'pocket-diffusion';
import { withTrap } from './faulty_modules.mjs';
import { hash, root, tinyBytes, wasmPath } from './helpers.mjs';
import { decodePNG } from './png_reader.mjs';

const STEPS = 5;
const OPTIONS = { label: 'square', seed: 11, steps: STEPS, sampler: 'ddim', eta: 1 };
const expected = (await (await load(tinyBytes)).generate(OPTIONS)).pixels;

test('version is the one of the package', () => {
  assert.equal(version, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version);
});

test('the model describes itself', async () => {
  const model = await load(tinyBytes);
  assert.deepEqual(model.labels, ['circle', 'square', 'triangle']);
  const { alphasCumprod, sha256, memoryBytes, multiplications, ...info } = model.info;
  assert.deepEqual(info, {
    engine: version, name: 'Tiny test model', description: '', license: '', author: '', sourceUrl: '', schedule: 'cosine',
    width: 16, height: 16, channels: 1, pixelUnshuffle: 2, rendering: 'smooth',
    networkWidth: 8, networkHeight: 8, networkChannels: 4, networkOutChannels: 4,
    timesteps: 100, hasNullClass: true, guidanceIsInput: false, guidanceScaleRange: [0, 100], formatVersion: 1, parameterCount: 167500, fileBytes: tinyBytes.length, objective: 'pred_v',
    recommended: { sampler: 'ddim', steps: 20, guidanceScale: 3, eta: 0, timeGrid: 'linear', guidanceInterval: [0, 99], rescale: 0, projection: false },
  });
  assert.equal(sha256, hash(tinyBytes));
  assert.ok(memoryBytes > 0);
  assert.ok(multiplications > 1e6 && multiplications < 1e8);
  assert.equal(alphasCumprod.length, 100);
  assert.ok(alphasCumprod instanceof Float64Array);
  assert.ok(alphasCumprod.every((value, t) => value > 0 && value < (t === 0 ? 1 : alphasCumprod[t - 1])));
  assert.throws(() => model.labels.push('star'), TypeError);
});

test('a picture carries its size, its pixels and every option', async () => {
  const model = await load(tinyBytes);
  const picture = await model.generate({ label: 2, seed: 2n ** 64n - 1n });
  assert.deepEqual([picture.width, picture.height, picture.channels], [16, 16, 1]);
  assert.ok(picture.pixels instanceof Uint8Array);
  assert.equal(picture.pixels.length, 256);
  assert.deepEqual(picture.options, {
    label: 2, labelName: 'triangle', guidanceScale: 3, guidanceInterval: [0, 99], guidanceSchedule: 'constant',
    negativeLabel: null, cfgPlusPlus: false, projection: false, keepParallel: 0, momentum: 0, normThreshold: 0, rescale: 0,
    dynamicThreshold: 0, steps: 20, sampler: 'ddim', timeGrid: 'linear', eta: 0, ddpmMean: 'x0', ddpmVariance: 'posterior',
    seed: 2n ** 64n - 1n, classMix: null, mixMode: 'embedding', image: null, strength: 1, mask: null,
    resample: 1, noise: null, variationSeed: null, variationStrength: 0,
  });
  assert.deepEqual((await model.generate({
    label: picture.options.labelName, seed: picture.options.seed, steps: 20,
  })).pixels, picture.pixels);
});

test('without a seed one is drawn, reported, and makes the same picture again', async () => {
  const model = await load(tinyBytes);
  const [a, b] = [await model.generate({ label: 0, steps: 2 }), await model.generate({ label: 0, steps: 2 })];
  assert.notEqual(a.options.seed, b.options.seed);
  assert.notDeepEqual(a.pixels, b.pixels);
  assert.deepEqual((await model.generate({ label: 0, steps: 2, seed: a.options.seed })).pixels, a.pixels);
});

test('every option changes the picture', async () => {
  const model = await load(tinyBytes);
  const base = { label: 0, seed: 1, steps: 6, sampler: 'ddim', eta: 0, guidanceScale: 3 };
  const hashes = new Set([hash((await model.generate(base)).pixels)]);
  const changes = [
    { label: 1 }, { seed: 2 }, { steps: 7 }, { sampler: 'ddpm' }, { eta: 0.5 }, { guidanceScale: 1 }, { guidanceScale: 0 },
    { projection: true }, { rescale: 0.7 },
  ];
  for (const change of changes) hashes.add(hash((await model.generate({ ...base, ...change })).pixels));
  assert.equal(hashes.size, changes.length + 1);
});

test('onStep sees every step, with previews by default', async () => {
  const model = await load(tinyBytes);
  const events = [];
  const picture = await model.generate({ ...OPTIONS, onStep: (event) => events.push(event) });
  assert.deepEqual(events.map(({ step }) => step), [1, 2, 3, 4, 5]);
  assert.ok(events.every(({ steps }) => steps === STEPS));
  const timesteps = events.map(({ timestep }) => timestep);
  assert.deepEqual(timesteps, [...timesteps].sort((a, b) => b - a));
  assert.equal(timesteps[0], 99);
  for (const { preview, state } of events) {
    assert.deepEqual([preview.width, preview.height, preview.channels, preview.pixels.length], [16, 16, 1, 256]);
    assert.equal(state, undefined);
  }
  assert.notDeepEqual(events[0].preview.pixels, picture.pixels);
  assert.deepEqual(events.at(-1).preview.pixels, picture.pixels);
  assert.deepEqual(picture.pixels, expected);
  await model.generate({ ...OPTIONS, preview: false, state: true, onStep: ({ preview, state }) => {
    assert.equal(preview, undefined);
    assert.ok(state instanceof Float32Array);
    assert.equal(state.length, 256);
  } });
});

test('the next step waits for onStep', async () => {
  const model = await load(tinyBytes);
  let waiting = false;
  await model.generate({ ...OPTIONS, onStep: async () => {
    assert.equal(waiting, false);
    waiting = true;
    await new Promise((resolve) => setTimeout(resolve, 5));
    waiting = false;
  } });
  assert.equal(waiting, false);
});

test('what onStep throws ends the call, and the model stays usable', async () => {
  const model = await load(tinyBytes);
  const failure = new Error('enough');
  await assert.rejects(model.generate({ ...OPTIONS, onStep: () => { throw failure; } }), (error) => error === failure);
  await assert.rejects(model.generate({ ...OPTIONS, onStep: async () => { throw failure; } }), (error) => error === failure);
  assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
});

test('the event loop is served between steps', async () => {
  const model = await load(tinyBytes);
  let turns = 0;
  let running = true;
  const tick = () => { turns++; if (running) setImmediate(tick); };
  setImmediate(tick);
  await model.generate({ ...OPTIONS, steps: 20 });
  running = false;
  assert.ok(turns >= 20, `${turns} turns`);
});

test('an abort at any step ends the call at once with the reason; the next picture is that of a fresh load', async () => {
  const model = await load(tinyBytes);
  for (let at = 0; at <= STEPS; at++) {
    const controller = new AbortController();
    const reason = new Error(`stop at ${at}`);
    let last = 0;
    const call = model.generate({ ...OPTIONS, signal: controller.signal, onStep: ({ step }) => {
      last = step;
      if (step === at) controller.abort(reason);
    } });
    if (at === 0) controller.abort(reason);
    await assert.rejects(call, (error) => error === reason, `step ${at}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(last, at, 'no step after the abort');
    assert.deepEqual((await model.generate(OPTIONS)).pixels, expected, `after an abort at step ${at}`);
  }
});

test('an abort between steps, from outside, rejects before another step is made', async () => {
  const model = await load(tinyBytes);
  const controller = new AbortController();
  let aborted = false;
  const call = model.generate({ label: 0, steps: 100, signal: controller.signal, onStep: ({ step }) => {
    assert.equal(aborted, false);
    if (step === 3) setImmediate(() => { aborted = true; controller.abort(); });
  } });
  await assert.rejects(call, { name: 'AbortError' });
});

test('many calls at once, with one signal: no listener stays, and Node.js does not take them for a leak', async () => {
  const model = await load(tinyBytes);
  const warnings = [];
  const warn = (warning) => warnings.push(warning);
  process.on('warning', warn);
  const controller = new AbortController();
  const calls = Array.from({ length: 20 }, (_, seed) => model.generate({ ...OPTIONS, seed, signal: controller.signal }));
  assert.equal(getEventListeners(controller.signal, 'abort').length, 1);
  await Promise.all(calls);
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
  const stopped = Array.from({ length: 20 }, () => model.generate({ ...OPTIONS, steps: 50, signal: controller.signal }));
  controller.abort(new Error('enough'));
  for (const { reason } of await Promise.allSettled(stopped)) assert.equal(reason?.message, 'enough');
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', warn);
  assert.deepEqual(warnings, []);
  model.close();
});

test('an abort ends a call whose onStep never does', async () => {
  const model = await load(tinyBytes);
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 20);
  const call = model.generate({ ...OPTIONS, onStep: () => new Promise(() => {}), signal: controller.signal });
  await assert.rejects(call, { name: 'AbortError' });
});

test('a signal that is already aborted', async () => {
  const model = await load(tinyBytes);
  const signal = AbortSignal.abort('no');
  await assert.rejects(model.generate({ ...OPTIONS, signal, onStep: assert.fail }), (error) => error === 'no');
  await assert.rejects(load(tinyBytes, { signal }), (error) => error === 'no');
});

test('aborted, closed and finished calls leave no memory behind', async () => {
  const { instantiate } = WebAssembly;
  let memory;
  WebAssembly.instantiate = async (...values) => {
    const instance = await instantiate(...values);
    memory = instance.exports.memory;
    return instance;
  };
  const model = await load(tinyBytes).finally(() => { WebAssembly.instantiate = instantiate; });
  await model.generate({ ...OPTIONS, state: true, onStep() {} });
  const before = memory.buffer.byteLength;
  for (let i = 0; i < 300; i++) {
    const controller = new AbortController();
    const call = model.generate({ ...OPTIONS, state: true, signal: controller.signal, onStep: () => controller.abort() });
    await assert.rejects(call, { name: 'AbortError' });
    await model.generate({ ...OPTIONS, steps: 1 });
  }
  assert.equal(memory.buffer.byteLength, before);
});

test('calls at the same time take turns and do not disturb each other', async () => {
  const model = await load(tinyBytes);
  const order = [];
  const requests = [0, 1, 2].map((label) => ({ ...OPTIONS, label, seed: label, onStep: ({ step }) => order.push([label, step]) }));
  const together = await Promise.all(requests.map((request) => model.generate(request)));
  for (let step = 1; step <= STEPS; step++) {
    const turn = order.slice((step - 1) * 3, step * 3);
    assert.deepEqual(turn.map(([, made]) => made), [step, step, step], 'all make a step before any makes the next');
  }
  for (const [index, request] of requests.entries()) {
    assert.deepEqual(together[index].pixels, (await (await load(tinyBytes)).generate(request)).pixels);
  }
});

test('an abort of one call leaves the others alone; predict comes in between', async () => {
  const model = await load(tinyBytes);
  const x = new Float32Array(256).map((_, index) => Math.sin(index));
  const alone = await model.predict(x, 50, 1);
  const controller = new AbortController();
  const stopped = model.generate({ ...OPTIONS, signal: controller.signal, onStep: ({ step }) => step === 2 && controller.abort() });
  const [, other, prediction] = await Promise.all([
    assert.rejects(stopped, { name: 'AbortError' }), model.generate(OPTIONS), model.predict(x, 50, 'square'),
  ]);
  assert.deepEqual(other.pixels, expected);
  assert.deepEqual(prediction, alone);
});

test('a call may be made from within onStep', async () => {
  const model = await load(tinyBytes);
  let inner;
  const outer = await model.generate({ ...OPTIONS, onStep: async ({ step }) => {
    if (step === 2) inner = await model.generate(OPTIONS);
  } });
  assert.deepEqual(inner.pixels, expected);
  assert.deepEqual(outer.pixels, expected);
});

test('generateMany: order, seeds and events', async () => {
  const model = await load(tinyBytes);
  const events = [];
  const pictures = [];
  const options = { label: ['circle', 2], count: 2, seed: 2 ** 53 - 2, steps: 2, onStep: (event) => events.push(event) };
  for await (const picture of model.generateMany({ ...options, seed: 40 })) pictures.push(picture);
  assert.deepEqual(pictures.map(({ options: used }) => [used.label, used.labelName, used.seed]), [
    [0, 'circle', 40], [0, 'circle', 41], [2, 'triangle', 40], [2, 'triangle', 41],
  ]);
  const ofPicture = (wanted) => events.filter(({ index }) => index === wanted).map(({ count, step }) => [count, step]);
  for (const index of [0, 1, 2, 3]) assert.deepEqual(ofPicture(index), [[4, 1], [4, 2]]);
  assert.equal(events.length, 8);
  for (const picture of pictures) {
    const { label, seed } = picture.options;
    assert.deepEqual(picture.pixels, (await model.generate({ label, seed, steps: 2 })).pixels);
  }
  const seeds = [];
  for await (const picture of model.generateMany({ label: 0, count: 3, seed: 2 ** 53 - 2, steps: 1 })) seeds.push(picture.options.seed);
  assert.deepEqual(seeds, [2 ** 53 - 2, 2 ** 53 - 1, 2n ** 53n]);
});

test('generateBatch: one run, whose pictures are those of runs of their own', async () => {
  const model = await load(tinyBytes);
  const events = [];
  const own = [{ seed: 9 }, { label: 'circle', seed: 2 }, { seed: 9, variationSeed: 4 }, {}];
  const shared = { label: 'square', seed: 5, steps: 2, eta: 1, variationSeed: 3, variationStrength: 0.5 };
  const pictures = await model.generateBatch({ ...shared, pictures: own, onStep: (event) => events.push(event) });
  assert.deepEqual(events.map(({ step, index, count }) => [step, index, count]),
    [1, 2].flatMap((step) => own.map((_, index) => [step, index, 4])));
  assert.deepEqual(pictures.map(({ options: { label, seed, variationSeed } }) => [label, seed, variationSeed]),
    [[1, 9, 3], [0, 2, 3], [1, 9, 4], [1, 5, 3]]);
  for (const [index, picture] of pictures.entries()) {
    const alone = await model.generate({ ...shared, ...own[index] });
    assert.deepEqual(picture.pixels, alone.pixels);
    assert.deepEqual(picture.recipe, alone.recipe);
  }
  const [again] = await model.generateBatch({ recipe: pictures[1].recipe, pictures: [{}] });
  assert.deepEqual(again.pixels, pictures[1].pixels);
});

test('an abort ends generateBatch', async () => {
  const model = await load(tinyBytes);
  const controller = new AbortController();
  const pictures = [{ seed: 1 }, { seed: 2 }];
  const onStep = () => controller.abort();
  await assert.rejects(model.generateBatch({ label: 0, steps: 3, pictures, signal: controller.signal, onStep }), { name: 'AbortError' });
  assert.equal((await model.generateBatch({ label: 0, steps: 1, pictures })).length, 2);
});

test('leaving the loop of generateMany stops the work', async () => {
  const model = await load(tinyBytes);
  let steps = 0;
  for await (const picture of model.generateMany({ label: 0, count: 1000, steps: 2, onStep: () => { steps++; } })) {
    assert.ok(picture);
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(steps, 2);
});

test('an abort ends generateMany between pictures too', async () => {
  const model = await load(tinyBytes);
  const controller = new AbortController();
  const pictures = model.generateMany({ label: 0, count: 5, steps: 2, signal: controller.signal });
  await pictures.next();
  controller.abort();
  await assert.rejects(pictures.next(), { name: 'AbortError' });
  assert.deepEqual(await pictures.next(), { value: undefined, done: true });
});

test('operations and activations: every value of the network, and nothing is changed by it', async () => {
  const model = await load(tinyBytes);
  const x = new Float32Array(256).map((_, index) => Math.sin(index));
  const before = await model.predict(x, 10, 1);
  const operations = await model.operations();
  assert.ok(Object.isFrozen(operations));
  assert.equal(await model.operations(), operations, 'asked for once');
  for (const [index, { shape }] of operations.entries()) {
    const values = await model.activations(x, 10, 1, index);
    assert.equal(values.length, shape.reduce((product, side) => product * side));
    if (operations[index].name === 'x') assert.deepEqual(values, x);
    if (index === operations.length - 1) assert.deepEqual(values, before);
  }
  assert.deepEqual(await model.predict(x, 10, 1), before);
  model.close();
  await assert.rejects(model.activations(x, 10, 1, 0), { code: 'CLOSED' });
});

test('predict: shape, the null class, and a view with an offset', async () => {
  const model = await load(tinyBytes);
  const large = new Float32Array(300).map((_, index) => Math.cos(index));
  const x = large.subarray(13, 13 + 256);
  const prediction = await model.predict(x, 10, 'circle');
  assert.ok(prediction instanceof Float32Array);
  assert.equal(prediction.length, 256);
  assert.deepEqual(await model.predict(x.slice(), 10, 0), prediction);
  assert.notDeepEqual(await model.predict(x, 10, null), prediction);
  assert.notDeepEqual(await model.predict(x, 11, 0), prediction);
  assert.equal(large[13], Math.fround(Math.cos(13)), 'the input is left alone');
});

test('close ends what is pending and what comes after; it may be called twice', async () => {
  const model = await load(tinyBytes);
  const closed = { name: 'PocketDiffusionError', code: 'CLOSED', status: 28, offset: -1 };
  const calls = [
    model.generate({ ...OPTIONS, steps: 100 }),
    model.generate({ ...OPTIONS, onStep: () => new Promise(() => {}) }),
    model.generateMany({ label: 0 }).next(),
    model.predict(new Float32Array(256), 0, 0),
  ].map((call) => assert.rejects(call, closed));
  model.close();
  model.close();
  await Promise.all(calls);
  await assert.rejects(model.generate(OPTIONS), closed);
  await assert.rejects(model.predict(new Float32Array(256), 0, 0), closed);
  assert.equal(model.info.width, 16, 'the description stays');
});

test('close in the middle of a run', async () => {
  const model = await load(tinyBytes);
  const call = model.generate({ ...OPTIONS, onStep: ({ step }) => {
    assert.ok(step <= 2);
    if (step === 2) model.close();
  } });
  await assert.rejects(call, { code: 'CLOSED' });
  await new Promise((resolve) => setTimeout(resolve, 20));
});

test('toPNG holds the pixels, also after close', async () => {
  const model = await load(tinyBytes);
  const picture = await model.generate(OPTIONS);
  model.close();
  const png = await picture.toPNG();
  assert.deepEqual(decodePNG(png), { width: 16, height: 16, channels: 1, pixels: expected });
  assert.equal(hash(await picture.toPNG()), hash(png));
});

test('encodePNG: 1 to 4 channels, odd sides, views with an offset, clamped arrays', async () => {
  for (const channels of [1, 2, 3, 4]) {
    for (const [width, height] of [[1, 1], [7, 5], [64, 33], [300, 2]]) {
      const bytes = new Uint8Array(width * height * channels + 3).map((_, index) => (index * index * 31) >> 3);
      const pixels = bytes.subarray(3);
      assert.deepEqual(decodePNG(await encodePNG({ width, height, channels, pixels })), { width, height, channels, pixels: pixels.slice() });
    }
  }
  const pixels = Uint8ClampedArray.of(0, 128, 255);
  assert.deepEqual([...decodePNG(await encodePNG({ width: 1, height: 1, channels: 3, pixels })).pixels], [0, 128, 255]);
});

test('toRGBA repeats grey and is opaque', async () => {
  const model = await load(tinyBytes);
  const picture = await model.generate(OPTIONS);
  const rgba = picture.toRGBA();
  assert.ok(rgba instanceof Uint8ClampedArray);
  assert.equal(rgba.length, 16 * 16 * 4);
  picture.pixels.forEach((value, index) => {
    assert.deepEqual([...rgba.subarray(index * 4, index * 4 + 4)], [value, value, value, 255]);
  });
});

test('a trap ends the calls of its instance; the next call gets a fresh one', async () => {
  await withTrap('pd_wasm_run_step', 4, async (instances) => {
    const model = await load(tinyBytes);
    const trapped = { name: 'PocketDiffusionError', code: 'TRAP', status: -1 };
    const [one, other] = [model.generate(OPTIONS), model.generate(OPTIONS)];
    await Promise.all([assert.rejects(one, trapped), assert.rejects(other, trapped)]);
    assert.equal(instances(), 1);
    assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
    assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
    assert.equal(instances(), 2);
  });
});

test('a trap while loading rejects load', async () => {
  await withTrap('pd_wasm_model_load', 1, async () => {
    await assert.rejects(load(tinyBytes), (error) => error instanceof PocketDiffusionError && error.code === 'TRAP');
    assert.deepEqual((await (await load(tinyBytes)).generate(OPTIONS)).pixels, expected);
  });
});

test('a trap while encoding does not spoil the next PNG', async () => {
  const wasm = await WebAssembly.compile(readFileSync(wasmPath)); // its own instance
  const image = { width: 2, height: 1, channels: 1, pixels: Uint8Array.of(7, 9) };
  await withTrap('pd_wasm_png_encode', 1, async () => {
    await assert.rejects(encodePNG(image, { wasm }), { code: 'TRAP' });
    assert.deepEqual([...decodePNG(await encodePNG(image, { wasm })).pixels], [7, 9]);
  });
});

test('no memory: an error, not a crash, and the next call works', async () => {
  const { instantiate } = WebAssembly;
  let refuse = 0;
  WebAssembly.instantiate = async (...values) => {
    const { exports } = await instantiate(...values);
    return { exports: { ...exports, pd_wasm_allocate: (size) => exports.pd_wasm_allocate(--refuse === 0 ? 0xffffffff : size) } };
  };
  try {
    const model = await load(tinyBytes);
    refuse = 1;
    await assert.rejects(model.generate(OPTIONS), { code: 'MEMORY', status: 30 });
    assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
  } finally {
    WebAssembly.instantiate = instantiate;
  }
});
