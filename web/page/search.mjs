// Classes found by typing: a combobox with a list below it (WAI-ARIA Authoring Practices, combobox with manual
// selection of a listbox). The list lies over the page: nothing else moves.

import { fetchPart } from './fetch_more.mjs';
import { makeCanvas } from './paint.mjs';

const MOST_FOUND = 8;

/** @typedef {typeof import('./thesaurus.mjs')} Thesaurus */

/** @typedef {{ label: number, name: string, also: string | undefined, order: number }} Found also: the other word that fits */

/** @type {Thesaurus | null} */
let thesaurus = null;
/** Other words for the classes; without them they are found by their names. @returns {Promise<Thesaurus | null>} */
export async function loadThesaurus() {
  thesaurus ??= await fetchPart('thesaurus', () => import('./thesaurus.mjs')).catch(() => null);
  return thesaurus;
}

/** @param {string} text */
const plain = (text) => text.normalize('NFKD').replace(/\p{Mark}/gu, '').toLowerCase();

/** How well a class fits, the least best; undefined: not at all. @param {string} name @param {string} wanted @param {string[]} others */
function rank(name, wanted, others) {
  const at = plain(name).indexOf(wanted);
  if (at === 0) return 0;
  if (at > 0) return plain(name)[at - 1] === ' ' ? 1 : 3;
  const other = others.map(plain);
  if (other.some((word) => word.startsWith(wanted))) return 2;
  return other.some((word) => word.includes(wanted)) ? 4 : undefined;
}

/**
 * @param {string} text @param {ReadonlyArray<string>} labels
 * @returns {Found[]} the best first
 */
export function findClasses(text, labels) {
  const wanted = plain(text.trim());
  if (wanted === '') return [];
  /** @type {Found[]} */
  const found = [];
  labels.forEach((name, label) => {
    const others = thesaurus?.wordsFor(name) ?? [];
    const order = rank(name, wanted, others);
    if (order === undefined) return;
    const also = plain(name).includes(wanted) ? '' : others.find((word) => plain(word).includes(wanted));
    found.push({ label, name, also, order });
  });
  return found.sort((a, b) => a.order - b.order);
}

/** Makes a field search classes; may be called again for others. @param {ConstructorParameters<typeof Search>} parts */
export function connectSearch(...parts) {
  return new Search(...parts);
}

class Search {
  #input;
  #list;
  #labels;
  #onPick;
  #onShow;
  /** @type {Found[]} */
  #found = [];
  #active = -1;

  /**
   * @param {{ input: HTMLInputElement, list: HTMLElement }} elements
   * @param {ReadonlyArray<string>} labels
   * @param {(label: number) => void} onPick
   * @param {(canvases: import('./classes.mjs').Place[]) => void} onShow gets the classes in the list
   */
  constructor({ input, list }, labels, onPick, onShow) {
    this.#input = input;
    this.#list = list;
    this.#labels = labels;
    this.#onPick = onPick;
    this.#onShow = onShow;
    input.value = '';
    input.oninput = () => this.#update();
    input.onkeydown = (event) => this.#key(event);
    input.onblur = () => this.#close();
    // Before the field loses the focus.
    list.onpointerdown = (event) => {
      event.preventDefault();
      const option = /** @type {Element} */ (event.target).closest('[role="option"]');
      if (option) this.#pick(Number(option.getAttribute('data-index')));
    };
    this.#close();
  }

  #update() {
    this.#found = findClasses(this.#input.value, this.#labels).slice(0, MOST_FOUND);
    this.#active = this.#found.length > 0 ? 0 : -1;
    /** @type {import('./classes.mjs').Place[]} */
    const canvases = [];
    const options = this.#found.map(({ label, name, also }, index) => {
      const option = Object.assign(document.createElement('li'), { id: `class-found-${index}` });
      option.setAttribute('role', 'option');
      option.dataset.index = String(index);
      const canvas = makeCanvas();
      canvases.push({ label, canvas });
      option.append(canvas, Object.assign(document.createElement('span'), { textContent: name }));
      if (also) option.append(Object.assign(document.createElement('small'), { textContent: also }));
      return option;
    });
    if (options.length === 0) {
      const none = Object.assign(document.createElement('li'), { textContent: 'No class of that name.' });
      none.setAttribute('role', 'option');
      none.setAttribute('aria-disabled', 'true');
      options.push(none);
    }
    this.#list.replaceChildren(...options);
    this.#list.hidden = this.#input.value.trim() === '';
    this.#input.setAttribute('aria-expanded', String(!this.#list.hidden));
    this.#mark();
    this.#onShow(this.#list.hidden ? [] : canvases);
  }

  #mark() {
    [...this.#list.children].forEach((option, index) => {
      if (option.hasAttribute('data-index')) option.setAttribute('aria-selected', String(index === this.#active));
    });
    if (this.#active >= 0 && !this.#list.hidden) this.#input.setAttribute('aria-activedescendant', `class-found-${this.#active}`);
    else this.#input.removeAttribute('aria-activedescendant');
    document.getElementById(`class-found-${this.#active}`)?.scrollIntoView({ block: 'nearest' });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { key } = event;
    const { length } = this.#found;
    if (key === 'Escape') {
      this.#input.value = '';
      this.#close();
    } else if (key === 'Enter' && this.#active >= 0) this.#pick(this.#active);
    else if (key === 'ArrowDown' && length > 0) this.#active = (this.#active + 1) % length;
    else if (key === 'ArrowUp' && length > 0) this.#active = (this.#active - 1 + length) % length;
    else if (key !== 'Enter') return;
    event.preventDefault();
    this.#mark();
  }

  /** @param {number} index */
  #pick(index) {
    const { label } = this.#found[index];
    this.#input.value = '';
    this.#close();
    this.#onPick(label);
  }

  #close() {
    this.#found = [];
    this.#active = -1;
    this.#list.hidden = true;
    this.#list.replaceChildren();
    this.#input.setAttribute('aria-expanded', 'false');
    this.#input.removeAttribute('aria-activedescendant');
    this.#onShow([]);
  }
}
