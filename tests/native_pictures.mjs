// The pictures of picture_requests.json as the native program makes them: what every other engine must equal.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

export const modelPath = path('../weights/doodles.gguf');
export const requests = JSON.parse(readFileSync(path('picture_requests.json'), 'utf8'));
export const pixelHash = (pixels) => createHash('sha256').update(pixels).digest('hex');

/** SHA-256 of the pixels of each request, computed by the program of build folder `build` (native, debug). */
export function nativeHashes(build = 'native', asked = requests) {
  const sampler = { ddim: 0, ddpm: 1, 'dpmpp-2m': 2, 'dpmpp-2m-sde': 3, euler: 4, 'euler-ancestral': 5, heun: 6, unipc: 7 };
  const lines = asked.map((r) => [r.label, r.seed, r.guidanceScale, sampler[r.sampler], r.steps, r.eta].join(' '));
  const pixels = execFileSync(path(`../build/${build}/tests/native_pictures`), [modelPath], { input: `${lines.join('\n')}\n` });
  const size = pixels.length / asked.length;
  return asked.map((_, index) => pixelHash(pixels.subarray(index * size, (index + 1) * size)));
}
