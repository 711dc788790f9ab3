// The price of guidance: pictures of one class draw together as s rises. How many are recognised, and how much they still
// differ, is measured on the spot.

import { make } from '../../page/elements.mjs';
import { imageOfState } from '../../page/paint.mjs';
import { classChoice, nameOf } from '../names.mjs';
import { digits, symbols } from '../notation.mjs';
import { Plot } from '../plot.mjs';
import { estimates, jump, makeNormal, marginal, meanSquare, norm } from '../process.mjs';
import { principalPlane } from '../projection.mjs';
import { once } from '../sources.mjs';
import { tensorOfPixels } from '../tensors.mjs';

const SEEDS = 48;
const FIRST_SEED = 1;
/** Pictures of each class that the map is made of, other seeds. */
const SAMPLES = 4;
const SAMPLE_SEED = 700;
const CLASSES = 12;
const STEPS = 6;
/** Of the coarse shape, to a side. */
const CELLS = 8;
/** Share of the timesteps at which the network judges, and its noise. */
const JUDGED_AT = 0.8;
const JUDGE_SEED = 9;
/** What the button goes through. */
const SCALES = [0, 0.5, 1, 2, 3, 4, 6, 8];
const MAP = { width: 640, height: 400 };
const RUN = /** @type {const} */ ({ sampler: 'unipc', steps: STEPS, guidanceInterval: 'all' });

const en = {
  s: 'Guidance scale s', label: 'Class', all: 'Measure all scales', map: `${SEEDS} pictures, laid out by their shapes; words stand at the means of classes`,
  head: `${SEEDS} seeds, one class`, preparing: 'Drawing a few pictures of every class, for the map …',
  curve: 'Recognised and spread over the guidance scale', recognised: 'recognised', spread: 'spread',
  /** @param {Record<string, any>} v */
  says: (v) => `At s = ${digits(v.s, 1)}, ${v.hits} of ${SEEDS} pictures of “${v.name}” are recognised (${digits(100 * v.recognised, 0)} %): noised again, the network explains them best as that class. Spread ${digits(v.spread)}: so far apart are the coarse shapes of two of them on average (0: all alike; 1.41: nothing in common).`,
};
const zh = {
  s: '引导尺度 s', label: '类别', all: '测量所有尺度', map: `${SEEDS} 张图，按形状铺开；文字标在各类的平均处`,
  head: `${SEEDS} 个种子，同一类别`, preparing: '先给每个类别画几张图，供铺图用……',
  curve: '认出率与散布随引导尺度的变化', recognised: '认出率', spread: '散布',
  /** @param {Record<string, any>} v */
  says: (v) => `s = ${digits(v.s, 1)} 时，${SEEDS} 张“${v.name}”中认出 ${v.hits} 张（${digits(100 * v.recognised, 0)} %）：重新加噪后，网络认为它们最像这一类。散布 ${digits(v.spread)}：两张图的粗略形状平均相差这么多（0 表示全都一样，1.41 表示毫无共同之处）。`,
};

/**
 * What a picture looks like from afar: averages of a few cells, without their mean, and of length 1, so that neither a shift
 * by a pixel nor the weight of its lines counts for much.
 * @param {ArrayLike<number>} pixels interleaved rows @param {import('../../index.d.ts').ModelInfo} info
 */
export function coarseShape(pixels, { width, height, channels }) {
  const cells = new Float32Array(CELLS * CELLS);
  for (let index = 0; index < width * height; index++) {
    const [column, row] = [Math.floor(((index % width) / width) * CELLS), Math.floor((Math.floor(index / width) / height) * CELLS)];
    cells[row * CELLS + column] += pixels[index * channels] / 255;
  }
  const mean = cells.reduce((sum, value) => sum + value, 0) / cells.length;
  const centred = cells.map((value) => value - mean);
  const length = norm(centred) || 1;
  return centred.map((value) => value / length);
}

/** Mean distance of two of them. @param {ReadonlyArray<Float32Array>} shapes */
export function spreadOf(shapes) {
  let sum = 0;
  for (let i = 0; i < shapes.length; i++) for (let j = 0; j < i; j++) sum += Math.sqrt(shapes[0].length * meanSquare(shapes[i], shapes[j]));
  return sum / ((shapes.length * (shapes.length - 1)) / 2);
}

/**
 * The class for which the network explains a picture best: the picture is noised, and for each class it says what the noise
 * was (Li et al. 2023). All pictures get the same noise.
 * @param {import('../../index.d.ts').Model} model @param {Float32Array} x0 @param {number} classes
 */
export async function recognise(model, x0, classes) {
  const { info } = model;
  const t = Math.round(JUDGED_AT * (info.timesteps - 1));
  const at = marginal(info, t);
  const eps = makeNormal(JUDGE_SEED).tensor(x0.length);
  const x = jump(x0, eps, at);
  const errors = await Promise.all(Array.from({ length: classes }, async (_, label) => meanSquare(estimates(info.objective, await model.predict(x, t, label), x, at).eps, eps)));
  return errors.indexOf(Math.min(...errors));
}

/**
 * Where the classes lie, from a few pictures of each, drawn for it, once for a model.
 * @param {import('../../index.d.ts').Model} model @returns {Promise<{ means: [number, number][], project: ReturnType<typeof principalPlane> }>}
 */
const mapOf = (model) => once(model, 'map', async () => {
  const labels = model.labels.slice(0, CLASSES).map((_, label) => label);
  /** @type {Float32Array[]} */
  const shapes = [];
  for await (const { pixels } of model.generateMany({ ...RUN, label: labels, count: SAMPLES, seed: SAMPLE_SEED })) shapes.push(coarseShape(pixels, model.info));
  const project = principalPlane(shapes);
  const means = labels.map((label) => {
    const own = shapes.slice(label * SAMPLES, (label + 1) * SAMPLES).map(project);
    return /** @type {[number, number]} */ ([0, 1].map((axis) => own.reduce((sum, at) => sum + at[axis], 0) / SAMPLES));
  });
  return { means, project };
});

/** @type {import('../figure.mjs').Kind} */
export default {
  needsModel: true,
  text: { en, zh },
  controls: (context) => {
    const { text, stage } = context;
    return [
      { kind: 'range', name: 's', text: text.s, min: 0, max: 8, step: 0.5, initial: 1, wide: true, show: (s) => digits(s, 1) },
      { ...classChoice(context, text.label), options: classChoice(context, text.label).options.slice(0, CLASSES) },
      { kind: 'button', name: 'all', text: text.all, act: () => stage.dispatchEvent(new Event('all')) },
    ];
  },
  make(context) {
    const { stage, model, text, set, redraw } = context;
    const { info } = model;
    const canvas = make('canvas', { className: 'map', width: MAP.width, height: MAP.height });
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', text.map);
    const brush = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    const head = make('p', { className: 'head' });
    const plot = new Plot({ x: [0, 8], y: [0, 1.2], label: text.curve, xTitle: 's', xTicks: [0, 1, 2, 3, 5, 6, 8], yTicks: [0, 0.5, 1], height: 160 });
    stage.append(head, canvas, plot.node);
    /** @type {Map<string, Map<number, { recognised: number, spread: number }>>} by class, then by scale */
    const measured = new Map();
    let current = { s: -1, label: '' }; // what is on show, or being drawn
    /** @type {{ s: number, label: string, done: () => void } | null} */
    let sweep = null; // through all scales; what the reader sets meanwhile ends it
    const endSweep = () => {
      sweep?.done();
      sweep = null;
    };
    stage.addEventListener('all', async () => {
      if (sweep) return;
      const own = sweep = { ...current, done: () => {} };
      for (const s of SCALES) {
        own.s = s;
        const drawn = new Promise((resolve) => (own.done = () => resolve(null)));
        if (s === current.s) redraw();
        else set('s', s);
        await drawn;
        if (sweep !== own) return;
      }
      sweep = null;
    });
    /** Both axes in the same scale, all class means on the map. @param {[number, number][]} places */
    const frameOf = (places) => {
      const middle = [0, 1].map((axis) => (Math.min(...places.map((at) => at[axis])) + Math.max(...places.map((at) => at[axis]))) / 2);
      const reach = [0, 1].map((axis) => Math.max(...places.map((at) => Math.abs(at[axis] - middle[axis])), 1e-6));
      const scale = Math.min((MAP.width / 2 - 70) / reach[0], (MAP.height / 2 - 50) / reach[1]) / 1.25;
      return ([x, y] = [0, 0]) => /** @type {const} */ ([MAP.width / 2 + (x - middle[0]) * scale, MAP.height / 2 + (y - middle[1]) * scale]);
    };
    const stamp = make('canvas', { width: info.width, height: info.height });
    const press = /** @type {CanvasRenderingContext2D} */ (stamp.getContext('2d', { willReadFrequently: true }));
    /** Ink on the paper of the map: what is white leaves what is there. @param {Float32Array} picture @param {readonly [number, number]} at */
    const put = (picture, [x, y]) => {
      const { pixels, channels } = imageOfState(picture, info);
      const data = press.createImageData(info.width, info.height);
      for (let index = 0; index < data.data.length; index += 4) {
        for (let part = 0; part < 3; part++) data.data[index + part] = pixels[(index / 4) * channels + (channels < 3 ? 0 : part)];
        data.data[index + 3] = 255;
      }
      press.putImageData(data, 0, 0);
      brush.globalCompositeOperation = 'multiply';
      brush.drawImage(stamp, Math.round(x - info.width / 2), Math.round(y - info.height / 2));
      brush.globalCompositeOperation = 'source-over';
    };
    return {
      async update({ s, label }, signal) {
        current = { s, label };
        if (sweep && (sweep.s !== s || sweep.label !== label)) endSweep();
        const own = Number(label);
        head.textContent = text.preparing;
        const { means, project } = await mapOf(model);
        signal.throwIfAborted();
        head.replaceChildren(symbols(`${text.head}: ${nameOf(context, own)}, s = ${digits(s, 1)}`));
        const frame = frameOf(means);
        brush.fillStyle = '#fff';
        brush.fillRect(0, 0, MAP.width, MAP.height);
        brush.fillStyle = '#6b645a';
        brush.font = '600 15px system-ui, sans-serif';
        brush.textAlign = 'center';
        means.forEach((mean, other) => brush.fillText(nameOf(context, other), ...frame(mean)));
        /** @type {Float32Array[]} */
        const shapes = [];
        let hits = 0;
        for await (const { pixels } of model.generateMany({ ...RUN, label: own, count: SEEDS, seed: FIRST_SEED, guidanceScale: s, signal })) {
          const shape = coarseShape(pixels, info);
          shapes.push(shape);
          const x0 = tensorOfPixels(pixels, info);
          put(x0, frame(project(shape)));
          if (await recognise(model, x0, means.length) === own) hits++;
          signal.throwIfAborted();
        }
        const found = { hits, recognised: hits / SEEDS, spread: spreadOf(shapes) };
        const byScale = measured.get(label) ?? new Map();
        measured.set(label, byScale.set(s, found));
        const points = [...byScale].sort(([a], [b]) => a - b);
        plot.line('first', points.map(([scale, { recognised }]) => [scale, recognised]));
        plot.line('second', points.map(([scale, { spread }]) => [scale, Math.min(spread, 1.2)]));
        plot.point('first', s, found.recognised, text.recognised);
        plot.point('second', s, Math.min(found.spread, 1.2), text.spread);
        if (sweep && sweep.s === s) sweep.done();
        const values = { s, name: nameOf(context, own), ...found };
        return { says: text.says(values), values };
      },
      close: endSweep,
    };
  },
};
