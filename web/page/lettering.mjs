// "Your word": a text in one of twelve styles, each letter from the same noise. All twelve of them, and how letters are spaced
// by their shapes (styles.mjs), come after the first word is there.

import { FIRST_STYLE, seedOf } from './address.mjs';
import { element, isCalm, setText } from './elements.mjs';
import { fetchPart } from './fetch_more.mjs';
import { STAND_IN, firstOf } from './first.mjs';
import { fail } from './messages.mjs';
import { imageOfState } from './paint.mjs';
import { requestOf } from './settings.mjs';
import { Word, isAlphabet, lackOf, spell } from './word.mjs';

/** What a model without a word of its own begins with. */
const FIRST_LETTERS = 3;

/** @typedef {import('./address.mjs').Style} Style */

/** @param {ReadonlyArray<string>} labels */
const labelsAreDigits = (labels) => labels.every((label) => /^\d$/.test(label));

export class Lettering {
  #app;
  #board;
  #word = new Word();
  /** @type {number[]} */
  #wanted = []; // class numbers, on the board
  #key = ''; // the settings that the letters on show were drawn with, as text
  /** @type {Map<string, string>} */
  #texts = new Map(); // of the visitor, by tab
  #tab = '';
  /** @type {Style} */
  style = FIRST_STYLE;
  /** Letters drawn under the settings on show, by style and class. @type {Map<string, import('../index.d.ts').Picture>} */
  drawn = new Map();
  /** @type {import('./styles.mjs').Styles | null} */
  styles = null;
  #isFetching = false;
  /** Of the first style, as the view has it. @type {Omit<import('./settings.mjs').Settings, 'count' | 'label'> | null} */
  settings = null;

  /** @param {import('../page.mjs').App} app */
  constructor(app) {
    this.#app = app;
    this.#board = app.studio.addBoard({
      onStep: (index, { state, preview }) => {
        if (!isCalm()) this.#paint(index, state ? imageOfState(state, app.model.info) : preview, false, true);
      },
      onPicture: (index, picture, draft, current) => {
        if (!draft && current) this.drawn.set(this.keyOf(this.#style, this.#wanted[index]), picture);
        this.#paint(index, picture, !draft);
      },
      onReport: (report) => {
        element('word').dataset.state = report.state;
        app.report('word', report);
        if (report.state === 'done') this.#finish();
      },
      state: true,
    });
    element('word-rows').append(this.#word.root);
    element('word-text').oninput = () => {
      this.#texts.set(this.#tab, element('word-text').value);
      app.show(app.settings);
    };
  }

  get board() {
    return this.#board;
  }

  /** Whether the model has words. */
  get usable() {
    return isAlphabet(this.#app.model.labels);
  }

  /** Text for the address; null if it is not on show, or beside other things and nobody has chosen it. @returns {string | null} */
  get text() {
    const { part } = this.#app;
    const text = element('word-text').value;
    return this.usable && (part === 'word' || (part === 'grid' && text !== this.#firstText())) ? text : null;
  }

  /** What a link asks for. @param {string} tab that it leads to @param {string} text @param {Style} style */
  take(tab, text, style) {
    this.#texts.set(tab, text);
    this.style = style;
    element('word-text').value = text;
  }

  /** What is on show: in the Lab the style of the chosen picture. @returns {Style} */
  get #style() {
    const { part, pictures } = this.#app;
    return part === 'word' ? this.style : { ...FIRST_STYLE, chosen: part === 'grid' ? pictures.chosen : 0 };
  }

  /** Seed of the style on show. */
  get seed() {
    return (this.settings?.seed ?? 0) + this.#style.chosen;
  }

  /** Seed that the style on show moves towards. */
  get #toSeed() {
    const { other, toSeed } = this.#style;
    return seedOf(other, this.settings?.seed ?? 0, toSeed);
  }

  /** @param {Style} style @param {number} label */
  keyOf = ({ chosen, other, between, toSeed }, label) => `${between ? [chosen, other, toSeed, between] : chosen}/${label}`;

  /** How a letter of a style is drawn. @param {Style} style @param {number} label */
  requestOf({ chosen, other, between, toSeed }, label) {
    const settings = /** @type {NonNullable<Lettering['settings']>} */ (this.settings);
    const request = requestOf({ ...settings, label }, chosen);
    return between ? { ...request, variationSeed: seedOf(other, settings.seed, toSeed), variationStrength: between } : request;
  }

  /** Another model: nothing of what is there is its own. */
  use() {
    this.#tab = this.#app.view.tab;
    this.#key = '';
    this.drawn.clear();
    this.#word.clear();
    this.styles?.clear();
    element('word').hidden = element('word-save').hidden = !this.usable;
    element('poster-open').disabled = !this.usable || this.#app.standIn || this.#app.model.info.channels !== 1;
    element('word-title').textContent = this.usable && labelsAreDigits(this.#app.model.labels) ? 'Your number' : 'Your word';
    if (this.usable) element('word-text').value = this.#texts.get(this.#tab) ?? this.#firstText();
  }

  #firstText() {
    const { labels } = this.#app.model;
    return firstOf(this.#tab)?.word ?? labels.slice(0, FIRST_LETTERS).join('');
  }

  /** @param {import('./settings.mjs').Settings} settings of the first style @param {{ draft?: boolean }} [how] */
  draw({ count: _count, label: _label, ...settings }, { draft = false } = {}) {
    const { model, view, standIn } = this.#app;
    element('word').hidden = !this.usable || view.drawing;
    const key = JSON.stringify(settings);
    if (key !== this.#key) this.drawn.clear();
    this.#key = key;
    this.settings = settings;
    this.styles?.rest();
    if (element('word').hidden) return this.#board.stop();
    const { letters, missing } = spell(standIn ? STAND_IN.word : element('word-text').value, model.labels);
    this.#word.markStale();
    this.#word.set(letters, model.labels);
    setText(element('word-hint'), this.#hint(letters, missing));
    const style = this.#style;
    for (const label of this.#word.lacking) {
      const picture = this.drawn.get(this.keyOf(style, label));
      if (picture) this.#word.paint(label, picture, true);
    }
    this.#wanted = this.#word.lacking;
    this.#board.show(this.#wanted.map((label) => this.requestOf(style, label)), { draft });
  }

  /** @param {ReadonlyArray<number | null>} letters @param {string[]} missing */
  #hint(letters, missing) {
    if (this.#app.standIn) return 'Digits first: the network for letters is on its way.';
    if (missing.length > 0) return lackOf(missing);
    if (letters.length === 0) return 'Type a word.';
    return this.#app.part === 'word' ? 'One seed is one style: pick one of twelve.' : 'In the style of the chosen picture.';
  }

  /** @param {number} index @param {import('./paint.mjs').Image} image @param {boolean} final */
  #paint(index, image, final, running = false) {
    element('strip').hidden = true;
    this.#word.paint(this.#wanted[index], image, final, running);
  }

  /** The word is there in full. */
  async #finish() {
    this.#word.fit();
    if (this.styles) return this.styles.draw();
    if (this.#isFetching || this.#app.standIn) return;
    this.#isFetching = true;
    try {
      const { Styles } = await fetchPart('styles', () => import('./styles.mjs'));
      this.styles = new Styles(this.#app, this.#word);
      if (this.#board.state === 'done') this.#finish();
    } catch (error) {
      this.#isFetching = false; // the next word tries again, too
      fail(error, () => this.#finish());
    }
  }

  /** What is set, to be saved; null until all of it is there. */
  get finished() {
    const { text, letters, root } = this.#word;
    if (letters.every(({ space }) => space) || this.#word.lacking.length > 0) return null;
    const { between } = this.#style;
    const variation = between > 0 ? [`to${this.#toSeed}`, `by${between}`] : [];
    return { text, letters, variation, box: { width: root.clientWidth, height: root.clientHeight } };
  }
}
