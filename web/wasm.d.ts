import type { LoadOptions } from './index.js';

/**
 * The compiled WebAssembly module, for LoadOptions.wasm: to hand it to workers, say, or to fetch it ahead of the first
 * model. Compiled once for each address; a failure (PocketDiffusionError WASM, NETWORK or UNSUPPORTED) is not kept. The
 * file itself is the export pocket-diffusion/pocket-diffusion.wasm.
 */
export function compile(
  wasm?: LoadOptions['wasm'],
  options?: Pick<LoadOptions, 'relaxed' | 'signal' | 'stallTimeout'>,
): Promise<WebAssembly.Module>;
