// A distribution in the plane whose score is known exactly at every time: a mixture of round normal distributions, some of
// each class. What a network would have to learn is a formula here.

import { combine, guide, makeNormal, marginal } from './process.mjs';

/** @typedef {{ x: number, y: number, label: number }} Component */

/** Deviation of each component. */
export const WIDTH = 0.22;
/** @type {Component[]} */
export const COMPONENTS = [
  { x: -1.1, y: 0.5, label: 0 }, { x: -0.3, y: 1.1, label: 0 }, { x: -0.5, y: 0.1, label: 0 },
  { x: 0.4, y: 0.3, label: 1 }, { x: 1.1, y: -0.4, label: 1 }, { x: 0.1, y: -1, label: 1 },
];
const TIMESTEPS = 1000;

/** The cosine schedule (Nichol and Dhariwal 2021), with the paper's limit of 0.999 for each beta. @type {import('./process.mjs').Process} */
export const PROCESS = {
  timesteps: TIMESTEPS, objective: 'pred_noise',
  alphasCumprod: (() => {
    const f = (/** @type {number} */ t) => Math.cos((((t / TIMESTEPS + 0.008) / 1.008) * Math.PI) / 2) ** 2;
    let product = 1;
    return Float64Array.from({ length: TIMESTEPS }, (_, t) => (product *= 1 - Math.min(0.999, 1 - f(t + 1) / f(t))));
  })(),
};

/** Components of a class, or of all (null). @param {number | null} label */
const of = (label) => COMPONENTS.filter((each) => label === null || each.label === label);

/** log p(x_t | label), and its gradient, the score. @param {ArrayLike<number>} point @param {number} t @param {number | null} label */
export function look(point, t, label) {
  const { 0: x, 1: y } = point;
  const { abar, signal } = marginal(PROCESS, t);
  const variance = abar * WIDTH ** 2 + 1 - abar;
  const parts = of(label).map((each) => {
    const [dx, dy] = [signal * each.x - x, signal * each.y - y];
    return { dx, dy, log: -(dx * dx + dy * dy) / (2 * variance) };
  });
  const most = Math.max(...parts.map(({ log }) => log));
  const shares = parts.map(({ log }) => Math.exp(log - most));
  const sum = shares.reduce((total, share) => total + share, 0);
  const mean = (/** @type {'dx' | 'dy'} */ part) => parts.reduce((total, each, index) => total + (shares[index] / sum) * each[part], 0) / variance;
  return { logDensity: most + Math.log(sum / parts.length / (2 * Math.PI * variance)), score: /** @type {const} */ ([mean('dx'), mean('dy')]) };
}

/** The best possible answer of a network: eps = -sqrt(1 - abar) score. @param {ArrayLike<number>} point @param {number} t @param {number | null} label */
export function predict(point, t, label) {
  const { noise } = marginal(PROCESS, t);
  return look(point, t, label).score.map((value) => -noise * value);
}

/** @param {ArrayLike<number>} point @param {number} t @param {number} label @param {number} s */
export const predictGuided = (point, t, label, s) => guide(predict(point, t, null), predict(point, t, label), s);

/** Times of a run, from the noisy end, and -1. @param {number} steps */
export const timesOf = (steps) => Array.from({ length: steps + 1 }, (_, k) => Math.round(TIMESTEPS - 1 - (k / steps) * TIMESTEPS));

/**
 * The way of a point through DDIM (Song et al. 2021): as many places as steps, and where it begins. Nothing is clipped.
 * @param {{ seed: number, steps: number, label: number, s: number, eta: number }} options
 * @returns {Float32Array[]}
 */
export function walk({ seed, steps, label, s, eta }) {
  const { tensor } = makeNormal(seed);
  const times = timesOf(steps);
  const way = [tensor(2)];
  for (let k = 0; k < steps; k++) {
    const [now, next] = [marginal(PROCESS, times[k]), marginal(PROCESS, times[k + 1])];
    const x = way[k];
    const eps = predictGuided(x, times[k], label, s);
    const x0 = combine(1 / now.signal, x, -now.noise / now.signal, eps);
    const sigma = eta * Math.sqrt(((1 - next.abar) / (1 - now.abar)) * (1 - now.abar / next.abar));
    const kept = combine(next.signal, x0, Math.sqrt(Math.max(0, 1 - next.abar - sigma ** 2)), eps);
    way.push(combine(1, kept, sigma, tensor(2)));
  }
  return way;
}

/** How sure a point is to be of a class: p(y | x_0), both classes being as frequent. @param {ArrayLike<number>} point @param {number} label */
export function certainty(point, label) {
  const [own, other] = [label, 1 - label].map((each) => look(point, -1, each).logDensity);
  return 1 / (1 + Math.exp(other - own));
}
