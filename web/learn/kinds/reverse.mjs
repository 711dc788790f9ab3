// The reverse process: from noise to a picture, step by step, by several samplers.

import { make } from '../../page/elements.mjs';
import { paint } from '../../page/paint.mjs';
import { classChoice, nameOf } from '../names.mjs';
import { digits, symbols } from '../notation.mjs';
import { marginal } from '../process.mjs';
import { Tile, tensorOfPixels } from '../tensors.mjs';

/** Of the strip. */
const PICTURES = 8;
/** @type {import('../../index.d.ts').SamplerName[]} */
const SAMPLERS = ['ddpm', 'ddim', 'euler', 'dpmpp-2m', 'unipc'];
const NAMES = { ddpm: 'DDPM', ddim: 'DDIM', euler: 'Euler', 'dpmpp-2m': 'DPM-Solver++ (2M)', unipc: 'UniPC' };

const en = {
  at: 'How far', steps: 'Steps', sampler: 'Sampler', eta: 'η, noise of DDIM', label: 'Class', seed: 'Seed',
  x: 'x_t', x0Hat: 'x̂_0, the estimate', final: 'finished', strip: 'x_t and x̂_0 on the way', others: 'The same noise and as many steps, by other samplers',
  /** @param {Record<string, any>} v */
  says: (v) => `${v.sampler}, step ${v.done} of ${v.steps}${v.done < v.steps ? `: x_t at t = ${v.t} has ${digits(v.noise)} of noise; the network sees it next.` : ': the picture is finished.'} ` +
    (v.drawsNoise ? 'Every step but the last draws fresh noise: the way is decided by more than where it begins.' : 'No step draws noise: where it ends is decided by where it begins.'),
};
const zh = {
  at: '走了多远', steps: '步数', sampler: '采样器', eta: 'η，DDIM 的噪声', label: '类别', seed: '种子',
  x: 'x_t', x0Hat: 'x̂_0，估计', final: '画完', strip: '途中的 x_t 与 x̂_0', others: '同样的噪声、同样的步数，换别的采样器',
  /** @param {Record<string, any>} v */
  says: (v) => `${v.sampler}，第 ${v.done} / ${v.steps} 步${v.done < v.steps ? `：t = ${v.t} 的 x_t 里还有 ${digits(v.noise)} 份噪声，接下来交给网络。` : '：图片画完了。'}` +
    (v.drawsNoise ? '除最后一步外，每步都抽取新的噪声：走到哪里不只由起点决定。' : '每步都不抽取噪声：起点决定了终点。'),
};

/** @type {import('../figure.mjs').Kind} */
export default {
  needsModel: true,
  text: { en, zh },
  controls: (context) => [
    { kind: 'range', name: 'at', text: context.text.at, min: 0, max: 100, initial: 50, wide: true, show: (at) => `${at} %` },
    { kind: 'range', name: 'steps', text: context.text.steps, min: 4, max: 100, initial: 20 },
    { kind: 'choice', name: 'sampler', text: context.text.sampler, initial: 'ddpm', options: SAMPLERS.map((value) => ({ value, text: NAMES[/** @type {keyof typeof NAMES} */ (value)] })) },
    { kind: 'range', name: 'eta', text: context.text.eta, min: 0, max: 1, step: 0.1, initial: 0, show: (eta) => digits(eta, 1) },
    classChoice(context, context.text.label),
    { kind: 'seed', name: 'seed', text: context.text.seed, initial: 1 },
  ],
  make(context) {
    const { stage, model, text } = context;
    const { info } = model;
    const [state, estimate, final] = [text.x, text.x0Hat, text.final].map((name) => new Tile(info, symbols(name)));
    const strip = Array.from({ length: PICTURES }, () => [new Tile(info, symbols('x_t')), new Tile(info, symbols('x̂_0'))]);
    const others = SAMPLERS.map((sampler) => new Tile(info, NAMES[/** @type {keyof typeof NAMES} */ (sampler)]));
    const row = (/** @type {Tile[]} */ tiles, kind = 'many') => make('div', { className: `row ${kind}` }, ...tiles.map(({ node }) => node));
    stage.append(
      row([state, estimate, final], 'three'),
      make('p', { className: 'head' }, symbols(text.strip)), row(strip.map(([x]) => x)), row(strip.map(([, x0]) => x0)),
      make('p', { className: 'head' }, symbols(text.others)), row(others),
    );
    /** @type {{ key: string, picture: import('../../index.d.ts').Picture } | null} */
    let last = null; // what is scrubbed is not made again
    let compared = '';
    return {
      async update({ at, steps, sampler, eta, label, seed }, signal) {
        const options = { label: Number(label), seed, steps, timeGrid: /** @type {const} */ ('linear'), guidanceInterval: /** @type {const} */ ('all') };
        const key = JSON.stringify([options, sampler, eta]);
        if (last?.key !== key) last = { key, picture: await model.generate({ ...options, sampler, eta, trace: true, signal }) };
        const { picture } = last;
        const { trace = [] } = picture;
        const finished = tensorOfPixels(picture.pixels, info);
        const done = Math.round((at / 100) * steps);
        const stateAfter = (/** @type {number} */ k) => trace[k]?.x.values ?? finished;
        state.show(stateAfter(done));
        estimate.show(trace[Math.min(done, steps - 1)].x0.values);
        paint(final.canvas, picture);
        strip.forEach(([x, x0], index) => {
          const k = Math.round((index / (PICTURES - 1)) * (steps - 1));
          x.show(trace[k].x.values);
          x0.show(trace[k].x0.values);
          x.name(`t = ${trace[k].timestep}`);
          x.node.toggleAttribute('data-chosen', Math.abs(k - Math.min(done, steps - 1)) < steps / 2 / PICTURES);
        });
        const t = trace[done]?.timestep ?? -1;
        const values = {
          done, steps, t, sampler: NAMES[/** @type {keyof typeof NAMES} */ (sampler)], noise: marginal(info, t).noise, name: nameOf(context, options.label),
          drawsNoise: sampler === 'ddpm' || (sampler === 'ddim' && eta > 0), pixels: picture.pixels,
        };
        if (compared !== JSON.stringify([options, eta])) {
          compared = ''; // what is on show while some are drawn is neither
          await Promise.all(SAMPLERS.map(async (other, index) => paint(others[index].canvas, other === sampler ? picture : await model.generate({ ...options, sampler: other, eta, signal }))));
          compared = JSON.stringify([options, eta]);
        }
        others.forEach(({ node }, index) => node.toggleAttribute('data-chosen', SAMPLERS[index] === sampler));
        return { says: text.says(values), values: { ...values, x: stateAfter(done) } };
      },
    };
  },
};
