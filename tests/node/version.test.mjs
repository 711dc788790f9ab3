// One version, wherever it has to stand.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { versions } from '../../scripts/checks/version.mjs';
import { root } from './helpers.mjs';

test('every file that carries the version has the same one', () => {
  const [{ version }, ...others] = versions();
  assert.match(version, /^\d+\.\d+\.\d+$/);
  for (const other of others) assert.equal(other.version, version, other.file);
});

test('the changelog has a section for it, or for what comes next', () => {
  const [{ version }] = versions();
  const sections = [...readFileSync(join(root, 'CHANGELOG.md'), 'utf8').matchAll(/^## (\S+)/gm)].map(([, name]) => name);
  assert.ok(sections.includes(version) || sections.includes('Unreleased'), sections.join(', '));
});
