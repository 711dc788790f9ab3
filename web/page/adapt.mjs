// Any picture as one that a model could have made: its size, its channels, its ink and paper. Knows no DOM.

/** @typedef {import('./drawing.mjs').Shape} Shape */
/** @typedef {{ width: number, height: number }} Size */

const MIDDLE = 128;
/** The border of a drawing is paper: these many in 100 of its pixels are alike, within TOLERANCE levels. */
const ALIKE = 80;
const TOLERANCE = 28;
/** Ink that differs less from its paper is left as faint as it is. */
const LEAST_CONTRAST = 32;
/** ITU-R BT.601: what a grey television showed of red, green and blue. */
const LUMA = [0.299, 0.587, 0.114];

/**
 * The largest part of a picture, around its middle, that has the proportions of the model's pictures.
 * @param {Size} source @param {Size} shape
 * @returns {{ x: number, y: number, width: number, height: number }}
 */
export function cropOf(source, { width, height }) {
  const scale = Math.min(source.width / width, source.height / height);
  const crop = { width: width * scale, height: height * scale };
  return { x: (source.width - crop.width) / 2, y: (source.height - crop.height) / 2, ...crop };
}

/** Means over squares of `factor` pixels. @param {Uint8ClampedArray} rgba @param {Size} size @param {number} factor @returns {Float32Array[]} red, green, blue */
function shrink(rgba, { width, height }, factor) {
  const planes = [0, 1, 2].map(() => new Float32Array(width * height));
  for (let y = 0; y < height * factor; y++) {
    for (let x = 0; x < width * factor; x++) {
      const source = (y * width * factor + x) * 4;
      const place = Math.floor(y / factor) * width + Math.floor(x / factor);
      for (let c = 0; c < 3; c++) planes[c][place] += rgba[source + c] / (factor * factor);
    }
  }
  return planes;
}

/** The outermost pixels of one channel, in order of their levels. @param {ArrayLike<number>} plane @param {Size} size */
function borderOf(plane, { width, height }) {
  /** @param {number} _ @param {number} place */
  const isBorder = (_, place) => place < width || place >= width * (height - 1) || place % width === 0 || place % width === width - 1;
  return Array.from(plane).filter(isBorder).sort((a, b) => a - b);
}

/** @param {number[]} sorted */
const median = (sorted) => sorted[Math.floor(sorted.length / 2)];

/** The grey level of the paper of a model's pictures, white or black, from one of them. @param {Shape & { pixels: Uint8Array | Uint8ClampedArray | Float32Array }} image */
export function paperOf({ width, height, channels, pixels }) {
  const first = pixels.filter((_, index) => index % channels === 0);
  return median(borderOf(first, { width, height })) < MIDDLE ? 0 : 255;
}

/**
 * Ink on paper of one tone becomes ink on the model's paper, as dark as it can be; photographs stay as they are.
 * @param {Float32Array} plane @param {Shape} shape @param {number} paper
 */
function adaptInk(plane, shape, paper) {
  const border = borderOf(plane, shape);
  const own = median(border);
  const alike = border.filter((level) => Math.abs(level - own) <= TOLERANCE).length;
  if (alike * 100 < ALIKE * border.length) return plane;
  const ink = plane.reduce((most, level) => (Math.abs(level - own) > Math.abs(most - own) ? level : most), own);
  if (Math.abs(ink - own) < LEAST_CONTRAST) return plane;
  return plane.map((level) => paper + ((level - own) / (ink - own)) * (255 - 2 * paper));
}

/**
 * @param {Uint8ClampedArray} rgba opaque, of `factor` times the model's width and height
 * @param {Shape} shape of the model's pictures @param {number} factor whole
 * @param {number} paper 0 or 255, the model's
 * @param {boolean} exact keep the levels: the picture has the model's own size, or a multiple of it; paper of the other
 *   tone is inverted nevertheless
 * @returns {Uint8Array} interleaved pixels
 */
export function adapt(rgba, shape, factor, paper, exact) {
  const [red, green, blue] = shrink(rgba, shape, factor);
  const { width, height, channels } = shape;
  let planes = [red, green, blue];
  if (channels < 3) {
    const grey = red.map((_, place) => LUMA[0] * red[place] + LUMA[1] * green[place] + LUMA[2] * blue[place]);
    if (!exact) planes = [adaptInk(grey, shape, paper)];
    else planes = [paperOf({ width, height, channels: 1, pixels: grey }) === paper ? grey : grey.map((level) => 255 - level)];
  }
  const pixels = new Uint8ClampedArray(width * height * channels).fill(255); // alpha is opaque
  for (let place = 0; place < width * height; place++) planes.forEach((plane, channel) => (pixels[place * channels + channel] = plane[place]));
  return new Uint8Array(pixels.buffer);
}
