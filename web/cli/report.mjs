// What is said of pictures that were made.

import { traceNumbers } from './film.mjs';
import { writeOut, writeWhole } from './files.mjs';
import { asJSON, printable, sha256 } from './output.mjs';
import { stop } from './stopping.mjs';

/**
 * @typedef {import('../index.d.ts').Picture} Picture
 * @typedef {import('../index.d.ts').ResolvedOptions} ResolvedOptions
 * @typedef {{ width: number, height: number, channels: number, pixels: Uint8Array }} Bitmap
 * @typedef {Record<string, any>} Given options of a command, as commander has parsed them, or fields of a recipe
 */

/** @param {string} file @param {object} model @param {Picture[]} pictures */
export async function writeTrace(file, model, pictures) {
  const traced = pictures.map(async ({ options, trace = [] }) => ({ ...await describeOptions(options), trace: traceNumbers(trace) }));
  await writeWhole(file, new TextEncoder().encode(`${asJSON({ model, pictures: await Promise.all(traced) })}\n`), stop.signal);
}

/** Options for --json: arrays of a picture or of noise by their hash. @param {ResolvedOptions} options */
async function describeOptions({ image, mask, noise, ...others }) {
  /** @param {import('../index.d.ts').Image | null} each */
  const describe = async (each) => each && { width: each.width, height: each.height, channels: each.channels, pixelsSHA256: await sha256(each.pixels) };
  return { ...others, image: await describe(image), mask: await describe(mask), noise: noise && { length: noise.length, SHA256: await sha256(noise) } };
}

/** @param {object} model @param {Picture[]} pictures @param {Pick<import('./sheets.mjs').Output, 'image' | 'file'>[]} outputs */
export async function reportJSON(model, pictures, outputs) {
  const described = pictures.map(async ({ options, pixels }) => ({ ...await describeOptions(options), pixelsSHA256: await sha256(pixels) }));
  const written = outputs.map(async ({ image, file }) => ({
    file, width: image.width, height: image.height, channels: image.channels, pixelsSHA256: await sha256(image.pixels),
  }));
  await writeOut(`${asJSON({ model, pictures: await Promise.all(described), outputs: await Promise.all(written) })}\n`);
}

/** The steps that were made: with an image the last ones of the grid (pd_edit_steps). @param {ResolvedOptions} options */
export function stepsOf({ steps, strength }) {
  const made = Math.floor(Math.fround(strength) * (1 + 2 ** -23) * steps + 0.5);
  return `${made === steps ? '' : `${made} of `}${steps} step${steps === 1 ? '' : 's'}`;
}

/** @param {Picture[]} pictures @param {string} where */
export async function reportLine(pictures, where) {
  const { guidanceScale, sampler, seed } = pictures[0].options;
  const names = [...new Set(pictures.map((picture) => picture.options.labelName))].join(', ');
  const what = `${names && `${names}: `}${pictures.length} picture${pictures.length === 1 ? '' : 's'}`;
  await writeOut(`${printable(`${where}: ${what}, seed ${seed}, guidance scale ${guidanceScale}, ${stepsOf(pictures[0].options)} of ${sampler}`)}\n`);
}

/** The part of a title that says what an option does. @type {Record<string, string>} */
const TITLE_PARTS = { guidanceWeight: 'guidanceScale', classMix: 'label' };

/**
 * What the pictures of a sweep have in common, on one line.
 * @param {{ name: string }} model @param {Given} options @param {ReadonlyArray<string>} [varied]
 */
export function titleOf({ name }, { labelName, seed, guidanceScale, steps, sampler }, varied = []) {
  /** @type {Given} */
  const parts = {
    label: labelName, seed: `seed ${seed}`, guidanceScale: `guidance scale ${guidanceScale}`,
    steps: `${steps} step${steps === 1 ? '' : 's'}`, sampler,
  };
  for (const key of varied) delete parts[TITLE_PARTS[key] ?? key];
  return printable([name, ...Object.values(parts)].filter(Boolean).join(', '));
}
