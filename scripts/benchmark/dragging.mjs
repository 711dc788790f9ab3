// The page itself while its guidance slider is dragged: how often the grid is drawn anew, and how long the page is busy.

import { openPage, settled } from '../../tests/browser/browsers.mjs';
import { holdSlider } from '../../tests/browser/page_tools.mjs';

const SECONDS = 8;
const MOVES_PER_SECOND = 60;

/** Counts finished pictures and long tasks from now on. Runs in the page before anything else. */
function watch() {
  globalThis.finished = []; // of every picture { time, steps }, as the worker was asked
  globalThis.longTasks = [];
  const requests = new Map(); // of the runs under way
  const known = new Set();
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message, transfer) {
    const key = (id) => `${[...known].indexOf(this)}/${id}`;
    if (!known.has(this)) {
      known.add(this);
      this.addEventListener('message', ({ data }) => {
        const request = requests.get(key(data.id));
        if (data.type !== 'result' || !request) return;
        const time = performance.now();
        finished.push(...request.pictures.map(() => ({ time, steps: request.steps })));
      });
    }
    if (message.type === 'generate') requests.set(key(message.id), message.request);
    return post.call(this, message, transfer);
  };
  // Browsers that do not know the type observe nothing.
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
}

/**
 * @param {import('puppeteer-core').Browser} browser @param {string} url of the page @param {'play' | 'lab'} view
 * @returns {Promise<{ count: number, updatesPerSecond: number, steps: number, longestTask: number | null }>}
 *   updatesPerSecond: pictures finished per second, divided by those of the grid; steps: of a picture, median; longestTask: milliseconds, 0 if none took
 *   50 or more, null where the browser does not tell
 */
export async function measureDragging(browser, url, view) {
  const { page } = await openPage(browser, `${url}#view=${view}&label=cat&s=3&seed=1&count=9`, { prepare: watch });
  await settled(page);
  const moveTo = await holdSlider(page, 0.3);
  // The first second finds out how many steps a preview may have.
  const begin = performance.now();
  const end = begin + (SECONDS + 1) * 1000;
  let from = 0;
  for (let move = 0; performance.now() < end; move++) {
    if (from === 0 && performance.now() > begin + 1000) {
      from = await page.evaluate(() => {
        longTasks.length = 0;
        return performance.now();
      });
    }
    await moveTo(0.03 + 0.94 * Math.abs(((move / MOVES_PER_SECOND) % 2) - 1)); // each move is another value
    await new Promise((resolve) => setTimeout(resolve, 1000 / MOVES_PER_SECOND));
  }
  const measured = await page.evaluate((since) => {
    const pictures = finished.filter(({ time }) => time >= since);
    return {
      count: document.querySelectorAll('#grid .tile').length,
      pictures: pictures.length,
      seconds: (performance.now() - since) / 1000,
      steps: pictures.map((picture) => picture.steps).sort((a, b) => a - b)[pictures.length >> 1],
      longestTask: PerformanceObserver.supportedEntryTypes.includes('longtask') ? Math.max(0, ...longTasks) : null,
    };
  }, from);
  await page.mouse.up();
  await page.close();
  const { count, pictures, seconds, steps, longestTask } = measured;
  return { count, updatesPerSecond: pictures / seconds / count, steps, longestTask };
}
