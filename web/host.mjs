// A model and its runs in the thread that this module is loaded in: the page's, a worker's, or Node's.

import { abortable, nextTask } from './async.mjs';
import { Engine, NULL_LABEL } from './engine.mjs';
import { closedError } from './errors.mjs';

export class ModelHost {
  #module;
  #bytes;
  #loaded = null; // promise of { engine, model }
  #engine = null;
  #closed = false;
  #info;

  /**
   * @param {WebAssembly.Module} module
   * @param {Uint8Array} bytes of the model file; kept, for after a trap the model is loaded again
   * @returns {Promise<{ host: ModelHost, info: object, labels: string[] }>}
   */
  static async open(module, bytes) {
    const host = new ModelHost();
    host.#module = module;
    host.#bytes = bytes;
    const { engine, model } = await host.#ready();
    const description = engine.describeModel(model);
    host.#info = description.info;
    return { host, ...description };
  }

  /** The instance with the model in it; a new one if the last one trapped or could not be made. */
  #ready() {
    if (this.#closed) return Promise.reject(closedError());
    if (this.#engine?.dead) this.#loaded = this.#engine = null;
    this.#loaded ??= this.#instantiate().catch((error) => {
      this.#loaded = null;
      throw error;
    });
    return this.#loaded;
  }

  async #instantiate() {
    const engine = await Engine.create(this.#module);
    if (this.#closed) throw closedError();
    const model = engine.loadModel(this.#bytes);
    this.#engine = engine;
    return { engine, model };
  }

  /** @param {Float32Array} x @param {number} t @param {number | null} label @returns {Promise<Float32Array>} */
  async predict(x, t, label, { signal } = {}) {
    const { engine, model } = await this.#ready();
    this.#checkOpen(signal);
    const { networkOutChannels, networkHeight, networkWidth } = this.#info;
    return engine.predict(model, x, t, label ?? NULL_LABEL, networkOutChannels * networkHeight * networkWidth);
  }

  /**
   * Runs that are under way at the same time take turns, step by step.
   * @param {import('./engine.mjs').RunRequest & { preview: boolean, state: boolean }} request
   * @param {{ signal?: AbortSignal, onStep?: (event: object) => void | Promise<void> }} [callbacks]
   * @returns {Promise<Uint8Array>} pixels
   */
  async generate(request, { signal, onStep } = {}) {
    const { engine, model } = await this.#ready();
    this.#checkOpen(signal);
    const { width, height, channels, networkWidth, networkHeight, networkChannels } = this.#info;
    const byteLength = width * height * channels;
    const run = engine.startRun(model, request);
    try {
      for (let step = 1; step <= request.steps; step++) {
        await nextTask();
        this.#checkOpen(signal);
        const event = { step, steps: request.steps, timestep: engine.step(run) };
        if (!onStep) continue;
        if (request.preview) event.preview = { width, height, channels, pixels: engine.preview(run, byteLength) };
        if (request.state) event.state = engine.state(run, networkChannels * networkHeight * networkWidth);
        await abortable(Promise.resolve(onStep(event)), signal);
      }
      this.#checkOpen(signal);
      return engine.finish(run, byteLength);
    } finally {
      engine.freeRun(run);
    }
  }

  #checkOpen(signal) {
    signal?.throwIfAborted();
    if (this.#closed) throw closedError();
  }

  /** The linear memory goes with its instance; runs under way end at their next step. */
  close() {
    this.#closed = true;
    this.#loaded = this.#engine = this.#bytes = null;
  }
}
