// A model and its runs in the thread that this module is loaded in: the page's, a worker's, or Node's.

import { abortable, nextTask } from './async.mjs';
import { Engine } from './engine.mjs';
import { NULL_LABEL } from './options.mjs';
import { closedError } from './errors.mjs';
import { seePlane, subtract } from './trace.mjs';

/**
 * @typedef {import('./engine.mjs').RunRequest & Views & Partial<Continued>} Request
 * @typedef {{ saved: Uint8Array[], most: number }} Continued saved: what to continue the pictures from, empty for a
 *   beginning; most: pictures that may share a step, all if it is left out; if there are more, they take turns
 * @typedef {{ preview: boolean, state: boolean, trace: boolean }} Views what events are to hold
 * @typedef {import('../index.d.ts').StepEvent} StepEvent
 * @typedef {{ signal?: AbortSignal, pause?: AbortSignal, onStep?: (events: StepEvent[]) => unknown }} Callbacks
 *   onStep gets one event for each picture; the next step waits for it; pause ends the call between two steps, with
 *   what it takes to continue the pictures, unless they are nearly finished
 * @typedef {object} Outcome
 * @property {Uint8Array[]} pixels of each picture; empty after a pause
 * @property {Float32Array[]} noise of an inversion, otherwise empty
 * @property {Uint8Array[]} saved after a pause: what to continue each picture from; otherwise empty
 * @property {number} stepTime milliseconds of a step of all pictures, on average; 0 after a pause
 */

/** Milliseconds of work left from which on it is worth stopping for others to take a part of it. */
const WORTH_A_PAUSE = 8;

export class ModelHost {
  /** @type {any} a WebAssembly.Module, from open() on */
  #module;
  /** @type {Uint8Array | null} */
  #bytes = null;
  /** @type {Promise<{ engine: Engine, model: number }> | null} */
  #loaded = null;
  /** @type {Engine | null} */
  #engine = null;
  #keepBytes = true;
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
    this.#keepBytes = keepBytes;
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
    const model = engine.loadModel(this.#bytes, !this.#keepBytes);
    this.#engine = engine;
    return { engine, model };
  }

  /**
   * @param {Float32Array} x @param {number} t @param {number | null} label
   * @param {{ signal?: AbortSignal, operation?: number, length?: number }} [options] the operation whose value is wanted in place
   *   of the prediction, and how many numbers it has
   * @returns {Promise<Float32Array>}
   */
  async predict(x, t, label, { signal, operation, length = 0 } = {}) {
    const { engine, model } = await this.#ready();
    this.#checkOpen(signal);
    const { networkOutChannels, networkHeight, networkWidth } = this.#info;
    return engine.predict(model, x, t, label ?? NULL_LABEL, operation === undefined ? networkOutChannels * networkHeight * networkWidth : length, operation);
  }

  /** The operations of the network. @param {{ signal?: AbortSignal }} [options] */
  async graph({ signal } = {}) {
    const { engine, model } = await this.#ready();
    this.#checkOpen(signal);
    return engine.describeGraph(model);
  }

  /**
   * Makes the pictures of a request together. Runs that are under way at the same time take turns, step by step.
   * @param {Request} request @param {Callbacks} [callbacks]
   * @returns {Promise<Outcome>}
   */
  async generate(request, { signal, pause, onStep } = {}) {
    const { engine, model } = await this.#ready();
    this.#checkOpen(signal);
    const { width, height, channels } = this.#info;
    const { pictures, saved = [], most = pictures.length, trace, inversion } = request;
    const together = Math.ceil(pictures.length / Math.ceil(pictures.length / most)); // in a run: as many in each
    /** @type {number[]} */
    const runs = [];
    /** Of the pictures in their order. @template T @param {(run: number, picture: number, index: number) => T} look */
    const each = (look) => pictures.map((_, index) => look(runs[Math.floor(index / together)], index % together, index));
    let time = 0;
    try {
      for (let first = 0; first < pictures.length; first += together) {
        const end = first + together;
        const run = engine.startRun(model, { ...request, pictures: pictures.slice(first, end) });
        runs.push(run);
        if (saved.length > 0) engine.restoreRun(run, saved.slice(first, end));
        if (trace) engine.keepPredictions(run);
      }
      const steps = engine.stepCount(runs[0]);
      const begun = engine.stepsDone(runs[0]);
      for (let step = begun + 1; step <= steps; step++) {
        await nextTask();
        this.#checkOpen(signal);
        if (pause?.aborted && (time === 0 || (time * (steps + 1 - step)) / (step - 1 - begun) >= WORTH_A_PAUSE)) {
          return { pixels: [], noise: [], saved: each((run, picture) => engine.save(run, picture)), stepTime: 0 };
        }
        const inputs = trace && each((run, picture) => this.#state(engine, run, picture));
        let timestep = 0;
        for (const run of runs) {
          if (run !== runs[0]) {
            await nextTask();
            this.#checkOpen(signal);
          }
          const start = performance.now();
          timestep = engine.step(run);
          time += performance.now() - start;
        }
        if (!onStep) continue;
        const events = each((run, picture, index) => ({
          step, steps, timestep, ...this.#look(engine, run, picture, request),
          ...(inputs && { trace: this.#trace(engine, model, run, picture, timestep, inputs[index]) }),
        }));
        await abortable(Promise.resolve(onStep(events)), signal);
      }
      this.#checkOpen(signal);
      return {
        pixels: each((run, picture) => engine.finish(run, picture, width * height * channels)),
        noise: inversion > 0 ? each((run, picture) => this.#state(engine, run, picture)) : [],
        saved: [],
        stepTime: time / Math.max(steps - begun, 1),
      };
    } finally {
      for (const run of runs) engine.freeRun(run);
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

  release() {}

  /** The linear memory goes with its instance; runs under way end at their next step. */
  close() {
    this.#closed = true;
    this.#loaded = this.#engine = this.#bytes = null;
  }
}
