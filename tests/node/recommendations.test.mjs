// The optional keys of a model file: what is recommended of grid and guidance, and how pictures are enlarged. The files are the tiny model with
// keys written here byte by byte, not by the exporter.
import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from 'pocket-diffusion';
import { hash, tinyBytes } from './helpers.mjs';

const TYPES = { uint32: 4, float32: 6, bool: 7, string: 8, array: 9 };
const HEADER_BYTES = 24; // magic, version, tensor count, key count
const KEY_COUNT_AT = 16;
const ALIGNMENT = 32;

const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer);
const u64 = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
const string = (text) => Buffer.concat([u64(Buffer.byteLength(text)), Buffer.from(text)]);
const textKey = (key, text) => Buffer.concat([string(key), u32(TYPES.string), string(text)]);
const numbersKey = (key, numbers) =>
  Buffer.concat([string(key), u32(TYPES.array), u32(TYPES.uint32), u64(numbers.length), ...numbers.map(u32)]);

/** The tiny model with more keys, and one of no meaning that keeps the tensor data aligned. */
function tinyWith(...keys) {
  const filler = (length) => textKey('test.filler', ' '.repeat(length));
  const size = Buffer.concat([...keys, filler(0)]).length;
  const added = [...keys, filler((ALIGNMENT - (size % ALIGNMENT)) % ALIGNMENT)];
  const header = Buffer.from(tinyBytes.subarray(0, HEADER_BYTES));
  header.writeBigUInt64LE(header.readBigUInt64LE(KEY_COUNT_AT) + BigInt(added.length), KEY_COUNT_AT);
  return Buffer.concat([header, ...added, tinyBytes.subarray(HEADER_BYTES)]);
}

const float = (value) => Buffer.from(Float32Array.of(value).buffer);
const ours = (name, type, value) => Buffer.concat([string(`pocket-diffusion.${name}`), u32(type), value]);
const rescale = (phi) => ours('sampling.rescale', TYPES.float32, float(phi));
const projection = (on) => ours('sampling.projection', TYPES.bool, Buffer.of(on));
const rendering = (name) => textKey('pocket-diffusion.image.rendering', name);

const grid = (name) => textKey('pocket-diffusion.sampling.time_grid', name);
const interval = (...numbers) => numbersKey('pocket-diffusion.sampling.guidance_interval', numbers);

test('absent keys mean the linear grid and all timesteps', async () => {
  for (const bytes of [tinyBytes, tinyWith()]) {
    const model = await load(bytes);
    assert.deepEqual(model.info.recommended, { sampler: 'ddim', steps: 20, guidanceScale: 3, eta: 0, timeGrid: 'linear', guidanceInterval: [0, 99], rescale: 0, projection: false });
    assert.equal(model.info.rendering, 'smooth');
    model.close();
  }
});

test('what a file recommends is what is used where nothing is asked for', async () => {
  const plain = await load(tinyBytes);
  const model = await load(tinyWith(grid('karras'), interval(10, 60)));
  assert.equal(model.info.recommended.timeGrid, 'karras');
  assert.deepEqual(model.info.recommended.guidanceInterval, [10, 60]);
  const request = { label: 1, seed: 3, steps: 7 };
  const asRecommended = await model.generate(request);
  assert.equal(asRecommended.options.timeGrid, 'karras');
  assert.deepEqual(asRecommended.options.guidanceInterval, [10, 60]);
  const asked = await plain.generate({ ...request, timeGrid: 'karras', guidanceInterval: [10, 60] });
  assert.equal(hash(asRecommended.pixels), hash(asked.pixels));
  const overruled = await model.generate({ ...request, timeGrid: 'linear', guidanceInterval: [0, 99] });
  const usual = await plain.generate(request);
  assert.equal(hash(overruled.pixels), hash(usual.pixels));
  assert.notEqual(hash(asRecommended.pixels), hash(usual.pixels));
  plain.close();
  model.close();
});

test('a recommended rescale and projection are what is used where nothing is asked for', async () => {
  const plain = await load(tinyBytes);
  const request = { label: 1, seed: 3, steps: 4, guidanceScale: 6 };
  for (const [keys, options] of [
    [[rescale(0.7), projection(1)], { rescale: 0.7, projection: true }], [[rescale(0.25)], { rescale: 0.25 }], [[projection(1)], { projection: true }],
    [[rescale(0), projection(0)], {}],
  ]) {
    const model = await load(tinyWith(...keys));
    const wanted = { rescale: 0, projection: false, ...options };
    assert.deepEqual({ rescale: model.info.recommended.rescale, projection: model.info.recommended.projection }, wanted);
    const made = await model.generate(request);
    assert.deepEqual({ rescale: made.options.rescale, projection: made.options.projection }, wanted);
    assert.equal(hash(made.pixels), hash((await plain.generate({ ...request, ...options })).pixels));
    assert.equal(hash((await model.generate({ ...request, rescale: 0, projection: false })).pixels), hash((await plain.generate(request)).pixels));
    model.close();
  }
  plain.close();
});

test('how pictures are enlarged is told, and changes none', async () => {
  const plain = await load(tinyBytes);
  const expected = hash((await plain.generate({ label: 1, seed: 3, steps: 2 })).pixels);
  for (const name of ['ink', 'pixel', 'smooth']) {
    const model = await load(tinyWith(rendering(name)));
    assert.equal(model.info.rendering, name);
    assert.equal(hash((await model.generate({ label: 1, seed: 3, steps: 2 })).pixels), expected);
    model.close();
  }
  plain.close();
});

for (const [name, key, named] of [
  ['an unknown time grid', grid('sigmoid'), /time_grid.*sigmoid/],
  ['a time grid that is a number', numbersKey('pocket-diffusion.sampling.time_grid', [1]), /time_grid/],
  ['an interval of three numbers', interval(1, 2, 3), /guidance_interval has 3 numbers, not 2/],
  ['an interval in the wrong order', interval(60, 10), /guidance_interval is \[60, 10\]/],
  ['an interval beyond the last timestep', interval(0, 100), /guidance_interval is \[0, 100\].*0 and 99/],
  ['an interval of huge numbers', interval(2 ** 32 - 1, 2 ** 32 - 1), /guidance_interval/],
  ['a rescale beyond 1', rescale(1.01), /rescale/],
  ['a rescale that is no number', rescale(NaN), /rescale/],
  ['a projection that is a number', ours('sampling.projection', TYPES.uint32, u32(1)), /projection/],
  ['an unknown rendering', rendering('woodcut'), /rendering is "woodcut", which is not known/],
  ['an interval that is a string', textKey('pocket-diffusion.sampling.guidance_interval', '0,9'), /guidance_interval/],
]) {
  test(`${name} is refused`, async () => {
    await assert.rejects(load(tinyWith(key)), (error) => {
      assert.equal(error.code, 'CONFIG');
      assert.match(error.message, named);
      assert.ok(error.offset >= HEADER_BYTES);
      return true;
    });
  });
}
