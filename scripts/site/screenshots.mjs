// Photographs the page in dist/screenshots, in each browser: phone, desktop, dark, wide and narrow, and its states.
//
//   node scripts/site/screenshots.mjs [chrome] [firefox] [NAME...]      default: both, and all of SHOTS

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BROWSERS, launch, openPage, settled } from '../../tests/browser/browsers.mjs';
import { serveSite } from '../../tests/browser/server.mjs';

const folder = fileURLToPath(new URL('../../dist/screenshots', import.meta.url));

const PHONE = { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const DESKTOP = { width: 1280, height: 900 };

const SHOTS = [
  { name: 'desktop', viewport: DESKTOP, hash: '#label=cat&s=4&seed=7' },
  { name: 'desktop-dark', viewport: DESKTOP, dark: true, hash: '#label=house&s=4&seed=20', fullPage: true },
  { name: 'desktop-whole', viewport: DESKTOP, hash: '#label=cat&s=4&seed=7', act: openDetails, fullPage: true },
  { name: 'phone', viewport: PHONE, hash: '#label=cat&s=4&seed=7' },
  { name: 'phone-whole', viewport: PHONE, hash: '#label=flower&s=4&seed=7', fullPage: true },
  { name: 'phone-dark', viewport: PHONE, dark: true, hash: '#label=airplane&s=4&seed=7' },
  { name: 'dragging', viewport: DESKTOP, hash: '#label=dog&s=4&seed=7', act: dragSlider },
  { name: 'compare', viewport: DESKTOP, hash: '#label=flower&s=1&seed=5', act: compare },
  { name: 'word', viewport: DESKTOP, hash: '#seed=7', act: setWord, fullPage: true },
  { name: 'word-phone', viewport: PHONE, hash: '#seed=7', act: setWord, fullPage: true },
  { name: 'characters', viewport: DESKTOP, hash: '#seed=7', act: (page) => chooseModel(page, 'characters') },
  { name: 'characters-phone', viewport: PHONE, hash: '#seed=7', act: (page) => chooseModel(page, 'characters'), fullPage: true },
  { name: 'digits', viewport: DESKTOP, hash: '#seed=7', act: (page) => chooseModel(page, 'digits') },
  { name: 'edit', viewport: DESKTOP, hash: '#label=cat&s=4&seed=7', act: drawByHand },
  { name: 'edit-dark', viewport: DESKTOP, dark: true, hash: '#label=flower&s=4&seed=7', act: finishHalf },
  { name: 'edit-phone', viewport: PHONE, hash: '#label=house&s=4&seed=7', act: finishHalf, fullPage: true },
  { name: 'edit-narrow', viewport: { ...PHONE, width: 320, height: 640 }, hash: '#label=cat&s=4&seed=1', act: drawByHand },
  { name: 'error', viewport: DESKTOP, hash: '#label=cat&s=4&seed=7', act: openBroken },
  { name: 'wide', viewport: { width: 1920, height: 1080 }, hash: '#label=flower&s=4&seed=5&count=24' },
  { name: 'narrow', viewport: { ...PHONE, width: 320, height: 640 }, hash: '#label=clock&s=4&seed=1', fullPage: true },
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

/** A face with ears, as a visitor may draw it. */
async function drawByHand(page) {
  await page.$eval('#edit', (section) => section.scrollIntoView());
  const { x, y, width, height } = await (await page.$('#easel-canvas')).boundingBox();
  const at = ([across, down]) => [x + width * across, y + height * down];
  const circle = Array.from({ length: 25 }, (_, k) => [0.5 + 0.32 * Math.cos(k * 0.262), 0.58 + 0.3 * Math.sin(k * 0.262)]);
  for (const [first, ...rest] of [circle, [[0.26, 0.36], [0.25, 0.1], [0.42, 0.28]], [[0.6, 0.28], [0.75, 0.1], [0.75, 0.38]]]) {
    await page.mouse.move(...at(first));
    await page.mouse.down();
    for (const point of rest) await page.mouse.move(...at(point));
    await page.mouse.up();
  }
  await page.waitForSelector('#edit[data-state="done"]');
}

async function finishHalf(page) {
  await page.click('#edit-this');
  await page.evaluate(() => [...document.querySelectorAll('#easel-presets button')].find(({ textContent }) => textContent === 'Bottom half').click());
  await page.$eval('#edit', (section) => section.scrollIntoView());
  await page.waitForSelector('#edit[data-state="done"]');
}

/** As if the file had been dropped. */
const drop = (page, bytes, name) => page.evaluate((data, fileName) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(data)], fileName));
  dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, cancelable: true }));
}, [...bytes], name);

async function chooseModel(page, name) {
  await page.select('#model', `weights/${name}.gguf`);
  await page.waitForSelector('#page:not([data-state="done"])');
  await settled(page, { timeout: 120_000 });
}

async function setWord(page) {
  await chooseModel(page, 'letters');
  await page.click('#word-text', { count: 3 });
  await page.type('#word-text', 'Pocket');
  await page.waitForSelector('#word:not([data-state="done"])');
  await page.waitForSelector('#word[data-state="done"]', { timeout: 120_000 });
}

async function openBroken(page) {
  await drop(page, Buffer.from('not a model'), 'broken.gguf');
  await page.waitForSelector('#error:not([hidden])');
}

async function shoot(session, browser, url, { name, hash, act, fullPage = false, viewport, ...options }) {
  const { isMobile: _isMobile, hasTouch: _hasTouch, ...size } = viewport;
  const { page, troubles } = await openPage(session.browser, `${url}${hash}`, { viewport: browser === 'chrome' ? viewport : size, ...options });
  await settled(page);
  await page.evaluate(() => document.getElementById('sweep').scrollIntoView());
  await page.waitForSelector('#sweep[data-state="done"]');
  await page.evaluate(() => scrollTo(0, 0));
  await act?.(page);
  const path = join(folder, `${name}-${browser}.png`);
  await page.screenshot({ path, fullPage });
  await page.close();
  console.log([path, ...troubles].join('\n  '));
}

await mkdir(folder, { recursive: true });
const site = await serveSite();
const words = process.argv.slice(2);
const browsers = BROWSERS.filter((browser) => words.includes(browser));
const names = words.filter((word) => !BROWSERS.includes(word));
for (const browser of browsers.length > 0 ? browsers : BROWSERS) {
  const session = await launch(browser);
  try {
    // Firefox cannot be told by remote control to be dark.
    const shots = SHOTS.filter(({ name, dark }) => (names.length === 0 || names.includes(name)) && !(dark && browser === 'firefox'));
    for (const shot of shots) await shoot(session, browser, site.url, shot);
  } finally {
    await session.close();
  }
}
await site.close();
