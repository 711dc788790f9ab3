// Many pictures spread over workers in batches, and handed out in order.
//
// The pictures of a batch share one network call, which reads the weights once for all of them. Against that, they
// all arrive at its end, and nobody can interrupt a step. So the first batch is a single picture, which comes as soon as
// it can and shows how long a step takes; the next ones are as large as keeps a step short. Towards the end they shrink,
// so that all workers finish at about the same time.

/** Larger batches gain nothing more. */
const MAX_BATCH = 4;

/** Milliseconds; events and aborts are served between steps. */
const LONGEST_STEP = 50;

/** Finished pictures that may wait for a slow reader, per worker. */
const MAX_WAITING = 2 * MAX_BATCH;

/**
 * How many pictures a batch may have, when a step of one with `size` pictures took `stepTime` milliseconds.
 * @param {number} stepTime @param {number} size
 */
export function mostInBatch(stepTime, size) {
  return Math.min(Math.max(Math.floor((LONGEST_STEP * size) / stepTime), 1), MAX_BATCH);
}

/**
 * Yields the pictures 0 .. total - 1 in order. What is under way when the reader leaves must be ended by the caller.
 * @template T
 * @param {number} total
 * @param {number} workers batches at a time
 * @param {(indices: number[]) => Promise<{ pictures: T[], stepTime: number }>} make stepTime: milliseconds
 * @returns {AsyncGenerator<T, void, void>}
 */
export async function* makeInBatches(total, workers, make) {
  /** @type {Map<number, Promise<T>>} */
  const pending = new Map(); // index -> promise of its picture, from the start of its batch until it is yielded
  let next = 0; // not started yet
  let batches = 0; // under way
  let most = 1; // pictures in a batch

  /** @param {number} size */
  const start = (size) => {
    const indices = Array.from({ length: size }, (_, k) => next + k);
    const batch = make(indices);
    indices.forEach((index, k) => {
      const picture = batch.then(({ pictures }) => pictures[k]);
      picture.catch(() => {}); // reported when its turn comes
      pending.set(index, picture);
    });
    next += size;
    batches++;
    batch.then(({ stepTime }) => {
      most = mostInBatch(stepTime, size);
      batches--;
      fill();
    }, () => {}); // nothing is started after a failure
  };

  const fill = () => {
    while (batches < workers && next < total) {
      const room = MAX_WAITING * workers - pending.size;
      if (room <= 0) return;
      start(Math.min(most, room, Math.ceil((total - next) / workers)));
    }
  };

  for (let index = 0; index < total; index++) {
    fill();
    yield await /** @type {Promise<T>} */ (pending.get(index));
    pending.delete(index);
  }
}
