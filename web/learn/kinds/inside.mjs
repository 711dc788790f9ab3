// Inside the network: what its layers make of x_t, channel by channel, and where the attention in its middle looks.

import { make } from '../../page/elements.mjs';
import { makeCanvas } from '../../page/paint.mjs';
import { attentionOf, describe, layersOf, rangeOf, sharesOf } from '../layers.mjs';
import { Board, paintMaps } from '../maps.mjs';
import { classChoice, nameOf } from '../names.mjs';
import { digits, symbols } from '../notation.mjs';
import { svg } from '../plot.mjs';
import { jump, marginal } from '../process.mjs';
import { noiseOf, pictureOf } from '../sources.mjs';
import { Tile } from '../tensors.mjs';

/** @typedef {import('../layers.mjs').Layer} Layer @typedef {import('../layers.mjs').Attention} Attention */
/** @typedef {{ layers: Layer[], attention: Attention | null, most: number }} Network most: channels of a layer */

const PICTURE_SEED = 7;
/** From so many pixels on the channels are laid out for a wide figure. */
const WIDE = 480;
/** Of the U, in pixels: from a layer to the next, and from a size of maps to the next. */
const [ACROSS, DOWN] = [16, 26];

const en = {
  t: 'Time t', layer: 'Layer', channel: 'Channel', pixel: 'Place that asks', picture: 'Picture x_0', seed: 'Seed of the noise', known: 'The network is told the class',
  x: 'x_t, with the place that asks', map: 'channel', all: 'All channels of the layer', asks: 'Where it looks', head: 'head', most: 'most at',
  way: 'The network as a U: a bar for each layer, from left to right, lower where its maps are smaller',
  linearOnly: 'This network has no attention whose shares could be shown.',
  part: { down: 'down', middle: 'middle', up: 'up' },
  comma: ', ',
  kind: { input: 'xₜ itself', convolution: 'convolution', smaller: 'maps made smaller', larger: 'maps made larger', residual: 'residual block', attention: 'attention', linear: 'linear attention', output: 'the prediction' },
  /** @param {Record<string, any>} v */
  says: (v) => `At t = ${v.t}, told ${v.known ? `“${v.name}”` : 'no class'}, layer ${v.layer} (${v.what}) holds ${v.channels} channels of ${v.width} × ${v.height} numbers from ${digits(v.low, 2)} to ${digits(v.high, 2)}. ` +
    `Channel ${v.channel}: mean ${digits(v.mean, 2)}, deviation ${digits(v.deviation, 2)}, strongest at ${v.place}: ${digits(v.strongest, 2)}. ` +
    `${v.kindOf === 'linear' ? 'Linear attention sums up all places once, and never weighs one against another: it has no shares to show. ' : ''}${v.looks.length ? `From ${v.from} the heads look most at ${v.looks.join('; ')}.` : ''}`,
};
const zh = {
  t: '时刻 t', layer: '层', channel: '通道', pixel: '提问的位置', picture: '图片 x_0', seed: '噪声的种子', known: '告诉网络类别',
  x: 'x_t，框出提问的位置', map: '通道', all: '这一层的所有通道', asks: '它看向哪里', head: '头', most: '最看重',
  way: '网络画成 U 形：每层一条，从左到右；图越小，位置越低',
  linearOnly: '这个网络没有能显示权重的注意力。',
  part: { down: '下行', middle: '中间', up: '上行' },
  comma: '，',
  kind: { input: 'xₜ 本身', convolution: '卷积', smaller: '缩小', larger: '放大', residual: '残差块', attention: '注意力', linear: '线性注意力', output: '预测' },
  /** @param {Record<string, any>} v */
  says: (v) => `t = ${v.t}，${v.known ? `告诉网络类别是“${v.name}”` : '不告诉网络类别'}：第 ${v.layer} 层（${v.what}）有 ${v.channels} 个通道，每个 ${v.width} × ${v.height} 个数，从 ${digits(v.low, 2)} 到 ${digits(v.high, 2)}。` +
    `通道 ${v.channel}：均值 ${digits(v.mean, 2)}，标准差 ${digits(v.deviation, 2)}，最强处 ${v.place}：${digits(v.strongest, 2)}。` +
    `${v.kindOf === 'linear' ? '线性注意力把所有位置一次加起来，从不两两比较，所以没有权重可以显示。' : ''}${v.looks.length ? `从 ${v.from} 出发，各个头最看重 ${v.looks.join('；')}。` : ''}`,
};

/** Of a place in a map: column and row, from 1. @param {number} place @param {number} width */
const name = (place, width) => `(${(place % width) + 1}, ${Math.floor(place / width) + 1})`;

/** Places of the attention by number, row by row. @param {string} text @param {Attention} attention @returns {import('../controls.mjs').Control} */
const askingRange = (text, { width, height }) => ({
  kind: 'range', name: 'pixel', text, min: 0, max: width * height - 1, initial: Math.floor((height / 2) * width - width / 2), show: (place) => name(place, width),
});

/** The layers as bars of a U, of which one can be picked. @param {Layer[]} layers @param {string} label @param {(layer: number) => void} pick */
function makeWay(layers, label, pick) {
  const sides = [...new Set(layers.map(({ width }) => width))].sort((a, b) => b - a);
  const width = layers.length * ACROSS;
  const way = svg('svg', { class: 'way', viewBox: `0 0 ${width} ${sides.length * DOWN}`, role: 'img', 'aria-label': label });
  const bars = layers.map((layer, index) => svg('rect', {
    class: layer.kind, x: index * ACROSS + 2, width: ACROSS - 4, y: sides.indexOf(layer.width) * DOWN + 2, height: DOWN - 6, rx: 2,
  }));
  way.append(...bars);
  way.addEventListener('click', (event) => {
    const { left, width: wide } = way.getBoundingClientRect();
    pick(Math.min(Math.max(Math.floor(((event.clientX - left) / wide) * layers.length), 0), layers.length - 1));
  });
  return { node: way, show: (/** @type {number} */ layer) => bars.forEach((bar, index) => bar.toggleAttribute('data-chosen', index === layer)) };
}

/** @type {import('../figure.mjs').Kind} */
export default {
  needsModel: true,
  text: { en, zh },
  /** @returns {Promise<Network>} */
  async prepare(model) {
    const operations = await model.operations();
    const layers = layersOf(operations);
    return { layers, attention: attentionOf(operations), most: Math.max(...layers.map(({ channels }) => channels)) };
  },
  controls: (context) => {
    const { text, model, prepared } = context;
    const { layers, attention, most } = /** @type {Network} */ (prepared);
    return [
      {
        kind: 'range', name: 'layer', text: text.layer, min: 0, max: layers.length - 1, initial: Math.min(2, layers.length - 1), wide: true,
        show: (layer) => `${layer + 1} / ${layers.length}: ${[text.part[layers[layer].part], `${layers[layer].width} × ${layers[layer].height}`, text.kind[layers[layer].kind]].join(text.comma)}`,
      },
      { kind: 'range', name: 't', text: text.t, min: 0, max: model.info.timesteps - 1, initial: 100, wide: true },
      { kind: 'range', name: 'channel', text: text.channel, min: 0, max: most - 1, initial: 0, show: (channel) => String(channel + 1) },
      ...(attention ? [askingRange(text.pixel, attention)] : []),
      classChoice(context, text.picture),
      { kind: 'seed', name: 'seed', text: text.seed, initial: 1 },
      { kind: 'check', name: 'known', text: text.known, initial: true },
    ];
  },
  make(context) {
    const { stage, model, text, set, prepared } = context;
    const { info } = model;
    const { layers, attention } = /** @type {Network} */ (prepared);
    const state = new Tile(info, symbols(text.x));
    const shown = makeCanvas();
    const shownCaption = make('figcaption');
    const grid = makeCanvas();
    for (const canvas of [shown, grid]) canvas.setAttribute('role', 'img');
    const legend = makeCanvas();
    paintMaps(legend, [Float32Array.from({ length: 101 }, (_, index) => index / 50 - 1)], { width: 101, height: 1, range: 1 });
    const [lowest, highest] = [make('span'), make('span')];
    const heads = Array.from({ length: attention?.heads ?? 0 }, () => ({ canvas: makeCanvas(), caption: make('figcaption') }));
    const way = makeWay(layers, text.way, (layer) => set('layer', layer));
    stage.append(
      way.node,
      make('div', { className: 'row three' }, state.node, make('figure', { className: 'tile' }, shown, shownCaption),
        make('div', { className: 'scale' }, legend, make('div', { className: 'ends' }, lowest, make('span', { textContent: '0' }), highest))),
      make('p', { className: 'head', textContent: text.all }),
      grid,
      make('p', { className: 'head', textContent: attention ? text.asks : text.linearOnly }),
      make('div', { className: 'row many heads' }, ...heads.map(({ canvas, caption }) => make('figure', { className: 'tile' }, canvas, caption))),
    );
    for (const { canvas } of heads) canvas.setAttribute('role', 'img');
    const [asking, board] = [new Board(state.canvas), new Board(grid)];
    /** What is on show: maps of a layer, so many in a row. @type {{ all: Float32Array[], width: number, height: number, range: number, columns: number, rows: number, channel: number }} */
    let maps;

    /** One channel, large, and pointed out among the others. @param {number} channel */
    function enlarge(channel) {
      const { all, width, height, range, columns, rows } = maps;
      const { mean, deviation } = describe(all[channel]);
      paintMaps(shown, [all[channel]], { width, height, range });
      shownCaption.textContent = `${text.map} ${channel + 1}: ${digits(mean, 2)} ± ${digits(deviation, 2)}`;
      shown.setAttribute('aria-label', shownCaption.textContent);
      // With the gaps around it.
      const [across, down] = [columns * (width + 1) + 1, rows * (height + 1) + 1];
      board.point(((channel % columns) * (width + 1)) / across, (Math.floor(channel / columns) * (height + 1)) / down, (width + 2) / across, (height + 2) / down);
    }
    /** @param {PointerEvent} event */
    const channelAt = (event) => {
      const [x, y] = board.placeOf(event);
      return Math.min(Math.floor(y * maps.rows) * maps.columns + Math.floor(x * maps.columns), maps.all.length - 1);
    };
    /** Once there is something to point at. */
    function listen() {
      grid.onpointermove = (event) => enlarge(channelAt(event));
      grid.onpointerleave = () => enlarge(maps.channel);
      grid.onclick = (event) => set('channel', channelAt(/** @type {PointerEvent} */ (event)));
    }
    if (attention) {
      /** @param {PointerEvent} event */
      const ask = (event) => {
        const [x, y] = asking.placeOf(event);
        set('pixel', Math.floor(y * attention.height) * attention.width + Math.floor(x * attention.width));
      };
      state.canvas.setAttribute('data-own', '');
      state.canvas.onpointerdown = (event) => {
        if (event.button !== 0 || !event.isPrimary) return;
        state.canvas.setPointerCapture(event.pointerId);
        ask(event);
      };
      state.canvas.onpointermove = (event) => state.canvas.hasPointerCapture(event.pointerId) && ask(event);
    }

    /** Where each head looks; says so in short. @param {Float32Array[]} shares @param {Attention} attention @param {number} pixel */
    function showHeads(shares, { width, height }, pixel) {
      asking.point((pixel % width) / width, Math.floor(pixel / width) / height, 1 / width, 1 / height);
      return shares.map((each, head) => {
        const { canvas, caption } = heads[head];
        const { strongest } = describe(each);
        const [place, percent] = [name(strongest, width), `${digits(100 * each[strongest], 0)} %`];
        paintMaps(canvas, [each], { width, height, range: each[strongest] });
        caption.textContent = `${text.head} ${head + 1}, ${text.most} ${place}: ${percent}`;
        canvas.setAttribute('aria-label', caption.textContent);
        return `${place} (${percent})`;
      });
    }

    return {
      async update({ layer: chosen, t, channel: wanted, pixel, label, seed, known }, signal) {
        const own = Number(label);
        const layer = layers[chosen];
        const [x0, eps] = await Promise.all([pictureOf(model, own, PICTURE_SEED), noiseOf(model, seed)]);
        const x = jump(x0, eps, marginal(info, t));
        const told = known ? own : null;
        const [values, asked] = await Promise.all([layer.operation, ...(attention ? [attention.queries] : [])].map((operation) => model.activations(x, t, told, operation)));
        signal.throwIfAborted();
        const { width, height, channels } = layer;
        const all = Array.from({ length: channels }, (_, channel) => values.subarray(channel * width * height, (channel + 1) * width * height));
        const channel = Math.min(wanted, channels - 1);
        const range = rangeOf(values);
        const columns = Math.min(channels, Math.ceil(Math.sqrt(channels * (stage.clientWidth > WIDE ? 5 : 2))));
        maps = { all, width, height, range, columns, rows: Math.ceil(channels / columns), channel };
        way.show(chosen);
        state.show(x);
        paintMaps(grid, all, maps);
        enlarge(channel);
        listen();
        lowest.textContent = digits(-range, 1);
        highest.textContent = digits(range, 1);
        const shares = attention ? sharesOf(asked, attention, pixel) : [];
        const looks = attention ? showHeads(shares, attention, pixel) : [];
        const { mean, deviation, strongest } = describe(all[channel]);
        const what = [text.part[layer.part], text.kind[layer.kind]].join(text.comma);
        grid.setAttribute('aria-label', `${text.all}: ${channels}, ${what}`);
        const seen = {
          t, known, name: nameOf(context, own), layer: chosen + 1, channels, width, height, channel: channel + 1, mean, deviation,
          low: values.reduce((a, b) => Math.min(a, b)), high: values.reduce((a, b) => Math.max(a, b)), strongest: all[channel][strongest], place: name(strongest, width),
        };
        const says = text.says({ ...seen, what, kindOf: layer.kind, looks, from: attention ? name(pixel, attention.width) : '' });
        return { says, values: { ...seen, x, operation: layer.operation, map: all[channel].slice(), shares: shares[0] ?? new Float32Array(0) } };
      },
    };
  },
};
