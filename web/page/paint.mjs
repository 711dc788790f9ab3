// Pixels onto canvases. A canvas has the size of the picture; the style sheet enlarges it.

/** @typedef {{ width: number, height: number, channels: number, pixels: Uint8Array | Uint8ClampedArray }} Image interleaved rows */

/** @param {Image} image grey, RGB or RGBA @returns {ImageData} */
function imageData({ width, height, channels, pixels }) {
  const data = new ImageData(width, height);
  for (let source = 0, target = 0; target < data.data.length; source += channels, target += 4) {
    const grey = channels < 3;
    data.data[target] = pixels[source];
    data.data[target + 1] = pixels[grey ? source : source + 1];
    data.data[target + 2] = pixels[grey ? source : source + 2];
    data.data[target + 3] = channels === 4 ? pixels[source + 3] : 255;
  }
  return data;
}

// Small pictures that change often are quicker in plain memory than on the graphics card.
/** @type {CanvasRenderingContext2DSettings} */
const CONTEXT = { willReadFrequently: true };

/** @returns {HTMLCanvasElement} of one transparent pixel until something is painted */
export function makeCanvas() {
  return Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
}

/** @param {HTMLCanvasElement} canvas @param {Image} image */
export function paint(canvas, image) {
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', CONTEXT));
  context.putImageData(imageData(image), 0, 0);
}

/** @param {HTMLCanvasElement} canvas */
export function blank(canvas) {
  canvas.width = canvas.height = 1;
}

/**
 * x_t as it would look as a picture: pixel shuffle (torch.nn.functional.pixel_shuffle, the inverse of the network's
 * pixel unshuffle), then [-1, 1] to 0 .. 255; what lies outside is clipped.
 * @param {Float32Array} state planar [networkChannels][networkHeight][networkWidth]
 * @param {import('../index.d.ts').ModelInfo} info
 * @returns {Image}
 */
export function imageOfState(state, { width, height, channels, pixelUnshuffle: factor }) {
  const pixels = new Uint8Array(width * height * channels);
  const networkWidth = width / factor;
  const plane = networkWidth * (height / factor);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const cell = Math.floor(y / factor) * networkWidth + Math.floor(x / factor);
      const phase = (y % factor) * factor + (x % factor);
      for (let channel = 0; channel < channels; channel++) {
        const value = state[(channel * factor * factor + phase) * plane + cell];
        pixels[(y * width + x) * channels + channel] = Math.min(Math.max((value + 1) * 127.5, 0), 255);
      }
    }
  }
  return { width, height, channels, pixels };
}
