// The options of a run, in one place: what checks them, hands them to the core, lists them on the command line, in the page or
// in the element reads these tables. That they agree with those of the core and with index.d.ts, tests/node/options.test.mjs sees.

/** Label of the null class: PD_LABEL_NULL. */
export const NULL_LABEL = 0x7fffffff;

/**
 * By pd_sampler, in its order (pd_sampler_table has the same traits).
 * @type {Record<import('../index.d.ts').SamplerName, { title: string, evaluations?: 2, drawsNoise?: true, multistep?: true, consistency?: true }>}
 *   title: as its paper calls it; evaluations: network calls of a step, otherwise 1; multistep: it continues from earlier steps;
 *   consistency: of networks for which one step is a picture already
 */
export const SAMPLERS = {
  ddim: { title: 'DDIM', drawsNoise: true },
  ddpm: { title: 'DDPM', drawsNoise: true },
  'dpmpp-2m': { title: 'DPM-Solver++ 2M', multistep: true },
  'dpmpp-2m-sde': { title: 'DPM-Solver++ 2M SDE', drawsNoise: true, multistep: true },
  euler: { title: 'Euler' },
  'euler-ancestral': { title: 'Euler ancestral', drawsNoise: true },
  heun: { title: 'Heun', evaluations: 2 },
  unipc: { title: 'UniPC', multistep: true },
  lcm: { title: 'LCM', drawsNoise: true, consistency: true },
};
export const SAMPLER_NAMES = /** @type {import('../index.d.ts').SamplerName[]} */ (Object.keys(SAMPLERS));

/** @typedef {import('../index.d.ts').ModelInfo} ModelInfo */

/**
 * @typedef {object} RunOption
 * @property {'number' | 'whole' | 'flag' | 'choice' | 'class' | 'other'} kind class: of a model, or null; other: validate.mjs has
 *   a check of its own for it
 * @property {readonly [min: number, max: number] | ((info: ModelInfo) => [min: number, max: number])} [range] of numbers
 * @property {ReadonlyArray<string>} [choices] in the order of their enumeration in C
 * @property {any} [initial] the value where none is given; without one it is what the model recommends
 * @property {any} [neutral] the value at which it does nothing, if that is not the initial one
 * @property {string} [field] of pd_options, if its name is another one; numbers, flags, choices and classes have one
 * @property {'ddim' | 'ddpm'} [sampler] the only one that it goes with, unless it is neutral
 * @property {true} [twoPredictions] it makes guidance from two predictions: not where the network takes the scale
 * @property {true} [noInversion] invert() does not have it
 * @property {true} [attribute] the element has it as an attribute
 */

const SHARE = /** @type {const} */ ([0, 1]);

/** In the order in which recipes have them. @type {Record<string, RunOption>} */
export const OPTIONS = {
  guidanceScale: { kind: 'number', range: ({ guidanceScaleRange: [low, high] }) => [low, high], attribute: true },
  guidanceInterval: { kind: 'other', twoPredictions: true },
  guidanceSchedule: { kind: 'choice', choices: ['constant', 'linear', 'cosine'], initial: 'constant', twoPredictions: true },
  negativeLabel: { kind: 'class', initial: null, twoPredictions: true },
  cfgPlusPlus: { kind: 'flag', initial: false, sampler: 'ddim', twoPredictions: true, noInversion: true },
  projection: { kind: 'flag', neutral: false, twoPredictions: true },
  keepParallel: { kind: 'number', range: SHARE, initial: 0 },
  momentum: { kind: 'number', range: [-1, 1], initial: 0, twoPredictions: true },
  normThreshold: { kind: 'number', range: [0, 1e6], initial: 0, twoPredictions: true },
  rescale: { kind: 'number', range: SHARE, neutral: 0, twoPredictions: true },
  dynamicThreshold: { kind: 'number', range: SHARE, initial: 0, field: 'threshold', noInversion: true },
  steps: { kind: 'whole', range: ({ timesteps }) => [1, timesteps], attribute: true },
  sampler: { kind: 'choice', choices: SAMPLER_NAMES, noInversion: true, attribute: true },
  timeGrid: { kind: 'choice', choices: ['linear', 'quadratic', 'trailing', 'karras'] },
  eta: { kind: 'number', range: SHARE, neutral: 0, noInversion: true },
  ddpmMean: { kind: 'choice', choices: ['x0', 'noise'], initial: 'x0', sampler: 'ddpm', noInversion: true },
  ddpmVariance: { kind: 'choice', choices: ['posterior', 'beta'], initial: 'posterior', sampler: 'ddpm', noInversion: true },
  seed: { kind: 'other', noInversion: true, attribute: true },
  classMix: { kind: 'other', initial: null },
  mixMode: { kind: 'choice', choices: ['embedding', 'prediction'], initial: 'embedding' },
  image: { kind: 'other', initial: null },
  strength: { kind: 'number', range: SHARE, neutral: 1, noInversion: true },
  mask: { kind: 'other', initial: null, noInversion: true },
  resample: { kind: 'whole', range: [1, 100], initial: 1, noInversion: true },
  noise: { kind: 'other', initial: null, noInversion: true },
  variationSeed: { kind: 'other', initial: null, noInversion: true },
  variationStrength: { kind: 'number', range: SHARE, initial: 0, noInversion: true },
};

/** @param {RunOption} option @param {ModelInfo} info @returns {readonly [min: number, max: number]} */
export const rangeOf = ({ range }, info) => /** @type {any} */ (typeof range === 'function' ? range(info) : range);

/** The field of pd_options that holds an option; undefined if no single number does. @param {string} name @returns {string | undefined} */
export function fieldOf(name) {
  const { kind, field } = OPTIONS[name];
  return kind === 'other' ? undefined : field ?? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * The numbers of pd_options, by field.
 * @param {Record<string, any>} request every option resolved, and `inversion`
 * @returns {Record<string, number>}
 */
export function numbersOf(request) {
  const [guidance_first, guidance_last] = request.guidanceInterval;
  /** @type {Record<string, number>} */
  const numbers = { guidance_first, guidance_last, inversion: request.inversion };
  for (const [name, { choices }] of Object.entries(OPTIONS)) {
    const field = fieldOf(name);
    const value = request[name] ?? NULL_LABEL; // of the options with a field, only a class is ever null
    if (field) numbers[field] = choices ? choices.indexOf(value) : Number(value);
  }
  return numbers;
}

/**
 * What is said of an option where people set it. `title`: of a field in a form; `help`: of the command line; `link`: its name in
 * links of the page, which has a field for each option that has one; `step`: of the arrows of that field; `applies`: whether
 * it does anything beside the others, otherwise `needs` says what is missing.
 * @typedef {object} OptionForm
 * @property {string} help
 * @property {string} [title]
 * @property {string} [link]
 * @property {number} [step]
 * @property {(settings: any) => boolean} [applies]
 * @property {string} [needs]
 */

/** @satisfies {Record<string, OptionForm>} */
export const FORMS = {
  guidanceScale: { help: 'null + s (cond - null); 1 is the conditional model alone' },
  guidanceInterval: { help: 'guide at timesteps low to high alone, or: all, diverse (half to seven tenths)' },
  guidanceSchedule: {
    title: 'Guidance schedule', link: 'schedule', applies: ({ guidanceScale }) => guidanceScale >= 1, needs: 'a scale of 1 or more',
    help: 'of the weight over the steps',
  },
  negativeLabel: { title: 'Guide away from', link: 'away', help: 'class name or number to guide away from, instead of the null class' },
  cfgPlusPlus: {
    title: 'CFG++', link: 'cfgpp', needs: 'DDIM, no momentum, no norm threshold', help: 'renoise with the null prediction (ddim)',
    applies: ({ sampler, momentum, normThreshold }) => sampler === 'ddim' && momentum === 0 && normThreshold === 0,
  },
  projection: { title: 'Projection (APG)', link: 'projection', help: 'remove the part of the guidance that is parallel to the conditional prediction' },
  keepParallel: {
    title: 'Parallel part kept', link: 'parallel', step: 0.05, applies: ({ projection }) => projection, needs: 'projection',
    help: 'share of that part kept, 0 to 1',
  },
  momentum: { title: 'Momentum (APG)', link: 'momentum', step: 0.05, help: 'of the guidance update, -1 to 1' },
  normThreshold: { title: 'Norm threshold (APG)', link: 'norm', step: 0.5, help: 'longest guidance update; 0: any' },
  rescale: { title: 'Rescaled guidance', link: 'rescale', step: 0.05, help: 'rescaled guidance, 0 to 1' },
  dynamicThreshold: {
    title: 'Dynamic thresholding', link: 'threshold', step: 0.005, help: 'percentile of dynamic thresholding, 0 to 1; 0: x_0 is clipped',
  },
  steps: { help: 'steps per picture: network evaluations, of heun half of them' },
  sampler: { help: 'solver' },
  timeGrid: { title: 'Time grid', link: 'grid', help: 'timesteps that are visited' },
  eta: {
    title: 'Eta, noise added', link: 'eta', step: 0.05, applies: ({ sampler }) => sampler === 'ddim', needs: 'DDIM',
    help: 'stochasticity of ddim, 0 to 1',
  },
  ddpmMean: {
    title: 'DDPM mean from', link: 'mean', applies: ({ sampler }) => sampler === 'ddpm', needs: 'DDPM', help: 'what the mean of ddpm is made from',
  },
  ddpmVariance: { title: 'DDPM variance', link: 'variance', applies: ({ sampler }) => sampler === 'ddpm', needs: 'DDPM', help: 'variance of ddpm' },
  seed: { help: 'of the first picture; the next ones count up (default: random)' },
  mixMode: { help: 'what of the classes is mixed' },
  strength: { help: 'how much of the image is made anew, 0 to 1 (default: 0.5, with a mask 1)' },
  resample: { help: 'with a mask: how often each step is made' },
  variationSeed: { help: 'seed to move the first noise towards; counts up instead of the seed' },
  variationStrength: { help: 'how far, 0 to 1' },
};

/** What is said of an option, if anything is. @param {string} name @returns {OptionForm | undefined} */
export const formOf = (name) => /** @type {Record<string, OptionForm>} */ (FORMS)[name];

/** The attribute of the element, or the option of the command line, for an option. @param {string} name */
export const dashed = (name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
