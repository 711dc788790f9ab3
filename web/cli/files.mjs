// Files and standard output.

import { open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { kindOfPicture } from './picture_kinds.mjs';
import { readRecipe } from '../index.mjs';

/** A recipe takes a megabyte at most; the picture around it may be larger. */
const MAX_RECIPE_FILE_BYTES = 2 ** 28;

/**
 * Whole or not at all: written beside its place, then moved there. Devices and pipes are written to directly.
 * @param {string} file path @param {Uint8Array} bytes @param {AbortSignal} [signal]
 */
export async function writeWhole(file, bytes, signal) {
  const existing = await stat(file).catch(() => null);
  if (existing && !existing.isFile()) {
    await writeFile(file, bytes);
    return;
  }
  const target = existing ? await realpath(file) : file; // a link stays a link
  const temporary = path.join(path.dirname(target), `.${path.basename(target)}.${process.pid}.tmp`);
  try {
    const handle = await open(temporary, 'wx', existing?.mode ?? 0o666);
    try {
      await handle.writeFile(bytes);
    } finally {
      await handle.close();
    }
    signal?.throwIfAborted();
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** @param {string | Uint8Array} data @returns {Promise<void>} */
export const writeOut = (data) => new Promise((resolve, reject) => {
  process.stdout.write(data, (error) => (error ? reject(error) : resolve()));
});

/**
 * The recipe in a PNG, SVG or JSON file.
 * @param {string} file @returns {Promise<import('../index.d.ts').Recipe>}
 */
export async function readRecipeFile(file) {
  const { size } = await stat(file);
  if (size > MAX_RECIPE_FILE_BYTES) throw new Error(`${file}: too large to hold a recipe`);
  const bytes = new Uint8Array(await readFile(file));
  if (bytes[0] === 0x89) {
    const recipe = readRecipe(bytes);
    if (!recipe) throw new Error(`${file}: this PNG holds no recipe: it was not made here, or a program that saved it anew has dropped the recipe`);
    return recipe;
  }
  const other = kindOfPicture(bytes);
  if (other === 'an SVG') {
    const { readSVGRecipe } = await import('../outlines.mjs');
    const recipe = readSVGRecipe(new TextDecoder().decode(bytes));
    if (recipe) return recipe;
  }
  if (other) throw new Error(`${file}: is ${other} picture, which holds no recipe: recipes are in the PNG and SVG files that were made here`);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new Error(`${file}: neither a PNG nor a recipe in JSON`);
  }
}
