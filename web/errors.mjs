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
export const tooBigError = (message) => new PocketDiffusionError('TOO_BIG', message, { status: 5 });
export const closedError = () => new PocketDiffusionError('CLOSED', 'the model was closed', { status: 28 });

/** The TypeError or RangeError of a wrong argument; its `argument` property names the argument. */
export function argumentError(ErrorType, argument, message) {
  const error = new ErrorType(`${argument}: ${message}`);
  error.argument = argument;
  return error;
}

/** A value in an error message: short, and on one line. */
export function show(value) {
  if (typeof value === 'bigint') return `${value}n`.slice(0, 40);
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (value === null || ['number', 'boolean', 'undefined'].includes(typeof value)) return String(value);
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}
