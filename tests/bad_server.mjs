// An HTTP server that misbehaves in every way it can, for tests under Node.js and in browsers.
//
// The path says how: /BEHAVIOUR/ANYTHING/FILE or /BEHAVIOUR*TIMES/ANYTHING/FILE. The first request for a path (the first
// TIMES) gets the misbehaviour, the following ones the file as it should be, so that a second try shows whether anything
// was left behind. BEHAVIOUR "good" is always good.

import { createServer } from 'node:http';

const headersOf = (file) => ({ 'content-type': file.type, 'content-length': file.body.length });
const half = ({ body }) => body.subarray(0, body.length >> 1);

function flip(body) {
  const changed = Uint8Array.from(body);
  changed[body.length >> 1] ^= 1;
  return changed;
}

const endlessly = (response) => {
  const block = new Uint8Array(2 ** 18);
  const more = () => {
    while (!response.destroyed && response.write(block));
  };
  response.on('drain', more);
  more();
};

const status = (code) => (file, response) => response.writeHead(code, { 'content-type': 'text/plain' }).end('no');

/** Each gets the file that was asked for, the response, and the origin of another server that allows nothing by CORS. */
export const BEHAVIOURS = {
  'good': (file, response) => response.writeHead(200, headersOf(file)).end(file.body),
  'status-404': status(404),
  'status-500': status(500),
  'html': (file, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Sign in</title>'),
  'empty': (file, response) => response.writeHead(200, { 'content-type': file.type }).end(),
  'cut': (file, response) => {
    response.writeHead(200, headersOf(file));
    response.write(half(file));
    setTimeout(() => response.destroy(), 30);
  },
  'shorter': (file, response) => response.writeHead(200, { 'content-type': file.type }).end(half(file)),
  'longer': (file, response) => response.writeHead(200, { 'content-type': file.type }).end(Buffer.concat([file.body, Buffer.alloc(9)])),
  'longer-than-it-says': (file, response) => {
    response.socket.end(Buffer.concat([
      Buffer.from(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${file.body.length >> 1}\r\n\r\n`), file.body]));
  },
  'endless': (file, response) => endlessly(response.writeHead(200, { 'content-type': file.type })),
  'changed': (file, response) => response.writeHead(200, headersOf(file)).end(flip(file.body)),
  'no-gzip': (file, response) =>
    response.writeHead(200, { 'content-type': file.type, 'content-encoding': 'gzip' }).end(file.body),
  'no-chunks': (file, response) => {
    response.socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nno chunk at all\r\n');
  },
  'no-http': (file, response) => response.socket.end('this is no HTTP\r\n\r\n'),
  'reset': (file, response) => response.socket.destroy(),
  'stall': () => {},
  'stall-after-headers': (file, response) => response.writeHead(200, headersOf(file)).flushHeaders(),
  'stall-in-body': (file, response) => response.writeHead(200, headersOf(file)).write(half(file)),
  'redirect-loop': (file, response, { url }) => response.writeHead(302, { location: `/redirect-loop/${Math.random()}${url}` }).end(),
  'redirect-elsewhere': (file, response, { other }) => response.writeHead(302, { location: `${other}/good/elsewhere/${file.name}` }).end(),
  'wrong-type': (file, response) => response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(file.body),
  'no-type': (file, response) => response.writeHead(200).end(file.body),
};

const listen = (server) => new Promise((resolve) => {
  server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`));
});

/**
 * @param {Record<string, { type: string, body: Uint8Array }>} files by name
 * @param {Record<string, string>} [headers] sent with every answer
 */
export async function startBadServer(files, headers = {}) {
  const seen = new Map(); // path -> requests
  const open = new Set(); // responses under way
  const handle = (request, response, other) => {
    const [, kind, ...rest] = request.url.split('/');
    const [behaviour, times = 1] = kind.split('*');
    const name = rest.at(-1);
    open.add(response);
    response.on('close', () => open.delete(response));
    for (const [key, value] of Object.entries(headers)) response.setHeader(key, value);
    const file = files[name];
    if (!file || !(behaviour in BEHAVIOURS)) return response.writeHead(404).end();
    const count = (seen.get(request.url) ?? 0) + 1;
    seen.set(request.url, count);
    const act = count <= Number(times) ? BEHAVIOURS[behaviour] : BEHAVIOURS.good;
    return act({ name, ...file }, response, { other, url: request.url });
  };
  const stranger = createServer((request, response) => {
    const file = files[request.url.split('/').at(-1)];
    response.writeHead(200, { 'content-type': file.type }).end(file.body);
  });
  const other = await listen(stranger);
  const server = createServer((request, response) => handle(request, response, other));
  const url = await listen(server);
  return {
    url,
    /** An origin that does not allow others. */
    other,
    /** How many responses have neither ended nor been given up by the client, after a while. */
    async unfinished() {
      for (let wait = 0; wait < 100 && open.size > 0; wait++) await new Promise((resolve) => setTimeout(resolve, 20));
      return open.size;
    },
    async close() {
      for (const each of [server, stranger]) {
        each.closeAllConnections();
        await new Promise((resolve) => each.close(resolve));
      }
    },
  };
}
