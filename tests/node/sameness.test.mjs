// The same request makes the same bytes in WebAssembly under Node and in native code of two compilers.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { load } from 'pocket-diffusion';
import { modelPath, nativeHashes, pixelHash, requests } from '../native_pictures.mjs';

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

for (const [build, compiler] of [['native', 'gcc, optimised'], ['debug', 'clang, not optimised']]) {
  const missing = !existsSync(new URL(`../../build/${build}/tests/native_pictures`, import.meta.url));
  test(`Node equals native code (${compiler})`, { skip: missing && build !== 'native' && 'not built' }, () => {
    assert.deepEqual(hashes, nativeHashes(build));
  });
}
