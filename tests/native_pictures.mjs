// The pictures of picture_requests.json as the native program makes them: what every other engine must equal.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { OPTIONS, fieldOf } from '../web/library/options.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const program = (build) => path(`../build/${build}/tests/native_pictures`);

export const modelPath = path('../weights/doodles.gguf');
/** The models of the requests by name. */
export const modelPaths = {
  doodles: modelPath, digits: path('../weights/digits.gguf'), tiny: path('golden/tiny.gguf'), tiny_colour: path('golden/tiny_colour.gguf'),
  tiny_guided: path('golden/tiny_guided.gguf'),
};
export const pixelHash = (pixels) => createHash('sha256').update(pixels).digest('hex');
export const isBuilt = (build) => existsSync(program(build));

/**
 * Model and options of generate() of each request. Seeds that a number cannot hold are strings of digits.
 * @type {Array<{ model: keyof typeof modelPaths, steps: number } & Record<string, unknown>>}
 */
export const requests = JSON.parse(readFileSync(path('picture_requests.json'), 'utf8'));

/**
 * The options of a request for generate(). `image` and `mask` ask for those of native_pictures.c, `mixLabel` and `mixWeight`
 * for a mixture. Runs in pages, too: it must not use anything of this module.
 */
export function optionsOf({ model: _model, image, mask, mixLabel, mixWeight, label, ...options }, { width, height, channels }) {
  const make = (planes, value) => ({ width, height, pixels: Uint8Array.from({ length: width * height * planes }, (_, place) => value(place)) });
  return {
    ...options,
    ...(mixLabel === undefined ? { label } : { classMix: [{ label, weight: 1 }, { label: mixLabel, weight: mixWeight }] }),
    ...(image && { image: make(channels, (place) => (place * 37) % 256) }),
    ...(mask && { mask: make(1, (place) => (place < width * height / 2 ? 255 : 0)) }),
    ...(typeof options.seed === 'string' && { seed: BigInt(options.seed) }),
  };
}

/** An option of generate() as fields of pd_options. */
const FIELDS = {
  label: 'label', seed: 'seed', mixLabel: 'mix_label', mixWeight: 'mix_weight', image: ['image', Number], mask: ['mask', Number],
  variationSeed: 'variation_seed',
  ...Object.fromEntries(Object.entries(OPTIONS).filter(([name]) => fieldOf(name)).map(([name, { choices }]) =>
    [name, [fieldOf(name), choices ? (value) => choices.indexOf(value) : Number]])),
};

function lineOf({ model: _model, guidanceInterval, ...options }) {
  const words = Object.entries(options).map(([name, value]) => {
    const [field, convert = String] = [FIELDS[name]].flat();
    return `${field}=${convert(value)}`;
  });
  if (guidanceInterval) words.push(`guidance_first=${guidanceInterval[0]}`, `guidance_last=${guidanceInterval[1]}`);
  return words.join(' ');
}

/** SHA-256 of the pixels of each request, computed by the program of build folder `build` (native, debug, ...). */
export function nativeHashes(build = 'native', asked = requests) {
  const hashes = new Map();
  for (const [name, file] of Object.entries(modelPaths)) {
    const mine = asked.filter(({ model = 'doodles' }) => model === name);
    if (mine.length === 0) continue;
    const pixels = execFileSync(program(build), [file], { input: `${mine.map(lineOf).join('\n')}\n` });
    const size = pixels.length / mine.length;
    mine.forEach((request, place) => hashes.set(request, pixelHash(pixels.subarray(place * size, (place + 1) * size))));
  }
  return asked.map((request) => hashes.get(request));
}
