// `npm run dev`: the page as it is being changed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { root } from './helpers.mjs';

test('the page is served from its sources, and loads anew when one is saved', { timeout: 60_000 }, async () => {
  const server = spawn(process.execPath, ['scripts/site/dev.mjs', '--port', '0'], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    let url;
    let built = false;
    for await (const line of createInterface({ input: server.stdout })) {
      url ??= /http:\/\/localhost:\d+\//.exec(line)?.[0];
      built ||= line.endsWith('built');
      if (url && built) break;
    }
    assert.match(await (await fetch(url)).text(), /<script type="module" src="page\.js">/);
    for (const [path, type] of [['page.js', 'text/javascript'], ['worker.js', 'text/javascript'], ['style.css', 'text/css'], ['pocket-diffusion.wasm', 'application/wasm'], ['weights/manifest.json', 'application/json']]) {
      const response = await fetch(url + path);
      assert.deepEqual([response.status, response.headers.get('content-type')], [200, type], path);
      await response.arrayBuffer();
    }
    for (const path of ['service_worker.js', '..%2fpackage.json', 'nothing.js']) assert.equal((await fetch(url + path)).status, 404, path);
    const changes = await fetch(`${url}changes`);
    const now = new Date();
    utimesSync(join(root, 'web/index.html'), now, now);
    const { value } = await changes.body.getReader().read();
    assert.equal(new TextDecoder().decode(value), 'data: changed\n\n');
  } finally {
    server.kill();
    await once(server, 'exit');
  }
});
