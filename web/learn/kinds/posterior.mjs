// The posterior: where x was before x_t, if x_0 is known. Drawn from again and again.

import { make } from '../../page/elements.mjs';
import { classChoice } from '../names.mjs';
import { digits, symbols } from '../notation.mjs';
import { Plot } from '../plot.mjs';
import { clip, combine, estimates, jump, makeNormal, marginal, meanSquare, posterior } from '../process.mjs';
import { noiseOf, pictureOf } from '../sources.mjs';
import { Tile, placeOf } from '../tensors.mjs';

const PICTURE_SEED = 7;
const DRAWS = 4;
const REACH = 3; // of the plot, to both sides of 0

const en = {
  t: 'Time t', back: 'Steps back in one', picture: 'Picture x_0', seed: 'Seed of the noise', draw: 'Seed of the draws', pixel: 'Pixel of the curves', guess: 'With the network’s x̂_0 in the place of x_0',
  x0: 'x_0', x0Hat: 'x̂_0', x: 'x_t', mean: 'the mean', drawn: 'draw',
  curves: 'Bell curves of one pixel: what x_0 alone says, and what x_0 and x_t say together', alone: 'q(x | x₀)', both: 'q(x | xₜ, x₀)', value: 'value of the pixel',
  /** @param {Record<string, any>} v */
  says: (v) => `From t = ${v.t} ${v.before < 0 ? 'to the picture' : `to t = ${v.before}`}: the mean is ${digits(v.ofPicture)} ${v.guess ? 'x̂_0' : 'x_0'} + ${digits(v.ofState)} x_t, the deviation ${digits(v.deviation)}; ` +
    `the ${DRAWS} draws deviate by ${digits(v.measured)}. ${v.before < 0 ? `The last step draws nothing: what is left is ${v.guess ? 'x̂_0, the estimate' : 'x_0 itself'}.` : 'The curve of both is narrower than that of x_0 alone: x_t tells which noise it was.'}`,
};
const zh = {
  t: '时刻 t', back: '一次退几步', picture: '图片 x_0', seed: '噪声的种子', draw: '抽样的种子', pixel: '曲线所属的像素', guess: '用网络的 x̂_0 代替 x_0',
  x0: 'x_0', x0Hat: 'x̂_0', x: 'x_t', mean: '均值', drawn: '抽样',
  curves: '一个像素的钟形曲线：只知道 x_0 时，以及 x_0 和 x_t 都知道时', alone: 'q(x | x₀)', both: 'q(x | xₜ, x₀)', value: '像素的值',
  /** @param {Record<string, any>} v */
  says: (v) => `从 t = ${v.t} 退到${v.before < 0 ? '图片' : ` t = ${v.before}`}：均值是 ${digits(v.ofPicture)} ${v.guess ? 'x̂_0' : 'x_0'} + ${digits(v.ofState)} x_t，标准差是 ${digits(v.deviation)}；` +
    `${DRAWS} 次抽样实测 ${digits(v.measured)}。${v.before < 0 ? `最后一步不再抽样，剩下的就是${v.guess ? '估计 x̂_0' : ' x_0 本身'}。` : '两者都知道时曲线更窄：x_t 透露了当初加的是什么噪声。'}`,
};

/** Pixels by number, row by row. @param {import('../figure.mjs').Context} context @returns {import('../controls.mjs').Control} */
const pixelRange = ({ model: { info: { width, height } }, text }) => ({
  kind: 'range', name: 'pixel', text: text.pixel, min: 0, max: width * height - 1, initial: Math.round((height * 0.5 + 0.36) * width),
  show: (pixel) => `${pixel % width}, ${Math.floor(pixel / width)}`,
});

/** @type {import('../figure.mjs').Kind} */
export default {
  needsModel: true,
  text: { en, zh },
  controls: (context) => [
    { kind: 'range', name: 't', text: context.text.t, min: 0, max: context.model.info.timesteps - 1, initial: 600, wide: true },
    { kind: 'range', name: 'back', text: context.text.back, min: 1, max: context.model.info.timesteps, initial: 250 },
    pixelRange(context),
    classChoice(context, context.text.picture),
    { kind: 'seed', name: 'seed', text: context.text.seed, initial: 1 },
    { kind: 'seed', name: 'draw', text: context.text.draw, initial: 1 },
    { kind: 'check', name: 'guess', text: context.text.guess, initial: false },
  ],
  make({ stage, model, text }) {
    const { info } = model;
    const [picture, state, mean] = [text.x0, text.x, text.mean].map((name) => new Tile(info, symbols(name)));
    const draws = Array.from({ length: DRAWS }, (_, index) => new Tile(info, `${text.drawn} ${index + 1}`));
    const plot = new Plot({ x: [-REACH, REACH], y: [0, 1.1], label: text.curves, xTitle: text.value, xTicks: [-REACH, -1, 1, REACH], yTicks: [0], height: 150 });
    const equation = make('p', { className: 'equation' });
    stage.append(
      make('div', { className: 'row three' }, picture.node, state.node, mean.node), equation,
      make('div', { className: 'row four' }, ...draws.map(({ node }) => node)), plot.node,
    );
    /** Of height 1. @param {string} name @param {number} middle @param {number} deviation */
    const bell = (name, middle, deviation) => plot.line(name, deviation > 0.004
      ? Array.from({ length: 241 }, (_, index) => REACH * (index / 120 - 1)).map((x) => /** @type {const} */ ([x, Math.exp(-0.5 * ((x - middle) / deviation) ** 2)]))
      : [[middle, 0], [middle, 1]]);
    return {
      async update({ t, back, pixel, label, seed, draw, guess }) {
        const before = Math.max(-1, t - back);
        const own = Number(label);
        const [drawing, eps] = await Promise.all([pictureOf(model, own, PICTURE_SEED), noiseOf(model, seed)]);
        const at = marginal(info, t);
        const x = jump(drawing, eps, at);
        const x0 = guess ? clip(estimates(info.objective, await model.predict(x, t, own), x, at).x0) : drawing;
        const { ofPicture, ofState, deviation } = posterior(info, t, before);
        const middle = combine(ofPicture, x0, ofState, x);
        const { tensor } = makeNormal(draw);
        const drawn = draws.map(() => combine(1, middle, deviation, tensor(middle.length)));
        picture.name(symbols(guess ? text.x0Hat : text.x0));
        picture.show(x0);
        state.show(x);
        mean.show(middle);
        drawn.forEach((each, index) => draws[index].show(each));
        equation.replaceChildren(symbols(`${before < 0 ? 'x_0' : `x_{t=${before}}`} = ${digits(ofPicture)} ${guess ? 'x̂' : 'x'}_0 + ${digits(ofState)} x_t + ${digits(deviation)} z`));
        const place = placeOf(pixel % info.width, Math.floor(pixel / info.width), info);
        const then = marginal(info, before);
        bell('second', then.signal * x0[place], then.noise);
        bell('first', middle[place], deviation);
        const inside = (/** @type {number} */ value) => Math.min(Math.max(value, -REACH), REACH);
        plot.point('second', inside(then.signal * x0[place]), 1, text.alone, middle[place] > then.signal * x0[place]);
        plot.point('first', inside(middle[place]), 1, text.both, middle[place] <= then.signal * x0[place]);
        plot.point('third', inside(x[place]), 0, 'xₜ');
        const measured = Math.sqrt(drawn.reduce((sum, each) => sum + meanSquare(each, middle), 0) / DRAWS);
        const values = { t, before, guess, ofPicture, ofState, deviation, measured };
        return { says: text.says(values), values: { ...values, mean: middle } };
      },
    };
  },
};
