// Draws the pictures of docs/how-it-works.md from the doodles model.
//
//   node scripts/site/draw_steps.mjs [FOLDER]      default: docs/images

import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load, makeSheet, writePNG } from 'pocket-diffusion/node';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = resolve(process.argv[2] ?? join(root, 'docs/images'));

/** Every pixel becomes a square with sides of as many. */
const ENLARGEMENT = 2;

function enlarge({ width, height, channels, pixels }) {
  const larger = { width: width * ENLARGEMENT, height: height * ENLARGEMENT, channels };
  larger.pixels = new Uint8Array(larger.width * larger.height * channels);
  for (let y = 0; y < larger.height; y++) {
    for (let x = 0; x < larger.width; x++) {
      const source = (Math.floor(y / ENLARGEMENT) * width + Math.floor(x / ENLARGEMENT)) * channels;
      larger.pixels.set(pixels.subarray(source, source + channels), (y * larger.width + x) * channels);
    }
  }
  return larger;
}

/** Numbers in network space, planar, as a picture: pixel shuffle, then [-1, 1] to 0 .. 255, the rest clipped. */
function imageOf(x, { width, height, channels, networkWidth, networkHeight, pixelUnshuffle: factor }) {
  const pixels = new Uint8ClampedArray(width * height * channels);
  x.forEach((value, index) => {
    const plane = Math.floor(index / (networkWidth * networkHeight));
    const [row, column] = [Math.floor(index / networkWidth) % networkHeight, index % networkWidth];
    const [channel, phase] = [Math.floor(plane / factor ** 2), plane % factor ** 2];
    const place = (row * factor + Math.floor(phase / factor)) * width + column * factor + (phase % factor);
    pixels[place * channels + channel] = (value + 1) * 127.5;
  });
  return { width, height, channels, pixels: new Uint8Array(pixels.buffer) };
}

const write = (name, pictures, columns) => writePNG(join(folder, name), makeSheet(pictures.map(enlarge), { columns }));

const model = await load(join(root, 'weights/doodles.gguf'));
const { info } = model;
const shared = { label: 'cat', seed: 11 };

// Upper row: x_t after each step. Lower row: the picture that the network expects, at the same step.
const states = [];
const estimates = [];
await model.generate({
  ...shared, steps: 10, state: true, preview: true,
  onStep: ({ state, preview }) => {
    states.push(imageOf(state, info));
    estimates.push(preview);
  },
});
await write('steps.png', [...states, ...estimates], states.length);

// One seed per row, one guidance scale per column.
const scales = [0, 1, 2, 3, 5, 8, 12];
const guided = [];
for (const seed of [11, 12, 13]) {
  for (const guidanceScale of scales) guided.push(await model.generate({ ...shared, seed, guidanceScale }));
}
await write('guidance.png', guided, scales.length);

// The two predictions of x_0 at one step, from the same x_t, and what guidance makes of them. The model predicts v:
// x_0 = sqrt(abar) x_t - sqrt(1 - abar) v.
let moment;
let t;
const onStep = ({ step, state, timestep }) => {
  if (step === 3) moment = state;
  if (step === 4) t = timestep;
};
await model.generate({ ...shared, steps: 20, state: true, onStep });
const [conditional, unconditional] = await Promise.all([model.predict(moment, t, shared.label), model.predict(moment, t, null)]);
const abar = info.alphasCumprod[t];
const pictureOf = (v) => imageOf(moment.map((x, i) => Math.sqrt(abar) * x - Math.sqrt(1 - abar) * v[i]), info);
const guide = (s) => unconditional.map((v, i) => v + s * (conditional[i] - v));
await write('predictions.png', [imageOf(moment, info), pictureOf(unconditional), pictureOf(conditional), pictureOf(guide(3))], 4);
model.close();
