// Starts the installed browsers, each with an empty profile, and opens pages that are watched for trouble.

import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { hasWebKit, launchWebKit } from './webkit.mjs';

const EXECUTABLES = {
  chrome: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
  firefox: ['firefox-esr', 'firefox'],
};

// Root has no sandbox in a container; the rest keeps the browser from calling home.
const CHROME_ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** Those that puppeteer drives. */
export const BROWSERS = Object.keys(EXECUTABLES);
/** With WebKit, whose pages can do less (webkit.mjs). */
export const ENGINES = hasWebKit() ? [...BROWSERS, 'webkit'] : BROWSERS;
/** For what differs less: a run of everything leaves WebKit out, the stage by its name takes it, too. */
export const MORE_ENGINES = process.env.POCKET_DIFFUSION_HOSTS === 'few' ? BROWSERS : ENGINES;

function findExecutable(browser) {
  for (const name of EXECUTABLES[browser]) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not in this folder.
      }
    }
  }
  throw new Error(`none of ${EXECUTABLES[browser].join(', ')} is on the PATH`);
}

/**
 * @param {'chrome' | 'firefox' | 'webkit'} browser
 * @returns {Promise<{ browser: import('puppeteer-core').Browser, downloads: string, close: () => Promise<void> }>}
 *   downloads: the folder where the browser saves files
 */
export async function launch(browser) {
  if (browser === 'webkit') return launchWebKit();
  const downloads = await mkdtemp(join(tmpdir(), 'pocket-diffusion-downloads-'));
  const instance = await puppeteer.launch({
    browser,
    executablePath: findExecutable(browser),
    headless: true,
    args: browser === 'chrome' ? CHROME_ARGUMENTS : [],
    extraPrefsFirefox: {
      'browser.download.dir': downloads,
      'browser.download.folderList': 2,
      'browser.download.alwaysOpenPanel': false, // the panel would take the keyboard away from the page
      'dom.w3c_touch_events.enabled': 1, // as on devices that have touch
      'browser.helperApps.neverAsk.saveToDisk': 'image/png,image/gif,video/webm,application/zip',
    },
  });
  if (browser === 'chrome') {
    const session = await instance.target().createCDPSession();
    await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: downloads });
  }
  return {
    browser: instance,
    downloads,
    async close() {
      await instance.close();
      await rm(downloads, { recursive: true, force: true });
    },
  };
}

/** What the library says once of seeds beyond 2^32, which tests use on purpose. */
const REPEATING_SEED = 'only the low 32 bits of a seed count';

/**
 * A new page. `troubles` collects messages on the console at the level of warnings and errors, uncaught errors, failed
 * requests, and requests to any other host than that of `url`.
 */
export async function openPage(browser, url, { prepare, viewport = { width: 1280, height: 800 }, dark = false } = {}) {
  const page = await browser.newPage();
  const { host } = new URL(url);
  const troubles = [];
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type()) && !message.text().includes(REPEATING_SEED)) troubles.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => troubles.push(`uncaught: ${error.message}`));
  page.on('requestfailed', (request) => {
    const reason = request.failure()?.errorText ?? '';
    if (!/ABORT/.test(reason)) troubles.push(`failed: ${request.url()} ${reason}`); // not what the page gave up itself
  });
  page.on('request', (request) => {
    const target = new URL(request.url());
    if (/^(https?|wss?):$/.test(target.protocol) && target.host !== host) troubles.push(`request to ${target.host}`);
  });
  await page.setViewport(viewport);
  if (dark) await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
  if (prepare) await page.evaluateOnNewDocument(prepare);
  await page.goto(url);
  return { page, troubles };
}

/** Waits until the page has drawn all its pictures under the settings on show. */
export async function settled(page, { timeout = 30_000 } = {}) {
  await page.waitForFunction(() => document.getElementById('page').dataset.state === 'done', { timeout });
}
