// Editing and class mixing: what must be exact, abort at every step, batches, workers, refusals.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from 'pocket-diffusion';
import { SAMPLER_NAMES } from '../../web/library/options.mjs';
import { tinyBytes } from './helpers.mjs';

const MULTISTEP = ['dpmpp-2m', 'dpmpp-2m-sde', 'unipc'];
const STEPS = 4;

const model = await load(tinyBytes);
const { width, height, channels, networkChannels, networkHeight, networkWidth } = model.info;
const values = networkChannels * networkHeight * networkWidth;
const generate = (options) => model.generate({ label: 1, seed: 6, steps: STEPS, ...options });
const pixels = async (options) => (await generate(options)).pixels;

const image = { width, height, channels, pixels: Uint8Array.from({ length: width * height }, (_, i) => i % 256) };
/** Odd sides: not aligned to the blocks of pixel unshuffle. */
const mask = { width, height, pixels: Uint8Array.from({ length: width * height }, (_, i) => (i % width > 4 && i / width > 6 ? 255 : 0)) };
const noise = Float32Array.from({ length: values }, (_, i) => Math.sin(i * i));
const mix = [{ label: 'circle', weight: 0.7 }, { label: 2, weight: 0.3 }];

const FEATURES = {
  SDEdit: { image, strength: 0.7 },
  inpainting: { image, mask },
  'inpainting from an image': { image, mask, strength: 0.5 },
  RePaint: { image, mask, resample: 3 },
  variation: { variationSeed: 9, variationStrength: 0.2 },
  'given noise': { noise },
  'mixed embeddings': { label: undefined, classMix: mix },
  'mixed predictions': { label: undefined, classMix: mix, mixMode: 'prediction' },
};
const goes = (sampler, { resample = 1 }) => resample === 1 || !MULTISTEP.includes(sampler);

test('strength 0 gives the image back, with every sampler', async () => {
  for (const sampler of SAMPLER_NAMES) {
    let events = 0;
    const picture = await generate({ sampler, image, strength: 0, onStep: () => events++ });
    assert.deepEqual(picture.pixels, image.pixels);
    assert.equal(events, 0);
  }
});

test('strength says how many steps are made', async () => {
  for (const [strength, expected] of [[1, 10], [0.5, 5], [0.45, 5], [0.34, 3], [0.25, 3], [0.04, 0]]) {
    const times = [];
    await generate({ image, strength, steps: 10, onStep: ({ timestep }) => times.push(timestep) });
    assert.deepEqual(times, [99, 89, 79, 69, 59, 49, 39, 29, 19, 9].slice(10 - expected));
  }
  assert.equal((await generate({ image })).options.strength, 0.5);
  assert.equal((await generate({ image, mask })).options.strength, 1);
});

test('kept pixels come back as they were, with every sampler, resampled or not', async () => {
  const kept = (made) => made.every((value, i) => mask.pixels[i] === 255 || value === image.pixels[i]);
  for (const sampler of SAMPLER_NAMES) {
    for (const feature of ['inpainting', 'inpainting from an image', 'RePaint']) {
      if (!goes(sampler, FEATURES[feature])) continue;
      const previews = [];
      const made = await pixels({ sampler, ...FEATURES[feature], onStep: ({ preview }) => previews.push(preview.pixels) });
      assert.ok(kept(made), `${sampler}, ${feature}`);
      assert.ok(previews.every(kept) || sampler === 'heun');
      assert.notDeepEqual(made, image.pixels);
    }
  }
});

test('masks of one level', async () => {
  const all = (level) => ({ width, height, pixels: new Uint8Array(width * height).fill(level) });
  assert.deepEqual(await pixels({ image, mask: all(0) }), image.pixels);
  assert.deepEqual(await pixels({ image, mask: all(255) }), await pixels({}));
});

test('resampling repeats every step but the last', async () => {
  for (const [sampler, resample, expected] of [['ddim', 3, 10], ['ddpm', 1, 4], ['heun', 1, 7], ['heun', 2, 13]]) {
    const events = [];
    await generate({ sampler, image, mask, resample, onStep: (event) => events.push(event) });
    assert.deepEqual(events.map(({ step, steps }) => [step, steps]), Array.from({ length: expected }, (_, i) => [i + 1, expected]));
  }
});

test('the ends of the interpolation are the two noises', async () => {
  for (const sampler of ['ddim', 'ddpm']) {
    assert.deepEqual(await pixels({ sampler, variationSeed: 9, variationStrength: 0 }), await pixels({ sampler }));
  }
  assert.deepEqual(await pixels({ variationSeed: 9, variationStrength: 1 }), await pixels({ seed: 9 }));
  const between = await pixels({ variationSeed: 9, variationStrength: 0.5 });
  assert.notDeepEqual(between, await pixels({}));
  assert.notDeepEqual(between, await pixels({ seed: 9 }));
});

test('a class with all of the weight is that class alone', async () => {
  const alone = [{ label: 0, weight: 0 }, { label: 1, weight: 0.25 }];
  for (const sampler of SAMPLER_NAMES) {
    for (const mixMode of ['embedding', 'prediction']) {
      assert.deepEqual(await pixels({ sampler, label: undefined, classMix: alone, mixMode }), await pixels({ sampler }));
    }
  }
  const { options } = await generate({ label: undefined, classMix: mix });
  assert.equal(options.label, null);
  assert.equal(options.labelName, 'circle:0.7+triangle:0.3');
  const [embedding, prediction] = [await pixels({ label: null, classMix: mix }), await pixels({ label: null, classMix: mix, mixMode: 'prediction' })];
  assert.notDeepEqual(embedding, prediction);
});

test('weights count by their proportion', async () => {
  const scaled = mix.map(({ label, weight }) => ({ label, weight: 4 * weight }));
  assert.deepEqual(await pixels({ label: undefined, classMix: scaled }), await pixels({ label: undefined, classMix: mix }));
});

for (const [name, feature] of Object.entries(FEATURES)) {
  test(`${name}: aborted at any step, it leaves the model as it was`, async () => {
    for (const sampler of SAMPLER_NAMES.filter((each) => goes(each, feature))) {
      let total = 0;
      const expected = await pixels({ sampler, ...feature, onStep: ({ steps }) => { total = steps; } });
      for (let at = 1; at <= total; at++) {
        const controller = new AbortController();
        const reason = new Error('enough');
        await assert.rejects(generate({
          sampler, ...feature, seed: at, signal: controller.signal, onStep: ({ step }) => { if (step === at) controller.abort(reason); },
        }), reason);
        assert.deepEqual(await pixels({ sampler, ...feature }), expected, `${sampler}, after an abort at step ${at}`);
      }
    }
  });

  test(`${name}: pictures of one run are those made one by one`, async () => {
    for (const sampler of ['ddpm', 'heun']) {
      const { label: _label, ...rest } = { label: 1, sampler, steps: STEPS, ...feature };
      const shown = feature.classMix ? {} : { label: [0, 2] };
      for await (const { options: { label, seed, variationSeed }, pixels: made } of model.generateMany({ ...rest, ...shown, count: 3, seed: 1 })) {
        assert.deepEqual(await pixels({ ...rest, label, seed, variationSeed }), made);
      }
    }
  });

  test(`${name}: the resolved options make the same picture again`, async () => {
    const { options: { labelName, ...options }, pixels: made } = await generate({ sampler: 'ddpm', ...feature });
    assert.deepEqual((await model.generate(options)).pixels, made, labelName);
  });
}

test('inversion: aborted at any step, it leaves the model as it was', async () => {
  const invert = (options) => model.invert({ label: 1, image, steps: STEPS, ...options });
  const expected = await invert({ iterations: 2 });
  for (let at = 1; at <= 2 * STEPS; at++) {
    const controller = new AbortController();
    await assert.rejects(invert({ iterations: 2, signal: controller.signal, onStep: ({ step }) => { if (step === at) controller.abort(new Error('enough')); } }), /enough/);
    assert.deepEqual(await invert({ iterations: 2 }), expected, `after an abort at step ${at}`);
  }
  assert.equal(expected.noise.length, values);
});

test('inversion: the noise makes the picture again, better with more steps and more iterations', async () => {
  const drawing = await generate({ steps: 50, guidanceScale: 1 });
  const errorOf = async (options) => {
    const { options: { labelName: _name, ...again } } = await model.invert({ label: 1, image: drawing, ...options });
    const made = (await model.generate(again)).pixels;
    return made.reduce((sum, value, i) => sum + Math.abs(value - drawing.pixels[i]), 0) / made.length;
  };
  const [few, many, iterated] = [await errorOf({ steps: 10 }), await errorOf({ steps: 100 }), await errorOf({ steps: 10, iterations: 4 })];
  assert.ok(many < few / 2, `${few}, ${many}`);
  assert.ok(iterated < few, `${few}, ${iterated}`);
});

test('variations count up the variation seed, other pictures the seed', async () => {
  const seedsOf = async (options) => {
    const seeds = [];
    for await (const picture of model.generateMany({ label: 0, steps: 1, count: 3, seed: 4, ...options })) {
      seeds.push([picture.options.seed, picture.options.variationSeed]);
    }
    return seeds;
  };
  assert.deepEqual(await seedsOf({ variationSeed: 7n, variationStrength: 0.1 }), [[4, 7n], [4, 8n], [4, 9n]]);
  assert.deepEqual(await seedsOf({ variationSeed: 7 }), [[4, 7], [5, 7], [6, 7]]);
});

test('in workers the same', async () => {
  const pool = await load(tinyBytes, { workers: 2 });
  try {
    for (const feature of Object.values(FEATURES)) {
      const request = { label: 1, seed: 6, steps: STEPS, ...feature };
      assert.deepEqual((await pool.generate(request)).pixels, await pixels(feature));
      const { label, ...rest } = request;
      let index = 0;
      for await (const picture of pool.generateMany({ ...rest, ...(label === undefined ? {} : { label }), count: 5 })) {
        if (index++ === 0) assert.deepEqual(picture.pixels, await pixels(feature));
      }
      assert.equal(index, 5);
    }
    const request = { label: 1, image, steps: STEPS };
    assert.deepEqual(await pool.invert(request), await model.invert(request));
  } finally {
    pool.close();
  }
});

test('what the caller does to its arrays afterwards changes nothing', async () => {
  const mine = { ...image, pixels: image.pixels.slice() };
  const promise = generate({ image: mine });
  mine.pixels.fill(0);
  const picture = await promise;
  assert.deepEqual(picture.pixels, await pixels({ image }));
  assert.deepEqual(picture.options.image.pixels, image.pixels);
});

// ---- refusals

async function refuses(promise, ErrorType, argument, pattern = /./) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.constructor, ErrorType, error.message);
    assert.equal(error.argument, argument);
    assert.ok(error.message.startsWith(`${argument}: `), error.message);
    assert.match(error.message, pattern);
    return true;
  });
}

const REFUSED = [
  [{ strength: 0.5 }, RangeError, 'strength', /image/],
  [{ image, strength: -0.1 }, RangeError, 'strength'],
  [{ image, strength: NaN }, RangeError, 'strength'],
  [{ image, strength: '1' }, TypeError, 'strength'],
  [{ image: image.pixels }, RangeError, 'image', /16 x 16/],
  [{ image: 'cat.png' }, TypeError, 'image'],
  [{ image: { ...image, width: 8 } }, RangeError, 'image', /16 x 16.*8 x 16/],
  [{ image: { ...image, channels: 3 } }, RangeError, 'image', /1 channel/],
  [{ image: { ...image, pixels: image.pixels.subarray(1) } }, RangeError, 'image', /256/],
  [{ image: { ...image, pixels: [...image.pixels] } }, TypeError, 'image', /Uint8Array/],
  [{ mask }, RangeError, 'mask', /image/],
  [{ image, mask: image }, RangeError, 'mask', /row 0, column 1 is 1/],
  [{ image, mask: { ...mask, height: 4 } }, RangeError, 'mask'],
  [{ image, resample: 2 }, RangeError, 'resample', /mask/],
  [{ image, mask, resample: 0 }, RangeError, 'resample'],
  [{ image, mask, resample: 101 }, RangeError, 'resample'],
  [{ image, mask, resample: 1.5 }, RangeError, 'resample'],
  ...MULTISTEP.map((sampler) => [{ image, mask, resample: 2, sampler }, RangeError, 'resample', new RegExp(sampler)]),
  [{ noise: noise.subarray(1) }, RangeError, 'noise', /256 numbers \(4 x 8 x 8\), not 255/],
  [{ noise: Float32Array.from(noise, (x, i) => (i === 4 ? NaN : x)) }, RangeError, 'noise', /number 4 is NaN/],
  [{ noise: [...noise] }, TypeError, 'noise'],
  [{ variationStrength: 0.5 }, RangeError, 'variationStrength', /variationSeed/],
  [{ variationSeed: 1, variationStrength: 1.1 }, RangeError, 'variationStrength'],
  [{ variationSeed: -1 }, RangeError, 'variationSeed'],
  [{ variationSeed: '1' }, TypeError, 'variationSeed'],
  [{ classMix: mix }, TypeError, 'label', /classMix/],
  [{ label: undefined, classMix: mix.slice(1) }, RangeError, 'classMix', /2 to 8/],
  [{ label: undefined, classMix: Array(9).fill(mix[0]) }, RangeError, 'classMix', /2 to 8/],
  [{ label: undefined, classMix: {} }, TypeError, 'classMix'],
  [{ label: undefined, classMix: ['circle', 'square'] }, TypeError, 'classMix'],
  [{ label: undefined, classMix: [mix[0], { label: 'squar', weight: 1 }] }, RangeError, 'classMix', /"square"/],
  [{ label: undefined, classMix: [mix[0], { label: 1, weight: -1 }] }, RangeError, 'classMix'],
  [{ label: undefined, classMix: [mix[0], { label: 1, weight: Infinity }] }, RangeError, 'classMix'],
  [{ label: undefined, classMix: [mix[0], { label: 1, wait: 1 }] }, TypeError, 'classMix', /"weight"/],
  [{ label: undefined, classMix: mix.map(({ label }) => ({ label, weight: 0 })) }, RangeError, 'classMix', /0 alone/],
  [{ mixMode: 'pixels' }, RangeError, 'mixMode'],
  [{ mixMode: 1 }, TypeError, 'mixMode'],
];

test('every option out of range is refused by name', async () => {
  for (const [options, ErrorType, argument, pattern] of REFUSED) {
    await refuses(generate(options), ErrorType, argument, pattern);
    await refuses(model.generateMany({ label: 1, steps: 1, ...options }).next(), ErrorType, argument, pattern);
  }
});

test('inversion refuses what it cannot use', async () => {
  const invert = (options) => model.invert({ label: 1, image, steps: 1, ...options });
  await refuses(invert({ image: undefined }), TypeError, 'image');
  await refuses(invert({ image: null }), TypeError, 'image');
  await refuses(invert({ image: { ...image, width: 3 } }), RangeError, 'image');
  await refuses(invert({ label: 3 }), RangeError, 'label');
  for (const iterations of [0, 101, 1.5]) await refuses(invert({ iterations }), RangeError, 'iterations');
  for (const key of ['sampler', 'eta', 'seed', 'strength', 'mask', 'noise', 'resample', 'variationSeed', 'cfgPlusPlus', 'dynamicThreshold']) {
    await refuses(invert({ [key]: 1 }), TypeError, 'options', new RegExp(`"${key}"`));
  }
  await refuses(generate({ iterations: 2 }), TypeError, 'options', /"iterations"/);
  await refuses(model.invert(undefined), TypeError, 'options');
});
