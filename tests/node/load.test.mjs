// Where models come from, and what happens when they do not.
import assert from 'node:assert/strict';
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { runInNewContext } from 'node:vm';
import { PocketDiffusionError, load } from 'pocket-diffusion';
import { hash, tinyBytes, tinyPath, wasmPath, withServer } from './helpers.mjs';

const folder = mkdtempSync(join(tmpdir(), 'pocket-diffusion-'));
after(() => rmSync(folder, { recursive: true }));

const OPTIONS = { label: 0, seed: 3, steps: 2 };
const expected = (await (await load(tinyBytes)).generate(OPTIONS)).pixels;
const wasmBytes = new Uint8Array(readFileSync(wasmPath));

async function loads(source, options) {
  const model = await load(source, options);
  assert.equal(model.info.sha256, hash(tinyBytes));
  assert.deepEqual((await model.generate(OPTIONS)).pixels, expected);
  model.close();
}

/** Rejects with a PocketDiffusionError of this code, with one line of text. */
async function fails(promise, code, pattern = /./) {
  let failure;
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof PocketDiffusionError, error.stack);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, pattern);
    assert.doesNotMatch(error.message, /\n/);
    failure = error;
    return true;
  });
  return failure;
}

// ---- sources

test('paths and file URLs', async () => {
  await loads(tinyPath);
  await loads(pathToFileURL(tinyPath));
  await loads(pathToFileURL(tinyPath).href);
  const odd = join(folder, 'a #?% b é.gguf');
  writeFileSync(odd, tinyBytes);
  await loads(odd);
  await loads(pathToFileURL(odd));
});

test('bytes: buffers, views with an offset, Node Buffers, shared memory, another realm', async () => {
  await loads(tinyBytes.slice().buffer);
  await loads(tinyBytes);
  await loads(Buffer.from(tinyBytes));
  const padded = new Uint8Array(tinyBytes.length + 21).fill(0x55);
  padded.set(tinyBytes, 13);
  await loads(padded.subarray(13, 13 + tinyBytes.length));
  await loads(new DataView(padded.buffer, 13, tinyBytes.length));
  await loads(Buffer.from(padded.buffer, 13, tinyBytes.length));
  const shared = new SharedArrayBuffer(tinyBytes.length + 8);
  new Uint8Array(shared).set(tinyBytes, 8);
  await loads(new Uint8Array(shared, 8));
  await loads(new Float32Array(tinyBytes.slice().buffer));
  const foreign = runInNewContext('new Uint8Array(length)', { length: tinyBytes.length });
  foreign.set(tinyBytes);
  await loads(foreign);
  await loads(foreign.buffer);
});

test('the bytes are copied: changing them later changes nothing', async () => {
  const bytes = tinyBytes.slice();
  const loading = load(bytes);
  bytes.fill(0);
  assert.deepEqual((await (await loading).generate(OPTIONS)).pixels, expected);
  const kept = tinyBytes.slice();
  await load(kept);
  assert.deepEqual(kept, tinyBytes);
});

test('Blob, data: and blob: URLs', async () => {
  const blob = new Blob([tinyBytes.subarray(0, 1000), tinyBytes.subarray(1000)]);
  await loads(blob);
  await loads(`data:application/octet-stream;base64,${Buffer.from(tinyBytes).toString('base64')}`);
  const url = URL.createObjectURL(blob);
  await loads(url);
  URL.revokeObjectURL(url);
});

test('http, with progress', async () => {
  await withServer((request, response) => {
    response.writeHead(200, { 'content-length': tinyBytes.length });
    createReadStream(tinyPath, { highWaterMark: 100_000 }).pipe(response);
  }, async (base) => {
    const seen = [];
    await loads(`${base}/tiny.gguf`, { onProgress: (progress) => seen.push(progress) });
    assert.ok(seen.length > 1);
    assert.ok(seen.every(({ total }) => total === tinyBytes.length));
    assert.ok(seen.every(({ loaded }, index) => index === 0 || loaded > seen[index - 1].loaded));
    assert.equal(seen.at(-1).loaded, tinyBytes.length);
    await loads(new URL(`${base}/tiny.gguf`));
    const failure = new Error('from onProgress');
    await assert.rejects(load(base, { onProgress: () => { throw failure; } }), (error) => error === failure);
  });
});

test('progress without a known length, from bytes and from a file', async () => {
  await withServer((request, response) => response.end(tinyBytes.slice()), async (base) => {
    await loads(base, { onProgress: ({ total }) => assert.ok(total === 0 || total === tinyBytes.length) });
  });
  for (const source of [tinyBytes, tinyPath, new Blob([tinyBytes])]) {
    const seen = [];
    await loads(source, { onProgress: (progress) => seen.push(progress) });
    assert.deepEqual(seen.at(-1), { loaded: tinyBytes.length, total: tinyBytes.length });
  }
});

// ---- broken files

const changed = (change) => {
  const bytes = tinyBytes.slice();
  change(new DataView(bytes.buffer));
  return bytes;
};

test('broken files are refused with a code, a status and where it is', async () => {
  const cases = [
    [new Uint8Array(0), 'SHORT'],
    [tinyBytes.subarray(0, 23), 'SHORT'],
    [changed((view) => view.setUint8(0, 0x48)), 'MAGIC'],
    [changed((view) => view.setUint32(4, 2, true)), 'VERSION'],
    [changed((view) => view.setUint32(4, 3, false)), 'VERSION'],
    [changed((view) => view.setBigUint64(8, 2n ** 63n, true)), 'COUNT'],
    [changed((view) => view.setBigUint64(16, 2n ** 64n - 1n, true)), 'COUNT'],
    [changed((view) => view.setBigUint64(24, 2n ** 64n - 1n, true)), 'STRING'],
    [tinyBytes.subarray(0, tinyBytes.length - 1), 'SHORT'],
    [Buffer.concat([tinyBytes, Buffer.alloc(1)]), 'TRAILING'],
    [Buffer.from('<!doctype html><html><title>404</title>'.padEnd(500)), 'MAGIC', /HTML/],
    [Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'), 'MAGIC', /LFS/i],
    [Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(100)]), 'MAGIC', /gzip/i],
  ];
  for (const [bytes, code, pattern] of cases) {
    const error = await fails(load(bytes), code, pattern);
    assert.ok(error.status > 0);
    assert.ok(Number.isInteger(error.offset) && error.offset >= -1 && error.offset <= bytes.length, `${code}: ${error.offset}`);
    assert.equal(error.name, 'PocketDiffusionError');
  }
});

test('a file cut anywhere is refused', async () => {
  for (let length = 0; length < tinyBytes.length; length += 5003) {
    await assert.rejects(load(tinyBytes.subarray(0, length)), (error) => error.status > 0, `${length} bytes`);
  }
});

test('infinity in the weights is refused', async () => {
  // Most of the file is F16; 0x7c00 is infinity.
  const error = await fails(load(changed((view) => view.setUint32(200_000, 0x007c007c))), 'NONFINITE');
  assert.ok(error.message.includes('weight') || error.offset > 0, error.message);
});

test('the same load works after a refused one', async () => {
  await fails(load(tinyBytes.subarray(0, 200_000)), 'SHORT');
  await loads(tinyBytes);
});

// ---- file system and network

test('files that cannot be read', async () => {
  await fails(load(join(folder, 'missing.gguf')), 'FILE', /missing\.gguf/);
  await fails(load(folder), 'FILE');
  await fails(load(pathToFileURL(join(folder, 'missing.gguf'))), 'FILE');
});

test('a file that never ends is not read to the end', async () => {
  await fails(load('/dev/zero'), 'TOO_BIG');
});

test('HTTP errors and pages that are no model', async () => {
  const answers = {
    '/404': [404, 'nothing here'], '/500': [500, ''], '/page': [200, '<!doctype html><title>Sign in</title>'], '/empty': [200, ''],
  };
  await withServer((request, response) => {
    const [status, body] = answers[request.url];
    response.writeHead(status, { 'content-type': 'text/html' }).end(body);
  }, async (base) => {
    await fails(load(`${base}/404`), 'NETWORK', /404/);
    await fails(load(`${base}/500`), 'NETWORK', /500/);
    await fails(load(`${base}/page`), 'MAGIC', /HTML|<!do/);
    await fails(load(`${base}/empty`), 'SHORT');
  });
  await fails(load('http://127.0.0.1:1/model.gguf'), 'NETWORK', /127\.0\.0\.1/);
  await fails(load('no-such-scheme:model'), 'NETWORK');
});

test('a body that is cut off', async () => {
  await withServer((request, response) => {
    response.writeHead(200, { 'content-length': tinyBytes.length });
    response.write(tinyBytes.subarray(0, 70_000));
    setTimeout(() => response.destroy(), 50);
  }, (base) => fails(load(base), 'NETWORK', /broke off/));
});

test('a body that never ends is not read to the end', async () => {
  const block = Buffer.alloc(2 ** 20);
  await withServer((request, response) => {
    const more = () => { while (!response.destroyed && response.write(block)); };
    response.on('drain', more);
    more();
  }, (base) => fails(load(base), 'TOO_BIG'));
});

test('a stall ends with the signal, before and after the headers', { timeout: 20_000 }, async () => {
  for (const start of [() => {}, (response) => response.writeHead(200).write(tinyBytes.subarray(0, 1000))]) {
    await withServer((request, response) => start(response), async (base) => {
      const controller = new AbortController();
      const reason = new Error('too slow');
      setTimeout(() => controller.abort(reason), 100);
      await assert.rejects(load(base, { signal: controller.signal }), (error) => error === reason);
    });
  }
});

test('a failed load can be tried again', async () => {
  let requests = 0;
  await withServer((request, response) => {
    if (++requests === 1) response.writeHead(503).end();
    else response.end(tinyBytes);
  }, async (base) => {
    await fails(load(base), 'NETWORK', /503/);
    await loads(base);
  });
});

// ---- the WebAssembly module

test('wasm as bytes, as a module, as a URL and as a path', async () => {
  await loads(tinyBytes, { wasm: wasmBytes });
  await loads(tinyBytes, { wasm: Buffer.concat([Buffer.alloc(3), wasmBytes]).subarray(3) });
  await loads(tinyBytes, { wasm: await WebAssembly.compile(wasmBytes) });
  await loads(tinyBytes, { wasm: pathToFileURL(wasmPath) });
  await loads(tinyBytes, { wasm: wasmPath });
});

test('wasm over http, with the right and with a wrong type', async () => {
  let requests = 0;
  await withServer((request, response) => {
    requests++;
    response.writeHead(200, { 'content-type': request.url.includes('wrong') ? 'text/plain' : 'application/wasm' }).end(wasmBytes);
  }, async (base) => {
    await loads(tinyBytes, { wasm: `${base}/right.wasm` });
    await loads(tinyBytes, { wasm: `${base}/wrong.wasm` });
    assert.equal(requests, 2);
    await Promise.all([1, 2, 3].map(() => loads(tinyBytes, { wasm: `${base}/wrong.wasm` })));
    assert.equal(requests, 2, 'compiled once for all');
  });
});

test('a module that is missing, no module or another module; then a second try', async () => {
  const other = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
  const bodies = ['<!doctype html>', other, wasmBytes.subarray(0, 1000), wasmBytes];
  for (const type of ['application/wasm', 'text/html']) {
    let requests = 0;
    await withServer((request, response) => {
      if (request.url === '/404') response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': type }).end(bodies[requests++]);
    }, async (base) => {
      await fails(load(tinyBytes, { wasm: `${base}/404` }), 'NETWORK', /404/);
      await fails(load(tinyBytes, { wasm: `${base}/core.wasm` }), 'WASM');
      await fails(load(tinyBytes, { wasm: `${base}/core.wasm?2` }), 'WASM', /exports/);
      await fails(load(tinyBytes, { wasm: `${base}/core.wasm` }), 'WASM');
      await loads(tinyBytes, { wasm: `${base}/core.wasm` });
    });
  }
  await fails(load(tinyBytes, { wasm: join(folder, 'missing.wasm') }), 'WASM', /missing\.wasm/);
  await fails(load(tinyBytes, { wasm: tinyBytes }), 'WASM');
});

test('a stalled module does not hold up the next load', { timeout: 20_000 }, async () => {
  let requests = 0;
  await withServer((request, response) => {
    if (++requests > 1) response.writeHead(200, { 'content-type': 'application/wasm' }).end(wasmBytes);
    else response.writeHead(200, { 'content-type': 'application/wasm' }).write(wasmBytes.subarray(0, 100));
  }, async (base) => {
    const wasm = `${base}/stalled.wasm`;
    const controllers = [new AbortController(), new AbortController()];
    const calls = controllers.map(({ signal }) => assert.rejects(load(tinyBytes, { wasm, signal }), { name: 'AbortError' }));
    setTimeout(() => controllers[0].abort(), 50);
    setTimeout(() => controllers[1].abort(), 100);
    await Promise.all(calls);
    assert.equal(requests, 1, 'both waited for one download');
    await loads(tinyBytes, { wasm });
  });
});

test('a module with unknown imports is refused by name', async () => {
  // (import "host" "eval" (func))
  const wasm = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 2, 13, 1, 4, 104, 111, 115, 116, 4, 101, 118, 97, 108, 0, 0);
  await fails(load(tinyBytes, { wasm }), 'WASM', /host\.eval/);
});

test('engines without WebAssembly or SIMD are told so; without crypto.subtle there is no hash', async () => {
  const { WebAssembly: saved } = globalThis;
  try {
    globalThis.WebAssembly = undefined;
    await fails(load(tinyBytes), 'UNSUPPORTED', /no WebAssembly$/);
    globalThis.WebAssembly = Object.assign(Object.create(saved), { validate: () => false });
    await fails(load(tinyBytes), 'UNSUPPORTED', /SIMD/);
  } finally {
    globalThis.WebAssembly = saved;
  }
  const { crypto } = globalThis;
  try {
    Object.defineProperty(globalThis, 'crypto', { value: {}, configurable: true, writable: true });
    assert.equal((await load(tinyBytes)).info.sha256, '');
  } finally {
    Object.defineProperty(globalThis, 'crypto', { value: crypto, configurable: true, writable: true });
  }
});

test('a worker that is asked for where there is none', async () => {
  const { versions } = process; // looks like a browser without them
  Object.defineProperty(process, 'versions', { value: {}, configurable: true });
  try {
    await fails(load(tinyBytes, { worker: true }), 'WORKER', /Worker/);
  } finally {
    Object.defineProperty(process, 'versions', { value: versions, configurable: true });
  }
});
