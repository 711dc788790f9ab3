// The page's side of one worker with a model in it.

import { abortable } from './async.mjs';
import { PocketDiffusionError, closedError, messageOf } from './errors.mjs';
import { isReply, makeMessage, unpackError } from './protocol.mjs';
import { startThread } from '../thread.mjs';

/** How often a worker that has work is asked for a sign of life within the time-out. */
const PINGS = 4;

export class ModelClient {
  /** @type {any} a Thread, null until there is one */
  #thread = null;
  #onEnd;
  #timeout;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer; // while there are calls
  #unanswered = 0; // pings since the last message of the worker
  /** @type {Map<number, { resolve: (value: any) => void, reject: (reason: unknown) => void, onStep?: Function }>} by id */
  #calls = new Map();
  #nextId = 1;
  /** @type {PocketDiffusionError | null} */
  #failure = null; // why the worker is gone

  /**
   * A worker that has no model yet. Rejects with code WORKER if none can be made; a script that cannot be loaded shows
   * in open().
   * @param {number} timeout milliseconds that the worker may be silent while it has calls, or Infinity
   * @param {(client: ModelClient) => void} [onEnd] called once, when the worker has ended, whatever ended it
   */
  static async start(timeout, onEnd = () => {}) {
    const client = new ModelClient(timeout, onEnd);
    try {
      client.#thread = await startThread({
        onMessage: (message) => client.#receive(message),
        onFailure: (reason) => client.#end(new PocketDiffusionError('WORKER', reason)),
      });
    } catch (error) {
      throw new PocketDiffusionError('WORKER', `no worker can be started: ${messageOf(error)}`, { cause: error });
    }
    return client;
  }

  /** @private use ModelClient.start @param {number} timeout @param {(client: ModelClient) => void} onEnd */
  constructor(timeout, onEnd) {
    this.#timeout = timeout;
    this.#onEnd = onEnd;
  }

  /**
   * To be called once, before everything else.
   * @param {WebAssembly.Module} module
   * @param {Uint8Array} bytes of the model file, handed over
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<import('./engine.mjs').ModelDescription>}
   */
  open(module, bytes, { signal } = {}) {
    return this.#request('open', { module, bytes }, { signal, transfer: [bytes.buffer] });
  }

  /** As ModelHost.predict. @type {import('./host.mjs').ModelHost['predict']} */
  predict(x, t, label, { signal, ...value } = {}) {
    const copy = x.slice();
    return this.#request('predict', { x: copy, t, label, ...value }, { signal, transfer: [copy.buffer] });
  }

  /** As ModelHost.graph. @type {import('./host.mjs').ModelHost['graph']} */
  graph({ signal } = {}) {
    return this.#request('graph', {}, { signal });
  }

  /** As ModelHost.generate. @type {import('./host.mjs').ModelHost['generate']} */
  generate(request, { signal, pause, onStep } = {}) {
    return this.#request('generate', { request, steps: Boolean(onStep) }, { signal, pause, onStep });
  }

  close() {
    this.#end(closedError());
  }

  /**
   * Sends a call and waits for its result; an abort is passed on and answered at once, a pause is passed on.
   * @param {string} type @param {object} fields
   * @param {{ signal?: AbortSignal, pause?: AbortSignal, onStep?: Function, transfer?: Transferable[] }} options
   * @returns {Promise<any>}
   */
  #request(type, fields, { signal, pause, onStep, transfer = [] }) {
    if (this.#failure) return Promise.reject(this.#failure);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const id = this.#nextId++;
    const reply = new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, onStep });
      this.#setBusy(true);
      this.#post(type, id, fields, transfer);
    });
    const passOn = () => this.#calls.has(id) && this.#post('pause', id);
    if (pause?.aborted) passOn();
    else pause?.addEventListener('abort', passOn, { once: true });
    return abortable(reply, signal).catch((error) => {
      // Still listed: the worker has not answered, so it was the signal or onStep that ended the call.
      if (this.#forget(id)) this.#post('abort', id);
      throw error;
    });
  }

  /** @param {string} type @param {number} id @param {object} [fields] @param {Transferable[]} [transfer] */
  #post(type, id, fields, transfer = []) {
    this.#thread.post(makeMessage(type, id, fields), transfer);
  }

  /** @param {number} id */
  #forget(id) {
    const known = this.#calls.delete(id);
    if (this.#calls.size === 0) this.#setBusy(false);
    return known;
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    this.#thread.hold(busy);
    if (!busy) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else if (!this.#timer && this.#timeout !== Infinity) {
      this.#unanswered = 0;
      this.#timer = setInterval(() => this.#ping(), this.#timeout / PINGS);
      this.#timer.unref?.(); // under Node.js the thread keeps the process alive
    }
  }

  /** Pings are counted and not seconds: a computer that was asleep must not blame its workers. */
  #ping() {
    if (this.#unanswered++ < PINGS) this.#post('ping', 0);
    else this.#end(new PocketDiffusionError('WORKER', `the worker has not answered for ${this.#timeout / 1000} seconds`));
  }

  /** @param {unknown} message */
  #receive(message) {
    if (!isReply(message)) return;
    this.#unanswered = 0;
    const { type, id } = message;
    if (type === 'alive') this.#thread.awaitEnd(message.lock);
    const call = this.#calls.get(id);
    if (!call) return;
    if (type === 'step') {
      this.#step(id, call, message.events);
      return;
    }
    this.#forget(id);
    if (type === 'result') {
      call.resolve(message.value);
      return;
    }
    const error = unpackError(message.error);
    call.reject(error);
    if (error instanceof PocketDiffusionError && error.code === 'TRAP') this.#end(error); // the worker has no bytes to load the model from again
  }

  /** @param {number} id @param {{ reject: (reason: unknown) => void, onStep?: Function }} call @param {object[]} events */
  async #step(id, call, events) {
    try {
      await call.onStep?.(events);
      if (this.#calls.has(id)) this.#post('continue', id);
    } catch (error) {
      call.reject(error);
    }
  }

  /** @param {PocketDiffusionError} failure */
  #end(failure) {
    if (this.#failure) return;
    this.#failure = failure;
    clearInterval(this.#timer);
    this.#thread?.terminate();
    for (const { reject } of this.#calls.values()) reject(failure);
    this.#calls.clear();
    this.#onEnd(this);
  }
}
