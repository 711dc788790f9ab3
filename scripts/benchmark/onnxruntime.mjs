// onnxruntime-web as a contestant: WebAssembly, one thread.

import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web/wasm';
import { measure } from './rounds.mjs';

ort.env.wasm.numThreads = 1;
export const version = ort.env.versions.web;

const int64 = (numbers) => new ort.Tensor('int64', BigInt64Array.from(numbers, BigInt), [numbers.length]);

/** @param {{ x: Float32Array, t: number[], label: number[], shape: number[] }} batch shape: [N, C, H, W] */
export function feeds({ x, t, label, shape }) {
  return { x: new ort.Tensor('float32', x, shape), t: int64(t), label: int64(label) };
}

/** A session for batches of one size: with it fixed beforehand every shape is constant and folded away. */
export function openSession(onnxPath, batch) {
  const options = { graphOptimizationLevel: 'all', freeDimensionOverrides: { batch } };
  return ort.InferenceSession.create(readFileSync(onnxPath), options);
}

export async function open({ onnx }, batch) {
  const session = await openSession(onnx, batch.shape[0]);
  const input = Object.fromEntries(Object.entries(feeds(batch)).filter(([name]) => session.inputNames.includes(name)));
  return {
    name: 'onnxruntime-web',
    predict: async () => (await session.run(input)).prediction.data,
    time: (count) => measure(async () => {
      for (let i = 0; i < count; i++) await session.run(input);
    }),
    close: () => session.release(),
  };
}
