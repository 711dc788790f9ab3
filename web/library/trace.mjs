// What can be seen of a step: tensors in network space, their norms, and pictures of them.

/** @param {Float32Array} a @param {Float32Array} b */
export const subtract = (a, b) => a.map((value, index) => value - b[index]);

/** Euclidean. @param {Float32Array} values */
const normOf = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/**
 * A Plane (index.d.ts).
 * @param {Float32Array} values @param {(x: Float32Array) => Uint8Array} toPixels maps -1 .. 1 to 0 .. 255
 * @param {number} [range] magnitude that becomes black or white; default: the largest one there is
 */
export function seePlane(values, toPixels, range) {
  const limit = range ?? (values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1);
  return { values, norm: normOf(values), range: limit, pixels: toPixels(range === 1 ? values : values.map((value) => value / limit)) };
}

/**
 * The buffers of a TraceStep, to be handed from one thread to another.
 * @param {import('../index.d.ts').TraceStep | undefined} trace
 */
export const buffersOfTrace = (trace) =>
  Object.values(trace ?? {}).flatMap((plane) => (plane?.values ? [plane.values.buffer, plane.pixels.buffer] : []));
