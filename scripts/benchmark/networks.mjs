// The networks that are measured, and the files that the contestants read.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = 'build/benchmark';

/** A network with random weights that takes [channels, side, side]. */
function random(name, { dim = 32, levels = [1, 2, 4], channels = 3, side = 32, classes = 10, pixelUnshuffle = 1 } = {}) {
  const unet = { dim, dim_mults: levels, channels, num_classes: classes };
  return { name, unet, side, pixel_unshuffle: pixelUnshuffle };
}

/** The shapes of models that people train, small to large. */
export const SIX = [
  { name: 'doodles', model: 'weights/doodles.gguf' },
  { name: 'letters', model: 'weights/letters.gguf' },
  { name: 'characters', model: 'weights/characters.gguf' },
  random('dim32-side32'),
  random('dim64-side32', { dim: 64 }),
  random('dim32-side64', { side: 64 }),
];

/** Shapes that fit no tile, and unusual depths. */
export const ODD = [
  random('dim20-side32', { dim: 20 }),
  random('dim40-side32', { dim: 40 }),
  random('dim56-side32', { dim: 56 }),
  random('levels1224-side32', { levels: [1, 2, 2, 4] }),
  random('levels1-side32', { levels: [1] }),
  random('levels112-side32', { levels: [1, 1, 2] }),
  random('dim48-side16', { dim: 48, channels: 12, side: 16, pixelUnshuffle: 2 }),
  random('dim32-side12', { side: 12 }),
  random('dim32-side48', { side: 48 }),
];

/** Along the cost curves: [value on the axis, network]. */
export const SIDES = [16, 24, 32, 48, 64, 96, 128].map((side) => [side, random(`dim32-side${side}`, { side })]);
export const DIMS = [16, 24, 32, 48, 64, 96, 128].map((dim) => [dim, random(`dim${dim}-side32`, { dim })]);

/** Runs a Python script of this project; its messages go to standard error. */
export function python(...args) {
  try {
    execFileSync('.venv/bin/python', args, { stdio: ['ignore', 2, 'inherit'] });
  } catch (error) {
    throw new Error(`${args[0]} failed (scripts/setup.sh benchmark installs what it needs): ${error.message}`);
  }
}

/**
 * Makes the files that are missing.
 * @returns {Map<string, { name: string, model: string, onnx: string, safetensors: string }>} paths, by name
 */
export function makeNetworks(specifications) {
  const byName = new Map(specifications.map((each) => [each.name, each]));
  mkdirSync(FOLDER, { recursive: true });
  const list = join(FOLDER, 'specifications.json');
  writeFileSync(list, JSON.stringify([...byName.values()]));
  python('scripts/benchmark/make_networks.py', list, FOLDER);
  const file = (name, type) => join(FOLDER, `${name}.${type}`);
  return new Map([...byName.values()].map(({ name, model }) => [
    name, { name, model: model ?? file(name, 'gguf'), onnx: file(name, 'onnx'), safetensors: file(name, 'safetensors') }]));
}
