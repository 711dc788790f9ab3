// Guidance at one step: two predictions of the same x_t, their difference, and what lies beyond.

import { make } from '../../page/elements.mjs';
import { paint } from '../../page/paint.mjs';
import { classChoice, nameOf } from '../names.mjs';
import { digits, symbols } from '../notation.mjs';
import { Plot } from '../plot.mjs';
import { clip, combine, estimates, guide, guideByWeight, inTheirPlane, marginal, norm } from '../process.mjs';
import { once } from '../sources.mjs';
import { Tile } from '../tensors.mjs';

/** DDIM steps of the run that the states are taken from, and of the finished picture. */
const STEPS = 12;
const MOST = 8;
const RUN = /** @type {const} */ ({ sampler: 'ddim', steps: STEPS, eta: 0, timeGrid: 'linear', guidanceInterval: 'all', projection: false, rescale: 0 });

const en = {
  s: 'Guidance scale s', step: 'Step', label: 'Class y', seed: 'Seed',
  x: 'x_t', without: 'x̂_0 for no class (∅)', conditional: 'x̂_0 for the class y', difference: 'difference of the two ε̂', guided: 'x̂_0 guided', final: 'finished with this s',
  plane: 'The plane of the two predictions: a line from that for no class through that for the class to the guided one', along: '↑ along ε̂(∅)', across: 'across it →',
  /** @param {Record<string, any>} v */
  says: (v) => `At t = ${v.t} the predictions for ∅ and for “${v.name}” are ${digits(v.distance, 2)} apart (they are ${digits(v.withoutNorm, 1)} and ${digits(v.conditionalNorm, 1)} long, ${digits(v.angle, 1)}° between them). ` +
    `With s = ${digits(v.s, 1)}, so w = s − 1 = ${digits(v.w, 1)}, the guided one ${v.s > 1 ? 'goes on beyond the class, to' : v.s === 1 ? 'is that of the class,' : 'stays short of the class,'} ${digits(v.guidedDistance, 2)} from ∅, and is ${digits(v.guidedNorm, 1)} long.`,
};
const zh = {
  s: '引导尺度 s', step: '步', label: '类别 y', seed: '种子',
  x: 'x_t', without: '无类别（∅）的 x̂_0', conditional: '类别 y 的 x̂_0', difference: '两个 ε̂ 之差', guided: '引导后的 x̂_0', final: '用这个 s 画完',
  plane: '两个预测张成的平面：从无类别的预测出发，经过类别的预测，到引导后的预测', along: '↑ 沿 ε̂(∅)', across: '与之垂直 →',
  /** @param {Record<string, any>} v */
  says: (v) => `t = ${v.t} 时，∅ 与“${v.name}”的两个预测相距 ${digits(v.distance, 2)}（长度分别为 ${digits(v.withoutNorm, 1)} 和 ${digits(v.conditionalNorm, 1)}，夹角 ${digits(v.angle, 1)}°）。` +
    `s = ${digits(v.s, 1)}，即 w = s − 1 = ${digits(v.w, 1)}：引导后的预测${v.s > 1 ? '越过了类别的预测' : v.s === 1 ? '就是类别的预测' : '还没有到类别的预测'}，离 ∅ ${digits(v.guidedDistance, 2)}，长度 ${digits(v.guidedNorm, 1)}。`,
};

/** @type {import('../figure.mjs').Kind} */
export default {
  needsModel: true,
  text: { en, zh },
  controls: (context) => [
    { kind: 'range', name: 's', text: context.text.s, min: 0, max: MOST, step: 0.1, initial: 3, wide: true, show: (s) => `s = ${digits(s, 1)}, w = ${digits(s - 1, 1)}` },
    { kind: 'range', name: 'step', text: context.text.step, min: 1, max: STEPS, initial: 4, show: (step) => `${step} / ${STEPS}` },
    classChoice(context, context.text.label),
    { kind: 'seed', name: 'seed', text: context.text.seed, initial: 1 },
  ],
  make(context) {
    const { stage, model, text } = context;
    const { info } = model;
    const names = ['x', 'without', 'conditional', 'difference', 'guided', 'final'];
    const tiles = Object.fromEntries(names.map((name) => [name, new Tile(info, symbols(text[name]))]));
    const plane = make('div');
    const equation = make('p', { className: 'equation' });
    stage.append(make('div', { className: 'row' }, ...names.map((name) => tiles[name].node)), equation, plane);
    /** Both predictions of a state on the way of the class alone (s = 1). @param {number} step @param {number} label @param {number} seed */
    const look = (step, label, seed) => once(model, `predictions ${step} ${label} ${seed}`, async () => {
      const { trace = [] } = await once(model, `way ${label} ${seed}`, () => model.generate({ ...RUN, label, seed, guidanceScale: 1, trace: true }));
      const { timestep: t, x: { values: x } } = trace[step - 1];
      const at = marginal(info, t);
      const [without, conditional] = await Promise.all([null, label].map(async (one) => estimates(info.objective, await model.predict(x, t, one), x, at)));
      return { t, x, without, conditional };
    });
    return {
      async update({ s, step, label, seed }, signal) {
        const own = Number(label);
        const { t, x, without, conditional } = await look(step, own, seed);
        const guided = guide(without.eps, conditional.eps, s);
        const difference = combine(1, conditional.eps, -1, without.eps);
        const distance = norm(difference);
        tiles.x.show(x);
        tiles.without.show(clip(without.x0));
        tiles.conditional.show(clip(conditional.x0));
        tiles.difference.show(difference, difference.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1);
        tiles.guided.show(clip(guide(without.x0, conditional.x0, s)));
        equation.replaceChildren(symbols(`ε̃ = ε̂(∅) + ${digits(s, 1)} (ε̂(y) − ε̂(∅)) = ${digits(s, 1)} ε̂(y) ${s < 1 ? '+' : '−'} ${digits(Math.abs(s - 1), 1)} ε̂(∅)`));
        const { first, second, angle } = inTheirPlane(without.eps, conditional.eps);
        plane.replaceChildren(drawPlane([second[0] - first[0], second[1]], s, text));
        const byWeight = guideByWeight(without.eps, conditional.eps, s - 1);
        const values = {
          s, w: s - 1, t, name: nameOf(context, own), distance, guidedDistance: s * distance, angle,
          withoutNorm: norm(without.eps), conditionalNorm: norm(conditional.eps), guidedNorm: norm(guided),
          disagreement: guided.reduce((most, value, index) => Math.max(most, Math.abs(value - byWeight[index])), 0),
        };
        // What the two formulas give is on show at once; the finished picture takes a run of its own.
        const final = await model.generate({ ...RUN, label: own, seed, guidanceScale: s, signal });
        paint(tiles.final.canvas, final);
        return { says: text.says(values), values: { ...values, guided, pixels: final.pixels } };
      },
    };
  },
};

/** Enlarged about the prediction for no class. @param {[number, number]} difference in the plane @param {number} s @param {Record<string, string>} text */
function drawPlane([along, across], s, text) {
  const width = 420;
  const height = 130;
  // What is across lies along the width, in which there is more room; both axes have the same scale, whatever s.
  const reach = Math.max(across * MOST * 1.25, Math.abs(along) * MOST * (width / height) * 1.5, 0.01);
  const down = (reach * height) / width;
  const middle = (along * MOST) / 2;
  const plot = new Plot({
    x: [-0.1 * reach, 0.9 * reach], y: [middle - down / 2, middle + down / 2], label: text.plane, xTitle: text.across, yTitle: text.along, xTicks: [], yTicks: [], width, height,
  });
  plot.line('third', [[0, 0], [across * MOST, along * MOST]]);
  plot.line('first', [[0, 0], [across * s, along * s]]);
  plot.line('second', [[0, 0], [across, along]]);
  for (let mark = 2; mark <= MOST; mark++) plot.mark(across * mark, along * mark, String(mark));
  plot.point('third', 0, 0, '∅');
  plot.point('second', across, along, 'y');
  plot.point('first', across * s, along * s, Math.min(Math.abs(s), Math.abs(s - 1)) > 0.45 ? `s = ${digits(s, 1)}` : '');
  return plot.node;
}
