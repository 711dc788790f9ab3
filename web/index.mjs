// Class-conditional image generation by diffusion with classifier-free guidance. Documented in index.d.ts.

import { abortable, follow } from './library/async.mjs';
import { PocketDiffusionError } from './library/errors.mjs';
import { ModelHost } from './library/host.mjs';
import { readVerified } from './library/integrity.mjs';
import { readManifestFile } from './library/manifest.mjs';
import { Model } from './library/model.mjs';
import { place, workersWanted } from './library/placement.mjs';
import { encode } from './library/png.mjs';
import { ModelPool } from './library/pool.mjs';
import { checkEncodeOptions, checkImage, checkLoadArguments, checkManifestArguments } from './library/validate.mjs';
import { version } from './library/version.mjs';
import { compile } from './wasm.mjs';

export { readRecipe } from './library/recipe_png.mjs';
export { PocketDiffusionError, version };

/**
 * Puts the model into workers, or into this thread: if the caller did not ask for workers, also where none can be made
 * or their script cannot be loaded, which is often known no sooner than they are to answer.
 * @param {import('./library/placement.mjs').Wishes} wishes
 * @param {Promise<[WebAssembly.Module, { bytes: Uint8Array, hash: Promise<string> }]>} downloads
 * @param {AbortSignal} signal
 * @returns {Promise<Model>}
 */
async function openModel(wishes, downloads, signal) {
  const wanted = workersWanted(wishes);
  const open = async (/** @type {ModelHost | ModelPool} */ host) => {
    try {
      const [module, { bytes, hash: digest }] = await downloads;
      const [description, hash] = await Promise.all([host.open(module, bytes, { signal }), digest]);
      signal.throwIfAborted();
      const placement = place(wishes, host instanceof ModelPool ? wanted : 0, description.instanceBytes);
      if (host instanceof ModelPool) host.limit(placement.workers);
      return new Model(host, description, module, hash, placement);
    } catch (error) {
      host.close();
      throw error;
    }
  };
  if (wanted === 0) return open(new ModelHost());
  try {
    return await open(await ModelPool.start(wanted, wishes.workerTimeout));
  } catch (error) {
    const withoutWorker = error instanceof PocketDiffusionError && error.code === 'WORKER';
    if (wishes.worker || wishes.workers || !withoutWorker) throw error;
    return open(new ModelHost());
  }
}

/** @type {typeof import('./index.d.ts').load} */
export async function load(source, options = {}) {
  const { signal: callerSignal, wasm, relaxed, wishes, reading } = checkLoadArguments(source, options);
  // Aborted by the caller, and by whichever of the two downloads fails first.
  const controller = new AbortController();
  const { signal } = controller;
  const stop = follow(controller, callerSignal);
  const work = async () => {
    signal.throwIfAborted();
    const downloads = Promise.all([
      compile(wasm, { relaxed, signal, stallTimeout: reading.stallTimeout }), readVerified(source, { signal, ...reading }),
    ]);
    downloads.catch(() => {}); // if no worker can be started, nobody waits for them
    return openModel(wishes, downloads, signal);
  };
  try {
    return await abortable(work(), signal);
  } catch (error) {
    controller.abort(error);
    throw error;
  } finally {
    stop();
  }
}

/** @type {typeof import('./index.d.ts').encodePNG} */
export async function encodePNG(image, options = {}) {
  const checked = checkImage(image);
  const { wasm, recipe } = checkEncodeOptions(options);
  return encode(checked, wasm, recipe);
}

/** @type {typeof import('./index.d.ts').readManifest} */
export async function readManifest(source, options = {}) {
  return readManifestFile(source, checkManifestArguments(source, options));
}
