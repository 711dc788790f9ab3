// One instance of the WebAssembly module. This is the one file that touches linear memory.
//
// Any call may grow the memory and so detach every view of it: views are made anew after each call and never kept.
// Writing to address 0 does not trap, so every address that comes back is compared with 0 first.
// After a trap the state of the instance is unknown: it is marked dead, every later call fails, and its owner makes
// a new instance.

import { PocketDiffusionError, memoryError, messageOf } from './errors.mjs';
import { NULL_LABEL, OPTIONS, SAMPLER_NAMES, numbersOf } from './options.mjs';

// In the order of pd_objective and pd_rendering.
/** @type {import('../index.d.ts').ObjectiveName[]} */
const OBJECTIVES = ['pred_noise', 'pred_x0', 'pred_v'];
/** @type {import('../index.d.ts').RenderingName[]} */
const RENDERINGS = ['smooth', 'ink', 'pixel'];

/**
 * What pd_wasm_options_set_data gets for each of its keys: values of a typed array, `per` of them to one of its items.
 * @type {((request: RunRequest) => { values: Uint8Array | Uint8ClampedArray | Float32Array, per: number } | null)[]}
 */
const OPTION_DATA = [
  ({ classMix }) => classMix && { values: packMix(classMix), per: MIX_BYTES },
  ({ image }) => image && { values: image.pixels, per: 1 },
  ({ mask }) => mask && { values: mask.pixels, per: 1 },
  ({ noise }) => noise && { values: noise, per: 1 },
];

/** In the order of pd_plane. */
const PLANES = ['x0', 'conditional', 'null'];

const PICTURE_BYTES = 24; // pd_picture: int32 label, uint32 0, uint64 seed, uint64 variation_seed
const MIX_BYTES = 8; // pd_class_weight: int32 label, float weight
const WASI_NOT_SUPPORTED = 52; // errno "nosys"

/**
 * The shortest decimal number that is `value` in single precision: 2.7 rather than 2.700000047683716.
 * @param {number} value
 */
function shortestFloat32(value) {
  for (let digits = 1; digits <= 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === value) return candidate;
  }
  return value;
}

/** @param {ArrayBufferView} view */
const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);

/** @param {ReadonlyArray<import('../index.d.ts').ClassWeight>} mix of labels that are numbers */
function packMix(mix) {
  const records = new DataView(new ArrayBuffer(MIX_BYTES * mix.length));
  mix.forEach(({ label, weight }, index) => {
    records.setInt32(MIX_BYTES * index, Number(label), true);
    records.setFloat32(MIX_BYTES * index + 4, weight, true);
  });
  return bytesOf(records);
}

/** @param {RunRequest['pictures']} pictures */
function packPictures(pictures) {
  const records = new DataView(new ArrayBuffer(PICTURE_BYTES * pictures.length));
  pictures.forEach(({ label, seed, variationSeed }, index) => {
    records.setInt32(PICTURE_BYTES * index, label ?? NULL_LABEL, true);
    records.setBigUint64(PICTURE_BYTES * index + 8, BigInt(seed), true);
    records.setBigUint64(PICTURE_BYTES * index + 16, BigInt(variationSeed ?? 0), true);
  });
  return bytesOf(records);
}

/** @param {WebAssembly.Module} module */
function importsOf(module) {
  /** @type {Record<string, Record<string, (...values: number[]) => number | void>>} */
  const known = {
    env: { emscripten_notify_memory_growth() {} },
    wasi_snapshot_preview1: {
      proc_exit(status) {
        throw new Error(`the module exited with status ${status}`);
      },
      fd_write: () => WASI_NOT_SUPPORTED,
      fd_close: () => WASI_NOT_SUPPORTED,
      fd_seek: () => WASI_NOT_SUPPORTED,
    },
  };
  for (const { module: space, name } of WebAssembly.Module.imports(module)) {
    if (!known[space]?.[name]) {
      throw new PocketDiffusionError('WASM', `not a pocket-diffusion module: it wants to import ${space}.${name}`);
    }
  }
  return known;
}

/**
 * 1 to 64 pictures (PD_MAX_PICTURES), every option resolved.
 * @typedef {Omit<import('../index.d.ts').ResolvedOptions, 'label' | 'labelName' | 'seed' | 'variationSeed'> & {
 *   pictures: ReadonlyArray<{ label: number | null, seed: number | bigint, variationSeed: number | bigint | null }>,
 *   inversion: number }} RunRequest
 *   inversion: above 0, from `image` to noise, which is the state at the end, in so many iterations a step
 */

/**
 * @typedef {object} ModelDescription
 * @property {Omit<import('../index.d.ts').ModelInfo, 'sha256'>} info
 * @property {string[]} labels
 * @property {number} instanceBytes linear memory of the instance with the model in it
 */

export class Engine {
  /** @type {Record<string, any>} */
  #exports;
  #dead = false;
  /** @type {string[]} fields of pd_options, by their keys */
  #optionNames;
  /** @type {string[]} of pd_model_info */
  #modelFields;

  /** @param {WebAssembly.Module} module @returns {Promise<Engine>} */
  static async create(module) {
    let instance;
    try {
      instance = await WebAssembly.instantiate(module, importsOf(module));
    } catch (error) {
      if (error instanceof PocketDiffusionError) throw error;
      // Chromium and Node.js throw a RangeError, Firefox a string or an InternalError.
      if (error instanceof RangeError || /out of memory/i.test(String(error))) {
        throw memoryError('no memory for another instance of the WebAssembly module', error);
      }
      throw new PocketDiffusionError('WASM', `the WebAssembly module cannot be started: ${messageOf(error)}`, { cause: error });
    }
    const { exports } = instance;
    if (!(exports.memory instanceof WebAssembly.Memory) || typeof exports.pd_wasm_version !== 'function') {
      throw new PocketDiffusionError('WASM', 'not a pocket-diffusion module: its exports are missing');
    }
    return new Engine(exports);
  }

  /** @private use Engine.create @param {WebAssembly.Exports} exports */
  constructor(exports) {
    this.#exports = exports;
    if (exports._initialize) this.#call('_initialize');
    this.#optionNames = this.#names('pd_wasm_options_name');
    this.#modelFields = this.#names('pd_wasm_model_field_name');
  }

  /** True after a trap. */
  get dead() {
    return this.#dead;
  }

  get version() {
    return this.#text(this.#call('pd_wasm_version'));
  }

  /**
   * @param {Uint8Array} bytes of a model file
   * @param {boolean} [handedOver] nobody else wants them: their memory is given back before the model takes its own
   * @returns {number} handle
   */
  loadModel(bytes, handedOver = false) {
    const { length } = bytes;
    return this.#withBytes(bytes, (address) => {
      if (handedOver) /** @type {any} */ (bytes.buffer).transfer?.(0);
      return this.#address('pd_wasm_model_load', address, length);
    });
  }

  /** @param {number} model */
  freeModel(model) {
    this.#call('pd_wasm_model_free', model);
  }

  /**
   * Everything of ModelInfo but the hash, the class names, and what the instance takes.
   * @param {number} model @returns {ModelDescription}
   */
  describeModel(model) {
    /** @type {Record<string, any>} numbers and texts; what is recommended apart */
    const about = {};
    /** @type {Record<string, number>} */
    const recommended = {};
    this.#modelFields.forEach((field, key) => {
      const [, ours, name] = /** @type {RegExpExecArray} */ (/^(recommended_)?(.*)$/.exec(field));
      const number = this.#call('pd_wasm_model_number', model, key);
      const value = Number.isNaN(number) ? this.#text(this.#call('pd_wasm_model_text', model, key)) : number;
      (ours ? recommended : about)[name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())] = value;
    });
    const { classCount, scheduleName, guidanceScaleMin, guidanceScaleMax, ...others } = about;
    const { sampler, steps, guidanceScale, eta, timeGrid, guidanceFirst, guidanceLast, rescale, projection } = recommended;
    const alphasCumprod = this.#call('pd_wasm_model_alphas_cumprod', model);
    const labels = [];
    for (let label = 0; label < classCount; label++) {
      labels.push(this.#text(this.#call('pd_wasm_model_class_name', model, label)));
    }
    const info = /** @type {ModelDescription['info']} */ ({
      engine: this.version,
      ...others,
      schedule: scheduleName,
      hasNullClass: about.hasNullClass === 1,
      objective: OBJECTIVES[about.objective],
      rendering: RENDERINGS[about.rendering],
      alphasCumprod: new Float64Array(this.#exports.memory.buffer, alphasCumprod >>> 0, about.timesteps).slice(),
      guidanceIsInput: about.guidanceIsInput === 1,
      guidanceScaleRange: Object.freeze(/** @type {[number, number]} */ ([shortestFloat32(guidanceScaleMin), shortestFloat32(guidanceScaleMax)])),
      recommended: {
        sampler: SAMPLER_NAMES[sampler],
        steps,
        guidanceScale: shortestFloat32(guidanceScale),
        eta: shortestFloat32(eta),
        timeGrid: OPTIONS.timeGrid.choices?.[timeGrid],
        guidanceInterval: Object.freeze(/** @type {[number, number]} */ ([guidanceFirst, guidanceLast])),
        rescale: shortestFloat32(rescale),
        projection: projection === 1,
      },
    });
    return { info, labels, instanceBytes: this.#exports.memory.buffer.byteLength };
  }

  /**
   * The operations of the network.
   * @param {number} model @returns {import('../index.d.ts').GraphOperation[]}
   */
  describeGraph(model) {
    const fields = this.#names('pd_wasm_graph_field_name');
    const operations = [];
    for (let name; (name = this.#text(this.#call('pd_wasm_graph_name', model, operations.length))); ) {
      const { inputs, shape, integers, free, ...on } = Object.fromEntries(fields.map((field, key) => {
        const list = [];
        for (let number; !Number.isNaN(number = this.#call('pd_wasm_graph_number', model, operations.length, key, list.length)); ) list.push(number);
        return [field, list];
      }));
      operations.push({ name, inputs, shape, integers, depends: Object.keys(on).filter((field) => on[field][0] > 0), free: free[0] > 0 });
    }
    return operations;
  }

  /**
   * One forward pass, or as much of it as makes the value of an operation.
   * @param {number} model @param {Float32Array} x @param {number} t @param {number} label or NULL_LABEL
   * @param {number} length floats of what is wanted @param {number} [operation] default: the prediction @returns {Float32Array}
   */
  predict(model, x, t, label, length, operation) {
    return this.#withBytes(bytesOf(x), (input) => this.#readFloats(length, (output) => (operation === undefined
      ? this.#status('pd_wasm_model_predict', model, input, t, label, output)
      : this.#status('pd_wasm_model_activations', model, input, t, label, operation, output, length))));
  }

  /** @param {number} model @param {RunRequest} request @returns {number} handle of a run */
  startRun(model, request) {
    const options = this.#address('pd_wasm_options_create', model);
    const blocks = [options]; // the core copies what is in them
    /** @param {Uint8Array} bytes */
    const store = (bytes) => blocks[blocks.push(this.#store(bytes)) - 1];
    try {
      const numbers = numbersOf(request);
      this.#optionNames.forEach((name, key) => this.#status('pd_wasm_options_set', options, key, numbers[name]));
      OPTION_DATA.forEach((dataOf, key) => {
        const data = dataOf(request);
        if (data) this.#status('pd_wasm_options_set_data', options, key, store(bytesOf(data.values)), data.values.length / data.per);
      });
      const { pictures } = request;
      return this.#address('pd_wasm_run_start', model, options, store(packPictures(pictures)), pictures.length);
    } finally {
      for (const block of blocks) this.#release(block);
    }
  }

  /** @param {number} run @returns {number} calls of step() that a run takes */
  stepCount(run) {
    return this.#call('pd_wasm_run_steps_total', run);
  }

  /** @param {number} run @returns {number} calls of step() that were made, also before a run was saved */
  stepsDone(run) {
    return this.#call('pd_wasm_run_steps_done', run);
  }

  /**
   * One network call and what follows from it for every picture.
   * @param {number} run @returns {number} the timestep at which the network was evaluated
   */
  step(run) {
    const timestep = this.#call('pd_wasm_run_next_timestep', run);
    this.#status('pd_wasm_run_step', run);
    return timestep;
  }

  /** @param {number} run @param {number} picture @param {number} length @returns {Float32Array} x_t of a picture, `length` floats */
  state(run, picture, length) {
    return this.#readFloats(length, (address) => this.#status('pd_wasm_run_state', run, picture, address, length));
  }

  /** From now on conditional and null predictions can be seen. @param {number} run */
  keepPredictions(run) {
    this.#status('pd_wasm_run_keep_predictions', run);
  }

  /**
   * @param {number} run @param {number} picture @param {'x0' | 'conditional' | 'null'} name @param {number} length floats
   * @returns {Float32Array | null} null if the last step made no such thing
   */
  plane(run, picture, name, length) {
    const plane = PLANES.indexOf(name);
    if (!this.#call('pd_wasm_run_has_plane', run, plane)) return null;
    return this.#readFloats(length, (address) => this.#status('pd_wasm_run_plane', run, picture, plane, address, length));
  }

  /** @param {number} model @param {Float32Array} x network space @param {number} length @returns {Uint8Array} its pixels, `length` bytes */
  toPixels(model, x, length) {
    const bytes = new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
    return this.#withBytes(bytes, (input) => this.#readBytes(length, (output) =>
      this.#status('pd_wasm_model_to_pixels', model, input, output, length)));
  }

  /**
   * @param {number} run @param {number} picture @param {number} length
   * @returns {Uint8Array} pixels of the current x_0 estimate of a picture, `length` bytes
   */
  preview(run, picture, length) {
    return this.#readBytes(length, (address) => this.#status('pd_wasm_run_preview', run, picture, address, length));
  }

  /** @param {number} run @param {number} picture @param {number} length @returns {Uint8Array} pixels of a finished picture, `length` bytes */
  finish(run, picture, length) {
    return this.#readBytes(length, (address) => this.#status('pd_wasm_run_finish', run, picture, address, length));
  }

  /** @param {number} run @param {number} picture @returns {Uint8Array} from which restoreRun can go on with a picture */
  save(run, picture) {
    const length = this.#call('pd_wasm_run_saved_bytes', run) >>> 0;
    return this.#readBytes(length, (address) => this.#status('pd_wasm_run_save', run, picture, address, length));
  }

  /** @param {number} run that has not made a step @param {ReadonlyArray<Uint8Array>} saved one for each of its pictures */
  restoreRun(run, saved) {
    const bytes = new Uint8Array(saved.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const each of saved) {
      bytes.set(each, offset);
      offset += each.length;
    }
    this.#withBytes(bytes, (address) => this.#status('pd_wasm_run_restore', run, address, bytes.length));
  }

  /** Does nothing on a dead instance, so that it can stand in a `finally`. @param {number} run */
  freeRun(run) {
    if (!this.#dead) this.#call('pd_wasm_run_free', run);
  }

  /**
   * @param {{ width: number, height: number, channels: number, pixels: Uint8Array | Uint8ClampedArray }} image
   * @param {string} recipe text for the file to carry, or ''
   * @returns {Uint8Array}
   */
  encodePNG({ width, height, channels, pixels }, recipe) {
    const text = new TextEncoder().encode(recipe);
    return this.#withBytes(text, (textAddress) => {
      const bound = this.#call('pd_wasm_png_bound', width, height, channels, textAddress, text.length) >>> 0;
      if (bound === 0) {
        throw new PocketDiffusionError('BUFFER', `no PNG of ${width} x ${height} pixels with ${channels} channels`, { status: 27 });
      }
      return this.#withBytes(pixels, (input) => this.#withBlock(bound, (output) => {
        const written = this.#address(
          'pd_wasm_png_encode', input, width, height, channels, textAddress, text.length, output, bound);
        return new Uint8Array(this.#exports.memory.buffer, output, written).slice();
      }));
    });
  }

  // ---- calls

  /** @param {string} name @param {number[]} values @returns {number} */
  #call(name, ...values) {
    if (this.#dead) throw new PocketDiffusionError('TRAP', 'the WebAssembly instance failed in another call');
    try {
      return this.#exports[name](...values);
    } catch (error) {
      this.#dead = true;
      throw new PocketDiffusionError('TRAP', `the WebAssembly instance failed in ${name}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Call of a function that returns an address or a size, 0 on failure. @param {string} name @param {number[]} values */
  #address(name, ...values) {
    const address = this.#call(name, ...values) >>> 0;
    if (address === 0) throw this.#lastError();
    return address;
  }

  /** Call of a function that returns a pd_status. @param {string} name @param {number[]} values */
  #status(name, ...values) {
    if (this.#call(name, ...values) !== 0) throw this.#lastError();
  }

  #lastError() {
    return new PocketDiffusionError(
      this.#text(this.#call('pd_wasm_error_name')),
      this.#text(this.#call('pd_wasm_error_message')),
      { status: this.#call('pd_wasm_error_status'), offset: this.#call('pd_wasm_error_offset') },
    );
  }

  // ---- linear memory

  /** What an export names, from 0 on. @param {string} name of the export */
  #names(name) {
    const names = [];
    for (let text; (text = this.#text(this.#call(name, names.length))); ) names.push(text);
    return names;
  }

  /** @param {number} address */
  #text(address) {
    if (address === 0) return '';
    const memory = new Uint8Array(this.#exports.memory.buffer);
    const start = address >>> 0;
    return new TextDecoder().decode(memory.subarray(start, memory.indexOf(0, start)));
  }

  /** @param {number} address */
  #release(address) {
    if (!this.#dead) this.#call('pd_wasm_release', address);
  }

  /** @param {Uint8Array} bytes @returns {number} address of a copy of `bytes`, to be released */
  #store(bytes) {
    const address = this.#address('pd_wasm_allocate', Math.max(bytes.length, 1));
    new Uint8Array(this.#exports.memory.buffer, address, bytes.length).set(bytes);
    return address;
  }

  /**
   * use(address) with a block of `size` bytes that is released afterwards.
   * @template T @param {number} size @param {(address: number) => T} use
   */
  #withBlock(size, use) {
    const address = this.#address('pd_wasm_allocate', Math.max(size, 1));
    try {
      return use(address);
    } finally {
      this.#release(address);
    }
  }

  /**
   * use(address) with a copy of `bytes`.
   * @template T @param {Uint8Array | Uint8ClampedArray} bytes @param {(address: number) => T} use
   */
  #withBytes(bytes, use) {
    return this.#withBlock(bytes.length, (address) => {
      new Uint8Array(this.#exports.memory.buffer, address, bytes.length).set(bytes);
      return use(address);
    });
  }

  /** Copy of the `length` bytes that write(address) has written. @param {number} length @param {(address: number) => void} write */
  #readBytes(length, write) {
    return this.#withBlock(length, (address) => {
      write(address);
      return new Uint8Array(this.#exports.memory.buffer, address, length).slice();
    });
  }

  /** @param {number} length @param {(address: number) => void} write */
  #readFloats(length, write) {
    return this.#withBlock(length * 4, (address) => {
      write(address);
      return new Float32Array(this.#exports.memory.buffer, address, length).slice();
    });
  }
}
