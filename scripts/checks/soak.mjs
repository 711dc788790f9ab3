// Runs the library for a long time and watches the memory: does it stay flat?
//
//   node scripts/checks/soak.mjs [--generations 10000] [--loads 1000] [--refusals 1000] [--workers 200] [--page 60]
//
// Without options: everything but the page. --page is in minutes: the guidance slider of the page is dragged to and fro
// in Chromium all that time. Each line is one series: how often, first and last memory, and the growth of its second
// half by least squares. The exit code is 0 if nothing grows.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { load } from 'pocket-diffusion';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const bytes = new Uint8Array(readFileSync(path('../../tests/golden/tiny.gguf')));

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

/** Bytes that the second half of a series may grow by, as fitted. A leak of 1 kB a picture would be 5 MB in the longest. */
const LIMITS = { heap: 1.5e6, buffers: 1.5e6, wasm: 0, rss: 24e6 };

const SAMPLES = 40;

/** Every linear memory that has been made and is still there. */
class LinearMemories {
  #references = [];

  constructor() {
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = async (...values) => {
      const instance = await instantiate(...values);
      this.#references.push(new WeakRef(instance.exports.memory));
      return instance;
    };
  }

  /** Bytes of all. */
  get total() {
    this.#references = this.#references.filter((reference) => reference.deref());
    return this.#references.reduce((sum, reference) => sum + (reference.deref()?.buffer.byteLength ?? 0), 0);
  }
}

let memories;

/** Milliseconds that what was let go of may take to go: on a busy machine some of it waits for other threads. */
const PATIENCE = 5000;

/** @param {number} least bytes of linear memory that were enough before: more than that may be on its way out */
async function measure(least) {
  const end = performance.now() + PATIENCE;
  for (let round = 0; round < 3 || (memories.total > least && performance.now() < end); round++) {
    await new Promise((done) => setTimeout(done, 10)); // weak references are kept for a task
    collectGarbage();
  }
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, buffers: arrayBuffers, wasm: memories.total, rss };
}

/** What a least-squares line through the values of the second half grows by, from its first to its last. */
export function growth(values) {
  const half = values.slice(Math.floor(values.length / 2));
  const centre = (half.length - 1) / 2;
  const mean = half.reduce((sum, value) => sum + value, 0) / half.length;
  const covariance = half.reduce((sum, value, index) => sum + (index - centre) * (value - mean), 0);
  const variance = half.reduce((sum, _, index) => sum + (index - centre) ** 2, 0);
  return (covariance / variance) * (half.length - 1);
}

const refused = Uint8Array.from(bytes);
refused[bytes.length - 1000] = 0xff; // the weights are not finite there: refused at the very end
refused[bytes.length - 999] = 0xff;

const options = { label: 'circle', seed: 1, steps: 2 };

/** Series: what is prepared once, and what is done again and again. */
export const SERIES = {
  async generations() {
    const model = await load(bytes);
    return {
      each: (index) => model.generate({ ...options, seed: index, onStep: index % 10 ? undefined : () => {} }),
      end: () => model.close(),
    };
  },
  async loads() {
    return {
      async each() {
        const model = await load(bytes);
        await model.generate(options);
        model.close();
      },
      end() {},
    };
  },
  async refusals() {
    return {
      async each(index) {
        const broken = index % 2 ? refused : bytes.subarray(0, (index * 7919) % bytes.length);
        const error = await load(broken).then(() => null, (reason) => reason);
        if (!(error?.status > 0)) throw new Error(`refusal ${index} went wrong: ${error}`);
      },
      end() {},
    };
  },
  async workers() {
    return {
      async each() {
        const model = await load(bytes, { workers: 1 });
        await model.generate(options);
        model.close();
      },
      end() {},
    };
  },
};

/**
 * @param {keyof typeof SERIES} name
 * @param {number} count how often
 * @returns {Promise<Array<{ heap: number, buffers: number, wasm: number, rss: number }>>} memory along the way
 */
export async function run(name, count) {
  memories ??= new LinearMemories();
  const { each, end } = await SERIES[name]();
  const samples = [];
  let least = Infinity;
  const sample = async () => {
    samples.push(await measure(least));
    least = Math.min(least, samples.at(-1).wasm);
  };
  for (let index = 0; index < count; index++) {
    if (index % Math.ceil(count / SAMPLES) === 0) await sample();
    await each(index);
  }
  await sample();
  end();
  return samples;
}

/** Bytes by which each kind of memory grew beyond its limit; empty if all is well. */
export function excesses(samples) {
  const grown = Object.keys(samples[0]).map((kind) => [kind, growth(samples.map((sample) => sample[kind])), LIMITS[kind]]);
  return grown.filter(([, by, limit]) => by > limit).map(([kind, by]) => `${kind} grows by ${megabytes(by)} MB`);
}

const megabytes = (value) => (value / 1e6).toFixed(2);

function report(name, count, samples) {
  const kinds = Object.keys(samples[0]).map((kind) => {
    const values = samples.map((sample) => sample[kind]);
    return `${kind} ${megabytes(values[0])} -> ${megabytes(values.at(-1))} MB (${megabytes(growth(values))})`;
  });
  const wrong = excesses(samples);
  console.log(`${name.padEnd(12)} ${String(count).padStart(6)}  ${kinds.join(', ')}  ${wrong.length ? `GROWS: ${wrong}` : 'flat'}`);
  return wrong.length === 0;
}

async function main() {
  const known = ['generations', 'loads', 'refusals', 'workers', 'page'];
  const { values } = parseArgs({ options: Object.fromEntries(known.map((name) => [name, { type: 'string' }])) });
  const asked = Object.keys(values).length ? values : { generations: 10_000, loads: 1000, refusals: 1000, workers: 200 };
  let flat = true;
  for (const name of Object.keys(SERIES).filter((each) => each in asked)) {
    await run(name, Math.min(Number(asked[name]), 100)); // what is compiled and cached comes first
    flat = report(name, Number(asked[name]), await run(name, Number(asked[name]))) && flat;
  }
  if (asked.page) {
    const { dragSlider } = await import('../../tests/browser/drag_slider.mjs');
    const { moves, samples } = await dragSlider(Number(asked.page), SAMPLES);
    flat = report('page', moves, samples) && flat;
  }
  if (!flat) process.exitCode = 1;
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) await main();
