// The class picker: one radio button per class, with a small picture that the model drew. Of many classes some are
// shown, and a search field finds the others.

import { makeCanvas, paint } from './paint.mjs';

/** From this number of classes on there is a search field. */
const SEARCH_FROM = 13;
/** As many are shown at a time: a page with thousands of radio buttons is slow. */
const MOST_SHOWN = 40;

export class ClassPicker {
  #list;
  #search;
  #hint;
  #labels;
  #onChange;
  #onShow;
  #value = 0;
  #shown = new Map(); // class number -> { input, canvas }
  #pictures = new Map(); // class number -> Image

  /**
   * @param {{ list: HTMLElement, box: HTMLElement, search: HTMLInputElement, hint: HTMLElement }} elements
   * @param {ReadonlyArray<string>} labels shown as text
   * @param {(label: number) => void} onChange
   * @param {(labels: number[]) => void} onShow gets the classes on show that have no picture yet
   */
  constructor({ list, box, search, hint }, labels, onChange, onShow) {
    this.#list = list;
    this.#search = search;
    this.#hint = hint;
    this.#labels = labels;
    this.#onChange = onChange;
    this.#onShow = onShow;
    box.hidden = labels.length < SEARCH_FROM;
    search.value = '';
    search.oninput = () => this.#render();
    search.onkeydown = (event) => {
      if (event.key === 'Enter') event.preventDefault();
    };
    this.#render();
  }

  get value() {
    return this.#value;
  }

  set value(label) {
    this.#value = label;
    if (!this.#shown.has(label) && this.#search.value === '') this.#render();
    for (const [each, { input }] of this.#shown) input.checked = each === label;
  }

  /** @param {number} label @param {import('./paint.mjs').Image} image */
  paint(label, image) {
    this.#pictures.set(label, image);
    const shown = this.#shown.get(label);
    if (shown) paint(shown.canvas, image);
  }

  #matches() {
    const wanted = this.#search.value.trim().toLowerCase();
    const found = [];
    this.#labels.forEach((name, label) => {
      if (name.toLowerCase().includes(wanted)) found.push(label);
    });
    const shown = found.slice(0, MOST_SHOWN);
    // The chosen class is always in sight, unless something else is searched for.
    if (wanted === '' && !shown.includes(this.#value)) shown[shown.length - 1] = this.#value;
    return { shown, total: found.length };
  }

  #render() {
    const { shown, total } = this.#matches();
    this.#shown.clear();
    this.#list.replaceChildren(...shown.map((label) => this.#makeItem(label)));
    this.#list.dataset.many = String(this.#labels.length >= SEARCH_FROM);
    if (total === 0) this.#hint.textContent = 'No class of that name.';
    else this.#hint.textContent = total > shown.length ? `${shown.length} of ${total} classes` : `${total} classes`;
    this.#onShow(shown.filter((label) => !this.#pictures.has(label)));
  }

  #makeItem(label) {
    const item = Object.assign(document.createElement('label'), { className: 'class' });
    const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'class', checked: label === this.#value });
    input.addEventListener('change', () => {
      this.#value = label;
      this.#onChange(label);
    });
    const canvas = makeCanvas();
    const caption = document.createElement('span');
    caption.textContent = this.#labels[label];
    item.append(input, canvas, caption);
    this.#shown.set(label, { input, canvas });
    if (this.#pictures.has(label)) paint(canvas, this.#pictures.get(label));
    return item;
  }
}
