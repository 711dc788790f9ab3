// Where a model runs: in how many workers, as cores and memory allow.

/** Workers that a model may have unless the caller says otherwise: one per core, as long as the memory is no burden. */
const MOST_WORKERS = 4;

/** A tab of a telephone ends at 1 to 1.5 GB: browsers that do not tell their memory are taken for one of 4 GB. */
const UNKNOWN_GIGABYTES = 4;

/** Share of the device's memory that the workers of a model may take: the page around them needs some, and so do others. */
const SHARE = 0.2;

/**
 * @typedef {{ worker?: boolean, workers?: number, memoryBudget?: number, workerTimeout: number }} Wishes as in LoadOptions
 * @typedef {import('../index.d.ts').Placement} Placement
 */

/** 0 where there are no Workers or, as under Node.js, no DOM that must stay responsive. */
function workersByDefault() {
  if (typeof Worker !== 'function' || typeof document !== 'object') return 0;
  return Math.max(1, Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, MOST_WORKERS));
}

/** Workers that a model would have if memory did not matter; 0: this thread. @param {Wishes} wishes */
export const workersWanted = ({ worker, workers }) =>
  workers ?? (worker === false ? 0 : Math.max(Number(worker === true), workersByDefault()));

/** Bytes that the workers of a model may take together. @param {Wishes} wishes */
function budgetOf({ workers, memoryBudget }) {
  if (memoryBudget !== undefined) return memoryBudget;
  if (workers !== undefined || typeof document !== 'object') return Infinity; // a program knows what it does
  const { deviceMemory = UNKNOWN_GIGABYTES } = /** @type {{ deviceMemory?: number }} */ (globalThis.navigator ?? {});
  return SHARE * deviceMemory * 2 ** 30;
}

/**
 * One worker is always tried: only that tells whether there is room for it.
 * @param {Wishes} wishes
 * @param {number} wanted workers that there might be, 0: this thread
 * @param {number} workerBytes memory of one
 * @returns {Placement}
 */
export function place(wishes, wanted, workerBytes) {
  const memoryBudget = budgetOf(wishes);
  const workers = Math.min(wanted, Math.max(1, Math.floor(memoryBudget / workerBytes)));
  return Object.freeze({ workers, wanted, workerBytes, memoryBudget });
}
