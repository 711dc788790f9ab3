// Words set in letters that the model draws, for models whose classes are single characters.

import { blank, makeCanvas, paint } from './paint.mjs';
import { compose } from './sheet.mjs';

const isCharacter = (label) => [...label].length === 1;

/** Whether every class of a model is one character. */
export const isAlphabet = (labels) => labels.length > 1 && labels.every(isCharacter);

/**
 * The classes that a text is set in. A character that is no class is taken in the other case; if that is none, either,
 * it is left out.
 * @param {string} text @param {ReadonlyArray<string>} labels
 * @returns {{ letters: Array<number | null>, missing: string[] }} null: a space
 */
export function spell(text, labels) {
  const letters = [];
  const missing = new Set();
  for (const character of text.normalize('NFC').trim()) {
    const label = [character, character.toUpperCase(), character.toLowerCase()]
      .map((each) => labels.indexOf(each)).find((index) => index >= 0);
    if (label !== undefined) letters.push(label);
    else if (/\s/.test(character)) letters.push(null);
    else missing.add(character);
  }
  return { letters, missing: [...missing] };
}

export class Word {
  #row;
  #letters = [];
  #canvases = [];
  #images = new Map(); // class number -> { image, final: under the settings on show, and in full }
  #labels = [];

  /** @param {HTMLElement} row */
  constructor(row) {
    this.#row = row;
  }

  /** Sets the text; letters that are there stay. @returns {string[]} characters that the model has no class for */
  set(text, labels) {
    const { letters, missing } = spell(text, labels);
    this.#letters = letters;
    this.#labels = labels;
    this.#canvases = letters.map((label, index) => this.#canvases[index] ?? makeCanvas());
    this.#row.replaceChildren(...this.#canvases);
    this.#canvases.forEach((canvas, index) => {
      canvas.dataset.space = String(letters[index] === null);
      const drawn = this.#images.get(letters[index]);
      if (drawn) paint(canvas, drawn.image);
      else blank(canvas);
    });
    this.#row.setAttribute('aria-label', this.text ? `The word ${this.text} in generated letters` : 'No word yet');
    return missing;
  }

  /** Classes of the text that are still to be drawn, each once. @returns {number[]} */
  get lacking() {
    return [...new Set(this.#letters.filter((label) => label !== null && !this.#images.get(label)?.final))];
  }

  /** @param {number} label @param {import('./paint.mjs').Image} image @param {boolean} final */
  paint(label, image, final) {
    this.#images.set(label, { image, final });
    this.#letters.forEach((each, index) => each === label && paint(this.#canvases[index], image));
  }

  /** Every letter is to be drawn anew; those on show stay until then. */
  markStale() {
    for (const drawn of this.#images.values()) drawn.final = false;
  }

  /** Forgets the letters drawn so far. */
  clear() {
    this.#images.clear();
  }

  /** The text as it is set. */
  get text() {
    return this.#letters.map((label) => (label === null ? ' ' : this.#labels[label])).join('');
  }

  get length() {
    return this.#letters.length;
  }

  /**
   * @param {(image: import('./paint.mjs').Image) => import('./paint.mjs').Image} prepare of each letter
   * @returns {import('./paint.mjs').Image | null} one wide picture; null until every letter is there
   */
  image(prepare) {
    if (this.length === 0 || this.lacking.length > 0) return null;
    return compose(this.#letters.map((label) => label === null ? null : prepare(this.#images.get(label).image)), this.length);
  }
}
