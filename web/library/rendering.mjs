// Pictures enlarged as what they are: lines of ink, pixel art in whole blocks, or smooth. Sums and products alone, so that
// every engine makes the same bytes.

/**
 * @typedef {{ width: number, height: number, channels: number, pixels: Uint8Array | Uint8ClampedArray }} Image interleaved rows
 * @typedef {import('../index.d.ts').RenderingName} Rendering
 */

/** Longest side of an enlarged picture, in pixels. */
export const MAX_ENLARGED_SIDE = 4096;

/**
 * What is as light as PAPER is white, what is as dark as BLACK is black, between them lie the edges. Their middle is dark:
 * that keeps strokes open which nearly touch, and off the paper what a model leaves there. From 8-fold on edges stay as wide.
 */
const PAPER = 0.68 * 255;
const BLACK = 0.08 * 255;
const SOFT_UP_TO = 8;
/** The level at the edge of ink, 0 .. 255. */
export const INK_EDGE = (PAPER + BLACK) / 2;

/** The interpolating cubic of Keys (1981), a = -1/2. @param {number} x */
function cubic(x) {
  const d = Math.abs(x);
  return d < 1 ? (1.5 * d - 2.5) * d * d + 1 : ((2.5 - 0.5 * d) * d - 4) * d + 2;
}

/** The nearest pixel. @param {number} x */
const nearest = (x) => Number(x >= -0.5 && x < 0.5);

/** @param {number} factor @returns {(value: number) => number} */
function inkTone(factor) {
  const gain = Math.max(1, factor / SOFT_UP_TO) / (PAPER - BLACK);
  return (value) => {
    const t = Math.min(Math.max((value - INK_EDGE) * gain + 0.5, 0), 1);
    return 255 * t * t * (3 - 2 * t);
  };
}

/**
 * [outer][size][inner] becomes [outer][size * factor][inner]: each new value is a sum of four old ones.
 * @template {Float32Array | Uint8ClampedArray} Target
 * @param {ArrayLike<number>} source @param {number} size @param {number} inner @param {number} factor
 * @param {(x: number) => number} kernel @param {Target} target @param {(value: number) => number} tone
 */
function stretch(source, size, inner, factor, kernel, target, tone) {
  const places = new Int32Array(4 * size * factor);
  const shares = new Float64Array(places.length);
  for (let tap = 0; tap < places.length; tap++) {
    const at = ((tap >> 2) + 0.5) / factor - 0.5;
    const place = Math.floor(at) + (tap & 3) - 1;
    places[tap] = Math.min(Math.max(place, 0), size - 1) * inner;
    shares[tap] = kernel(at - place);
  }
  for (let from = 0, to = 0; to < target.length; from += size * inner) {
    for (let tap = 0; tap < places.length; tap += 4) {
      for (let i = from; i < from + inner; i++) {
        target[to++] = tone(source[i + places[tap]] * shares[tap] + source[i + places[tap + 1]] * shares[tap + 1] +
          source[i + places[tap + 2]] * shares[tap + 2] + source[i + places[tap + 3]] * shares[tap + 3]);
      }
    }
  }
  return target;
}

/**
 * Enlarged `factor` times; at 1 the picture itself. `transparent`, for ink: the paper is left out, at any factor; the result
 * is black of more or less alpha, two channels, and looks on white as it does without.
 * @param {Image} image @param {Rendering} rendering @param {number} [factor] whole, 1 or more @returns {Image}
 */
export function enlarge(image, rendering, factor = 1, transparent = false) {
  if (factor === 1 && !transparent) return image;
  const { width, height, channels, pixels } = image;
  const kernel = rendering === 'pixel' ? nearest : cubic;
  const size = { width: width * factor, height: height * factor };
  const stride = size.width * channels;
  /** @param {number} value */
  const same = (value) => value;
  const wide = stretch(pixels, width, channels, factor, kernel, new Float32Array(stride * height), same);
  // A clamped array rounds.
  const made = stretch(wide, height, stride, factor, kernel, new Uint8ClampedArray(stride * size.height), rendering === 'ink' ? inkTone(factor) : same);
  if (!transparent) return { ...size, channels, pixels: new Uint8Array(made.buffer) };
  const cut = new Uint8Array(2 * made.length);
  made.forEach((value, index) => (cut[2 * index + 1] = 255 - value));
  return { ...size, channels: 2, pixels: cut };
}

/** The largest factor of use for a picture of this size. @param {{ width: number, height: number }} size */
export const largestFactor = ({ width, height }) => Math.max(1, Math.floor(MAX_ENLARGED_SIDE / Math.max(width, height)));

/**
 * The factor with which the longer side has at least `side` pixels, if there is one.
 * @param {{ width: number, height: number }} size @param {number} side
 */
export const factorFor = (size, side) => Math.min(Math.max(1, Math.ceil(side / Math.max(size.width, size.height))), largestFactor(size));
