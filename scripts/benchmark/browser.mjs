// The same comparison in a real browser: the library in its worker, onnxruntime-web in the page.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { launch, openPage } from '../../tests/browser/browsers.mjs';
import { serveSite } from '../../tests/browser/server.mjs';
import { measureDragging } from './dragging.mjs';
import { statistics } from './rounds.mjs';

const ORT_FILES = ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'];

/** Answers of the server that go before the site's: the module to measure, onnxruntime-web, and the network for it. */
function addFiles(extra, onnxPath, wasmPath) {
  extra.set('pocket-diffusion.wasm', { type: 'application/wasm', body: readFileSync(wasmPath) });
  const folder = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/wasm'));
  for (const name of ORT_FILES) {
    const type = name.endsWith('.wasm') ? 'application/wasm' : 'text/javascript';
    extra.set(`ort/${name}`, { type, body: readFileSync(join(folder, name)) });
  }
  extra.set('network.onnx', { type: 'application/octet-stream', body: readFileSync(onnxPath) });
}

/**
 * Runs in the page.
 * @returns {Promise<object>} samples: milliseconds, by name; firstStep: milliseconds from load() to the end of the first
 *   step; longestGap: the longest time that the page did not answer while all workers drew, in milliseconds
 */
async function measureInPage({ rounds, steps }) {
  const url = (path) => new URL(path, location.href).href;
  const { load } = await import(url('index.js'));
  const ort = await import(url('ort/ort.wasm.min.mjs'));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = url('ort/');
  const file = new Uint8Array(await (await fetch(url('network.onnx'))).arrayBuffer());
  const open = (batch) => ort.InferenceSession.create(file, { graphOptimizationLevel: 'all', freeDimensionOverrides: { batch } });
  const sessions = [await open(1), await open(2)];

  const startUp = performance.now();
  const one = await load(url('weights/doodles.gguf'), { worker: true, workers: 1 });
  await one.generate({ label: 0, steps: 1, seed: 1 });
  const firstStep = performance.now() - startUp;
  const all = await load(url('weights/doodles.gguf'), { worker: true });

  const { networkChannels, networkHeight, networkWidth, timesteps } = one.info;
  const shape = [networkChannels, networkHeight, networkWidth];
  const x = Float32Array.from({ length: 2 * shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * i));
  const int64 = (...numbers) => new ort.Tensor('int64', BigInt64Array.from(numbers, BigInt), [numbers.length]);
  const t = timesteps >> 1;
  const nullClass = one.labels.length;
  const single = { x: new ort.Tensor('float32', x.slice(0, x.length / 2), [1, ...shape]), t: int64(t), label: int64(0) };
  const pair = { x: new ort.Tensor('float32', x, [2, ...shape]), t: int64(t, t), label: int64(0, nullClass) };

  // A model remembers how runs begin: other seeds every time, but where a slider changes the scale alone.
  let seed = 1;
  const guidanceInterval = [0, one.info.timesteps - 1]; // in every step, whatever the file recommends
  const picture = () => ({ label: 0, guidanceScale: 3, guidanceInterval, steps, sampler: 'ddim', eta: 0, seed: (seed += 9) });
  const grid = async (model, options) => {
    for await (const each of model.generateMany({ ...picture(), steps: 10, count: 9, ...options })) each.pixels;
  };
  let updates = 0;
  const slide = (model) => grid(model, { seed: 0, guidanceScale: 2 + (++updates % 50) / 10 });
  const work = {
    'pocket-diffusion, one evaluation': () => one.predict(x.slice(0, x.length / 2), t, 0),
    'onnxruntime-web, one evaluation': () => sessions[0].run(single),
    'pocket-diffusion, a whole picture': () => one.generate(picture()),
    'onnxruntime-web, the batches of two of a picture': async () => {
      for (let step = 0; step < steps; step++) await sessions[1].run(pair);
    },
    'pocket-diffusion, nine pictures of 10 steps, one worker': () => grid(one),
    'pocket-diffusion, nine pictures of 10 steps, all workers': () => grid(all),
    'the same nine pictures at another scale, all workers': () => slide(all),
  };
  const samples = Object.fromEntries(Object.keys(work).map((name) => [name, []]));
  for (let round = -2; round < rounds; round++) {
    for (const [name, run] of Object.entries(work)) {
      const start = performance.now();
      await run();
      if (round >= 0) samples[name].push(performance.now() - start); // the first two rounds warm up
    }
  }
  let longestGap = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longestGap = Math.max(longestGap, now - last);
    last = now;
  }, 4);
  await slide(all);
  clearInterval(timer);

  const ours = await one.predict(x.slice(0, x.length / 2), t, 0);
  const theirs = (await sessions[0].run(single)).prediction.data;
  const error = ours.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i])), 0);
  const magnitude = theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return { samples, firstStep, longestGap, disagreement: error / magnitude, userAgent: navigator.userAgent };
}

/** @param {'chromium' | 'firefox'} name @param {{ onnx: string }} files of doodles */
export async function measureBrowser(name, files, { rounds, wasm }) {
  const site = await serveSite();
  const session = await launch(name === 'chromium' ? 'chrome' : name);
  try {
    addFiles(site.extra, files.onnx, wasm);
    const { page, troubles } = await openPage(session.browser, `${site.url}blank.html`);
    page.setDefaultTimeout(0);
    const { samples, ...rest } = await page.evaluate(measureInPage, { rounds, steps: 20 });
    await page.close();
    const dragging = {
      play: await measureDragging(session.browser, site.url, 'play'),
      lab: await measureDragging(session.browser, site.url, 'lab'),
    };
    const results = Object.entries(samples).map(([label, list]) => ({ name: label, wall: statistics(list), samples: list }));
    return { browser: name, version: await session.browser.version(), ...rest, results, dragging, troubles };
  } finally {
    await session.close();
    await site.close();
  }
}
