// Serves folders and pages on a free port of this machine, logs what is asked for, and can be told to misbehave.

import { createServer } from 'node:http';
import sirv from 'sirv';

/** What docs/element.md promises to work under. */
export const STRICT_POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; " +
  "img-src 'self' blob:; style-src 'self'";

/**
 * @param {object} options
 * @param {Record<string, string>} [options.folders] path below the root, with slashes at both ends -> folder
 * @param {Record<string, string>} [options.pages] path -> HTML
 * @param {string} [options.policy] Content-Security-Policy of everything
 * @param {Record<string, string>} [options.headers] further ones
 */
export async function serveStatic({ folders = {}, pages = {}, policy = STRICT_POLICY, headers = {} }) {
  const mounts = Object.entries(folders)
    .sort(([a], [b]) => b.length - a.length)
    .map(([path, folder]) => ({ path, serve: sirv(folder, { etag: true, dev: true }) }));
  const requests = [];
  const faults = new Map(); // path -> (request, response) => unknown: instead of, or before (if it returns true) the answer
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    requests.push(pathname);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.setHeader('Content-Security-Policy', policy);
    const notFound = () => response.writeHead(404).end();
    if (pathname === '/favicon.ico') return response.writeHead(204).end(); // browsers ask on their own account
    if (faults.has(pathname) && (await faults.get(pathname)(request, response)) !== true) return;
    if (Object.hasOwn(pages, pathname)) {
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(pages[pathname]);
      return;
    }
    const mount = mounts.find(({ path }) => pathname.startsWith(path));
    if (!mount) return notFound();
    request.url = `/${request.url.slice(mount.path.length)}`;
    delete request._parsedUrl;
    mount.serve(request, response, notFound);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    requests,
    pages,
    faults,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
