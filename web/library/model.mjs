// The public Model and Picture, over a ModelHost or a ModelPool.

import { abortable, follow } from './async.mjs';
import { makeInBatches } from './batches.mjs';
import { closedError } from './errors.mjs';
import { encode } from './png.mjs';
import { checkInputs, makeRecipe } from './recipe.mjs';
import { toRGBA } from './rgba.mjs';
import {
  checkGenerateBatchOptions, checkGenerateManyOptions, checkGenerateOptions, checkInvertOptions, checkPNGOptions, checkPredictArguments, checkWhole, followingSeed,
} from './validate.mjs';

/**
 * @typedef {import('../index.d.ts').ModelInfo} ModelInfo
 * @typedef {import('../index.d.ts').ResolvedOptions} ResolvedOptions
 * @typedef {import('../index.d.ts').StepEvent} StepEvent
 * @typedef {(event: StepEvent, picture: number) => unknown} OnStep called for one picture of a run after the other
 * @typedef {{ inversion: number } & import('./host.mjs').Views & Partial<import('./host.mjs').Continued>} Views which way,
 *   what events are to hold, and what is continued
 * @typedef {{ state: Uint8Array, trace: import('../index.d.ts').TraceStep[] | undefined }} Saved what a picture is continued from
 */

class Picture {
  #module;
  #rendering;

  /**
   * @param {WebAssembly.Module} module @param {ModelInfo} info @param {Uint8Array} pixels @param {ResolvedOptions} options
   * @param {import('../index.d.ts').Recipe} recipe @param {import('../index.d.ts').TraceStep[] | undefined} trace
   */
  constructor(module, { width, height, channels, rendering }, pixels, options, recipe, trace) {
    this.#module = module;
    this.#rendering = rendering;
    this.width = width;
    this.height = height;
    this.channels = channels;
    this.pixels = pixels;
    this.options = Object.freeze(options);
    this.recipe = Object.freeze(recipe);
    if (trace) this.trace = trace;
  }

  async toPNG(options = {}) {
    const { recipe, scale, transparent } = checkPNGOptions(options, Math.floor(4096 / Math.max(this.width, this.height)), this.#rendering);
    const { enlarge } = scale > 1 || transparent ? await import('./rendering.mjs') : { enlarge: () => this };
    return encode(enlarge(this, this.#rendering, scale, transparent), this.#module, recipe ? this.recipe : null);
  }

  toRGBA() {
    return toRGBA(this);
  }
}

export class Model {
  #host;
  #module;
  #closed = new AbortController();
  /** @type {ReadonlyArray<import('../index.d.ts').GraphOperation> | null} */
  #graph = null;

  /**
   * @param {import('./host.mjs').ModelHost | import('./pool.mjs').ModelPool} host with a model in it
   * @param {import('./engine.mjs').ModelDescription} description
   * @param {WebAssembly.Module} module @param {string} sha256 @param {import('../index.d.ts').Placement} placement
   */
  constructor(host, { info, labels }, module, sha256, placement) {
    this.#host = host;
    this.#module = module;
    this.labels = Object.freeze(labels);
    this.placement = placement;
    this.info = Object.freeze({ ...info, recommended: Object.freeze(info.recommended), sha256 });
  }

  /** @type {import('../index.d.ts').Model['generate']} */
  async generate(options) {
    const { resolved, inputs, signal, onStep, ...views } = checkGenerateOptions(options, this.info, this.labels);
    if (inputs.length > 0) await checkInputs(inputs, resolved);
    const { pictures } = await this.#call(signal, (combined) => this.#make([resolved], views, combined, onStep));
    return pictures[0];
  }

  /** @type {import('../index.d.ts').Model['generateBatch']} */
  async generateBatch(options) {
    const { all, resolved, inputs, signal, onStep, ...views } = checkGenerateBatchOptions(options, this.info, this.labels);
    if (inputs.length > 0) await checkInputs(inputs, resolved);
    const { pictures } = await this.#call(signal, (combined) => this.#make(all, views, combined, onStep && ((event, index) =>
      onStep({ ...event, index, count: all.length }))));
    return pictures;
  }

  /** @param {Parameters<import('../index.d.ts').Model['generateMany']>[0]} options @returns {AsyncGenerator<Picture, void, void>} */
  async *generateMany(options) {
    const { chosen, count, resolved, inputs, signal, onStep, ...views } =
      checkGenerateManyOptions(options, this.info, this.labels);
    if (inputs.length > 0) await checkInputs(inputs, resolved);
    const total = chosen.length * count;
    /** @param {number} index @returns {ResolvedOptions} */
    const resolve = (index) => {
      const chosenClass = chosen[Math.floor(index / count)];
      const counted = resolved.variationStrength > 0 ? 'variationSeed' : 'seed';
      return { ...chosenClass, ...resolved, [counted]: followingSeed(resolved[counted] ?? 0, index % count) };
    };
    const left = new AbortController(); // ends what is under way when the loop does
    const stops = [follow(left, this.#closed.signal), follow(left, signal)];
    try {
      /** @param {import('./batches.mjs').Batch<Saved>} batch */
      const make = (batch) => this.#call(left.signal, (combined) =>
        this.#make(batch.indices.map(resolve), views, combined, onStep && ((event, k) =>
          onStep({ ...event, index: batch.indices[k], count: total })), batch));
      for await (const picture of makeInBatches(total, this.#host.workers, make)) {
        left.signal.throwIfAborted();
        yield picture;
        left.signal.throwIfAborted();
      }
    } finally {
      for (const stop of stops) stop();
      left.abort();
    }
  }

  /** @type {import('../index.d.ts').Model['invert']} */
  async invert(options) {
    const { iterations, resolved, signal, onStep, ...views } = checkInvertOptions(options, this.info, this.labels);
    const run = await this.#call(signal, (combined) => this.#run([resolved], { inversion: iterations, ...views }, combined, onStep));
    const noise = run.noise[0];
    return { noise, options: Object.freeze({ ...resolved, image: null, noise: noise.slice() }) };
  }

  /** @type {import('../index.d.ts').Model['predict']} */
  async predict(x, t, label) {
    const checked = checkPredictArguments(x, t, label, this.info, this.labels);
    return this.#call(undefined, (signal) => this.#host.predict(checked.x, checked.t, checked.label, { signal }));
  }

  /** @type {import('../index.d.ts').Model['operations']} */
  async operations() {
    this.#graph ??= Object.freeze(await this.#call(undefined, (signal) => this.#host.graph({ signal })));
    return this.#graph;
  }

  /** @type {import('../index.d.ts').Model['activations']} */
  async activations(x, t, label, operation) {
    const checked = checkPredictArguments(x, t, label, this.info, this.labels);
    const operations = await this.operations();
    const { shape } = operations[checkWhole('operation', operation, 0, operations.length - 1)];
    const length = shape.reduce((product, side) => product * side);
    return this.#call(undefined, (signal) => this.#host.predict(checked.x, checked.t, checked.label, { signal, operation, length }));
  }

  release() {
    this.#host.release();
  }

  close() {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(closedError());
    this.#host.close();
  }

  /**
   * The pictures of one run.
   * @param {ResolvedOptions[]} all as of #run @param {import('./host.mjs').Views} views @param {AbortSignal} signal
   * @param {OnStep} [onStep] @param {Partial<import('./batches.mjs').Batch<Saved>>} [batch] of a run that may pause
   * @returns {Promise<import('./batches.mjs').Outcome<Picture, Saved>>}
   */
  async #make(all, views, signal, onStep, { saved = [], most, pause } = {}) {
    /** @type {import('../index.d.ts').TraceStep[][]} */
    const traces = views.trace ? all.map((_, k) => saved[k]?.trace ?? []) : [];
    /** @param {StepEvent} event @param {number} picture */
    const keep = async (event, picture) => {
      if (event.trace) traces[picture].push(event.trace);
      await onStep?.(event, picture);
    };
    const outcome = await this.#run(all, { inversion: 0, ...views, most, saved: saved.map(({ state }) => state) }, signal, views.trace ? keep : onStep, pause);
    const { pixels, stepTime } = outcome;
    if (outcome.saved.length > 0) return { pictures: [], saved: outcome.saved.map((state, k) => ({ state, trace: traces[k] })), stepTime };
    const recipes = await Promise.all(all.map((options) => makeRecipe(options, this.info)));
    return { pictures: all.map((options, k) => new Picture(this.#module, this.info, pixels[k], options, recipes[k], traces[k])), saved: [], stepTime };
  }

  /**
   * One run.
   * @param {ResolvedOptions[]} all resolved options of its pictures, which differ in label and seeds alone
   * @param {Views} views
   * @param {AbortSignal} signal
   * @param {OnStep} [onStep] @param {AbortSignal} [pause]
   */
  #run(all, views, signal, onStep, pause) {
    const { label: _label, labelName: _name, seed: _seed, variationSeed: _variationSeed, ...shared } = all[0];
    const pictures = all.map(({ label, seed, variationSeed }) => ({ label, seed, variationSeed }));
    return this.#host.generate({ pictures, ...shared, ...views }, {
      signal,
      pause,
      onStep: !onStep ? undefined : (async (/** @type {StepEvent[]} */ events) => {
        for (const [picture, event] of events.entries()) {
          signal.throwIfAborted();
          await onStep(event, picture);
        }
      }),
    });
  }

  /**
   * work(signal), ended at once by the caller's signal and by close().
   * @template T @param {AbortSignal | undefined} callerSignal @param {(signal: AbortSignal) => Promise<T>} work @returns {Promise<T>}
   */
  async #call(callerSignal, work) {
    const controller = new AbortController();
    const { signal } = controller;
    const stops = [follow(controller, this.#closed.signal), follow(controller, callerSignal)];
    try {
      signal.throwIfAborted();
      return await abortable(work(signal), signal);
    } finally {
      for (const stop of stops) stop();
    }
  }
}
