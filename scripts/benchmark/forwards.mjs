// One evaluation of a network: ours against other runtimes, for a batch of one and for the batch of two of guidance.

import { Core } from './core.mjs';
import * as onnxruntime from './onnxruntime.mjs';
import { disagreement, noise, takeTurns } from './rounds.mjs';
import * as tfjs from './tfjs/contestant.mjs';

/** Largest disagreement that passes, as a share of the largest magnitude: rounding, not another network. */
export const TOLERANCE = 1e-3;

/** The core with relaxed SIMD, for the predictions of a batch; `time` as of any contestant. @param {Core} core @param {{ x, t, label }} batch */
const relaxedContestant = (core, { x, t, label }, time) => ({
  name: 'relaxed SIMD',
  predict: async () => {
    const each = await Promise.all(t.map((timestep, i) =>
      core.forward(x.slice(i * core.size, (i + 1) * core.size), timestep, label[i] === core.classes ? null : label[i]).predict()));
    return Float32Array.from(each.flatMap((prediction) => [...prediction]));
  },
  time,
});

/** The others, opened for one batch. */
async function openOthers(files, batch, { pytorch, withTfjs }) {
  const others = [await onnxruntime.open(files, batch)];
  if (pytorch) others.push(await pytorch.open(files, batch));
  if (withTfjs) others.push(await tfjs.open(files, batch));
  return others;
}

async function compare(name, contestants, expected, toComparable, options) {
  const disagreements = {};
  for (const other of contestants.slice(1)) {
    disagreements[other.name] = disagreement(toComparable(await other.predict()), expected);
    if (!(disagreements[other.name] <= TOLERANCE)) {
      console.error(`${name}: ${other.name} disagrees by ${disagreements[other.name].toExponential(1)}`);
    }
  }
  const results = await takeTurns(contestants, options);
  for (const { close } of contestants) await close?.();
  return results.map((result) => ({ ...result, disagreement: disagreements[result.name] }));
}

/** @param {Core} core @param {Core | null} relaxed @returns {Promise<object[]>} contestants' results, ours first */
export async function compareForward(core, relaxed, files, options) {
  const { channels, height, width, classes, timesteps } = core;
  const x = noise(core.size, 1);
  const t = timesteps >> 1;
  const batch = { x, t: [t], label: [classes - 1], shape: [1, channels, height, width] };
  const ours = core.forward(x, t, classes - 1);
  const contestants = [ours, ...await openOthers(files, batch, options)];
  if (relaxed) contestants.push(relaxedContestant(relaxed, batch, relaxed.forward(x, t, classes - 1).time));
  return compare(`${files.name}, batch 1`, contestants, await ours.predict(), (prediction) => prediction, options);
}

/** The same for a batch of two: a class and the null class at the same x_t. */
export async function compareGuidedStep(core, relaxed, files, options) {
  const { channels, height, width, classes } = core;
  const { x, t, x0 } = core.oneStep();
  const twice = new Float32Array(2 * core.size);
  twice.set(x);
  twice.set(x, core.size);
  const batch = { x: twice, t: [t, t], label: [0, classes], shape: [2, channels, height, width] };
  const contestants = [core.guidedStep(), ...await openOthers(files, batch, options), relaxedContestant(relaxed, batch, relaxed.guidedStep().time)];
  return compare(`${files.name}, batch 2`, contestants, x0, (predictions) => core.guidedX0(predictions, x, t), options);
}

/** Both, for one network. @param {{ rounds, turn, module, relaxed, pytorch, withTfjs }} options */
export async function compareNetwork(files, options) {
  const [core, relaxed] = await Promise.all([options.module, options.relaxed].map((module) => Core.load(module, files.model)));
  const { channels, height, width, parameters } = core;
  return {
    network: files.name, input: [channels, height, width], parameters, memoryBytes: core.memoryBytes,
    forward: await compareForward(core, relaxed, files, options),
    guidedStep: await compareGuidedStep(core, relaxed, files, options),
  };
}
