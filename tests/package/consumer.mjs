// A program that uses the installed package under Node.js: every export, and one picture. Prints a hash of its pixels.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { load as loadFromMain, version } from 'pocket-diffusion';
import { PocketDiffusionElement } from 'pocket-diffusion/element';
import { load, makeSheet, writePNG } from 'pocket-diffusion/node';
import { toSVG } from 'pocket-diffusion/outlines';
import { compile } from 'pocket-diffusion/wasm';

const require = createRequire(import.meta.url);
const fileOf = (name) => fileURLToPath(import.meta.resolve(`pocket-diffusion/${name}`));

if (load !== loadFromMain) throw new Error('two copies of the library');
if (require('pocket-diffusion/package.json').version !== version) throw new Error('two versions');
if (require('pocket-diffusion/custom-elements.json').modules[0].declarations[0].name !== PocketDiffusionElement.name) throw new Error('manifest');
for (const name of ['element.css', 'pocket-diffusion.wasm', 'pocket-diffusion-relaxed.wasm', 'worker']) {
  if (!existsSync(fileOf(name))) throw new Error(name);
}

const model = await load(fileOf('weights/doodles.gguf'), { wasm: await compile(), worker: true });
const pictures = [];
for await (const picture of model.generateMany({ label: 'cat', seed: 7, steps: 4, count: 4 })) pictures.push(picture);
model.close();
if (!toSVG(pictures[0]).startsWith('<svg')) throw new Error('no SVG file');
await writePNG('sheet.png', makeSheet(pictures));
if (readFileSync('sheet.png').toString('latin1', 1, 4) !== 'PNG') throw new Error('no PNG file');
const hash = createHash('sha256');
for (const { pixels } of pictures) hash.update(pixels);
console.log(hash.digest('hex'));
