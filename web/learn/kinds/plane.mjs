// Guidance in two dimensions: points instead of pictures, a formula instead of a network, so that all of it can be seen.

import { make } from '../../page/elements.mjs';
import { COMPONENTS, PROCESS, WIDTH, certainty, predictGuided, timesOf, walk } from '../mixture.mjs';
import { digits } from '../notation.mjs';
import { svg } from '../plot.mjs';
import { marginal } from '../process.mjs';

const POINTS = 60;
const REACH = 2.2; // of the plane, to all sides
const SIZE = 440;
const ARROWS = 15; // to a side
const ARROW = 0.11;

const en = {
  s: 'Guidance scale s', at: 'How far', steps: 'Steps', eta: 'η', label: 'Class', seed: 'Seed', classes: ['circles', 'squares'],
  picture: 'The plane: two classes of three clouds each, the field of guided arrows, and points on their way',
  /** @param {Record<string, any>} v */
  says: (v) => `${v.t < 0 ? 'At the end' : `At t = ${v.t}`}, s = ${digits(v.s, 1)}: arrows show where the guided score leads, lines where ${POINTS} points came from. ` +
    `All the way, ${digits(100 * v.certainty, 1)} % sure of “${v.name}” on average, spread ${digits(v.spread, 2)}; ${digits(100 * v.outside, 0)} % are farther from every cloud than nearly all points of the true distribution.`,
};
const zh = {
  s: '引导尺度 s', at: '走了多远', steps: '步数', eta: 'η', label: '类别', seed: '种子', classes: ['圆', '方'],
  picture: '平面：两个类别，各有三团；箭头是引导后的场，点正在路上',
  /** @param {Record<string, any>} v */
  says: (v) => `${v.t < 0 ? '走到最后' : `t = ${v.t}`}，s = ${digits(v.s, 1)}：箭头是引导后的得分所指的方向，线是 ${POINTS} 个点走过的路。` +
    `走完时，属于“${v.name}”的把握平均为 ${digits(100 * v.certainty, 1)} %，散布为 ${digits(v.spread, 2)}；${digits(100 * v.outside, 0)} % 的点离每一团都比真实分布中几乎所有的点还远。`,
};

/** 1 % of a round normal distribution in the plane lies farther out than this many deviations. */
const FAR = Math.sqrt(-2 * Math.log(0.01));

const across = (/** @type {number} */ x) => ((x + REACH) / (2 * REACH)) * SIZE;
const down = (/** @type {number} */ y) => ((REACH - y) / (2 * REACH)) * SIZE;
const place = (/** @type {ArrayLike<number>} */ point) => `${across(point[0]).toFixed(1)} ${down(point[1]).toFixed(1)}`;

/** @type {import('../figure.mjs').Kind} */
export default {
  needsModel: false,
  text: { en, zh },
  controls: ({ text }) => [
    { kind: 'range', name: 's', text: text.s, min: 0, max: 8, step: 0.1, initial: 1, wide: true, show: (s) => digits(s, 1) },
    { kind: 'range', name: 'at', text: text.at, min: 0, max: 100, initial: 60, show: (at) => `${at} %` },
    { kind: 'range', name: 'steps', text: text.steps, min: 4, max: 100, initial: 40 },
    { kind: 'range', name: 'eta', text: text.eta, min: 0, max: 1, step: 0.1, initial: 0, show: (eta) => digits(eta, 1) },
    { kind: 'choice', name: 'label', text: text.label, initial: '0', options: [0, 1].map((label) => ({ value: String(label), text: text.classes[label], name: en.classes[label] })) },
    { kind: 'seed', name: 'seed', text: text.seed, initial: 1 },
  ],
  make({ stage, text }) {
    const picture = svg('svg', { class: 'plot plane', viewBox: `0 0 ${SIZE} ${SIZE}`, role: 'img', 'aria-label': text.picture });
    const [clouds, field, ways, points] = ['clouds', 'field', 'ways', 'points'].map((name) => svg('g', { class: name }));
    const [arrows, trails] = [field, ways].map((group) => group.appendChild(svg('path')));
    const dots = Array.from({ length: POINTS }, () => points.appendChild(svg('circle', { r: 4 })));
    picture.append(field, clouds, ways, points);
    stage.append(make('div', {}, picture));
    return {
      update({ s, at, steps, eta, label, seed }) {
        const own = Number(label);
        const paths = Array.from({ length: POINTS }, (_, index) => walk({ seed: seed * POINTS + index, steps, label: own, s, eta }));
        const done = Math.round((at / 100) * steps);
        const t = timesOf(steps)[done];
        const { signal, noise } = marginal(PROCESS, t);
        const deviation = Math.sqrt((signal * WIDTH) ** 2 + noise ** 2);
        clouds.replaceChildren(...COMPONENTS.map((each) => {
          const radius = (2 * deviation * SIZE) / (2 * REACH);
          const [x, y] = [across(signal * each.x), down(signal * each.y)];
          const mark = each.label === own ? 'chosen' : '';
          return each.label === 0 ? svg('circle', { cx: x, cy: y, r: radius, class: mark }) : svg('rect', { x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius, class: mark });
        }));
        arrows.setAttribute('d', Array.from({ length: ARROWS * ARROWS }, (_, index) => {
          const from = [index % ARROWS, Math.floor(index / ARROWS)].map((k) => ((k + 0.5) / ARROWS) * 2 * REACH - REACH);
          const eps = predictGuided(from, Math.max(t, 0), own, s);
          const size = Math.hypot(...eps) || 1;
          const length = (ARROW * Math.tanh(size)) / size; // direction counts, and what is weak is short
          const to = from.map((value, axis) => value - length * eps[axis]);
          const side = from.map((_, axis) => (axis === 0 ? 1 : -1) * 0.25 * (to[1 - axis] - from[1 - axis]));
          const back = from.map((value, axis) => value + 0.55 * (to[axis] - value));
          return `M${place(from)}L${place(to)}M${place([back[0] + side[0], back[1] + side[1]])}L${place(to)}L${place([back[0] - side[0], back[1] - side[1]])}`;
        }).join(''));
        trails.setAttribute('d', paths.map((way) => way.slice(0, done + 1).map((point, k) => `${k === 0 ? 'M' : 'L'}${place(point)}`).join('')).join(''));
        paths.forEach((way, index) => {
          dots[index].setAttribute('cx', String(across(way[done][0])));
          dots[index].setAttribute('cy', String(down(way[done][1])));
        });
        const ends = paths.map((way) => way[steps]);
        const mean = [0, 1].map((axis) => ends.reduce((sum, end) => sum + end[axis], 0) / POINTS);
        const values = {
          s, t, name: text.classes[own],
          certainty: ends.reduce((sum, end) => sum + certainty(end, own), 0) / POINTS,
          spread: Math.sqrt(ends.reduce((sum, end) => sum + (end[0] - mean[0]) ** 2 + (end[1] - mean[1]) ** 2, 0) / POINTS),
          outside: ends.filter(([x, y]) => COMPONENTS.every((each) => Math.hypot(each.x - x, each.y - y) > FAR * WIDTH)).length / POINTS,
        };
        return { says: text.says(values), values: { ...values, first: ends[0] } };
      },
    };
  },
};
