// What a run shows of itself. The numbers are compared with PyTorch in tests/parity/test_sampling.py.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from 'pocket-diffusion';
import { SAMPLER_NAMES } from '../../web/library/options.mjs';
import { doodlesPath, tinyBytes } from './helpers.mjs';

const OPTIONS = { label: 1, seed: 3, steps: 4, guidanceScale: 3, sampler: 'ddim' };
const PLANES = ['x', 'x0', 'conditional', 'null', 'difference'];
const model = await load(tinyBytes);

test('a trace changes no pixel, and without the option there is none', async () => {
  for (const sampler of SAMPLER_NAMES) {
    const plain = await model.generate({ ...OPTIONS, sampler });
    assert.equal(plain.trace, undefined);
    const traced = await model.generate({ ...OPTIONS, sampler, trace: true });
    assert.deepEqual(traced.pixels, plain.pixels, sampler);
    assert.deepEqual(traced.recipe, plain.recipe, 'nothing of it is in the recipe');
    assert.equal(traced.trace.length, sampler === 'heun' ? 7 : 4);
    assert.deepEqual(traced.trace.at(-1).x0.pixels, plain.pixels, `${sampler}: the last estimate is the picture`);
    for (const step of traced.trace) assert.ok(PLANES.every((name) => step[name].values.length === 256), sampler);
  }
});

test('predictions are those of predict, x_t that of the events', async () => {
  const events = [];
  const { trace } = await model.generate({ ...OPTIONS, trace: true, state: true, preview: true, onStep: (event) => events.push(event) });
  for (const [index, step] of trace.entries()) {
    const { x, conditional, null: unconditional, difference, x0, timestep } = step;
    assert.equal(events[index].trace, step);
    assert.equal(events[index].timestep, timestep);
    assert.deepEqual(x0.pixels, events[index].preview.pixels);
    if (index > 0) assert.deepEqual(x.values, events[index - 1].state);
    assert.deepEqual(conditional.values, await model.predict(x.values, timestep, 1));
    assert.deepEqual(unconditional.values, await model.predict(x.values, timestep, null));
    assert.deepEqual(difference.values, conditional.values.map((value, i) => value - unconditional.values[i]));
  }
});

test('norms, ranges and pictures of the planes', async () => {
  const { width, pixelUnshuffle: r, networkWidth, networkHeight } = model.info;
  /** Of the one channel. */
  const placeOf = (pixel) => {
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    return (((y % r) * r + (x % r)) * networkHeight + Math.floor(y / r)) * networkWidth + Math.floor(x / r);
  };
  const { trace } = await model.generate({ ...OPTIONS, trace: true });
  for (const step of trace) {
    for (const name of PLANES) {
      const { values, norm, range, pixels } = step[name];
      assert.ok(Math.abs(norm - Math.hypot(...values)) < 1e-9 * norm);
      assert.equal(range, name.startsWith('x') ? 1 : Math.max(...values.map(Math.abs)));
      pixels.forEach((pixel, index) => {
        const shade = Math.min(1, Math.max(0, (values[placeOf(index)] / range + 1) / 2)) * 255;
        assert.ok(Math.abs(pixel - shade) <= 0.501, name);
      });
    }
  }
});

test('what was not asked of the network is null', async () => {
  const has = async (options) => (await model.generate({ ...OPTIONS, ...options, trace: true })).trace.map((step) =>
    ['conditional', 'null', 'difference'].map((name) => (step[name] ? 1 : 0)).join(''));
  assert.deepEqual(await has({ guidanceScale: 1 }), ['100', '100', '100', '100']);
  assert.deepEqual(await has({ guidanceScale: 0 }), ['010', '010', '010', '010']);
  assert.deepEqual(await has({ guidanceInterval: [40, 80] }), ['100', '111', '111', '100']);
  const { trace } = await model.generate({ ...OPTIONS, negativeLabel: 0, trace: true });
  assert.deepEqual(trace[0].null.values, await model.predict(trace[0].x.values, trace[0].timestep, 0));
});

test('workers, several pictures together and pixel unshuffle: the same traces', async () => {
  const alone = await load(doodlesPath);
  const spread = await load(doodlesPath, { workers: 2 });
  const guided = { steps: 2, trace: true };
  const request = { ...guided, label: ['cat', 'flower'], count: 3, seed: 1 };
  let index = 0;
  for await (const picture of spread.generateMany(request)) {
    const expected = await alone.generate({ ...guided, label: picture.options.label, seed: picture.options.seed });
    assert.deepEqual(picture.trace, expected.trace);
    assert.equal(picture.trace[0].difference.pixels.length, 32 * 32);
    index++;
  }
  assert.equal(index, 6);
  alone.close();
  spread.close();
});

test('wrong types are refused', async () => {
  await assert.rejects(model.generate({ ...OPTIONS, trace: 1 }), { name: 'TypeError', argument: 'trace' });
});

test('with editing: every call of RePaint, none at strength 0, a mixture of predictions as their sum', async () => {
  const pixels = Uint8Array.from({ length: 256 }, (_, index) => index);
  const image = { width: 16, height: 16, pixels };
  const mask = { width: 16, height: 16, pixels: pixels.map((index) => (index % 16 > 4 ? 255 : 0)) };
  const states = [];
  const options = { ...OPTIONS, image, mask, resample: 3, trace: true, state: true, onStep: ({ state }) => states.push(state) };
  const { trace } = await model.generate(options);
  assert.equal(trace.length, 10);
  assert.deepEqual(trace.slice(1).map(({ x }) => x.values), states.slice(0, -1));
  for (const { x, timestep, conditional } of trace) assert.deepEqual(conditional.values, await model.predict(x.values, timestep, 1));
  for (const { x0 } of trace) assert.ok(mask.pixels.every((level, index) => level === 255 || x0.pixels[index] === pixels[index]));

  assert.deepEqual((await model.generate({ ...OPTIONS, image, strength: 0, trace: true })).trace, []);

  const classMix = [{ label: 0, weight: 3 }, { label: 2, weight: 1 }];
  const mixed = await model.generate({ ...OPTIONS, label: undefined, classMix, mixMode: 'prediction', trace: true });
  for (const { x, timestep, conditional } of mixed.trace) {
    const [first, second] = [await model.predict(x.values, timestep, 0), await model.predict(x.values, timestep, 2)];
    conditional.values.forEach((value, i) => assert.ok(Math.abs(value - (0.75 * first[i] + 0.25 * second[i])) < 1e-5));
  }
});
