// Time layer by layer: runs tests/core/bench_unet.c, whose output says what its columns are.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const NATIVE = 'build/native/tests/bench_unet';
const WASM = ['build/wasm/tests/bench_unet.wasm', 'build/wasm/bench_unet.wasm'];

/** Runs a WASI program in this process; it reads the model from standard input. Run by this file as a program. */
async function runProgram(path, args) {
  const { readFile } = await import('node:fs/promises');
  const { WASI } = await import('node:wasi');
  const wasi = new WASI({ version: 'preview1', args: [path, ...args] });
  const module = await WebAssembly.compile(await readFile(path));
  const imports = { ...wasi.getImportObject(), env: { emscripten_notify_memory_growth() {} } };
  wasi.start(await WebAssembly.instantiate(module, imports));
}

/** @returns {Array<{ program: string, output: string }>} of every program that has been built */
export function profile(modelPath) {
  const profiles = [];
  if (existsSync(NATIVE)) profiles.push({ program: NATIVE, output: String(execFileSync(NATIVE, [modelPath])) });
  for (const path of WASM.filter(existsSync)) {
    // Its own process, for the program exits when it is done.
    const command = `exec "$0" --no-warnings "$1" "$2" - < "$3"`;
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command, process.execPath, fileURLToPath(import.meta.url), path, modelPath]);
    if (status !== 0) throw new Error(`${path} failed: ${stderr}`);
    profiles.push({ program: path, output: String(stdout) });
  }
  if (profiles.length === 0) throw new Error(`neither ${NATIVE} nor ${WASM[0]} is there: scripts/build.sh makes them`);
  return profiles;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runProgram(process.argv[2], process.argv.slice(3));
