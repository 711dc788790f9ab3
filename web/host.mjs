// A model and its runs in the thread that this module is loaded in: the page's, a worker's, or Node's.

import { abortable, nextTask } from './async.mjs';
import { Engine, NULL_LABEL } from './engine.mjs';
import { closedError } from './errors.mjs';
import { seePlane, subtract } from './trace.mjs';

/**
 * @typedef {import('./engine.mjs').RunRequest & Views} Request
 * @typedef {{ preview: boolean, state: boolean, trace: boolean }} Views what events are to hold
 * @typedef {import('./index.d.ts').StepEvent} StepEvent
 * @typedef {{ signal?: AbortSignal, onStep?: (events: StepEvent[]) => unknown }} Callbacks
 *   onStep gets one event for each picture; the next step waits for it
 */

export class ModelHost {
  /** @type {any} a WebAssembly.Module, from open() on */
  #module;
  /** @type {Uint8Array | null} */
  #bytes = null;
  /** @type {Promise<{ engine: Engine, model: number }> | null} */
  #loaded = null;
  /** @type {Engine | null} */
  #engine = null;
  #closed = false;
  /** @type {any} ModelDescription['info'], from open() on */
  #info;

  /** How many runs can be made at the same time. */
  get workers() {
    return 1;
  }

  /**
   * To be called once, before everything else.
   * @param {WebAssembly.Module} module
   * @param {Uint8Array} bytes of the model file
   * @param {{ keepBytes?: boolean, signal?: AbortSignal }} [options] keepBytes: keep them and load the model again after a trap (default);
   *   otherwise every call after a trap fails with code TRAP
   * @returns {Promise<import('./engine.mjs').ModelDescription>}
   */
  async open(module, bytes, { keepBytes = true } = {}) {
    this.#module = module;
    this.#bytes = bytes;
    const { engine, model } = await this.#ready();
    if (!keepBytes) this.#bytes = null;
    const description = engine.describeModel(model);
    this.#info = description.info;
    return description;
  }

  /**
   * The instance with the model in it; a new one if the last one trapped or could not be made.
   * @returns {Promise<{ engine: Engine, model: number }>}
   */
  #ready() {
    if (this.#closed) return Promise.reject(closedError());
    if (this.#engine?.dead && this.#bytes) this.#loaded = this.#engine = null;
    this.#loaded ??= this.#instantiate().catch((error) => {
      this.#loaded = null;
      throw error;
    });
    return this.#loaded;
  }

  async #instantiate() {
    const engine = await Engine.create(this.#module);
    if (this.#closed || !this.#bytes) throw closedError();
    const model = engine.loadModel(this.#bytes);
    this.#engine = engine;
    return { engine, model };
  }

  /**
   * @param {Float32Array} x @param {number} t @param {number | null} label @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Float32Array>}
   */
  async predict(x, t, label, { signal } = {}) {
    const { engine, model } = await this.#ready();
    this.#checkOpen(signal);
    const { networkOutChannels, networkHeight, networkWidth } = this.#info;
    return engine.predict(model, x, t, label ?? NULL_LABEL, networkOutChannels * networkHeight * networkWidth);
  }

  /**
   * Makes the pictures of a request together. Runs that are under way at the same time take turns, step by step.
   * @param {Request} request @param {Callbacks} [callbacks]
   * @returns {Promise<{ pixels: Uint8Array[], noise: Float32Array[], stepTime: number }>} noise: of an inversion, otherwise
   *   empty; stepTime: milliseconds of a step, on average
   */
  async generate(request, { signal, onStep } = {}) {
    const { engine, model } = await this.#ready();
    this.#checkOpen(signal);
    const { width, height, channels, networkWidth, networkHeight, networkChannels } = this.#info;
    const pictures = request.pictures.map((_, index) => index);
    const run = engine.startRun(model, request);
    let time = 0;
    try {
      if (request.trace) engine.keepPredictions(run);
      const steps = engine.stepCount(run);
      for (let step = 1; step <= steps; step++) {
        await nextTask();
        this.#checkOpen(signal);
        const inputs = request.trace && pictures.map((picture) => this.#state(engine, run, picture));
        const start = performance.now();
        const timestep = engine.step(run);
        time += performance.now() - start;
        if (!onStep) continue;
        const events = pictures.map((picture) => ({
          step, steps, timestep, ...this.#look(engine, run, picture, request),
          ...(inputs && { trace: this.#trace(engine, model, run, picture, timestep, inputs[picture]) }),
        }));
        await abortable(Promise.resolve(onStep(events)), signal);
      }
      this.#checkOpen(signal);
      const pixels = pictures.map((picture) => engine.finish(run, picture, width * height * channels));
      const values = networkChannels * networkHeight * networkWidth;
      const noise = request.inversion > 0 ? pictures.map((picture) => engine.state(run, picture, values)) : [];
      return { pixels, noise, stepTime: time / Math.max(steps, 1) };
    } finally {
      engine.freeRun(run);
    }
  }

  /**
   * What a StepEvent shows of a picture.
   * @param {Engine} engine @param {number} run @param {number} picture @param {Request} request
   */
  #look(engine, run, picture, { preview, state }) {
    const { width, height, channels } = this.#info;
    return {
      ...(preview && { preview: { width, height, channels, pixels: engine.preview(run, picture, width * height * channels) } }),
      ...(state && { state: this.#state(engine, run, picture) }),
    };
  }

  /** @param {Engine} engine @param {number} run @param {number} picture */
  #state(engine, run, picture) {
    const { networkWidth, networkHeight, networkChannels } = this.#info;
    return engine.state(run, picture, networkChannels * networkHeight * networkWidth);
  }

  /**
   * A TraceStep.
   * @param {Engine} engine @param {number} model @param {number} run @param {number} picture @param {number} timestep
   * @param {Float32Array} x what the network was given
   */
  #trace(engine, model, run, picture, timestep, x) {
    const { width, height, channels } = this.#info;
    /** @param {Float32Array} values */
    const toPixels = (values) => engine.toPixels(model, values, width * height * channels);
    const x0 = /** @type {Float32Array} */ (engine.plane(run, picture, 'x0', x.length)); // there is one after every step
    const conditional = engine.plane(run, picture, 'conditional', x.length);
    const unconditional = engine.plane(run, picture, 'null', x.length);
    /** @param {Float32Array | null} values */
    const see = (values) => values && seePlane(values, toPixels);
    return {
      timestep,
      x: seePlane(x, toPixels, 1),
      x0: seePlane(x0, toPixels, 1),
      conditional: see(conditional),
      null: see(unconditional),
      difference: see(conditional && unconditional && subtract(conditional, unconditional)),
    };
  }

  /** @param {AbortSignal | undefined} signal */
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
