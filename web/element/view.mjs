// The shadow tree of one element. It shows what it is told; it knows neither models nor attributes.

import { toRGBA } from '../library/rgba.mjs';
import { emptySheet, styleSheet } from './style.mjs';

const SVG = 'http://www.w3.org/2000/svg';
const DICE = 'M6 3h12a3 3 0 0 1 3 3v12a3 3 0 0 1-3 3H6a3 3 0 0 1-3-3V6a3 3 0 0 1 3-3zM7.9 7.9h.2v.2h-.2zM15.9 15.9h.2v.2h-.2zM11.9 11.9h.2v.2h-.2z';
const SAVE = 'M12 4v11m-5-5 5 5 5-5M5 20h14';

/** Range of the slider; a larger scale than that widens it. */
const SLIDER_MAX = 10;

// Small pictures that change often are quicker in plain memory than on the graphics card.
/** @type {CanvasRenderingContext2DSettings} */
const CONTEXT = { willReadFrequently: true };

/**
 * An HTML element. Properties that it has are set, the others become attributes.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Record<string, any>} [properties] @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function make(tag, properties = {}, ...children) {
  /** @type {any} */
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** @param {string} path */
function icon(path) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const shape = document.createElementNS(SVG, 'path');
  shape.setAttribute('d', path);
  svg.append(shape);
  return svg;
}

/** @param {string} part @param {string} title @param {string} path @param {() => void} onclick */
const iconButton = (part, title, path, onclick) =>
  make('button', { type: 'button', className: 'icon', part: `button ${part}`, title, 'aria-label': title, onclick }, icon(path));

/**
 * @typedef {object} Actions what people can do
 * @property {() => void} onStart @property {() => void} onRetry @property {() => void} onReroll @property {() => void} onSave
 * @property {(scale: number) => void} onSlide while the slider moves @property {() => void} onSlid when it is let go
 */

export class View {
  #root;
  /** @type {CSSStyleSheet | null} */
  #geometry = null; // a constructed one, for style attributes are not allowed everywhere
  #proportions = '';
  #grid = make('div', { className: 'grid', part: 'grid' });
  #poster = make('img', { className: 'poster', part: 'poster', alt: '', decoding: 'async', loading: 'lazy', hidden: true });
  #note = make('p', { className: 'note', part: 'status', hidden: true });
  #spoken = make('p', { className: 'spoken', role: 'status' });
  #progress = make('progress', { part: 'progress', hidden: true, 'aria-label': 'Progress' });
  #pill = make('span', { className: 'pill', part: 'start-text' });
  #start;
  #sentence = make('p', { className: 'sentence' });
  #detail = make('p', { className: 'detail' });
  #error;
  #stage;
  #slider;
  #scale;
  #output;
  #controls;
  #save;

  /** @param {ShadowRoot} root @param {Actions} actions */
  constructor(root, { onStart, onRetry, onReroll, onSave, onSlide, onSlid }) {
    this.#start = make('button', { type: 'button', className: 'start', part: 'start', hidden: true, onclick: onStart }, this.#pill);
    const retry = make('button', { type: 'button', className: 'retry', part: 'button retry', onclick: onRetry }, 'Try again');
    this.#error = make('div', { className: 'error', part: 'error', role: 'alert', hidden: true }, this.#sentence, this.#detail, retry);
    this.#stage = make('div', { className: 'stage', part: 'stage', role: 'group', 'aria-label': 'Generated picture' },
      this.#grid, this.#poster, this.#note, this.#progress, this.#start, this.#error);

    this.#slider = make('input', { type: 'range', id: 'scale', part: 'slider', min: 0, max: SLIDER_MAX, step: 0.1, value: 3 });
    this.#output = make('output', { part: 'value', htmlFor: 'scale' });
    const slide = () => {
      this.#output.value = this.#slider.valueAsNumber.toFixed(1);
      onSlide(this.#slider.valueAsNumber);
    };
    this.#slider.addEventListener('input', slide);
    this.#slider.addEventListener('change', onSlid);
    this.#save = iconButton('save', 'Save as PNG', SAVE, onSave);
    const label = make('label', { htmlFor: 'scale', part: 'label' }, 'Guidance scale');
    this.#scale = make('div', { className: 'scale' }, label, this.#output, this.#slider);
    this.#controls = make('div', { className: 'controls', part: 'controls', role: 'group', 'aria-label': 'Settings of the picture', hidden: true },
      this.#scale,
      iconButton('reroll', 'Another seed', DICE, onReroll), this.#save);
    this.#root = root;
    this.restyle();
    root.append(this.#stage, this.#controls, this.#spoken);
  }

  /** To be called when the element has come into another document: browsers leave the sheets behind. */
  restyle() {
    const { ownerDocument } = this.#root;
    if (!ownerDocument.defaultView) return; // no window shows it
    this.#geometry = emptySheet(ownerDocument);
    this.#geometry.replaceSync(this.#proportions);
    this.#root.adoptedStyleSheets = [styleSheet(ownerDocument), this.#geometry];
  }

  /** Reserves the room. @param {{ count: number, columns: number, rows: number, width: number, height: number }} layout */
  layOut({ count, columns, rows, width, height }) {
    this.#proportions = `:host { --columns: ${columns}; --rows: ${rows}; --ratio: ${columns * width} / ${rows * height}; }`;
    this.#geometry?.replaceSync(this.#proportions);
    while (this.#grid.childElementCount > count) this.#grid.lastElementChild?.remove();
    while (this.#grid.childElementCount < count) {
      this.#grid.append(make('div', { part: 'picture' }, make('canvas', { part: 'canvas', width: 1, height: 1, 'aria-hidden': 'true' })));
    }
  }

  /** @param {boolean} shown */
  showControls(shown) {
    this.#controls.hidden = !shown;
  }

  /** @param {number} scale */
  setScale(scale) {
    if (scale !== this.#slider.valueAsNumber) {
      if (scale > Number(this.#slider.max)) this.#slider.max = String(scale);
      this.#slider.value = String(scale);
    }
    this.#output.value = scale.toFixed(1);
  }

  /** The slider is for scales that the model knows, and for models that can be guided. @param {import('../index.d.ts').ModelInfo} info */
  setScales({ hasNullClass, guidanceIsInput, guidanceScaleRange: [lowest, highest] }) {
    this.#scale.hidden = !hasNullClass && !guidanceIsInput;
    this.#slider.min = String(lowest);
    this.#slider.max = String(Math.min(highest, SLIDER_MAX));
  }

  /** @param {string | null} address */
  setPoster(address) {
    this.#poster.hidden = !address;
    if (address) this.#poster.src = address;
    else this.#poster.removeAttribute('src');
  }

  /** Offers to begin. @param {string | null} label what would be drawn; null takes the offer back */
  offer(label) {
    this.#start.hidden = label === null;
    this.#pill.textContent = label === null ? '' : `Draw ${label}`.trim();
  }

  /** @param {number} loaded bytes @param {number} total 0 while unknown */
  loading(loaded, total) {
    const known = total > 0;
    if (known) this.#progress.value = loaded / total;
    else this.#progress.removeAttribute('value');
    this.#note.textContent = known ? `Loading ${Math.floor((100 * loaded) / total)} %` : 'Loading';
    this.#busy('Loading the model');
    this.#note.hidden = !this.#poster.hidden; // a poster says enough
  }

  /** @param {number} share of the work that is done, 0 .. 1 @param {{ quiet: boolean }} options quiet: nothing is spoken */
  drawing(share, { quiet }) {
    this.#note.hidden = true;
    this.#progress.value = share;
    this.#busy('Drawing', quiet);
  }

  /** @param {string} text */
  #busy(text, quiet = false) {
    this.#stage.setAttribute('aria-busy', 'true');
    this.#progress.hidden = false;
    this.#progress.setAttribute('aria-label', text);
    this.#save.disabled = true;
    this.#error.hidden = true;
    if (!quiet) this.#speak(text);
  }

  /** Each sentence once: people listen to other things, too. @param {string} text */
  #speak(text) {
    if (this.#spoken.textContent !== text) this.#spoken.textContent = text;
  }

  /** @param {number} index @returns {HTMLCanvasElement} */
  #canvasAt(index) {
    return /** @type {HTMLCanvasElement} */ (this.#grid.children[index].firstElementChild);
  }

  /**
   * @param {number} index @param {{ width: number, height: number, channels: number, pixels: Uint8Array }} image
   * @param {import('../index.d.ts').RenderingName} rendering as what pictures are enlarged; their bytes stay
   */
  paint(index, image, rendering) {
    this.#poster.hidden = true;
    this.#grid.dataset.rendering = rendering;
    const canvas = this.#canvasAt(index);
    if (canvas.width !== image.width || canvas.height !== image.height) {
      canvas.width = image.width;
      canvas.height = image.height;
    }
    canvas.getContext('2d', CONTEXT)?.putImageData(new ImageData(toRGBA(image), image.width, image.height), 0, 0);
  }

  /** @param {number} index @param {string} text instead of the picture */
  describe(index, text) {
    const canvas = this.#canvasAt(index);
    canvas.removeAttribute('aria-hidden');
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', text);
  }

  /** Nothing is under way. @param {string} [text] what to say */
  rest(text = '') {
    this.#stage.removeAttribute('aria-busy');
    this.#note.hidden = this.#progress.hidden = this.#error.hidden = true;
    this.#speak(text);
  }

  /** @param {boolean} possible */
  allowSaving(possible) {
    this.#save.disabled = !possible;
  }

  /** @param {string} sentence @param {string} detail */
  fail(sentence, detail) {
    this.rest();
    this.offer(null);
    this.#sentence.textContent = sentence;
    this.#detail.textContent = detail;
    this.#error.hidden = false;
  }
}

/** Offers bytes as a file. @param {string} name @param {Uint8Array} bytes @param {string} type */
export function saveFile(name, bytes, type) {
  const url = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (bytes)], { type }));
  make('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // Firefox reads it later
}
