// The same request makes the same bytes in WebAssembly under Node.js, this one and the newest, and in native code of two
// compilers, optimised and not. tests/browser/library.test.mjs does the same in browsers.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { engineHashes } from '../engine_hashes.mjs';
import { isBuilt, nativeHashes, requests } from '../native_pictures.mjs';
import { root } from './helpers.mjs';

const hashes = await engineHashes();
const newestNode = join(root, 'build', 'newest_node', 'node_modules', '.bin', 'node');

test('the requests are many, and make different pictures', () => {
  assert.ok(requests.length >= 100, `${requests.length} requests`);
  assert.equal(new Set(hashes).size, requests.length);
});

// Without optimisation a network call takes a hundred times as long: the small networks and shorter requests must do.
const short = ({ model, steps }) => model.startsWith('tiny') && steps <= 12;
const all = () => true;
for (const [build, what, chosen] of [
  ['native', 'gcc, optimised', all], ['gcc-debug', 'gcc, not optimised', short], ['clang-release', 'clang, optimised', all],
  ['debug', 'clang, not optimised', short],
]) {
  test(`Node.js equals native code (${what})`, { skip: !isBuilt(build) && `build/${build} is not there` }, () => {
    const asked = requests.filter(chosen);
    assert.ok(asked.length >= 100);
    assert.deepEqual(nativeHashes(build, asked), hashes.filter((_, index) => chosen(requests[index])));
  });
}

test('this Node.js equals the newest one', { skip: !existsSync(newestNode) && 'build/newest_node is not there' }, (context) => {
  const version = execFileSync(newestNode, ['--version']).toString().trim();
  context.diagnostic(`${process.version} and ${version}`);
  assert.notEqual(version, process.version);
  const output = execFileSync(newestNode, [join(root, 'tests', 'engine_hashes.mjs')]);
  assert.deepEqual(JSON.parse(output.toString()), hashes);
});
