// The module built with Emscripten's SAFE_HEAP and ASSERTIONS, which stop at any access to memory that is unaligned or
// outside of it, and with the core's own assertions: it makes the same pictures and refuses the same files.
// scripts/test.sh builds it unless it is asked to be quick.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { load } from 'pocket-diffusion';
import { SAMPLER_NAMES } from '../../web/library/options.mjs';
import { root, tinyBytes } from './helpers.mjs';

const path = join(root, 'build', 'wasm-safe-heap', 'pocket-diffusion.wasm');
const skip = existsSync(path) ? false : 'not built';
const STEPS = 2;

/** An instance whose every import but the notice of growth is a failure. */
function instantiate() {
  const module = new WebAssembly.Module(readFileSync(path));
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] = name === 'emscripten_notify_memory_growth' ? () => {} : () => assert.fail(`the module called ${name}`);
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  exports._initialize?.();
  // What Emscripten's own JavaScript does for the check of the stack.
  exports.emscripten_stack_init();
  exports.__set_stack_limits(exports.emscripten_stack_get_base(), exports.emscripten_stack_get_end());
  return exports;
}

function place(exports, bytes) {
  const address = exports.pd_wasm_allocate(bytes.length);
  new Uint8Array(exports.memory.buffer).set(bytes, address);
  return address;
}

function set(exports, options, name, value) {
  for (let key = 0; ; key++) {
    const address = exports.pd_wasm_options_name(key);
    const memory = Buffer.from(exports.memory.buffer);
    assert.notEqual(address, 0, name);
    if (memory.toString('latin1', address, memory.indexOf(0, address)) === name) return assert.equal(exports.pd_wasm_options_set(options, key, value), 0);
  }
}

test('a checked heap: the same pictures with every sampler', { skip }, async () => {
  const reference = await load(tinyBytes);
  const length = reference.info.width * reference.info.height * reference.info.channels;
  const exports = instantiate();
  const file = place(exports, tinyBytes);
  const model = exports.pd_wasm_model_load(file, tinyBytes.length);
  assert.notEqual(model, 0);
  exports.pd_wasm_release(file);
  for (const [sampler, name] of SAMPLER_NAMES.entries()) {
    const options = exports.pd_wasm_options_create(model);
    set(exports, options, 'sampler', sampler);
    set(exports, options, 'steps', STEPS);
    const record = new DataView(new ArrayBuffer(24)); // pd_picture
    record.setInt32(0, 1, true);
    record.setBigUint64(8, 5n, true);
    const pictures = place(exports, new Uint8Array(record.buffer));
    const run = exports.pd_wasm_run_start(model, options, pictures, 1);
    assert.notEqual(run, 0);
    for (let left = exports.pd_wasm_run_steps_total(run); left > 0; left--) assert.equal(exports.pd_wasm_run_step(run), 0);
    const pixels = exports.pd_wasm_allocate(length);
    assert.equal(exports.pd_wasm_run_finish(run, 0, pixels, length), 0);
    const expected = await reference.generate({ label: 1, seed: 5, steps: STEPS, sampler: name });
    assert.deepEqual(new Uint8Array(exports.memory.buffer, pixels, length).slice(), expected.pixels, name);
    const bound = exports.pd_wasm_png_bound(16, 16, 1, 0, 0);
    const png = exports.pd_wasm_allocate(bound);
    assert.ok(exports.pd_wasm_png_encode(pixels, 16, 16, 1, 0, 0, png, bound) > 57);
    exports.pd_wasm_run_free(run);
    for (const address of [png, pixels, pictures, options]) exports.pd_wasm_release(address);
  }
  exports.pd_wasm_model_free(model);
  reference.close();
});

test('a checked heap: files cut short are refused', { skip }, () => {
  const exports = instantiate();
  for (let size = 1; size < 12000; size += 37) {
    const file = place(exports, tinyBytes.subarray(0, size));
    assert.equal(exports.pd_wasm_model_load(file, size), 0);
    exports.pd_wasm_release(file);
  }
});
