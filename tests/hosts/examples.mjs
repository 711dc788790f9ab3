// The examples of web/examples as people have them: a folder with packages of its own, and the package of this project as
// npm packs it. They are built in build/hosts/NAME, where scripts/setup.sh has put their packages.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, readdir, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { load } from 'pocket-diffusion';
import { openPage } from '../browser/browsers.mjs';
import { doodlesPath, root } from '../node/helpers.mjs';
import { installPackage } from '../package/installed.mjs';

export const python = join(root, 'build/examples/bin');

/** Frameworks and generators write scripts and styles into their pages; no other host is asked. */
export const POLICY = "default-src 'self' 'unsafe-inline' data: blob:; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'";

const ENVIRONMENT = { ...process.env, CI: '1', NO_COLOR: '1', NEXT_TELEMETRY_DISABLED: '1', ASTRO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', NO_MKDOCS_2_WARNING: '1' };

const KEPT = ['node_modules', 'package-lock.json'];

const folderOf = (name) => join(root, 'build/hosts', name);

/** Whether its packages are installed. @param {string} name */
export const hasPackages = (name) => existsSync(join(folderOf(name), 'node_modules'));

/** The program of a Python package, or null where it is not installed. @param {string} name */
export const pythonProgram = (name) => (existsSync(join(python, name)) ? join(python, name) : null);

/** @param {string} folder @param {string} command @param {string[]} options @returns {Promise<string>} what it printed */
export async function run(folder, command, ...options) {
  try {
    return (await promisify(execFile)(command, options, { cwd: folder, env: ENVIRONMENT, maxBuffer: 2 ** 26 })).stdout;
  } catch (error) {
    throw new Error(`${command} ${options.join(' ')}\n${error.stdout}\n${error.stderr}`, { cause: error });
  }
}

let installing;

/** A copy of the example beside its packages. @param {string} name @param {{ model?: string, element?: string }} places of the model, and of the built element with a model */
export async function prepare(name, { model, element }) {
  const folder = folderOf(name);
  await mkdir(folder, { recursive: true });
  for (const file of await readdir(folder)) {
    if (!KEPT.includes(file)) await rm(join(folder, file), { recursive: true, force: true });
  }
  await cp(join(root, 'web/examples', name), folder, { recursive: true, filter: (file) => !file.includes('node_modules') });
  const installed = join((await (installing ??= installPackage())).folder, 'node_modules/pocket-diffusion');
  if (hasPackages(name)) {
    const place = join(folder, 'node_modules/pocket-diffusion');
    await rm(place, { recursive: true, force: true });
    await cp(installed, place, { recursive: true });
  }
  if (model) {
    await mkdir(join(folder, model), { recursive: true });
    await copyFile(doodlesPath, join(folder, model, 'doodles.gguf'));
  }
  if (element) {
    await cp(join(installed, 'dist/element'), join(folder, element), { recursive: true });
    await copyFile(doodlesPath, join(folder, element, 'doodles.gguf'));
  }
  return folder;
}

export const removePackage = async () => (await installing)?.remove();

/**
 * A program that serves until it is told to end.
 * @param {string} folder @param {string} script of Node.js @param {string[]} options
 * @returns {Promise<{ url: string, close: () => Promise<unknown> }>}
 */
export async function serve(folder, script, ...options) {
  const server = spawn(process.execPath, [script, ...options], { cwd: folder, env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(server, 'exit');
  let output = '';
  server.stdout.setEncoding('utf8');
  for await (const chunk of server.stdout.iterator({ destroyOnReturn: false })) {
    output += chunk;
    const [url] = /http:\/\/(?:127\.0\.0\.1|localhost):\d+[^\s]*/.exec(output) ?? [];
    if (!url) continue;
    server.stdout.resume();
    return {
      url,
      close() {
        server.kill();
        return ended;
      },
    };
  }
  throw new Error(`${script} ended: ${output}`);
}

let model;

/** @param {object} options of generateMany() */
async function expected(options) {
  model ??= await load(doodlesPath);
  const pictures = [];
  for await (const { pixels } of model.generateMany(options)) pictures.push(Array.from(pixels));
  return pictures;
}

export const closeModel = () => model?.close();

/** The guidance scale of the model if nobody names one. */
export async function recommendedScale() {
  model ??= await load(doodlesPath);
  return model.info.recommended.guidanceScale;
}

/**
 * Waits until the element has drawn what `options` ask for, and compares it with Node.
 * @param {import('puppeteer-core').Page} page
 * @param {object} options of generateMany(); guidanceScale is to be what the picture has
 * @param {string} [selector]
 */
export async function assertDraws(page, options, selector = 'pocket-diffusion') {
  const drawn = await page.waitForFunction((where, label, scale) => {
    const element = document.querySelector(where);
    if (element?.state !== 'done') return false;
    const [{ options: used }] = element.pictures;
    if (used.labelName !== label || (scale !== undefined && used.guidanceScale !== scale)) return false;
    const canvas = element.shadowRoot.querySelector('canvas');
    return canvas.getBoundingClientRect().width > 50 && element.pictures.map(({ pixels }) => Array.from(pixels));
  }, { timeout: 60_000 }, selector, options.label, options.guidanceScale);
  assert.deepEqual(await drawn.jsonValue(), await expected(options));
}

/** use(page); nothing may be wrong with the page but `ownTroubles`. */
export async function visit(session, url, use, { ownTroubles = /^$/ } = {}) {
  const { page, troubles } = await openPage(session.browser, url);
  try {
    await use(page);
    assert.deepEqual(troubles.filter((trouble) => !ownTroubles.test(trouble)), []);
  } catch (error) {
    error.message += `\n${await page.evaluate(() => {
      const element = document.querySelector('pocket-diffusion');
      return `${location.href} ${element?.state} ${element?.shadowRoot?.querySelector('.detail')?.textContent} ${element?.outerHTML}`;
    }).catch(() => '')} ${troubles.join('; ')}`;
    throw error;
  } finally {
    await page.close();
  }
}
