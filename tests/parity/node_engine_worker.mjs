// The other side of node_engine.py: reads one JSON request a line on standard input, answers each with one
// JSON line on standard output, in order. Float32 arrays travel as base64 of their little-endian bytes.
//
//   {"id": 1, "op": "load", "path": "model.gguf"}                        -> {"id": 1, "result": {"labels": [...], "info": {...}}}
//   {"id": 2, "op": "predict", "x": "...", "t": 10, "label": 3 or null}  -> {"id": 2, "result": {"prediction": "..."}}
//   {"id": 3, "op": "generate", "options": {...}}                        -> {"id": 3, "result": {"states": ["...", ...],
//                                                                            "timesteps": [...], "pixels": "..."}}
//   {"id": 4, "op": "picture", "options": {...}}                         -> {"id": 4, "result": {"pixels": "..."}}
//   {"id": 5, "op": "invert", "options": {...}}                          -> {"id": 5, "result": {"states": ["...", ...],
//                                                                            "timesteps": [...], "noise": "..."}}
//   {"id": 6, "op": "trace", "options": {...}}                           -> {"id": 6, "result": {"steps": [{"timestep": ...,
//                                                                            "x": {"values": "...", "norm": ...}, ...}, ...]}}
// Options are those of `generate`, but what is not given of time grid, guidance interval, rescale and projection is plain
// (linear, all timesteps, none), whatever the model recommends; the pixels of image and mask are base64 of their bytes, and so is noise.
// A request that fails is answered with {"id", "error"}. A new model takes the place of the one before.
import { createInterface } from 'node:readline';
import { load } from 'pocket-diffusion';

let model = null;

const encode = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');

function decodeFloats(text) {
  const bytes = Buffer.from(text, 'base64');
  const floats = new Float32Array(bytes.length / 4);
  new Uint8Array(floats.buffer).set(bytes);
  return floats;
}

/** Options as `generate` takes them. */
function decodeOptions({ image, mask, noise, ...options }) {
  const picture = (each) => each && { ...each, pixels: new Uint8Array(Buffer.from(each.pixels, 'base64')) };
  const inputs = { image: picture(image), mask: picture(mask), noise: noise && decodeFloats(noise) };
  return { timeGrid: 'linear', guidanceInterval: [0, model.info.timesteps - 1], rescale: 0, projection: false, ...options, ...inputs };
}

/** make(options) with options that collect what there is to see of every step. */
async function watch(options, make) {
  const states = [];
  const timesteps = [];
  const onStep = ({ state, timestep }) => {
    states.push(encode(state));
    timesteps.push(timestep);
  };
  return { ...await make({ ...options, state: true, preview: false, onStep }), states, timesteps };
}

const operations = {
  async load({ path }) {
    model?.close();
    model = null;
    model = await load(path);
    const { networkWidth, networkHeight, networkChannels, networkOutChannels, timesteps, objective } = model.info;
    const info = { networkWidth, networkHeight, networkChannels, networkOutChannels, timesteps, objective };
    return { labels: model.labels, info, alphasCumprod: Array.from(model.info.alphasCumprod) };
  },

  async predict({ x, t, label }) {
    return { prediction: encode(await model.predict(decodeFloats(x), t, label)) };
  },

  generate: ({ options }) => watch(decodeOptions(options), async (watched) => ({ pixels: encode((await model.generate(watched)).pixels) })),

  async trace({ options }) {
    const { trace } = await model.generate({ ...decodeOptions(options), trace: true });
    const show = (plane) => plane && { values: encode(plane.values), norm: plane.norm, range: plane.range, pixels: encode(plane.pixels) };
    const steps = trace.map(({ timestep, ...planes }) => ({
      timestep, ...Object.fromEntries(Object.entries(planes).map(([name, plane]) => [name, show(plane)])),
    }));
    return { steps };
  },

  async picture({ options }) {
    return { pixels: encode((await model.generate(decodeOptions(options))).pixels) };
  },

  invert({ options }) {
    const { image, mask: _mask, noise: _noise, ...others } = decodeOptions(options);
    return watch({ ...others, image }, async (watched) => ({ noise: encode((await model.invert(watched)).noise) }));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...request } = JSON.parse(line);
  let answer;
  try {
    answer = { id, result: await operations[op](request) };
  } catch (error) {
    answer = { id, error: `${error.code ?? error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
model?.close();
