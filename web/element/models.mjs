// Models that the elements of a page share: one download and one pool of workers for each address, as long as an element
// wants it. The library itself is imported with the first one, so that a page whose elements nobody scrolls to loads
// nothing but the element.

const entries = new Map(); // href -> Entry

class Entry {
  model; // promise
  users = new Set(); // functions that are told of progress
  controller = new AbortController();
  progress = null;

  constructor(href) {
    const onProgress = (progress) => {
      this.progress = progress;
      for (const tell of this.users) tell(progress);
    };
    const { signal } = this.controller;
    this.model = import('../index.mjs').then(({ load }) => load(href, { signal, onProgress }));
  }
}

function forget(href, entry) {
  if (entries.get(href) === entry) entries.delete(href);
}

/**
 * @param {string} href absolute address of a model
 * @param {(progress: { loaded: number, total: number }) => void} onProgress
 * @returns {{ href: string, model: Promise<import('../index.d.ts').Model>, release: () => void }}
 *   release: to be called once, also after a failure; the last one stops the download or closes the model
 */
export function acquireModel(href, onProgress) {
  let entry = entries.get(href);
  if (!entry) {
    entry = new Entry(href);
    entries.set(href, entry);
    const failed = entry;
    entry.model.catch(() => forget(href, failed)); // so that the next one tries again
  } else if (entry.progress) {
    onProgress(entry.progress);
  }
  const tell = (progress) => onProgress(progress);
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
