/** White pixels between the pictures of a sheet. */
const GAP = 2;

/**
 * Pictures in rows of `columns`, a new row with every group, on white.
 * @param {ReadonlyArray<{ width: number, height: number, channels: number, pixels: Uint8Array }>} pictures of one shape
 * @param {number} columns
 * @param {number} [perGroup] pictures of a group; the last one is as large as the others
 */
export function makeSheet(pictures, columns, perGroup = pictures.length) {
  const { width, height, channels } = pictures[0];
  const rowsPerGroup = Math.ceil(perGroup / columns);
  const rows = rowsPerGroup * (pictures.length / perGroup);
  const used = Math.min(columns, perGroup);
  const sheet = { width: used * (width + GAP) - GAP, height: rows * (height + GAP) - GAP, channels };
  sheet.pixels = new Uint8Array(sheet.width * sheet.height * channels).fill(255);
  pictures.forEach((picture, index) => {
    const within = index % perGroup;
    const row = Math.floor(index / perGroup) * rowsPerGroup + Math.floor(within / columns);
    const left = (within % columns) * (width + GAP);
    for (let y = 0; y < height; y++) {
      const target = (row * (height + GAP) + y) * sheet.width + left;
      sheet.pixels.set(picture.pixels.subarray(y * width * channels, (y + 1) * width * channels), target * channels);
    }
  });
  return sheet;
}
