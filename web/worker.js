// Entry of a worker: one model and its runs, served by messages (protocol.mjs).

import { ModelHost } from './library/host.mjs';
import { importBuiltin } from './library/platform.mjs';
import { isRequest, makeMessage, packError } from './library/protocol.mjs';
import { buffersOfTrace } from './library/trace.mjs';

/** @type {any} */
let port = globalThis; // where messages come from and go to
/** @type {any} a ModelHost, from the first message that opens one on */
let host = null;
/** @typedef {{ controller: AbortController, pause: AbortController, proceed: (() => void) | null }} Call proceed: after its step was dealt with */
/** @type {Map<number, Call>} by id */
const calls = new Map();
/** @type {Promise<void>} */
let watched = Promise.resolve(); // from then on the page learns of this worker's end

/**
 * Browsers take a lock back when a worker ends, whatever ended it: whoever waits for it learns of that. They have locks
 * in secure contexts alone; the page learns here whether there is one, and its name, which no other worker has.
 * @returns {Promise<void>} when that is known
 */
function holdLock() {
  const name = `pocket-diffusion ${performance.timeOrigin} ${Math.random()}`;
  return new Promise((resolve) => {
    const request = globalThis.navigator?.locks?.request(name, { ifAvailable: true }, (lock) => {
      if (lock) port.postMessage(makeMessage('alive', 0, { lock: name }));
      resolve();
      return lock ? new Promise(() => {}) : undefined;
    });
    if (request) request.catch(() => resolve()); // not in a page without an origin of its own
    else resolve();
  });
}

/** @param {(ArrayBufferView | undefined)[]} arrays */
const buffersOf = (...arrays) => arrays.flatMap((array) => (array ? [array.buffer] : []));

/** @type {Record<string, (message: Record<string, any>, call: Call) => Promise<{ value: unknown, transfer?: ArrayBufferLike[] }>>} */
const operations = {
  async open({ module, bytes }) {
    const opened = new ModelHost();
    const value = await opened.open(module, bytes, { keepBytes: false });
    host = opened;
    await watched;
    return { value };
  },

  async predict({ x, t, label, operation, length }, { controller }) {
    const value = await host.predict(x, t, label, { signal: controller.signal, operation, length });
    return { value, transfer: buffersOf(value) };
  },

  graph: async () => ({ value: await host.graph() }),

  async generate({ id, request, steps }, call) {
    /** @param {import('./index.d.ts').StepEvent[]} events @returns {Promise<void>} */
    const onStep = (events) => new Promise((resolve) => {
      call.proceed = resolve;
      const transfer = events.flatMap(({ preview, state, trace }) => [...buffersOf(preview?.pixels, state), ...buffersOfTrace(trace)]);
      port.postMessage(makeMessage('step', id, { events }), transfer);
    });
    const value = await host.generate(request, { signal: call.controller.signal, pause: call.pause.signal, onStep: steps ? onStep : undefined });
    return { value, transfer: buffersOf(...value.pixels, ...value.noise, ...value.saved) };
  },
};

/** @param {Record<string, any>} message */
async function serve(message) {
  /** @type {Call} */
  const call = { controller: new AbortController(), pause: new AbortController(), proceed: null };
  calls.set(message.id, call);
  try {
    const { value, transfer } = await operations[message.type](message, call);
    port.postMessage(makeMessage('result', message.id, { value }), transfer ?? []);
  } catch (error) {
    port.postMessage(makeMessage('failure', message.id, { error: packError(error) }));
  } finally {
    calls.delete(message.id);
  }
}

/** @param {{ data: unknown }} event */
function receive({ data: message }) {
  if (!isRequest(message)) return;
  const call = calls.get(message.id);
  if (message.type === 'ping') port.postMessage(makeMessage('pong', message.id));
  else if (message.type === 'continue') call?.proceed?.();
  else if (message.type === 'abort') call?.controller.abort();
  else if (message.type === 'pause') call?.pause.abort();
  else if (!call && (host !== null) !== (message.type === 'open')) serve(message);
}

if (typeof globalThis.postMessage === 'function') {
  port.addEventListener('message', receive);
  watched = holdLock();
} else {
  // A thread of Node.js; messages wait there until somebody listens.
  importBuiltin('worker_threads').then(({ parentPort }) => {
    port = parentPort;
    port.on('message', (/** @type {unknown} */ data) => receive({ data }));
  });
}
