// Messages between a page and its worker. Both sides look at every message and ignore what is not one of these:
//
//   page -> worker                                    worker -> page
//   open      { id, module, bytes }                   result  { id, value }
//   predict   { id, x, t, label, operation?,          failure { id, error }
//               length? }
//   graph     { id }
//   generate  { id, request, steps: boolean }         step    { id, events }
//   continue  { id }   the step was dealt with
//   abort     { id }   nobody waits for the answer
//   pause     { id }   others would take a part of it
//   ping      { id }                                  pong    { id }
//                                                     alive   { id, lock }   the worker holds the lock of that name
//
// `id` numbers the calls; `events` has one event for each picture of the run. A step is answered with `continue` or `abort` before the worker makes the next one.

import { PocketDiffusionError } from './errors.mjs';

const MARK = 'pocket-diffusion';
/** @param {unknown} value @returns {value is Record<string, any>} */
const isObject = (value) => typeof value === 'object' && value !== null;

/** @typedef {Record<string, (message: Record<string, any>) => boolean>} Table what each type of message must have */

/** @type {Table} */
const REQUESTS = {
  open: ({ module, bytes }) => module instanceof WebAssembly.Module && bytes instanceof Uint8Array,
  predict: ({ x, t, label, operation = 0, length = 0 }) => x instanceof Float32Array && [t, label ?? 0, operation, length].every(Number.isInteger),
  graph: () => true,
  generate: ({ request, steps }) => isObject(request) && Array.isArray(request.pictures) && typeof steps === 'boolean',
  continue: () => true,
  abort: () => true,
  pause: () => true,
  ping: () => true,
};

/** @type {Table} */
const REPLIES = {
  result: () => true,
  failure: ({ error }) => isObject(error) && typeof error.message === 'string',
  step: ({ events }) => Array.isArray(events) && events.every(isObject),
  pong: () => true,
  alive: ({ lock }) => typeof lock === 'string',
};

/** @param {Table} table @param {unknown} message */
const isOneOf = (table, message) =>
  isObject(message) && message.to === MARK && Number.isSafeInteger(message.id) &&
  Object.keys(table).includes(message.type) && table[message.type](message); // includes: a type may be what no name can be made of

/** @param {unknown} message @returns {message is Record<string, any>} */
export const isRequest = (message) => isOneOf(REQUESTS, message);
/** @param {unknown} message @returns {message is Record<string, any>} */
export const isReply = (message) => isOneOf(REPLIES, message);
/** @param {string} type @param {number} id @param {object} [fields] */
export const makeMessage = (type, id, fields) => ({ to: MARK, type, id, ...fields });

// Errors lose their class and their extra properties when they are posted.

/** @param {unknown} error */
export function packError(error) {
  /** @type {Partial<PocketDiffusionError> & Error} */
  const { name, message, code, status, offset } = error instanceof Error ? error : new Error(String(error));
  return { name, message, code, status, offset };
}

/** @param {Record<string, any>} error as packError made it, or as anybody did */
export function unpackError({ name, message, code, status, offset }) {
  if (typeof code === 'string') return new PocketDiffusionError(code, message, { status, offset });
  const ErrorType = name === 'TypeError' ? TypeError : name === 'RangeError' ? RangeError : Error;
  return new ErrorType(message);
}
