// Draws by hand what model.generate({ sampler: 'ddim' }) draws: the article shows this text, and runs it.

/**
 * @param {Pick<import('../index.d.ts').Model, 'info' | 'predict'>} model
 * @param {Float32Array} x noise, and step by step less of it
 * @param {{ label: number, s: number, steps: number }} options
 * @param {(x0: Float32Array, t: number) => void} show
 */
export async function draw(model, x, { label, s, steps }, show) {
  const { alphasCumprod, timesteps, objective } = model.info;
  const timeOf = (/** @type {number} */ k) => Math.trunc(timesteps - 1 - (k * timesteps) / steps);
  for (let k = 0; k < steps; k++) {
    const [t, next] = [timeOf(k), timeOf(k + 1)];
    const forClass = await model.predict(x, t, label);
    const forNone = await model.predict(x, t, null);
    const said = forNone.map((value, i) => value + s * (forClass[i] - value)); // guidance
    const [signal, noise] = [Math.sqrt(alphasCumprod[t]), Math.sqrt(1 - alphasCumprod[t])];
    const saysNoise = objective === 'pred_noise'; // otherwise v
    const estimate = x.map((value, i) => (saysNoise ? (value - noise * said[i]) / signal : signal * value - noise * said[i]));
    const x0 = estimate.map((value) => Math.min(Math.max(value, -1), 1));
    const eps = x.map((value, i) => (saysNoise ? said[i] : (value - signal * x0[i]) / noise));
    const abar = next < 0 ? 1 : alphasCumprod[next];
    x = x0.map((value, i) => Math.sqrt(abar) * value + Math.sqrt(1 - abar) * eps[i]);
    show(x0, t);
  }
  return x;
}
