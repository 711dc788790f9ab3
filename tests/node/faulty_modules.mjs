// The WebAssembly module with something wrong in it, and what is left of instances and threads.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

const MEMORY_SECTION = 5;

/** LEB128: [value, offset behind it]. */
function readNumber(bytes, offset) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[offset++];
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, offset];
  }
}

/** LEB128 in as many bytes as it had before. */
function writeNumber(bytes, offset, end, value) {
  for (; offset < end; offset++, value >>>= 7) bytes[offset] = (value & 0x7f) | (offset < end - 1 ? 0x80 : 0);
  if (value !== 0) throw new Error('the number needs more bytes');
}

/** @returns {{ initial: number, patched: (pages: number) => Uint8Array }} the module with another maximum of its memory */
export function memoryOf(wasm) {
  for (let offset = 8; offset < wasm.length;) {
    const section = wasm[offset];
    const [size, start] = readNumber(wasm, offset + 1);
    if (section === MEMORY_SECTION) {
      if (wasm[start] !== 1 || wasm[start + 1] !== 1) throw new Error('not one memory with a maximum');
      const [initial, place] = readNumber(wasm, start + 2);
      const [, end] = readNumber(wasm, place);
      return {
        initial,
        patched(pages) {
          const copy = Uint8Array.from(wasm);
          writeNumber(copy, place, end, pages);
          return copy;
        },
      };
    }
    offset = start + size;
  }
  throw new Error('no memory section');
}

/** Runs `use` while new instances of the module end in `unreachable` at the k-th call of `name`. */
export async function withTrap(name, k, use) {
  // (func (export "trap") unreachable)
  const bytes = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 8, 1, 4, 116, 114, 97, 112, 0, 0, 10, 5, 1, 3, 0, 0, 11);
  const { trap } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  const { instantiate } = WebAssembly;
  let left = k;
  let instances = 0;
  WebAssembly.instantiate = async (...values) => {
    const { exports } = await instantiate(...values);
    instances++;
    return { exports: { ...exports, [name]: (...inner) => (--left === 0 ? trap() : exports[name](...inner)) } };
  };
  try {
    return await use(() => instances);
  } finally {
    WebAssembly.instantiate = instantiate;
  }
}

/** Counts the module's linear memories in this thread, and the threads of this process, from now on. */
export function watchLeaks() {
  const memories = [];
  const threads = [];
  const { instantiate } = WebAssembly;
  WebAssembly.instantiate = async (...values) => {
    const instance = await instantiate(...values);
    if ('pd_wasm_version' in instance.exports) memories.push(new WeakRef(instance.exports.memory)); // fetch has a module, too
    return instance;
  };
  process.on('worker', (thread) => threads.push(thread));
  const count = (since) => memories.slice(since.memories).filter((reference) => reference.deref()).length +
    threads.slice(since.threads).filter(({ threadId }) => threadId !== -1).length;
  return {
    threads,
    /** A point in time for left(). */
    now: () => ({ memories: memories.length, threads: threads.length }),
    /** How many of those made after `since` are there for good. An engine may hold on to an instance for a while. */
    async left(since = { memories: 0, threads: 0 }) {
      for (let round = 0; round < 200 && count(since) > 0; round++) {
        await new Promise((resolve) => setTimeout(resolve, 5 + round)); // weak references are kept for a task
        collectGarbage();
      }
      return count(since);
    },
  };
}
