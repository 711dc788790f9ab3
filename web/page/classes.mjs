// The class picker. Few classes: a radio button each, with a small picture that the model drew. Single characters: a
// keyboard. Many: a row around the chosen one, a search field, and all of them on a wall. Its height is always the same.

import { plural } from './elements.mjs';
import { fetchMore } from './fetch_more.mjs';
import { attempt } from './messages.mjs';
import { makeCanvas, paint } from './paint.mjs';
import { isAlphabet } from './word.mjs';

/** From this number of classes on there is a search field, or a keyboard. */
const MANY_FROM = 13;
/** As many are shown at a time in the row: a page with thousands of radio buttons is slow. */
const MOST_SHOWN = 40;
/** As many of them stand before the chosen one. */
const BEFORE_CHOSEN = 8;

/** @typedef {{ label: number, canvas: HTMLCanvasElement }} Place of a class */
/** @typedef {{ list: HTMLElement, box: HTMLElement, search: HTMLInputElement, found: HTMLElement, hint: HTMLElement, wall: HTMLButtonElement, dialog: HTMLDialogElement }} Elements */

export class ClassPicker {
  #list;
  #labels;
  #onChange;
  #onShow;
  /** @type {'few' | 'keys' | 'many'} */
  #kind;
  #value = 0;
  #first = 0; // class at the beginning of the row
  /** @type {Map<number, { input: HTMLInputElement, canvas: HTMLCanvasElement | null }>} */
  #shown = new Map(); // by class number
  /** @type {Map<number, import('./paint.mjs').Image>} */
  #pictures = new Map(); // by class number
  /** @type {Place[]} */
  #asked = []; // classes that are to be seen elsewhere

  /**
   * @param {Elements} elements
   * @param {ReadonlyArray<string>} labels shown as text
   * @param {(label: number) => void} onChange
   * @param {(labels: number[]) => void} onShow gets the classes on show that have no picture yet
   */
  constructor({ list, box, search, found, hint, wall, dialog }, labels, onChange, onShow) {
    this.#list = list;
    this.#labels = labels;
    this.#onChange = onChange;
    this.#onShow = onShow;
    this.#kind = labels.length < MANY_FROM ? 'few' : isAlphabet(labels) ? 'keys' : 'many';
    list.dataset.kind = this.#kind;
    box.hidden = this.#kind !== 'many';
    if (this.#kind === 'many') {
      this.#connectSearch({ input: search, list: found });
      hint.textContent = plural(labels.length, 'class', 'classes');
      wall.textContent = `All ${labels.length}`;
      wall.onclick = () => this.#openWall(dialog);
    }
    this.#render();
  }

  get value() {
    return this.#value;
  }

  set value(label) {
    const moved = label !== this.#value;
    this.#value = label;
    if (!this.#shown.has(label)) this.#render();
    for (const [each, { input }] of this.#shown) input.checked = each === label;
    if (moved || this.#list.scrollLeft === 0) this.#reveal();
  }

  /** @param {number} label @param {import('./paint.mjs').Image} image */
  paint(label, image) {
    this.#pictures.set(label, image);
    const canvases = [this.#shown.get(label)?.canvas, ...this.#asked.filter((each) => each.label === label).map(({ canvas }) => canvas)];
    for (const canvas of canvases) if (canvas) paint(canvas, image);
  }

  /** @param {number} label @param {HTMLCanvasElement} canvas */
  #paintKnown(label, canvas) {
    const image = this.#pictures.get(label);
    if (image) paint(canvas, image);
  }

  /** @param {number} label */
  #pick(label) {
    this.value = label;
    this.#onChange(label);
  }

  #render() {
    const { length } = this.#labels;
    const count = this.#kind === 'many' ? Math.min(MOST_SHOWN, length) : length;
    this.#first = Math.min(Math.max(this.#value - BEFORE_CHOSEN, 0), length - count);
    const shown = Array.from({ length: count }, (_, index) => this.#first + index);
    this.#shown.clear();
    this.#list.replaceChildren(...shown.map((label) => this.#makeItem(label)));
    this.#list.scrollLeft = 0;
    this.#showMissing();
  }

  /** The chosen class is in the middle of the row: nothing else scrolls. */
  #reveal() {
    const item = this.#shown.get(this.#value)?.input.parentElement;
    if (!item || this.#list.scrollWidth <= this.#list.clientWidth) return;
    this.#list.scrollLeft += item.getBoundingClientRect().left - this.#list.getBoundingClientRect().left - (this.#list.clientWidth - item.clientWidth) / 2;
  }

  /** Pictures of classes elsewhere: what is asked for newly goes first. @param {Place[]} canvases */
  #ask(canvases) {
    this.#asked = canvases;
    for (const { label, canvas } of canvases) this.#paintKnown(label, canvas);
    this.#showMissing();
  }

  #showMissing() {
    if (this.#kind === 'keys') return this.#onShow([]);
    const wanted = new Set([...this.#asked.map(({ label }) => label), ...this.#shown.keys()]);
    this.#onShow([...wanted].filter((label) => !this.#pictures.has(label)));
  }

  /** @param {number} label */
  #makeItem(label) {
    const item = Object.assign(document.createElement('label'), { className: this.#kind === 'keys' ? 'key' : 'class' });
    const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'class', checked: label === this.#value });
    input.addEventListener('change', () => this.#pick(label));
    // Comes before the change: of the class that is chosen already there are others.
    input.addEventListener('click', () => label === this.#value && this.#onChange(label));
    const caption = Object.assign(document.createElement('span'), { textContent: this.#labels[label] });
    const canvas = this.#kind === 'keys' ? null : makeCanvas();
    item.append(input, ...(canvas ? [canvas] : []), caption);
    this.#shown.set(label, { input, canvas });
    if (canvas) this.#paintKnown(label, canvas);
    return item;
  }

  /** @param {{ input: HTMLInputElement, list: HTMLElement }} elements */
  #connectSearch(elements) {
    elements.input.disabled = true;
    attempt(async () => {
      const { connectSearch, loadThesaurus } = await fetchMore();
      await loadThesaurus();
      connectSearch(elements, this.#labels, (label) => this.#pick(label), (canvases) => this.#ask(canvases));
      elements.input.disabled = false;
    });
  }

  /** @param {HTMLDialogElement} dialog */
  #openWall(dialog) {
    attempt(async () => {
      const { openWall } = await fetchMore();
      openWall(dialog, { labels: this.#labels, value: this.#value, onPick: (label) => this.#pick(label), onShow: (canvases) => this.#ask(canvases) });
    });
  }
}
