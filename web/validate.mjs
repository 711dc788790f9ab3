// Checks of arguments. What is wrong becomes a TypeError (wrong type) or a RangeError (right type, wrong value) whose
// message begins with the argument's name and whose `argument` property is that name.

import { argumentError } from './errors.mjs';
import { isBytes, isModule, isSource, isURL } from './source.mjs';

const MAX_GUIDANCE_SCALE = 100; // PD_MAX_GUIDANCE_SCALE
const MAX_WORKERS = 64;
const MAX_SEED = 2n ** 64n - 1n;
const MAX_SUGGESTION_LENGTH = 64;

export const SAMPLERS = ['ddim', 'ddpm'];

/** A value in an error message: short, and on one line. */
function show(value) {
  if (typeof value === 'bigint') return `${value}n`.slice(0, 40);
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (value === null || ['number', 'boolean', 'undefined'].includes(typeof value)) return String(value);
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

const wrongType = (argument, wanted, value) => argumentError(TypeError, argument, `must be ${wanted}, not ${show(value)}`);
const wrongValue = (argument, wanted, value) => argumentError(RangeError, argument, `must be ${wanted}, not ${show(value)}`);

/** Levenshtein distance. */
function editDistance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

/** The candidate nearest to `text`, letter case aside. */
function nearest(text, candidates) {
  const short = (string) => string.toLowerCase().slice(0, MAX_SUGGESTION_LENGTH);
  const wanted = short(text);
  let best = candidates[0];
  let least = Infinity;
  for (const candidate of candidates) {
    if (Math.abs(short(candidate).length - wanted.length) >= least) continue;
    const distance = editDistance(wanted, short(candidate));
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

function checkObject(argument, value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(argument, 'an object', value);
}

function checkKeys(argument, options, known) {
  checkObject(argument, options);
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    throw argumentError(TypeError, argument, `unknown option ${show(key)}; did you mean ${show(nearest(key, known))}?`);
  }
}

function checkNumber(argument, value, minimum, maximum) {
  if (typeof value !== 'number') throw wrongType(argument, 'a number', value);
  if (!(value >= minimum && value <= maximum)) throw wrongValue(argument, `${minimum} to ${maximum}`, value);
  return value + 0; // -0 becomes 0
}

export function checkWhole(argument, value, minimum, maximum) {
  if (typeof value !== 'number') throw wrongType(argument, 'a number', value);
  if (!(Number.isInteger(value) && value >= minimum && value <= maximum)) {
    throw wrongValue(argument, `a whole number from ${minimum} to ${maximum}`, value);
  }
  return value + 0;
}

function checkBoolean(argument, value) {
  if (typeof value !== 'boolean') throw wrongType(argument, 'true or false', value);
  return value;
}

function checkFunction(argument, value) {
  if (value !== undefined && typeof value !== 'function') throw wrongType(argument, 'a function', value);
  return value;
}

function checkSignal(argument, value) {
  const usable = value === undefined || (typeof value?.aborted === 'boolean' && typeof value.addEventListener === 'function');
  if (!usable) throw wrongType(argument, 'an AbortSignal', value);
  return value;
}

/** @param {ReadonlyArray<string>} labels @returns {number} 0 .. labels.length - 1 */
export function checkLabel(label, labels) {
  if (typeof label === 'number') return checkWhole('label', label, 0, labels.length - 1);
  if (typeof label !== 'string') throw wrongType('label', 'a class name or number', label);
  const index = labels.indexOf(label);
  if (index >= 0) return index;
  throw argumentError(RangeError, 'label', `no class ${show(label)}; did you mean ${show(nearest(label, labels))}?`);
}

/** @returns {number | bigint} the seed as given; drawn at random if undefined */
function checkSeed(seed) {
  // mt19937 is seeded with the low 32 bits alone: more would say the same pictures in longer numbers.
  if (seed === undefined) return crypto.getRandomValues(new Uint32Array(1))[0];
  if (typeof seed === 'bigint') {
    if (seed < 0n || seed > MAX_SEED) throw wrongValue('seed', `0 to ${MAX_SEED}`, seed);
    return seed;
  }
  if (typeof seed !== 'number') throw wrongType('seed', 'a number or a bigint', seed);
  if (!(Number.isSafeInteger(seed) && seed >= 0)) {
    throw wrongValue('seed', 'a whole number from 0 to 2^53 - 1, or a bigint below 2^64', seed);
  }
  return seed + 0;
}

/** seed + index: of the same type, unless a number would leave the exact range. */
export function followingSeed(seed, index) {
  const sum = BigInt(seed) + BigInt(index);
  return typeof seed === 'number' && sum <= Number.MAX_SAFE_INTEGER ? Number(sum) : sum;
}

const SAMPLING_KEYS = [
  'label', 'guidanceScale', 'projection', 'rescale', 'steps', 'sampler', 'eta', 'seed', 'onStep', 'preview', 'state',
  'signal',
];

/** Everything but the label. */
function checkSampling(options, info) {
  const { recommended, timesteps } = info;
  const { sampler = recommended.sampler, guidanceScale = recommended.guidanceScale } = options;
  const { projection = false, rescale = 0, steps = recommended.steps, eta = recommended.eta, state = false } = options;
  const onStep = checkFunction('onStep', options.onStep);
  const { preview = Boolean(onStep) } = options;
  if (typeof sampler !== 'string') throw wrongType('sampler', '"ddim" or "ddpm"', sampler);
  if (!SAMPLERS.includes(sampler)) throw wrongValue('sampler', '"ddim" or "ddpm"', sampler);
  return {
    resolved: {
      guidanceScale: checkNumber('guidanceScale', guidanceScale, 0, MAX_GUIDANCE_SCALE),
      projection: checkBoolean('projection', projection),
      rescale: checkNumber('rescale', rescale, 0, 1),
      steps: checkWhole('steps', steps, 1, timesteps),
      sampler,
      eta: checkNumber('eta', eta, 0, 1),
      seed: checkSeed(options.seed),
    },
    onStep,
    preview: checkBoolean('preview', preview),
    state: checkBoolean('state', state),
    signal: checkSignal('signal', options.signal),
  };
}

/** @param {import('./index.d.ts').GenerateOptions} options */
export function checkGenerateOptions(options, info, labels) {
  checkKeys('options', options, SAMPLING_KEYS);
  const label = checkLabel(options.label, labels);
  const { resolved, ...rest } = checkSampling(options, info);
  return { resolved: { label, labelName: labels[label], ...resolved }, ...rest };
}

/** @param {import('./index.d.ts').GenerateManyOptions} options */
export function checkGenerateManyOptions(options, info, labels) {
  checkKeys('options', options, [...SAMPLING_KEYS, 'count']);
  const list = Array.isArray(options.label) ? options.label : [options.label];
  if (list.length === 0) throw argumentError(RangeError, 'label', 'must name at least one class');
  const chosen = list.map((label) => checkLabel(label, labels));
  const count = checkWhole('count', options.count ?? 1, 1, 2 ** 32);
  const { resolved, ...rest } = checkSampling(options, info);
  if (BigInt(resolved.seed) + BigInt(count) - 1n > MAX_SEED) {
    throw argumentError(RangeError, 'seed', `the last of ${count} seeds would be over ${MAX_SEED}`);
  }
  return { chosen, count, resolved, ...rest };
}

/** @returns {{ x: Float32Array, t: number, label: number | null }} */
export function checkPredictArguments(x, t, label, info, labels) {
  const { networkChannels, networkHeight, networkWidth, timesteps } = info;
  if (Object.prototype.toString.call(x) !== '[object Float32Array]') throw wrongType('x', 'a Float32Array', x);
  const length = networkChannels * networkHeight * networkWidth;
  if (x.length !== length) {
    const shape = `${networkChannels} x ${networkHeight} x ${networkWidth}`;
    throw argumentError(RangeError, 'x', `must have ${length} numbers (${shape}), not ${x.length}`);
  }
  return { x, t: checkWhole('t', t, 0, timesteps - 1), label: label === null ? null : checkLabel(label, labels) };
}

/** @param {import('./index.d.ts').ModelSource} source @param {import('./index.d.ts').LoadOptions} options */
export function checkLoadArguments(source, options) {
  if (!isSource(source)) throw wrongType('source', 'a URL, a path, bytes or a Blob', source);
  if (source === '') throw argumentError(TypeError, 'source', 'must not be empty');
  checkKeys('options', options, ['signal', 'onProgress', 'wasm', 'worker', 'workers']);
  const { worker, workers } = options;
  if (worker !== undefined) checkBoolean('worker', worker);
  if (workers !== undefined) {
    checkWhole('workers', workers, 0, MAX_WORKERS);
    if (worker !== undefined && worker !== workers > 0) {
      throw argumentError(RangeError, 'workers', `must not be ${workers} if worker is ${worker}`);
    }
  }
  return {
    signal: checkSignal('signal', options.signal),
    onProgress: checkFunction('onProgress', options.onProgress),
    wasm: checkWasm(options.wasm),
    worker,
    workers,
  };
}

function checkWasm(wasm) {
  const usable = wasm === undefined || (typeof wasm === 'string' && wasm !== '') || isURL(wasm) || isBytes(wasm) ||
    isModule(wasm);
  if (!usable) throw wrongType('wasm', 'a URL, bytes or a WebAssembly.Module', wasm);
  return wasm;
}

/** Sides that PNG encoding accepts (pd_png_encode). */
const MAX_PNG_SIDE = 8192;

export function checkImage(image) {
  checkObject('image', image);
  const width = checkWhole('width', image.width, 1, MAX_PNG_SIDE);
  const height = checkWhole('height', image.height, 1, MAX_PNG_SIDE);
  const channels = checkWhole('channels', image.channels, 1, 4);
  const { pixels } = image;
  if (!['[object Uint8Array]', '[object Uint8ClampedArray]'].includes(Object.prototype.toString.call(pixels))) {
    throw wrongType('pixels', 'a Uint8Array or Uint8ClampedArray', pixels);
  }
  if (pixels.length !== width * height * channels) {
    throw argumentError(RangeError, 'pixels', `must have ${width} x ${height} x ${channels} = ${width * height * channels} bytes, not ${pixels.length}`);
  }
  return { width, height, channels, pixels };
}

export function checkEncodeOptions(options) {
  checkKeys('options', options, ['wasm']);
  return { wasm: checkWasm(options.wasm) };
}
