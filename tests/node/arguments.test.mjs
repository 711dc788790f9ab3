// Wrong arguments are TypeError or RangeError that name the argument.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePNG, load } from 'pocket-diffusion';
import { checkGenerateManyOptions, checkGenerateOptions } from '../../web/library/validate.mjs';
import { tinyBytes } from './helpers.mjs';

const model = await load(tinyBytes);
const x = new Float32Array(4 * 8 * 8);

/** Rejects with this type, a message that begins with the argument's name, and, if given, matches the pattern. */
async function refuses(promise, ErrorType, argument, pattern = /./) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.constructor, ErrorType, error.message);
    assert.equal(error.argument, argument);
    assert.ok(error.message.startsWith(`${argument}: `), error.message);
    assert.match(error.message, pattern);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
}

const GENERATE = [
  // option, value, error
  ['label', 1.5, RangeError],
  ['label', -1, RangeError],
  ['label', 3, RangeError, /0 to 2/],
  ['label', NaN, RangeError],
  ['label', Infinity, RangeError],
  ['label', '1', RangeError],
  ['label', '', RangeError],
  ['label', 'Sqare', RangeError, /did you mean "square"/],
  ['label', 'CIRCLE', RangeError, /did you mean "circle"/],
  ['label', `circle${'e'.repeat(1e5)}`, RangeError, /did you mean/],
  ['label', undefined, TypeError],
  ['label', null, TypeError],
  ['label', 1n, TypeError],
  ['label', ['circle'], TypeError],
  ['label', {}, TypeError],
  ['label', Symbol('circle'), TypeError],
  ['seed', -1, RangeError],
  ['seed', 0.5, RangeError],
  ['seed', NaN, RangeError],
  ['seed', 2 ** 53, RangeError, /bigint/],
  ['seed', 2 ** 64, RangeError],
  ['seed', 1e300, RangeError],
  ['seed', -1n, RangeError],
  ['seed', 2n ** 64n, RangeError],
  ['seed', '7', TypeError],
  ['seed', null, TypeError],
  ['guidanceScale', NaN, RangeError],
  ['guidanceScale', -0.1, RangeError],
  ['guidanceScale', 100.1, RangeError],
  ['guidanceScale', Infinity, RangeError],
  ['guidanceScale', '3', TypeError],
  ['rescale', 1.01, RangeError],
  ['rescale', -1, RangeError],
  ['rescale', true, TypeError],
  ['eta', 2, RangeError],
  ['eta', NaN, RangeError],
  ['eta', null, TypeError],
  ['steps', 0, RangeError],
  ['steps', -5, RangeError],
  ['steps', 101, RangeError, /1 to 100/],
  ['steps', 2.5, RangeError],
  ['steps', '10', TypeError],
  ['sampler', 'DDIM', RangeError],
  ['sampler', 'toString', RangeError],
  ['sampler', 0, TypeError],
  ['timeGrid', 'cubic', RangeError, /"karras"/],
  ['timeGrid', 1, TypeError],
  ['ddpmMean', 'v', RangeError],
  ['ddpmMean', 'noise', RangeError, /"ddpm"/], // the model's sampler is ddim
  ['ddpmVariance', 'beta', RangeError, /"ddpm"/],
  ['ddpmVariance', null, TypeError],
  ['dynamicThreshold', 1.01, RangeError],
  ['dynamicThreshold', -0.1, RangeError],
  ['dynamicThreshold', '1', TypeError],
  ['keepParallel', 2, RangeError],
  ['momentum', -1.1, RangeError],
  ['momentum', NaN, RangeError],
  ['normThreshold', -1, RangeError],
  ['normThreshold', 1e7, RangeError],
  ['guidanceWeight', -1.1, RangeError],
  ['guidanceWeight', 99.5, RangeError],
  ['guidanceWeight', '2', TypeError],
  ['guidanceInterval', [50, 20], RangeError, /0 to 99/],
  ['guidanceInterval', [0, 100], RangeError],
  ['guidanceInterval', [0.5, 3], RangeError],
  ['guidanceInterval', [NaN, 3], RangeError],
  ['guidanceInterval', [1], TypeError],
  ['guidanceInterval', 5, TypeError, /"all" or "diverse"/],
  ['guidanceInterval', 'most', TypeError, /"all" or "diverse"/],
  ['guidanceInterval', 'toString', TypeError],
  ['guidanceSchedule', 'steps', RangeError],
  ['negativeLabel', 3, RangeError],
  ['negativeLabel', 'squar', RangeError, /"square"/],
  ['negativeLabel', {}, TypeError],
  ['cfgPlusPlus', 1, TypeError],
  ['projection', 1, TypeError],
  ['preview', 'yes', TypeError],
  ['state', 0, TypeError],
  ['onStep', {}, TypeError],
  ['signal', new AbortController(), TypeError],
];

test('a model of one class needs no label', () => {
  assert.equal(checkGenerateOptions({}, model.info, ['face']).resolved.label, 0);
  assert.deepEqual(checkGenerateManyOptions({ count: 2 }, model.info, ['face']).chosen, [{ label: 0, labelName: 'face' }]);
  assert.throws(() => checkGenerateOptions({}, model.info, ['face', 'hand']), { name: 'TypeError', argument: 'label' });
});

for (const [name, value, ErrorType, pattern] of GENERATE) {
  const shown = typeof value === 'bigint' ? `${value}n` : String(JSON.stringify(value) ?? String(value)).slice(0, 30);
  test(`generate refuses ${name} ${Number.isNaN(value) ? 'NaN' : shown}`, async () => {
    await refuses(model.generate({ label: 0, steps: 1, [name]: value }), ErrorType, name, pattern);
    if (name === 'label' && Array.isArray(value)) return; // several labels are what generateMany is for
    await refuses(model.generateMany({ label: 0, steps: 1, [name]: value }).next(), ErrorType, name, pattern);
    await refuses(model.generateBatch({ label: 0, steps: 1, [name]: value, pictures: [{}] }), ErrorType, name, pattern);
  });
}

test('unknown options are refused with the nearest known one', async () => {
  await refuses(model.generate({ label: 0, guidancescale: 3 }), TypeError, 'options', /"guidancescale".*"guidanceScale"/);
  await refuses(model.generate({ label: 0, count: 3 }), TypeError, 'options', /"count"/);
  await refuses(model.generateMany({ label: 0, counts: 3 }).next(), TypeError, 'options', /"counts".*"count"/);
  await refuses(load(tinyBytes, { signals: 1 }), TypeError, 'options', /"signals".*"signal"/);
  await refuses(encodePNG({ width: 1, height: 1, channels: 1, pixels: new Uint8Array(1) }, { worker: true }), TypeError, 'options');
});

test('options that exclude each other are refused', async () => {
  const refused = (options, ErrorType, argument) => refuses(model.generate({ label: 0, steps: 1, ...options }), ErrorType, argument);
  await refused({ guidanceWeight: 2, guidanceScale: 3 }, TypeError, 'guidanceWeight');
  await refused({ cfgPlusPlus: true, sampler: 'unipc' }, RangeError, 'cfgPlusPlus');
  await refused({ cfgPlusPlus: true, momentum: -0.5 }, RangeError, 'cfgPlusPlus');
  await refused({ cfgPlusPlus: true, normThreshold: 1 }, RangeError, 'cfgPlusPlus');
  await refused({ guidanceSchedule: 'linear', guidanceScale: 0.5 }, RangeError, 'guidanceSchedule');
  await refused({ ddpmMean: 'noise', sampler: 'heun' }, RangeError, 'ddpmMean');
});

test('options must be an object', async () => {
  for (const options of [undefined, null, 'circle', 3, ['circle']]) {
    await refuses(model.generate(options), TypeError, 'options');
    await refuses(model.generateMany(options).next(), TypeError, 'options');
  }
  await refuses(load(tinyBytes, null), TypeError, 'options');
});

test('generateMany checks its own arguments', async () => {
  for (const count of [0, -1, 1.5, NaN]) await refuses(model.generateMany({ label: 0, count }).next(), RangeError, 'count');
  await refuses(model.generateMany({ label: 0, count: '2' }).next(), TypeError, 'count');
  await refuses(model.generateMany({ label: [] }).next(), RangeError, 'label');
  await refuses(model.generateMany({ label: ['circle', 'cube'] }).next(), RangeError, 'label', /"circle"|"square"/);
  await refuses(model.generateMany({ label: 0, count: 3, seed: 2n ** 64n - 2n }).next(), RangeError, 'seed');
});

test('generateBatch checks its own arguments', async () => {
  const refused = (pictures, ErrorType, argument, pattern) => refuses(model.generateBatch({ label: 0, steps: 1, pictures }), ErrorType, argument, pattern);
  for (const pictures of [undefined, null, 3, {}, 'circle']) await refused(pictures, TypeError, 'pictures');
  await refused([], RangeError, 'pictures', /1 to 64, not 0/);
  await refused(Array.from({ length: 65 }, (_, seed) => ({ seed })), RangeError, 'pictures', /1 to 64, not 65/);
  await refused([{ seed: 1 }, null], TypeError, 'pictures');
  await refused([{ seed: 1 }, { steps: 2 }], TypeError, 'pictures', /"steps"/);
  await refused([{ seed: 1 }, { seed: -1 }], RangeError, 'seed');
  await refused([{ label: 'cube' }], RangeError, 'label');
});

test('predict checks its arguments', async () => {
  await refuses(model.predict([...x], 0, 0), TypeError, 'x');
  await refuses(model.predict(new Float64Array(x.length), 0, 0), TypeError, 'x');
  await refuses(model.predict(undefined, 0, 0), TypeError, 'x');
  await refuses(model.predict(x.subarray(1), 0, 0), RangeError, 'x', /256 numbers \(4 x 8 x 8\), not 255/);
  for (const t of [-1, 100, 0.5, NaN]) await refuses(model.predict(x, t, 0), RangeError, 't', /0 to 99/);
  await refuses(model.predict(x, '0', 0), TypeError, 't');
  await refuses(model.predict(x, 0, undefined), TypeError, 'label');
  await refuses(model.predict(x, 0, 3), RangeError, 'label');
});

test('activations checks its arguments', async () => {
  const last = (await model.operations()).length - 1;
  for (const operation of [-1, last + 1, 0.5, NaN]) await refuses(model.activations(x, 0, 0, operation), RangeError, 'operation', new RegExp(`0 to ${last}`));
  for (const operation of [undefined, null, '3', 3n]) await refuses(model.activations(x, 0, 0, operation), TypeError, 'operation');
  await refuses(model.activations([...x], 0, 0, 0), TypeError, 'x');
  await refuses(model.activations(x, 100, 0, 0), RangeError, 't');
  await refuses(model.activations(x, 0, 3, 0), RangeError, 'label');
});

test('load checks its arguments', async () => {
  for (const source of [undefined, null, 3, {}, [], '', true]) await refuses(load(source), TypeError, 'source');
  await refuses(load(tinyBytes, { signal: {} }), TypeError, 'signal');
  await refuses(load(tinyBytes, { onProgress: 1 }), TypeError, 'onProgress');
  await refuses(load(tinyBytes, { worker: 1 }), TypeError, 'worker');
  await refuses(load(tinyBytes, { wasm: 1 }), TypeError, 'wasm');
  const detached = tinyBytes.slice();
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  await refuses(load(detached), TypeError, 'source', /detached/);
  await refuses(load(detached.buffer), TypeError, 'source', /detached/);
});

test('encodePNG checks the picture', async () => {
  const image = { width: 2, height: 3, channels: 1, pixels: new Uint8Array(6) };
  for (const [name, value, ErrorType] of [
    ['width', 0, RangeError], ['width', 8193, RangeError], ['height', 1.5, RangeError], ['height', '3', TypeError],
    ['channels', 0, RangeError], ['channels', 5, RangeError], ['pixels', new Uint8Array(5), RangeError],
    ['pixels', new Uint8Array(7), RangeError], ['pixels', [0, 0, 0, 0, 0, 0], TypeError],
  ]) await refuses(encodePNG({ ...image, [name]: value }), ErrorType, name);
  await refuses(encodePNG(undefined), TypeError, 'image');
});

test('a refused call changes nothing', async () => {
  const fresh = await load(tinyBytes);
  const options = { label: 'square', seed: 5, steps: 3 };
  assert.deepEqual((await model.generate(options)).pixels, (await fresh.generate(options)).pixels);
});
