// The numbers that JavaScript sees are those of the reference in PyTorch (tests/parity/make_tiny_model.py).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { load } from 'pocket-diffusion';
import { root, tinyPath } from './helpers.mjs';

// relaxed.test.mjs runs this file once more with the other module.
const relaxed = process.env.PD_RELAXED === '1';
const model = await load(tinyPath, { relaxed });
const { width, height, channels, networkChannels, networkHeight, networkWidth } = model.info;
const length = networkChannels * networkHeight * networkWidth;

/** The next values of tests/golden/tiny.bin. */
class Reader {
  #bytes = readFileSync(join(root, 'tests', 'golden', 'tiny.bin'));
  #at = 0;
  get atEnd() {
    return this.#at === this.#bytes.length;
  }
  integer() {
    return this.#bytes.readInt32LE((this.#at += 4) - 4);
  }
  float() {
    return this.#bytes.readFloatLE((this.#at += 4) - 4);
  }
  floats(count) {
    return Float32Array.from({ length: count }, () => this.float());
  }
  bytes(count) {
    return new Uint8Array(this.#bytes.subarray(this.#at, (this.#at += count)));
  }
}

function largestDifference(a, b) {
  assert.equal(a.length, b.length);
  return a.reduce((largest, value, index) => Math.max(largest, Math.abs(value - b[index])), 0);
}

const reader = new Reader();
const evaluations = Array.from({ length: reader.integer() }, () => ({
  t: reader.integer(), label: reader.integer(), x: reader.floats(length), prediction: reader.floats(length),
}));
const runs = Array.from({ length: reader.integer() }, () => {
  const [label, seed, sampler, steps, projection] = Array.from({ length: 5 }, () => reader.integer());
  const [guidanceScale, eta, rescale] = reader.floats(3);
  const options = { label, seed, sampler: ['ddim', 'ddpm'][sampler], steps, projection: projection === 1, guidanceScale, eta, rescale };
  const states = Array.from({ length: steps }, () => reader.floats(length));
  return { options, states, pixels: reader.bytes(width * height * channels) };
});

test('the module is the one that is meant', () => {
  assert.equal(model.info.engine.endsWith('+relaxed'), relaxed);
});

test('the fixture was read to its end', () => {
  assert.ok(reader.atEnd);
  assert.ok(evaluations.length > 0 && runs.length > 0);
  assert.ok(evaluations.some(({ label }) => label === 0x7fffffff), 'with the null class');
});

for (const { t, label, x, prediction } of evaluations) {
  const shown = label === 0x7fffffff ? null : label;
  test(`predict at t = ${t}, label ${shown}`, async () => {
    const ours = await model.predict(x, t, shown);
    const scale = Math.max(...prediction.map(Math.abs));
    assert.ok(largestDifference(ours, prediction) <= 1e-4 * scale, `${largestDifference(ours, prediction)} of ${scale}`);
  });
}

for (const { options, states, pixels } of runs) {
  test(`generate ${JSON.stringify(options)}`, async () => {
    const seen = [];
    const picture = await model.generate({ ...options, state: true, onStep: (event) => seen.push(event) });
    assert.equal(seen.length, states.length);
    states.forEach((state, index) => {
      const difference = largestDifference(seen[index].state, state);
      assert.ok(difference <= 1e-3, `step ${index + 1}: ${difference}`);
    });
    assert.ok(largestDifference(picture.pixels, pixels) <= 1);
    const equal = picture.pixels.filter((value, index) => value === pixels[index]).length;
    assert.ok(equal >= pixels.length - 1, `${equal} of ${pixels.length} pixels equal`);
  });
}
