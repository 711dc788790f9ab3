// The grid of pictures. One of them is the chosen one: it is a group of radio buttons whose faces are canvases.

import { paint } from './paint.mjs';

export class Grid {
  #container;
  #tiles = []; // { root, input, canvas }
  #onChoose;
  #placeholders;

  /** @param {HTMLElement} container @param {() => void} onChoose */
  constructor(container, onChoose) {
    this.#container = container;
    this.#onChoose = onChoose;
    this.#placeholders = [...container.children];
  }

  get chosen() {
    return this.#tiles.findIndex(({ input }) => input.checked);
  }

  /** @param {number} count @param {import('../index.d.ts').ModelInfo} info */
  resize(count, { width, height }) {
    this.#placeholders.splice(0).forEach((placeholder) => placeholder.remove());
    const chosen = Math.min(Math.max(this.chosen, 0), count - 1);
    while (this.#tiles.length > count) this.#tiles.pop().root.remove();
    while (this.#tiles.length < count) this.#addTile(width, height);
    this.#tiles[chosen].input.checked = true;
    this.#container.dataset.count = String(count);
  }

  #addTile(width, height) {
    const index = this.#tiles.length;
    const root = document.createElement('label');
    root.className = 'tile';
    const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'picture' });
    input.addEventListener('change', () => this.#onChoose());
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    root.append(input, canvas);
    this.#container.append(root);
    this.#tiles.push({ root, input, canvas });
    this.setState(index, 'empty');
  }

  /** What a screen reader says of a picture. */
  describe(index, text) {
    this.#tiles[index].input.setAttribute('aria-label', text);
  }

  /** @param {'empty' | 'stale' | 'running' | 'draft' | 'done'} state */
  setState(index, state) {
    this.#tiles[index].root.dataset.state = state;
  }

  /** Pictures on show belong to settings that have been replaced. */
  markStale() {
    for (const { root } of this.#tiles) if (root.dataset.state !== 'empty') root.dataset.state = 'stale';
  }

  /** @param {import('./paint.mjs').Image} image */
  paint(index, image) {
    paint(this.#tiles[index].canvas, image);
  }
}
