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

/**
 * @typedef {{ image: import('./paint.mjs').Image | null, advance: number, space: boolean }} Letter advance: the share of its square
 * @typedef {{ begin: number, end: number, width: number, places: number[] }} Row letters from begin to end; places: of the left
 *   edges of their squares. Lengths are in sides of a square
 * @typedef {{ rows: Row[], broken: boolean }} Setting broken: within a word
 * @typedef {(letters: ReadonlyArray<Letter>, limit: number) => Setting} Lay sets letters in rows no wider than `limit`
 */

/** Letters as wide as their advances. @type {Lay} */
export function layByAdvances(letters, limit) {
  /** @type {Row[]} */
  const rows = [];
  let broken = false;
  for (let begin = 0; begin < letters.length;) {
    if (letters[begin].space) {
      begin++;
      continue;
    }
    let end = begin;
    for (let width = 0; end < letters.length && (end === begin || width + letters[end].advance <= limit); end++) width += letters[end].advance;
    if (end < letters.length && !letters[end].space) {
      const space = letters.slice(begin, end).findLastIndex((letter) => letter.space);
      if (space > 0) end = begin + space;
      else broken = true;
    }
    while (letters[end - 1].space) end--;
    let width = 0;
    const places = letters.slice(begin, end).map(({ advance }) => (width += advance) - (advance + 1) / 2);
    rows.push({ begin, end, width, places });
    begin = end;
  }
  return { rows, broken };
}

/** Of a box's height: words are rather broken than in letters that are smaller. */
const SMALL = 0.2;
/** From one size that is tried to the next. */
const SMALLER = 0.97;

/**
 * Letters as large as a box has room for.
 * @param {Lay} lay @param {ReadonlyArray<Letter>} letters @param {{ width: number, height: number }} box
 * @returns {{ size: number, rows: Row[] }} size: of a square's side
 */
export function fit(lay, letters, { width, height }) {
  for (let size = height; ; size *= SMALLER) {
    const { rows, broken } = lay(letters, width / size);
    const fits = rows.length * size <= height && rows.every((row) => row.width * size <= width);
    if ((fits && !(broken && size > SMALL * height)) || size < 1) return { size, rows };
  }
}

/** The room for descenders looks empty: what letters are lower than the middle, in sides. */
const BELOW = 0.04;

/** A text in one style, as large as its place allows, in as many rows as that takes. */
export class Word {
  /** @type {HTMLElement} */
  root = Object.assign(document.createElement('div'), { className: 'word-row' });
  /** How letters are set. */
  lay = layByAdvances;
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
    new ResizeObserver(() => this.fit()).observe(this.root);
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
      const drawn = label === null ? undefined : this.#images.get(label);
      if (drawn) paint(canvas, drawn.image);
      else blank(canvas);
      root.toggleAttribute('data-final', Boolean(drawn?.final));
    });
    this.root.setAttribute('aria-label', this.text ? `The word ${this.text} in generated letters` : 'No word yet');
    this.fit();
  }

  /** Class numbers; null: a space. */
  get classes() {
    return this.#letters;
  }

  /** @param {number | null} label */
  about(label) {
    return { advance: advanceOf(label === null ? null : this.#labels[label]), space: label === null };
  }

  /** The letters as they are set. @returns {Letter[]} */
  get letters() {
    return this.#letters.map((label) => {
      const drawn = label === null ? undefined : this.#images.get(label);
      return { ...this.about(label), image: drawn?.final ? drawn.image : null };
    });
  }

  /** Puts every letter where it belongs. */
  fit() {
    const { clientWidth: width, clientHeight: height } = this.root;
    if (width === 0 || height === 0) return; // out of sight
    const { letters } = this;
    const { size, rows } = fit(this.lay, letters, { width, height });
    this.root.style.setProperty('--size', `${size}px`);
    rows.forEach((row, index) => row.places.forEach((place, letter) => {
      const { style } = this.#places[row.begin + letter].root;
      style.setProperty('--x', String(place - row.width / 2));
      style.setProperty('--y', String(index - rows.length / 2 + BELOW));
      style.setProperty('--advance', String(letters[row.begin + letter].advance));
    }));
  }

  /** Classes of the text that are still to be drawn, each once. @returns {number[]} */
  get lacking() {
    return [...new Set(this.#letters.filter((label) => label !== null))].filter((label) => !this.#images.get(label)?.final);
  }

  /**
   * @param {number} label @param {import('./paint.mjs').Image} image
   * @param {boolean} final @param {boolean} [running] on its way out of the static
   */
  paint(label, image, final, running = false) {
    this.#images.set(label, { image, final });
    this.#letters.forEach((each, index) => {
      if (each !== label) return;
      paint(this.#places[index].canvas, image);
      this.#places[index].root.toggleAttribute('data-final', !running);
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
}

function makePlace() {
  const root = Object.assign(document.createElement('span'), { className: 'letter' });
  const canvas = makeCanvas();
  root.append(canvas);
  return { root, canvas };
}
