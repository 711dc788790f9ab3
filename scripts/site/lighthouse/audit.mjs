// Lighthouse on the page as it opens, and on the article, with Lighthouse's own settings: a telephone on a slow network, and
// a desktop.
// Prints the scores of each run, what costs points, and the medians; fails where one of those is below 95.
//
//   npm run lighthouse [-- RUNS [PAGE]]        (after scripts/setup.sh lighthouse; default: 3, and both pages)

import { loadavg } from 'node:os';
import lighthouse, { desktopConfig } from 'lighthouse';
import { launch } from '../../../tests/browser/browsers.mjs';
import { serveCompressed, serveSite } from '../../../tests/browser/server.mjs';

const LEAST = 95;
const CATEGORIES = ['performance', 'accessibility', 'best-practices'];

/** What an audit that is not perfect says of itself. */
function lost({ audits, categories }) {
  const references = CATEGORIES.flatMap((name) => categories[name].auditRefs).filter(({ weight }) => weight > 0);
  return references.map(({ id }) => audits[id]).filter(({ score }) => score !== null && score < 1)
    .map(({ id, score, displayValue = '' }) => `  ${id}: ${score} ${displayValue}`);
}

/** @param {number[]} numbers an odd number of them */
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** One run in a profile of its own. @returns {Promise<object>} Lighthouse's result */
async function audit(browser, url, config) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const { lhr } = await lighthouse(url, { onlyCategories: CATEGORIES, logLevel: 'error' }, config, page);
  await context.close();
  return lhr;
}

const runs = Number(process.argv[2] ?? 3);
const pages = process.argv[3] ? [process.argv[3]] : ['index.html', 'learn/index.html'];
const site = await serveSite();
const server = await serveCompressed(site.folder);
const session = await launch('chrome');
const { url } = server;
let failed = false;
try {
  const settings = [['telephone', undefined], ['desktop', desktopConfig]];
  for (const [path, device, config] of pages.flatMap((page) => settings.map((setting) => [page, ...setting]))) {
    const name = `${path}, ${device}`;
    const all = [];
    for (let run = 1; run <= runs; run++) {
      const lhr = await audit(session.browser, `${url}${path}`, config);
      const scores = CATEGORIES.map((category) => Math.round(lhr.categories[category].score * 100));
      all.push(scores);
      console.log(`${name} ${run}: ${scores.join(', ')} (load of this machine: ${loadavg()[0].toFixed(1)})`);
      lost(lhr).forEach((line) => console.log(line));
    }
    const medians = CATEGORIES.map((_, index) => median(all.map((scores) => scores[index])));
    console.log(`${name}, median: ${CATEGORIES.map((category, index) => `${category} ${medians[index]}`).join(', ')}`);
    if (medians.some((score) => score < LEAST)) failed = true;
  }
} finally {
  await session.close();
  await server.close();
  await site.close();
}
process.exitCode = failed ? 1 : 0;
