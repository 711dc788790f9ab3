// A browser's Worker on top of node:worker_threads, as far as web/thread.mjs uses it.
import { Worker as Thread } from 'node:worker_threads';

const BOOTSTRAP = `
  const { parentPort, workerData } = require('node:worker_threads');
  globalThis.postMessage = (message, transfer) => parentPort.postMessage(message, transfer);
  globalThis.addEventListener = (type, listener) => parentPort.on('message', (data) => listener({ data }));
  import(workerData);
`;

export class Worker extends EventTarget {
  constructor(url, { type }) {
    super();
    if (type !== 'module') throw new Error('a classic worker cannot import');
    this.thread = new Thread(BOOTSTRAP, { eval: true, workerData: String(url) });
    this.thread.on('message', (data) => this.#dispatch('message', { data }));
    this.thread.on('messageerror', () => this.#dispatch('messageerror', {}));
    this.thread.on('error', ({ message }) => this.#dispatch('error', { message }));
    Worker.last = this;
  }
  #dispatch(type, fields) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }
  postMessage(message, transfer) {
    this.thread.postMessage(message, transfer);
  }
  terminate() {
    this.thread.terminate();
  }
}
