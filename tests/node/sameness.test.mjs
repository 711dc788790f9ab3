// The same request makes the same bytes in WebAssembly under Node and in native code of two compilers.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { load } from 'pocket-diffusion';
import { editingRequests, modelPath, nativeHashes, pixelHash, requests as plainRequests } from '../native_pictures.mjs';

const requests = [...plainRequests, ...editingRequests];
let model;
const hashes = [];
before(async () => {
  model = await load(modelPath);
  for (const request of requests) hashes.push(pixelHash((await model.generate(request)).pixels));
});
after(() => model.close());

test('the requests make different pictures', () => {
  assert.equal(new Set(hashes).size, requests.length);
});

test('Node equals native code (gcc, optimised)', () => {
  assert.deepEqual(hashes, nativeHashes('native', requests));
});

// Without optimisation a network call takes a hundred times as long: the shorter requests must do.
const debugMissing = !existsSync(new URL('../../build/debug/tests/native_pictures', import.meta.url));
test('Node equals native code (clang, not optimised)', { skip: debugMissing && 'build/debug is not there' }, () => {
  const short = plainRequests.flatMap((request, index) => (request.steps <= 7 ? [index] : []));
  assert.ok(short.length >= 4);
  assert.deepEqual(short.map((index) => hashes[index]), nativeHashes('debug', short.map((index) => requests[index])));
});
