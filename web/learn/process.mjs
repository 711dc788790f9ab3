// The formulas of the figures, as the article prints them: the forward process and its posterior (Ho et al. 2020), what
// follows from a prediction, and guidance (Ho and Salimans 2022). Tensors are flat arrays; t counts 0 .. T - 1, and -1 is the
// picture itself, as in the library. Tests compare all of it with what the library does.

/** @typedef {ArrayLike<number>} Tensor */
/** @typedef {{ alphasCumprod: Float64Array, timesteps: number, objective: import('../index.d.ts').ObjectiveName }} Process */
/** @typedef {{ abar: number, signal: number, noise: number }} Marginal signal: sqrt(abar), noise: sqrt(1 - abar) */

/** Of q(x_t | x_0). @param {Process} process @param {number} t @returns {Marginal} */
export function marginal({ alphasCumprod }, t) {
  const abar = t < 0 ? 1 : alphasCumprod[t];
  return { abar, signal: Math.sqrt(abar), noise: Math.sqrt(1 - abar) };
}

/** p a + q b. @param {number} p @param {Tensor} a @param {number} q @param {Tensor} b */
export const combine = (p, a, q, b) => Float32Array.from(a, (value, index) => p * value + q * b[index]);

/** x_t = sqrt(abar) x_0 + sqrt(1 - abar) eps. @param {Tensor} x0 @param {Tensor} eps @param {Marginal} at */
export const jump = (x0, eps, { signal, noise }) => combine(signal, x0, noise, eps);

/**
 * q(x_t | x_before) of a step, or of several in one: x_t = keep x_before + deviation z.
 * @param {Process} process @param {number} t @param {number} before earlier than t
 */
export function step(process, t, before) {
  const share = marginal(process, t).abar / marginal(process, before).abar;
  return { keep: Math.sqrt(share), deviation: Math.sqrt(1 - share) };
}

/**
 * q(x_before | x_t, x_0): its mean is ofPicture x_0 + ofState x_t.
 * @param {Process} process @param {number} t @param {number} before earlier than t
 */
export function posterior(process, t, before) {
  const now = marginal(process, t);
  const then = marginal(process, before);
  const alpha = now.abar / then.abar;
  const beta = 1 - alpha;
  return {
    ofPicture: (then.signal * beta) / (1 - now.abar),
    ofState: (Math.sqrt(alpha) * (1 - then.abar)) / (1 - now.abar),
    deviation: Math.sqrt((beta * (1 - then.abar)) / (1 - now.abar)),
  };
}

/**
 * eps and x_0 that follow from what a network says, whatever it predicts. Nothing is clipped.
 * @param {Process['objective']} objective @param {Tensor} prediction @param {Tensor} x x_t @param {Marginal} at
 */
export function estimates(objective, prediction, x, { signal, noise }) {
  if (objective === 'pred_noise') return { eps: Float32Array.from(prediction), x0: combine(1 / signal, x, -noise / signal, prediction) };
  if (objective === 'pred_x0') return { eps: combine(1 / noise, x, -signal / noise, prediction), x0: Float32Array.from(prediction) };
  return { eps: combine(noise, x, signal, prediction), x0: combine(signal, x, -noise, prediction) };
}

/** Into [-1, 1]. @param {Tensor} x */
export const clip = (x) => Float32Array.from(x, (value) => Math.min(Math.max(value, -1), 1));

/** null + s (cond - null). @param {Tensor} without for the null class @param {Tensor} conditional @param {number} s */
export const guide = (without, conditional, s) => combine(1 - s, without, s, conditional);

/** (1 + w) cond - w null, as the paper writes it. @param {Tensor} without @param {Tensor} conditional @param {number} w */
export const guideByWeight = (without, conditional, w) => combine(1 + w, conditional, -w, without);

// ---- what is measured

/** @param {Tensor} a @param {Tensor} b */
export function dot(a, b) {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += a[index] * b[index];
  return sum;
}

/** Euclidean. @param {Tensor} a */
export const norm = (a) => Math.sqrt(dot(a, a));

/** Mean of (a - b)^2. @param {Tensor} a @param {Tensor} b */
export function meanSquare(a, b) {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += (a[index] - b[index]) ** 2;
  return sum / a.length;
}

/**
 * Both vectors in the plane that they span: the first lies on the first axis.
 * @param {Tensor} first @param {Tensor} second @returns {{ first: [number, number], second: [number, number], angle: number }} angle in degrees
 */
export function inTheirPlane(first, second) {
  const length = norm(first);
  const along = dot(first, second) / length;
  const across = Math.sqrt(Math.max(0, dot(second, second) - along * along));
  return { first: [length, 0], second: [along, across], angle: (Math.atan2(across, along) * 180) / Math.PI };
}

// ---- chance

/**
 * Standard normal numbers (Box and Muller 1958) of a small generator (mulberry32), the same in every browser to the last
 * digits: for what a figure draws itself. Pictures start from the library's noise, which is PyTorch's.
 * @param {number} seed
 */
export function makeNormal(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (((bits ^ (bits >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  let kept = NaN;
  const normal = () => {
    if (!Number.isNaN(kept)) {
      const value = kept;
      kept = NaN;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    kept = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  /** @param {number} count */
  const tensor = (count) => Float32Array.from({ length: count }, normal);
  return { uniform, normal, tensor };
}
