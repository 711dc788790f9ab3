// How the figures of the article follow a slider that is dragged, with the digits model, in Chromium and Firefox:
//
//   node scripts/benchmark/figures.mjs [chrome|firefox]
//
// For each figure, over two seconds of dragging its first slider to and fro: animation frames of the page a second, those in
// which the figure shows something new, and the longest time without a frame, in milliseconds: no task was longer. Browsers
// without a graphics card and on a busy machine are slower than those of people.

import { BROWSERS, launch, openPage } from '../../tests/browser/browsers.mjs';
import { serveSite } from '../../tests/browser/server.mjs';
import { KINDS } from '../../web/learn/figure.mjs';

const SECONDS = 2;

/** Runs in the page: counts from now on. */
function count(kind) {
  const counts = { frames: 0, fresh: 0, longest: 0 };
  const figure = document.querySelector(`pocket-diffusion-figure[kind="${kind}"]`);
  let isNew = false;
  new MutationObserver(() => (isNew = true)).observe(figure.shadowRoot.querySelector('.stage'), { childList: true, subtree: true, attributes: true, characterData: true });
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (...given) {
    isNew = true;
    return put.apply(this, given);
  };
  let before = performance.now();
  const frame = (now) => {
    counts.frames++;
    if (isNew) counts.fresh++;
    isNew = false;
    counts.longest = Math.max(counts.longest, now - before);
    before = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  globalThis.counts = counts;
}

const wanted = process.argv.slice(2);
const site = await serveSite();
for (const browser of wanted.length > 0 ? wanted : BROWSERS) {
  const session = await launch(browser);
  console.log(`${browser}: frames a second, those with something new, longest gap in ms`);
  for (const kind of Object.keys(KINDS)) {
    const { page } = await openPage(session.browser, `${site.url}learn/index.html#model=digits`);
    await page.evaluate((one) => document.querySelector(`pocket-diffusion-figure[kind="${one}"]`).begin(), kind);
    await page.waitForFunction((one) => document.querySelector(`pocket-diffusion-figure[kind="${one}"]`).state === 'done', { timeout: 60_000 }, kind);
    const slider = await page.$(`pocket-diffusion-figure[kind="${kind}"] >>> input[type="range"]`);
    await page.evaluate((node) => node.scrollIntoView({ block: 'center' }), slider);
    const { x, y, width, height } = await slider.boundingBox();
    await page.mouse.move(x + width * 0.5, y + height / 2);
    await page.mouse.down();
    await page.evaluate(count, kind);
    const begun = performance.now();
    for (let move = 0; performance.now() - begun < 1000 * SECONDS; move++) await page.mouse.move(x + width * (0.5 + 0.4 * Math.sin(move / 15)), y + height / 2);
    const { frames, fresh, longest } = await page.evaluate(() => counts);
    const seconds = (performance.now() - begun) / 1000;
    await page.mouse.up();
    await page.close();
    console.log(`${kind.padEnd(12)} ${(frames / seconds).toFixed(0).padStart(4)} ${(fresh / seconds).toFixed(0).padStart(4)} ${longest.toFixed(0).padStart(5)}`);
  }
  await session.close();
}
await site.close();
