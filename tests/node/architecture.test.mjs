// Who may know whom. The arrows of the C core point one way; in web/ exactly
// one file touches linear memory.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, extname, join, posix, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { gzipSync } from 'node:zlib';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

// Each part of src/ and the other parts whose headers it may include, itself or
// through them. pocket_diffusion.h is open to all but the pure arithmetic.
const BASE = ['pocket_diffusion', 'status'];
const FILE = [...BASE, 'memory', 'gguf'];
const ARROWS = {
  pocket_diffusion: [],
  elementary: [],
  hash: [],
  random: ['elementary'],
  guidance: ['pocket_diffusion', 'elementary'],
  edit: [...BASE, 'elementary', 'solver'],
  image: ['elementary'],
  kernels: ['elementary'],
  status: ['pocket_diffusion'],
  memory: BASE,
  gguf: [...BASE, 'memory'],
  schedule: [...BASE, 'elementary'],
  solver: [...BASE, 'elementary', 'schedule'],
  png: [...BASE, 'memory'],
  prediction_cache: [...BASE, 'memory'],
  config: [...FILE, 'schedule', 'solver'],
  network: [...FILE, 'config', 'elementary', 'kernels', 'schedule'],
  model: [...FILE, 'config', 'schedule', 'elementary', 'hash', 'image', 'kernels', 'network', 'prediction_cache'],
  run: [...FILE, 'config', 'elementary', 'kernels', 'model', 'network', 'random', 'guidance', 'schedule', 'solver', 'image', 'prediction_cache', 'edit', 'hash'],
  run_start: [...FILE, 'run', 'edit', 'hash', 'image'],
  run_saving: [...FILE, 'run', 'hash'],
  options: [...FILE, 'edit', 'model', 'solver'],
  wasm_exports: [...FILE, 'config', 'elementary', 'kernels', 'model', 'network', 'options', 'prediction_cache', 'schedule', 'solver'],
};

// Comments may speak of anything.
const withoutComments = (text) => text.replace(/\/\*[^]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
const list = (folder, ...extensions) => readdirSync(join(root, folder)).filter((name) => extensions.includes(extname(name)));
/** src/ and every folder in it, however deep. */
const foldersOfCore = ['src', ...readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isDirectory()).map(({ parentPath, name }) => relative(root, join(parentPath, name)))];
const read = (...path) => withoutComments(readFileSync(join(root, ...path), 'utf8'));

/** A folder of src/ is one part. The reader of files has several sources: gguf.c, gguf_values.c, ... */
const partOf = (folder, file) => (folder === 'src' ? basename(file, extname(file)).replace(/^gguf_.*/, 'gguf') : folder.split('/')[1]);

/** Our own headers that a file includes, as names of parts. */
function includes(text) {
  return [...text.matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)]
    .map(([, header]) => basename(header))
    .filter((header) => header !== 'stb_image_write.h')
    .map((header) => partOf(foldersOfCore.find((folder) => list(folder, '.h').includes(header)) ?? 'src', header));
}

/** Part -> set of the parts it includes, from the sources. */
function partsOfCore() {
  const parts = new Map();
  for (const folder of foldersOfCore) {
    for (const file of list(folder, '.c', '.h')) {
      const part = partOf(folder, file);
      const known = parts.get(part) ?? new Set();
      includes(read(folder, file)).forEach((other) => other !== part && known.add(other));
      parts.set(part, known);
    }
  }
  return parts;
}

test('the arrows of the C core point one way', () => {
  const parts = partsOfCore();
  assert.ok(parts.get('model')?.has('network'), 'includes were found');
  for (const [part, known] of parts) {
    assert.ok(part in ARROWS, `src/${part} has no place in the order`);
    for (const other of known) assert.ok(ARROWS[part].includes(other), `src/${part} must not know ${other}`);
  }
});

test('the order itself has no cycle', () => {
  const visit = (part, path) => {
    assert.ok(!path.includes(part), `cycle: ${[...path, part].join(' -> ')}`);
    for (const other of ARROWS[part]) visit(other, [...path, part]);
  };
  for (const part of Object.keys(ARROWS)) visit(part, []);
});

test('the C core knows no file, clock, environment or console', () => {
  const forbidden = /#\s*include\s*<(stdio|time|locale|unistd|fcntl|pthread|threads|sys\/[^>]*|emscripten[^>]*)(\.h)?>|\b(fopen|printf|getenv|time|clock|rand)\s*\(/;
  for (const folder of foldersOfCore) {
    for (const file of list(folder, '.c', '.h')) {
      assert.doesNotMatch(read(folder, file), forbidden, `${folder}/${file}`);
    }
  }
});

test('only web/library/engine.mjs touches linear memory', () => {
  const memory = /\bmemory\s*(\?\.|\.)\s*(buffer|grow)\b|\bHEAP(U?8|U?16|U?32|F32|F64)\b|\bpd_wasm_|WebAssembly\.(Instance|Memory|instantiate)\b/;
  const touching = readdirSync(join(root, 'web'), { recursive: true })
    .filter((file) => /\.m?js$/.test(file) && !/node_modules|examples/.test(file) && memory.test(read('web', file)));
  assert.deepEqual(touching, [join('library', 'engine.mjs')]);
});

/** Each folder of web/ and what its files may import: folders of web/, files in web/ itself, packages. */
const WEB = {
  library: ['library', 'thread.mjs', 'wasm.mjs'],
  element: ['element', 'library', 'index.mjs'],
  outlines: ['outlines', 'library', 'd3-contour', 'fit-curve', 'opentype.js'],
  page: ['page', 'library', 'element', 'outlines', 'index.mjs', 'outlines.mjs', 'font.mjs', 'fflate', 'gifenc', 'webm-muxer'],
  learn: ['learn', 'library', 'element', 'page', 'index.mjs', 'lean-qr'],
  cli: ['cli', 'library', 'outlines', 'index.mjs', 'outlines.mjs', 'font.mjs', 'node', 'commander', 'cli-progress', 'pngjs', 'simple-bitmap-font'],
};

test('in web/, the library knows nothing but itself, and packages are for the command line, for outlines and for what the page fetches late', () => {
  for (const [folder, allowed] of Object.entries(WEB)) {
    for (const file of list(join('web', folder), '.mjs', '.js')) {
      for (const [, fixed, dynamic] of read('web', folder, file).matchAll(/^(?:import|export)\s(?:[^'";]*\bfrom\s)?'([^']+)'|\bimport\(\s*'([^']+)'/gm)) {
        const from = fixed ?? dynamic;
        const target = from.startsWith('.') ? posix.join(folder, from).split('/')[0] : from.split(/[:/]/)[0];
        assert.ok( allowed.includes(target), `web/${folder}/${file} must not import ${from}`);
      }
    }
  }
});

const PYTHON = join('python', 'pocket_diffusion');
/** Those that draw: they need neither PyTorch nor any part of the package that does. */
const DRAWING = ['__init__', '__main__', 'core', 'draw', 'errors', 'model', 'options', 'notebook', 'widget_script'];

test('in Python, core.py alone runs the module, and drawing imports nothing that needs PyTorch', () => {
  const files = readdirSync(join(root, PYTHON), { recursive: true }).filter((name) => name.endsWith('.py'));
  const importing = (file, pattern) => pattern.test(readFileSync(join(root, PYTHON, file), 'utf8'));
  assert.deepEqual(files.filter((file) => importing(file, /^\s*(import|from) wasmtime/m)), ['core.py']);
  for (const name of DRAWING) {
    const text = readFileSync(join(root, PYTHON, `${name}.py`), 'utf8'); // what stands at the left margin is imported at once
    for (const [, from, names] of text.matchAll(/^(?:from|import) ([\w.]+)(?: import ([\w, ]+))?/gm)) {
      const [top, part] = from.split('.');
      assert.notEqual(top, 'torch', `${name}.py`);
      const parts = top !== 'pocket_diffusion' ? [] : part ? [part] : (names ?? '__init__').split(', ').filter((each) => files.some((file) => [`${each}.py`, join(each, '__init__.py')].includes(file)));
      for (const each of parts) assert.ok(DRAWING.includes(each), `${name}.py must not import ${each} at once`);
    }
  }
});

for (const name of ['pocket-diffusion.wasm', 'pocket-diffusion-relaxed.wasm']) test(`${name} is small, wants one import and exports nothing unexpected`, async () => {
  const bytes = readFileSync(join(root, 'web', name));
  if (!WebAssembly.validate(bytes)) setFlagsFromString('--experimental-wasm-relaxed-simd'); // for Node.js 20
  const module = await WebAssembly.compile(bytes);
  assert.deepEqual(
    WebAssembly.Module.imports(module).map(({ module: space, name, kind }) => `${space}.${name} ${kind}`),
    ['env.emscripten_notify_memory_growth function'],
  );
  const runtime = ['memory', '_initialize', '__indirect_function_table', '__errno_location'];
  const others = WebAssembly.Module.exports(module)
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('pd_wasm_') && !runtime.includes(name) && !/^_?(emscripten_)?_?stack/i.test(name));
  assert.deepEqual(others, []);
  assert.equal(WebAssembly.Module.customSections(module, 'name').length, 0, 'names of functions are stripped');
  assert.ok(gzipSync(bytes, { level: 9 }).length <= 100_000, 'at most 100 kB with gzip');
});
