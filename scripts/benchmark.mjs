// Guided pictures here against the same network in onnxruntime-web:
//
//   node scripts/benchmark.mjs [--rounds 9] [MODEL.gguf...]      default: weights/doodles.gguf
//
// Both run in this Node.js, WebAssembly, one thread, from the same weights (the
// ONNX file is made from the model file). Ours makes whole pictures: 20 DDIM
// steps at guidance scale 3, sampler included. onnxruntime-web makes the 40
// network evaluations that this takes and nothing else, one at a time and as 20
// batches of two. The contestants take turns, in another order every round;
// medians and extremes go to the screen, everything to dist/benchmark.json.
// Exit code 1 if the two disagree about a prediction by more than 1e-3 of its
// largest magnitude.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-web/wasm';
import { load, version } from 'pocket-diffusion';

const STEPS = 20;
const TOLERANCE = 1e-3;

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '9' }, help: { type: 'boolean', short: 'h' } },
  allowPositionals: true,
});
const rounds = Number(values.rounds);
if (values.help || !Number.isInteger(rounds) || rounds < 1) {
  console.error('usage: node scripts/benchmark.mjs [--rounds NUMBER] [MODEL.gguf...]');
  process.exit(values.help ? 0 : 2);
}

/** The ONNX file of a model file, made anew if that is newer. */
function onnxOf(modelPath) {
  const path = `dist/${basename(modelPath, '.gguf')}.onnx`;
  if (!existsSync(path) || statSync(path).mtimeMs < statSync(modelPath).mtimeMs) {
    try {
      execFileSync('.venv/bin/python', ['scripts/export_onnx.py', modelPath, path], { stdio: ['ignore', 'inherit', 'inherit'] });
    } catch (error) {
      throw new Error(`cannot make ${path} (scripts/setup.sh benchmark installs what it needs): ${error.message}`);
    }
  }
  return path;
}

/** Deterministic inputs of about unit variance; their exact distribution does not matter. */
function inputs(count, seed) {
  const x = new Float32Array(count);
  let state = seed >>> 0;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    x[i] = (state / 2 ** 31 - 1) * Math.sqrt(3);
  }
  return x;
}

const int64 = (...numbers) => new ort.Tensor('int64', BigInt64Array.from(numbers, BigInt), [numbers.length]);

/** @returns the largest difference between the two runtimes, as a share of the prediction's largest magnitude */
async function largestDisagreement(model, session) {
  const { networkChannels, networkHeight, networkWidth, timesteps } = model.info;
  const classes = model.labels.length;
  const x = inputs(networkChannels * networkHeight * networkWidth, 1);
  let largest = 0;
  for (const t of [0, Math.floor(timesteps / 2), timesteps - 1]) {
    for (const label of [0, classes - 1, null]) {
      const ours = await model.predict(x, t, label);
      const feeds = { x: new ort.Tensor('float32', x, [1, networkChannels, networkHeight, networkWidth]), t: int64(t), label: int64(label ?? classes) };
      const theirs = (await session.run(feeds)).prediction.data;
      if (theirs.length !== ours.length) throw new Error(`predictions of ${ours.length} and ${theirs.length} numbers`);
      const magnitude = ours.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      largest = ours.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i]) / magnitude), largest);
    }
  }
  return largest;
}

/** Names and functions; each call does the work of one guided picture. */
function contestants(model, sessions) {
  const { networkChannels, networkHeight, networkWidth, timesteps } = model.info;
  const count = networkChannels * networkHeight * networkWidth;
  const nullClass = model.labels.length;
  const batch = (labels, t) => ({
    x: new ort.Tensor('float32', inputs(count * labels.length, t), [labels.length, networkChannels, networkHeight, networkWidth]),
    t: int64(...labels.map(() => t)),
    label: int64(...labels),
  });
  const evaluate = async (session, batches) => {
    for (const feeds of batches) await session.run(feeds);
  };
  const times = Array.from({ length: STEPS }, (_, i) => Math.floor(((timesteps - 1) * (STEPS - i)) / STEPS));
  const pairs = times.map((t) => batch([0, nullClass], t));
  const singles = times.flatMap((t) => [batch([0], t), batch([nullClass], t)]);
  return {
    'pocket-diffusion, a whole picture': () => model.generate({ label: 0, guidanceScale: 3, steps: STEPS, sampler: 'ddim', eta: 0, seed: 1 }),
    'onnxruntime-web, 40 x 1 evaluations': () => evaluate(sessions[0], singles),
    'onnxruntime-web, 20 x 2 evaluations': () => evaluate(sessions[1], pairs),
  };
}

async function takeTurns(entries) {
  const milliseconds = Object.fromEntries(entries.map(([name]) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < entries.length; i++) {
      const [name, run] = entries[(i + round + 1) % entries.length];
      const start = performance.now();
      await run();
      if (round >= 0) milliseconds[name].push(performance.now() - start); // the first round warms up
    }
  }
  return milliseconds;
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

async function benchmark(modelPath) {
  ort.env.wasm.numThreads = 1;
  // With the batch fixed beforehand every shape is constant and folded away.
  const file = readFileSync(onnxOf(modelPath));
  const options = (batch) => ({ graphOptimizationLevel: 'all', freeDimensionOverrides: { batch } });
  const sessions = [await ort.InferenceSession.create(file, options(1)), await ort.InferenceSession.create(file, options(2))];
  const model = await load(modelPath);
  const disagreement = await largestDisagreement(model, sessions[0]);
  const milliseconds = await takeTurns(Object.entries(contestants(model, sessions)));
  model.close();
  for (const session of sessions) await session.release();

  const [ours] = Object.values(milliseconds).map(median);
  console.log(`\n${modelPath}: 20-step guided DDIM = 40 network evaluations; largest disagreement ${disagreement.toExponential(1)}`);
  console.table(
    Object.fromEntries(
      Object.entries(milliseconds).map(([name, list]) => [
        name,
        { 'median ms': +median(list).toFixed(1), min: +Math.min(...list).toFixed(1), max: +Math.max(...list).toFixed(1), 'times ours': +(median(list) / ours).toFixed(2) },
      ]),
    ),
  );
  return { model: modelPath, disagreement, milliseconds };
}

mkdirSync('dist', { recursive: true });
const results = [];
for (const path of positionals.length ? positionals : ['weights/doodles.gguf']) results.push(await benchmark(path));
const machine = { processor: cpus()[0].model, cores: cpus().length, platform: `${process.platform}-${process.arch}` };
const versions = { 'pocket-diffusion': version, 'onnxruntime-web': ort.env.versions.web, node: process.versions.node, v8: process.versions.v8 };
writeFileSync('dist/benchmark.json', `${JSON.stringify({ date: new Date().toISOString(), machine, versions, rounds, results }, null, 2)}\n`);
console.log(`${machine.processor}, one thread, Node.js ${versions.node}, onnxruntime-web ${versions['onnxruntime-web']}, ${rounds} rounds; all times in dist/benchmark.json`);
if (results.some(({ disagreement }) => !(disagreement <= TOLERANCE))) {
  console.error(`the runtimes disagree by more than ${TOLERANCE}`);
  process.exitCode = 1;
}
