// The grid of pictures. One of them is the chosen one: it is a group of radio buttons whose faces are canvases.

import { blank, paint } from './paint.mjs';
import { makeTile } from './radios.mjs';

/** @typedef {import('./paint.mjs').Image} Image */

export class Grid {
  #container;
  /** @type {Array<ReturnType<typeof makeTile> & { image?: Image | null }>} */
  #tiles = [];
  #onChoose;

  /** @param {HTMLElement} container what is in it is replaced @param {() => void} onChoose */
  constructor(container, onChoose) {
    this.#container = container;
    this.#onChoose = onChoose;
  }

  get chosen() {
    return Math.max(this.#tiles.findIndex(({ input }) => input.checked), 0);
  }

  set chosen(index) {
    this.#tiles[index].input.checked = true;
  }

  /** @param {number} count */
  resize(count) {
    if (this.#tiles.length === 0) this.#container.replaceChildren();
    const chosen = Math.min(this.chosen, count - 1);
    while (this.#tiles.length > count) this.#tiles.pop()?.root.remove();
    while (this.#tiles.length < count) this.#addTile();
    this.chosen = chosen;
    this.#container.dataset.count = String(count);
  }

  #addTile() {
    const tile = makeTile(this.#container.id, () => this.#onChoose());
    this.#container.append(tile.root);
    this.#tiles.push(tile);
    this.setState(this.#tiles.length - 1, 'empty');
  }

  /** What a screen reader says of a picture. @param {number} index @param {string} text */
  describe(index, text) {
    this.#tiles[index].input.setAttribute('aria-label', text);
  }

  /** @param {number} index @param {'empty' | 'stale' | 'running' | 'draft' | 'done'} state */
  setState(index, state) {
    this.#tiles[index].root.dataset.state = state;
  }

  /** The picture on show belongs to settings that have been replaced. @param {number} index */
  markStale(index) {
    const { root } = this.#tiles[index];
    if (root.dataset.state !== 'empty') root.dataset.state = 'stale';
  }

  /** @param {number} index @param {Image} image */
  paint(index, image) {
    this.#tiles[index].image = image;
    paint(this.#tiles[index].canvas, image);
  }

  /** @param {number} index @returns {Image | null} what was painted last */
  imageOf(index) {
    return this.#tiles[index].image ?? null;
  }

  /** Takes all pictures away. */
  clear() {
    for (const tile of this.#tiles) {
      tile.image = null;
      tile.root.dataset.state = 'empty';
      blank(tile.canvas);
    }
  }
}
