// In code: the text of a program that draws, and what it draws.

import { make } from '../../page/elements.mjs';
import { paint } from '../../page/paint.mjs';
import { classChoice, nameOf } from '../names.mjs';
import { digits, symbols } from '../notation.mjs';
import { meanSquare } from '../process.mjs';
import { draw } from '../snippet.mjs';
import source from '../snippet_text.mjs';
import { noiseOf } from '../sources.mjs';
import { Tile, tensorOfPixels } from '../tensors.mjs';

const en = {
  s: 'Guidance scale s', steps: 'Steps', label: 'Class', seed: 'Seed', code: 'The program', own: 'x̂_0 by the program', library: 'by the library',
  /** @param {Record<string, any>} v */
  says: (v) => `“${v.name}”, s = ${digits(v.s, 1)}, ${v.steps} steps: the program above called the network ${v.calls} times. Its picture and that of the library’s sampler “ddim” differ by ${digits(v.difference, 5)} (root of the mean square, of values from −1 to 1; pixels have 256 levels).`,
};
const zh = {
  s: '引导尺度 s', steps: '步数', label: '类别', seed: '种子', code: '程序', own: '程序画的 x̂_0', library: '库画的',
  /** @param {Record<string, any>} v */
  says: (v) => `“${v.name}”，s = ${digits(v.s, 1)}，${v.steps} 步：上面的程序调用了网络 ${v.calls} 次。它画的图与库中采样器 “ddim” 画的相差 ${digits(v.difference, 5)}（均方根，数值范围 −1 到 1；像素有 256 级）。`,
};

/** @type {import('../figure.mjs').Kind} */
export default {
  needsModel: true,
  text: { en, zh },
  controls: (context) => [
    { kind: 'range', name: 's', text: context.text.s, min: 0, max: 8, step: 0.1, initial: 3, wide: true, show: (s) => digits(s, 1) },
    { kind: 'range', name: 'steps', text: context.text.steps, min: 2, max: 50, initial: 10 },
    classChoice(context, context.text.label),
    { kind: 'seed', name: 'seed', text: context.text.seed, initial: 1 },
  ],
  make(context) {
    const { stage, model, text } = context;
    const { info } = model;
    const own = new Tile(info, symbols(text.own));
    const library = new Tile(info, symbols(text.library));
    const code = make('pre', { tabIndex: 0 }, make('code', { textContent: source }));
    code.setAttribute('aria-label', text.code);
    code.setAttribute('role', 'region');
    stage.append(code, make('div', { className: 'row three' }, own.node, library.node));
    return {
      async update({ s, steps, label, seed }, signal) {
        const options = { label: Number(label), s, steps };
        let calls = 0;
        /** @type {typeof model.predict} */
        const predict = (...asked) => {
          calls++;
          return model.predict(...asked);
        };
        const drawn = await draw({ info, predict }, await noiseOf(model, seed), options, (x0) => {
          signal.throwIfAborted();
          own.show(x0);
        });
        const picture = await model.generate({
          label: options.label, guidanceScale: s, steps, seed, sampler: 'ddim', eta: 0, timeGrid: 'linear', guidanceInterval: 'all', projection: false, rescale: 0, signal,
        });
        paint(library.canvas, picture);
        const values = { s, steps, name: nameOf(context, options.label), calls, difference: Math.sqrt(meanSquare(drawn, tensorOfPixels(picture.pixels, info))) };
        return { says: text.says(values), values };
      },
    };
  },
};
