/**
 * Settles as `promise` does, or rejects with the signal's reason as soon as it aborts.
 * What `promise` does after that is ignored.
 * @template T @param {Promise<T>} promise @param {AbortSignal | undefined} signal @returns {Promise<T>}
 */
export function abortable(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    const settled = () => signal.removeEventListener('abort', onAbort);
    promise.then(settled, settled);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject);
  });
}

/** Makes `controller` abort when `signal` does; returns the function that ends this. */
export function follow(controller, signal) {
  if (!signal) return () => {};
  const onAbort = () => controller.abort(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
}

/**
 * Watches over work that has to show signs of life.
 * @param {AbortSignal | undefined} signal ends the work, too
 * @param {number} timeout milliseconds without alive() after which `signal` aborts; Infinity: any time
 * @param {() => Error} makeReason what it aborts with
 * @returns {{ signal: AbortSignal, alive: () => void, end: () => void }} end() must be called; it aborts what is left
 */
export function watch(signal, timeout, makeReason) {
  const controller = new AbortController();
  const stop = follow(controller, signal);
  let timer;
  const alive = () => {
    clearTimeout(timer);
    if (timeout !== Infinity) timer = setTimeout(() => controller.abort(makeReason()), timeout);
  };
  alive();
  return {
    signal: controller.signal,
    alive,
    end() {
      clearTimeout(timer);
      stop();
      controller.abort();
    },
  };
}

let channel = null;
const waiting = [];

/**
 * Resolves in a later task of the event loop, so that messages, input and timers are served in between.
 * Not setTimeout, which browsers hold back for 4 ms when nested.
 * @returns {Promise<void>}
 */
export function nextTask() {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve);
      return;
    }
    if (!channel) {
      channel = new MessageChannel();
      channel.port1.onmessage = () => waiting.shift()();
    }
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}
