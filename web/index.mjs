// Class-conditional image generation by diffusion with classifier-free guidance. Documented in index.d.ts.

import { abortable, follow } from './async.mjs';
import { ModelClient, createWorker, workerByDefault } from './client.mjs';
import { PocketDiffusionError } from './errors.mjs';
import { ModelHost } from './host.mjs';
import { Model } from './model.mjs';
import { encode } from './png.mjs';
import { readSource } from './source.mjs';
import { checkEncodeOptions, checkImage, checkLoadArguments } from './validate.mjs';
import { compile } from './wasm.mjs';

export { PocketDiffusionError };

export const version = '0.1.0';

/** Lower-case hex, '' on pages without crypto.subtle (those that were not served over HTTPS or from localhost). */
async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) return '';
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A worker, or null where the model runs in this thread. */
function startWorker(wanted) {
  if (!(wanted ?? workerByDefault())) return null;
  try {
    return createWorker();
  } catch (error) {
    if (wanted === undefined) return null;
    throw new PocketDiffusionError('WORKER', `no worker can be started: ${error.message}`, { cause: error });
  }
}

async function open(module, bytes, worker, signal) {
  const thread = startWorker(worker);
  return thread ? ModelClient.open(thread, module, bytes, { signal }) : ModelHost.open(module, bytes);
}

export async function load(source, options = {}) {
  const { signal: callerSignal, onProgress, wasm, worker } = checkLoadArguments(source, options);
  // Aborted by the caller, and by whichever of the two downloads fails first.
  const controller = new AbortController();
  const { signal } = controller;
  const stop = follow(controller, callerSignal);
  const work = async () => {
    signal.throwIfAborted();
    const [module, bytes] = await Promise.all([compile(wasm, signal), readSource(source, { signal, onProgress })]);
    const hash = await sha256(bytes);
    signal.throwIfAborted();
    const opened = await open(module, bytes, worker, signal);
    if (signal.aborted) opened.host.close();
    return new Model(opened, module, hash);
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

export async function encodePNG(image, options = {}) {
  const checked = checkImage(image);
  return encode(checked, checkEncodeOptions(options).wasm);
}
