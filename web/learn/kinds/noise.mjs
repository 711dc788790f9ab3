// The forward process: a picture is mixed with noise, in one jump or step by step, which comes to the same.

import { make, nextTask } from '../../page/elements.mjs';
import { imageOfState } from '../../page/paint.mjs';
import { classChoice } from '../names.mjs';
import { digits, symbols } from '../notation.mjs';
import { Pad } from '../pad.mjs';
import { Plot } from '../plot.mjs';
import { combine, jump, makeNormal, marginal, meanSquare, step } from '../process.mjs';
import { noiseOf, pictureOf } from '../sources.mjs';
import { Tile } from '../tensors.mjs';

const PICTURE_SEED = 7;
/** Steps between two looks at what else is to be done. */
const AT_ONCE = 50;
/** Of each model the last one: a walk is 4 MB. @type {WeakMap<import('../../index.d.ts').Model, { seed: number, states: Promise<Float32Array[]> }>} */
const walks = new WeakMap();

/**
 * What single steps make of a picture that is all 0, at every t; to it comes sqrt(abar) x_0.
 * @param {import('../../index.d.ts').Model} model @param {number} seed @returns {Promise<Float32Array[]>}
 */
function walkOf(model, seed) {
  const kept = walks.get(model);
  if (kept?.seed === seed) return kept.states;
  const states = makeWalk(model, seed);
  walks.set(model, { seed, states });
  return states;
}

/** @param {import('../../index.d.ts').Model} model @param {number} seed */
async function makeWalk({ info }, seed) {
  const { tensor } = makeNormal(seed);
  const size = info.networkWidth * info.networkHeight * info.networkChannels;
  /** @type {Float32Array[]} */
  const states = [];
  for (let t = 0; t < info.timesteps; t++) {
    const { keep, deviation } = step(info, t, t - 1);
    states.push(combine(keep, states[t - 1] ?? new Float32Array(size), deviation, tensor(size)));
    if (t % AT_ONCE === 0) await nextTask();
  }
  return states;
}

const en = {
  picture: 'Picture x_0', t: 'Time t', seed: 'Seed of the noise', clear: 'Clear x_0 and draw',
  x0: 'x_0, the picture: draw on it', eps: 'ε, the noise', jump: 'x_t by one jump', walk: 'x_t step by step',
  curve: 'How much of the picture and how much noise is in x at each time', draw: 'Picture x_0. Draw with the pointer, or move with the arrow keys; Space puts the pen down and lifts it.',
  /** @param {Record<string, number>} v */
  says: (v) => `At t = ${v.t}, ᾱ_t is ${digits(v.abar, 4)}: x_t holds ${digits(v.signal)} of the picture and ${digits(v.noise)} of the noise; the squares of the two add up to 1. ` +
    `Measured, the noise in x_t has a deviation of ${digits(v.jumped)} by the jump, and of ${digits(v.walked)} after ${v.t + 1} single steps, each with fresh noise.`,
};
const zh = {
  picture: '图片 x_0', t: '时刻 t', seed: '噪声的种子', clear: '清空 x_0，自己画',
  x0: 'x_0，原图：可以直接在上面画', eps: 'ε，噪声', jump: '一步跳到的 x_t', walk: '逐步走到的 x_t',
  curve: '每个时刻 x 中图片与噪声各占多少', draw: '图片 x_0。用鼠标或手指画；也可用方向键移动，空格键落笔和抬笔。',
  /** @param {Record<string, number>} v */
  says: (v) => `t = ${v.t} 时，ᾱ_t = ${digits(v.abar, 4)}：x_t 里有 ${digits(v.signal)} 份图片和 ${digits(v.noise)} 份噪声，两数的平方和为 1。` +
    `实测 x_t 中噪声的标准差：一步跳到的是 ${digits(v.jumped)}，每步都加新噪声、走 ${v.t + 1} 步得到的是 ${digits(v.walked)}。`,
};

/** @type {import('../figure.mjs').Kind} */
export default {
  needsModel: true,
  text: { en, zh },
  controls: (context) => [
    { kind: 'range', name: 't', text: context.text.t, min: 0, max: context.model.info.timesteps - 1, initial: 300, wide: true },
    classChoice(context, context.text.picture),
    { kind: 'seed', name: 'seed', text: context.text.seed, initial: 1 },
    { kind: 'button', name: 'clear', text: context.text.clear, act: () => context.stage.dispatchEvent(new Event('clear')) },
  ],
  make({ stage, model, text, redraw }) {
    const { info } = model;
    const [picture, noise, jumped, walked] = [text.x0, text.eps, text.jump, text.walk].map((name) => new Tile(info, symbols(name)));
    let drawn = false; // by the reader, since the class was chosen
    /** @type {number | null} */
    let chosen = null;
    const pad = new Pad(picture.canvas, info, () => {
      drawn = true;
      redraw();
    });
    picture.canvas.setAttribute('aria-label', text.draw);
    stage.addEventListener('clear', () => {
      pad.fill(() => 255);
      drawn = true;
      redraw();
      picture.canvas.focus();
    });
    const equation = make('p', { className: 'equation' });
    const last = info.timesteps - 1;
    const plot = new Plot({ x: [0, last], y: [0, 1], label: text.curve, xTitle: 't', xTicks: [0, last] });
    const times = Array.from({ length: 101 }, (_, index) => Math.round((index / 100) * last));
    const curve = (/** @type {'abar' | 'signal' | 'noise'} */ part) => times.map((t) => /** @type {const} */ ([t, marginal(info, t)[part]]));
    plot.line('third', curve('abar'));
    plot.line('first', curve('signal'));
    plot.line('second', curve('noise'));
    const row = make('div', { className: 'row four' }, picture.node, noise.node, jumped.node, walked.node);
    stage.append(row, equation, plot.node);
    return {
      async update({ t, label, seed }) {
        const own = Number(label);
        if (chosen !== own) {
          const { pixels } = imageOfState(await pictureOf(model, own, PICTURE_SEED), info);
          pad.fill((index) => pixels[index]);
          drawn = false;
          chosen = own;
        }
        const x0 = drawn ? pad.tensor : await pictureOf(model, own, PICTURE_SEED);
        const [eps, walk] = await Promise.all([noiseOf(model, seed), walkOf(model, seed)]);
        const at = marginal(info, t);
        const xJumped = jump(x0, eps, at);
        const xWalked = combine(at.signal, x0, 1, walk[t]);
        picture.show(x0);
        noise.show(eps, 3);
        jumped.show(xJumped);
        walked.show(xWalked);
        equation.replaceChildren(symbols(`x_{t=${t}} = ${digits(at.signal)} x_0 + ${digits(at.noise)} ε`));
        plot.upright('now', t);
        plot.point('third', t, at.abar, `ᾱ = ${digits(at.abar, 2)}`, t > last * 0.15);
        plot.point('first', t, at.signal, `√ᾱ = ${digits(at.signal, 2)}`);
        plot.point('second', t, at.noise, `√(1 − ᾱ) = ${digits(at.noise, 2)}`);
        const measured = (/** @type {Float32Array} */ x) => Math.sqrt(meanSquare(x, x0.map((value) => at.signal * value)));
        const values = { t, ...at, jumped: measured(xJumped), walked: measured(xWalked) };
        return { says: text.says(values), values: { ...values, x: xJumped, eps } };
      },
    };
  },
};
