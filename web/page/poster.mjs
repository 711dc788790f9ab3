// A text of any length as it is printed: letters by their own widths, lines that wrap, a style between two, any size, as
// picture, outlines or font. Fetched when somebody opens it.

import { contoursOf } from '../outlines/contours.mjs';
import { Spacing, shapeOf } from '../outlines/spacing.mjs';
import { pathOf, writeSVG } from '../outlines/svg.mjs';
import { STYLES, seedOf } from './address.mjs';
import { encodeStill } from './apng.mjs';
import { element, make, makeOption, plural } from './elements.mjs';
import { fetchPart } from './fetch_more.mjs';
import { attempt, field, head } from './fields.mjs';
import { download, fileName } from './saving.mjs';
import { requestOf } from './settings.mjs';
import { recipeOfText } from './typeset.mjs';
import { lackOf, spell } from './word.mjs';

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
/** A picture has no more pixels, nor a longer side: browsers refuse larger canvases. */
const SAVED = { pixels: 2 ** 26, side: 16_384 };
const PREVIEWED = { pixels: 2 ** 22, side: 8192 };
const LONGEST_TEXT = 400;
/** In sides of the letters' pictures. */
const LEADING = 1.04;
const MARGIN = 0.25;
const LINE = { min: 2, max: 24, value: 9 };
/** Letters wait for the hand to rest. */
const REST_MILLISECONDS = 150;
/** As more.css has it. */
const PREVIEW_FAMILY = 'pocket-preview';
const SAMPLE = 'The quick brown fox jumps over 13 lazy dogs while Avatar Toy waves to 27 types of quartz';

/** Of a slider that can stand there, too. @param {number} between */
const stepOf = (between) => (Number.isInteger(Math.round(between * 1e6) / 5e4) ? '0.05' : 'any');

/** @param {string} text to begin with @param {number} seed of the first style @param {import('./address.mjs').Style} style to begin with */
function makeControls(text, seed, style) {
  const twelve = Array.from({ length: STYLES }, (_, index) => index);
  /** @param {number} chosen @param {...number} more */
  const styles = (chosen, ...more) => [...twelve, ...more].map((index) => {
    const of = seedOf(index, seed, style.toSeed);
    return Object.assign(makeOption(String(of), `seed ${of}`), { selected: index === chosen });
  });
  const slider = { type: 'range', className: 'slider' };
  const button = { type: /** @type {const} */ ('button') };
  const controls = {
    text: make('textarea', { value: text, maxLength: LONGEST_TEXT, rows: 2, spellcheck: false }),
    from: make('select', {}, ...styles(style.chosen)),
    to: make('select', {}, ...styles(style.other, ...(style.toSeed === null ? [] : [STYLES]))),
    between: make('input', { ...slider, min: '0', max: '1', step: stepOf(style.between), value: String(style.between) }),
    line: make('input', { ...slider, min: String(LINE.min), max: String(LINE.max), step: '0.5', value: String(LINE.value) }),
    width: make('select', {}, ...WIDTHS.map((width) => Object.assign(makeOption(String(width), `${width} px wide`), { selected: width === 2048 }))),
    paper: make('input', { type: 'checkbox', checked: true }),
    canvas: make('canvas', { width: 1, height: 1, className: 'poster-canvas' }),
    says: make('p', { className: 'hint' }),
    progress: make('span', { className: 'hint' }), // not for screen readers, which hear the beginning and the end
    png: make('button', { ...button, textContent: 'Save PNG', disabled: true }),
    svg: make('button', { ...button, textContent: 'Save SVG', disabled: true }),
    font: make('button', { ...button, textContent: 'Make a font' }),
    saveFont: make('button', { ...button, textContent: 'Save font', hidden: true }),
    sample: make('p', { className: 'poster-sample', hidden: true, textContent: SAMPLE }),
  };
  controls.canvas.setAttribute('role', 'img');
  controls.says.setAttribute('role', 'status');
  return controls;
}

class Poster {
  #app;
  #dialog;
  /** @type {Map<string, Letter>} by style and class */
  #letters = new Map();
  #drawing = new AbortController(); // the letters of the text
  #making = new AbortController(); // the font
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Layout | null} */
  #layout = null;
  #controls;
  /** @type {import('../font.d.ts').MadeFont | null} */
  #font = null;

  /** @param {import('../page.mjs').App} app @param {HTMLDialogElement} dialog @param {string} text to begin with */
  constructor(app, dialog, text) {
    this.#app = app;
    this.#dialog = dialog;
    this.#controls = makeControls(text, app.settings.seed, app.lettering.style);
  }

  open() {
    if (this.#dialog.open) return; // a double click
    const controls = this.#controls;
    const change = () => this.#change();
    const restyle = () => {
      this.#making.abort();
      this.#dropFont();
      change();
    };
    for (const control of [controls.text, controls.line]) control.oninput = change;
    controls.paper.onchange = change;
    controls.between.oninput = restyle;
    for (const control of [controls.from, controls.to]) control.onchange = restyle;
    controls.png.onclick = () => this.#try(() => this.#savePNG());
    controls.svg.onclick = () => this.#try(() => this.#saveSVG());
    controls.font.onclick = () => this.#try(() => this.#makeFont());
    controls.saveFont.onclick = () => this.#saveFont();
    const paper = make('label', { className: 'check' }, controls.paper, ' white paper');
    this.#dialog.replaceChildren(
      head(this.#dialog, 'poster-title', 'Poster and font'),
      make('div', { className: 'poster-sheet' }, controls.canvas),
      controls.says,
      make('div', { className: 'poster-fields' },
        field('Text', controls.text, 'poster'), field('Line length', controls.line, 'poster'),
        field('Style', controls.from, 'poster'), field('To another style', controls.between, 'poster'), field('Other style', controls.to, 'poster')),
      make('div', { className: 'buttons' }, controls.png, controls.svg, field('Size', controls.width, 'poster'), paper),
      make('div', { className: 'buttons' }, controls.font, controls.saveFont, controls.progress),
      controls.sample,
    );
    this.#dialog.onclose = () => {
      if (this.#dialog.open) return; // opened again before the event came
      this.#drawing.abort();
      this.#making.abort();
      clearTimeout(this.#timer);
      this.#dropFont();
      this.#letters.clear();
      this.#lines = [];
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
    const { between, line, png, progress, svg } = this.#controls;
    progress.textContent = '';
    png.disabled = svg.disabled = true; // until what is asked for is there
    between.setAttribute('aria-valuetext', `${Math.round(100 * between.valueAsNumber)} %`);
    line.setAttribute('aria-valuetext', `${line.value} letters`);
    this.#drawing.abort();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#try(() => this.#draw()), milliseconds);
  }

  /** @param {() => Promise<unknown>} work */
  #try(work) {
    return attempt(this.#controls.says, work);
  }

  /** @param {string} text */
  #say(text) {
    this.#controls.says.textContent = text;
  }

  async #draw() {
    const { model } = this.#app;
    const request = this.#request;
    const style = JSON.stringify(request);
    /** @type {Array<ReturnType<typeof spell>>} */
    const spelled = this.#controls.text.value.trim().split('\n').map((line) => spell(line, model.labels));
    const letters = spelled.flatMap((line) => line.letters);
    const missing = [...new Set(spelled.flatMap((line) => line.missing))];
    this.#drawing = new AbortController();
    const { signal } = this.#drawing;
    const lacking = [...new Set(letters.flatMap((label) => (label !== null && !this.#letters.has(style + label) ? [label] : [])))];
    let done = 0;
    if (lacking.length > 0) {
      this.#say(`Drawing ${lacking.length} letters …`);
      for await (const picture of model.generateMany({ ...request, label: lacking, count: 1, signal })) {
        this.#letters.set(style + lacking[done++], { picture, shape: shapeOf(picture), contours: contoursOf(picture) });
        signal.throwIfAborted();
        this.#controls.progress.textContent = `Drawing letters: ${done} of ${lacking.length}`;
      }
      this.#controls.progress.textContent = '';
    }
    signal.throwIfAborted();
    this.#say(missing.length > 0 ? lackOf(missing) : letters.length === 0 ? 'Type a text.' : '');
    /** @param {number | null} label */
    const letterOf = (label) => (label === null ? null : this.#letters.get(style + label) ?? null);
    this.#lines = spelled.map((line) => line.letters.map(letterOf));
    this.#show();
  }

  /** Letters of each line of the text, null for spaces. @type {Array<Array<Letter | null>>} */
  #lines = [];

  /** Lines of the letters that are there. */
  #show() {
    const { canvas, line, paper, png, svg, text } = this.#controls;
    const side = this.#app.model.info.height;
    /** @param {Letter | null} letter */
    const shapeIn = (letter) => letter?.shape ?? null;
    const spacing = new Spacing(/** @type {Shape[]} */ ([...new Set(this.#lines.flat().map(shapeIn))].filter(Boolean)), side);
    const lines = this.#lines.flatMap((letters) => {
      const broken = spacing.breakLines(letters.map(shapeIn), line.valueAsNumber * side);
      return broken.length > 0 ? broken.map(([begin, end]) => letters.slice(begin, end)) : [[]];
    });
    const empty = lines.every((letters) => letters.length === 0);
    png.disabled = svg.disabled = empty;
    this.#layout = null;
    if (empty) {
      canvas.width = canvas.height = 1;
      canvas.setAttribute('aria-label', 'No text yet');
      return;
    }
    const margin = MARGIN * side;
    let widest = 0;
    const placed = lines.flatMap((set, row) => {
      if (set.length === 0) return [];
      const { places, width } = spacing.line(set.map(shapeIn));
      widest = Math.max(widest, width);
      return set.flatMap((letter, index) => (letter?.shape ?
        [{ contours: letter.contours, x: places[index] + margin, y: margin + row * LEADING * side }] : []));
    });
    this.#layout = { width: widest + 2 * margin, height: ((lines.length - 1) * LEADING + 1) * side + 2 * margin, placed };
    this.#paint(canvas, PREVIEW_WIDTH, PREVIEWED, true);
    canvas.parentElement?.toggleAttribute('data-transparent', !paper.checked);
    canvas.setAttribute('aria-label', `The text ${text.value}, in generated letters, ${plural(lines.length, 'line')}`);
  }

  /**
   * As wide as is wished, or as the limits allow.
   * @param {HTMLCanvasElement} canvas @param {number} width @param {{ pixels: number, side: number }} most @param {boolean} onPaper
   */
  #paint(canvas, width, most, onPaper) {
    const { width: from, height, placed } = /** @type {Layout} */ (this.#layout);
    const factor = Math.min(width / from, most.side / height, Math.sqrt(most.pixels / (from * height)));
    Object.assign(canvas, { width: Math.max(1, Math.round(from * factor)), height: Math.round(height * factor) });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }));
    context.fillStyle = '#fff';
    if (onPaper) context.fillRect(0, 0, canvas.width, canvas.height);
    context.scale(factor, factor);
    context.fillStyle = '#000';
    context.fill(new Path2D(pathOf(placed)), 'evenodd');
    return context;
  }

  get #recipe() {
    const letters = /** @type {Letter[]} */ (this.#lines.flat().filter(Boolean));
    return recipeOfText(letters.map(({ picture }) => picture), this.#controls.text.value);
  }

  get #name() {
    const { text, from, between, to } = this.#controls;
    const variation = between.valueAsNumber > 0 ? [`to${to.value}`, `by${between.value}`] : [];
    return [text.value.trim().slice(0, 40), `seed${from.value}`, ...variation];
  }

  async #savePNG() {
    const { width, paper } = this.#controls;
    const canvas = document.createElement('canvas');
    const { data } = this.#paint(canvas, Number(width.value), SAVED, paper.checked).getImageData(0, 0, canvas.width, canvas.height);
    const channels = paper.checked ? 1 : 2;
    const pixels = new Uint8Array(canvas.width * canvas.height * channels);
    for (let index = 0; index < pixels.length / channels; index++) {
      pixels[index * channels] = data[index * 4];
      if (channels === 2) pixels[index * 2 + 1] = data[index * 4 + 3];
    }
    const file = await encodeStill({ width: canvas.width, height: canvas.height, channels, pixels }, this.#recipe);
    this.#save(file, fileName(this.#name), `, ${canvas.width} × ${canvas.height} pixels`);
  }

  async #saveSVG() {
    const { width, height, placed } = /** @type {Layout} */ (this.#layout);
    const svg = writeSVG({ width, height }, placed, { title: this.#controls.text.value, recipe: this.#recipe });
    this.#save(new Blob([svg], { type: 'image/svg+xml' }), fileName(this.#name, 'svg'));
  }

  /** @param {Blob} blob @param {string} name @param {string} [about] */
  #save(blob, name, about = '') {
    download(blob, name);
    this.#say(`Saved ${name}${about}`);
  }

  async #makeFont() {
    const { font, saveFont, sample, progress } = this.#controls;
    const { signal } = this.#making = new AbortController();
    const { model } = this.#app;
    const request = this.#request;
    font.disabled = true;
    this.#dropFont();
    this.#say('Drawing the font …');
    try {
      const { makeFont } = await fetchPart('make_font', () => import('./make_font.mjs'));
      signal.throwIfAborted();
      const made = await makeFont(model, {
        ...request, signal, onProgress: ({ done, total }) => { progress.textContent = `Drawing the font: ${done} of ${total} letters`; },
      });
      signal.throwIfAborted();
      const face = await new FontFace(PREVIEW_FAMILY, made.bytes).load();
      signal.throwIfAborted();
      this.#font = made;
      document.fonts.add(face);
      sample.hidden = saveFont.hidden = false;
      this.#say(`${made.family}: ${made.glyphs} letters, ${Math.round(made.bytes.length / 1000)} kB. Below it sets a paragraph.`);
    } finally {
      progress.textContent = '';
      font.disabled = false;
    }
  }

  /** Of a style that is no longer on show. */
  #dropFont() {
    const { saveFont, sample } = this.#controls;
    this.#font = null;
    sample.hidden = saveFont.hidden = true;
    for (const face of document.fonts) if (face.family === PREVIEW_FAMILY) document.fonts.delete(face);
  }

  #saveFont() {
    const { bytes, family } = /** @type {import('../font.d.ts').MadeFont} */ (this.#font);
    this.#save(new Blob([bytes], { type: 'font/otf' }), fileName([family], 'otf'));
  }
}

/** @param {import('../page.mjs').App} app @param {string} [text] to begin with */
export const open = (app, text = element('word-text').value) => new Poster(app, element('poster'), text).open();
