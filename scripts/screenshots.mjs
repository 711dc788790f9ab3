// Photographs the page in dist/screenshots: phone, desktop, dark, wide and narrow, and its states.
//
//   node scripts/screenshots.mjs [NAME...]      default: all of SHOTS

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, openPage, settled } from '../tests/browser/browsers.mjs';
import { lettersModel } from '../tests/browser/letters_model.mjs';
import { serveSite } from '../tests/browser/server.mjs';

const folder = fileURLToPath(new URL('../dist/screenshots', import.meta.url));

const PHONE = { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const DESKTOP = { width: 1280, height: 900 };

const SHOTS = [
  { name: 'desktop', viewport: DESKTOP, hash: '#label=cat&s=3&seed=7' },
  { name: 'desktop-dark', viewport: DESKTOP, dark: true, hash: '#label=house&s=3&seed=20', fullPage: true },
  { name: 'desktop-whole', viewport: DESKTOP, hash: '#label=cat&s=3&seed=7', act: openDetails, fullPage: true },
  { name: 'phone', viewport: PHONE, hash: '#label=cat&s=3&seed=7' },
  { name: 'phone-whole', viewport: PHONE, hash: '#label=flower&s=3&seed=7', fullPage: true },
  { name: 'phone-dark', viewport: PHONE, dark: true, hash: '#label=airplane&s=3&seed=7' },
  { name: 'dragging', viewport: DESKTOP, hash: '#label=dog&s=3&seed=7', act: dragSlider },
  { name: 'compare', viewport: DESKTOP, hash: '#label=flower&s=1&seed=5', act: compare },
  { name: 'word', viewport: DESKTOP, hash: '#label=cat&s=3&seed=7', act: openLetters },
  { name: 'error', viewport: DESKTOP, hash: '#label=cat&s=3&seed=7', act: openBroken },
  { name: 'wide', viewport: { width: 1920, height: 1080 }, hash: '#label=flower&s=3&seed=5&count=24' },
  { name: 'narrow', viewport: { ...PHONE, width: 320, height: 640 }, hash: '#label=clock&s=3&seed=1', fullPage: true },
];

async function dragSlider(page) {
  const slider = await page.$('#scale');
  const { x, y, width, height } = await slider.boundingBox();
  await page.mouse.move(x + width * 0.3, y + height / 2);
  await page.mouse.down();
  for (let share = 0.3; share < 0.8; share += 0.02) await page.mouse.move(x + width * share, y + height / 2);
  await page.waitForSelector('[data-state="draft"] .tile[data-state="draft"]');
}

async function openDetails(page) {
  await page.$$eval('#more, #figures', (all) => all.forEach((details) => (details.open = true)));
}

async function compare(page) {
  await page.click('#pin');
  await page.click('#recommended');
  await settled(page);
}

/** As if the file had been dropped. */
const drop = (page, bytes, name) => page.evaluate((data, fileName) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(data)], fileName));
  dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, cancelable: true }));
}, [...bytes], name);

async function openLetters(page) {
  await drop(page, await lettersModel(), 'letters.gguf');
  await page.waitForSelector('#word:not([hidden])');
  await settled(page);
}

async function openBroken(page) {
  await drop(page, Buffer.from('not a model'), 'broken.gguf');
  await page.waitForSelector('#error:not([hidden])');
}

await mkdir(folder, { recursive: true });
const site = await serveSite();
const session = await launch('chrome');
const wanted = process.argv.slice(2);
try {
  for (const { name, hash, act, fullPage = false, ...options } of SHOTS) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const { page, troubles } = await openPage(session.browser, `${site.url}${hash}`, options);
    await settled(page);
    await page.evaluate(() => document.getElementById('sweep').scrollIntoView());
    await page.waitForSelector('#sweep[data-state="done"]');
    await page.evaluate(() => scrollTo(0, 0));
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
