// TensorFlow.js as a contestant: its WebAssembly backend, one thread. The network is written down by hand in its
// operations, because nothing converts the reference to it.
//
// Maps are [N, H, W, C]. The embeddings of time and class end in a scale and a shift per residual block.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { measure } from '../rounds.mjs';

const HEADS = 4; // of the reference's attention, where nothing else is said
const HEAD_SIZE = 32;

let tf;

/** @returns the version, or null if it is not installed (scripts/setup.sh benchmark) */
export async function start() {
  try {
    tf = await import('@tensorflow/tfjs-core');
    const { setWasmPaths, setThreadsCount } = await import('@tensorflow/tfjs-backend-wasm');
    setWasmPaths(dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm')) + sep);
    setThreadsCount(1);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    return null;
  }
  await tf.setBackend('wasm');
  await tf.ready();
  return tf.version_core;
}

/** name -> { shape, values } of a file of float32 tensors */
function readSafetensors(path) {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const { __metadata__, ...entries } = JSON.parse(file.subarray(8, start));
  return Object.fromEntries(Object.entries(entries).map(([name, { shape, data_offsets: [from, to] }]) => [
    name, { shape, values: new Float32Array(Uint8Array.from(file.subarray(start + from, start + to)).buffer) }]));
}

/** Weights as TensorFlow.js wants them: convolutions [kh, kw, in, out], matrices [in, out]. */
function readWeights(path) {
  const weights = {};
  for (const [name, { shape, values }] of Object.entries(readSafetensors(path))) {
    const tensor = tf.tensor(values, shape);
    if (name.endsWith('.g')) weights[name] = tf.mul(tf.reshape(tensor, [-1]), Math.sqrt(shape[1])); // RMSNorm's gain
    else if (shape.length === 4) weights[name] = tf.transpose(tensor, [2, 3, 1, 0]);
    else if (shape.length === 2 && !name.includes('_emb')) weights[name] = tf.transpose(tensor);
    else weights[name] = tensor;
  }
  return weights;
}

class Network {
  #weights;

  constructor(weights) {
    this.#weights = weights;
  }

  #weight(name) {
    const weight = this.#weights[name];
    if (!weight) throw new Error(`no weight ${name}`);
    return weight;
  }

  #convolution(name, x, stride = 1) {
    const filter = this.#weight(`${name}.weight`);
    // The 4x4 stride-2 convolution pads by one on each side, which is "same" for even sides.
    return tf.fused.conv2d({ x, filter, strides: stride, pad: 'same', bias: this.#weights[`${name}.bias`] });
  }

  #linear(name, x) {
    return tf.fused.matMul({ a: x, b: this.#weight(`${name}.weight`), bias: this.#weight(`${name}.bias`) });
  }

  #norm(name, x) {
    const length = tf.sqrt(tf.sum(tf.square(x), -1, true));
    return tf.mul(tf.div(x, length), this.#weight(`${name}.g`));
  }

  #silu(x) {
    return tf.mul(x, tf.sigmoid(x));
  }

  #gelu(x) {
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  }

  #mlp(name, x, first, second) {
    return this.#linear(`${name}.${second}`, this.#gelu(this.#linear(`${name}.${first}`, x)));
  }

  /** SiLU of the joined embeddings of time and class, [N, 8 dim], where every block's own layer begins. */
  embedding(t, label) {
    const dim = this.#weight('classes_emb.weight').shape[1];
    const half = dim / 2;
    const frequencies = Float32Array.from({ length: half }, (_, i) => Math.exp((-Math.log(10000) * i) / (half - 1)));
    const angles = tf.matMul(tf.tensor(t, [t.length, 1], 'float32'), tf.tensor(frequencies, [1, half]));
    const time = this.#mlp('time_mlp', tf.concat([tf.sin(angles), tf.cos(angles)], 1), 1, 3);
    const table = tf.concat([this.#weight('classes_emb.weight'), tf.reshape(this.#weight('null_classes_emb'), [1, dim])]);
    const classes = this.#mlp('classes_mlp', tf.gather(table, tf.tensor(label, [label.length], 'int32')), 0, 2);
    return this.#silu(tf.concat([time, classes], 1));
  }

  #block(name, x, embedding) {
    const modulation = this.#linear(`${name}.mlp.1`, embedding);
    const [scale, shift] = tf.split(tf.reshape(modulation, [modulation.shape[0], 1, 1, -1]), 2, 3);
    let h = this.#norm(`${name}.block1.norm`, this.#convolution(`${name}.block1.proj`, x));
    h = this.#silu(tf.add(tf.mul(h, tf.add(scale, 1)), shift));
    h = this.#silu(this.#norm(`${name}.block2.norm`, this.#convolution(`${name}.block2.proj`, h)));
    return tf.add(h, this.#weights[`${name}.res_conv.weight`] ? this.#convolution(`${name}.res_conv`, x) : x);
  }

  /** Queries, keys and values, each [N, heads, pixels, head size]. */
  #heads(name, x) {
    const [n, h, w] = x.shape;
    const parts = tf.split(this.#convolution(`${name}.to_qkv`, x), 3, 3);
    return parts.map((part) => tf.transpose(tf.reshape(part, [n, h * w, HEADS, HEAD_SIZE]), [0, 2, 1, 3]));
  }

  #merge(out, [n, h, w]) {
    return tf.reshape(tf.transpose(out, [0, 2, 1, 3]), [n, h, w, HEADS * HEAD_SIZE]);
  }

  #linearAttention(name, x) {
    const [q, k, v] = this.#heads(`${name}.fn.fn`, this.#norm(`${name}.fn.norm`, x));
    const queries = tf.mul(tf.softmax(q), HEAD_SIZE ** -0.5);
    const keys = tf.softmax(tf.transpose(k, [0, 1, 3, 2])); // over the pixels
    const out = this.#merge(tf.matMul(queries, tf.matMul(keys, v)), x.shape);
    return tf.add(x, this.#norm(`${name}.fn.fn.to_out.1`, this.#convolution(`${name}.fn.fn.to_out.0`, out)));
  }

  #attention(name, x) {
    const [q, k, v] = this.#heads(`${name}.fn.fn`, this.#norm(`${name}.fn.norm`, x));
    const weights = tf.softmax(tf.matMul(tf.mul(q, HEAD_SIZE ** -0.5), k, false, true));
    return tf.add(x, this.#convolution(`${name}.fn.fn.to_out`, this.#merge(tf.matMul(weights, v), x.shape)));
  }

  #upsample(name, x) {
    const [, h, w] = x.shape;
    return this.#convolution(`${name}.1`, tf.image.resizeNearestNeighbor(x, [2 * h, 2 * w]));
  }

  /** @returns [N, C, H, W], as is `x` */
  forward(x, t, label) {
    const embedding = this.embedding(t, label);
    const stem = this.#convolution('init_conv', tf.transpose(x, [0, 2, 3, 1]));
    const skips = [];
    let h = stem;
    let levels = 0;
    while (this.#weights[`downs.${levels}.3.weight`]) levels++;
    for (let i = 0; i < levels; i++) {
      h = this.#block(`downs.${i}.0`, h, embedding);
      skips.push(h);
      h = this.#linearAttention(`downs.${i}.2`, this.#block(`downs.${i}.1`, h, embedding));
      skips.push(h);
      h = this.#convolution(`downs.${i}.3`, h, i < levels - 1 ? 2 : 1);
    }
    h = this.#block('mid_block1', h, embedding);
    h = this.#block('mid_block2', this.#attention('mid_attn', h), embedding);
    for (let i = 0; i < levels; i++) {
      h = this.#block(`ups.${i}.0`, tf.concat([h, skips.pop()], 3), embedding);
      h = this.#block(`ups.${i}.1`, tf.concat([h, skips.pop()], 3), embedding);
      h = this.#linearAttention(`ups.${i}.2`, h);
      h = i < levels - 1 ? this.#upsample(`ups.${i}.3`, h) : this.#convolution(`ups.${i}.3`, h);
    }
    h = this.#block('final_res_block', tf.concat([h, stem], 3), embedding);
    return tf.transpose(this.#convolution('final_conv', h), [0, 3, 1, 2]);
  }
}

/** @param {{ x: Float32Array, t: number[], label: number[], shape: number[] }} batch */
export async function open({ safetensors }, { x, t, label, shape }) {
  const weights = readWeights(safetensors);
  const network = new Network(weights);
  const evaluate = () => tf.tidy(() => network.forward(tf.tensor(x, shape), t, label).dataSync());
  return {
    name: 'tfjs-wasm',
    predict: async () => evaluate(),
    time: (count) => measure(() => {
      for (let i = 0; i < count; i++) evaluate();
    }),
    close: () => Object.values(weights).forEach((weight) => weight.dispose()),
  };
}
