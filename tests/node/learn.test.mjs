// The formulas of the article's figures against what the library does, and so against PyTorch; the article's two languages.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { load } from 'pocket-diffusion';
import { SLIDES } from '../../web/learn/article/slides.mjs';
import { buildLearn } from '../../scripts/site/build_learn.mjs';
import { valueOf } from '../../web/learn/controls.mjs';
import { KINDS } from '../../web/learn/figure.mjs';
import { coarseShape, recognise, spreadOf } from '../../web/learn/kinds/price.mjs';
import { readState, writeState } from '../../web/learn/link.mjs';
import { COMPONENTS, PROCESS, WIDTH, certainty, look, walk } from '../../web/learn/mixture.mjs';
import { classChoice } from '../../web/learn/names.mjs';
import { attentionOf, describe as describeMap, layersOf, rangeOf, sharesOf } from '../../web/learn/layers.mjs';
import { colourOf } from '../../web/learn/maps.mjs';
import { partsOf } from '../../web/learn/notation.mjs';
import { clip, combine, dot, estimates, guide, guideByWeight, inTheirPlane, jump, makeNormal, marginal, meanSquare, norm, posterior, step } from '../../web/learn/process.mjs';
import { principalPlane } from '../../web/learn/projection.mjs';
import { tensorOfPixels } from '../../web/learn/tensors.mjs';

const weights = (name) => new URL(`../../weights/${name}.gguf`, import.meta.url).pathname;
const MODELS = ['doodles', 'digits'];
const SETTINGS = { label: 3, seed: 7, steps: 6, timeGrid: 'linear', guidanceInterval: 'all', projection: false, rescale: 0 };

/** Of float32 numbers of magnitude 1 or so, a few operations apart. */
function assertNear(actual, expected, tolerance, what) {
  assert.equal(actual.length, expected.length);
  const farthest = actual.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index])), 0);
  assert.ok(farthest <= tolerance, `${what}: ${farthest} apart`);
}

for (const name of MODELS) {
  describe(`the figures' formulas, with ${name}`, () => {
    let model;
    before(async () => (model = await load(weights(name))));
    after(() => model.close());

    test('x_0 and eps that follow from a prediction are those of the trace', async () => {
      const { trace } = await model.generate({ ...SETTINGS, sampler: 'ddim', guidanceScale: 2, trace: true });
      for (const { timestep, x, x0, conditional, null: without } of trace) {
        const at = marginal(model.info, timestep);
        const said = guide(without.values, conditional.values, 2);
        const found = estimates(model.info.objective, said, x.values, at);
        // What divides by a small sqrt(abar) has so many digits less.
        assertNear(clip(found.x0), x0.values, 1e-5 / Math.min(1, at.signal), `x_0 at t = ${timestep}`);
        assertNear(jump(found.x0, found.eps, at), x.values, 1e-4, `x_t at t = ${timestep}`);
        assertNear(guideByWeight(without.values, conditional.values, 1), said, 1e-5, 'w = s - 1');
      }
    });

    test('a network call gives the prediction of the trace', async () => {
      const { trace } = await model.generate({ ...SETTINGS, sampler: 'ddim', guidanceScale: 1, trace: true });
      const { x, timestep, conditional } = trace[2];
      assertNear(await model.predict(x.values, timestep, 3), conditional.values, 0, 'prediction');
    });

    test('the layers go down, through the middle, and up again, and the shares of the attention are what it weighs its values by', async () => {
      const operations = await model.operations();
      const layers = layersOf(operations);
      assert.deepEqual([layers[0].kind, layers.at(-1).kind, layers.at(-1).operation], ['input', 'output', operations.length - 1]);
      assert.deepEqual(layers.map(({ part }) => part), [...layers].sort((a, b) => 'dmu'.indexOf(a.part[0]) - 'dmu'.indexOf(b.part[0])).map(({ part }) => part));
      const count = (kind) => layers.filter((layer) => layer.kind === kind).length;
      const levels = { digits: 2, doodles: 3 }[name];
      // A level has two residual blocks and linear attention, down and up; two are in the middle, one is at the end.
      assert.deepEqual([count('residual'), count('linear'), count('smaller'), count('larger'), count('attention')], [4 * levels + 3, 2 * levels, levels - 1, levels - 1, 1]);
      assert.deepEqual(layers.filter(({ part, kind }) => part === 'middle' && kind !== 'convolution').map(({ kind }) => kind), ['residual', 'attention', 'residual']);
      for (const { operation, width, height, channels } of layers) assert.deepEqual(operations[operation].shape, [height, width, channels]);
      const attention = attentionOf(operations);
      const { heads, size, width, height } = attention;
      const x = makeNormal(2).tensor(1024);
      const [packed, value] = [await model.activations(x, 300, 3, attention.queries), await model.activations(x, 300, 3, attention.operation)];
      const places = width * height;
      const range = rangeOf(value);
      for (const place of [0, 5, places - 1]) {
        const shares = sharesOf(packed, attention, place);
        for (let head = 0; head < heads; head++) {
          assert.ok(Math.abs(shares[head].reduce((a, b) => a + b) - 1) < 1e-5);
          for (let channel = 0; channel < size; channel++) {
            const of = (part) => ((part * heads + head) * size + channel) * places;
            const sum = shares[head].reduce((all, share, other) => all + share * packed[of(2) + other], 0);
            assert.ok(Math.abs(sum - value[(head * size + channel) * places + place]) < 1e-4 * range, `head ${head}, channel ${channel}`);
          }
        }
      }
      const blocks = layers.filter(({ kind }) => kind === 'residual' || kind === 'convolution' || kind === 'input').slice(0, 3);
      const [same, other] = await Promise.all([3, null].map((label) => Promise.all(blocks.map(({ operation }) => model.activations(x, 300, label, operation)))));
      assert.deepEqual(same.map((values, index) => values.every((each, k) => each === other[index][k])), [true, true, false], 'the answer of exercise 9');
    });

    test('the posterior is that of the ancestral sampler', async () => {
      const states = [];
      const { trace } = await model.generate({ ...SETTINGS, sampler: 'ddpm', guidanceScale: 1, trace: true, state: true, onStep: ({ state }) => void states.push(state) });
      for (let k = 0; k < trace.length; k++) {
        const { ofPicture, ofState, deviation } = posterior(model.info, trace[k].timestep, trace[k + 1]?.timestep ?? -1);
        const mean = combine(ofPicture, trace[k].x0.values, ofState, trace[k].x.values);
        if (deviation === 0) {
          assertNear(states[k], mean, 1e-6, 'the last step');
          continue;
        }
        const drawn = combine(1 / deviation, states[k], -1 / deviation, mean);
        // Of 1,024 numbers: 4 standard errors.
        assert.ok(Math.abs(Math.sqrt(meanSquare(drawn, new Float32Array(drawn.length))) - 1) < 0.089, `deviation at step ${k + 1}`);
        for (const other of [trace[k].x.values, trace[k].x0.values]) {
          assert.ok(Math.abs(dot(drawn, other) / norm(drawn) / norm(other)) < 0.125, `what is drawn at step ${k + 1} has nothing of the mean`);
        }
      }
    });
  });
}

test('single steps come to the same as a jump, and the posterior joins both', () => {
  const alphasCumprod = Float64Array.of(0.9, 0.7, 0.4, 0.1);
  const process = { alphasCumprod, timesteps: 4, objective: 'pred_noise' };
  let keep = 1;
  let variance = 0;
  for (let t = 0; t < 4; t++) {
    const one = step(process, t, t - 1);
    keep *= one.keep;
    variance = variance * one.keep ** 2 + one.deviation ** 2;
    const at = marginal(process, t);
    assert.ok(Math.abs(keep - at.signal) < 1e-12 && Math.abs(variance - at.noise ** 2) < 1e-12, `t = ${t}`);
    for (let before = -1; before < t; before++) {
      // Drawing x_t and then x_before from the posterior must leave the marginal of x_before.
      const then = marginal(process, before);
      const { ofPicture, ofState, deviation } = posterior(process, t, before);
      assert.ok(Math.abs(ofPicture + ofState * at.signal - then.signal) < 1e-12, `mean, ${t} to ${before}`);
      assert.ok(Math.abs((ofState * at.noise) ** 2 + deviation ** 2 - then.noise ** 2) < 1e-12, `variance, ${t} to ${before}`);
    }
  }
});

test('what a figure draws itself is normal, and the same again', () => {
  const numbers = makeNormal(5).tensor(100_000);
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  assert.ok(Math.abs(mean) < 0.013); // 4 standard errors
  assert.ok(Math.abs(meanSquare(numbers, new Float32Array(numbers.length)) - 1) < 0.018);
  assert.ok(Math.abs(numbers.filter((value) => Math.abs(value) < 1).length / numbers.length - 0.6827) < 0.006);
  assert.deepEqual(makeNormal(5).tensor(10), numbers.slice(0, 10));
  assert.notDeepEqual(makeNormal(6).tensor(10), numbers.slice(0, 10));
});

test('two vectors in the plane that they span keep their lengths and their angle', () => {
  const [a, b] = [makeNormal(1).tensor(50), makeNormal(2).tensor(50)];
  const { first, second, angle } = inTheirPlane(a, b);
  assert.ok(Math.abs(Math.hypot(...first) - norm(a)) < 1e-6 && Math.abs(Math.hypot(...second) - norm(b)) < 1e-6);
  assert.ok(Math.abs(Math.cos((angle * Math.PI) / 180) - dot(a, b) / norm(a) / norm(b)) < 1e-9);
});

test('the score of the mixture is the gradient of its log density, at every time', () => {
  const step = 1e-4;
  for (const t of [-1, 0, 100, 500, 900, 999]) {
    for (const label of [null, 0, 1]) {
      for (const point of [[0.3, -0.2], [-1, 0.6], [1.5, 1.5]]) {
        const { score } = look(point, t, label);
        for (const axis of [0, 1]) {
          const [after, before] = [1, -1].map((side) => look(point.map((value, index) => value + (index === axis ? side * step : 0)), t, label).logDensity);
          const slope = (after - before) / (2 * step);
          assert.ok(Math.abs(score[axis] - slope) < 1e-3 * Math.max(1, Math.abs(slope)), `t = ${t}, ${label}, ${point}: ${score[axis]}, ${slope}`);
        }
      }
    }
  }
});

test('the schedule of the plane is that of the cosine models', async () => {
  const model = await load(weights('doodles'));
  assertNear(PROCESS.alphasCumprod, model.info.alphasCumprod, 1e-7, 'abar');
  model.close();
});

test('points that go back at s = 1 have the distribution of their class; guidance narrows it', () => {
  const own = COMPONENTS.filter(({ label }) => label === 0);
  const run = (s, eta) => Array.from({ length: 600 }, (_, seed) => walk({ seed, steps: 60, label: 0, s, eta }).at(-1));
  for (const eta of [0, 1]) {
    const ends = run(1, eta);
    for (const axis of ['x', 'y']) {
      const values = ends.map((end) => end[axis === 'x' ? 0 : 1]);
      const mean = own.reduce((sum, each) => sum + each[axis], 0) / 3;
      const variance = own.reduce((sum, each) => sum + (each[axis] - mean) ** 2, 0) / 3 + WIDTH ** 2;
      const found = values.reduce((sum, value) => sum + value, 0) / values.length;
      const spread = values.reduce((sum, value) => sum + (value - found) ** 2, 0) / values.length;
      assert.ok(Math.abs(found - mean) < 0.08 && Math.abs(spread / variance - 1) < 0.2, `eta ${eta}, ${axis}: ${found} for ${mean}, ${spread} for ${variance}`);
    }
  }
  const sure = (ends) => ends.reduce((sum, end) => sum + certainty(end, 0), 0) / ends.length;
  assert.ok(sure(run(5, 0)) > sure(run(1, 0)));
  assert.ok(run(0, 0).filter((end) => certainty(end, 0) > 0.5).length < 400, 'at s = 0 the class is not asked');
  const away = (each) => Math.min(...COMPONENTS.filter(({ label }) => label === 1).map((other) => Math.hypot(other.x - each.x, other.y - each.y)));
  const near = own.reduce((nearest, each) => (away(each) < away(nearest) ? each : nearest));
  const share = (s) => run(s, 0).filter(([x, y]) => own.reduce((nearest, each) => (Math.hypot(each.x - x, each.y - y) < Math.hypot(nearest.x - x, nearest.y - y) ? each : nearest)) === near).length / 600;
  assert.ok(share(1) > 0.2 && share(6) < 0.02, `the cloud next to the other class is left empty: ${share(1)}, ${share(6)}`);
});

test('in any network what changes the size of its maps is a layer', () => {
  const operation = (name, inputs, shape) => ({ name, inputs, shape, integers: [], depends: ['x'], free: false });
  const network = [
    operation('x', [], [8, 8, 4]), operation('max_pool', [0], [4, 4, 4]), operation('function', [1], [4, 4, 4]), operation('conv', [2], [2, 2, 8]), operation('conv', [3], [2, 2, 8]),
    operation('permute', [4], [8, 2, 2]), operation('permute', [5], [2, 2, 8]), operation('nearest', [6], [4, 4, 8]), operation('conv_transpose', [7], [8, 8, 4]), operation('conv', [8], [8, 8, 4]),
  ];
  assert.deepEqual(layersOf(network).map(({ operation, kind, width }) => [operation, kind, width]),
    [[0, 'input', 8], [1, 'smaller', 4], [3, 'smaller', 2], [7, 'larger', 4], [8, 'larger', 8], [9, 'output', 8]]);
});

test('maps are darker the farther from 0, and their sides differ in blue and in red', () => {
  const luminance = ([red, green, blue]) => 0.2126 * (red / 255) ** 2.2 + 0.7152 * (green / 255) ** 2.2 + 0.0722 * (blue / 255) ** 2.2;
  for (const side of [-1, 1]) {
    const all = Array.from({ length: 51 }, (_, index) => colourOf((side * index) / 50));
    for (let index = 1; index < all.length; index++) assert.ok(luminance(all[index]) < luminance(all[index - 1]), `${side * index}`);
    for (const [red, , blue] of all.slice(5)) assert.ok(side * (red - blue) > 12, 'who does not tell red from green tells these');
  }
  assert.deepEqual([colourOf(0), colourOf(7), colourOf(-7)], [[247, 247, 247], colourOf(1), colourOf(-1)]);
});

test('what is said of a map', () => {
  assert.deepEqual(describeMap(Float32Array.of(1, -5, 1, 3)), { mean: 0, deviation: 3, strongest: 1 });
  assert.equal(rangeOf(Float32Array.from({ length: 1000 }, (_, index) => (index === 0 ? 1e6 : (-1) ** index * 2))), 2);
  assert.equal(rangeOf(new Float32Array(4)), 1);
});

test('principal components are the directions of the largest variance', () => {
  const { normal, tensor } = makeNormal(4);
  const axes = [tensor(40), tensor(40)].map((axis) => axis.map((value) => value / norm(axis)));
  const points = Array.from({ length: 80 }, () => {
    const [a, b] = [5 * normal(), 2 * normal()];
    return tensor(40).map((value, index) => 0.05 * value + a * axes[0][index] + b * axes[1][index] + 1);
  });
  const project = principalPlane(points);
  const places = points.map(project);
  const variance = (axis) => places.reduce((sum, place) => sum + place[axis] ** 2, 0) / places.length;
  const mean = points[0].map((_, index) => points.reduce((sum, point) => sum + point[index], 0) / points.length);
  const total = points.reduce((sum, point) => sum + meanSquare(point, mean) * 40, 0) / points.length;
  assert.ok(variance(0) > variance(1) && (variance(0) + variance(1)) / total > 0.99);
  assert.ok(Math.abs(places.reduce((sum, [a, b]) => sum + a * b, 0) / places.length) < 1e-2 * variance(1), 'and orthogonal');
});

test('pictures that are alike have no spread, and the weight of lines does not count', async () => {
  const model = await load(weights('digits'));
  const { pixels } = await model.generate({ label: 4, seed: 3, steps: 8 });
  const shape = coarseShape(pixels, model.info);
  assert.ok(Math.abs(norm(shape) - 1) < 1e-6);
  assert.ok(spreadOf([shape, shape, coarseShape(pixels.map((value) => 255 - (255 - value) / 2), model.info)]) < 0.02);
  assert.equal(await recognise(model, tensorOfPixels(pixels, model.info), 10), 4);
  model.close();
});

test('marks of symbols, but not underscores in the names of classes', () => {
  const parts = [...partsOf('把x_t = 0.5 x̂_{t-1}^2 of “hot_dog”, ᾱ_t')];
  assert.deepEqual(parts, [['', '把x'], ['_', 't'], ['', ' = 0.5 x̂'], ['_', 't-1'], ['', ''], ['^', '2'], ['', ' of “hot_dog”, ᾱ'], ['_', 't'], ['', '']]);
});

test('what attributes say is made to fit, and nonsense counts as nothing', () => {
  const t = { kind: 'range', name: 't', min: 1, max: 999, initial: 300 };
  const written = ['500', '300.5', '0.2', '-7', '1e9', '', 'Infinity', 'x', null];
  assert.deepEqual(written.map((each) => valueOf(t, each)), [500, 301, 1, 1, 999, 300, 300, 300, 300]);
  assert.equal(valueOf({ kind: 'range', name: 's', max: 8, step: 0.1, initial: 3 }, '2.75'), 2.75);
  assert.equal(valueOf({ kind: 'seed', name: 'seed', initial: 1 }, '7.6'), 8);
  assert.deepEqual([null, 'no', '', 'yes'].map((each) => valueOf({ kind: 'check', name: 'known', initial: false }, each)), [false, false, true, true]);
});

test('a class is given by its number, by its name, and by its name in the language of the page', () => {
  const choice = classChoice({ model: { labels: ['cat', 'house', 'zebra'] }, language: 'zh' }, '类别');
  assert.deepEqual(['1', 'house', '房子', 'zebra', 'castle', '3', null].map((each) => valueOf(choice, each)), ['1', '1', '1', '2', '0', '0', '0']);
});

test('the state of all figures is in a link', () => {
  const state = { model: 'digits', at: 'guidance', lecture: true, figures: { guidance: { s: '5', label: '2' }, noise: { t: '100' } } };
  assert.deepEqual(readState(writeState(state)), state);
  assert.equal(writeState({ model: '', at: 'noise', lecture: false, figures: { noise: {} } }), '');
  assert.equal(readState('#noise'), null);
  assert.deepEqual(readState('#noise.onclick=x&guidance.s=2&what=3&what.s=3').figures, { guidance: { s: '2' } });
  assert.deepEqual(readState('#__proto__.seed=5&constructor.seed=5').figures, {});
  assert.equal({}.seed, undefined);
});

describe('the article', () => {
  const article = (language) => readFileSync(new URL(`../../web/learn/article/${language}.html`, import.meta.url), 'utf8');
  const all = (text, pattern) => [...text.matchAll(pattern)].map(([found]) => found);

  test('has the same sections, formulas and figures in both languages', () => {
    const [english, chinese] = ['en', 'zh'].map(article);
    for (const pattern of [/<section id="\w+">/g, /\{\{\{\w+\}\}\}/g, /<pocket-diffusion-figure [^>]+>/g, /<a href="#[^"]+">/g]) {
      assert.ok(all(english, pattern).length > 2);
      assert.deepEqual(all(chinese, pattern), all(english, pattern));
    }
    const inline = (text) => new Set(all(text, /\{\{\w+\}\}/g));
    assert.deepEqual([...inline(chinese)].sort(), [...inline(english)].sort());
    assert.equal(all(english, /<dfn>/g).length, all(chinese, /<dfn>/g).length);
  });

  test('has slides that say as much in both languages, and show every figure but the program', () => {
    for (const { id, en, zh } of SLIDES) {
      assert.deepEqual([en.points.length, all(en.points.join(), /\{\{\w+\}\}/g).sort()], [zh.points.length, all(zh.points.join(), /\{\{\w+\}\}/g).sort()], id);
      assert.match([zh.title, ...zh.points, zh.notes].join(), /^[^{}]*[\u4e00-\u9fff]/u);
    }
    const shown = new Set(SLIDES.flatMap(({ figure }) => figure?.kind ?? []));
    assert.deepEqual([...shown].sort(), Object.keys(KINDS).filter((kind) => kind !== 'code').sort());
  });

  test('has no more than 80 kB of code with gzip, and pages without styles or scripts in them', async () => {
    const { files } = await buildLearn();
    const bytes = [...files].filter(([path]) => /\.(js|css)$/.test(path)).reduce((sum, [, text]) => sum + gzipSync(text, { level: 9 }).length, 0);
    assert.ok(bytes <= 80_000, `${bytes} bytes`);
    for (const path of ['learn/index.html', 'learn/zh.html', 'learn/slides.html', 'learn/slides-zh.html']) {
      const text = files.get(path);
      assert.doesNotMatch(text, / style=|<style|<script>|\son\w+=|\{\{/, path);
      assert.match(text, /<math[ >]/);
    }
  });
});
