// What a run did: a film strip of what went into the network, what came out, and what guidance adds; and their norms.

import { Table, zoomFor } from './canvas.mjs';

const MOST_MOMENTS = 20;

/**
 * @typedef {import('../index.d.ts').TraceStep} TraceStep
 * @typedef {'x' | 'x0' | 'conditional' | 'null' | 'difference'} PlaneName of a TraceStep
 * @typedef {{ width: number, height: number, channels: number }} Shape
 */

/**
 * The planes of a TraceStep that a film can have as rows, and what is written beside them.
 * @type {Record<PlaneName, string>}
 */
const NAMES = { x: 'x_t', x0: 'x_0', conditional: 'class', null: 'null', difference: 'class - null' };
export const FILM_PLANES = /** @type {PlaneName[]} */ (Object.keys(NAMES));
/** @type {PlaneName[]} */
export const FILM_DEFAULT = ['x', 'x0', 'difference'];

/**
 * One range for all pictures of one kind, so that steps and the two predictions can be compared.
 * @type {{ planes: PlaneName[], name: string }[]}
 */
const RANGES = [
  { planes: ['conditional', 'null'], name: 'predictions' },
  { planes: ['difference'], name: 'class - null' },
];
const WIDTH = 7600; // pixels for the pictures; a PNG has 8192

/** Of `count` steps the first, the last, and as many evenly between as have room. @param {number} count @param {number} width */
function moments(count, width) {
  const shown = Math.min(count, MOST_MOMENTS, Math.floor(WIDTH / width));
  return Array.from({ length: shown }, (_, index) => Math.round((index * (count - 1)) / Math.max(shown - 1, 1)));
}

/** The picture of a plane as it looks with another range; opaque. @param {import('../index.d.ts').Plane} plane @param {Shape} shape */
function see({ pixels, range }, { width, height, channels }, newRange = range) {
  const scaled = pixels.map((value, index) =>
    (channels === 4 && index % 4 === 3 ? 255 : Math.round(127.5 + (value - 127.5) * (range / newRange))));
  return { width, height, channels, pixels: scaled };
}

/**
 * Largest range that any of these planes has at any of these steps; 0 without any.
 * @param {PlaneName[]} planes @param {ReadonlyArray<TraceStep>[]} traces @param {number[]} shown
 */
const rangeOf = (planes, traces, shown) =>
  Math.max(0, ...traces.flatMap((trace) => shown.flatMap((step) => planes.map((plane) => trace[step][plane]?.range ?? 0))));

/**
 * One row for each plane that was made in any of the steps shown, for each picture; columns are steps.
 * @param {import('../index.d.ts').Picture[]} pictures of one run, with their traces
 * @param {string} title
 * @param {import('../index.d.ts').RenderingName} rendering of the model's pictures
 * @param {ReadonlyArray<PlaneName>} [planes] of FILM_PLANES
 * @returns {{ width: number, height: number, channels: number, pixels: Uint8Array }}
 */
export function drawFilm(pictures, title, rendering, planes = FILM_DEFAULT) {
  const [first] = pictures;
  const traces = pictures.map(({ trace = [] }) => trace);
  const zoom = zoomFor(first);
  const shown = moments(traces[0].length, first.width * zoom + 4);
  const rows = FILM_PLANES.filter((plane) => planes.includes(plane) && rangeOf([plane], traces, shown) > 0);
  const common = RANGES.map(({ planes: kind, name }) => ({ kind, name, range: rangeOf(kind.filter((plane) => rows.includes(plane)), traces, shown) }));
  const ranges = Object.fromEntries(common.flatMap(({ kind, range }) => kind.map((plane) => [plane, range])));
  /** @param {import('../index.d.ts').Picture} picture */
  const about = ({ options: { labelName, seed } }) => (pictures.length > 1 ? `${labelName} ${seed}: ` : '');
  const told = common.filter(({ range }) => range > 0).map(({ name, range }) => `; ${name} from -${range.toPrecision(2)} to ${range.toPrecision(2)}`);
  const table = new Table(first, {
    title: title + told.join(''),
    zoom,
    rows: { name: '', values: pictures.flatMap((picture) => rows.map((plane) => about(picture) + NAMES[plane])) },
    columns: { name: 't', values: shown.map((step) => String(traces[0][step].timestep)) },
  });
  traces.forEach((trace, index) => {
    rows.forEach((name, row) => {
      shown.forEach((step, column) => {
        const plane = trace[step][name];
        // What is no picture yet has no kind: each value is shown as it is.
        if (plane) table.put(see(plane, first, ranges[name]), name === 'x0' ? rendering : 'pixel', index * rows.length + row, column);
      });
    });
  });
  return table.image;
}

/** A trace in numbers: of every network call its timestep, and norm and range of each plane. @param {ReadonlyArray<TraceStep>} trace */
export const traceNumbers = (trace) => trace.map(({ timestep, ...planes }) => ({
  timestep, ...Object.fromEntries(Object.entries(planes).map(([name, plane]) => [name, plane && { norm: plane.norm, range: plane.range }])),
}));
