/**
 * pocket-diffusion and pocket-diffusion/element in one script that holds its worker and its WebAssembly module, for
 * bundlers that know nothing of either. A Content-Security-Policy has to allow worker-src blob: and connect-src data:.
 * It holds the strict module alone: `relaxed` changes nothing.
 */
export * from './index.js';
export * from './element.js';
