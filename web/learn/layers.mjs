// What there is to see inside a network: the layers of its graph (docs/graph.md), and the shares of its attention.

/** @typedef {import('../index.d.ts').GraphOperation} GraphOperation */
/**
 * @typedef {object} Layer a value that stands for all that was computed since the layer before
 * @property {number} operation whose value it is
 * @property {'down' | 'middle' | 'up'} part
 * @property {'input' | 'convolution' | 'smaller' | 'larger' | 'residual' | 'attention' | 'linear' | 'output'} kind
 * @property {number} height of its maps
 * @property {number} width
 * @property {number} channels
 */
/** @typedef {{ operation: number, queries: number, heads: number, size: number, height: number, width: number }} Attention queries: the operation with queries, keys and values */

/** Operations that may make a map of another size from their first input. */
const RESAMPLES = new Set(['conv', 'conv_transpose', 'nearest', 'bilinear', 'average_pool', 'max_pool', 'pixel_shuffle', 'pixel_unshuffle']);
/** Which input is what is added at the end, of operations that may have one. */
const RESIDUAL = /** @type {Record<string, number>} */ ({ conv: 1, conv_transpose: 1, linear: 1, affine: 1, rms_norm: 3, layer_norm: 3, group_norm: 3, add: 1, gated_add: 1 });

/** @param {GraphOperation} operation */
const isMap = ({ shape, depends, free }) => shape.length === 3 && depends.includes('x') && !free;

/**
 * The ends of blocks: where maps change their size, where something is added to what was there before, attention, and what is
 * read twice; the first value and the last.
 * @param {ReadonlyArray<GraphOperation>} operations @returns {Layer[]}
 */
export function layersOf(operations) {
  const readers = operations.map(() => /** @type {GraphOperation[]} */ ([]));
  for (const operation of operations) for (const input of new Set(operation.inputs)) if (input >= 0) readers[input].push(operation);
  /** @param {GraphOperation} operation @param {number} index @returns {Layer['kind'] | null} */
  const kindOf = (operation, index) => {
    const { name, inputs, shape } = operation;
    if (index === 0) return 'input';
    if (index === operations.length - 1) return 'output';
    if (!isMap(operation)) return null;
    if (name === 'linear_attention_block') return 'linear';
    const added = inputs[RESIDUAL[name]];
    if (added >= 0 && isMap(operations[added])) return /attention$/.test(operations[inputs[0]].name) ? 'attention' : 'residual';
    const grown = RESAMPLES.has(name) ? shape[0] * shape[1] - operations[inputs[0]].shape[0] * operations[inputs[0]].shape[1] : 0;
    if (grown !== 0) return grown < 0 ? 'smaller' : 'larger';
    return name === 'conv' && (readers[index].length > 1 || readers[index][0].name === 'concat') ? 'convolution' : null;
  };
  // The way up begins where a map of the way down is laid beside another; what follows the last of these is the middle.
  const up = operations.findIndex((operation) => operation.name === 'concat' && isMap(operation));
  const down = up < 0 ? -1 : Math.min(...operations[up].inputs);
  return operations.flatMap((operation, index) => {
    const kind = kindOf(operation, index);
    const [height, width, channels] = operation.shape;
    return kind === null ? [] : [{ operation: index, part: up >= 0 && index > up ? 'up' : index > down ? 'middle' : 'down', kind, height, width, channels }];
  });
}

/** The attention between all places, if there is one whose queries, keys and values are one value. @param {ReadonlyArray<GraphOperation>} operations @returns {Attention | null} */
export function attentionOf(operations) {
  const operation = operations.findIndex(({ name, inputs, shape }) => name === 'attention' && inputs.length === 1 && shape.length === 3);
  if (operation < 0) return null;
  const { inputs, integers: [heads, size], shape: [height, width] } = operations[operation];
  return { operation, queries: inputs[0], heads, size, height, width };
}

/**
 * The shares that a place takes of all places, for each head: softmax of q k / sqrt(size) (Vaswani et al. 2017).
 * @param {ArrayLike<number>} values [queries, keys, values][head][channel][place] @param {Attention} attention @param {number} place
 * @returns {Float32Array[]} each sums to 1
 */
export function sharesOf(values, { heads, size, height, width }, place) {
  const places = height * width;
  return Array.from({ length: heads }, (_, head) => {
    const scores = new Float64Array(places);
    for (let channel = 0; channel < size; channel++) {
      const query = values[(head * size + channel) * places + place];
      for (let other = 0; other < places; other++) scores[other] += query * values[((heads + head) * size + channel) * places + other];
    }
    const most = scores.reduce((a, b) => Math.max(a, b)) / Math.sqrt(size);
    const weights = scores.map((score) => Math.exp(score / Math.sqrt(size) - most));
    const sum = weights.reduce((a, b) => a + b);
    return Float32Array.from(weights, (weight) => weight / sum);
  });
}

/** @param {Float32Array} values of one channel */
export function describe(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  const strongest = values.reduce((best, value, place) => (Math.abs(value) > Math.abs(values[best]) ? place : best), 0);
  return { mean, deviation, strongest };
}

/** What all but one in a hundred of the magnitudes are below: single ones would leave the rest pale. @param {Float32Array} values */
export function rangeOf(values) {
  const sorted = values.map(Math.abs).sort();
  return sorted[Math.floor(0.99 * (sorted.length - 1))] || 1;
}
