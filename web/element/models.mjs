// Models that the elements of a page share: one download and one pool of workers for each address, as long as an element
// wants it. The library itself is imported with the first one, so that a page whose elements nobody scrolls to loads
// nothing but the element.

/** @typedef {{ loaded: number, total: number }} Progress */

/** @typedef {(href: string, options: { signal: AbortSignal, onProgress: (progress: Progress) => void }) => Promise<import('../index.d.ts').Model>} Loader */

/** @type {Map<string, Entry>} by address */
const entries = new Map();

/** @type {Loader} */
let loader = (href, options) => import('../index.mjs').then(({ load }) => load(href, options));

/** Another way to a model than its address: for a page that has the models in itself. @param {Loader} other */
export function useLoader(other) {
  loader = other;
}

class Entry {
  /** @type {Promise<import('../index.d.ts').Model>} */
  model;
  /** @type {Set<(progress: Progress) => void>} who is told of progress */
  users = new Set();
  controller = new AbortController();
  /** @type {Progress | null} */
  progress = null;

  /** @param {string} href */
  constructor(href) {
    /** @param {Progress} progress */
    const onProgress = (progress) => {
      this.progress = progress;
      for (const tell of this.users) tell(progress);
    };
    const { signal } = this.controller;
    this.model = loader(href, { signal, onProgress });
  }
}

/** @param {string} href @param {Entry} entry */
function forget(href, entry) {
  if (entries.get(href) === entry) entries.delete(href);
}

/**
 * @param {string} href absolute address of a model
 * @param {(progress: Progress) => void} onProgress
 * @returns {{ href: string, model: Promise<import('../index.d.ts').Model>, release: () => void }}
 *   release: to be called once, also after a failure; the last one stops the download or closes the model
 */
export function acquireModel(href, onProgress) {
  const entry = entries.get(href) ?? new Entry(href);
  if (entries.get(href) !== entry) {
    entries.set(href, entry);
    entry.model.catch(() => forget(href, entry)); // so that the next one tries again
  } else if (entry.progress) {
    onProgress(entry.progress);
  }
  /** @param {Progress} progress */
  const tell = (progress) => onProgress(progress); // of this user alone, even if others have the same function
  entry.users.add(tell);
  const release = () => {
    entry.users.delete(tell);
    if (entry.users.size > 0) return;
    forget(href, entry);
    entry.controller.abort();
    entry.model.then((model) => model.close(), () => {});
  };
  return { href, model: entry.model, release };
}
