// Checks of arguments. What is wrong becomes a TypeError (wrong type) or a RangeError (right type, wrong value) whose
// message begins with the argument's name and whose `argument` property is that name.

import { argumentError, show } from './errors.mjs';
import { nearest, suggestions } from './hints.mjs';
import { OPTIONS, SAMPLERS, rangeOf } from './options.mjs';
import { checkRecipe, isRecipe, withRecipe } from './recipe.mjs';
import { MAX_FILE_BYTES, STALL_TIMEOUT, isAddress, isBytes, isModule, isSource, isURL } from './source.mjs';

const MAX_MIX = 8; // PD_MAX_MIX
const MAX_MIX_WEIGHT = 1e6; // PD_MAX_MIX_WEIGHT
const MAX_INVERSION = 100; // PD_MAX_INVERSION
const MAX_PICTURES = 64; // PD_MAX_PICTURES
const MAX_WORKERS = 64;
const MAX_TIMEOUT = 2 ** 31 - 1; // of setTimeout, in milliseconds
const WORKER_TIMEOUT = 60_000;
const MAX_SEED = 2n ** 64n - 1n;
const MAX_DISTINCT_SEED = 2 ** 32 - 1;

/**
 * @typedef {import('../index.d.ts').ModelInfo} ModelInfo
 * @typedef {import('../index.d.ts').ResolvedOptions} ResolvedOptions
 * @typedef {Record<string, any>} Given an object that a caller gave, of which nothing is known
 * @typedef {{ width: number, height: number, channels: number }} Shape
 */

/** @param {string} argument @param {string} wanted @param {unknown} value */
const wrongType = (argument, wanted, value) => argumentError(TypeError, argument, `must be ${wanted}, not ${show(value)}`);
/** @param {string} argument @param {string} wanted @param {unknown} value */
const wrongValue = (argument, wanted, value) => argumentError(RangeError, argument, `must be ${wanted}, not ${show(value)}`);

/** @param {string} argument @param {unknown} value @returns {asserts value is Given} */
function checkObject(argument, value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(argument, 'an object', value);
}

/** @param {string} argument @param {unknown} options @param {ReadonlyArray<string>} known @returns {asserts options is Given} */
export function checkKeys(argument, options, known) {
  checkObject(argument, options);
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const meant = suggestions(key, known).map(show).join(' or ');
    throw argumentError(TypeError, argument, `unknown option ${show(key)}${meant && `; did you mean ${meant}?`}`);
  }
}

/** @param {string} argument @param {unknown} value @param {number} minimum @param {number} maximum */
function checkNumber(argument, value, minimum, maximum) {
  if (typeof value !== 'number') throw wrongType(argument, 'a number', value);
  if (!(value >= minimum && value <= maximum)) throw wrongValue(argument, `${minimum} to ${maximum}`, value);
  return value + 0; // -0 becomes 0
}

/** @param {string} argument @param {unknown} value @param {number} minimum @param {number} maximum */
export function checkWhole(argument, value, minimum, maximum) {
  if (typeof value !== 'number') throw wrongType(argument, 'a number', value);
  if (!(Number.isInteger(value) && value >= minimum && value <= maximum)) {
    throw wrongValue(argument, `a whole number from ${minimum} to ${maximum}`, value);
  }
  return value + 0;
}

/** @param {string} argument @param {unknown} value */
function checkBoolean(argument, value) {
  if (typeof value !== 'boolean') throw wrongType(argument, 'true or false', value);
  return value;
}

/** @template {string} T @param {string} argument @param {unknown} value @param {ReadonlyArray<T>} choices */
function checkChoice(argument, value, choices) {
  const wanted = `one of ${choices.map(show).join(', ')}`;
  if (typeof value !== 'string') throw wrongType(argument, wanted, value);
  const chosen = choices.find((choice) => choice === value);
  if (chosen === undefined) throw wrongValue(argument, wanted, value);
  return chosen;
}

/** @param {string} argument @param {unknown} value @returns {((...values: any[]) => any) | undefined} */
function checkFunction(argument, value) {
  if (value === undefined) return undefined;
  if (typeof value !== 'function') throw wrongType(argument, 'a function', value);
  return /** @type {(...values: any[]) => any} */ (value);
}

/** @param {string} argument @param {any} value @returns {AbortSignal | undefined} */
function checkSignal(argument, value) {
  const usable = value === undefined || (typeof value?.aborted === 'boolean' &&
    typeof value.addEventListener === 'function' && typeof value.removeEventListener === 'function');
  if (!usable) throw wrongType(argument, 'an AbortSignal', value);
  return value;
}

/** @param {unknown} label @param {ReadonlyArray<string>} labels @returns {number} 0 .. labels.length - 1 */
export function checkLabel(label, labels, argument = 'label') {
  if (labels.length === 0) throw argumentError(RangeError, argument, 'this model has no classes');
  if (typeof label === 'number') return checkWhole(argument, label, 0, labels.length - 1);
  if (typeof label !== 'string') throw wrongType(argument, 'a class name or number', label);
  const index = labels.indexOf(label);
  if (index >= 0) return index;
  throw argumentError(RangeError, argument, `no class ${show(label)}; did you mean ${show(nearest(label, labels))}?`);
}

let warned = false;

/** mt19937 is seeded with the low 32 bits alone, as in PyTorch: larger seeds repeat. Said once. @param {number | bigint} seed */
function warnOfRepetition(seed) {
  if (warned || seed <= MAX_DISTINCT_SEED) return;
  warned = true;
  // eslint-disable-next-line no-console -- whoever wrote the number learns of it nowhere else
  console.warn(`pocket-diffusion: as in PyTorch, only the low 32 bits of a seed count: ${seed} draws what ${BigInt(seed) % 2n ** 32n} draws`);
}

/** @param {unknown} seed @returns {number | bigint} the seed as given; drawn at random if undefined */
function checkSeed(seed, argument = 'seed') {
  if (seed === undefined) return crypto.getRandomValues(new Uint32Array(1))[0];
  if (typeof seed === 'bigint') {
    if (seed < 0n || seed > MAX_SEED) throw wrongValue(argument, `0 to ${MAX_SEED}`, seed);
    warnOfRepetition(seed);
    return seed;
  }
  if (typeof seed !== 'number') throw wrongType(argument, 'a number or a bigint', seed);
  if (!(Number.isSafeInteger(seed) && seed >= 0)) {
    throw wrongValue(argument, 'a whole number from 0 to 2^53 - 1, or a bigint below 2^64', seed);
  }
  warnOfRepetition(seed);
  return seed + 0;
}

/**
 * seed + index: of the same type, unless a number would leave the exact range.
 * @param {number | bigint} seed @param {number} index
 */
export function followingSeed(seed, index) {
  const sum = BigInt(seed) + BigInt(index);
  return typeof seed === 'number' && sum <= Number.MAX_SAFE_INTEGER ? Number(sum) : sum;
}

// ---- editing and mixing

/** @param {unknown} value @param {string[]} names of types of arrays */
const isTyped = (value, ...names) => names.includes(Object.prototype.toString.call(value).slice(8, -1));

/** @param {string} argument @param {any} pixels @param {Shape} shape */
function checkPixelArray(argument, pixels, { width, height, channels }) {
  if (!isTyped(pixels, 'Uint8Array', 'Uint8ClampedArray')) {
    throw argumentError(TypeError, argument, `the pixels must be a Uint8Array or Uint8ClampedArray, not ${show(pixels)}`);
  }
  const length = width * height * channels;
  if (pixels.length !== length) {
    throw argumentError(RangeError, argument, `must have ${width} x ${height} x ${channels} = ${length} bytes, not ${pixels.length}`);
  }
}

/** 8-bit pixels of the given size, or null; a copy. @param {string} argument @param {unknown} value @param {Shape} shape */
function checkPixels(argument, value, { width, height, channels }) {
  if (value === null) return null;
  checkObject(argument, value);
  if (isBytes(value) || value.arrayBuffer) throw argumentError(RangeError, argument, `must be { width, height, pixels } of ${width} x ${height} pixels, not a file: decode it first`);
  if (value.width !== width || value.height !== height) {
    throw argumentError(RangeError, argument, `must be ${width} x ${height} pixels as the model's pictures are, not ${show(value.width)} x ${show(value.height)}`);
  }
  if ((value.channels ?? channels) !== channels) {
    throw argumentError(RangeError, argument, `must have ${channels} channel${channels === 1 ? '' : 's'}, not ${show(value.channels)}`);
  }
  checkPixelArray(argument, value.pixels, { width, height, channels });
  return { width, height, channels, pixels: Uint8Array.from(value.pixels) };
}

/** @param {unknown} value @param {unknown} threshold @param {ModelInfo} info */
function checkMask(value, threshold, { width, height }) {
  const mask = checkPixels('mask', value, { width, height, channels: 1 });
  const level = threshold === undefined ? 0 : checkWhole('maskThreshold', threshold, 1, 255);
  if (!mask) {
    if (level) throw argumentError(RangeError, 'maskThreshold', 'needs a mask');
    return null;
  }
  if (level) mask.pixels.forEach((grey, at, pixels) => (pixels[at] = grey < level ? 0 : 255));
  const grey = mask.pixels.findIndex((level) => level !== 0 && level !== 255);
  if (grey < 0) return mask;
  const place = `row ${Math.floor(grey / width)}, column ${grey % width}`;
  throw argumentError(RangeError, 'mask', `must hold 255 (make anew) and 0 (keep) alone; ${place} is ${mask.pixels[grey]}: maskThreshold makes one of the two of every level`);
}

/** An array in network space. @param {string} argument @param {any} value @param {ModelInfo} info @returns {Float32Array} */
function checkPlanes(argument, value, { networkChannels, networkHeight, networkWidth }) {
  if (!isTyped(value, 'Float32Array')) throw wrongType(argument, 'a Float32Array', value);
  const length = networkChannels * networkHeight * networkWidth;
  if (value.length !== length) {
    const shape = `${networkChannels} x ${networkHeight} x ${networkWidth}`;
    throw argumentError(RangeError, argument, `must have ${length} numbers (${shape}), not ${value.length}`);
  }
  return value;
}

/** x_T, or null; a copy. @param {unknown} value @param {ModelInfo} info */
function checkNoise(value, info) {
  if (value === null) return null;
  const noise = checkPlanes('noise', value, info);
  const wrong = noise.findIndex((number) => !Number.isFinite(number));
  if (wrong >= 0) throw argumentError(RangeError, 'noise', `must be finite; number ${wrong} is ${noise[wrong]}`);
  return noise.slice();
}

/** @param {unknown} value @param {ReadonlyArray<string>} labels @returns {{ label: number, weight: number }[] | null} */
function checkMix(value, labels) {
  if (value === null) return null;
  if (!Array.isArray(value)) throw wrongType('classMix', 'an array of { label, weight }', value);
  if (value.length < 2 || value.length > MAX_MIX) {
    throw argumentError(RangeError, 'classMix', `must have 2 to ${MAX_MIX} classes, not ${value.length}`);
  }
  const mix = value.map((each) => {
    checkKeys('classMix', each, ['label', 'weight']);
    return {
      label: checkLabel(each.label, labels, 'classMix'),
      weight: checkNumber('classMix', each.weight, 0, MAX_MIX_WEIGHT),
    };
  });
  // Weights are rounded to single precision: what is 0 there is 0.
  if (mix.every(({ weight }) => Math.fround(weight) === 0)) throw argumentError(RangeError, 'classMix', 'must not have weights of 0 alone');
  return mix;
}

/**
 * The class or the mixture that a picture is to show.
 * @param {unknown} label @param {{ label: number, weight: number }[] | null} classMix @param {ReadonlyArray<string>} labels
 */
function checkClass(label, classMix, labels) {
  if (!classMix && labels.length === 0) {
    if (label !== undefined && label !== null) throw argumentError(RangeError, 'label', 'this model has no classes');
    return { label: null, labelName: '' };
  }
  if (!classMix) {
    const index = checkLabel(labels.length === 1 ? label ?? 0 : label, labels);
    return { label: index, labelName: labels[index] };
  }
  if (label !== undefined && label !== null) throw argumentError(TypeError, 'label', 'cannot be given together with classMix');
  return { label: null, labelName: classMix.map((each) => `${labels[each.label]}:${each.weight}`).join('+') };
}

/** Those that say nothing about the picture. */
const CALL_KEYS = ['guidanceWeight', 'maskThreshold', 'onStep', 'preview', 'state', 'trace', 'signal', 'recipe', 'anyModel'];
const RECIPE_KEYS = ['label', ...Object.keys(OPTIONS)];
const SAMPLING_KEYS = [...RECIPE_KEYS, ...CALL_KEYS];
const INVERTING_KEYS = SAMPLING_KEYS.filter((key) => !OPTIONS[key]?.noInversion && !['maskThreshold', 'trace', 'recipe', 'anyModel'].includes(key));

/** s, from guidanceScale or from guidanceWeight = s - 1. @param {Given} options @param {ModelInfo} info */
function checkScale({ guidanceScale, guidanceWeight }, { recommended, guidanceScaleRange: [low, high] }) {
  if (guidanceWeight === undefined) {
    return checkNumber('guidanceScale', guidanceScale === undefined ? recommended.guidanceScale : guidanceScale, low, high);
  }
  if (guidanceScale !== undefined) {
    throw argumentError(TypeError, 'guidanceWeight', 'is guidanceScale - 1: only one of the two can be given');
  }
  return 1 + checkNumber('guidanceWeight', guidanceWeight, low - 1, high - 1);
}

/** Shares of the timesteps between which is guided, by name. @type {ReadonlyMap<unknown, number[]>} */
const INTERVALS = new Map([['all', [0, 1]], ['diverse', [0.5, 0.7]]]);

/** @param {any} interval @param {number} timesteps @returns {[tLow: number, tHigh: number]} */
function checkInterval(interval, timesteps) {
  const last = timesteps - 1;
  const [from, to] = INTERVALS.get(interval) ?? [];
  if (to) return [Math.min(Math.round(from * timesteps), last), Math.min(Math.round(to * timesteps), last)];
  const pair = Array.isArray(interval) && interval.length === 2 && interval.every((t) => typeof t === 'number');
  if (!pair) throw wrongType('guidanceInterval', 'an array of two numbers, "all" or "diverse"', interval);
  const [low, high] = interval;
  const inside = interval.every((t) => Number.isInteger(t) && t >= 0 && t <= last) && low <= high;
  if (!inside) {
    throw argumentError(RangeError, 'guidanceInterval', `must be [tLow, tHigh], whole numbers from 0 to ${last}, tLow first`);
  }
  return [low + 0, high + 0];
}

/** Whether an option does nothing. @param {string} name @param {any} value @param {ModelInfo} info */
function isNeutral(name, value, { timesteps }) {
  const { initial, neutral = initial } = OPTIONS[name];
  return name === 'guidanceInterval' ? value[0] === 0 && value[1] === timesteps - 1 : value === neutral;
}

/** Options that only some samplers, models and kinds of guidance have. @param {Omit<ResolvedOptions, 'label' | 'labelName'>} resolved @param {ModelInfo} info */
function checkCombination(resolved, info) {
  const { sampler, cfgPlusPlus, momentum, normThreshold, guidanceSchedule, guidanceScale } = resolved;
  const { image, strength, mask, resample, variationSeed, variationStrength } = resolved;
  /** @param {string} argument @param {string} message @returns {never} */
  const refuse = (argument, message) => {
    throw argumentError(RangeError, argument, message);
  };
  for (const [name, value] of Object.entries(resolved)) {
    const { sampler: only, twoPredictions } = OPTIONS[name];
    if (isNeutral(name, value, info)) continue;
    if (only && only !== sampler) refuse(name, `is an option of the sampler "${only}" alone`);
    if (twoPredictions && info.guidanceIsInput) refuse(name, 'goes not with this model, whose network takes the guidance scale and makes no second prediction');
  }
  if (cfgPlusPlus && (momentum !== 0 || normThreshold !== 0)) refuse('cfgPlusPlus', 'goes neither with momentum nor with normThreshold');
  if (guidanceSchedule !== 'constant' && guidanceScale < 1) refuse('guidanceSchedule', `needs a guidanceScale of 1 or more, not ${guidanceScale}`);
  if (strength !== 1 && !image) refuse('strength', 'needs an image');
  if (mask && !image) refuse('mask', 'needs an image');
  if (resample > 1 && !mask) refuse('resample', 'needs a mask');
  if (resample > 1 && SAMPLERS[sampler].multistep) refuse('resample', `goes not with the sampler "${sampler}", which continues from earlier steps`);
  if (variationStrength > 0 && variationSeed === null) refuse('variationStrength', 'needs a variationSeed');
}

/**
 * Checks of the options that are more than a number in a range or one of some words.
 * @type {Record<string, (value: any, options: Given, info: ModelInfo, labels: ReadonlyArray<string>) => unknown>}
 */
const CHECKS = {
  guidanceScale: (_, options, info) => checkScale(options, info),
  guidanceInterval: (value, _, { timesteps }) => checkInterval(value, timesteps),
  seed: (value) => checkSeed(value),
  classMix: (value, _, __, labels) => checkMix(value, labels),
  image: (value, _, info) => checkPixels('image', value, info),
  // With which a picture is edited unless the caller says otherwise: in the range of 0.3 to 0.6 of the paper.
  strength: (value, { image, mask }) => checkNumber('strength', value ?? ((image ?? null) && !(mask ?? null) ? 0.5 : 1), 0, 1),
  mask: (value, { maskThreshold }, info) => checkMask(value, maskThreshold, info),
  noise: (value, _, info) => checkNoise(value, info),
  variationSeed: (value) => (value === null ? null : checkSeed(value, 'variationSeed')),
};

/** @param {string} name @param {Given} options @param {ModelInfo} info @param {ReadonlyArray<string>} labels */
function checkOption(name, options, info, labels) {
  const option = OPTIONS[name];
  const { [name]: value = 'initial' in option ? option.initial : /** @type {Given} */ (info.recommended)[name] } = options;
  if (CHECKS[name]) return CHECKS[name](value, options, info, labels);
  if (option.choices) return checkChoice(name, value, option.choices);
  if (option.kind === 'flag') return checkBoolean(name, value);
  if (option.kind === 'class') return value === null ? null : checkLabel(value, labels, name);
  return (option.kind === 'whole' ? checkWhole : checkNumber)(name, value, ...rangeOf(option, info));
}

/** Everything but the label. @param {Given} options @param {ModelInfo} info @param {ReadonlyArray<string>} labels */
function checkSampling(options, info, labels) {
  const onStep = checkFunction('onStep', options.onStep);
  const { preview = Boolean(onStep), state = false } = options;
  const entries = Object.keys(OPTIONS).map((name) => [name, checkOption(name, options, info, labels)]);
  const resolved = /** @type {Omit<ResolvedOptions, 'label' | 'labelName'>} */ (Object.fromEntries(entries));
  checkCombination(resolved, info);
  return {
    resolved,
    onStep,
    preview: checkBoolean('preview', preview),
    state: checkBoolean('state', state),
    trace: checkBoolean('trace', options.trace ?? false),
    signal: checkSignal('signal', options.signal),
  };
}

/** One picture's options, recipes apart. @param {Given} options @param {ModelInfo} info @param {ReadonlyArray<string>} labels */
function checkPicture(options, info, labels) {
  const shown = checkClass(options.label, checkMix(options.classMix ?? null, labels), labels);
  const { resolved, ...rest } = checkSampling(options, info, labels);
  return { resolved: { ...shown, ...resolved }, ...rest };
}

/** @param {unknown} options @param {ModelInfo} info @param {ReadonlyArray<string>} labels */
export function checkInvertOptions(options, info, labels) {
  checkKeys('options', options, [...INVERTING_KEYS, 'iterations']);
  const { iterations = 1, guidanceScale = options.guidanceWeight === undefined ? 1 : undefined, ...others } = options;
  checkPixels('image', options.image ?? undefined, info); // required
  const sampling = { ...others, guidanceScale, sampler: 'ddim', eta: 0, seed: 0, strength: 1 };
  return { ...checkPicture(sampling, info, labels), iterations: checkWhole('iterations', iterations, 1, MAX_INVERSION) };
}

/**
 * Options with those of their recipe, if they have one or are one.
 * @param {unknown} given @param {ReadonlyArray<string>} extraKeys @param {ModelInfo} info @param {ReadonlyArray<string>} labels
 */
function unfold(given, extraKeys, info, labels) {
  const options = isRecipe(given) ? { recipe: given } : given;
  checkKeys('options', options, [...SAMPLING_KEYS, ...extraKeys]);
  if (options.anyModel !== undefined) {
    checkBoolean('anyModel', options.anyModel);
    if (options.recipe === undefined) throw argumentError(TypeError, 'anyModel', 'is an option of recipes alone');
  }
  return withRecipe(options, info, labels, (recorded) => checkKeys('recipe', recorded, RECIPE_KEYS));
}

/** @param {unknown} given @param {ModelInfo} info @param {ReadonlyArray<string>} labels */
export function checkGenerateOptions(given, info, labels) {
  const { options, inputs } = unfold(given, [], info, labels);
  return { inputs, ...checkPicture(options, info, labels) };
}

/** @param {unknown} given @param {ModelInfo} info @param {ReadonlyArray<string>} labels */
export function checkGenerateManyOptions(given, info, labels) {
  const { options, inputs } = unfold(given, ['count'], info, labels);
  const list = Array.isArray(options.label) ? options.label : [options.label];
  if (list.length === 0) throw argumentError(RangeError, 'label', 'must name at least one class');
  const classMix = checkMix(options.classMix ?? null, labels);
  const chosen = list.map((label) => checkClass(label, classMix, labels));
  const count = checkWhole('count', options.count ?? 1, 1, 2 ** 32);
  const { resolved, ...rest } = checkSampling(options, info, labels);
  const counted = resolved.variationStrength > 0 ? 'variationSeed' : 'seed';
  const last = BigInt(resolved[counted] ?? 0) + BigInt(count) - 1n;
  warnOfRepetition(last);
  if (last > MAX_SEED) {
    throw argumentError(RangeError, counted, `the last of ${count} seeds would be over ${MAX_SEED}`);
  }
  return { chosen, count, resolved, inputs, ...rest };
}

/** Options that each picture of a batch may have of its own. */
const PICTURE_KEYS = ['label', 'seed', 'variationSeed'];

/** @param {unknown} given @param {ModelInfo} info @param {ReadonlyArray<string>} labels */
export function checkGenerateBatchOptions(given, info, labels) {
  const { options: { pictures, ...shared }, inputs } = unfold(given, ['pictures'], info, labels);
  if (!Array.isArray(pictures)) throw wrongType('pictures', 'an array', pictures);
  if (pictures.length < 1 || pictures.length > MAX_PICTURES) {
    throw argumentError(RangeError, 'pictures', `must be 1 to ${MAX_PICTURES}, not ${pictures.length}`);
  }
  const checked = pictures.map((own) => {
    checkKeys('pictures', own, PICTURE_KEYS);
    return checkPicture({ ...shared, ...own }, info, labels);
  });
  return { ...checked[0], inputs, all: checked.map(({ resolved }) => resolved) };
}

/**
 * @param {unknown} x @param {unknown} t @param {unknown} label @param {ModelInfo} info @param {ReadonlyArray<string>} labels
 * @returns {{ x: Float32Array, t: number, label: number | null }}
 */
export function checkPredictArguments(x, t, label, info, labels) {
  return { x: checkPlanes('x', x, info), t: checkWhole('t', t, 0, info.timesteps - 1), label: label === null ? null : checkLabel(label, labels) };
}

const LOAD_KEYS = [
  'signal', 'onProgress', 'wasm', 'relaxed', 'worker', 'workers', 'memoryBudget', 'stallTimeout', 'workerTimeout', 'sha256', 'fileBytes',
];

/** @param {unknown} value @returns {number | undefined} */
function checkBudget(value) {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw wrongType('memoryBudget', 'a number of bytes', value);
  if (!(value > 0)) throw argumentError(RangeError, 'memoryBudget', `must be above 0, not ${value}`);
  return value;
}

/** @param {unknown} source @param {unknown} options */
export function checkLoadArguments(source, options) {
  if (!isSource(source)) throw wrongType('source', 'a URL, a path, bytes or a Blob', source);
  checkAddress('source', source);
  checkKeys('options', options, LOAD_KEYS);
  const { relaxed, worker, workers } = options;
  if (relaxed !== undefined) checkBoolean('relaxed', relaxed);
  if (worker !== undefined) checkBoolean('worker', worker);
  if (workers !== undefined) {
    checkWhole('workers', workers, 0, MAX_WORKERS);
    if (worker !== undefined && worker !== workers > 0) {
      throw argumentError(RangeError, 'workers', `must not be ${workers} if worker is ${worker}`);
    }
  }
  return {
    signal: checkSignal('signal', options.signal),
    wasm: checkWasm(options.wasm),
    relaxed,
    wishes: {
      worker, workers, memoryBudget: checkBudget(options.memoryBudget),
      workerTimeout: checkTimeout('workerTimeout', options.workerTimeout, WORKER_TIMEOUT),
    },
    reading: {
      onProgress: checkFunction('onProgress', options.onProgress),
      stallTimeout: checkTimeout('stallTimeout', options.stallTimeout, STALL_TIMEOUT),
      sha256: checkHash(options.sha256),
      fileBytes: options.fileBytes === undefined ? undefined : checkWhole('fileBytes', options.fileBytes, 1, MAX_FILE_BYTES),
    },
  };
}

/** @param {unknown} source @param {unknown} options */
export function checkManifestArguments(source, options) {
  if (typeof source !== 'string' && !isURL(source)) throw wrongType('source', 'a URL or a path', source);
  checkAddress('source', source);
  checkKeys('options', options, ['signal', 'stallTimeout']);
  return {
    signal: checkSignal('signal', options.signal),
    stallTimeout: checkTimeout('stallTimeout', options.stallTimeout, STALL_TIMEOUT),
  };
}

/** @param {string} argument @param {unknown} value */
function checkAddress(argument, value) {
  if (value === '') throw argumentError(TypeError, argument, 'must not be empty');
  if (typeof value === 'string' && !isAddress(value)) throw wrongValue(argument, 'a URL', value);
}

/** Milliseconds, or Infinity. @param {string} argument @param {unknown} value @param {number} otherwise @returns {number} */
function checkTimeout(argument, value, otherwise) {
  if (value === undefined || value === Infinity) return value ?? otherwise;
  return checkWhole(argument, value, 1, MAX_TIMEOUT);
}

/** A hash in lower case. @param {unknown} value */
function checkHash(value) {
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw wrongType('sha256', 'a string of 64 hexadecimal digits', value);
  if (!/^[\da-f]{64}$/i.test(value)) throw wrongValue('sha256', '64 hexadecimal digits', value);
  return value.toLowerCase();
}

/** @param {unknown} wasm */
function checkWasm(wasm) {
  if (typeof wasm === 'string') checkAddress('wasm', wasm);
  else if (!(wasm === undefined || isURL(wasm) || isBytes(wasm) || isModule(wasm))) throw wrongType('wasm', 'a URL, bytes or a WebAssembly.Module', wasm);
  return wasm;
}

/** Sides that PNG encoding accepts (pd_png_encode). */
const MAX_PNG_SIDE = 8192;

/** @param {unknown} image @param {{ argument?: string, side?: number }} [most] its name, and the longest side */
export function checkImage(image, { argument = 'image', side = MAX_PNG_SIDE } = {}) {
  checkObject(argument, image);
  const width = checkWhole('width', image.width, 1, side);
  const height = checkWhole('height', image.height, 1, side);
  const channels = checkWhole('channels', image.channels, 1, 4);
  checkPixelArray('pixels', image.pixels, { width, height, channels });
  return { width, height, channels, pixels: image.pixels };
}

/** Images of one shape, at least one. @param {unknown} pictures */
export function checkPictures(pictures) {
  if (!Array.isArray(pictures)) throw wrongType('pictures', 'an array', pictures);
  if (pictures.length === 0) throw argumentError(RangeError, 'pictures', 'must hold at least one');
  const checked = pictures.map((image) => checkImage(image));
  /** @param {Shape} shape */
  const shapeOf = ({ width, height, channels }) => `${width} x ${height} x ${channels}`;
  const other = checked.findIndex((image) => shapeOf(image) !== shapeOf(checked[0]));
  if (other < 0) return checked;
  throw argumentError(RangeError, 'pictures', `number ${other} is ${shapeOf(checked[other])}, not ${shapeOf(checked[0])}`);
}

/** @param {unknown} options */
export function checkEncodeOptions(options) {
  checkKeys('options', options, ['wasm', 'recipe']);
  return { wasm: checkWasm(options.wasm), recipe: options.recipe === undefined ? null : checkRecipe(options.recipe) };
}

/** @param {unknown} options @param {number} largest scale @param {string} rendering */
export function checkPNGOptions(options, largest, rendering) {
  checkKeys('options', options, ['recipe', 'scale', 'transparent']);
  const { recipe = true, scale = 1, transparent = false } = options;
  if (transparent && rendering !== 'ink') throw argumentError(RangeError, 'transparent', `is for ink on paper; these pictures are "${rendering}"`);
  return {
    recipe: checkBoolean('recipe', recipe),
    scale: checkWhole('scale', scale, 1, largest),
    transparent: checkBoolean('transparent', transparent),
  };
}
