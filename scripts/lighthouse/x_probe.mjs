// Lighthouse on the page as it opens, with Lighthouse's own settings: a telephone on a slow network, and a desktop.
// Prints the scores and what costs points; fails below 95.
//
//   npm run lighthouse        (after scripts/setup.sh lighthouse)

import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { createServer } from 'node:http';
import { join } from 'node:path';
import lighthouse, { desktopConfig } from 'lighthouse';
import { launch } from '/work/wt/page/tests/browser/browsers.mjs';
import { serveSite } from '/work/wt/page/tests/browser/server.mjs';

const LEAST = 95;
const CATEGORIES = ['performance', 'accessibility', 'best-practices'];
const TYPES = {
  html: 'text/html; charset=utf-8', mjs: 'text/javascript', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml',
  png: 'image/png', wasm: 'application/wasm', json: 'application/json', webmanifest: 'application/manifest+json',
};

/** As web servers do: everything but the weights is sent compressed. */
async function serveCompressed(folder) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://localhost').pathname.slice(1) || 'index.html';
    const data = await readFile(join(folder, path)).catch(() => null);
    const type = TYPES[path.split('.').at(-1)];
    if (!data) response.writeHead(404).end();
    else if (!type) response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': data.length }).end(data);
    else response.writeHead(200, { 'Content-Type': type, 'Content-Encoding': 'gzip' }).end(gzipSync(data));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** What an audit that is not perfect says of itself. */
function lost({ audits, categories }) {
  const references = CATEGORIES.flatMap((name) => categories[name].auditRefs).filter(({ weight }) => weight > 0);
  return references.map(({ id }) => audits[id]).filter(({ score }) => score !== null && score < 1)
    .map(({ id, score, displayValue = '' }) => `  ${id}: ${score} ${displayValue}`);
}

const site = await serveSite();
const server = await serveCompressed(site.folder);
const session = await launch('chrome');
let failed = false;
try {
  for (const [name, config] of Array.from({length: Number(process.argv[2] ?? 1)}, (_, k) => ['t' + k, undefined])) {
    const context = await session.browser.createBrowserContext();
    const page = await context.newPage();
    const { lhr } = await lighthouse(`http://127.0.0.1:${server.address().port}/`, { onlyCategories: CATEGORIES, logLevel: 'error' }, config, page);
    const scores = CATEGORIES.map((category) => [category, Math.round(lhr.categories[category].score * 100)]);
    console.log(`${name}: ${scores.map((pair) => pair.join(' ')).join(', ')}`);
    lost(lhr).forEach((line) => console.log(line));
    if (process.argv[3]) { console.log(JSON.stringify(lhr.audits['long-tasks'].details?.items), JSON.stringify(lhr.audits['mainthread-work-breakdown'].details?.items.map(i=>[i.groupLabel,Math.round(i.duration)])), JSON.stringify(lhr.audits['bootup-time'].details?.items.map(i=>[i.url.slice(-20),i.total,i.scripting])), lhr.audits['interactive'].displayValue, lhr.audits['largest-contentful-paint'].displayValue, lhr.audits['metrics'].details.items[0].observedLoad, lhr.environment.benchmarkIndex);
      const {writeFile} = await import('node:fs/promises'); }
    if (scores.some(([, score]) => score < LEAST)) failed = true;
    await context.close();
  }
} finally {
  await session.close();
  server.close();
  await site.close();
}
process.exitCode = failed ? 1 : 0;
