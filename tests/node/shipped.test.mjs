// What is promised of every model in weights/, at the settings that its file recommends.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { load } from 'pocket-diffusion';
import { hash, root } from './helpers.mjs';

const MOST_LABELS = 12; // of a model; of more classes some, evenly

const { models } = JSON.parse(readFileSync(join(root, 'weights', 'manifest.json'), 'utf8'));

for (const { name, file } of models) {
  test(`${name}: guided at every step, and at scale 0 the class has no say`, async () => {
    const model = await load(join(root, 'weights', file), { workers: 2 });
    const { recommended, timesteps } = model.info;
    assert.deepEqual(recommended.guidanceInterval, [0, timesteps - 1]);
    const count = Math.min(model.labels.length, MOST_LABELS);
    const label = Array.from({ length: count }, (_, index) => Math.floor(index * model.labels.length / count));
    const hashes = async (options) => {
      const made = [];
      for await (const { pixels } of model.generateMany({ seed: 11, ...options })) made.push(hash(pixels));
      return new Set(made).size;
    };
    assert.equal(await hashes({ label, guidanceScale: 0 }), 1);
    assert.equal(await hashes({ label: label.slice(0, 4) }), 4, 'at the recommended scale it has');
    model.close();
  });
}
