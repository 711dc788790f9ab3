// "Your word": a text in several styles, each letter of a line from the same noise.

import { element, isCalm, setText } from './elements.mjs';
import { STAND_IN, firstOf } from './first.mjs';
import { imageOfState } from './paint.mjs';
import { requestOf } from './settings.mjs';
import { Word, isAlphabet, lackOf, spell } from './word.mjs';

/** Styles side by side where they are the only thing to see. */
const LINES = 4;
/** Squares that a line has beside another one. */
const LONG = 5.5;
/** What a model without a word of its own begins with. */
const FIRST_LETTERS = 3;

/** @param {ReadonlyArray<string>} labels */
const labelsAreDigits = (labels) => labels.every((label) => /^\d$/.test(label));

export class Lettering {
  #app;
  #board;
  /** @type {Word[]} */
  #lines = [];
  /** @type {Array<{ line: Word, label: number }>} on the board */
  #wanted = [];
  #style = ''; // the settings that the letters on show were drawn with, as text
  /** @type {Map<string, string>} */
  #texts = new Map(); // of the visitor, by tab
  #tab = '';
  /** Of the first line. */
  seed = 0;

  /** @param {import('../page.mjs').App} app */
  constructor(app) {
    this.#app = app;
    this.#board = app.studio.addBoard({
      onStep: (index, { state, preview }) => {
        if (!isCalm()) this.#paint(index, state ? imageOfState(state, app.model.info) : preview, false);
      },
      onPicture: (index, picture, draft) => this.#paint(index, picture, !draft),
      onReport: (report) => {
        element('word').dataset.state = report.state;
        app.report('word', report);
      },
      state: true,
    });
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

  /** The text of a link. @param {string} text */
  set text(text) {
    this.#texts.set(this.#app.view.tab, text);
    element('word-text').value = text;
  }

  /** Another model: nothing of what is there is its own. */
  use() {
    this.#tab = this.#app.view.tab;
    this.#style = '';
    this.#lines.forEach((line) => line.clear());
    element('word').hidden = element('word-save').hidden = !this.usable;
    element('poster-open').disabled = !this.usable || this.#app.standIn || this.#app.model.info.channels !== 1;
    element('word-title').textContent = this.usable && labelsAreDigits(this.#app.model.labels) ? 'Your number' : 'Your word';
    if (this.usable) element('word-text').value = this.#texts.get(this.#tab) ?? this.#firstText();
  }

  #firstText() {
    const { labels } = this.#app.model;
    return firstOf(this.#tab)?.word ?? labels.slice(0, FIRST_LETTERS).join('');
  }

  /** @param {import('./settings.mjs').Settings} settings of the first line @param {{ draft?: boolean }} [how] */
  draw({ count: _count, label: _label, ...settings }, { draft = false } = {}) {
    const { model, view, standIn } = this.#app;
    element('word').hidden = !this.usable || view.drawing;
    if (element('word').hidden) return this.#board.stop();
    this.seed = settings.seed;
    this.#makeLines(view.inPlay ? LINES : 1);
    const text = standIn ? STAND_IN.word : element('word-text').value;
    const { letters, missing } = spell(text, model.labels);
    for (const line of this.#lines) line.set(letters, model.labels);
    element('word-rows').toggleAttribute('data-long', this.#lines[0].length > LONG);
    setText(element('word-hint'), this.#hint(letters, missing));
    if (JSON.stringify(settings) !== this.#style) this.#lines.forEach((line) => line.markStale());
    this.#style = JSON.stringify(settings);
    this.#wanted = this.#lines.flatMap((line) => line.lacking.map((label) => ({ line, label })));
    this.#board.show(this.#wanted.map(({ line, label }) => requestOf({ ...settings, label }, this.#lines.indexOf(line))), { draft });
  }

  /** @param {ReadonlyArray<number | null>} letters @param {string[]} missing */
  #hint(letters, missing) {
    if (this.#app.standIn) return 'Digits first: the network for letters is on its way.';
    if (missing.length > 0) return lackOf(missing);
    return letters.length === 0 ? 'Type a word.' : 'Each line is one seed, one style.';
  }

  /** @param {number} count */
  #makeLines(count) {
    if (this.#lines.length === count) return;
    this.#style = '';
    while (this.#lines.length < count) this.#lines.push(new Word());
    this.#lines.length = count;
    element('word-rows').replaceChildren(...this.#lines.map(({ root }) => root));
  }

  /** @param {number} index @param {import('./paint.mjs').Image} image @param {boolean} final */
  #paint(index, image, final) {
    const { line, label } = this.#wanted[index];
    element('strip').hidden = true;
    line.paint(label, image, final);
  }

  /** What is set, to be saved. @returns {{ text: string, lines: import('./sheet.mjs').Letter[][] } | null} null until all of it is there */
  get finished() {
    const lines = this.#lines.flatMap(({ line }) => (line ? [line] : []));
    return lines.length > 0 && lines.length === this.#lines.length ? { text: this.#lines[0].text, lines } : null;
  }
}
