// The C core as a contestant: its exports called directly, without the library around it.

import { readFileSync } from 'node:fs';
import { measure } from './rounds.mjs';

const NULL_LABEL = 0x7fffffff; // PD_LABEL_NULL
const GUIDANCE_SCALE = 3;
/** What a contestant tells of the model, by the fields of pd_model_info. */
const NUMBERS = {
  network_height: 'height', network_width: 'width', network_channels: 'channels', class_count: 'classes', timesteps: 'timesteps', objective: 'objective',
  parameter_count: 'parameters',
};

/** One instance of the module. @param {WebAssembly.Module} module */
export async function instantiate(module) {
  const none = () => 0;
  const { exports } = await WebAssembly.instantiate(module, {
    env: { emscripten_notify_memory_growth: none },
    wasi_snapshot_preview1: { proc_exit: none, fd_write: none, fd_close: none, fd_seek: none },
  });
  exports._initialize?.();
  return exports;
}

/** A copy of `bytes` in linear memory. */
function store(exports, bytes) {
  const address = exports.pd_wasm_allocate(bytes.byteLength) >>> 0;
  if (address === 0) throw new Error('no memory');
  new Uint8Array(exports.memory.buffer, address, bytes.byteLength).set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return address;
}

export class Core {
  #exports;
  #model;
  #seed = 0; // of the next picture: the model remembers how runs begin

  static async load(module, modelPath) {
    return new Core(await instantiate(module), readFileSync(modelPath));
  }

  constructor(exports, bytes) {
    this.#exports = exports;
    const file = store(exports, bytes);
    this.#model = exports.pd_wasm_model_load(file, bytes.length);
    exports.pd_wasm_release(file);
    if (this.#model === 0) this.#fail();
    for (const [field, name] of Object.entries(NUMBERS)) this[name] = this.#number(field);
    this.size = this.channels * this.height * this.width;
    const abar = exports.pd_wasm_model_alphas_cumprod(this.#model) >>> 0;
    this.alphasCumprod = new Float64Array(exports.memory.buffer, abar, this.timesteps).slice();
  }

  /** Bytes that the model holds, and all of linear memory, which never shrinks. */
  get memoryBytes() {
    return { model: this.#number('memory_bytes'), linearMemory: this.#exports.memory.buffer.byteLength };
  }

  /** NUL-terminated; '' at address 0. */
  #text(address) {
    if (!address) return '';
    const bytes = new Uint8Array(this.#exports.memory.buffer);
    return new TextDecoder().decode(bytes.subarray(address, bytes.indexOf(0, address)));
  }

  /** A field of pd_model_info. */
  #number(wanted) {
    for (let key = 0, name; (name = this.#text(this.#exports.pd_wasm_model_field_name(key))); key++) {
      if (name === wanted) return this.#exports.pd_wasm_model_number(this.#model, key);
    }
    throw new Error(`pd_model_info has no ${wanted}`);
  }

  #fail() {
    throw new Error(this.#text(this.#exports.pd_wasm_error_message() >>> 0));
  }

  #check(status) {
    if (status !== 0) this.#fail();
  }

  #startRun(pictures, steps, guidanceScale) {
    const exports = this.#exports;
    const options = exports.pd_wasm_options_create(this.#model);
    const values = { sampler: 0, steps, guidance_scale: guidanceScale, eta: 0, guidance_first: 0, guidance_last: this.timesteps - 1 }; // whatever the file recommends
    for (let key = 0, name; (name = this.#text(exports.pd_wasm_options_name(key))); key++) {
      if (name in values) this.#check(exports.pd_wasm_options_set(options, key, values[name]));
    }
    const records = new DataView(new ArrayBuffer(24 * pictures)); // pd_picture
    for (let i = 0; i < pictures; i++) records.setBigUint64(24 * i + 8, BigInt(this.#seed++), true);
    const address = store(exports, records);
    const run = exports.pd_wasm_run_start(this.#model, options, address, pictures);
    if (run === 0) this.#fail();
    exports.pd_wasm_release(address);
    exports.pd_wasm_release(options);
    return run;
  }

  #state(run) {
    const address = store(this.#exports, new Float32Array(this.size));
    this.#check(this.#exports.pd_wasm_run_state(run, 0, address, this.size));
    const state = new Float32Array(this.#exports.memory.buffer, address, this.size).slice();
    this.#exports.pd_wasm_release(address);
    return state;
  }

  /** Whole runs of one picture per item, start to end. `guidanceScale` 1 takes one evaluation of the network per step. */
  run(pictures, steps, guidanceScale = GUIDANCE_SCALE) {
    const run = this.#startRun(pictures, steps, guidanceScale);
    for (let step = 0; step < steps; step++) this.#check(this.#exports.pd_wasm_run_step(run));
    this.#exports.pd_wasm_run_free(run);
  }

  /** Contestant: one evaluation of a batch of one. `label` null is the null class. */
  forward(x, t, label) {
    const exports = this.#exports;
    const input = store(exports, x);
    const output = store(exports, new Float32Array(this.size));
    const evaluate = () => this.#check(exports.pd_wasm_model_predict(this.#model, input, t, label ?? NULL_LABEL, output));
    return {
      name: 'pocket-diffusion',
      predict: async () => {
        evaluate();
        return new Float32Array(exports.memory.buffer, output, this.size).slice();
      },
      time: (count) => measure(() => {
        for (let i = 0; i < count; i++) evaluate();
      }),
    };
  }

  /** Contestant: one evaluation of the batch of two that guidance needs, as steps of a run: sampler and start included. */
  guidedStep() {
    return {
      name: 'pocket-diffusion',
      time: (count) => measure(() => {
        for (let done = 0; done < count; done += this.timesteps) this.run(1, Math.min(count - done, this.timesteps));
      }),
    };
  }

  /** x_T and t of a guided run of one step, and the x_0 that it ends with. */
  oneStep() {
    const run = this.#startRun(1, 1, GUIDANCE_SCALE);
    const x = this.#state(run);
    const t = this.#exports.pd_wasm_run_next_timestep(run);
    this.#check(this.#exports.pd_wasm_run_step(run));
    const x0 = this.#state(run);
    this.#exports.pd_wasm_run_free(run);
    return { x, t, x0 };
  }

  /** The x_0 that a batch of two predictions (class, null class) at x_t means: guidance, objective, clipping. */
  guidedX0(predictions, x, t) {
    const abar = this.alphasCumprod[t];
    const signal = Math.sqrt(abar);
    const noise = Math.sqrt(1 - abar);
    return x.map((value, i) => {
      const [conditional, unconditional] = [predictions[i], predictions[this.size + i]];
      const guided = unconditional + GUIDANCE_SCALE * (conditional - unconditional);
      const x0 = [(value - noise * guided) / signal, guided, signal * value - noise * guided][this.objective];
      return Math.max(-1, Math.min(1, x0));
    });
  }
}
