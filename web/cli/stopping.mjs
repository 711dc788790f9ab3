// A signal stops what is under way; a second one ends the program.

import { constants } from 'node:os';

export const stop = new AbortController();
/** @type {NodeJS.Signals | null} */
let by = null;

/** The signal that has stopped the program, or null. */
export const stoppedBy = () => by;

for (const name of /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(name, () => {
    if (by) process.exit(128 + constants.signals[name]); // asked twice
    by = name;
    stop.abort(new Error(`stopped by ${name}`));
  });
}
