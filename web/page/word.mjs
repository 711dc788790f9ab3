// Words set in letters that the model draws, for models whose classes are single characters.

import { blank, makeCanvas, paint } from './paint.mjs';

/** @param {string} label */
const isCharacter = (label) => [...label].length === 1;

/** Whether every class of a model is one character. @param {ReadonlyArray<string>} labels */
export const isAlphabet = (labels) => labels.length > 1 && labels.every(isCharacter);

/**
 * The classes that a text is set in. A character that is no class is taken in the other case; if that is none, either,
 * it is left out.
 * @param {string} text @param {ReadonlyArray<string>} labels
 * @returns {{ letters: Array<number | null>, missing: string[] }} null: a space
 */
export function spell(text, labels) {
  /** @type {Array<number | null>} */
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

/** What is said of characters that are no class. @param {ReadonlyArray<string>} missing */
export const lackOf = (missing) => `This model has no ${missing.map((each) => `“${each}”`).join(', ')}.`;

/**
 * How much of its square a character takes in a line, as type has it: the same for all styles, so that nothing moves
 * while they are drawn. @type {ReadonlyArray<[characters: string, share: number]>}
 */
const ADVANCES = [['ijlI1', 0.36], ['frt', 0.44], ['mwMW', 0.84], ['ABCDEFGHJKLNOPQRSTUVXYZ', 0.64]];
const OTHERS = 0.54;
const SPACE = 0.4;

/** @param {string | null} character null: a space */
export const advanceOf = (character) => (character === null ? SPACE : ADVANCES.find(([all]) => all.includes(character))?.[1] ?? OTHERS);

/** One line in one style. */
export class Word {
  /** @type {HTMLElement} */
  root = Object.assign(document.createElement('div'), { className: 'word-row' });
  /** @type {ReadonlyArray<number | null>} */
  #letters = [];
  /** @type {Array<ReturnType<typeof makePlace>>} */
  #places = [];
  /** @type {Map<number, { image: import('./paint.mjs').Image, final: boolean }>} */
  #images = new Map(); // by class number; final: under the settings on show, and in full
  /** @type {ReadonlyArray<string>} */
  #labels = [];

  constructor() {
    this.root.setAttribute('role', 'img');
  }

  /** Sets the text; letters that are there stay. @param {Array<number | null>} letters @param {ReadonlyArray<string>} labels */
  set(letters, labels) {
    const same = this.#labels === labels && String(letters) === String(this.#letters);
    this.#letters = letters;
    this.#labels = labels;
    if (same) return;
    this.#places = letters.map((label, index) => this.#places[index] ?? makePlace());
    this.root.replaceChildren(...this.#places.map(({ root }) => root));
    this.#places.forEach(({ root, canvas }, index) => {
      const label = letters[index];
      root.style.setProperty('--advance', String(this.advance(label)));
      const drawn = label === null ? undefined : this.#images.get(label);
      if (drawn) paint(canvas, drawn.image);
      else blank(canvas);
      root.toggleAttribute('data-final', Boolean(drawn?.final));
    });
    this.root.setAttribute('aria-label', this.text ? `The word ${this.text} in generated letters` : 'No word yet');
  }

  /** @param {number | null} label */
  advance(label) {
    return advanceOf(label === null ? null : this.#labels[label]);
  }

  /** How many squares it takes. */
  get length() {
    return this.#letters.map((label) => this.advance(label)).reduce((sum, advance) => sum + advance, 0);
  }

  /** Classes of the text that are still to be drawn, each once. @returns {number[]} */
  get lacking() {
    return [...new Set(this.#letters.filter((label) => label !== null))].filter((label) => !this.#images.get(label)?.final);
  }

  /** @param {number} label @param {import('./paint.mjs').Image} image @param {boolean} final */
  paint(label, image, final) {
    this.#images.set(label, { image, final });
    this.#letters.forEach((each, index) => {
      if (each !== label) return;
      paint(this.#places[index].canvas, image);
      this.#places[index].root.toggleAttribute('data-final', final);
    });
  }

  /** Every letter is to be drawn anew; those on show stay until then. */
  markStale() {
    for (const drawn of this.#images.values()) drawn.final = false;
  }

  /** Forgets the letters drawn so far. */
  clear() {
    this.#images.clear();
    this.#letters = [];
    this.#places = [];
    this.root.replaceChildren();
  }

  /** The text as it is set. */
  get text() {
    return this.#letters.map((label) => (label === null ? ' ' : this.#labels[label])).join('');
  }

  /** @returns {import('./sheet.mjs').Letter[] | null} null until every letter is there */
  get line() {
    if (this.#letters.length === 0 || this.lacking.length > 0) return null;
    return this.#letters.map((label) => ({ image: label === null ? null : this.#images.get(label)?.image ?? null, advance: this.advance(label) }));
  }
}

function makePlace() {
  const root = Object.assign(document.createElement('span'), { className: 'letter' });
  const canvas = makeCanvas();
  root.append(canvas);
  return { root, canvas };
}
