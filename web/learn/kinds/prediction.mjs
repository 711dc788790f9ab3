// What the network sees: at any time its estimate of the noise, and so of the picture.

import { make } from '../../page/elements.mjs';
import { classChoice, nameOf } from '../names.mjs';
import { digits, symbols } from '../notation.mjs';
import { Plot } from '../plot.mjs';
import { clip, estimates, jump, marginal, meanSquare } from '../process.mjs';
import { noiseOf, once, pictureOf } from '../sources.mjs';
import { Tile } from '../tensors.mjs';

const PICTURE_SEED = 7;
/** Shares of all timesteps at which the strip has its pictures. */
const STRIP = [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.98];

const en = {
  t: 'Time t', picture: 'Picture x_0', seed: 'Seed of the noise', known: 'The network is told the class',
  x0: 'x_0, the picture', x: 'x_t, what the network sees', eps: 'ε, the noise in it', epsHat: 'ε̂, what it says the noise is', x0Hat: 'x̂_0, the picture that follows',
  strip: 'x̂_0 at other times', error: 'mean of (ε̂ − ε)²', curve: 'Error of the noise estimate over time: large at small t, small at large t',
  /** @param {Record<string, any>} v */
  says: (v) => `At t = ${v.t}, told ${v.known ? `“${v.name}”` : 'no class'}, the network is wrong about the noise by ${digits(v.epsError, 4)} in the mean square, and about the picture by ${digits(v.x0Error)}. ` +
    'Training makes the first number small. Little noise is hard to tell from strokes, so it is larger at small t, where it hardly matters; in much noise the picture cannot be told, and the best guess is a mean of many pictures: blurred.',
};
const zh = {
  t: '时刻 t', picture: '图片 x_0', seed: '噪声的种子', known: '告诉网络类别',
  x0: 'x_0，原图', x: 'x_t，网络看到的', eps: 'ε，其中的噪声', epsHat: 'ε̂，网络认为的噪声', x0Hat: 'x̂_0，由此推出的图片',
  strip: '其他时刻的 x̂_0', error: '(ε̂ − ε)² 的均值', curve: '噪声估计的误差随时间的变化：t 小时大，t 大时小',
  /** @param {Record<string, any>} v */
  says: (v) => `t = ${v.t}，${v.known ? `告诉网络类别是“${v.name}”` : '不告诉网络类别'}：它对噪声的均方误差是 ${digits(v.epsError, 4)}，对图片的均方误差是 ${digits(v.x0Error)}。` +
    '训练要减小的正是前一个数。噪声很少时难以与笔画区分，所以 t 小时这个误差反而大，但此时影响不大；噪声很多时看不出是哪张图片，最好的猜测就是许多图片的平均，所以模糊。',
};

/** @type {import('../figure.mjs').Kind} */
export default {
  needsModel: true,
  text: { en, zh },
  controls: (context) => [
    { kind: 'range', name: 't', text: context.text.t, min: 0, max: context.model.info.timesteps - 1, initial: 600, wide: true },
    classChoice(context, context.text.picture),
    { kind: 'seed', name: 'seed', text: context.text.seed, initial: 1 },
    { kind: 'check', name: 'known', text: context.text.known, initial: true },
  ],
  make(context) {
    const { stage, model, text } = context;
    const { info } = model;
    const tiles = Object.fromEntries(['x', 'eps', 'epsHat', 'x0', 'x0Hat'].map((name) => [name, new Tile(info, symbols(text[name]))]));
    const times = STRIP.map((share) => Math.round(share * (info.timesteps - 1)));
    const strip = times.map((t) => new Tile(info, `t = ${t}`));
    const plot = new Plot({ x: [0, info.timesteps - 1], y: [0, 1], label: text.curve, xTitle: 't', yTitle: text.error, height: 150 });
    stage.append(
      make('div', { className: 'row' }, ...['x', 'epsHat', 'x0Hat', 'eps', 'x0'].map((name) => tiles[name].node)),
      make('p', { className: 'head' }, symbols(text.strip)),
      make('div', { className: 'row many' }, ...strip.map(({ node }) => node)),
      plot.node,
    );
    /** What the network says of x_t. @param {number} t @param {number} label @param {number} seed @param {boolean} known */
    const look = async (t, label, seed, known) => {
      const [x0, eps] = await Promise.all([pictureOf(model, label, PICTURE_SEED), noiseOf(model, seed)]);
      const at = marginal(info, t);
      const x = jump(x0, eps, at);
      const said = estimates(info.objective, await model.predict(x, t, known ? label : null), x, at);
      const x0Hat = clip(said.x0);
      return { x0, eps, x, epsHat: said.eps, x0Hat, epsError: meanSquare(said.eps, eps), x0Error: meanSquare(x0Hat, x0) };
    };
    return {
      async update({ t, label, seed, known }, signal) {
        const own = Number(label);
        const seen = await look(t, own, seed, known);
        tiles.x.show(seen.x);
        tiles.eps.show(seen.eps, 3);
        tiles.epsHat.show(seen.epsHat, 3);
        tiles.x0.show(seen.x0);
        tiles.x0Hat.show(seen.x0Hat);
        strip.forEach(({ node }, index) => node.toggleAttribute('data-chosen', Math.abs(times[index] - t) < info.timesteps / 40));
        plot.upright('now', t);
        plot.point('first', t, Math.min(seen.epsError, 1), digits(seen.epsError, 3));
        const others = await once(model, `strip ${own} ${seed} ${known}`, () => Promise.all(times.map((time) => look(time, own, seed, known))));
        signal.throwIfAborted();
        others.forEach(({ x0Hat }, index) => strip[index].show(x0Hat));
        plot.line('second', others.map(({ epsError }, index) => [times[index], Math.min(epsError, 1)]));
        const values = { t, known, name: nameOf(context, own), epsError: seen.epsError, x0Error: seen.x0Error };
        return { says: text.says(values), values: { ...values, x: seen.x, epsHat: seen.epsHat, x0Hat: seen.x0Hat } };
      },
    };
  },
};
