// Pictures put together, in rows, on sheets. Knows no DOM.

/** @typedef {import('./paint.mjs').Image} Image */

/** What a sheet may have at most: some programs refuse more. */
const MAX_SHEET_SIDE = 8192;

const PAPER = 255;

/**
 * The largest factor up to `factor` with which a sheet of these many pictures stays a usable file.
 * @param {number} factor @param {{ width: number, height: number }} size of one @param {number} columns @param {number} rows
 */
export function usableFactor(factor, { width, height }, columns, rows) {
  const most = Math.floor(MAX_SHEET_SIDE / Math.max(width * columns, height * rows));
  return Math.max(1, Math.min(factor, most));
}

/**
 * Pictures of one size side by side, row by row; places without a picture are white.
 * @param {ReadonlyArray<Image | null>} images at least one of them an image
 * @param {number} columns @returns {Image}
 */
export function compose(images, columns) {
  const { width, height, channels } = /** @type {Image} */ (images.find(Boolean));
  const sheet = { width: width * columns, height: height * Math.ceil(images.length / columns), channels };
  const pixels = new Uint8Array(sheet.width * sheet.height * channels).fill(PAPER);
  images.forEach((image, index) => {
    if (!image) return;
    const left = (index % columns) * width;
    const top = Math.floor(index / columns) * height;
    for (let y = 0; y < height; y++) {
      const row = image.pixels.subarray(y * width * channels, (y + 1) * width * channels);
      pixels.set(row, ((top + y) * sheet.width + left) * channels);
    }
  });
  return { ...sheet, pixels };
}
