// The page's side of a model that lives in a worker; the same methods as ModelHost.

import { abortable } from './async.mjs';
import { PocketDiffusionError, closedError } from './errors.mjs';
import { isReply, makeMessage, unpackError } from './protocol.mjs';

/** Whether a model is put into a worker unless the caller says otherwise. */
export const workerByDefault = () => typeof Worker === 'function' && typeof document === 'object';

/** Throws what the Worker constructor throws, for example on a page that was opened from a file. */
export function createWorker() {
  // Bundlers look for this very expression.
  return new Worker(new URL('./worker.mjs', import.meta.url), { type: 'module', name: 'pocket-diffusion' });
}

export class ModelClient {
  #worker;
  #calls = new Map(); // id -> { resolve, reject, onStep }
  #nextId = 1;
  #failure = null; // why the worker is gone

  /**
   * @param {Worker} worker from createWorker(); terminated by close() and on failure
   * @param {WebAssembly.Module} module
   * @param {Uint8Array} bytes of the model file, handed over
   */
  static async open(worker, module, bytes, { signal } = {}) {
    const client = new ModelClient(worker);
    try {
      const { info, labels } = await client.#request('open', { module, bytes }, { signal, transfer: [bytes.buffer] });
      return { host: client, info, labels };
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** @private use ModelClient.open */
  constructor(worker) {
    this.#worker = worker;
    worker.addEventListener('message', ({ data }) => this.#receive(data));
    worker.addEventListener('messageerror', () => this.#fail('a message of the worker cannot be read'));
    worker.addEventListener('error', (event) => {
      event.preventDefault?.();
      // Without a message the script itself could not be loaded.
      this.#fail(event.message ? `the worker failed: ${event.message}` : 'the worker script cannot be loaded');
    });
  }

  predict(x, t, label, { signal } = {}) {
    const copy = x.slice();
    return this.#request('predict', { x: copy, t, label }, { signal, transfer: [copy.buffer] });
  }

  generate(request, { signal, onStep } = {}) {
    return this.#request('generate', { request, steps: Boolean(onStep) }, { signal, onStep });
  }

  close() {
    this.#end(closedError());
  }

  /** Sends a call and waits for its result; an abort is passed on and answered at once. */
  #request(type, fields, { signal, onStep, transfer = [] }) {
    if (this.#failure) return Promise.reject(this.#failure);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const id = this.#nextId++;
    const reply = new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, onStep });
      this.#post(type, id, fields, transfer);
    });
    return abortable(reply, signal).catch((error) => {
      // Still listed: the worker has not answered, so it was the signal or onStep that ended the call.
      if (this.#calls.delete(id)) this.#post('abort', id);
      throw error;
    });
  }

  #post(type, id, fields, transfer = []) {
    this.#worker.postMessage(makeMessage(type, id, fields), transfer);
  }

  #receive(message) {
    if (!isReply(message)) return;
    const { type, id } = message;
    const call = this.#calls.get(id);
    if (!call) return;
    if (type === 'step') {
      this.#step(id, call, message.event);
      return;
    }
    this.#calls.delete(id);
    if (type === 'result') call.resolve(message.value);
    else call.reject(unpackError(message.error));
  }

  async #step(id, call, event) {
    try {
      await call.onStep?.(event);
      if (this.#calls.has(id)) this.#post('continue', id);
    } catch (error) {
      call.reject(error);
    }
  }

  #fail(message) {
    this.#end(new PocketDiffusionError('WORKER', message));
  }

  #end(failure) {
    if (this.#failure) return;
    this.#failure = failure;
    this.#worker.terminate();
    for (const { reject } of this.#calls.values()) reject(failure);
    this.#calls.clear();
  }
}
