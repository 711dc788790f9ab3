// What several figures of a model need: the noise of a seed, and a picture of a class. Each is made once.

import { tensorOfPixels } from './tensors.mjs';

/** @typedef {import('../index.d.ts').Model} Model */

/** Of a model: pictures and noise of 4 kB each, and runs. */
const MOST = 100;
/** @type {WeakMap<Model, Map<string, Promise<any>>>} */
const known = new WeakMap();

/** @template Result @param {Model} model @param {string} key @param {() => Promise<Result>} make @returns {Promise<Result>} */
export function once(model, key, make) {
  const kept = known.get(model) ?? new Map();
  known.set(model, kept);
  if (!kept.has(key)) {
    const made = make();
    kept.set(key, made);
    made.catch(() => kept.delete(key)); // the next one tries again
    if (kept.size > MOST) kept.delete(/** @type {string} */ (kept.keys().next().value));
  }
  return kept.get(key);
}

/** A class, for what is asked of the model whatever the class. @param {Model} model */
export const anyLabel = (model) => (model.labels.length > 0 ? 0 : null);

/** x_T of a seed, as PyTorch draws it: standard normal. @param {Model} model @param {number} seed @returns {Promise<Float32Array>} */
export const noiseOf = (model, seed) => once(model, `noise ${seed}`, async () => {
  const { trace } = await model.generate({ label: anyLabel(model), seed, steps: 1, sampler: 'ddim', guidanceScale: 1, trace: true });
  return /** @type {NonNullable<typeof trace>} */ (trace)[0].x.values;
});

/**
 * A finished picture as x_0, drawn as the model recommends.
 * @param {Model} model @param {number} label @param {number} seed @returns {Promise<Float32Array>}
 */
export const pictureOf = (model, label, seed) => once(model, `picture ${label} ${seed}`, async () => {
  const { pixels } = await model.generate({ label, seed });
  return tensorOfPixels(pixels, model.info);
});
