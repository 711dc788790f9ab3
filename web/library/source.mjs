// Where the bytes of a model come from.

import { watch } from './async.mjs';
import { PocketDiffusionError, argumentError, memoryError, messageOf, tooBigError } from './errors.mjs';
import { importBuiltin, isNode } from './platform.mjs';

/** Default of the option stallTimeout, in milliseconds. */
export const STALL_TIMEOUT = 30_000;

/** PD_MAX_FILE_BYTES: reading stops there, whatever a server goes on to send. */
export const MAX_FILE_BYTES = 256 * 2 ** 20;

// By tag, not instanceof: values may come from another frame or realm.
/** @param {unknown} value */
const tagOf = (value) => Object.prototype.toString.call(value).slice(8, -1);
/** @param {unknown} value @returns {value is ArrayBuffer | SharedArrayBuffer} */
const isBuffer = (value) => tagOf(value) === 'ArrayBuffer' || tagOf(value) === 'SharedArrayBuffer';
/** @param {unknown} value @returns {value is Blob} */
export const isBlob = (value) => tagOf(value) === 'Blob' || tagOf(value) === 'File';
/** @param {unknown} value @returns {value is ArrayBuffer | SharedArrayBuffer | ArrayBufferView} */
export const isBytes = (value) => ArrayBuffer.isView(value) || isBuffer(value);
/** @param {unknown} value @returns {value is WebAssembly.Module} */
export const isModule = (value) => tagOf(value) === 'WebAssembly.Module';
/** @param {unknown} value @returns {value is URL} */
export const isURL = (value) => tagOf(value) === 'URL';
/** @param {unknown} value @returns {value is import('../index.d.ts').ModelSource} */
export const isSource = (value) => typeof value === 'string' || isURL(value) || isBytes(value) || isBlob(value);

/** A URL if the string is one, else null. A single letter before the colon is a drive, not a scheme. @param {string} text */
export const parseURL = (text) => (/^[a-z][a-z0-9+.-]+:/i.test(text) ? new URL(text) : null);

const baseAddress = () => globalThis.document?.baseURI ?? globalThis.location?.href;

/** Whether a string can be a path or a URL at all: 'https://' cannot. @param {string} text */
export function isAddress(text) {
  try {
    if (isNode()) parseURL(text);
    else new URL(text, baseAddress());
    return text !== '';
  } catch {
    return false;
  }
}

/**
 * A string as a URL: relative to the page, under Node.js a path unless it has a scheme.
 * @param {string | URL} text @returns {Promise<URL>}
 */
export async function locate(text) {
  if (isURL(text)) return text;
  if (!isNode()) return new URL(text, baseAddress());
  const { pathToFileURL } = await importBuiltin('url');
  return parseURL(text) ?? pathToFileURL(text);
}

/** @param {number} limit */
const tooManyBytes = (limit) => tooBigError(`the file has more than ${limit} bytes`);

/** @param {number} length */
function allocate(length) {
  try {
    return new Uint8Array(length);
  } catch (error) {
    throw memoryError(`no memory for ${length} bytes`, error);
  }
}

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
  const { byteLength } = value;
  const byteOffset = ArrayBuffer.isView(value) ? value.byteOffset : 0;
  if (byteLength > MAX_FILE_BYTES) throw tooManyBytes(MAX_FILE_BYTES);
  const copy = allocate(byteLength);
  copy.set(whole.subarray(byteOffset, byteOffset + byteLength));
  return copy;
}

/** Browsers do not say why they refuse a request: a guess at the commonest reason. @param {string | URL} url */
function hint(url) {
  const page = globalThis.location?.origin;
  const { origin } = new URL(url, baseAddress());
  return page && origin !== page ? ` (${origin} must allow ${page} by CORS)` : '';
}

/** What fetch of Node.js says is in the cause of its error. @param {any} error */
const reasonOf = (error) => error?.cause?.message || messageOf(error);

/**
 * A response with an ok status, or an error with code NETWORK.
 * @param {string | URL} url @param {RequestInit & { signal: AbortSignal }} init
 */
async function fetchResponse(url, init) {
  let response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    init.signal.throwIfAborted();
    const reason = `${reasonOf(error)}${isNode() ? '' : hint(url)}`;
    throw new PocketDiffusionError('NETWORK', `cannot fetch ${url}: ${reason}`, { cause: error });
  }
  if (response.ok) return response;
  response.body?.cancel().catch(() => {});
  const status = `${response.status} ${response.statusText}`.trim();
  throw new PocketDiffusionError('NETWORK', `cannot fetch ${url}: HTTP status ${status}`);
}

/** Not every browser can iterate over a ReadableStream. @param {ReadableStream<Uint8Array>} stream */
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

/** @param {Uint8Array} bytes @param {number} length */
function enlarge(bytes, length) {
  const larger = allocate(length);
  larger.set(bytes);
  return larger;
}

/**
 * @typedef {object} ReadOptions
 * @property {AbortSignal} [signal]
 * @property {(progress: { loaded: number, total: number }) => void} [onProgress]
 * @property {number} stallTimeout milliseconds in which at least one byte must come
 * @property {number} [limit] most bytes; default MAX_FILE_BYTES
 * @property {RequestCache} [cache]
 */

/**
 * @param {AsyncIterable<Uint8Array>} chunks
 * @param {number} total bytes that are expected, 0 if unknown
 * @param {Pick<ReadOptions, 'signal' | 'onProgress' | 'limit'>} options
 * @param {(error: any) => unknown} wrap makes the error to throw from one of `chunks`
 */
async function collect(chunks, total, { signal, onProgress, limit = MAX_FILE_BYTES }, wrap) {
  if (total > limit) throw tooManyBytes(limit);
  let bytes = allocate(total); // grows if the length is unknown or wrong
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
      if (loaded + value.length > limit) throw tooManyBytes(limit);
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

/**
 * The body of a response, with errors of code NETWORK.
 * @param {Response} response @param {string | URL} url @param {Pick<ReadOptions, 'signal' | 'onProgress' | 'limit'>} options
 */
async function readBody(response, url, options) {
  if (!response.body) return new Uint8Array(0);
  // With a content encoding the length counts compressed bytes.
  const header = response.headers.get('content-encoding') ? '' : response.headers.get('content-length') ?? '';
  const total = /^\d+$/.test(header) ? Number(header) : 0;
  /** @param {string} detail @param {unknown} [cause] */
  const broken = (detail, cause) =>
    new PocketDiffusionError('NETWORK', `the download of ${url} broke off: ${detail}`, { cause });
  const bytes = await collect(chunksOf(response.body), total, options, (error) =>
    broken(reasonOf(error), error));
  if (bytes.length < total) throw broken(`${bytes.length} of ${total} bytes came`);
  return bytes;
}

/**
 * use(response, read) with a response whose body read(response) reads to the end; both are ended when nothing comes for
 * a while. `use` may read a clone, too.
 * @template T
 * @param {string | URL} url @param {ReadOptions} options
 * @param {(response: Response, read: (response: Response) => Promise<Uint8Array>) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function download(url, { stallTimeout, cache, signal, onProgress, limit }, use) {
  const stalled = () =>
    new PocketDiffusionError('NETWORK', `the download of ${url} has stalled: no byte for ${stallTimeout / 1000} seconds`);
  const guard = watch(signal, stallTimeout, stalled);
  /** @param {{ loaded: number, total: number }} progress */
  const onChunk = (progress) => {
    guard.alive();
    onProgress?.(progress);
  };
  try {
    const response = await fetchResponse(url, { signal: guard.signal, cache });
    guard.alive();
    return await use(response, (body) => readBody(body, url, { signal: guard.signal, onProgress: onChunk, limit }));
  } catch (error) {
    guard.signal.throwIfAborted(); // other errors follow from that one
    throw error;
  } finally {
    guard.end();
  }
}

/** @param {string | URL} url @param {ReadOptions} options */
const readURL = (url, options) => download(url, options, (response, read) => read(response));

/** @param {string | URL} path @param {ReadOptions} options */
async function readFile(path, options) {
  const { open } = await importBuiltin('fs/promises');
  /** @param {any} error */
  const failed = (error) => new PocketDiffusionError('FILE', `cannot read ${path}: ${error.message}`, { cause: error });
  const file = await open(path).catch((/** @type {unknown} */ error) => {
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
 * @param {import('../index.d.ts').ModelSource} source
 * @param {ReadOptions} options
 * @returns {Promise<Uint8Array>} bytes that belong to the caller alone
 */
export async function readSource(source, options) {
  if (isBytes(source)) {
    const bytes = copyBytes(source, 'source');
    options.onProgress?.({ loaded: bytes.length, total: bytes.length });
    return bytes;
  }
  if (isBlob(source)) {
    /** @param {any} error */
    const failed = (error) => new PocketDiffusionError('FILE', `cannot read the Blob: ${error.message}`, { cause: error });
    if (source.size > (options.limit ?? MAX_FILE_BYTES)) throw tooManyBytes(options.limit ?? MAX_FILE_BYTES);
    // As a whole: the pieces of a stream would take as much memory again until they are collected.
    const buffer = await source.arrayBuffer().catch((/** @type {any} */ error) => { throw failed(error); });
    options.signal?.throwIfAborted();
    options.onProgress?.({ loaded: source.size, total: source.size });
    return new Uint8Array(buffer);
  }
  if (!isNode()) return readURL(source, options);
  const url = typeof source === 'string' ? parseURL(source) : source;
  if (!url) return readFile(source, options);
  return url.protocol === 'file:' ? readFile(url, options) : readURL(url, options);
}
