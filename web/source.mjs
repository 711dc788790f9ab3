// Where the bytes of a model come from.

import { PocketDiffusionError, argumentError, tooBigError } from './errors.mjs';

/** PD_MAX_FILE_BYTES: reading stops there, whatever a server goes on to send. */
const MAX_FILE_BYTES = 256 * 2 ** 20;

export const isNode = () => typeof process === 'object' && typeof process?.versions?.node === 'string';

// By tag, not instanceof: values may come from another frame or realm.
const tagOf = (value) => Object.prototype.toString.call(value).slice(8, -1);
const isBuffer = (value) => tagOf(value) === 'ArrayBuffer' || tagOf(value) === 'SharedArrayBuffer';
export const isBytes = (value) => ArrayBuffer.isView(value) || isBuffer(value);
export const isURL = (value) => tagOf(value) === 'URL';
export const isBlob = (value) => tagOf(value) === 'Blob' || tagOf(value) === 'File';

/**
 * A copy that nobody else can change, shrink or detach.
 * @param {ArrayBuffer | SharedArrayBuffer | ArrayBufferView} value @param {string} argument its name
 * @returns {Uint8Array}
 */
export function copyBytes(value, argument) {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
  let whole;
  try {
    whole = new Uint8Array(buffer);
  } catch {
    throw argumentError(TypeError, argument, 'the ArrayBuffer is detached');
  }
  const { byteOffset = 0, byteLength } = value;
  if (byteLength > MAX_FILE_BYTES) throw tooBigError(`${byteLength} bytes, at most ${MAX_FILE_BYTES} are accepted`);
  const copy = new Uint8Array(byteLength);
  copy.set(whole.subarray(byteOffset, byteOffset + byteLength));
  return copy;
}

/** A response with an ok status, or an error with code NETWORK. */
export async function fetchResponse(url, signal) {
  let response;
  try {
    response = await fetch(url, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    const detail = error.cause?.message || error.message;
    throw new PocketDiffusionError('NETWORK', `cannot fetch ${url}: ${detail}`, { cause: error });
  }
  if (response.ok) return response;
  response.body?.cancel().catch(() => {});
  const status = `${response.status} ${response.statusText}`.trim();
  throw new PocketDiffusionError('NETWORK', `cannot fetch ${url}: HTTP status ${status}`);
}

async function* chunksOf(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @param {AsyncIterable<Uint8Array>} chunks @param {number} total 0 if unknown */
async function collect(chunks, total, onProgress) {
  const parts = [];
  let loaded = 0;
  for await (const chunk of chunks) {
    loaded += chunk.length;
    if (loaded > MAX_FILE_BYTES) throw tooBigError(`more than ${MAX_FILE_BYTES} bytes`);
    parts.push(chunk);
    onProgress?.({ loaded, total: Math.max(total, total && loaded) });
  }
  const bytes = new Uint8Array(loaded);
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}

async function readURL(url, { signal, onProgress }) {
  const response = await fetchResponse(url, signal);
  // With a content encoding the length counts compressed bytes.
  const header = response.headers.get('content-encoding') ? null : response.headers.get('content-length');
  const total = /^\d+$/.test(header ?? '') ? Number(header) : 0;
  if (!response.body) return new Uint8Array(0);
  let bytes;
  let callbackFailure;
  const report = onProgress && ((progress) => {
    try {
      onProgress(progress);
    } catch (error) {
      callbackFailure = { error };
      throw error;
    }
  });
  try {
    bytes = await collect(chunksOf(response.body), total, report);
  } catch (error) {
    if (callbackFailure) throw callbackFailure.error;
    signal?.throwIfAborted();
    if (error instanceof PocketDiffusionError) throw error;
    const detail = error.cause?.message || error.message;
    throw new PocketDiffusionError('NETWORK', `the download of ${url} broke off: ${detail}`, { cause: error });
  }
  if (total > 0 && bytes.length < total) {
    throw new PocketDiffusionError('NETWORK', `the download of ${url} broke off after ${bytes.length} of ${total} bytes`);
  }
  return bytes;
}

async function readFile(path, { signal, onProgress }) {
  const { open } = await import(/* webpackIgnore: true */ /* @vite-ignore */ 'node:fs/promises');
  let file;
  try {
    file = await open(path);
    const { size } = await file.stat();
    const stream = file.createReadStream({ signal, highWaterMark: 2 ** 20 });
    return await collect(stream, size, onProgress);
  } catch (error) {
    signal?.throwIfAborted();
    if (!error.syscall) throw error; // not of the file system: TOO_BIG, or thrown by onProgress
    throw new PocketDiffusionError('FILE', `cannot read ${path}: ${error.message}`, { cause: error });
  } finally {
    await file?.close().catch(() => {});
  }
}

/** A URL if the string is one, else null. A single letter before the colon is a drive, not a scheme. */
function parseURL(text) {
  return /^[a-z][a-z0-9+.-]+:/i.test(text) ? new URL(text) : null;
}

/**
 * @param {import('./index.d.ts').ModelSource} source
 * @param {{ signal?: AbortSignal, onProgress?: (progress: { loaded: number, total: number }) => void }} [options]
 * @returns {Promise<Uint8Array>} bytes that belong to the caller alone
 */
export async function readSource(source, options = {}) {
  if (isBytes(source)) {
    const bytes = copyBytes(source, 'source');
    options.onProgress?.({ loaded: bytes.length, total: bytes.length });
    return bytes;
  }
  if (isBlob(source)) {
    if (source.size > MAX_FILE_BYTES) throw tooBigError(`${source.size} bytes, at most ${MAX_FILE_BYTES} are accepted`);
    return collect(chunksOf(source.stream()), source.size, options.onProgress);
  }
  if (typeof source !== 'string' && !isURL(source)) {
    throw argumentError(TypeError, 'source', 'neither a URL, nor a path, nor bytes, nor a Blob');
  }
  if (source === '') throw argumentError(TypeError, 'source', 'empty string');
  if (!isNode()) return readURL(source, options);
  const url = typeof source === 'string' ? parseURL(source) : source;
  if (!url) return readFile(source, options);
  return url.protocol === 'file:' ? readFile(url, options) : readURL(url, options);
}
