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

/**
 * Who follows a signal. One listener serves them all: Node.js takes more than ten on one signal for a leak.
 * @type {WeakMap<AbortSignal, { controllers: Set<AbortController>, onAbort: () => void }>}
 */
const followers = new WeakMap();

/**
 * Makes `controller` abort when `signal` does; returns the function that ends this.
 * @param {AbortController} controller @param {AbortSignal | undefined} signal
 */
export function follow(controller, signal) {
  if (!signal) return () => {};
  if (signal.aborted) {
    controller.abort(signal.reason);
    return () => {};
  }
  const group = followers.get(signal) ?? startGroup(signal);
  group.controllers.add(controller);
  return () => {
    group.controllers.delete(controller);
    if (group.controllers.size === 0) endGroup(signal, group);
  };
}

/** @param {AbortSignal} signal */
function startGroup(signal) {
  /** @type {Set<AbortController>} */
  const controllers = new Set();
  const group = {
    controllers,
    onAbort() {
      endGroup(signal, group);
      for (const controller of controllers) controller.abort(signal.reason);
    },
  };
  signal.addEventListener('abort', group.onAbort, { once: true });
  followers.set(signal, group);
  return group;
}

/** @param {AbortSignal} signal @param {{ onAbort: () => void }} group */
function endGroup(signal, group) {
  signal.removeEventListener('abort', group.onAbort);
  if (followers.get(signal) === group) followers.delete(signal);
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
  /** @type {ReturnType<typeof setTimeout> | undefined} */
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

/** @type {MessageChannel | null} */
let channel = null;
/** @type {(() => void)[]} */
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
      channel.port1.onmessage = () => waiting.shift()?.();
    }
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}
