// Networks of other people's packages: one evaluation of one image by this project, onnxruntime-web (both in WebAssembly) and
// native PyTorch; one thread each, in turns, same weights and inputs, and outputs that are compared.
//
//   node scripts/benchmark/zoo.mjs [--rounds 5] [--turn 100] [NAME...]
//
// Needs what `scripts/setup.sh benchmark` installs, and the packages that scripts/checks/network_zoo.py names. Prints the table
// of docs/speed.md, with the least of our times: other work on a machine only slows. Exit code 1 if a contestant computes something else.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import { Command } from 'commander';
import { Core } from './core.mjs';
import { TOLERANCE } from './forwards.mjs';
import { python } from './networks.mjs';
import * as onnxruntime from './onnxruntime.mjs';
import { PyTorch } from './pytorch.mjs';
import { disagreement, noise, takeTurns } from './rounds.mjs';

const FOLDER = 'build/benchmark/zoo';
const WARM_UP = 2000; // ms, for every network uses other functions, which engines optimise in the background

const program = new Command('zoo')
  .argument('[names...]', 'of scripts/checks/network_zoo.py (default: all)')
  .option('--rounds <number>', 'turns of each contestant', Number, 5)
  .option('--turn <ms>', 'length of a turn in milliseconds', Number, 100)
  .option('--wasm <file>', 'module to measure', 'web/pocket-diffusion.wasm')
  .parse();
const options = program.opts();

/** Ours first. */
async function measured(name, module, pytorch) {
  const files = { model: `zoo:${name}`, onnx: `${FOLDER}/${name}.onnx` };
  const core = await Core.load(module, `${FOLDER}/${name}.gguf`);
  const { channels, height, width, classes, timesteps } = core;
  const x = noise(core.size, 1);
  const t = timesteps >> 1;
  const label = classes ? classes - 1 : null;
  const batch = { x, t: [t], label: [label ?? 0], shape: [1, channels, height, width] };
  const ours = core.forward(x, t, label);
  const contestants = [ours, await onnxruntime.open(files, batch), await pytorch.open(files, batch)];
  const expected = await ours.predict();
  const differences = [];
  for (const other of contestants.slice(1)) differences.push(disagreement(await other.predict(), expected));
  for (const { time } of contestants) {
    for (const start = performance.now(); performance.now() - start < WARM_UP;) await time(1);
  }
  const results = await takeTurns(contestants, options);
  for (const { close } of contestants) await close?.();
  return { core, results, difference: Math.max(...differences) };
}

try {
  python('scripts/benchmark/zoo_networks.py', FOLDER, ...program.args);
} catch (error) {
  console.error(`${error.message}: the others are measured`);
}
const names = program.args.length ? program.args : readdirSync(FOLDER).filter((file) => file.endsWith('.gguf')).map((file) => file.replace('.gguf', ''));
const module = await WebAssembly.compile(readFileSync(options.wasm));
const pytorch = new PyTorch();
console.log('| network | input | million parameters | ms | onnxruntime-web | PyTorch | memory, MB |\n|---|---:|---:|---:|---:|---:|---:|');
for (const name of names) {
  try {
    for (const kind of ['gguf', 'onnx']) if (!existsSync(`${FOLDER}/${name}.${kind}`)) throw new Error(`there is no ${FOLDER}/${name}.${kind}`);
    const { core, results, difference } = await measured(name, module, pytorch);
    const [ours, ort, torch] = results;
    console.log(`| ${name} | ${core.channels} x ${core.height} x ${core.width} | ${(core.parameters / 1e6).toFixed(2)} | ${ours.cpu.min.toFixed(1)} | ` +
      `${ort.ratio.median.toFixed(1)} | ${torch.ratio.median.toFixed(1)} | ${(core.memoryBytes.model / 1e6).toFixed(0)} |`);
    if (!(difference <= TOLERANCE)) {
      console.error(`${name}: the contestants disagree by ${difference.toExponential(1)}`);
      process.exitCode = 1;
    }
  } catch (error) {
    console.error(`${name}: ${error.message}`);
    process.exitCode = 1;
  }
}
pytorch.close();
console.log(`\nNode.js ${process.versions.node}, onnxruntime-web ${onnxruntime.version}, PyTorch ${pytorch.version}; load average ${loadavg()[0].toFixed(1)}`);
