export const isNode = () => typeof process === 'object' && typeof process?.versions?.node === 'string';

/**
 * A module that comes with Node.js. No bundler sees which, so none looks for it while it makes something for browsers.
 * @param {string} name without "node:"
 */
// eslint-disable-next-line no-unsanitized/method, no-restricted-syntax -- the callers name constants
export const importBuiltin = (name) => import(/* webpackIgnore: true */ /* @vite-ignore */ `node:${name}`);
