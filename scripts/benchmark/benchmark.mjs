// Speed of this project beside other runtimes, on this machine, in one run:
//
//   npm run benchmark -- [options]           scripts/setup.sh benchmark installs what it needs
//
// One evaluation of a network, for a batch of one image and for the batch of two
// that guidance needs: the C core in WebAssembly, strict and with relaxed SIMD,
// onnxruntime-web and TensorFlow.js (WebAssembly), and native PyTorch; one thread
// each, same weights, same inputs, and outputs that are compared. Then whole
// pictures, sheets on several workers, start-up, and cost curves. Contestants take
// turns, in another order every round, and nothing runs meanwhile. Ratios are of
// processor time within a round, for machines are shared.
//
// Results: results.json, results.md and, after curves, PNG plots in the output folder. Tables go
// to standard output, progress to standard error. Exit code 1 if a contestant computes
// something else: an output that differs by more than 1e-3 of the largest magnitude.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Command, InvalidArgumentError, Option } from 'commander';
import { version } from 'pocket-diffusion';
import { measureBrowser } from './browser.mjs';
import { CURVE_NETWORKS, measureCurves } from './curves.mjs';
import { TOLERANCE, compareNetwork } from './forwards.mjs';
import { markdown } from './markdown.mjs';
import { ODD, SIX, makeNetworks, python } from './networks.mjs';
import * as onnxruntime from './onnxruntime.mjs';
import { comparePicture, compareWorkers } from './pictures.mjs';
import { convolutions, profile } from './profile.mjs';
import { PyTorch } from './pytorch.mjs';
import * as report from './report.mjs';
import { measureStartUp } from './startup.mjs';
import * as tfjs from './tfjs/contestant.mjs';

function positive(text) {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('not a positive whole number');
  return Number(text);
}

const program = new Command('benchmark')
  .description('Speed of pocket-diffusion beside other runtimes. Without a choice of parts: evaluations, pictures, start-up.')
  .option('--quick', 'one minute: doodles and a larger network, few rounds')
  .option('--odd', 'odd shapes as well')
  .option('--curves', 'also cost curves over image side, channels, batch, steps and workers, with plots')
  .option('--profile', 'time layer by layer, and nothing else')
  .option('--convolutions', '3x3 convolutions, form by form, and nothing else')
  .addOption(new Option('--browser <name>', 'in a real browser, and nothing else').choices(['chromium', 'firefox']))
  .option('--networks <names>', 'only these, separated by commas', (text) => text.split(','))
  .option('--rounds <number>', 'turns of each contestant (default: 15, quick 5)', positive)
  .option('--turn <ms>', 'length of a turn in milliseconds (default: 200, quick 60)', positive)
  .option('--no-pytorch', 'leave PyTorch out')
  .option('--no-tfjs', 'leave TensorFlow.js out')
  .option('--wasm <file>', 'module to measure', 'web/pocket-diffusion.wasm')
  .option('--output <dir>', 'folder for the results', 'dist/benchmark')
  .parse();
const options = program.opts();
const rounds = options.rounds ?? (options.quick ? 5 : 15);
const turn = options.turn ?? (options.quick ? 60 : 200);

/** Measured beside the strict module. */
const RELAXED = 'web/pocket-diffusion-relaxed.wasm';

const started = performance.now();
const progress = (text) => console.error(`[${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s] ${text}`);

function chosenNetworks() {
  const all = [...SIX, ...ODD];
  if (options.networks) {
    const unknown = options.networks.filter((name) => !all.some((each) => each.name === name));
    if (unknown.length > 0) program.error(`unknown network ${unknown.join(', ')}; known: ${all.map(({ name }) => name).join(', ')}`);
    return all.filter(({ name }) => options.networks.includes(name));
  }
  if (options.quick) return SIX.filter(({ name }) => ['doodles', 'dim32-side32'].includes(name));
  return options.odd ? all : SIX;
}

/** Evaluations, pictures, start-up and, if wanted, cost curves. */
async function compareAll(versions) {
  const networks = chosenNetworks();
  const files = makeNetworks([SIX[0], ...networks, ...(options.curves ? CURVE_NETWORKS : [])]);
  const module = await WebAssembly.compile(readFileSync(options.wasm));
  const relaxedBytes = readFileSync(RELAXED);
  if (!WebAssembly.validate(relaxedBytes)) setFlagsFromString('--experimental-wasm-relaxed-simd'); // for Node.js 20
  const relaxed = await WebAssembly.compile(relaxedBytes);
  versions.tfjs = options.tfjs ? await tfjs.start() : null;
  if (options.tfjs && !versions.tfjs) progress('TensorFlow.js is not installed: left out');
  const pytorch = options.pytorch ? new PyTorch() : null;
  const settings = { rounds, turn, module, relaxed, wasm: options.wasm, pytorch, withTfjs: versions.tfjs !== null };
  try {
    const results = { networks: [] };
    for (const { name } of networks) {
      progress(name);
      const result = await compareNetwork(files.get(name), settings);
      results.networks.push(result);
      report.printContestants(`${name}, one evaluation of one image of ${result.input.join(' x ')}`, result.forward);
      report.printContestants(`${name}, one evaluation of a batch of two, as guidance needs it`, result.guidedStep);
    }
    report.printSummary(results.networks);
    progress('a whole picture');
    const doodles = files.get('doodles');
    results.picture = await comparePicture(doodles, settings);
    report.printContestants('doodles, a guided picture of 20 DDIM steps', results.picture);
    progress('a sheet on one and two workers');
    results.workers = await compareWorkers(doodles.model, { ...settings, rounds: Math.ceil(rounds / 2), most: 2 });
    report.printWorkers(results.workers);
    progress('start-up');
    results.startUp = measureStartUp(options.wasm, doodles.model, rounds);
    report.printStartUp(results.startUp);
    if (options.curves) results.curves = await measureCurves(files, settings, progress);
    versions.pytorch = pytorch?.version ?? null;
    return results;
  } finally {
    pytorch?.close();
  }
}

async function measureAll(versions) {
  const files = () => makeNetworks([SIX[0]]).get('doodles');
  if (options.profile) {
    const networks = options.networks ? chosenNetworks() : [SIX[0]];
    const profiles = [...makeNetworks(networks).values()].flatMap(({ name, model }) =>
      [1, 2].map((images) => ({ name, images, table: profile(model, images) })));
    for (const { name, table } of profiles) console.log(`\n${name}\n${table}`);
    return { profiles };
  }
  if (options.convolutions) {
    const table = convolutions();
    console.log(table);
    return { convolutions: table };
  }
  if (options.browser) {
    const browser = await measureBrowser(options.browser, files(), { rounds, wasm: options.wasm });
    report.printBrowser(browser);
    return { browser };
  }
  return compareAll(versions);
}

/** Largest disagreement of any contestant. */
function largestDisagreement({ networks = [], curves = [], browser }) {
  const contestants = [...networks.flatMap(({ forward, guidedStep }) => [...forward, ...guidedStep]),
    ...curves.flatMap(({ points }) => points.flatMap((point) => point.contestants))];
  return Math.max(0, ...contestants.map(({ disagreement }) => disagreement ?? 0), browser?.disagreement ?? 0);
}

const machine = report.describeMachine();
const versions = {
  'pocket-diffusion': version, node: process.versions.node, v8: process.versions.v8, 'onnxruntime-web': onnxruntime.version,
  ...report.compilerVersions(),
};
const command = ['npm run benchmark --', ...process.argv.slice(2)].join(' ');
const date = new Date().toISOString();
const results = await measureAll(versions).catch((error) => {
  if (process.env.DEBUG) console.error(error);
  program.error(`error: ${error.message}`);
});
machine.loadAverageAfter = loadavg();
mkdirSync(options.output, { recursive: true });
const path = join(options.output, 'results.json');
const everything = { date, command, machine, versions, rounds, turn, ...results };
writeFileSync(path, `${JSON.stringify(everything, null, 1)}\n`);
if (results.networks) writeFileSync(join(options.output, 'results.md'), `${markdown(everything)}\n`);
if (results.curves) python('scripts/benchmark/plot.py', path, options.output);
console.log(`\n${machine.processor}, ${machine.cores} cores (${machine.instructions.join(', ')}), Node.js ${versions.node}; ${rounds} rounds; ` +
  `load average ${machine.loadAverage[0].toFixed(1)} before, ${machine.loadAverageAfter[0].toFixed(1)} after; everything in ${path}`);
if (!(largestDisagreement(results) <= TOLERANCE)) {
  console.error(`a contestant disagrees by more than ${TOLERANCE} of the largest magnitude`);
  process.exitCode = 1;
}
