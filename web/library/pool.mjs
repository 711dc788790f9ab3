// Several workers with the same model, each with its own WebAssembly instance and its own copy of the weights.
//
// The first worker starts with the pool, while the model is still on its way; another one when a run finds every
// worker busy. The file's bytes are kept here, once, so that later workers need no second download. A worker that
// ended is replaced when the next call needs it; one that was idle for a while is released, but never the last.

import { abortable } from './async.mjs';
import { ModelClient } from './client.mjs';
import { closedError } from './errors.mjs';

/** How long a worker that is not the last one may be idle, in milliseconds. */
const IDLE_TIME = 30_000;

/** Room for one worker. */
class Slot {
  /** @type {Promise<ModelClient | null> | null} */
  client = null; // with the model in it, while there is one or one starts
  calls = 0;
  /** @type {any} of setTimeout */
  timer;

  /** Least where the next call should go: an idle worker, then one that must be started, then the least busy one. */
  get rank() {
    return 2 * this.calls + (this.client ? 0 : 1);
  }
}

export class ModelPool {
  /** @type {WebAssembly.Module | null} */
  #module = null;
  /** @type {Uint8Array | null} */
  #bytes = null;
  #slots;
  /** @type {ModelClient | null} */
  #first = null; // the first worker until it gets its model
  /** @type {Set<ModelClient>} all that have not ended */
  #clients = new Set();
  #timeout;
  #closed = false;

  /**
   * Rejects with code WORKER if no worker can be made.
   * @param {number} limit most workers at a time, 1 or more
   * @param {number} timeout milliseconds that a busy worker may be silent, or Infinity
   */
  static async start(limit, timeout) {
    const pool = new ModelPool(limit, timeout);
    pool.#first = await pool.#startClient(pool.#slots[0]);
    return pool;
  }

  /** @private use ModelPool.start @param {number} limit @param {number} timeout */
  constructor(limit, timeout) {
    this.#timeout = timeout;
    this.#slots = Array.from({ length: limit }, () => new Slot());
  }

  /** How many runs can be made at the same time. */
  get workers() {
    return this.#slots.length;
  }

  /**
   * Puts the model into the first worker. To be called once, before everything else; after a failure call close().
   * @param {WebAssembly.Module} module
   * @param {Uint8Array} bytes of the model file; kept, must not change
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<import('./engine.mjs').ModelDescription>}
   */
  async open(module, bytes, { signal } = {}) {
    this.#module = module;
    this.#bytes = bytes;
    const first = /** @type {ModelClient} */ (this.#first);
    const description = await this.#openModel(first, signal);
    this.#slots[0].client = Promise.resolve(first);
    this.#first = null;
    return description;
  }

  /** Lowers the number of workers. To be called before the first run. @param {number} most 1 or more */
  limit(most) {
    this.#slots.length = Math.min(this.#slots.length, most);
  }

  /**
   * As ModelHost.predict. One evaluation is not worth the start of a worker.
   * @type {import('./host.mjs').ModelHost['predict']}
   */
  predict(x, t, label, options = {}) {
    return this.#useRunning(options.signal, (client) => client.predict(x, t, label, options));
  }

  /** As ModelHost.graph. @type {import('./host.mjs').ModelHost['graph']} */
  graph(options = {}) {
    return this.#useRunning(options.signal, (client) => client.graph(options));
  }

  /**
   * As ModelHost.generate.
   * @param {import('./host.mjs').Request} request @param {import('./host.mjs').Callbacks} [callbacks]
   */
  generate(request, callbacks = {}) {
    return this.#use(this.#slots, callbacks.signal, (client) => client.generate(request, callbacks));
  }

  /** Ends every worker that has nothing to do. The next call starts one. */
  release() {
    for (const slot of this.#slots) {
      if (slot.calls > 0) continue;
      clearTimeout(slot.timer);
      slot.client?.then((client) => slot.calls === 0 && client?.close(), () => {});
    }
  }

  close() {
    this.#closed = true;
    this.#bytes = null;
    for (const slot of this.#slots) clearTimeout(slot.timer);
    for (const client of this.#clients) client.close();
  }

  #running() {
    return this.#slots.filter((slot) => slot.client);
  }

  /** @template T @param {AbortSignal | undefined} signal @param {(client: ModelClient) => Promise<T>} work @returns {Promise<T>} */
  #useRunning(signal, work) {
    const running = this.#running();
    return this.#use(running.length > 0 ? running : this.#slots, signal, work);
  }

  /**
   * work(client) with the worker of the slot that has least to do.
   * @template T @param {Slot[]} slots @param {AbortSignal | undefined} signal @param {(client: ModelClient) => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #use(slots, signal, work) {
    const slot = slots.reduce((best, each) => (each.rank < best.rank ? each : best));
    clearTimeout(slot.timer);
    slot.calls++;
    try {
      const client = await abortable(this.#clientOf(slot), signal).catch((error) => {
        // No memory for one more worker, for example: if others run, they do without it.
        if (this.#closed || signal?.aborted || this.#running().length === 0) throw error;
        return null;
      });
      return await (client ? work(client) : this.#use(this.#running(), signal, work));
    } finally {
      slot.calls--;
      if (slot.calls === 0) this.#releaseLater(slot);
    }
  }

  /** @param {Slot} slot @returns {Promise<ModelClient | null>} */
  #clientOf(slot) {
    slot.client ??= this.#startWithModel(slot).catch((error) => {
      slot.client = null;
      throw error;
    });
    return slot.client;
  }

  /** @param {Slot} slot */
  async #startWithModel(slot) {
    const client = await this.#startClient(slot);
    await this.#openModel(client);
    return client;
  }

  /** @param {Slot} slot */
  async #startClient(slot) {
    if (this.#closed) throw closedError();
    const client = await ModelClient.start(this.#timeout, (ended) => {
      slot.client = null;
      this.#clients.delete(ended);
    });
    this.#clients.add(client);
    if (this.#closed) client.close();
    return client;
  }

  /** @param {ModelClient} client @param {AbortSignal} [signal] */
  async #openModel(client, signal) {
    if (this.#closed || !this.#module || !this.#bytes) throw closedError();
    try {
      return await client.open(this.#module, this.#bytes.slice(), { signal });
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** @param {Slot} slot */
  #releaseLater(slot) {
    if (this.#closed) return;
    slot.timer = setTimeout(async () => {
      const client = await slot.client?.catch(() => null);
      if (client && slot.calls === 0 && this.#running().length > 1) client.close();
    }, IDLE_TIME);
    slot.timer.unref?.(); // under Node.js a timer is no reason to stay alive
  }
}
