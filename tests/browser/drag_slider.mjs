// Drags the page's guidance slider to and fro in Chromium for a long time, and samples the memory of the browser.

import { readFileSync } from 'node:fs';
import { launch } from './browsers.mjs';
import { serveSite } from './server.mjs';

/** The page with a model that costs little, so that there are as many runs as can be. */
function useTinyModel(site) {
  const body = readFileSync(new URL('../golden/tiny.gguf', import.meta.url));
  const manifest = JSON.parse(readFileSync(new URL('../golden/tiny_manifest.json', import.meta.url), 'utf8'));
  manifest.models = [{ ...manifest.models[0], name: 'letters', file: 'letters.gguf' }];
  site.extra.set('weights/letters.gguf', { type: 'application/octet-stream', body });
  site.extra.set('weights/manifest.json', { type: 'application/json', body: JSON.stringify(manifest) });
}

/** Resident bytes of all processes that run pages and workers. */
async function residentBytes(session) {
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const pages = processInfo.filter(({ type }) => type === 'renderer');
  const PAGE_SIZE = 4096;
  return pages.reduce((sum, { id }) => sum + Number(readFileSync(`/proc/${id}/statm`, 'utf8').split(' ')[1]) * PAGE_SIZE, 0);
}

async function findSlider(page) {
  const sliders = await page.$$('::-p-aria([role="slider"])');
  const names = await Promise.all(sliders.map(async (slider) => slider.evaluate((node) =>
    node.ariaLabel ?? node.labels?.[0]?.textContent ?? node.id)));
  const index = names.findIndex((name) => /guid|scale/i.test(name));
  if (index < 0) throw new Error(`no guidance slider among ${names.join(', ') || 'none'}`);
  return sliders[index];
}

/**
 * @param {number} minutes
 * @param {number} count samples at least
 * @returns {Promise<{ moves: number, samples: Array<{ heap: number, rss: number }> }>}
 */
export async function dragSlider(minutes, count) {
  const site = await serveSite();
  useTinyModel(site);
  const session = await launch('chrome');
  try {
    const page = await session.browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(site.url);
    const slider = await page.waitForSelector('::-p-aria([role="slider"])').then(() => findSlider(page));
    const pageSession = await page.createCDPSession();
    const browserSession = await session.browser.target().createCDPSession();
    const measure = async () => {
      await pageSession.send('HeapProfiler.collectGarbage');
      return { heap: (await page.metrics()).JSHeapUsedSize, rss: await residentBytes(browserSession) };
    };
    const samples = [];
    let moves = 0;
    const start = performance.now();
    const elapsed = () => (performance.now() - start) / 60_000;
    while (elapsed() < minutes) {
      if (elapsed() >= (minutes * samples.length) / count) samples.push(await measure());
      await slider.scrollIntoView();
      const { x, y, width, height } = await slider.boundingBox();
      const middle = y + height / 2;
      await page.mouse.move(x + 4, middle);
      await page.mouse.down();
      for (const target of [x + width - 4, x + 4]) await page.mouse.move(target, middle, { steps: 30 });
      await page.mouse.up();
      moves += 60;
    }
    samples.push(await measure());
    if (errors.length > 0) throw new Error(`the page failed: ${errors[0]}`);
    return { moves, samples };
  } finally {
    await session.close();
    await site.close();
  }
}
