// Serves a freshly assembled site on a free port of this machine, under a sub-path, and logs what is asked for.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sirv from 'sirv';
import { buildSite } from '../../scripts/site/build_site.mjs';
import { launch, openPage } from './browsers.mjs';

/** No part of the page may count on lying at the root of its host. */
const SUB_PATH = '/some/where/';

const contentSecurityPolicy = (connect) =>
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; " +
  `connect-src 'self' ${connect}; ` +
  "img-src 'self' blob:; style-src 'self'; manifest-src 'self'";

/** A page with nothing on it but the policy, for tests of the library alone. */
const BLANK = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>blank</title>
<link rel="icon" href="favicon.svg"></head><body></body></html>`;

/** The worker, but one that can be made to fail. */
const FRAGILE_WORKER = `import './worker.js';
addEventListener('message', ({ data }) => {
  if (data === 'fail') throw new Error('on purpose');
});`;

/**
 * @typedef {object} Site
 * @property {string} url of the folder, with a slash at the end
 * @property {string} folder
 * @property {string[]} requests paths below it, in order of arrival
 * @property {Map<string, { type: string, body: string | Uint8Array }>} extra answers that go before those of the site
 * @property {Set<string>} refused paths that are not found
 * @property {boolean} down set it, and no request is answered
 * @property {boolean} open set it, and other origins may read everything
 * @property {(path: string) => string} text of a file
 * @property {() => Promise<void>} close
 */

/** @param {{ connect?: string }} [options] other origins that pages may fetch from @returns {Promise<Site>} */
export async function serveSite({ connect = '' } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-site-'));
  await buildSite(folder);
  const serveFile = sirv(folder, { etag: true });
  const requests = [];
  const extra = new Map([
    ['blank.html', { type: 'text/html', body: BLANK }],
    ['fragile_worker.js', { type: 'text/javascript', body: FRAGILE_WORKER }],
  ]);
  const site = { folder, requests, extra, refused: new Set(), down: false, open: false, text: (path) => readFileSync(join(folder, path), 'utf8') };
  const server = createServer((request, response) => {
    if (site.down) return request.socket.destroy();
    const { pathname } = new URL(request.url, 'http://localhost');
    const notFound = () => response.writeHead(404).end();
    if (!pathname.startsWith(SUB_PATH)) return notFound();
    const path = pathname.slice(SUB_PATH.length);
    requests.push(path);
    if (site.open) response.setHeader('Access-Control-Allow-Origin', '*');
    // index.html brings its own.
    if (path !== '') response.setHeader('Content-Security-Policy', contentSecurityPolicy(connect));
    if (site.refused.has(path)) return notFound();
    if (extra.has(path)) {
      const { type, body } = extra.get(path);
      return response.writeHead(200, { 'Content-Type': type }).end(body);
    }
    request.url = `/${path}`;
    return serveFile(request, response, notFound);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(site, {
    url: `http://127.0.0.1:${server.address().port}${SUB_PATH}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  });
}

const TYPES = {
  html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml',
  png: 'image/png', wasm: 'application/wasm', json: 'application/json', webmanifest: 'application/manifest+json',
};

/** As web servers do: everything but the weights is sent compressed. @param {string} folder of a site @returns {Promise<{ url: string, close: () => Promise<void> }>} */
export async function serveCompressed(folder) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://localhost').pathname.slice(1) || 'index.html';
    const data = await readFile(join(folder, path)).catch(() => null);
    const type = TYPES[path.split('.').at(-1)];
    if (!data) response.writeHead(404).end();
    else if (!type) response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': data.length }).end(data);
    else response.writeHead(200, { 'Content-Type': type, 'Content-Encoding': 'gzip' }).end(gzipSync(data));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * A site of its own, a browser and a page in it.
 * @param {'chrome' | 'firefox' | 'webkit'} browser @param {string} path below the site's folder, with what follows # @param {Parameters<typeof openPage>[2]} [options]
 * @returns {Promise<Awaited<ReturnType<typeof openPage>> & { site: Site, session: Awaited<ReturnType<typeof launch>>, leave: () => Promise<void> }>}
 *   leave: closes all of it
 */
export async function visit(browser, path, options) {
  const site = await serveSite();
  const session = await launch(browser).catch(async (error) => {
    await site.close();
    throw error;
  });
  const leave = async () => {
    await session.close();
    await site.close();
  };
  try {
    return { site, session, leave, ...await openPage(session.browser, `${site.url}${path}`, options) };
  } catch (error) {
    await leave();
    throw error;
  }
}
