// Cost curves: how the time of one evaluation, or of one picture, grows with one thing at a time.

import { cpus } from 'node:os';
import { Core } from './core.mjs';
import { compareForward } from './forwards.mjs';
import { DIMS, SIDES } from './networks.mjs';
import { compareWorkers } from './pictures.mjs';
import { measure, takeTurns } from './rounds.mjs';

const BATCHES = [1, 2, 3, 4, 6, 8, 12, 16];
const STEPS = [1, 2, 5, 10, 20, 50, 100];

/** Networks that a curve needs besides the others. */
export const CURVE_NETWORKS = [...SIDES, ...DIMS].map(([, network]) => network);

/** One evaluation of one image, all contestants, for each network. */
async function alongNetworks(points, files, options, progress) {
  const curve = [];
  for (const [value, { name }] of points) {
    progress(`cost curve, ${name}`);
    const core = await Core.load(options.module, files.get(name).model);
    curve.push({ value, contestants: await compareForward(core, null, files.get(name), options) });
  }
  return curve;
}

/** Turns of our core alone; work(value) is one evaluation, in the sense of that curve. */
async function alongValues(values, work, { rounds, turn }) {
  const results = await takeTurns(values.map((value) => ({
    name: 'pocket-diffusion',
    time: (count) => measure(() => {
      for (let i = 0; i < count; i++) work(value);
    }),
  })), { rounds, turn });
  return results.map((result, i) => ({ value: values[i], contestants: [result] }));
}

/**
 * @returns {Promise<Array<{ key: string, title: string, axis: string, unit: string, shared?: boolean, points: object[] }>>}
 *   points: { value, contestants: results of takeTurns }; shared: `unit` is their times divided by `value`
 */
export async function measureCurves(files, options, progress) {
  const doodles = files.get('doodles').model;
  const core = await Core.load(options.module, doodles);
  const curves = [
    { key: 'side', title: 'Image side (dim 32, levels 1-2-4, 3 channels)', axis: 'side of the image in pixels', unit: 'ms per evaluation',
      points: await alongNetworks(SIDES, files, options, progress) },
    { key: 'dim', title: 'Channels (levels 1-2-4, 3 x 32 x 32)', axis: 'dim (channels of the first level)', unit: 'ms per evaluation',
      points: await alongNetworks(DIMS, files, options, progress) },
  ];
  progress('cost curves of batch and steps');
  curves.push(
    { key: 'batch', title: 'Pictures in one batch (doodles, one guided step)', axis: 'pictures, two evaluations each', unit: 'ms per step and picture', shared: true,
      points: await alongValues(BATCHES, (pictures) => core.run(pictures, 1), options) },
    { key: 'steps', title: 'Steps (doodles, one guided picture)', axis: 'steps of the picture', unit: 'ms per step', shared: true,
      points: await alongValues(STEPS, (steps) => core.run(1, steps), options) },
  );
  progress('cost curve of workers');
  const sheets = await compareWorkers(doodles, { ...options, most: Math.max(2, cpus().length) });
  curves.push({
    key: 'workers', title: `Workers (sheet of nine doodles, ${cpus().length} cores)`, axis: 'workers', unit: 'ms per sheet',
    points: sheets.map((result) => ({ value: result.workers, contestants: [{ ...result, name: 'pocket-diffusion' }] })),
  });
  return curves;
}
