// Where the visitor draws: mouse, finger, pen or keys on a canvas of the model's size, with tools, and a mask on top.

import { adapt, cropOf } from './adapt.mjs';
import { Drawing, MASK_PRESETS, isMaskTool } from './drawing.mjs';
import { element } from './elements.mjs';
import { paint } from './paint.mjs';
import { RadioGroup } from './radios.mjs';

/** @typedef {import('./drawing.mjs').Tool} Tool */
/** @typedef {import('./drawing.mjs').Shape} Shape */
/** @typedef {import('./drawing.mjs').Point} Point */
/** @typedef {'draw' | 'mark'} Kind of tools: each has a diameter */

/** @type {ReadonlyArray<[tool: Tool, title: string]>} */
const TOOLS = [['pen', 'Pen'], ['eraser', 'Eraser'], ['mark', 'Mark'], ['unmark', 'Unmark']];
/** @type {Record<keyof typeof MASK_PRESETS, string>} */
const PRESET_TITLES = { left: 'Left half', right: 'Right half', top: 'Top half', bottom: 'Bottom half', middle: 'Middle' };
const MASK_NAMES = /** @type {Array<keyof typeof MASK_PRESETS>} */ (Object.keys(MASK_PRESETS));

/** Diameter of the tools, as shares of the picture's shorter side: as the strokes in small drawings are. */
const SIZE = { min: 1, max: 0.5, initial: 0.06, mark: 0.25 };

/** A picture is averaged down from these many pixels for each of the model's, at most: browsers differ in how they shrink. */
const MOST_SAMPLES = 8;
const MOST_SIDE = 1024;

/** Red, green, blue and alpha of what is marked. */
const MARKED = [255, 92, 40, 150];

/** Of the sheet before there is a model. */
const NO_MODEL = { width: 32, height: 32, channels: 1 };

/** Pixels that a key moves the pen, without and with Shift. */
const KEY_STEPS = [1, 4];
/** @type {Record<string, [dx: number, dy: number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Easel {
  #drawing = new Drawing(NO_MODEL, 255);
  #canvas = element('easel-canvas');
  #mask = element('easel-mask');
  #brush = element('easel-brush');
  #onChange;
  #tools;
  /** @type {Tool} */
  #tool = 'pen';
  #sizes = { draw: 2, mark: 8 }; // diameters
  /** @type {number | null} */
  #pointer = null; // id of the one that draws
  #cursor = { x: 0, y: 0 }; // of the keyboard, in pixels
  #penDown = false; // by a key

  /** @param {(how: { draft: boolean }) => void} onChange draft: more of the stroke is to come */
  constructor(onChange) {
    this.#onChange = onChange;
    this.#tools = new RadioGroup(element('easel-tools'), TOOLS.map(([, title]) => title), (index) => this.#take(TOOLS[index][0]));
    this.#tools.value = 0;
    element('easel-size').oninput = () => this.#resize(element('easel-size').valueAsNumber);
    element('easel-undo').onclick = () => this.#act(() => this.#drawing.undo());
    element('easel-clear').onclick = () => this.#act(() => this.#drawing.clear());
    element('easel-invert').onclick = () => this.#act(() => this.#drawing.invert());
    this.#connectPresets();
    this.#connectPointer();
    this.#connectKeys();
  }

  get drawing() {
    return this.#drawing;
  }

  /**
   * From now on drawings are of this shape; what is there is taken over.
   * @param {Shape} shape @param {number} paper
   */
  use(shape, paper) {
    const old = this.#drawing;
    this.#drawing = new Drawing(shape, paper);
    if (!old.blank) this.#drawing.replace(this.#fit(this.#canvas, shape, paper));
    const side = Math.min(shape.width, shape.height);
    this.#sizes = { draw: Math.max(2, Math.round(side * SIZE.initial)), mark: Math.max(3, Math.round(side * SIZE.mark)) };
    Object.assign(element('easel-size'), { min: SIZE.min, max: Math.max(3, Math.round(side * SIZE.max)) });
    this.#cursor = { x: Math.floor(shape.width / 2), y: Math.floor(shape.height / 2) };
    element('easel-colour').hidden = shape.channels < 3;
    element('easel-colour').value = paper === 0 ? '#ffffff' : '#000000';
    this.#canvas.setAttribute('aria-label', `Drawing, ${shape.width} by ${shape.height} pixels`);
    this.#take(this.#tool);
    this.show();
  }

  /** The paper of the model is known now; an untouched sheet follows. @param {number} paper */
  set paper(paper) {
    if (this.#drawing.paper !== paper && this.#drawing.blank && !this.#drawing.canUndo) this.use(this.#drawing.shape, paper);
  }

  /** @param {import('../index.d.ts').Picture} image of the model's own shape */
  take(image) {
    this.#act(() => this.#drawing.replace(image.pixels));
  }

  /**
   * A picture of any kind and size.
   * @param {Blob} file @returns {Promise<void>} rejects if the browser cannot read it
   */
  async open(file) {
    const bitmap = await createImageBitmap(file);
    const { shape, paper } = this.#drawing;
    this.#act(() => this.#drawing.replace(this.#fit(bitmap, shape, paper)));
    bitmap.close();
  }

  /** @param {ImageBitmap | HTMLCanvasElement} source @param {Shape} shape @param {number} paper @returns {Uint8Array} pixels of that shape */
  #fit(source, shape, paper) {
    const crop = cropOf(source, shape);
    const enlarged = crop.width / shape.width;
    const most = Math.max(1, Math.min(MOST_SAMPLES, Math.floor(MOST_SIDE / Math.max(shape.width, shape.height))));
    const factor = Math.min(Math.max(Math.ceil(enlarged), 1), most);
    const canvas = new OffscreenCanvas(shape.width * factor, shape.height * factor);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }));
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = 'high';
    context.imageSmoothingEnabled = enlarged !== factor;
    context.drawImage(source, crop.x, crop.y, crop.width, crop.height, 0, 0, canvas.width, canvas.height);
    const exact = Number.isInteger(enlarged) && crop.width === source.width && crop.height === source.height;
    return adapt(context.getImageData(0, 0, canvas.width, canvas.height).data, shape, factor, paper, exact);
  }

  // ---- tools

  /** @param {Tool} tool */
  #take(tool) {
    this.#tool = tool;
    element('easel-size').value = String(this.#sizes[this.#kind]);
    this.#showSize();
  }

  /** @returns {Kind} */
  get #kind() {
    return isMaskTool(this.#tool) ? 'mark' : 'draw';
  }

  /** @param {number} diameter */
  #resize(diameter) {
    this.#sizes[this.#kind] = diameter;
    this.#showSize();
  }

  #showSize() {
    const diameter = this.#sizes[this.#kind];
    element('easel-size-value').textContent = `${diameter} px`;
    this.#brush.style.setProperty('--diameter', `${(diameter / this.#drawing.shape.width) * 100}%`);
    this.#brush.dataset.kind = this.#kind;
  }

  /** One grey level, or red, green and blue. */
  get #colour() {
    const { shape, paper } = this.#drawing;
    if (shape.channels < 3) return [255 - paper];
    return Array.from(element('easel-colour').value.matchAll(/[0-9a-f]{2}/gi), ([digits]) => parseInt(digits, 16));
  }

  #connectPresets() {
    /** @param {string} title @param {() => void} act */
    const make = (title, act) => Object.assign(document.createElement('button'), { type: 'button', textContent: title, onclick: () => this.#act(act) });
    element('easel-presets').append(
      ...MASK_NAMES.map((name) => make(PRESET_TITLES[name], () => this.#drawing.mark(MASK_PRESETS[name]))),
      make('Swap', () => this.#drawing.swapMask()),
      make('Nothing', () => this.#drawing.mark(() => false)),
    );
  }

  /** @param {() => void} change */
  #act(change) {
    this.#lift();
    change();
    this.show();
    this.#onChange({ draft: false });
  }

  // ---- mouse, finger, pen

  #connectPointer() {
    const canvas = this.#canvas;
    canvas.onpointerdown = (event) => {
      if (this.#pointer !== null || event.button !== 0) return;
      this.#pointer = event.pointerId;
      canvas.setPointerCapture(event.pointerId);
      this.#begin(this.#pointOf(event));
    };
    canvas.onpointermove = (event) => {
      this.#showBrush(this.#pointOf(event));
      if (event.pointerId !== this.#pointer) return;
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length > 0 ? events : [event]) {
        const { x, y } = this.#pointOf(each);
        this.#drawing.moveTo(x, y);
      }
      this.show();
      this.#onChange({ draft: true });
    };
    canvas.onpointerup = canvas.onpointercancel = canvas.onlostpointercapture = (event) => {
      if (event.pointerId !== this.#pointer) return;
      this.#pointer = null;
      this.#end();
    };
    canvas.onpointerleave = () => (this.#brush.hidden = true);
  }

  /** Where an event is, in pixels of the drawing. @param {PointerEvent} event */
  #pointOf({ clientX, clientY }) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    const { shape } = this.#drawing;
    return { x: ((clientX - left) / width) * shape.width, y: ((clientY - top) / height) * shape.height };
  }

  /** @param {Point} point */
  #begin({ x, y }) {
    this.#drawing.begin(this.#tool, this.#sizes[this.#kind], this.#colour, x, y);
    this.show();
    this.#onChange({ draft: true });
  }

  #end() {
    this.#drawing.end();
    this.show();
    this.#onChange({ draft: false });
  }

  // ---- keys: arrows move the pen, Space puts it down and lifts it

  #connectKeys() {
    const canvas = this.#canvas;
    canvas.onkeydown = (event) => {
      const { key, shiftKey, ctrlKey, metaKey, altKey } = event;
      const command = ctrlKey || metaKey;
      if (altKey || (command && key !== 'z')) return;
      if (command) this.#act(() => this.#drawing.undo());
      else if (key in ARROWS) this.#moveCursor(ARROWS[key], KEY_STEPS[Number(shiftKey)]);
      else if (key === ' ') this.#togglePen();
      else if (key === 'Escape' && this.#penDown) this.#lift();
      else return;
      event.preventDefault();
    };
    canvas.onfocus = () => canvas.matches(':focus-visible') && this.#showBrush(this.#centre);
    canvas.onblur = () => {
      this.#lift();
      this.#brush.hidden = true;
    };
  }

  get #centre() {
    return { x: this.#cursor.x + 0.5, y: this.#cursor.y + 0.5 };
  }

  /** @param {[dx: number, dy: number]} direction @param {number} step */
  #moveCursor([dx, dy], step) {
    const { width, height } = this.#drawing.shape;
    this.#cursor.x = Math.min(Math.max(this.#cursor.x + dx * step, 0), width - 1);
    this.#cursor.y = Math.min(Math.max(this.#cursor.y + dy * step, 0), height - 1);
    this.#showBrush(this.#centre);
    if (!this.#penDown) return;
    this.#drawing.moveTo(this.#centre.x, this.#centre.y);
    this.show();
    this.#onChange({ draft: true });
  }

  #togglePen() {
    if (this.#penDown) return this.#lift();
    this.#penDown = true;
    this.#brush.dataset.down = '';
    this.#begin(this.#centre);
  }

  #lift() {
    if (!this.#penDown) return;
    this.#penDown = false;
    delete this.#brush.dataset.down;
    this.#end();
  }

  // ---- showing

  /** @param {Point} point */
  #showBrush({ x, y }) {
    const { width, height } = this.#drawing.shape;
    this.#brush.style.setProperty('--x', `${(x / width) * 100}%`);
    this.#brush.style.setProperty('--y', `${(y / height) * 100}%`);
    this.#brush.hidden = false;
  }

  /** Paints the drawing and its mask. */
  show() {
    const { shape, image, mask, canUndo, blank } = this.#drawing;
    paint(this.#canvas, image);
    const shown = new Uint8Array(shape.width * shape.height * 4);
    mask?.pixels.forEach((value, place) => value && shown.set(MARKED, place * 4));
    paint(this.#mask, { ...shape, channels: 4, pixels: shown });
    this.#canvas.parentElement?.toggleAttribute('data-blank', blank);
    element('easel-undo').disabled = !canUndo;
    element('easel-clear').disabled = blank && !mask;
  }
}
