// Time layer by layer and form by form: runs tests/core/bench_network.c and bench_kernels.c in WebAssembly. Their output says
// what its columns are.

import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const FOLDER = 'build/wasm';

/** Runs a WASI program in this process; a model comes by standard input. Run by this file as a program. */
async function runProgram(path, args) {
  const { readFile } = await import('node:fs/promises');
  const { WASI } = await import('node:wasi');
  const wasi = new WASI({ version: 'preview1', args: [path, ...args] });
  const module = await WebAssembly.compile(await readFile(path));
  const imports = { ...wasi.getImportObject(), env: { emscripten_notify_memory_growth() {} } };
  wasi.start(await WebAssembly.instantiate(module, imports));
}

/** Builds a benchmark and runs it in a process of its own, for it exits when it is done. */
function run(name, args, input) {
  execFileSync('scripts/build.sh', ['--benchmarks'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const command = `exec "$0" --no-warnings "$@" < "${input}"`;
  const program = [fileURLToPath(import.meta.url), `${FOLDER}/${name}.wasm`, ...args];
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command, process.execPath, ...program]);
  if (status !== 0) throw new Error(`${name} failed: ${stderr}`);
  return String(stdout);
}

/** @param {string} modelPath @param {number} images in the batch @returns {string} a table of the layers */
export const profile = (modelPath, images) => run('bench_network', ['-', String(images)], modelPath);

/** @returns {string} a table of 3x3 convolutions by shape and form */
export const convolutions = () => run('bench_kernels', ['0.1', '3x3'], '/dev/null');

if (process.argv[1] === fileURLToPath(import.meta.url)) await runProgram(process.argv[2], process.argv.slice(3));
