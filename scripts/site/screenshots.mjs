// Photographs the page in dist/screenshots, in each browser: phone, desktop, dark, wide and narrow, and its states.
//
//   node scripts/site/screenshots.mjs [chrome] [firefox] [NAME...]      default: both, and all of SHOTS

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BROWSERS, launch, openPage, settled } from '../../tests/browser/browsers.mjs';
import { holdSlider } from '../../tests/browser/page_tools.mjs';
import { serveSite } from '../../tests/browser/server.mjs';

const folder = fileURLToPath(new URL('../../dist/screenshots', import.meta.url));

const PHONE = { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const DESKTOP = { width: 1280, height: 900 };

/** As the page opens in a tab. */
const tab = (name) => (page) => enter(page, name);
/** All twelve styles are there. */
const styles = (page) => page.waitForSelector('#styles[data-state="done"]', { timeout: 120_000 });
const WORD = '#word=diffusion&view=play';
const LONG = '#word=A word of forty letters fits on any phone&s=3&seed=5&style=3&to-style=6&between=0.5&view=play';
const CAT = '#label=cat&s=3&seed=72';

const SHOTS = [
  { name: 'page', viewport: DESKTOP, hash: WORD, act: styles },
  { name: 'page-dark', viewport: DESKTOP, dark: true, hash: WORD, act: styles },
  { name: 'page-phone', viewport: PHONE, hash: WORD, act: styles },
  { name: 'page-phone-dark', viewport: PHONE, dark: true, hash: WORD, act: styles },
  { name: 'page-long', viewport: DESKTOP, hash: LONG, act: styles },
  { name: 'page-long-phone', viewport: PHONE, hash: LONG, act: styles, fullPage: true },
  { name: 'page-narrow', viewport: { ...PHONE, width: 320, height: 640 }, hash: WORD, fullPage: true },
  { name: 'half-way', viewport: DESKTOP, hash: '#word=diffusion&s=0.5&seed=5&view=play' },
  { name: 'static-alone', viewport: DESKTOP, hash: '#word=diffusion&s=0&seed=5&view=play' },
  ...['doodles', 'characters', 'digits'].flatMap((name) => [
    { name, viewport: DESKTOP, hash: WORD, act: tab(name) },
    { name: `${name}-phone`, viewport: PHONE, hash: WORD, act: tab(name) },
    { name: `${name}-dark`, viewport: DESKTOP, dark: true, hash: WORD, act: tab(name) },
  ]),
  { name: 'found', viewport: DESKTOP, hash: WORD, act: searchClasses },
  { name: 'wall', viewport: DESKTOP, hash: WORD, act: openWall },
  { name: 'wall-phone', viewport: PHONE, hash: WORD, act: openWall },
  { name: 'poster', viewport: DESKTOP, hash: WORD, act: openPoster },
  { name: 'poster-phone', viewport: PHONE, hash: WORD, act: openPoster },
  { name: 'embed', viewport: DESKTOP, hash: CAT, act: openEmbed },
  { name: 'embed-dark', viewport: DESKTOP, dark: true, hash: CAT, act: openEmbed },
  { name: 'embed-phone', viewport: PHONE, hash: CAT, act: openEmbed },
  ...[['morph', { viewport: DESKTOP }], ['morph-dark', { viewport: DESKTOP, dark: true }], ['morph-phone', { viewport: PHONE }]].map(([name, how]) =>
    ({ name, ...how, hash: '#label=cat&s=3&seed=24&view=play', act: openMorph })),
  { name: 'draw', viewport: DESKTOP, hash: `${CAT}&view=draw`, act: drawByHand },
  { name: 'draw-dark', viewport: DESKTOP, dark: true, hash: `${CAT}&view=draw`, act: drawByHand },
  { name: 'draw-phone', viewport: PHONE, hash: `${CAT}&view=draw`, act: drawByHand },
  { name: 'lab', viewport: DESKTOP, hash: CAT, act: openDetails, fullPage: true },
  { name: 'lab-dark', viewport: DESKTOP, dark: true, hash: CAT, fullPage: true },
  { name: 'lab-phone', viewport: PHONE, hash: CAT, fullPage: true },
  { name: 'lab-letters', viewport: DESKTOP, hash: WORD, act: enterLab, fullPage: true },
  { name: 'dragging', viewport: DESKTOP, hash: '#label=dog&s=3&seed=7', act: dragSlider },
  { name: 'compare', viewport: DESKTOP, hash: '#label=flower&s=1&seed=24', act: compare },
  { name: 'compare-phone', viewport: PHONE, hash: '#label=flower&s=1&seed=24', act: compare, fullPage: true },
  { name: 'error', viewport: DESKTOP, hash: CAT, act: openBroken },
  ...['index', 'zh'].flatMap((page) => [
    { name: `learn-${page}`, viewport: DESKTOP, article: `${page}.html`, fullPage: true },
    { name: `learn-${page}-phone-dark`, viewport: PHONE, dark: true, article: `${page}.html`, fullPage: true },
  ]),
  { name: 'lecture', viewport: DESKTOP, article: 'index.html#at=guidance&lecture=' },
  { name: 'inside', viewport: DESKTOP, article: 'index.html#model=digits&inside.layer=11&at=inside&lecture=', fullPage: true },
  { name: 'inside-phone-dark', viewport: PHONE, dark: true, article: 'zh.html#inside.layer=6&inside.label=house&at=inside&lecture=', fullPage: true },
  { name: 'slides', viewport: DESKTOP, article: 'slides.html#9' },
  { name: 'slides-title', viewport: DESKTOP, article: 'slides.html' },
  { name: 'slides-dark', viewport: DESKTOP, dark: true, article: 'slides-zh.html#10' },
  { name: 'slides-phone', viewport: PHONE, article: 'slides-zh.html#2' },
  { name: 'wide', viewport: { width: 1920, height: 1080 }, hash: '#label=flower&s=3&seed=24&count=24' },
];

async function enter(page, name) {
  await page.$eval(`#tab-${name}`, (button) => button.click());
  await page.waitForSelector(`#page[data-tab="${name}"]:not([data-loading])`, { timeout: 120_000 });
  await settled(page, { timeout: 120_000 });
}

async function enterLab(page) {
  await page.$eval('#depth [data-depth="lab"]', (button) => button.click());
  await page.waitForSelector('#steps:enabled');
  await settled(page, { timeout: 120_000 });
}

async function searchClasses(page) {
  await enter(page, 'characters');
  await page.waitForSelector('#class-search:enabled');
  await page.type('#class-search', 'fish');
  await page.waitForFunction(() => [...document.querySelectorAll('.found canvas')].every(({ width }) => width > 1));
}

async function openWall(page) {
  await enter(page, 'characters');
  await page.$eval('#class-wall', (button) => button.click());
  await page.waitForFunction(() => [...document.querySelectorAll('#wall canvas')]
    .every((canvas) => canvas.width > 1 || canvas.getBoundingClientRect().top > innerHeight), { timeout: 120_000 });
}

async function openPoster(page) {
  await page.click('#poster-open');
  await page.waitForFunction(() => [...document.querySelectorAll('#poster button')].some(({ textContent, disabled }) => textContent === 'Save SVG' && !disabled), { timeout: 120_000 });
}

async function openEmbed(page) {
  await page.click('#embed');
  await page.waitForFunction(() => document.querySelector('.embed pocket-diffusion')?.state === 'done', { timeout: 120_000 });
}

async function openMorph(page) {
  await page.$eval('#morph-open', (button) => button.click());
  await page.waitForSelector('.play-dialog[open][data-state="done"]', { timeout: 120_000 });
}

async function dragSlider(page) {
  const moveTo = await holdSlider(page, 0.3);
  for (let share = 0.3; share < 0.8; share += 0.02) await moveTo(share);
  await page.waitForSelector('[data-state="draft"] .tile[data-state="draft"]');
}

async function openDetails(page) {
  await page.$$eval('#more, #figures', (all) => all.forEach((details) => (details.open = true)));
}

async function compare(page) {
  await page.$eval('#pin', (button) => button.click());
  await page.$eval('#recommended', (button) => button.click());
  await settled(page);
}

/** A face with ears, as a visitor may draw it. */
async function drawByHand(page) {
  await page.waitForSelector('#edit:not([inert])');
  await page.$eval('#easel-canvas', (canvas) => canvas.scrollIntoView({ block: 'nearest' }));
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

/** As if the file had been dropped. */
const drop = (page, bytes, name) => page.evaluate((data, fileName) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(data)], fileName));
  dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, cancelable: true }));
}, [...bytes], name);

async function openBroken(page) {
  await drop(page, Buffer.from('not a model'), 'broken.gguf');
  await page.waitForSelector('#error:not([hidden])');
}

/** The article, all of its figures drawn; in lecture mode the one that is on show. */
async function drawFigures(page) {
  await page.$$eval('html:not([data-lecture], [data-deck]) pocket-diffusion-figure', (all) => all.forEach((figure) => figure.begin()));
  await page.waitForFunction(() => [...document.querySelectorAll('pocket-diffusion-figure')]
    .every((figure) => figure.state === 'done' || !figure.checkVisibility()), { timeout: 120_000 });
}

async function shoot(session, browser, url, { name, article, hash, act, fullPage = false, viewport, ...options }) {
  const { isMobile: _isMobile, hasTouch: _hasTouch, ...size } = viewport;
  const { page, troubles } = await openPage(session.browser, `${url}${article ? `learn/${article}` : hash}`, { viewport: browser === 'chrome' ? viewport : size, ...options });
  if (article) await drawFigures(page);
  else await settled(page, { timeout: 120_000 });
  if (fullPage && !article && await page.$eval('#sweep', (row) => row.checkVisibility())) {
    await page.evaluate(() => document.getElementById('sweep').scrollIntoView());
    await page.waitForSelector('#sweep[data-state="done"]', { timeout: 120_000 });
    await page.evaluate(() => scrollTo(0, 0));
  }
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
