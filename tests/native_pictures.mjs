// The pictures of picture_requests.json as the native program makes them: what every other engine must equal.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

export const modelPath = path('../weights/doodles.gguf');
export const requests = JSON.parse(readFileSync(path('picture_requests.json'), 'utf8'));
export const pixelHash = (pixels) => createHash('sha256').update(pixels).digest('hex');

const WIDTH = 32;
/** make_image and make_mask of native_pictures.c for the model's size. */
const image = { width: WIDTH, height: WIDTH, pixels: Uint8Array.from({ length: WIDTH ** 2 }, (_, index) => (index * 37) % 256) };
const mask = { width: WIDTH, height: WIDTH, pixels: Uint8Array.from({ length: WIDTH ** 2 }, (_, index) => (index < WIDTH ** 2 / 2 ? 255 : 0)) };
const mixOf = (label, other, weight) => [{ label, weight: 1 }, { label: other, weight }];
const common = { guidanceScale: 3, sampler: 'ddim', steps: 7, eta: 0 };
/** Requests of every kind of editing. */
export const editingRequests = [
  { ...common, label: 0, seed: 1, image, strength: 0.5 },
  { ...common, label: 1, seed: 2, image, strength: 1, sampler: 'unipc' },
  { ...common, label: 2, seed: 3, image, mask, strength: 1 },
  { ...common, label: 3, seed: 4, image, mask, strength: 0.8, resample: 3, sampler: 'ddpm' },
  { ...common, label: 4, seed: 5, variationSeed: 6, variationStrength: 0.3 },
  { ...common, classMix: mixOf(5, 6, 0.4), seed: 7, mixMode: 'embedding' },
  { ...common, classMix: mixOf(7, 8, 2), seed: 8, mixMode: 'prediction' },
];

/** SHA-256 of the pixels of each request, computed by the program of build folder `build` (native, debug). */
export function nativeHashes(build = 'native', asked = requests) {
  const sampler = { ddim: 0, ddpm: 1, 'dpmpp-2m': 2, 'dpmpp-2m-sde': 3, euler: 4, 'euler-ancestral': 5, heun: 6, unipc: 7 };
  const mode = { embedding: 0, prediction: 1 };
  const lines = asked.map((r) => {
    const [first, other = { label: 0, weight: 0 }] = r.classMix ?? [{ label: r.label }];
    return [
      first.label, r.seed, r.guidanceScale, sampler[r.sampler], r.steps, r.eta, r.image ? 1 : 0, r.mask ? 1 : 0, r.strength ?? 1,
      r.resample ?? 1, r.variationSeed ?? 0, r.variationStrength ?? 0, other.label, mode[r.mixMode ?? 'embedding'], other.weight,
    ].join(' ');
  });
  const pixels = execFileSync(path(`../build/${build}/tests/native_pictures`), [modelPath], { input: `${lines.join('\n')}\n` });
  const size = pixels.length / asked.length;
  return asked.map((_, index) => pixelHash(pixels.subarray(index * size, (index + 1) * size)));
}
