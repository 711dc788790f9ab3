// Many pictures spread over workers in batches, and handed out in order.
//
// The pictures of a batch share one network call, which reads the weights once for all of them. Against that, they
// all arrive at its end, and nobody can interrupt a step. So the first batch is a single picture, which comes as soon as
// it can and shows how long a step takes; the next ones are as large as keeps a step short.
//
// At the end there is work for some workers only. A worker that finds none gets half of the pictures of another one's
// batch, unfinished as they are: the batch stops between two steps, and is continued as two. So all workers finish at
// about the same time, whatever the number of pictures, and whichever of them is slow. This takes two pictures in the
// hands of one worker, which therefore makes the last ones in turns where a step of two would be too long.

/** Larger batches gain nothing more. */
const MAX_BATCH = 4;

/** Milliseconds; events and aborts are served between steps. */
const LONGEST_STEP = 50;

/** Pictures by which the estimate of what is left may be wrong. */
const SLACK = 0.25;

/** Finished pictures that may wait for a slow reader, per worker. */
const MAX_WAITING = 2 * MAX_BATCH;

/**
 * How many pictures a step may have, when one with `size` pictures took `stepTime` milliseconds.
 * @param {number} stepTime @param {number} size
 */
export function mostInBatch(stepTime, size) {
  return Math.min(Math.max(Math.floor((LONGEST_STEP * size) / stepTime), 1), MAX_BATCH);
}

/**
 * A batch under way, or one that is to be made.
 * @template S
 * @typedef {object} Batch
 * @property {number[]} indices of its pictures
 * @property {S[]} saved what to continue the pictures from; empty: from their beginning
 * @property {number} most pictures in one step; if there are more, they take turns
 * @property {AbortSignal} pause aborts when the batch should come back unfinished, which it may ignore near its end
 */

/**
 * Either all pictures or, after a pause, what to continue them from; the other array is empty.
 * @template T, S
 * @typedef {{ pictures: T[], saved: S[], stepTime: number }} Outcome stepTime: milliseconds of a step of all pictures, if
 *   they are there
 */

/**
 * Yields the pictures 0 .. total - 1 in order. What is under way when the reader leaves must be ended by the caller.
 * @template T, S
 * @param {number} total
 * @param {number} workers batches at a time
 * @param {(batch: Batch<S>) => Promise<Outcome<T, S>>} make
 * @returns {AsyncGenerator<T, void, void>}
 */
export async function* makeInBatches(total, workers, make) {
  /** @type {Map<number, { picture: Promise<T>, resolve: (picture: T) => void, reject: (reason: unknown) => void }>} */
  const pending = new Map(); // by index, from the start of its batch until it is yielded
  /** @type {Set<{ indices: number[], begun: number, pause: AbortController }>} */
  const underWay = new Set();
  let next = 0; // not started yet
  // As the fastest batch so far has it: other work on the machine only makes them slower.
  let most = 1; // pictures in a step
  let pictureTime = Infinity; // milliseconds
  let failed = false;

  /** @param {number[]} indices @param {S[]} [from] */
  const start = async (indices, from = []) => {
    const batch = { indices, begun: performance.now(), pause: new AbortController() };
    underWay.add(batch);
    try {
      const { pictures, saved, stepTime } = await make({ indices, saved: from, most, pause: batch.pause.signal });
      underWay.delete(batch);
      if (saved.length > 0) {
        divide(indices, saved);
      } else {
        most = Math.max(most, mostInBatch(stepTime, indices.length));
        if (from.length === 0) pictureTime = Math.min(pictureTime, (performance.now() - batch.begun) / indices.length);
        indices.forEach((index, k) => pending.get(index)?.resolve(pictures[k]));
      }
      fill();
    } catch (error) {
      failed = true; // nothing is started any more, what is under way goes on
      for (const index of indices) pending.get(index)?.reject(error);
    }
  };

  /** Continues a batch as one for each idle worker. @param {number[]} indices @param {S[]} saved */
  const divide = (indices, saved) => {
    const parts = Math.min(indices.length, workers - underWay.size);
    for (let part = 0, first = 0; part < parts; part++) {
      const end = Math.ceil((indices.length * (part + 1)) / parts);
      start(indices.slice(first, end), saved.slice(first, end));
      first = end;
    }
  };

  /** Pictures of the next batch. */
  const nextSize = () => {
    const now = performance.now();
    let unfinished = total - next;
    for (const { indices, begun } of underWay) unfinished += Math.max(indices.length - (now - begun) / pictureTime, 0);
    const share = (unfinished - SLACK) / workers;
    const longer = Math.min(most + 1, MAX_BATCH); // rather than one more batch
    const longest = workers > 1 && unfinished < longer * workers - SLACK ? longer : most;
    const batches = Math.ceil(share / longest); // until all are finished, of about the same size
    const idle = workers - underWay.size;
    return Math.max(Math.min(Math.ceil(share / batches), Math.ceil((total - next) / idle)), 1);
  };

  const fill = () => {
    while (!failed && next < total && underWay.size < workers) {
      const size = Math.min(next > 0 ? nextSize() : 1, MAX_WAITING * workers - pending.size);
      if (size <= 0) return;
      const indices = Array.from({ length: size }, (_, k) => next + k);
      for (const index of indices) {
        let settle;
        const picture = /** @type {Promise<T>} */ (new Promise((resolve, reject) => { settle = { resolve, reject }; }));
        picture.catch(() => {}); // reported when its turn comes
        pending.set(index, Object.assign({ picture }, settle));
      }
      next += size;
      start(indices);
    }
    if (next === total && underWay.size < workers) share();
  };

  /** Asks the largest batch for pictures, the latest of several: it has most to do. One batch at a time. */
  const share = () => {
    let largest = null;
    for (const batch of underWay) {
      if (batch.pause.signal.aborted) return;
      if (batch.indices.length >= Math.max(largest?.indices.length ?? 0, 2)) largest = batch;
    }
    largest?.pause.abort();
  };

  for (let index = 0; index < total; index++) {
    fill();
    yield await /** @type {Promise<T>} */ (pending.get(index)?.picture);
    pending.delete(index);
  }
}
