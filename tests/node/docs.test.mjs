// The documentation: its programs run, its links lead somewhere, it names everything that is public. Programs for pages
// are run by tests/browser/docs.test.mjs.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { DOCUMENTS, blocks } from '../doc_blocks.mjs';
import { doodlesPath, root } from './helpers.mjs';

const LANGUAGES = ['js', 'html', 'sh', 'python', '']; // Python is run by tests/python

/** A reason not to run is the exception. */
const MOST_NOT_RUN = 10;

const run = promisify(execFile);
const read = (path) => readFileSync(join(root, path), 'utf8');

describe('programs of the documentation', () => {
  let folder;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pocket-diffusion-docs-'));
    for (const name of readdirSync(root)) {
      if (!['.git', 'node_modules', 'dist'].includes(name)) symlinkSync(join(root, name), join(folder, name));
    }
    mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true });
    symlinkSync(root, join(folder, 'node_modules/pocket-diffusion'));
    writeFileSync(join(folder, 'node_modules/.bin/pocket-diffusion'), `#!/bin/sh\nexec node "${join(root, 'web/cli.mjs')}" "$@"\n`, { mode: 0o755 });
    symlinkSync(doodlesPath, join(folder, 'doodles.gguf'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const options = () => ({
    cwd: folder, timeout: 120_000, env: { ...process.env, PATH: `${join(folder, 'node_modules/.bin')}${delimiter}${process.env.PATH}` },
  });
  for (const { name, language, browser, reason, text } of blocks) {
    if (reason || browser || !['js', 'sh'].includes(language)) continue;
    test(`${name} runs`, async () => {
      if (language === 'sh') {
        await run('bash', ['-euo', 'pipefail', '-c', text], options());
      } else {
        const file = join(folder, 'program.mjs');
        writeFileSync(file, text);
        await run(process.execPath, [file], options());
      }
    });
  }

  test('what the comments say comes out', async () => {
    const { text } = blocks.find((block) => block.file === 'docs/guide.md' && block.text.includes('"cta"'));
    writeFileSync(join(folder, 'program.mjs'), text);
    const { stdout } = await run(process.execPath, ['program.mjs'], options());
    assert.match(stdout, /^RangeError label label: no class "cta"; did you mean "cat"\?\nPocketDiffusionError MAGIC 0 [^\n]+\nCLOSED\n$/);
  });
});

test('every block has a language that is run, and few are not', () => {
  for (const { name, language, source } of blocks) assert.ok(source || LANGUAGES.includes(language), `${name}: ${language}`);
  assert.ok(blocks.filter(({ language }) => language).length >= 15);
  const notRun = blocks.filter(({ reason }) => reason).map(({ name }) => name);
  assert.ok(notRun.length <= MOST_NOT_RUN, notRun.join(', '));
});

test('blocks that are files of the examples are as these, which tests/hosts builds', () => {
  const copies = blocks.filter(({ source }) => source);
  assert.ok(copies.length >= 6);
  for (const { name, source, text } of copies) assert.equal(text, read(source), name);
});

test('every link to a file leads to one', () => {
  for (const document of DOCUMENTS) {
    for (const [, target] of read(document).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^https?:/.test(target)) continue;
      assert.ok(existsSync(join(root, dirname(document), target)), `${document}: ${target}`);
    }
  }
});

test('docs/element.md names every attribute, member, event, part and property', () => {
  const [{ attributes, members, events, cssParts, cssProperties }] = JSON.parse(read('custom-elements.json')).modules[0].declarations;
  const text = read('docs/element.md');
  const names = [...attributes, ...members, ...events, ...cssParts, ...cssProperties].map(({ name }) => name);
  for (const name of names) {
    const named = text.includes(`\`${name}\``) || text.includes(`\`${name}()\``) || attributes.some(({ fieldName }) => fieldName === name);
    assert.ok(named, name);
  }
});

test('every export and every public name of the library is documented', () => {
  const guide = read('docs/guide.md');
  const { exports } = JSON.parse(read('package.json'));
  for (const path of Object.keys(exports)) {
    if (/json|\*/.test(path)) continue;
    assert.ok(guide.includes(path.slice(1) || '`pocket-diffusion`'), path);
  }
  for (const file of ['index.d.ts', 'node.d.ts', 'wasm.d.ts', 'element.d.ts', 'outlines.d.ts', 'font.d.ts']) {
    for (const [, name] of read(`web/${file}`).matchAll(/^export (?:class|function|const) (\w+)/gm)) {
      assert.ok(guide.includes(`\`${name}\``), name);
    }
  }
});
