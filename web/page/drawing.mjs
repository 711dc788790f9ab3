// A drawing of the size of the model's pictures, and the mask over it: strokes, presets, undo. Knows no DOM.

/** @typedef {import('./paint.mjs').Image & { pixels: Uint8Array }} Image */
/** @typedef {{ width: number, height: number, channels: number }} Shape */
/** @typedef {'pen' | 'eraser' | 'mark' | 'unmark'} Tool mark: this is to be made anew; unmark: this is to be kept */
/** @typedef {{ x: number, y: number }} Point in pixels */
/** @typedef {{ pixels: Uint8Array<ArrayBuffer>, mask: Uint8Array<ArrayBuffer> }} Snapshot */
/** @typedef {{ tool: Tool, radius: number, ink: number[], before: Snapshot, coverage: Float32Array, last: Point }} Stroke */
/** @typedef {(x: number, y: number) => boolean} IsMarked whether the pixel at the shares x and y of the sides is marked */

const ANEW = 255;
const KEPT = 0;
const OPAQUE = 255;

/** What undoing may hold in memory, and how many steps it goes back at most. */
const UNDO_BYTES = 2 ** 25;
const UNDO_STEPS = 50;

/** Parts of a picture that can be marked at once. @satisfies {Record<string, IsMarked>} */
export const MASK_PRESETS = {
  left: (x) => x < 0.5,
  right: (x) => x >= 0.5,
  top: (_, y) => y < 0.5,
  bottom: (_, y) => y >= 0.5,
  middle: (x, y) => Math.abs(x - 0.5) < 0.25 && Math.abs(y - 0.5) < 0.25,
};

/** Whether a tool works on the mask. @param {Tool} tool */
export const isMaskTool = (tool) => tool === 'mark' || tool === 'unmark';

/** How far the point is from the line between two others. @param {number} x @param {number} y @param {Point} from @param {Point} to */
function distanceToSegment(x, y, from, to) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length2 = dx * dx + dy * dy;
  const share = length2 === 0 ? 0 : Math.min(Math.max(((x - from.x) * dx + (y - from.y) * dy) / length2, 0), 1);
  return Math.hypot(x - from.x - share * dx, y - from.y - share * dy);
}

/** One level per channel from a grey level, or from red, green and blue; alpha is opaque. @param {number[]} colour @param {number} channels */
const levelsOf = (colour, channels) => Array.from({ length: channels }, (_, channel) =>
  (channels % 2 === 0 && channel === channels - 1 ? OPAQUE : colour[Math.min(channel, colour.length - 1)]));

export class Drawing {
  #shape;
  #paper;
  #pixels;
  #mask;
  /** @type {Snapshot[]} */
  #undo = []; // the oldest first
  /** @type {Stroke | null} */
  #stroke = null;
  /** @type {Image | null} */
  #image = null; // what `image` gave out; nobody may change it
  /** @type {Image | null} */
  #maskImage = null;

  /** @param {Shape} shape of the model's pictures @param {number} paper grey level of an empty place */
  constructor({ width, height, channels }, paper) {
    this.#shape = { width, height, channels };
    this.#paper = levelsOf([paper], channels);
    this.#pixels = this.#blankPixels();
    this.#mask = new Uint8Array(width * height).fill(KEPT);
  }

  #blankPixels() {
    const { width, height, channels } = this.#shape;
    return Uint8Array.from({ length: width * height * channels }, (_, index) => this.#paper[index % channels]);
  }

  get shape() {
    return this.#shape;
  }

  /** Grey level of the paper, that of its first channel. */
  get paper() {
    return this.#paper[0];
  }

  /** The same object until the drawing changes. @returns {Image} not to be changed */
  get image() {
    this.#image ??= { ...this.#shape, pixels: this.#pixels.slice() };
    return this.#image;
  }

  /** One channel, 255 where the picture is to be made anew. @returns {Image | null} not to be changed; null if nothing is marked */
  get mask() {
    if (!this.#mask.includes(ANEW)) return null;
    this.#maskImage ??= { ...this.#shape, channels: 1, pixels: this.#mask.slice() };
    return this.#maskImage;
  }

  /** Whether there is nothing but paper. */
  get blank() {
    const { channels } = this.#shape;
    return this.#pixels.every((level, index) => level === this.#paper[index % channels]);
  }

  get canUndo() {
    return this.#undo.length > 0;
  }

  // ---- strokes

  /**
   * Puts the tool down at a point; coordinates are pixels from the top left corner, the centre of the first pixel is at 0.5.
   * @param {Tool} tool @param {number} diameter in pixels @param {number[]} colour of the pen: one grey level, or red, green, blue
   * @param {number} x @param {number} y
   */
  begin(tool, diameter, colour, x, y) {
    this.end();
    const before = this.#snapshot();
    const { channels } = this.#shape;
    const ink = tool === 'pen' ? levelsOf(colour, channels) : this.#paper;
    this.#stroke = { tool, radius: diameter / 2, ink, before, coverage: new Float32Array(this.#mask.length), last: { x, y } };
    this.moveTo(x, y);
  }

  /** Draws on to a point. @param {number} x @param {number} y */
  moveTo(x, y) {
    const stroke = this.#stroke;
    if (!stroke) return;
    const { width, height } = this.#shape;
    const { last, radius, coverage } = stroke;
    /** @type {(a: number, b: number, end: number) => [number, number]} */
    const range = (a, b, end) => [Math.max(Math.floor(Math.min(a, b) - radius - 1), 0), Math.min(Math.ceil(Math.max(a, b) + radius + 1), end)];
    const [left, right] = range(last.x, x, width);
    const [top, bottom] = range(last.y, y, height);
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        // Half a pixel of soft edge on each side, as the pictures of the models have it.
        const covered = Math.min(Math.max(radius + 0.5 - distanceToSegment(column + 0.5, row + 0.5, last, { x, y }), 0), 1);
        const place = row * width + column;
        if (covered <= coverage[place]) continue;
        coverage[place] = covered;
        this.#cover(place, covered, stroke);
      }
    }
    stroke.last = { x, y };
    if (isMaskTool(stroke.tool)) this.#maskImage = null;
    else this.#image = null;
  }

  /** @param {number} place @param {number} share @param {Stroke} stroke */
  #cover(place, share, { tool, ink, before }) {
    if (isMaskTool(tool)) {
      if (share >= 0.5) this.#mask[place] = tool === 'mark' ? ANEW : KEPT; // masks have no greys
      return;
    }
    const { channels } = this.#shape;
    for (let channel = 0, index = place * channels; channel < channels; channel++, index++) {
      this.#pixels[index] = Math.round(before.pixels[index] + share * (ink[channel] - before.pixels[index]));
    }
  }

  /** Lifts the tool. */
  end() {
    if (!this.#stroke) return;
    this.#remember(this.#stroke.before);
    this.#stroke = null;
  }

  // ---- whole pictures and masks

  /** @param {Uint8Array} pixels of the same shape */
  replace(pixels) {
    this.#act(() => this.#pixels.set(pixels));
  }

  /** Nothing but paper, nothing marked. */
  clear() {
    this.#act(() => {
      this.#pixels = this.#blankPixels();
      this.#mask.fill(KEPT);
    });
  }

  /** Black becomes white; alpha stays. */
  invert() {
    const { channels } = this.#shape;
    const colours = channels > 2 ? 3 : 1;
    this.#act(() => this.#pixels.forEach((level, index) => {
      if (index % channels < colours) this.#pixels[index] = 255 - level;
    }));
  }

  /** @param {IsMarked} isMarked one of MASK_PRESETS */
  mark(isMarked) {
    const { width, height } = this.#shape;
    this.#act(() => this.#mask.forEach((_, place) => {
      this.#mask[place] = isMarked(((place % width) + 0.5) / width, (Math.floor(place / width) + 0.5) / height) ? ANEW : KEPT;
    }));
  }

  /** What was kept is made anew, and the other way round. */
  swapMask() {
    this.#act(() => this.#mask.forEach((value, place) => (this.#mask[place] = ANEW - value)));
  }

  undo() {
    this.end();
    const before = this.#undo.pop();
    if (!before) return;
    this.#pixels = before.pixels;
    this.#mask = before.mask;
    this.#changed();
  }

  /** @param {() => void} change */
  #act(change) {
    this.end();
    const before = this.#snapshot();
    change();
    this.#changed();
    this.#remember(before);
  }

  #snapshot() {
    return { pixels: this.#pixels.slice(), mask: this.#mask.slice() };
  }

  /** What changed nothing is no step. @param {Snapshot} before */
  #remember(before) {
    /** @param {Uint8Array} a @param {Uint8Array} b */
    const same = (a, b) => a.every((value, index) => value === b[index]);
    if (same(before.pixels, this.#pixels) && same(before.mask, this.#mask)) return;
    this.#undo.push(before);
    const most = Math.min(UNDO_STEPS, Math.max(1, Math.floor(UNDO_BYTES / (before.pixels.length + before.mask.length))));
    while (this.#undo.length > most) this.#undo.shift();
  }

  #changed() {
    this.#image = this.#maskImage = null;
  }
}
