// A model that is large for a telephone on a device that reports 4 GB: what Chromium's process takes at most, of the page, which
// comes from another model, and of a program with the library; and the same with four workers, so that the measurement is
// known to see them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch, openPage, settled } from '../browser/browsers.mjs';
import { pixelsOfGrid, textOf } from '../browser/page_tools.mjs';
import { serveSite } from '../browser/server.mjs';
import { root } from '../node/helpers.mjs';
import { taken, unlessMissing } from './selection.mjs';

const MEGABYTE = 1e6;
const python = join(root, '.venv/bin/python');

/** Peak resident memory of a process and its children that show pages, in bytes: the largest of them. */
function peakOfRenderers(browser) {
  const parents = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      parents.set(pid, { parent: /^PPid:\s*(\d+)/m.exec(status)[1], peak: Number(/^VmHWM:\s*(\d+)/m.exec(status)?.[1] ?? 0) * 1024, command });
    } catch {
      // It has ended meanwhile.
    }
  }
  const descends = (pid) => pid === String(browser) || (parents.has(pid) && descends(parents.get(pid).parent));
  const renderers = [...parents].filter(([pid, { command }]) => command.includes('--type=renderer') && descends(pid));
  return Math.max(...renderers.map(([, { peak }]) => peak));
}

function reportFourGigabytes() {
  Object.defineProperty(Navigator.prototype, 'deviceMemory', { value: 4 });
  Object.defineProperty(Navigator.prototype, 'hardwareConcurrency', { value: 8 });
}

if (taken('memory')) {
  describe('a model of 41 MB on a device of 4 GB', unlessMissing(existsSync(python)), () => {
    let folder;
    let path;
    let site;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-memory-'));
      path = join(folder, 'large.gguf');
      execFileSync(python, ['tests/hosts/make_large_model.py', path], { cwd: root, env: { ...process.env, PYTHONPATH: join(root, 'python') } });
      site = await serveSite();
      site.extra.set('large.gguf', { type: 'application/octet-stream', body: readFileSync(path) });
    });
    after(async () => {
      await site?.close();
      if (folder) await rm(folder, { recursive: true, force: true });
    });

    /** Loads the model and has as many pictures begun as four workers could make. */
    async function measure(options) {
      const session = await launch('chrome');
      try {
        const { page } = await openPage(session.browser, `${site.url}blank.html`, { prepare: reportFourGigabytes });
        const placement = await page.evaluate(async (asked) => {
          const { load } = await import(new URL('index.js', location.href).href);
          const model = await load(new URL('large.gguf', location.href), asked);
          const begun = Array.from({ length: 4 }, () => new Promise((resolve) => {
            model.generate({ label: 0, steps: 50, guidanceScale: 1, onStep: resolve }).catch(() => {});
          }));
          // One worker makes them in turns: the first step of the first is enough.
          await (model.placement.workers === 1 ? begun[0] : Promise.all(begun));
          return model.placement;
        }, options);
        return { ...placement, peak: peakOfRenderers(session.browser.process().pid) };
      } finally {
        await session.close();
      }
    }

    /** use(page that draws with another model, its browser's process) */
    async function visit(use) {
      const session = await launch('chrome');
      try {
        const { page, troubles } = await openPage(session.browser, `${site.url}#label=cat&s=3&seed=7&steps=4&count=2`, { prepare: reportFourGigabytes });
        await settled(page);
        await use(page, session.browser.process().pid);
        assert.deepEqual(troubles, []);
      } finally {
        await session.close();
      }
    }

    test('the page takes less than 1 GB, also while it changes from one model to the other', async (context) => {
      await visit(async (page, browser) => {
        await (await page.$('#file')).uploadFile(path);
        await page.waitForFunction(() => {
          if (!document.getElementById('model-line').textContent.startsWith('large')) return false;
          const { width, height } = document.querySelector('#grid canvas');
          const { data } = document.querySelector('#grid canvas').getContext('2d').getImageData(0, 0, width, height);
          return width === 128 && new Set(data).size > 20; // the first step of the first picture
        }, { timeout: 120_000, polling: 500 });
        const peak = peakOfRenderers(browser);
        context.diagnostic(`peak ${(peak / MEGABYTE).toFixed(0)} MB`);
        assert.ok(peak < 1000 * MEGABYTE, `${(peak / MEGABYTE).toFixed(0)} MB`);
        assert.ok(peak > 676 * MEGABYTE, 'the measurement sees the worker');
      });
    });

    test('a large file that is refused leaves the page with the model before', async () => {
      const broken = join(folder, 'broken.gguf');
      await writeFile(broken, readFileSync(path).fill(255, 1000, 2000));
      await visit(async (page) => {
        const pixels = await pixelsOfGrid(page);
        await (await page.$('#file')).uploadFile(broken);
        await page.waitForSelector('#error:not([hidden])');
        assert.match(await textOf(page, '#error-text'), /broken\.gguf is damaged/);
        assert.deepEqual(await pixelsOfGrid(page), pixels);
        await page.click('#generate'); // other seeds, by a worker that starts again
        await page.waitForFunction(() => document.getElementById('page').dataset.state === 'working');
        await settled(page);
        assert.notDeepEqual(await pixelsOfGrid(page), pixels);
      });
    });

    test('the library takes less than 1 GB', async (context) => {
      const { workers, wanted, workerBytes, peak } = await measure({});
      context.diagnostic(`${workers} of ${wanted} workers, ${(workerBytes / MEGABYTE).toFixed(0)} MB each: peak ${(peak / MEGABYTE).toFixed(0)} MB`);
      assert.equal(workers, 1);
      assert.equal(wanted, 4);
      assert.ok(peak < 1000 * MEGABYTE, `${(peak / MEGABYTE).toFixed(0)} MB`);
      assert.ok(peak > workerBytes, 'the measurement sees the worker');
    });

    test('would take more than 2 GB in four workers', async (context) => {
      const { peak } = await measure({ workers: 4 });
      context.diagnostic(`peak ${(peak / MEGABYTE).toFixed(0)} MB`);
      assert.ok(peak > 2000 * MEGABYTE, `${(peak / MEGABYTE).toFixed(0)} MB`);
    });
  });
}
