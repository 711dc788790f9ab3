// Bun and Deno, as npm has them: the same bytes as Node.js for every request, in the main thread and in workers, and the
// package's own program.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { engineHashes } from '../engine_hashes.mjs';
import { root } from '../node/helpers.mjs';
import { installPackage } from '../package/installed.mjs';
import { taken, unlessMissing } from './selection.mjs';

const tools = join(root, 'tests/hosts/tools/node_modules');
const ENGINES = {
  bun: { program: join(tools, '@oven/bun-linux-x64/bin/bun'), run: [] },
  deno: { program: join(tools, '@deno/linux-x64-glibc/deno'), run: ['run', '--allow-all'] },
};

for (const [name, { program, run }] of Object.entries(ENGINES).filter(([engine]) => taken(engine))) {
  describe(name, unlessMissing(existsSync(program)), () => {
    let installed;
    before(async () => (installed = await installPackage()));
    after(() => installed?.remove());
    const execute = (folder, ...rest) =>
      execFileSync(program, [...run, ...rest], { cwd: folder, encoding: 'utf8', timeout: 300_000, stdio: ['ignore', 'pipe', 'pipe'] });

    test('every request makes the bytes that Node.js makes', async () => {
      assert.deepEqual(JSON.parse(execute(root, 'tests/engine_hashes.mjs')), await engineHashes());
    });

    test('the installed package works: every export, pictures in a worker, a PNG file', () => {
      copyFileSync(join(root, 'tests/package/consumer.mjs'), join(installed.folder, 'consumer.mjs'));
      const byNode = execFileSync(process.execPath, ['consumer.mjs'], { cwd: installed.folder, encoding: 'utf8' });
      assert.equal(execute(installed.folder, 'consumer.mjs'), byNode);
    });
  });
}
