// The class: what the same noise becomes for each class and for none, and how training makes one network do both.

import { make } from '../../page/elements.mjs';
import { paint } from '../../page/paint.mjs';
import { nameOf } from '../names.mjs';
import { digits, symbols } from '../notation.mjs';
import { makeNormal } from '../process.mjs';
import { anyLabel } from '../sources.mjs';
import { Tile } from '../tensors.mjs';

const STEPS = 12;
const CLASSES = 11;
const SAMPLES = 20;
/** @typedef {{ width: number, height: number, channels: number, pixels: Uint8Array }} Image */

const en = {
  at: 'How far', s: 'Guidance scale s', seed: 'Seed', p: 'p, how often training drops the class',
  none: '∅, no class', made: 'x̂_0 from the same noise for each class, and for none', training: `Classes as ${SAMPLES} training pictures come with them`,
  /** @param {Record<string, any>} v */
  says: (v) => `After step ${v.done} of ${STEPS}, at s = ${digits(v.s, 1)}: ${v.s === 0 ? 'the class is not asked, so that all are the same.' : 'the same noise, and all that differs is the class. What they share, where ink lies and how it leans, comes from the noise.'} ` +
    `With p = ${digits(v.p, 2)}, ${v.dropped} of these ${SAMPLES} training pictures come without their class${v.p === 0 ? ': the network would never learn to draw without one, and could not be guided.' : '.'}`,
};
const zh = {
  at: '走了多远', s: '引导尺度 s', seed: '种子', p: 'p，训练时丢掉类别的概率',
  none: '∅，无类别', made: '同样的噪声，给每个类别、以及不给类别时的 x̂_0', training: `${SAMPLES} 张训练图片所带的类别`,
  /** @param {Record<string, any>} v */
  says: (v) => `第 ${v.done} / ${STEPS} 步，s = ${digits(v.s, 1)}：${v.s === 0 ? '不问类别，所以全都一样。' : '噪声相同，只有类别不同。它们共有的东西——墨在哪里、往哪边斜——来自噪声。'}` +
    `p = ${digits(v.p, 2)} 时，这 ${SAMPLES} 张训练图片里有 ${v.dropped} 张不带类别${v.p === 0 ? '：网络永远学不会不给类别时怎么画，也就无法引导。' : '。'}`,
};

/** @type {import('../figure.mjs').Kind} */
export default {
  needsModel: true,
  text: { en, zh },
  controls: ({ text }) => [
    { kind: 'range', name: 'at', text: text.at, min: 1, max: STEPS, initial: STEPS, wide: true, show: (at) => `${at} / ${STEPS}` },
    { kind: 'range', name: 's', text: text.s, min: 0, max: 8, step: 0.5, initial: 2, show: (s) => digits(s, 1) },
    { kind: 'range', name: 'p', text: text.p, min: 0, max: 0.5, step: 0.05, initial: 0.15, show: (p) => digits(p, 2) },
    { kind: 'seed', name: 'seed', text: text.seed, initial: 1 },
  ],
  make(context) {
    const { stage, model, text } = context;
    const { info } = model;
    const labels = model.labels.slice(0, CLASSES).map((_, label) => label);
    const tiles = [...labels.map((label) => new Tile(info, nameOf(context, label))), new Tile(info, symbols(text.none))];
    const chips = make('ol', { className: 'chips' });
    stage.append(
      make('p', { className: 'head' }, symbols(text.made)), make('div', { className: 'row many' }, ...tiles.map(({ node }) => node)),
      make('p', { className: 'head' }, symbols(text.training)), chips,
    );
    /** @type {{ key: string, steps: Image[][] } | null} */
    let run = null; // by picture, then by step
    return {
      async update({ at, s, p, seed }, signal) {
        const { uniform } = makeNormal(seed);
        const samples = Array.from({ length: SAMPLES }, () => ({ label: Math.floor(uniform() * labels.length), drop: uniform() < p }));
        chips.replaceChildren(...samples.map(({ label, drop }) => {
          const chip = make('li', {}, drop ? '∅' : nameOf(context, label));
          chip.toggleAttribute('data-dropped', drop);
          return chip;
        }));
        const key = JSON.stringify([s, seed]);
        if (run?.key !== key) {
          const steps = tiles.map(() => /** @type {Image[]} */ ([]));
          const options = { seed, steps: STEPS, sampler: /** @type {const} */ ('ddim'), eta: 0, guidanceInterval: /** @type {const} */ ('all'), signal };
          const show = (/** @type {number} */ index, /** @type {import('../../index.d.ts').StepEvent} */ { step, preview }) => {
            steps[index][step] = /** @type {Image} */ (preview);
            if (step === at) paint(tiles[index].canvas, steps[index][step]);
          };
          const none = model.generate({ ...options, label: anyLabel(model), guidanceScale: 0, onStep: (event) => show(labels.length, event) });
          none.catch(() => {}); // awaited below, if what comes before does not fail
          for await (const _ of model.generateMany({ ...options, label: labels, guidanceScale: s, onStep: (event) => show(event.index, event) }));
          await none;
          run = { key, steps };
        }
        const { steps } = run;
        tiles.forEach(({ canvas }, index) => paint(canvas, steps[index][at]));
        const values = { done: at, s, p, dropped: samples.filter(({ drop }) => drop).length };
        return { says: text.says(values), values: { ...values, first: steps[0][at].pixels, none: steps[labels.length][at].pixels } };
      },
    };
  },
};
