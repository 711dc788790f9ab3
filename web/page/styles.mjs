// The word in twelve styles, to pick one, and a slider from that to another one. Fetched after the first word is there.

import { FIRST_STYLE, STYLES } from './address.mjs';
import { element, make, makeOption } from './elements.mjs';
import { fetchStyle } from './fetch_more.mjs';
import { Grid } from './grid.mjs';
import { setProgress, setStatus } from './messages.mjs';
import { isConsistency } from './studio.mjs';
import { layByShapes, setInPixels } from './typeset.mjs';
import { fit } from './word.mjs';

/** Before anything has been laid out: of a place for a style. */
const ROOM = { width: 3, height: 1 };

export class Styles {
  #app;
  #word;
  #grid;
  #board;
  /** @type {Array<{ style: number, label: number }>} */
  #wanted = []; // on the board
  #slider = make('input', { type: 'range', className: 'slider', id: 'style-between', min: '0', max: '1', step: '0.05' });
  #own = makeOption(String(STYLES)); // a seed beside the twelve, of a link or a file
  #other = make('select', { id: 'style-other' }, ...Array.from({ length: STYLES }, (_, index) => makeOption(String(index), `style ${index + 1}`)), this.#own);

  /** Numbers of those in sight. @type {Set<number>} */
  #visible = new Set();
  /** Those that follow a value that is dragged; none: it is not. @type {number[]} */
  #following = [];
  /** Letters of values that it had. @type {Map<string, import('../index.d.ts').Picture>} */
  #previews = new Map();

  /** @param {import('../page.mjs').App} app @param {import('./word.mjs').Word} word on show */
  constructor(app, word) {
    this.#app = app;
    this.#word = word;
    word.lay = layByShapes;
    const tiles = make('div', { className: 'grid', id: 'style-grid' });
    this.#grid = new Grid(tiles, () => this.#choose(this.#grid.chosen));
    this.#grid.resize(STYLES);
    this.#slider.oninput = () => this.#change({ between: this.#slider.valueAsNumber }, true);
    this.#other.onchange = () => this.#change({ other: Number(this.#other.value) });
    this.#board = app.studio.addBoard({
      follows: true,
      onPicture: (index, picture, draft, current) => {
        if (!draft && current) this.#take(index, picture);
        else this.preview(this.#wanted[index].style, this.#wanted[index].label, picture);
      },
      onReport: ({ state, progress, finished }) => {
        element('styles').dataset.state = state;
        if (app.part !== 'word' || app.lettering.board.working || this.#wanted.length === 0) return;
        element('stop').disabled = state !== 'working';
        setProgress(progress);
        setStatus(state === 'working' ? `Other styles … ${finished} of ${this.#wanted.length} letters` : '');
      },
    });
    element('styles').replaceChildren(
      make('fieldset', { className: 'pictures' }, make('legend', { className: 'hidden', textContent: 'Styles' }), tiles),
      make('div', { className: 'between' }, make('label', { htmlFor: 'style-between', textContent: 'Towards' }),
        make('label', { htmlFor: 'style-other', className: 'hidden', textContent: 'Another style' }), this.#other, this.#slider),
    );
    const observer = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
      this.#visible[isIntersecting ? 'add' : 'delete']([...tiles.children].indexOf(target));
    }));
    for (const tile of tiles.children) observer.observe(tile);
    fetchStyle();
  }

  get board() {
    return this.#board;
  }

  /** @param {number} style @param {number} label */
  #keyOf(style, label) {
    return this.#app.lettering.keyOf({ ...FIRST_STYLE, chosen: style }, label);
  }

  /** The one that was chosen before is the other one from now on. @param {number} chosen */
  #choose(chosen) {
    const { style } = this.#app.lettering;
    this.#change({ chosen, between: 0, other: style.chosen });
  }

  /** @param {Partial<import('./address.mjs').Style>} changes */
  #change(changes, draft = false) {
    const { lettering, settings } = this.#app;
    lettering.style = { ...lettering.style, ...changes };
    this.#app.show(settings, { draft });
  }

  /** The word on show, or its settings, change: they are drawn when it is there again. */
  rest() {
    this.#following = [];
    this.#previews.clear();
    this.#board.group = 0;
    this.#board.stop();
    this.#show();
  }

  /** Whether they follow what is being dragged: where a letter is one step, and if it is they that change. */
  get canFollow() {
    return isConsistency(this.#app.settings) && (this.#following.length > 0 || [...this.#visible].some((style) => !this.#lettersOf(style)));
  }

  /** While a value is dragged: the word in the styles in sight, in turn. What is on show large is drawn already. */
  follow() {
    const { lettering } = this.#app;
    const { chosen, between } = lettering.style;
    const labels = this.#labels;
    if (this.#following.length === 0) this.#following = [...this.#visible].filter((style) => between > 0 || style !== chosen).sort((a, b) => a - b);
    this.#board.group = labels.length;
    this.#wanted = this.#following.flatMap((style) => labels.map((label) => ({ style, label })));
    this.#board.show(this.#wanted.map(({ style, label }) => lettering.requestOf({ ...FIRST_STYLE, chosen: style }, label)), { draft: true });
  }

  /** A letter of a value that is dragged, or was. @param {number} style @param {number} label @param {import('../index.d.ts').Picture} picture */
  preview(style, label, picture) {
    if (this.#following.length === 0) return;
    this.#previews.set(this.#keyOf(style, label), picture);
    if (label === this.#labels.at(-1)) this.#paint(style, this.#previews);
  }

  /** Classes of the word, each once. */
  get #labels() {
    return [...new Set(this.#word.classes)].filter((label) => label !== null);
  }

  /** Another model. */
  clear() {
    this.#wanted = [];
    this.#board.clear();
    this.#grid.clear();
  }

  /** Where the controls stand, and which styles are there. */
  #show() {
    const { lettering, settings } = this.#app;
    const { chosen, other, between, toSeed } = lettering.style;
    this.#grid.chosen = chosen;
    this.#own.hidden = this.#own.disabled = toSeed === null;
    this.#own.textContent = `seed ${toSeed}`;
    this.#slider.value = String(between);
    this.#other.value = String(other);
    this.#slider.setAttribute('aria-valuetext', `${Math.round(100 * between)} % from style ${chosen + 1} to ${this.#other.selectedOptions[0].textContent}`);
    for (const option of this.#other.options) if (option !== this.#own) option.disabled = option.value === String(chosen);
    for (let style = 0; style < STYLES; style++) {
      this.#grid.describe(style, `Style ${style + 1}, seed ${settings.seed + style}`);
      if (!this.#lettersOf(style)) this.#grid.markStale(style);
    }
  }

  /** The word in a style; null if one of its letters is not there. @param {number} style @returns {import('./word.mjs').Letter[] | null} */
  #lettersOf(style, drawn = this.#app.lettering.drawn) {
    const letters = this.#word.classes.map((label) => ({ ...this.#word.about(label), image: (label !== null && drawn.get(this.#keyOf(style, label))) || null }));
    return letters.length > 0 && letters.every(({ image, space }) => image || space) ? letters : null;
  }

  /** Draws what is lacking, style by style. */
  draw() {
    // What follows a hand has its turns, and is drawn in full when that rests: begun in between, the first ones would be all there ever is.
    if (this.#app.part !== 'word' || this.#app.standIn || this.#following.length > 0) return;
    const { lettering } = this.#app;
    const labels = this.#labels;
    const all = Array.from({ length: STYLES }, (_, style) => style);
    this.#wanted = all.flatMap((style) => labels.flatMap((label) => (lettering.drawn.has(this.#keyOf(style, label)) ? [] : [{ style, label }])));
    if (labels.length === 0) this.#grid.clear();
    this.#show();
    for (const style of all) this.#paint(style);
    this.#board.show(this.#wanted.map(({ style, label }) => lettering.requestOf({ ...FIRST_STYLE, chosen: style }, label)));
    // What the board has from before is not drawn again.
    this.#board.slots.forEach(({ picture }, index) => picture && this.#take(index, picture));
  }

  /** @param {number} index of what is wanted @param {import('../index.d.ts').Picture} picture */
  #take(index, picture) {
    const { style, label } = this.#wanted[index];
    this.#app.lettering.drawn.set(this.#keyOf(style, label), picture);
    this.#paint(style);
  }

  /** @param {number} style as soon as all of it is there @param {Map<string, import('../index.d.ts').Picture>} drawn its letters */
  #paint(style, drawn = this.#app.lettering.drawn) {
    const letters = this.#lettersOf(style, drawn);
    if (!letters) return;
    const place = element('styles').querySelectorAll('.tile')[style];
    const room = place.clientWidth > 0 && place.clientHeight > 0 ? { width: place.clientWidth, height: place.clientHeight } : ROOM;
    this.#grid.paint(style, setInPixels(letters, fit(layByShapes, letters, room).rows));
    this.#grid.setState(style, 'done');
  }
}
