/** Errors of the core and of loading; wrong arguments are TypeError or RangeError instead. */
export class PocketDiffusionError extends Error {
  /**
   * @param {string} code stable upper-case name
   * @param {string} message one line
   * @param {{ status?: number, offset?: number, cause?: unknown }} [details]
   */
  constructor(code, message, { status = -1, offset = -1, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'PocketDiffusionError';
    this.code = code;
    this.status = status;
    this.offset = offset;
  }
}

// Statuses of the core that are also found out in JavaScript, with their numbers in pocket_diffusion.h.
/** @param {string} message @param {unknown} cause */
export const memoryError = (message, cause) => new PocketDiffusionError('MEMORY', message, { status: 30, cause });
/** @param {string} message */
export const tooBigError = (message) => new PocketDiffusionError('TOO_BIG', message, { status: 5 });
export const closedError = () => new PocketDiffusionError('CLOSED', 'the model was closed', { status: 28 });

/**
 * The TypeError or RangeError of a wrong argument; its `argument` property names the argument.
 * @param {TypeErrorConstructor | RangeErrorConstructor} ErrorType @param {string} argument @param {string} message
 */
export function argumentError(ErrorType, argument, message) {
  return Object.assign(new ErrorType(`${argument}: ${message}`), { argument });
}

/** What an error says, whatever was thrown. @param {any} error */
export const messageOf = (error) => String(error?.message ?? error);

/**
 * A value in an error message: short, and on one line.
 * @param {unknown} value
 */
export function show(value) {
  if (typeof value === 'bigint') return `${value}n`.slice(0, 40);
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (value === null || ['number', 'boolean', 'undefined'].includes(typeof value)) return String(value);
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}
