// Every sampler and every kind of guidance: events, abort at every step, batches, and what must be equal.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from 'pocket-diffusion';
import { modelPath, nativeHashes, pixelHash } from '../native_pictures.mjs';
import { tinyBytes } from './helpers.mjs';

const SAMPLERS = ['ddim', 'ddpm', 'dpmpp-2m', 'dpmpp-2m-sde', 'euler', 'euler-ancestral', 'heun', 'unipc', 'lcm'];
const STEPS = 4;
const model = await load(tinyBytes);
const last = model.info.timesteps - 1;
const generate = (options) => model.generate({ label: 1, seed: 6, steps: STEPS, ...options });
const pixels = async (options) => (await generate(options)).pixels;

const GUIDANCE = [
  { guidanceScale: 1 }, { guidanceScale: 0 }, { momentum: -0.5, projection: true }, { normThreshold: 0.5 },
  { guidanceInterval: [20, 60] }, { guidanceSchedule: 'cosine' }, { negativeLabel: 'circle' }, { dynamicThreshold: 0.9 },
];

for (const sampler of SAMPLERS) {
  const evaluations = sampler === 'heun' ? 2 * STEPS - 1 : STEPS;

  test(`${sampler}: one event for each network call, and x_0 is where it ends`, async () => {
    for (const timeGrid of ['linear', 'quadratic', 'trailing', 'karras']) {
      const events = [];
      const picture = await generate({ sampler, timeGrid, onStep: (event) => events.push(event) });
      assert.deepEqual(events.map(({ step, steps }) => [step, steps]), Array.from({ length: evaluations }, (_, i) => [i + 1, evaluations]));
      const times = events.map(({ timestep }) => timestep);
      assert.equal(times[0], last);
      assert.equal(new Set(times).size, STEPS);
      assert.deepEqual(times, [...times].sort((a, b) => b - a));
      assert.deepEqual(events.at(-1).preview.pixels, picture.pixels);
    }
  });

  test(`${sampler}: aborted at any step, it leaves the model as it was`, async () => {
    const options = { sampler, momentum: -0.5, guidanceSchedule: 'linear' };
    const expected = await pixels(options);
    for (let at = 1; at <= evaluations; at++) {
      const controller = new AbortController();
      const reason = new Error('enough');
      await assert.rejects(generate({
        ...options, seed: at, signal: controller.signal, onStep: ({ step }) => { if (step === at) controller.abort(reason); },
      }), reason);
      assert.deepEqual(await pixels(options), expected, `after an abort at step ${at}`);
    }
  });

  test(`${sampler}: pictures of one run are those made one by one, with every kind of guidance`, async () => {
    for (const guidance of GUIDANCE) {
      const seen = [];
      for await (const picture of model.generateMany({ label: [0, 2], count: 3, seed: 1, steps: STEPS, sampler, ...guidance })) seen.push(picture);
      for (const { options: { label, seed }, pixels: made } of seen) {
        assert.deepEqual(await pixels({ sampler, ...guidance, label, seed }), made);
      }
    }
  });

  test(`${sampler}: one step, and as many as there are timesteps`, async () => {
    for (const steps of [1, last + 1]) assert.equal((await pixels({ sampler, steps })).length, 256);
  });
}

test('the samplers make different pictures, but for two pairs that are one method in two forms', async () => {
  const made = Object.fromEntries(await Promise.all(SAMPLERS.map(async (sampler) => [sampler, await pixels({ sampler, eta: 0 })])));
  for (const [a, b] of [['euler', 'ddim'], ['euler-ancestral', 'ddpm']]) { // under the v objective
    assert.ok(made[a].every((value, i) => Math.abs(value - made[b][i]) <= 1), `${a}, ${b}`);
    delete made[a];
  }
  assert.equal(new Set(Object.values(made).map(String)).size, SAMPLERS.length - 2);
});

test('every sampler makes the bytes of native code', async () => {
  const doodles = await load(modelPath);
  const requests = SAMPLERS.map((sampler, label) => ({ label, seed: 30 + label, guidanceScale: 2.5, sampler, steps: 6, eta: 0 }));
  const hashes = [];
  for (const request of requests) hashes.push(pixelHash((await doodles.generate(request)).pixels));
  doodles.close();
  assert.deepEqual(hashes, nativeHashes('native', requests));
});

test('w is s - 1', async () => {
  const picture = await generate({ guidanceWeight: 2.5 });
  assert.equal(picture.options.guidanceScale, 3.5);
  assert.deepEqual(picture.pixels, await pixels({ guidanceScale: 3.5 }));
});

test('what changes nothing changes nothing', async () => {
  const plain = await pixels({});
  for (const options of [
    { guidanceInterval: [0, last] }, { negativeLabel: null }, { normThreshold: 1e6 }, { momentum: 0 }, { keepParallel: 0.5 },
  ]) {
    const made = await pixels(options);
    assert.ok(made.every((value, i) => Math.abs(value - plain[i]) <= (options.normThreshold ? 1 : 0)), JSON.stringify(options));
  }
  assert.deepEqual(await pixels({ guidanceScale: 1, negativeLabel: 0 }), await pixels({ guidanceScale: 1 }));
});

test('outside the guidance interval only the conditional prediction is used', async () => {
  const { options } = await generate({ guidanceInterval: [0, 0] });
  assert.deepEqual(options.guidanceInterval, [0, 0]);
  assert.deepEqual(await pixels({ guidanceInterval: [1, 2] }), await pixels({ guidanceScale: 1 })); // no step is there
});

test('intervals by name are those of the documentation, and are resolved to timesteps', async () => {
  const tenths = (from, to) => [Math.round(from * (last + 1)), Math.round(to * (last + 1))];
  for (const [name, interval] of Object.entries({ all: [0, last], diverse: tenths(0.5, 0.7) })) {
    const { options, pixels: made } = await generate({ guidanceInterval: name });
    assert.deepEqual(options.guidanceInterval, interval);
    assert.deepEqual(made, await pixels({ guidanceInterval: interval }));
  }
});

test('the resolved options make the same picture again', async () => {
  for (const guidance of [...GUIDANCE, { cfgPlusPlus: true }]) {
    const { options: { labelName, ...options }, pixels: made } = await generate(guidance);
    assert.deepEqual((await model.generate(options)).pixels, made, labelName);
  }
});
