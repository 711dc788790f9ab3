// A text of any length as it is printed: letters by their own widths, lines that wrap, a style between two, any size, as
// picture, outlines or font. Fetched when somebody opens it.

import { contoursOf } from '../outlines/contours.mjs';
import { Spacing, shapeOf } from '../outlines/spacing.mjs';
import { pathOf, writeSVG } from '../outlines/svg.mjs';
import { encodeStill } from './apng.mjs';
import { announce, setStatus } from './messages.mjs';
import { explain } from './errors.mjs';
import { download, fileName } from './saving.mjs';
import { requestOf } from './settings.mjs';
import { spell } from './word.mjs';

/**
 * @typedef {import('../index.d.ts').Picture} Picture
 * @typedef {import('../outlines/spacing.mjs').Shape} Shape
 * @typedef {{ picture: Picture, shape: Shape | null, contours: import('../outlines/contours.mjs').Contour[] }} Letter
 * @typedef {{ width: number, height: number, placed: import('../outlines/svg.mjs').Placed[] }} Layout in pixels of the letters' pictures
 */

/** Widths of saved pictures, in pixels. */
const WIDTHS = [1024, 2048, 4096, 8192];
/** Of what is on show. */
const PREVIEW_WIDTH = 1600;
/** A picture has no more pixels: some telephones refuse larger canvases. */
const MOST_PIXELS = 2 ** 26;
const LONGEST_TEXT = 400;
/** In sides of the letters' pictures. */
const LEADING = 1.04;
const MARGIN = 0.25;
const LINE = { min: 2, max: 24, value: 9 };
/** Styles to begin from, and to go to. */
const STYLES = 12;
/** Letters wait for the hand to rest. */
const REST_MILLISECONDS = 150;
/** Letters of a recipe's sheet in a row. */
const COLUMNS = 16;
const SAMPLE = 'The quick brown fox jumps over 13 lazy dogs while Avatar Toy waves to 27 types of quartz';

/** @template {keyof HTMLElementTagNameMap} Name @param {Name} name @param {Record<string, unknown>} [properties] @param {...(Node | string)} children */
function make(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

/** @param {string} text @param {HTMLElement} control @param {string} [id] */
function field(text, control, id = `poster-${text.toLowerCase().replace(/\W+/g, '-')}`) {
  control.id = id;
  return make('div', { className: 'field' }, make('label', { htmlFor: id, textContent: text }), control);
}

export class Poster {
  #app;
  #dialog;
  /** @type {Map<string, Letter>} by style and class */
  #letters = new Map();
  /** @type {AbortController} */
  #drawing = new AbortController();
  /** @type {any} of setTimeout */
  #timer;
  /** @type {Layout | null} */
  #layout = null;
  /** @type {Record<string, any>} controls by name */
  #controls = {};
  /** @type {import('../font.d.ts').MadeFont | null} */
  #font = null;

  /** @param {import('../page.mjs').App} app @param {HTMLDialogElement} dialog */
  constructor(app, dialog) {
    this.#app = app;
    this.#dialog = dialog;
  }

  /** @param {string} text to begin with */
  open(text) {
    const { seed } = this.#app.lettering;
    /** @param {number} chosen */
    const styles = (chosen) => Array.from({ length: STYLES }, (_, index) =>
      make('option', { value: String(seed + index), textContent: `seed ${seed + index}`, selected: index === chosen }));
    const change = () => this.#change();
    const controls = this.#controls = {
      text: make('textarea', { value: text, maxLength: LONGEST_TEXT, rows: 2, spellcheck: false, oninput: change }),
      from: make('select', { onchange: change }, ...styles(0)),
      to: make('select', { onchange: change }, ...styles(1)),
      between: make('input', { type: 'range', className: 'slider', min: '0', max: '1', step: '0.05', value: '0', oninput: change }),
      line: make('input', { type: 'range', className: 'slider', min: String(LINE.min), max: String(LINE.max), step: '0.5', value: String(LINE.value), oninput: () => this.#show() }),
      width: make('select', {}, ...WIDTHS.map((width) => make('option', { value: String(width), textContent: `${width} px wide`, selected: width === 2048 }))),
      paper: make('input', { type: 'checkbox', checked: true, onchange: () => this.#show() }),
      canvas: make('canvas', { width: 1, height: 1, className: 'poster-canvas' }),
      says: make('p', { className: 'hint' }),
      png: make('button', { type: 'button', textContent: 'Save PNG', disabled: true, onclick: () => this.#try(() => this.#savePNG()) }),
      svg: make('button', { type: 'button', textContent: 'Save SVG', disabled: true, onclick: () => this.#try(() => this.#saveSVG()) }),
      font: make('button', { type: 'button', textContent: 'Make a font', onclick: () => this.#try(() => this.#makeFont()) }),
      saveFont: make('button', { type: 'button', textContent: 'Save font', hidden: true, onclick: () => this.#saveFont() }),
      sample: make('p', { className: 'poster-sample', hidden: true, textContent: SAMPLE }),
    };
    controls.canvas.setAttribute('role', 'img');
    controls.says.setAttribute('role', 'status');
    const close = make('button', { type: 'button', textContent: 'Close', onclick: () => this.#dialog.close() });
    const paper = make('label', { className: 'check' }, controls.paper, ' white paper');
    this.#dialog.replaceChildren(
      make('div', { className: 'wall-head' }, make('h2', { id: 'poster-title', textContent: 'Poster and font' }), close),
      make('div', { className: 'poster-sheet' }, controls.canvas),
      controls.says,
      make('div', { className: 'poster-fields' },
        field('Text', controls.text), field('Line length', controls.line),
        field('Style', controls.from), field('To another style', controls.between), field('Other style', controls.to)),
      make('div', { className: 'buttons' }, controls.png, controls.svg, field('Size', controls.width), paper),
      make('div', { className: 'buttons' }, controls.font, controls.saveFont),
      controls.sample,
    );
    this.#dialog.onclose = () => {
      this.#drawing.abort();
      clearTimeout(this.#timer);
      this.#dialog.replaceChildren();
    };
    this.#dialog.showModal();
    this.#change(0);
  }

  /** How letters are drawn now, without their class. */
  get #request() {
    const { from, to, between } = this.#controls;
    const { label: _label, ...request } = requestOf({ ...this.#app.settings, seed: Number(from.value) });
    const strength = between.valueAsNumber;
    return strength > 0 ? { ...request, variationSeed: Number(to.value), variationStrength: strength } : request;
  }

  #change(milliseconds = REST_MILLISECONDS) {
    this.#drawing.abort();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#try(() => this.#draw()), milliseconds);
  }

  /** What goes wrong is said in the dialog, which covers the page's box. @param {() => Promise<unknown>} work */
  async #try(work) {
    try {
      await work();
    } catch (/** @type {any} */ error) {
      if (error?.name !== 'AbortError' && error?.code !== 'CLOSED') this.#say(explain(error).sentence);
    }
  }

  /** @param {string} text */
  #say(text) {
    this.#controls.says.textContent = text;
  }

  async #draw() {
    const { model } = this.#app;
    const request = this.#request;
    const style = JSON.stringify(request);
    const { letters, missing } = spell(this.#controls.text.value, model.labels);
    this.#drawing = new AbortController();
    const { signal } = this.#drawing;
    const lacking = [...new Set(letters.flatMap((label) => (label !== null && !this.#letters.has(style + label) ? [label] : [])))];
    let done = 0;
    if (lacking.length > 0) {
      this.#say(`Drawing ${lacking.length} letters …`);
      for await (const picture of model.generateMany({ ...request, label: lacking, count: 1, signal })) {
        this.#letters.set(style + lacking[done++], { picture, shape: shapeOf(picture), contours: contoursOf(picture) });
        this.#say(`Drawing letters: ${done} of ${lacking.length}`);
      }
    }
    signal.throwIfAborted();
    this.#say(missing.length > 0 ? `This model has no ${missing.map((each) => `“${each}”`).join(', ')}.` : letters.length === 0 ? 'Type a text.' : '');
    this.#set = letters.map((label) => (label === null ? null : this.#letters.get(style + label) ?? null));
    this.#show();
  }

  /** Letters of the text, null for spaces. @type {Array<Letter | null>} */
  #set = [];

  /** Lines of the letters that are there. */
  #show() {
    const { canvas, line, paper, png, svg, text } = this.#controls;
    const side = this.#app.model.info.height;
    const shapes = this.#set.map((letter) => letter?.shape ?? null);
    const spacing = new Spacing(/** @type {Shape[]} */ ([...new Set(shapes)].filter(Boolean)), side);
    const lines = spacing.breakLines(shapes, line.valueAsNumber * side);
    png.disabled = svg.disabled = lines.length === 0;
    this.#layout = null;
    if (lines.length === 0) return;
    const margin = MARGIN * side;
    let widest = 0;
    const placed = lines.flatMap(([begin, end], row) => {
      const { places, width } = spacing.line(shapes.slice(begin, end));
      widest = Math.max(widest, width);
      return this.#set.slice(begin, end).flatMap((letter, index) => (letter?.shape ?
        [{ contours: letter.contours, x: places[index] + margin, y: margin + row * LEADING * side }] : []));
    });
    this.#layout = { width: widest + 2 * margin, height: ((lines.length - 1) * LEADING + 1) * side + 2 * margin, placed };
    this.#paint(canvas, PREVIEW_WIDTH, true);
    canvas.parentElement?.toggleAttribute('data-transparent', !paper.checked);
    canvas.setAttribute('aria-label', `The text ${text.value}, in generated letters, ${lines.length === 1 ? 'one line' : `${lines.length} lines`}`);
  }

  /** @param {HTMLCanvasElement} canvas @param {number} width @param {boolean} onPaper */
  #paint(canvas, width, onPaper) {
    const { width: from, height, placed } = /** @type {Layout} */ (this.#layout);
    const factor = Math.min(width / from, Math.sqrt(MOST_PIXELS / (from * height)));
    Object.assign(canvas, { width: Math.round(from * factor), height: Math.round(height * factor) });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }));
    context.fillStyle = '#fff';
    if (onPaper) context.fillRect(0, 0, canvas.width, canvas.height);
    context.scale(factor, factor);
    context.fillStyle = '#000';
    context.fill(new Path2D(pathOf(placed)), 'evenodd');
    return context;
  }

  /** Of a sheet of the letters, which the command line makes again. */
  get #recipe() {
    const letters = /** @type {Letter[]} */ (this.#set.filter(Boolean));
    const labels = letters.map(({ picture }) => picture.options.label);
    return { ...letters[0].picture.recipe, sheet: { labels, count: 1, columns: Math.min(labels.length, COLUMNS) } };
  }

  get #name() {
    return [this.#controls.text.value.trim().slice(0, 40), `seed${this.#controls.from.value}`];
  }

  async #savePNG() {
    const { width, paper } = this.#controls;
    const canvas = document.createElement('canvas');
    const { data } = this.#paint(canvas, Number(width.value), paper.checked).getImageData(0, 0, canvas.width, canvas.height);
    const channels = paper.checked ? 1 : 2;
    const pixels = new Uint8Array(canvas.width * canvas.height * channels);
    for (let index = 0; index < pixels.length / channels; index++) {
      pixels[index * channels] = data[index * 4];
      if (channels === 2) pixels[index * 2 + 1] = data[index * 4 + 3];
    }
    this.#save(await encodeStill({ width: canvas.width, height: canvas.height, channels, pixels }, this.#recipe), fileName(...this.#name));
  }

  async #saveSVG() {
    const { width, height, placed } = /** @type {Layout} */ (this.#layout);
    const svg = writeSVG({ width, height }, placed, { title: this.#controls.text.value, recipe: this.#recipe });
    this.#save(new Blob([svg], { type: 'image/svg+xml' }), fileName(...this.#name).replace(/png$/, 'svg'));
  }

  /** @param {Blob} blob @param {string} name */
  #save(blob, name) {
    download(blob, name);
    this.#say(`Saved ${name}`);
    setStatus(`Saved ${name}`);
    announce('Saved.');
  }

  async #makeFont() {
    const { font, saveFont, sample } = this.#controls;
    font.disabled = true;
    try {
      const { makeFont } = await import('./make_font.mjs');
      this.#drawing.abort();
      this.#drawing = new AbortController();
      this.#font = await makeFont(this.#app.model, {
        ...this.#request, signal: this.#drawing.signal,
        onProgress: ({ done, total }) => this.#say(`Drawing the font: ${done} of ${total} letters`),
      });
      const { bytes, family, glyphs } = this.#font;
      const face = await new FontFace('pocket-preview', bytes).load();
      for (const other of document.fonts) if (other.family === face.family) document.fonts.delete(other);
      document.fonts.add(face);
      sample.hidden = saveFont.hidden = false;
      this.#say(`${family}: ${glyphs} letters, ${Math.round(bytes.length / 1000)} kB. Below it sets a paragraph.`);
    } finally {
      font.disabled = false;
    }
  }

  #saveFont() {
    const { bytes, family } = /** @type {import('../font.d.ts').MadeFont} */ (this.#font);
    this.#save(new Blob([bytes], { type: 'font/otf' }), fileName(family).replace(/png$/, 'otf'));
  }
}
