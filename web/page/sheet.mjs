// Pictures put together, in rows, on sheets. Knows no DOM.

/** @typedef {import('./paint.mjs').Image} Image */
/** @typedef {{ image: Image | null, advance: number }} Letter image: null of a space; advance: its share of a square's side */
/** @typedef {{ image: Image, advance: number }} Drawn a letter */

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

/**
 * Lines of letters, each as wide as its share of its square says, under each other. Where squares overlap the darker
 * level stays, as of ink on paper.
 * @param {ReadonlyArray<ReadonlyArray<Letter>>} lines of as many letters each
 * @returns {Image}
 */
export function composeLines(lines) {
  const { width: side, height, channels } = /** @type {Drawn} */ (lines.flat().find(({ image }) => image)).image;
  const [line] = lines;
  const ends = line.reduce((sums, { advance }) => [...sums, (sums.at(-1) ?? 0) + advance * side], /** @type {number[]} */ ([])).map(Math.round);
  const width = ends[ends.length - 1];
  const pixels = new Uint8Array(width * height * lines.length * channels).fill(PAPER);
  lines.forEach((letters, row) => letters.forEach(({ image }, index) => {
    if (!image) return;
    const left = Math.round(((ends[index - 1] ?? 0) + ends[index] - side) / 2);
    for (let y = 0; y < height; y++) {
      for (let x = Math.max(0, -left); x < Math.min(side, width - left); x++) {
        const target = ((row * height + y) * width + left + x) * channels;
        const source = (y * side + x) * channels;
        for (let channel = 0; channel < channels; channel++) {
          pixels[target + channel] = Math.min(pixels[target + channel], image.pixels[source + channel]);
        }
      }
    }
  }));
  return { width, height: height * lines.length, channels, pixels };
}
