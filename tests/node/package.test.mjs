// The npm package: what is in it, what it says of itself, and that it works once it is installed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import Ajv from 'ajv';
import { load } from 'pocket-diffusion';
import { bundle } from '../../scripts/site/build_element.mjs';
import { SAMPLER_NAMES } from '../../web/library/options.mjs';
import { PocketDiffusionElement } from '../../web/element.mjs';
import { installPackage } from '../package/installed.mjs';
import { doodlesPath, hash, root } from './helpers.mjs';

const read = (path) => readFileSync(join(root, path), 'utf8');
const manifest = JSON.parse(read('package.json'));
const element = JSON.parse(read('custom-elements.json')).modules[0].declarations[0];
const namesOf = (list) => list.map(({ name }) => name).sort();

let installed;
before(async () => (installed = await installPackage()));
after(() => installed?.remove());

test('it holds every file that its exports lead to, and nothing of the page or the tests', () => {
  const files = new Set(installed.files);
  const wanted = Object.values(manifest.exports).flatMap((target) => (typeof target === 'string' ? target : Object.values(target)));
  const queue = [...wanted, ...Object.values(manifest.bin)].filter((path) => !path.includes('*')).map((path) => posix.normalize(path));
  for (const path of queue) {
    assert.ok(files.has(path), path);
    if (!path.endsWith('.mjs')) continue;
    for (const [, other] of read(path).matchAll(/(?:from|import\(|new URL\()\s*(?:\/\*[^*]*\*\/\s*)*'(\.[^']+)'/g)) {
      const target = posix.join(dirname(path), other);
      if (!queue.includes(target)) queue.push(target);
    }
  }
  const unused = installed.files.filter((path) => path.startsWith('web/') && path.endsWith('.mjs') && !queue.includes(path));
  assert.deepEqual(unused, []);
  for (const path of files) assert.match(path, /^(web|docs|weights|dist\/element)\/|^dist\/inline\.mjs$|^(package|custom-elements)\.json$|^(README\.md|LICENSE)$/);
  assert.ok(queue.length > 20);
});

test('it runs nothing while it is installed, and browsers need no other package to draw', () => {
  const scripts = Object.keys(manifest.scripts).filter((name) => /install|prepare/.test(name));
  assert.deepEqual(scripts, []);
  const users = installed.files.filter((path) => /^web\/.*mjs$/.test(path) && /from '(?![.]|node:)/.test(read(path)));
  assert.ok(users.includes('web/cli.mjs'));
  for (const path of users) assert.match(path, /^web\/(cli|outlines)(\/|\.mjs$)/);
});

test('publint and arethetypeswrong find no fault', () => {
  const run = (...command) => execFileSync('npx', ['--no-install', ...command], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
  assert.match(run('publint', '--strict', installed.tarball), /All good/);
  // Styles, WebAssembly and a script for workers have no types; CommonJS programs use import().
  run('attw', installed.tarball, '--profile', 'esm-only',
    '--exclude-entrypoints', 'element.css', 'pocket-diffusion.wasm', 'pocket-diffusion-relaxed.wasm', 'worker', 'custom-elements.json');
});

test('installed into an empty project, every export works, and so does the command', async () => {
  copyFileSync(join(root, 'tests/package/consumer.mjs'), join(installed.folder, 'consumer.mjs'));
  const run = (command, ...options) => execFileSync(command, options, { cwd: installed.folder, encoding: 'utf8', timeout: 60_000 });
  const model = await load(doodlesPath);
  const pixels = [];
  for await (const picture of model.generateMany({ label: 'cat', seed: 7, steps: 4, count: 4 })) pixels.push(picture.pixels);
  model.close();
  assert.equal(run(process.execPath, 'consumer.mjs').trim(), hash(Buffer.concat(pixels)));
  assert.match(run('npx', '--no-install', 'pocket-diffusion', 'info', 'node_modules/pocket-diffusion/weights/doodles.gguf'), /^name +doodles/);
});

test('custom-elements.json keeps to the schema of custom-elements-manifest', () => {
  const schema = JSON.parse(read('node_modules/custom-elements-manifest/schema.json'));
  const validate = new Ajv({ strict: false, allErrors: true }).compile(schema);
  assert.ok(validate(JSON.parse(read('custom-elements.json'))), JSON.stringify(validate.errors));
});

test('custom-elements.json says what the element does', () => {
  assert.deepEqual(namesOf(element.attributes), [...PocketDiffusionElement.observedAttributes].sort());
  const { prototype } = PocketDiffusionElement;
  const own = Object.getOwnPropertyNames(prototype).filter((name) => !/^constructor$|Callback$/.test(name));
  assert.deepEqual(namesOf(element.members), own.sort());
  const view = read('web/element/view.mjs');
  const parts = [...view.matchAll(/part: '([^']+)'|iconButton\('([^']+)'/g)].flatMap(([, part, button]) => (part ?? `button ${button}`).split(' '));
  assert.deepEqual(namesOf(element.cssParts), [...new Set(parts)].sort());
  const events = [...read('web/element.mjs').matchAll(/#emit\('(\w+)'/g)].map(([, name]) => name);
  assert.deepEqual(namesOf(element.events), [...new Set(events)].sort());
  const styles = read('web/element/style.mjs') + read('web/element.css');
  const properties = [...styles.matchAll(/var\((--pocket-diffusion-[\w-]+)/g)].map(([, name]) => name);
  assert.deepEqual(namesOf(element.cssProperties), [...new Set(properties)].sort());
  const { text } = element.attributes.find(({ name }) => name === 'sampler').type;
  assert.deepEqual([...text.matchAll(/[\w-]+/g)].map(([name]) => name), [...SAMPLER_NAMES].sort());
});

test('what enlarges pictures is a file of its own, fetched when it is used', async () => {
  const texts = (await bundle(['./element.mjs', './index.mjs'])).map(({ contents }) => Buffer.from(contents).toString()).filter((text) => text.includes('rendering.js'));
  assert.ok(texts.length > 0);
  for (const text of texts) assert.doesNotMatch(text, /(?:from|import)\s*["']\.\/rendering\.js/);
});

test('minified and with gzip, the library and its worker are at most 23.5 kB, the element 10 kB more', async () => {
  const size = async (...exported) => (await bundle(exported)).reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0);
  const library = await size('./index.mjs');
  const all = await size('./element.mjs', './index.mjs');
  console.log(`library and worker ${library} bytes, with the element ${all}`);
  assert.ok(library <= 23_500, `${library} bytes`);
  assert.ok(all - library <= 10_000, `${all - library} bytes`);
});
