// PNG encoding by the C core, in an instance of its own: pictures outlive their models.

import { Engine } from './engine.mjs';
import { compile } from '../wasm.mjs';

const engines = new WeakMap(); // compiled module -> promise of an instance

/** @param {WebAssembly.Module} module @returns {Promise<Engine>} an instance that has not trapped */
async function engineOf(module) {
  const known = await engines.get(module)?.catch(() => null);
  if (known && !known.dead) return known;
  const engine = Engine.create(module);
  engines.set(module, engine);
  return engine;
}

/**
 * @param {{ width: number, height: number, channels: number, pixels: Uint8Array | Uint8ClampedArray }} image
 * @param {import('../index.d.ts').LoadOptions['wasm']} wasm
 * @param {import('../index.d.ts').Recipe | null} recipe for the file to carry
 * @returns {Promise<Uint8Array>} a PNG file
 */
export async function encode(image, wasm, recipe) {
  return (await engineOf(await compile(wasm))).encodePNG(image, recipe ? JSON.stringify(recipe) : '');
}
