// The public Model and Picture, over a ModelHost or a ModelClient.

import { abortable, follow } from './async.mjs';
import { closedError } from './errors.mjs';
import { encode } from './png.mjs';
import { checkGenerateManyOptions, checkGenerateOptions, checkPredictArguments, followingSeed } from './validate.mjs';

class Picture {
  #module;

  constructor(module, { width, height, channels }, pixels, options) {
    this.#module = module;
    this.width = width;
    this.height = height;
    this.channels = channels;
    this.pixels = pixels;
    this.options = Object.freeze(options);
  }

  async toPNG() {
    return encode(this, this.#module);
  }

  toRGBA() {
    const { channels, pixels } = this;
    const rgba = new Uint8ClampedArray(this.width * this.height * 4).fill(255);
    const colours = channels < 3 ? 1 : 3;
    for (let from = 0, to = 0; from < pixels.length; from += channels, to += 4) {
      for (let c = 0; c < 3; c++) rgba[to + c] = pixels[from + (c % colours)];
      if (channels > colours) rgba[to + 3] = pixels[from + colours];
    }
    return rgba;
  }
}

export class Model {
  #host;
  #module;
  #closed = new AbortController();

  /** @param {{ host: object, info: object, labels: string[] }} opened @param {WebAssembly.Module} module */
  constructor({ host, info, labels }, module, sha256) {
    this.#host = host;
    this.#module = module;
    this.labels = Object.freeze(labels);
    this.info = Object.freeze({ ...info, recommended: Object.freeze(info.recommended), sha256 });
  }

  async generate(options) {
    return this.#generate(checkGenerateOptions(options, this.info, this.labels));
  }

  async *generateMany(options) {
    const { chosen, count, resolved, onStep, ...rest } = checkGenerateManyOptions(options, this.info, this.labels);
    const total = chosen.length * count;
    for (let index = 0; index < total; index++) {
      const label = chosen[Math.floor(index / count)];
      const seed = followingSeed(resolved.seed, index % count);
      yield await this.#generate({
        ...rest,
        resolved: { label, labelName: this.labels[label], ...resolved, seed },
        onStep: onStep && ((event) => onStep({ ...event, index, count: total })),
      });
    }
  }

  async predict(x, t, label) {
    const checked = checkPredictArguments(x, t, label, this.info, this.labels);
    return this.#call(undefined, (signal) => this.#host.predict(checked.x, checked.t, checked.label, { signal }));
  }

  close() {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(closedError());
    this.#host.close();
  }

  async #generate({ resolved, onStep, preview, state, signal }) {
    const pixels = await this.#call(signal, (combined) =>
      this.#host.generate({ ...resolved, preview, state }, { signal: combined, onStep }));
    return new Picture(this.#module, this.info, pixels, resolved);
  }

  /** work(signal), ended at once by the caller's signal and by close(). */
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
