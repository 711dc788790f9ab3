// Whole pictures through the library: one against onnxruntime-web, and sheets on several workers.

import { load } from 'pocket-diffusion';
import { feeds, openSession } from './onnxruntime.mjs';
import { measure, noise, takeTurns } from './rounds.mjs';

const STEPS = 20;
const GUIDANCE_SCALE = 3;
/** Guided in every step, whatever the file recommends. */
const optionsFor = ({ timesteps }) => ({ label: 0, guidanceScale: GUIDANCE_SCALE, guidanceInterval: [0, timesteps - 1], steps: STEPS, sampler: 'ddim', eta: 0 });
// Each run of a benchmark begins with another one, because a model remembers how runs begin.
let seed = 0;

const repeat = (work) => (count) => measure(async () => {
  for (let i = 0; i < count; i++) await work();
});

/**
 * A 20-step guided picture, sampler included, against the 40 evaluations of the network that this takes and nothing
 * else: one at a time, and as 20 batches of two.
 */
export async function comparePicture(files, { wasm, rounds, turn }) {
  const model = await load(files.model, { wasm, worker: false });
  const sessions = [await openSession(files.onnx, 1), await openSession(files.onnx, 2)];
  const { networkChannels, networkHeight, networkWidth, timesteps } = model.info;
  const nullClass = model.labels.length;
  const batch = (labels, t) => feeds({
    x: noise(networkChannels * networkHeight * networkWidth * labels.length, t), t: labels.map(() => t), label: labels,
    shape: [labels.length, networkChannels, networkHeight, networkWidth],
  });
  const times = Array.from({ length: STEPS }, (_, i) => Math.floor(((timesteps - 1) * (STEPS - i)) / STEPS));
  const evaluate = (session, batches) => repeat(async () => {
    for (const each of batches) await session.run(each);
  });
  const results = await takeTurns([
    { name: 'pocket-diffusion, a whole picture', time: repeat(() => model.generate({ ...optionsFor(model.info), seed: seed++ })) },
    { name: 'onnxruntime-web, 40 evaluations', time: evaluate(sessions[0], times.flatMap((t) => [batch([0], t), batch([nullClass], t)])) },
    { name: 'onnxruntime-web, 20 batches of two', time: evaluate(sessions[1], times.map((t) => batch([0, nullClass], t))) },
  ], { rounds, turn });
  model.close();
  for (const session of sessions) await session.release();
  return results;
}

/** Sheets of `pictures` guided pictures on 1 .. `most` workers; of their times the wall time counts. */
export async function compareWorkers(modelPath, { wasm, rounds, pictures = 9, most }) {
  const models = [];
  for (let workers = 1; workers <= most; workers++) models.push(await load(modelPath, { wasm, worker: true, workers }));
  const sheet = async (model) => {
    seed += pictures;
    for await (const picture of model.generateMany({ ...optionsFor(model.info), seed, count: pictures })) picture.pixels;
  };
  const results = await takeTurns(models.map((model, i) => ({ name: `${i + 1} workers`, time: repeat(() => sheet(model)) })), { rounds, turn: 1 });
  for (const model of models) model.close();
  return results.map((result, i) => ({ ...result, workers: i + 1, pictures }));
}
