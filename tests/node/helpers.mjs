// What several tests use.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** Two levels, 16 x 16 pixels, random weights: fast. */
export const tinyPath = join(root, 'tests', 'golden', 'tiny.gguf');
export const tinyBytes = new Uint8Array(readFileSync(tinyPath));
export const doodlesPath = join(root, 'weights', 'doodles.gguf');
export const wasmPath = join(root, 'web', 'pocket-diffusion.wasm');

export const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Runs `use(base URL)` with an HTTP server that answers with `handler(request, response)`. */
export async function withServer(handler, use) {
  const server = createServer(handler);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
