// From bytes to a usable model, and what it holds.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Core, instantiate } from './core.mjs';
import { statistics } from './rounds.mjs';

/** One start in a fresh process, with nothing optimised yet; milliseconds. Run by this file as a program. */
async function startOnce(wasmPath, modelPath) {
  const wasm = readFileSync(wasmPath);
  const model = readFileSync(modelPath);
  const times = {};
  const timed = async (name, work) => {
    const start = performance.now();
    const result = await work();
    times[name] = performance.now() - start;
    return result;
  };
  const module = await timed('compile', () => WebAssembly.compile(wasm));
  const exports = await timed('instantiate', () => instantiate(module));
  const core = await timed('ready', () => new Core(exports, model));
  await timed('firstStep', () => core.run(1, 1));
  const copy = new Uint8Array(model.length);
  let memcpy = Infinity;
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    copy.set(model);
    memcpy = Math.min(memcpy, performance.now() - start);
  }
  return { ...times, memcpy, ...core.memoryBytes };
}

/**
 * Starts in processes of their own, one after the other.
 * @returns statistics of milliseconds: compile, instantiate, ready (copy in, parse, check and pack the weights),
 *   firstStep (of a guided run: two evaluations, the core not optimised yet), memcpy (of the file, for comparison);
 *   bytes: model (held by it, workspace included), linearMemory (all of the instance, after loading)
 */
export function measureStartUp(wasmPath, modelPath, times) {
  const starts = Array.from({ length: times }, () =>
    JSON.parse(execFileSync(process.execPath, [fileURLToPath(import.meta.url), wasmPath, modelPath])));
  const { model, linearMemory, ...first } = starts[0];
  const milliseconds = Object.fromEntries(Object.keys(first).map((name) => [name, statistics(starts.map((each) => each[name]))]));
  return { fileBytes: readFileSync(modelPath).length, milliseconds, model, linearMemory };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await startOnce(process.argv[2], process.argv[3])));
}
