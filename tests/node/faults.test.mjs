// Faults put in on purpose, one test each: the error is clear and has the code that is promised, nothing stays behind
// (linear memories, threads and responses are counted), and the next try makes the golden picture. The numbers are
// those of the list of bad input in docs/trust.md. The last test prints the table.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { PocketDiffusionError, load, readManifest } from 'pocket-diffusion';
import { startBadServer } from '../bad_server.mjs';
import { memoryOf, watchLeaks, withTrap } from './faulty_modules.mjs';
import { hash, tinyBytes, wasmPath } from './helpers.mjs';
import { Worker as WebWorker } from './worker_shim.mjs';

const wasmBytes = new Uint8Array(readFileSync(wasmPath));
const OPTIONS = { label: 1, seed: 3, steps: 3 };
const GOLDEN = 'e67b6091';
const IDENTITY = { sha256: hash(tinyBytes), fileBytes: tinyBytes.length };
const QUICKLY = { stallTimeout: 1000 };
const MANIFEST = Buffer.from(JSON.stringify({ models: [{ name: 'tiny', file: 'tiny.gguf', bytes: tinyBytes.length, sha256: IDENTITY.sha256 }] }));

const leaks = watchLeaks();
const table = [];
let server;
before(async () => {
  server = await startBadServer({
    'tiny.gguf': { type: 'application/octet-stream', body: tinyBytes },
    'core.wasm': { type: 'application/wasm', body: wasmBytes },
    'manifest.json': { type: 'application/json', body: MANIFEST },
  });
});
after(() => server.close());

async function checkGolden(model) {
  try {
    assert.equal(hash((await model.generate(OPTIONS)).pixels).slice(0, 8), GOLDEN);
  } finally {
    model.close();
  }
}

async function rejectsWith(promise, code) {
  const error = await promise.then((value) => assert.fail(`no error, but ${typeof value}`), (reason) => reason);
  assert.ok(error instanceof PocketDiffusionError, error.stack);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, /^[^\n]{8,}$/);
}

/**
 * @param {number} number @param {string} name
 * @param {string} code expected; '' if the fault must not be noticed at all
 * @param {() => Promise<unknown>} inject the call that meets the fault
 * @param {() => Promise<unknown>} recover what must work afterwards; default: a load from bytes and a picture
 */
function fault(number, name, code, inject, recover = async () => checkGolden(await load(tinyBytes))) {
  test(`${number}: ${name}`, { timeout: 60_000 }, async () => {
    const row = { number, fault: name, code: code || 'none', clean: false, left: '?', recovered: false };
    table.push(row);
    const start = leaks.now();
    if (code) await rejectsWith(inject(), code);
    else await inject();
    row.clean = true;
    row.left = await leaks.left(start) + await server.unfinished();
    assert.equal(row.left, 0, 'memories, threads and responses');
    await recover();
    row.recovered = true;
  });
}

// ---- downloads: number, behaviour, code for a model, options

const DOWNLOADS = [
  [51, 'status-404', 'NETWORK'], [51, 'status-500', 'NETWORK'], [51, 'html', 'MAGIC'], [51, 'empty', 'SHORT'],
  [53, 'cut', 'NETWORK'], [53, 'shorter', 'SHORT'], [53, 'shorter', 'INTEGRITY', IDENTITY], [53, 'longer', 'TRAILING'],
  [53, 'longer', 'INTEGRITY', IDENTITY], [53, 'longer-than-it-says', 'SHORT'],
  [53, 'endless', 'INTEGRITY', IDENTITY], [54, 'changed', 'INTEGRITY', IDENTITY], [54, 'html', 'INTEGRITY', IDENTITY],
  [51, 'no-gzip', 'NETWORK'], [51, 'no-chunks', 'NETWORK'], [51, 'no-http', 'NETWORK'], [56, 'reset', 'NETWORK'],
  [55, 'stall', 'NETWORK', QUICKLY], [55, 'stall-after-headers', 'NETWORK', QUICKLY], [55, 'stall-in-body', 'NETWORK', QUICKLY],
  [51, 'redirect-loop', 'NETWORK'],
];

for (const [number, behaviour, code, options] of DOWNLOADS) {
  // What is not the file that was asked for is downloaded once more at once, past all caches.
  const times = code === 'INTEGRITY' ? 2 : 1;
  const open = () => load(`${server.url}/${behaviour}*${times}/${code}/tiny.gguf`, options);
  fault(number, `model: ${behaviour}${options === IDENTITY ? ', hash and size known' : ''}`, code, open, async () => checkGolden(await open()));
}

fault(54, 'model: a cache on the way has another file', '', async () =>
  checkGolden(await load(`${server.url}/changed/cache/tiny.gguf`, IDENTITY)));

fault(54, 'model: another file than asked for, for good', 'INTEGRITY',
  () => load(`${server.url}/good/0/core.wasm`, IDENTITY));
fault(54, 'bytes: another file than asked for', 'INTEGRITY', () => load(tinyBytes.subarray(1), IDENTITY));
fault(54, 'model: changed between two requests', 'INTEGRITY', async () => {
  const [{ url, sha256, fileBytes }] = await readManifest(`${server.url}/good/1/manifest.json`);
  await checkGolden(await load(url, { sha256, fileBytes }));
  return load(tinyBytes.map((byte, index) => (index === 200_000 ? byte ^ 1 : byte)), { sha256, fileBytes });
});

const MODULES = [
  [51, 'status-404', 'NETWORK'], [51, 'html', 'WASM'], [51, 'empty', 'WASM'], [53, 'cut', 'NETWORK'], [53, 'shorter', 'WASM'],
  [53, 'endless', 'TOO_BIG'], [55, 'stall', 'NETWORK', QUICKLY], [55, 'stall-in-body', 'NETWORK', QUICKLY], [56, 'reset', 'NETWORK'],
  [52, 'wrong-type', ''], [52, 'no-type', ''],
];
for (const [number, behaviour, code, options] of MODULES) {
  const open = () => load(tinyBytes, { ...options, wasm: `${server.url}/${behaviour}/m/core.wasm` });
  const attempt = code ? open : async () => checkGolden(await open());
  fault(number, `module: ${behaviour}`, code, attempt, async () => checkGolden(await open()));
}

fault(56, 'no network', 'NETWORK', () => load('http://127.0.0.1:9/tiny.gguf'),
  async () => checkGolden(await load(`${server.url}/good/2/tiny.gguf`)));
fault(56, 'no network after the first load', '', async () => {
  const model = await load(`${server.url}/good/3/tiny.gguf`, { workers: 1 });
  const { fetch } = globalThis;
  globalThis.fetch = () => Promise.reject(new TypeError('offline'));
  try {
    await leaks.threads.at(-1).terminate(); // even the next worker needs no download
    await checkGolden(model);
  } finally {
    globalThis.fetch = fetch;
  }
});

// ---- the manifest

const manifest = (text) => readManifest(`data:application/json,${encodeURIComponent(text)}`);
const listed = (change) => JSON.stringify({ models: [{ name: 'a', file: 'a.gguf', bytes: 9, sha256: 'a'.repeat(64), ...change }] });
for (const behaviour of ['status-404', 'html', 'endless', 'stall']) {
  const code = { 'html': 'MANIFEST', 'endless': 'TOO_BIG' }[behaviour] ?? 'NETWORK';
  const read = () => readManifest(`${server.url}/${behaviour}/0/manifest.json`, behaviour === 'stall' ? QUICKLY : {});
  fault(57, `manifest: ${behaviour}`, code, read, async () => {
    const [{ url, sha256, fileBytes }] = await read();
    await checkGolden(await load(url.href.replace(behaviour, 'good'), { sha256, fileBytes }));
  });
}
for (const text of ['', 'null', '[]', '{"models": 1}', '{"models": [1]}', '{', '\ufeff\ufeff{}']) {
  fault(57, `manifest: ${text || 'empty'}`, 'MANIFEST', () => manifest(text));
}
test('57: a file of the manifest lies below its folder, or the manifest is refused', async () => {
  const outside = [
    '../a.gguf', 'x/../../a.gguf', '%2e%2e/a.gguf', '..%2fa.gguf/../../b', '/a.gguf', '//example.org/a.gguf', 'https://example.org/a.gguf',
    'http:a.gguf', '\\\\example.org\\a', '..\\a.gguf', 'data:,x', 'blob:x', 'a.gguf?x', 'a.gguf#x', '', '.', './', 3, null, {}, '\t//example.org/a',
  ];
  const { fetch } = globalThis;
  let body = '';
  globalThis.fetch = async () => new Response(body);
  try {
    const read = () => readManifest('https://site.example/folder/manifest.json');
    for (const file of outside) {
      body = listed({ file });
      const accepted = await read().then((models) => models[0].url.href, (error) => {
        assert.equal(error.code, 'MANIFEST', `${file}: ${error.stack}`);
        return null;
      });
      // "http:a.gguf" is a relative address where the page has that scheme; ".." behind an escaped slash is a name.
      assert.ok(accepted === null || accepted.startsWith('https://site.example/folder/'), `${file} became ${accepted}`);
    }
    for (const change of [
      { bytes: 0 }, { bytes: '9' }, { bytes: 1.5 }, { bytes: 2 ** 28 + 1 }, { sha256: 'a' }, { sha256: 'g'.repeat(64) }, { sha256: null }, { sha256: ['a'.repeat(64)] },
      { sha256: undefined }, { name: 1 }, { name: undefined }, { license: 3 },
    ]) {
      body = listed(change);
      await rejectsWith(read(), 'MANIFEST');
    }
    body = listed({ file: 'small/b.gguf', sha256: 'A'.repeat(64) });
    const [entry] = await read();
    assert.equal(entry.url.href, 'https://site.example/folder/small/b.gguf');
    assert.equal(entry.sha256, 'a'.repeat(64));
  } finally {
    globalThis.fetch = fetch;
  }
});

// ---- memory that cannot grow

const memory = memoryOf(wasmBytes);
const pagesNeeded = Math.ceil((2 * tinyBytes.length) / 65536) + memory.initial;
fault(41, 'linear memory cannot grow: load', 'MEMORY', async () => {
  const model = new Uint8Array(2 ** 23); // does not even fit
  return load(model, { wasm: memory.patched(memory.initial) });
});
test('41: with any maximum of linear memory the picture is right or the error is MEMORY', { timeout: 60_000 }, async () => {
  const large = { ...OPTIONS, label: [0, 1, 2], count: 20, steps: 1 };
  const outcomes = new Set();
  for (let pages = memory.initial; pages <= pagesNeeded + 4; pages++) {
    const draw = async () => {
      const model = await load(tinyBytes, { wasm: memory.patched(pages) });
      try {
        for (let copy = 0; copy < 3; copy++) for await (const picture of model.generateMany(large)) await picture.toPNG();
        return hash((await model.generate(OPTIONS)).pixels).slice(0, 8);
      } finally {
        model.close();
      }
    };
    outcomes.add(await draw().catch((error) => error.code));
  }
  outcomes.delete('MEMORY');
  assert.deepEqual([...outcomes], [GOLDEN]);
});
for (const workers of [0, 1]) {
  fault(41, `no memory for one more instance${workers ? ', in a worker' : ''}`, 'MEMORY', async () => {
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = () => Promise.reject(new RangeError('WebAssembly.instantiate(): Out of memory: Cannot allocate Wasm memory'));
    globalThis.Worker = disturbed('WebAssembly.instantiate = () => Promise.reject(new RangeError("Out of memory"));');
    try {
      await load(tinyBytes, { workers });
    } finally {
      WebAssembly.instantiate = instantiate;
      delete globalThis.Worker;
    }
  });
}

// ---- traps

for (const [name, k, use] of [
  ['pd_wasm_model_load', 1, null], ['pd_wasm_model_number', 3, null], ['pd_wasm_run_start', 1, 'generate'],
  ['pd_wasm_run_step', 2, 'generate'], ['pd_wasm_run_finish', 1, 'generate'], ['pd_wasm_run_free', 1, 'generate'],
  ['pd_wasm_run_preview', 2, 'preview'], ['pd_wasm_model_predict', 1, 'predict'], ['pd_wasm_graph_name', 2, 'operations'], ['pd_wasm_model_activations', 1, 'activations'], ['pd_wasm_allocate', 3, 'generate'],
  ['pd_wasm_release', 2, 'generate'], ['_initialize', 1, null],
]) {
  fault(50, `trap in ${name}`, 'TRAP', () => withTrap(name, k, async () => {
    const model = await load(tinyBytes);
    const call = () => (use === 'predict' || use === 'activations' ? model[use](new Float32Array(256), 0, 0, 3) : use === 'operations' ? model.operations() :
      model.generate({ ...OPTIONS, ...(use === 'preview' && { onStep() {} }) }));
    const error = await call().then(() => assert.fail('no trap'), (reason) => reason);
    await checkGolden(model); // the same model, with another instance
    throw error;
  }));
}

// ---- workers

/** A Worker whose script does something else before and after its work is set up. */
function disturbed(before, after = '') {
  return class extends WebWorker {
    constructor(url, options) {
      super(`data:text/javascript,${encodeURIComponent(`${before}\nawait import(${JSON.stringify(String(url))});\n${after}`)}`, options);
    }
  };
}

/** use(model) with a model in one worker that is disturbed. */
async function withWorker({ before = '', after }, options, use = (model) => model.generate(OPTIONS)) {
  globalThis.Worker = disturbed(before, after);
  let model;
  try {
    model = await load(tinyBytes, { workers: 1, ...options });
    const error = await use(model).then(() => assert.fail('no error'), (reason) => reason);
    globalThis.Worker = WebWorker;
    await checkGolden(model); // the same model, with another worker
    throw error;
  } finally {
    model?.close();
    delete globalThis.Worker;
  }
}
const onMessage = (type, act) => `
  const { parentPort } = await import('node:worker_threads');
  parentPort.on('message', (data) => { if (data.type === ${JSON.stringify(type)}) { ${act} } });`;
const SLEEP = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);';
const SILENT = { workerTimeout: 1000 };

fault(48, 'worker throws while it runs', 'WORKER', () => withWorker({ after: onMessage('generate', 'throw new Error("out of order")') }));
fault(48, 'worker throws while it loads', 'WORKER', () => withWorker({ before: onMessage('open', 'throw new Error("out of order")') }));
fault(48, 'worker script throws', 'WORKER', () => withWorker({ before: 'throw new Error("out of order")' }));
fault(48, 'worker hangs while it runs', 'WORKER', () => withWorker({ after: onMessage('generate', SLEEP) }, SILENT));
fault(48, 'worker hangs while it loads', 'WORKER', () => withWorker({ before: onMessage('open', SLEEP) }, SILENT));
fault(48, 'worker is killed without a sign', 'WORKER', () => withWorker({}, SILENT, (model) => {
  const call = model.generate({ ...OPTIONS, steps: 100, onStep: () => new Promise(() => {}) });
  leaks.threads.at(-1).terminate();
  return call;
}));
fault(48, 'worker answers nothing', 'WORKER', () => withWorker({ before: 'globalThis.addEventListener = () => {};' }, SILENT));
fault(48, 'a busy worker is not taken for a dead one', '', async () => {
  const model = await load(tinyBytes, { workers: 1, workerTimeout: 400 });
  let steps = 0;
  await model.generate({ ...OPTIONS, onStep: async () => {
    steps++;
    await new Promise((resolve) => setTimeout(resolve, 500));
  } });
  assert.equal(steps, 3);
  await checkGolden(model);
});
fault(48, 'all pending calls of a killed worker', 'WORKER', async () => {
  const model = await load(tinyBytes, { workers: 1 });
  try {
    const calls = [model.generate({ ...OPTIONS, steps: 100 }), model.generate({ ...OPTIONS, onStep: () => new Promise(() => {}) }),
      model.generateMany({ label: 0, count: 9 }).next(), model.predict(new Float32Array(256), 0, 0)];
    leaks.threads.at(-1).terminate();
    const errors = await Promise.all(calls.map((call) => call.then(() => null, (error) => error)));
    for (const error of errors) assert.equal(error.code, 'WORKER');
    throw errors[0];
  } finally {
    model.close();
  }
});

// ---- what the surroundings lack

/** use() while a global has another value. */
async function withGlobal(name, value, use) {
  const saved = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { configurable: true, writable: true, value });
  try {
    return await use();
  } finally {
    if (saved) Object.defineProperty(globalThis, name, saved);
    else delete globalThis[name];
  }
}
fault(59, 'no WebAssembly', 'UNSUPPORTED', () => withGlobal('WebAssembly', undefined, () => load(tinyBytes)));
fault(59, 'no SIMD', 'UNSUPPORTED', () => withGlobal('WebAssembly', { ...Object.getOwnPropertyDescriptors(WebAssembly), validate: () => false }, () => load(tinyBytes)));
fault(59, 'no crypto.subtle to check a hash with', 'UNSUPPORTED', () => withGlobal('crypto', { getRandomValues() {} }, () => load(tinyBytes, IDENTITY)));
fault(59, 'no crypto.subtle, no hash asked for', '', () => withGlobal('crypto', {}, async () => checkGolden(await load(tinyBytes))));
fault(59, 'no Worker, but asked for', 'WORKER', () => withGlobal('Worker', class {
  addEventListener() {}
  constructor() {
    throw new DOMException('not here', 'SecurityError');
  }
}, () => load(tinyBytes, { worker: true })));
fault(58, 'storage that throws', '', async () => {
  const full = new Proxy({}, { get() { throw new DOMException('full', 'QuotaExceededError'); } });
  let use = async () => checkGolden(await load(`${server.url}/good/4/tiny.gguf`, IDENTITY));
  for (const name of ['localStorage', 'sessionStorage', 'indexedDB', 'caches']) {
    const inner = use;
    use = () => withGlobal(name, full, inner);
  }
  await use();
});

test('every fault met a clean error, left nothing behind and was recovered from', async () => {
  assert.equal(await leaks.left(), 0, 'after the second tries');
  const lines = table.map(({ number, fault: name, code, clean, left, recovered }) =>
    `${number}  ${name.padEnd(58)} ${code.padEnd(12)} ${clean ? 'clean' : 'NOT CLEAN'}  ${left} left  ${recovered ? 'recovered' : 'NOT RECOVERED'}`);
  const count = (test) => table.filter(test).length;
  lines.push(`${table.length} faults: ${count(({ clean }) => clean)} clean, ${count(({ left }) => left !== 0)} with leaks, ${count(({ recovered }) => recovered)} recovered`);
  console.log(lines.join('\n'));
  assert.ok(table.length > 70, `${table.length} faults`);
  assert.equal(count(({ clean, left, recovered }) => clean && left === 0 && recovered), table.length);
});
