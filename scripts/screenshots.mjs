// Photographs the page in dist/screenshots: phone, desktop, dark, and while the slider is dragged.
//
//   node scripts/screenshots.mjs [FOLDER]

import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, openPage, settled } from '../tests/browser/browsers.mjs';
import { serveSite } from '../tests/browser/server.mjs';

const folder = resolve(process.argv[2] ?? fileURLToPath(new URL('../dist/screenshots', import.meta.url)));

const PHONE = { width: 360, height: 740, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const DESKTOP = { width: 1280, height: 800 };

const SHOTS = [
  { name: 'desktop', viewport: DESKTOP, hash: '#label=cat&s=3&seed=7' },
  { name: 'desktop-dark', viewport: DESKTOP, dark: true, hash: '#label=house&s=3&seed=20' },
  { name: 'wide', viewport: { width: 1920, height: 1080 }, hash: '#label=flower&s=3&seed=5&count=24' },
  { name: 'narrow', viewport: { ...PHONE, width: 320, height: 640 }, hash: '#label=clock&s=3&seed=1', fullPage: true },
  { name: 'phone', viewport: PHONE, hash: '#label=cat&s=3&seed=7' },
  { name: 'phone-dark', viewport: PHONE, dark: true, hash: '#label=airplane&s=3&seed=7', fullPage: true },
  { name: 'dragging', viewport: DESKTOP, hash: '#label=dog&s=3&seed=7', act: dragSlider },
];

async function dragSlider(page) {
  const slider = await page.$('#scale');
  const { x, y, width, height } = await slider.boundingBox();
  await page.mouse.move(x + width * 0.3, y + height / 2);
  await page.mouse.down();
  for (let share = 0.3; share < 0.8; share += 0.02) await page.mouse.move(x + width * share, y + height / 2);
  await page.waitForSelector('[data-state="draft"] .tile[data-state="draft"]');
}

await mkdir(folder, { recursive: true });
const site = await serveSite();
const session = await launch('chrome');
try {
  for (const { name, hash, act, fullPage = false, ...options } of SHOTS) {
    const { page, troubles } = await openPage(session.browser, `${site.url}${hash}`, options);
    await settled(page);
    await act?.(page);
    const path = join(folder, `${name}.png`);
    await page.screenshot({ path, fullPage });
    await page.close();
    console.log([path, ...troubles].join('\n  '));
  }
} finally {
  await session.close();
  await site.close();
}
