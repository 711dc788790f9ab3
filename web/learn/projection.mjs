// The two directions in which tensors differ most (principal components), found from their inner products.

import { dot } from './process.mjs';

const ROUNDS = 60;

/**
 * @param {ReadonlyArray<Float32Array>} tensors a few dozen
 * @returns {(tensor: Float32Array) => [number, number]} where a tensor lies along the first and the second
 */
export function principalPlane(tensors) {
  const mean = new Float32Array(tensors[0].length);
  for (const tensor of tensors) tensor.forEach((value, index) => (mean[index] += value / tensors.length));
  const rows = tensors.map((tensor) => tensor.map((value, index) => value - mean[index]));
  const products = rows.map((row) => rows.map((other) => dot(row, other)));
  /** @type {Float32Array[]} */
  const axes = [];
  /** @type {number[][]} */
  const found = [];
  for (let axis = 0; axis < 2; axis++) {
    let shares = rows.map((_, index) => Math.cos(index + axis)); // some beginning that is orthogonal to nothing
    for (let round = 0; round < ROUNDS; round++) {
      shares = products.map((row) => dot(row, shares));
      for (const other of found) {
        const along = dot(other, shares);
        shares = shares.map((value, index) => value - along * other[index]);
      }
      const length = Math.sqrt(dot(shares, shares)) || 1;
      shares = shares.map((value) => value / length);
    }
    found.push(shares);
    const direction = new Float32Array(mean.length);
    rows.forEach((row, index) => row.forEach((value, place) => (direction[place] += shares[index] * value)));
    const length = Math.sqrt(dot(direction, direction)) || 1;
    axes.push(direction.map((value) => value / length));
  }
  return (tensor) => {
    const centred = tensor.map((value, index) => value - mean[index]);
    return [dot(axes[0], centred), dot(axes[1], centred)];
  };
}
