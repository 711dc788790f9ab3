// Entry of the module worker: one model and its runs, served by messages (protocol.mjs).

import { ModelHost } from './host.mjs';
import { isRequest, makeMessage, packError } from './protocol.mjs';

let host = null;
const calls = new Map(); // id -> { controller, proceed }

const buffersOf = (...arrays) => arrays.filter(Boolean).map((array) => array.buffer);

const operations = {
  async open({ module, bytes }) {
    const opened = await ModelHost.open(module, bytes);
    host = opened.host;
    return { value: { info: opened.info, labels: opened.labels } };
  },

  async predict({ x, t, label }, { controller }) {
    const value = await host.predict(x, t, label, { signal: controller.signal });
    return { value, transfer: buffersOf(value) };
  },

  async generate({ id, request, steps }, call) {
    const onStep = (event) => new Promise((resolve) => {
      call.proceed = resolve;
      globalThis.postMessage(makeMessage('step', id, { event }), buffersOf(event.preview?.pixels, event.state));
    });
    const value = await host.generate(request, { signal: call.controller.signal, onStep: steps ? onStep : undefined });
    return { value, transfer: buffersOf(value) };
  },
};

async function serve(message) {
  const call = { controller: new AbortController(), proceed: null };
  calls.set(message.id, call);
  try {
    const { value, transfer } = await operations[message.type](message, call);
    globalThis.postMessage(makeMessage('result', message.id, { value }), transfer ?? []);
  } catch (error) {
    globalThis.postMessage(makeMessage('failure', message.id, { error: packError(error) }));
  } finally {
    calls.delete(message.id);
  }
}

globalThis.addEventListener('message', ({ data: message }) => {
  if (!isRequest(message)) return;
  const call = calls.get(message.id);
  if (message.type === 'continue') call?.proceed?.();
  else if (message.type === 'abort') call?.controller.abort();
  else if (!call && (host !== null) !== (message.type === 'open')) serve(message);
});
