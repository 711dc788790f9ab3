/** White pixels between the pictures of a sheet. */
const GAP = 2;

/**
 * Pictures in rows of `columns`, on white.
 * @param {ReadonlyArray<{ width: number, height: number, channels: number, pixels: Uint8Array }>} pictures of one shape
 * @param {number} columns
 */
export function makeSheet(pictures, columns) {
  const { width, height, channels } = pictures[0];
  const rows = Math.ceil(pictures.length / columns);
  const used = Math.min(columns, pictures.length);
  const size = { width: used * (width + GAP) - GAP, height: rows * (height + GAP) - GAP, channels };
  const sheet = { ...size, pixels: new Uint8Array(size.width * size.height * channels).fill(255) };
  pictures.forEach((picture, index) => {
    const left = (index % columns) * (width + GAP);
    for (let y = 0; y < height; y++) {
      const target = (Math.floor(index / columns) * (height + GAP) + y) * sheet.width + left;
      sheet.pixels.set(picture.pixels.subarray(y * width * channels, (y + 1) * width * channels), target * channels);
    }
  });
  return sheet;
}
