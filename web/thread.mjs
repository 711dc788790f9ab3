// A thread that runs worker.js: a Web Worker, or under Node.js one of node:worker_threads.

import { importBuiltin, isNode } from './library/platform.mjs';

/**
 * @typedef {object} Thread
 * @property {(message: object, transfer?: Transferable[]) => void} post
 * @property {() => void} terminate
 * @property {(busy: boolean) => void} hold whether the thread keeps the process alive; browsers need no such thing
 * @property {(lock: string) => void} awaitEnd to be called once, when the thread has said which lock it holds
 */

/** @typedef {{ onMessage: (message: unknown) => void, onFailure: (reason: string) => void }} Listeners */

/** @param {Listeners} listeners @returns {Thread} */
function startWebWorker({ onMessage, onFailure }) {
  // Bundlers look for this very expression, with nothing but constants in it.
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'pocket-diffusion' });
  worker.addEventListener('message', ({ data }) => onMessage(data));
  worker.addEventListener('messageerror', () => onFailure('a message of the worker cannot be read'));
  worker.addEventListener('error', (event) => {
    event.preventDefault?.();
    // Without a message the script itself could not be loaded.
    onFailure(event.message ? `the worker failed: ${event.message}` : 'the worker script cannot be loaded');
  });
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    terminate: () => worker.terminate(),
    hold() {},
    // The lock is granted when the worker has gone. Nothing else says so when a browser takes one away.
    awaitEnd: (lock) => navigator.locks.request(lock, () => onFailure('the worker has ended')).catch(() => {}),
  };
}

/** @param {Listeners} listeners @returns {Promise<Thread>} */
async function startNodeThread({ onMessage, onFailure }) {
  const { Worker: NodeWorker } = await importBuiltin('worker_threads');
  const entry = new URL(/* webpackIgnore: true */ /* @vite-ignore */ './worker.js', import.meta.url);
  const worker = new NodeWorker(entry, { name: 'pocket-diffusion', execArgv: [] }); // some options of the command line are refused for files
  worker.on('message', onMessage);
  worker.on('messageerror', () => onFailure('a message of the worker cannot be read'));
  worker.on('error', (/** @type {Error} */ { message }) => onFailure(`the worker failed: ${message}`));
  worker.on('exit', () => onFailure('the worker has ended'));
  worker.unref();
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    terminate: () => worker.terminate(),
    hold: (busy) => (busy ? worker.ref() : worker.unref()),
    awaitEnd() {}, // 'exit' tells
  };
}

/**
 * Rejects with what the constructor throws, for example on a page that was opened from a file.
 * @param {Listeners} listeners onFailure may be called several times, and after terminate()
 * @returns {Promise<Thread>}
 */
export async function startThread(listeners) {
  // Some packages for Node.js put the Worker of node:worker_threads into the global scope: that one is no Web Worker.
  const isWebWorker = typeof globalThis.Worker?.prototype?.addEventListener === 'function';
  if (isWebWorker || !isNode()) return startWebWorker(listeners);
  return startNodeThread(listeners);
}
