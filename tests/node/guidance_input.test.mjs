// A model whose network takes the guidance scale: what it says of itself, and what is refused by name.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { load } from 'pocket-diffusion';
import { modelPaths } from '../native_pictures.mjs';

let model;
before(async () => { model = await load(modelPaths.tiny_guided); });
after(() => model.close());

test('it says that the scale is an input, and which ones it knows', async () => {
  assert.equal(model.info.guidanceIsInput, true);
  assert.deepEqual(model.info.guidanceScaleRange, [0.5, 8]);
  assert.equal(model.info.recommended.sampler, 'lcm');
  const other = await load(modelPaths.tiny);
  assert.equal(other.info.guidanceIsInput, false);
  assert.deepEqual(other.info.guidanceScaleRange, [0, 100]);
  other.close();
});

test('scales outside of the range are refused by name', async () => {
  for (const guidanceScale of [0, 0.49, 8.01, 100]) {
    await assert.rejects(model.generate({ label: 0, guidanceScale }), { name: 'RangeError', argument: 'guidanceScale', message: /0\.5 to 8/ });
  }
  await assert.rejects(model.generate({ label: 0, guidanceWeight: 7.5 }), { name: 'RangeError', argument: 'guidanceWeight', message: /-0\.5 to 7/ });
  const { options } = await model.generate({ label: 0, guidanceWeight: 1, seed: 1 });
  assert.equal(options.guidanceScale, 2);
});

test('what makes guidance from a null prediction is refused by name', async () => {
  const refused = {
    guidanceInterval: [0, 50], guidanceSchedule: 'cosine', negativeLabel: 1, cfgPlusPlus: true, projection: true, momentum: 0.5,
    normThreshold: 2, rescale: 0.7,
  };
  for (const [argument, value] of Object.entries(refused)) {
    const asked = { label: 0, seed: 1, sampler: 'ddim', [argument]: value };
    await assert.rejects(model.generate(asked), { name: 'RangeError', argument, message: /guidance scale/ }, argument);
  }
  await model.generate({ label: 0, seed: 1, guidanceInterval: [0, model.info.timesteps - 1], rescale: 0, projection: false, negativeLabel: null });
});

test('a trace has one prediction a step and no null one', async () => {
  const { trace } = await model.generate({ label: 1, seed: 1, steps: 2, trace: true });
  assert.equal(trace.length, 2);
  for (const step of trace) {
    assert.ok(step.conditional.norm > 0);
    assert.ok(!step.null && !step.difference);
    // predict() is at the recommended scale, which is that of this run.
    assert.deepEqual(step.conditional.values, await model.predict(step.x.values, step.timestep, 1));
  }
  await assert.rejects(model.predict(trace[0].x.values, 50, null), { code: 'LABEL' });
});

test('a recipe brings the scale back', async () => {
  const first = await model.generate({ label: 2, seed: 3, guidanceScale: 1.7 });
  const again = await model.generate({ recipe: first.recipe });
  assert.deepEqual(again.pixels, first.pixels);
  assert.equal(again.options.guidanceScale, 1.7);
});

test('slider: every scale of the range makes another picture', async () => {
  const pictures = [];
  for (const guidanceScale of [0.5, 1, 2, 4, 8]) pictures.push(String((await model.generate({ label: 0, seed: 5, guidanceScale })).pixels));
  assert.equal(new Set(pictures).size, pictures.length);
});
