// The film strip of a run: what went into the network, what came out, and what guidance adds.

import { Table, zoomFor } from './canvas.mjs';

const MOST_MOMENTS = 20;
const WIDTH = 7600; // pixels for the pictures; a PNG has 8192

/** Of `count` steps the first, the last, and as many evenly between as have room. */
function moments(count, width) {
  const shown = Math.min(count, MOST_MOMENTS, Math.floor(WIDTH / width));
  return Array.from({ length: shown }, (_, index) => Math.round((index * (count - 1)) / Math.max(shown - 1, 1)));
}

/** The picture of a plane as it looks with another range; opaque. */
function see({ pixels, range }, { width, height, channels }, newRange = range) {
  const scaled = pixels.map((value, index) =>
    (channels === 4 && index % 4 === 3 ? 255 : Math.round(127.5 + (value - 127.5) * (range / newRange))));
  return { width, height, channels, pixels: scaled };
}

/**
 * Rows x_t, x_0 and, if anything is guided, the difference of the predictions, for each picture; columns are steps.
 * @param {import('../index.d.ts').Picture[]} pictures of one run, with their traces
 * @param {string} title
 * @returns {{ width: number, height: number, channels: number, pixels: Uint8Array }}
 */
export function drawFilm(pictures, title) {
  const [first] = pictures;
  const zoom = zoomFor(first);
  const shown = moments(first.trace.length, first.width * zoom + 4);
  const ranges = pictures.flatMap(({ trace }) => shown.map((step) => trace[step].difference?.range ?? 0));
  const range = Math.max(...ranges); // one for all, so that steps can be compared
  const names = { x: 'x_t', x0: 'x_0', ...(range > 0 && { difference: 'class - null' }) };
  const about = ({ options: { labelName, seed } }) => (pictures.length > 1 ? `${labelName} ${seed}: ` : '');
  const table = new Table(first, {
    title: range > 0 ? `${title}; class - null from -${range.toPrecision(2)} to ${range.toPrecision(2)}` : title,
    zoom,
    rows: { name: '', values: pictures.flatMap((picture) => Object.values(names).map((name) => about(picture) + name)) },
    columns: { name: 't', values: shown.map((step) => String(first.trace[step].timestep)) },
  });
  pictures.forEach(({ trace }, index) => {
    Object.keys(names).forEach((name, row) => {
      shown.forEach((step, column) => {
        const plane = trace[step][name];
        const picture = plane && see(plane, first, name === 'difference' ? range : plane.range);
        if (picture) table.put(picture, index * Object.keys(names).length + row, column);
      });
    });
  });
  return table.image;
}
