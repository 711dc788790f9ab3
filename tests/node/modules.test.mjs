// What the library asks of the place it is imported into: nothing.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import * as library from 'pocket-diffusion';
import { root } from './helpers.mjs';

/** The files that importing `entry` loads, and their sources. */
function graphOf(entry, files = new Map()) {
  if (files.has(entry)) return files;
  const source = readFileSync(entry, 'utf8');
  files.set(entry, source);
  for (const [, specifier] of source.matchAll(/^\s*(?:import|export)\b[^;]*?from '([^']+)'/gm)) {
    assert.match(specifier, /^\.\.?\//, `${relative(root, entry)} imports ${specifier}`);
    graphOf(join(dirname(entry), specifier), files);
  }
  return files;
}

const files = new Map([...graphOf(join(root, 'web', 'index.mjs')), ...graphOf(join(root, 'web', 'worker.js'))]);

test('the browser modules depend on nothing but each other', () => {
  assert.ok(files.size >= 10);
  const names = [...files.keys()].map((file) => relative(join(root, 'web'), file));
  for (const name of ['library/engine.mjs', 'library/host.mjs', 'library/pool.mjs', 'thread.mjs', 'library/protocol.mjs', 'worker.js']) assert.ok(names.includes(name), name);
});

test('they need neither unsafe-eval nor unsafe-inline', () => {
  for (const [file, source] of files) {
    assert.doesNotMatch(source, /\beval\s*\(|new Function\b|\binnerHTML\b|\bsetTimeout\s*\(\s*['"`]|document\.write/, file);
  }
});

test('importing has no effect: no globals, no requests, no Worker, nothing that keeps a process alive', () => {
  const script = `
    const forbidden = (name) => () => { throw new Error(name + ' was used'); };
    globalThis.Worker = forbidden('Worker');
    globalThis.fetch = forbidden('fetch');
    globalThis.document = new Proxy({}, { get: forbidden('document') });
    const before = Reflect.ownKeys(globalThis).length;
    await import('pocket-diffusion');
    await import('pocket-diffusion/element');
    if (Reflect.ownKeys(globalThis).length !== before) throw new Error('a global was added');
    console.log('imported');`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: root, timeout: 20_000 });
  assert.equal(String(output), 'imported\n');
});

test('the exports are those that index.d.ts declares', () => {
  const declarations = readFileSync(join(root, 'web', 'index.d.ts'), 'utf8');
  const declared = [...declarations.matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(Object.keys(library).sort(), declared.sort());
});
