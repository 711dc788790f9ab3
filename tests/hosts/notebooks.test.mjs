// JupyterLab with the notebook web/examples/jupyter/live.ipynb: the widget and the plain element draw in the open notebook,
// with the pixels of Node, and the widget and Python tell each other. And python/notebooks/learn.ipynb in a kernel of its own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch } from '../browser/browsers.mjs';
import { buildInline } from '../../scripts/site/build_element.mjs';
import { doodlesPath, root } from '../node/helpers.mjs';
import { assertDraws, closeModel, prepare, removePackage } from './examples.mjs';
import { taken, unlessMissing } from './selection.mjs';

const bin = join(root, 'build/notebooks/bin');
const python = join(bin, 'python');

/** Nothing of the user's, and nothing left behind. @param {string} state a folder */
const environment = (state) => ({
  ...process.env, PATH: `${bin}:${process.env.PATH}`, PYTHONPATH: join(root, 'python'), JUPYTER_PLATFORM_DIRS: '1', HOME: state,
  JUPYTER_CONFIG_DIR: state, JUPYTER_DATA_DIR: state, JUPYTER_RUNTIME_DIR: state, IPYTHONDIR: state, XDG_CONFIG_HOME: state,
});

if (taken('jupyterlab')) {
  test('the notebook of the article runs in a kernel of Jupyter', unlessMissing(existsSync(join(bin, 'jupyter-execute'))), async () => {
    const state = await mkdtemp(join(tmpdir(), 'pocket-diffusion-notebook-'));
    try {
      const run = spawn(join(bin, 'jupyter-execute'), ['learn.ipynb'], { cwd: join(root, 'python/notebooks'), env: environment(state), stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      run.stderr.setEncoding('utf8').on('data', (text) => (said += text));
      const [code] = await once(run, 'close');
      assert.equal(code, 0, said);
    } finally {
      await rm(state, { recursive: true });
    }
  });

  describe('JupyterLab', unlessMissing(existsSync(join(bin, 'jupyter-lab'))), () => {
    let session;
    let server;
    let url;
    before(async () => {
      const folder = await prepare('jupyter', { element: 'pocket-diffusion' });
      await copyFile(doodlesPath, join(folder, 'doodles.gguf'));
      await buildInline();
      const state = join(folder, 'state');
      await mkdir(state);
      session = await launch('chrome');
      server = spawn(python, ['-m', 'jupyterlab', '--no-browser', '--allow-root', '--ip=127.0.0.1', '--port=0', '--ServerApp.root_dir=.',
        '--IdentityProvider.token=', '--ServerApp.disable_check_xsrf=True', '--LabApp.news_url=None', '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate',
        '--LabApp.expose_app_in_browser=True'], {
        cwd: folder,
        env: environment(state),
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let output = '';
      server.stderr.setEncoding('utf8');
      for await (const chunk of server.stderr.iterator({ destroyOnReturn: false })) {
        output += chunk;
        [url] = /http:\/\/127\.0\.0\.1:\d+\//.exec(output) ?? [];
        if (url) break;
      }
      assert.ok(url, output);
      server.stderr.resume();
    });
    after(async () => {
      await session?.close();
      server?.kill();
      if (server && server.exitCode === null) await once(server, 'exit');
      await removePackage();
      closeModel();
    });

    test('the widget and the element draw; the slider reaches Python, and Python the picture', async () => {
      const page = await session.browser.newPage();
      const said = [];
      page.on('console', (message) => said.push(message.text()));
      page.on('pageerror', (error) => said.push(error.message));
      await page.setViewport({ width: 1200, height: 1400 });
      await page.goto(`${url}lab/tree/live.ipynb`);
      const widget = 'pocket-diffusion[controls]';
      try {
        await page.waitForFunction(() => globalThis.jupyterapp?.shell.currentWidget?.sessionContext, { timeout: 90_000 });
        await page.evaluate(async () => {
          await jupyterapp.restored;
          await jupyterapp.shell.currentWidget.sessionContext.ready;
          await jupyterapp.commands.execute('notebook:run-all-cells');
        });
        await assertDraws(page, { label: 'cat', seed: 7, guidanceScale: 3 }, widget);
        await assertDraws(page, { label: 'dog', seed: 7, guidanceScale: 3 }, 'pocket-diffusion[label="dog"]');
        await page.screenshot({ path: join(root, 'build/hosts/jupyterlab.png') });
        // As the slider does it; then a new cell asks Python, and changes what is drawn.
        await page.evaluate((where) => {
          document.querySelector(where).guidanceScale = 5;
        }, widget);
        await assertDraws(page, { label: 'cat', seed: 7, guidanceScale: 5 }, widget);
        await page.evaluate(async (source) => {
          await jupyterapp.commands.execute('notebook:insert-cell-below');
          jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.setSource(source);
          await jupyterapp.commands.execute('notebook:run-cell');
        }, 'widget.label = "flower"; widget.seed = round(widget.guidance_scale) + 6');
        await assertDraws(page, { label: 'flower', seed: 11, guidanceScale: 5 }, widget);
      } catch (error) {
        await page.screenshot({ path: join(root, 'build/hosts/jupyterlab.png') });
        error.message += `\n${said.slice(-10).join('\n')}`;
        throw error;
      }
    });
  });
}
