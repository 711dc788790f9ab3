/**
 * @param {{ channels: number, pixels: Uint8Array | Uint8ClampedArray }} image interleaved rows: 1 grey, 2 grey + alpha,
 *   3 RGB, 4 RGBA
 * @returns {Uint8ClampedArray<ArrayBuffer>} RGBA, for ImageData
 */
export function toRGBA({ channels, pixels }) {
  const rgba = new Uint8ClampedArray((pixels.length / channels) * 4).fill(255);
  const colours = channels < 3 ? 1 : 3;
  for (let from = 0, to = 0; from < pixels.length; from += channels, to += 4) {
    for (let c = 0; c < 3; c++) rgba[to + c] = pixels[from + (c % colours)];
    if (channels > colours) rgba[to + 3] = pixels[from + colours];
  }
  return rgba;
}
