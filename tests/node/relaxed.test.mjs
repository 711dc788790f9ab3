// The module with relaxed SIMD: chosen where it can be, as near to PyTorch as the strict one, and known by its name.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { load, readRecipe, version } from 'pocket-diffusion';
import { root, tinyPath } from './helpers.mjs';

const FLAG = '--experimental-wasm-relaxed-simd'; // Node.js 20 wants it, later ones have it without
const relaxedModule = readFileSync(join(root, 'web', 'pocket-diffusion-relaxed.wasm'));
const withoutFlag = WebAssembly.validate(relaxedModule);
const flags = withoutFlag ? [] : [FLAG];
const cli = join(root, 'web', 'cli.mjs');
const folder = mkdtempSync(join(tmpdir(), 'pocket-diffusion-relaxed-'));
after(() => rmSync(folder, { recursive: true }));

/** Runs a program where there is relaxed SIMD; what it prints, as JSON. */
const runWith = (program) =>
  JSON.parse(execFileSync(process.execPath, [...flags, '--input-type=module', '--eval', program], { cwd: root, encoding: 'utf8' }));

test('the reference’s numbers, within the limits of the strict module', () => {
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, [...flags, join(root, 'tests/node/golden.test.mjs')], {
    cwd: root, encoding: 'utf8', env: { ...env, PD_RELAXED: '1' },
  });
  assert.equal(status, 0, stdout);
  assert.match(stdout, /pass [1-9]\d/);
});

test('pictures differ from the strict ones in last bits alone, and say so', () => {
  const { engines, versions, predictions, pixels } = runWith(`
    import { load } from 'pocket-diffusion';
    const models = await Promise.all([false, true].map((relaxed) => load('weights/doodles.gguf', { relaxed })));
    const { networkChannels, networkHeight, networkWidth } = models[0].info;
    const x = Float32Array.from({ length: networkChannels * networkHeight * networkWidth }, (_, i) => Math.sin(i * i));
    const pictures = await Promise.all(models.map((model) => model.generate({ label: 'cat', seed: 1, guidanceScale: 3 })));
    console.log(JSON.stringify({
      engines: models.map(({ info }) => info.engine),
      versions: pictures.map(({ recipe }) => recipe.version),
      predictions: await Promise.all(models.map(async (model) => [...await model.predict(x, 500, 'cat')])),
      pixels: pictures.map((picture) => [...picture.pixels]),
    }));`);
  assert.deepEqual(engines, [version, `${version}+relaxed`]);
  assert.deepEqual(versions, engines);
  const largest = ([a, b]) => Math.max(...a.map((value, i) => Math.abs(value - b[i])));
  const magnitude = Math.max(...predictions[0].map(Math.abs));
  const difference = largest(predictions) / magnitude;
  // Nothing would differ if a processor rounded twice there too; x86-64 with FMA and ARM round once.
  assert.ok(difference < 1e-5, `${difference}`);
  assert.ok(largest(pixels) <= 2, `${largest(pixels)}`);
});

test('where there is none, the strict module is used', { skip: withoutFlag && 'this Node.js has relaxed SIMD' }, async () => {
  const models = await Promise.all([false, true].map((relaxed) => load(tinyPath, { relaxed })));
  assert.deepEqual(models.map(({ info }) => info.engine), [version, version]);
  await assert.rejects(load(tinyPath, { wasm: relaxedModule }), { code: 'WASM' });
  for (const model of models) model.close();
});

test('only true and false', async () => {
  await assert.rejects(load(tinyPath, { relaxed: 1 }), { name: 'TypeError', message: /relaxed/ });
});

test('the command line: --relaxed, and a recipe that was made with it', () => {
  const generate = (...args) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, cli, 'generate', '--model', tinyPath, '--output', '-', ...args], { cwd: root });
    assert.equal(status, 0, String(stderr));
    return { png: stdout, notes: String(stderr) };
  };
  const path = join(folder, 'first.png');
  const first = generate('--label', 'circle', '--seed', '7', '--relaxed');
  writeFileSync(path, first.png);
  assert.equal(readRecipe(first.png).version, `${version}+relaxed`);
  assert.deepEqual(generate('--from', path).png, first.png);
  assert.equal(readRecipe(generate('--from', path, '--no-relaxed').png).version, version);
  assert.equal(first.notes, '');
});

test('the command line says where there is no relaxed SIMD', { skip: withoutFlag && 'this Node.js has relaxed SIMD' }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath,
    [cli, 'generate', '--model', tinyPath, '--label', 'circle', '--output', '-', '--relaxed'], { cwd: root });
  assert.equal(status, 0);
  assert.match(String(stderr), /no relaxed SIMD/);
  assert.equal(readRecipe(stdout).version, version);
});
