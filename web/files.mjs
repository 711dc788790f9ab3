// Files of Node.js.

import { open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * Whole or not at all: written beside its place, then moved there. Devices and pipes are written to directly.
 * @param {string} file path @param {Uint8Array} bytes @param {AbortSignal} [signal]
 */
export async function writeWhole(file, bytes, signal) {
  const existing = await stat(file).catch(() => null);
  if (existing && !existing.isFile()) {
    await writeFile(file, bytes);
    return;
  }
  const target = existing ? await realpath(file) : file; // a link stays a link
  const temporary = path.join(path.dirname(target), `.${path.basename(target)}.${process.pid}.tmp`);
  try {
    const handle = await open(temporary, 'wx', existing?.mode ?? 0o666);
    try {
      await handle.writeFile(bytes);
    } finally {
      await handle.close();
    }
    signal?.throwIfAborted();
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
