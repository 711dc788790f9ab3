// The outline of ink: where the enlarged picture goes over from paper to ink, as closed cubic curves.

import { contours as marchingSquares } from 'd3-contour';
import fitCurve from 'fit-curve';
import { INK_EDGE, enlarge } from '../library/rendering.mjs';

/**
 * @typedef {import('../library/rendering.mjs').Image} Image
 * @typedef {[x: number, y: number]} Point
 * @typedef {[from: Point, control: Point, control: Point, to: Point]} Curve cubic; a straight one is written as a line
 * @typedef {Curve[]} Contour closed: it ends where it begins
 */

/** Its other function is a property of the one, whatever the package's types say. @type {{ fitCubic: (points: Point[], first: Point, last: Point, error: number) => Curve[] }} */
const { fitCubic } = /** @type {any} */ (fitCurve);

/** Edges are looked for in the picture enlarged as much: between its pixels, on the curves that people see. */
const OVERSAMPLING = 4;
/** How far a curve may be from the edge, in parts of the strokes' mean thickness; and in pixels, where they are thick. */
const TOLERANCE = 0.021;
const LARGEST_TOLERANCE = 0.12;
/**
 * The fitter compares squared distances, and tries again where one is below the square of what is allowed: in units of half the
 * tolerance that is, where it is off by no more than twice of it.
 */
const UNITS = 2;
/** Points of an edge are so many tolerances from each other, and smoothed over seven of them. */
const SPACING = 3;
const SMOOTHING = [-2, 3, 6, 7, 6, 3, -2].map((weight) => weight / 21);
/** A control point is no farther from its end, in lengths of the chord: then it is one between few points that fit by chance. */
const LONGEST_HANDLE = 1.2;
/** Specks that are smaller, in square pixels, are no ink. */
const SPECK = 0.35;
/** A corner: over this length on both sides, in pixels, the edge turns by more than this angle, in radians. */
const REACH = 1.4;
const TURN = 0.85;
/** The direction in which a curve leaves a corner is that of this length, in pixels. */
const TANGENT = 0.6;

/** @param {Point} a @param {Point} b */
const distance = (a, b) => Math.hypot(b[0] - a[0], b[1] - a[1]);
/** @param {Point} from @param {Point} to @returns {Point} of length 1 */
const direction = (from, to) => {
  const length = distance(from, to) || 1;
  return [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
};

/** What a ring encloses; negative if it goes the other way round. @param {ReadonlyArray<Point>} ring */
const areaOf = (ring) => ring.reduce((sum, [x, y], index) => {
  const [nextX, nextY] = ring[(index + 1) % ring.length];
  return sum + (x * nextY - nextX * y) / 2;
}, 0);

/** @param {ReadonlyArray<Point>} points */
const lengthOf = (points) => points.reduce((sum, point, index) => sum + (index > 0 ? distance(points[index - 1], point) : 0), 0);

/** The edges of the ink, as rings of points in pixels of the picture; none twice. @param {Image} image @returns {Point[][]} */
function ringsOf(image) {
  const { width, height, pixels } = enlarge(image, 'smooth', OVERSAMPLING);
  const darkness = Float32Array.from(pixels, (value) => 255 - value);
  /** @type {{ coordinates: Point[][][] }[]} */
  const [{ coordinates }] = marchingSquares().size([width, height]).thresholds([255 - INK_EDGE])(darkness);
  return coordinates.flat().map((ring) => ring.slice(1).map(([x, y]) => /** @type {Point} */ ([x / OVERSAMPLING, y / OVERSAMPLING])))
    .filter((ring) => Math.abs(areaOf(ring)) > SPECK);
}

/** How far curves may be from these edges, in pixels. @param {ReadonlyArray<Point[]>} rings */
function toleranceOf(rings) {
  const area = Math.abs(rings.reduce((sum, ring) => sum + areaOf(ring), 0)); // holes go the other way round
  const perimeter = rings.reduce((sum, ring) => sum + lengthOf([...ring, ring[0]]), 0);
  return Math.min(LARGEST_TOLERANCE, (TOLERANCE * 2 * area) / perimeter);
}

/** A ring in points at even distances, about these. @param {Point[]} ring @param {number} spacing @returns {Point[]} */
function even(ring, spacing) {
  const ends = [0];
  ring.forEach((point, index) => ends.push(ends[index] + distance(point, ring[(index + 1) % ring.length])));
  const count = Math.round(ends[ring.length] / spacing);
  let side = 0;
  return Array.from({ length: count }, (_, index) => {
    const at = (index * ends[ring.length]) / count;
    while (ends[side + 1] < at) side++;
    const [[fromX, fromY], [toX, toY]] = [ring[side], ring[(side + 1) % ring.length]];
    const share = (at - ends[side]) / (ends[side + 1] - ends[side] || 1);
    return [fromX + (toX - fromX) * share, fromY + (toY - fromY) * share];
  });
}

/** Each point on the parabola through its neighbours (Savitzky and Golay, 1964): bends stay, noise goes. @param {Point[]} ring @returns {Point[]} */
const smoothed = (ring) => ring.map((_, index) => /** @type {Point} */ ([0, 1].map((axis) => SMOOTHING.reduce((sum, weight, tap) =>
  sum + weight * ring[(index + tap - (SMOOTHING.length >> 1) + ring.length) % ring.length][axis], 0))));

/** The first point of a ring that lies `length` away along it. @param {ReadonlyArray<Point>} ring @param {number} index @param {1 | -1} step @param {number} length */
function along(ring, index, step, length) {
  let at = index;
  for (let walked = 0, count = 0; walked < length && count < ring.length; count++) {
    const next = (at + step + ring.length) % ring.length;
    walked += distance(ring[at], ring[next]);
    at = next;
  }
  return ring[at];
}

/** Places in a ring where it has a corner, in its order. @param {ReadonlyArray<Point>} ring @returns {number[]} */
function cornersOf(ring) {
  const turns = ring.map((point, index) => {
    const [inX, inY] = direction(along(ring, index, -1, REACH), point);
    const [outX, outY] = direction(point, along(ring, index, 1, REACH));
    return Math.abs(Math.atan2(inX * outY - inY * outX, inX * outX + inY * outY));
  });
  /** @type {number[]} */
  const corners = [];
  const sharpest = [...turns.keys()].filter((index) => turns[index] > TURN).sort((a, b) => turns[b] - turns[a]);
  for (const index of sharpest) {
    if (corners.every((other) => distance(ring[other], ring[index]) > REACH)) corners.push(index);
  }
  return corners.sort((a, b) => a - b);
}

/**
 * Curves along points.
 * @param {Point[]} points @param {Point} first @param {Point} last directions at the ends, which point into the curve
 * @param {number} tolerance in pixels @returns {Curve[]}
 */
function fit(points, first, last, tolerance) {
  const units = UNITS / tolerance;
  const scaled = points.map(([x, y]) => /** @type {Point} */ ([x * units, y * units]));
  return fitCubic(scaled, first, last, UNITS ** 2).map((curve) => {
    const [from, leaving, arriving, to] = /** @type {Curve} */ (curve.map(([x, y]) => [x / units, y / units]));
    const most = LONGEST_HANDLE * distance(from, to);
    return /** @type {Curve} */ ([from, within(leaving, from, most), within(arriving, to, most), to]);
  });
}

/** A point, or one in its direction that is no farther. @param {Point} point @param {Point} from @param {number} most @returns {Point} */
function within(point, from, most) {
  const [x, y] = direction(from, point);
  return distance(from, point) <= most ? point : [from[0] + x * most, from[1] + y * most];
}

/** @param {Point[]} ring @param {number} tolerance @returns {Contour} */
function fitRing(ring, tolerance) {
  const corners = cornersOf(ring);
  // Without a corner it is smooth where it begins, too.
  const starts = corners.length === 0 ? [0] : corners;
  return starts.flatMap((start, index) => {
    const end = starts[(index + 1) % starts.length];
    const count = ((end - start + ring.length - 1) % ring.length) + 2;
    const points = Array.from({ length: count }, (_, step) => ring[(start + step) % ring.length]);
    if (corners.length === 0) {
      const [x, y] = direction(ring[ring.length - 1], ring[1]);
      return fit(points, [x, y], [-x, -y], tolerance);
    }
    const reach = Math.min(TANGENT, lengthOf(points) / 2); // beyond the middle is the other corner
    return fit(points, direction(ring[start], along(ring, start, 1, reach)), direction(ring[end], along(ring, end, -1, reach)), tolerance);
  });
}

/**
 * The outline of the ink of a grey picture, in its pixels from its upper left corner; holes are contours in contours, so that
 * it is to be filled by the even-odd rule.
 * @param {Image} image of one channel @returns {Contour[]}
 */
export function contoursOf(image) {
  const rings = ringsOf(image);
  const tolerance = toleranceOf(rings);
  return rings.map((ring) => fitRing(smoothed(even(ring, SPACING * tolerance)), tolerance));
}
