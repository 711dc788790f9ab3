// Where the bytes of a model come from.

import { PocketDiffusionError, argumentError, tooBigError } from './errors.mjs';
import { importBuiltin, isNode } from './platform.mjs';

/** PD_MAX_FILE_BYTES: reading stops there, whatever a server goes on to send. */
const MAX_FILE_BYTES = 256 * 2 ** 20;

// By tag, not instanceof: values may come from another frame or realm.
const tagOf = (value) => Object.prototype.toString.call(value).slice(8, -1);
const isBuffer = (value) => tagOf(value) === 'ArrayBuffer' || tagOf(value) === 'SharedArrayBuffer';
const isBlob = (value) => tagOf(value) === 'Blob' || tagOf(value) === 'File';
export const isBytes = (value) => ArrayBuffer.isView(value) || isBuffer(value);
export const isModule = (value) => tagOf(value) === 'WebAssembly.Module';
export const isURL = (value) => tagOf(value) === 'URL';
export const isSource = (value) => typeof value === 'string' || isURL(value) || isBytes(value) || isBlob(value);

/** A URL if the string is one, else null. A single letter before the colon is a drive, not a scheme. */
export const parseURL = (text) => (/^[a-z][a-z0-9+.-]+:/i.test(text) ? new URL(text) : null);

const tooManyBytes = () => tooBigError(`the file has more than ${MAX_FILE_BYTES} bytes`);

/**
 * A copy that nobody else can change, shrink or detach.
 * @param {ArrayBuffer | SharedArrayBuffer | ArrayBufferView} value @param {string} argument its name
 * @returns {Uint8Array}
 */
export function copyBytes(value, argument) {
  let whole;
  try {
    whole = new Uint8Array(ArrayBuffer.isView(value) ? value.buffer : value);
  } catch {
    throw argumentError(TypeError, argument, 'the ArrayBuffer is detached');
  }
  const { byteOffset = 0, byteLength } = value;
  if (byteLength > MAX_FILE_BYTES) throw tooManyBytes();
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
    throw new PocketDiffusionError('NETWORK', `cannot fetch ${url}: ${error.cause?.message || error.message}`, { cause: error });
  }
  if (response.ok) return response;
  response.body?.cancel().catch(() => {});
  const status = `${response.status} ${response.statusText}`.trim();
  throw new PocketDiffusionError('NETWORK', `cannot fetch ${url}: HTTP status ${status}`);
}

/** Not every browser can iterate over a ReadableStream. */
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

function enlarge(bytes, length) {
  const larger = new Uint8Array(length);
  larger.set(bytes);
  return larger;
}

/**
 * @param {AsyncIterable<Uint8Array>} chunks
 * @param {number} total bytes that are expected, 0 if unknown
 * @param {(error: Error) => unknown} wrap makes the error to throw from one of `chunks`
 */
async function collect(chunks, total, { signal, onProgress }, wrap) {
  if (total > MAX_FILE_BYTES) throw tooManyBytes();
  let bytes = new Uint8Array(total); // grows if the length is unknown or wrong
  let loaded = 0;
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await iterator.next().catch((error) => {
        signal?.throwIfAborted();
        throw wrap(error);
      });
      signal?.throwIfAborted();
      if (done) break;
      if (loaded + value.length > MAX_FILE_BYTES) throw tooManyBytes();
      if (loaded + value.length > bytes.length) bytes = enlarge(bytes, Math.max(2 * loaded, loaded + value.length));
      bytes.set(value, loaded);
      loaded += value.length;
      onProgress?.({ loaded, total: total && Math.max(total, loaded) });
    }
  } finally {
    await iterator.return?.();
  }
  return loaded === bytes.length ? bytes : bytes.slice(0, loaded);
}

async function readURL(url, options) {
  const response = await fetchResponse(url, options.signal);
  if (!response.body) return new Uint8Array(0);
  // With a content encoding the length counts compressed bytes.
  const header = response.headers.get('content-encoding') ? '' : response.headers.get('content-length') ?? '';
  const total = /^\d+$/.test(header) ? Number(header) : 0;
  const broken = (detail, cause) =>
    new PocketDiffusionError('NETWORK', `the download of ${url} broke off: ${detail}`, { cause });
  const bytes = await collect(chunksOf(response.body), total, options, (error) =>
    broken(error.cause?.message || error.message, error));
  if (bytes.length < total) throw broken(`${bytes.length} of ${total} bytes came`);
  return bytes;
}

async function readFile(path, options) {
  const { open } = await importBuiltin('fs/promises');
  const failed = (error) => new PocketDiffusionError('FILE', `cannot read ${path}: ${error.message}`, { cause: error });
  const file = await open(path).catch((error) => {
    throw failed(error);
  });
  try {
    const { size } = await file.stat();
    const stream = file.createReadStream({ signal: options.signal, highWaterMark: 2 ** 20 });
    return await collect(stream, size, options, failed);
  } finally {
    await file.close().catch(() => {});
  }
}

/**
 * @param {import('./index.d.ts').ModelSource} source
 * @param {{ signal?: AbortSignal, onProgress?: (progress: { loaded: number, total: number }) => void }} options
 * @returns {Promise<Uint8Array>} bytes that belong to the caller alone
 */
export async function readSource(source, options) {
  if (isBytes(source)) {
    const bytes = copyBytes(source, 'source');
    options.onProgress?.({ loaded: bytes.length, total: bytes.length });
    return bytes;
  }
  if (isBlob(source)) {
    const failed = (error) => new PocketDiffusionError('FILE', `cannot read the Blob: ${error.message}`, { cause: error });
    return collect(chunksOf(source.stream()), source.size, options, failed);
  }
  if (!isNode()) return readURL(source, options);
  const url = typeof source === 'string' ? parseURL(source) : source;
  if (!url) return readFile(source, options);
  return url.protocol === 'file:' ? readFile(url, options) : readURL(url, options);
}
