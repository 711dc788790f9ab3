/** Class-conditional image generation by diffusion with classifier-free guidance. */

/**
 * Where a model comes from: a URL, a path (Node), or its bytes, which are copied (any view, byteOffset respected; not
 * detached).
 */
export type ModelSource = string | URL | ArrayBuffer | SharedArrayBuffer | ArrayBufferView | Blob;

export interface LoadOptions {
  /** Aborts download and load; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Bytes received so far and in all (0 while unknown). */
  onProgress?: (progress: { loaded: number; total: number }) => void;
  /** Where pocket-diffusion.wasm is, if not beside this module: a URL or path (Node), its bytes, or a compiled module. */
  wasm?: string | URL | ArrayBuffer | ArrayBufferView | WebAssembly.Module;
  /**
   * Where the browser has relaxed SIMD, use pocket-diffusion-relaxed.wasm instead, unless `wasm` says otherwise: it takes
   * 0.8 to 0.9 of the time and is as near to PyTorch, but its last bits depend on the processor, so that some pixels may
   * differ by 1 or 2 from those of other machines. ModelInfo.engine says what is in use. Default false.
   */
  relaxed?: boolean;
  /**
   * Run in workers: Web Workers, or under Node.js worker threads. Default: where there are Workers and a DOM and one can
   * be made and loads its script, which has to be of the page's own origin; otherwise in this thread, which serves its
   * events between steps. With `true`, load rejects with code WORKER if there can be none.
   */
  worker?: boolean;
  /**
   * Most workers at a time, 0 .. 64; 0 is this thread, and more means `worker: true`. Default in workers: one per core
   * (navigator.hardwareConcurrency), at most 4, at least 1. The first starts with load, the next ones when a run finds
   * all others busy; each has its own copy of the weights (info.memoryBytes) and is released after 30 idle seconds,
   * the last one excepted. The number never changes a pixel.
   */
  workers?: number;
  /**
   * Most bytes that the workers may take together, above 0, or Infinity. There are no more of them than fit, but always
   * one; Model.placement says how many. Default with `workers`, and where there is no DOM: Infinity; otherwise a fifth of
   * the device's memory as the browser reports it (navigator.deviceMemory), and of 4 GiB where it does not (Firefox, Safari).
   */
  memoryBudget?: number;
  /**
   * Milliseconds in which at least one byte of a download must come, 1 .. 2^31 - 1, or Infinity; otherwise load rejects
   * with code NETWORK. Default 30,000.
   */
  stallTimeout?: number;
  /**
   * Milliseconds that a worker with work may be silent, 1 .. 2^31 - 1, or Infinity: then it is ended, and its calls reject
   * with code WORKER. It answers between steps, so that the longest step must fit in; time in which the computer or the
   * page sleeps is not counted. A worker that the browser takes away is noticed at once where there are Web Locks
   * (pages from HTTPS or localhost), elsewhere in this time. Default 60,000.
   */
  workerTimeout?: number;
  /**
   * SHA-256 that the file must have, 64 hexadecimal digits; any other file is refused with code INTEGRITY before it is
   * looked into. A download that is refused is made once more past the browser's cache, which may hold an older file;
   * progress then begins anew. Pages without crypto.subtle get code UNSUPPORTED.
   */
  sha256?: string;
  /** Bytes that the file must have; reading stops at the first one too many, with code INTEGRITY. 1 .. 2^28. */
  fileBytes?: number;
}

export interface ManifestOptions extends Pick<LoadOptions, 'signal' | 'stallTimeout'> {}

/** A model of a manifest: `load(url, { sha256, fileBytes })` loads it and nothing else. */
export interface ManifestEntry {
  readonly name: string;
  readonly url: URL;
  readonly fileBytes: number;
  readonly sha256: string;
  readonly license: string;
}

export type SamplerName = 'ddim' | 'ddpm' | 'dpmpp-2m' | 'dpmpp-2m-sde' | 'euler' | 'euler-ancestral' | 'heun' | 'unipc' | 'lcm';
export type TimeGridName = 'linear' | 'quadratic' | 'trailing' | 'karras';
export type GuidanceIntervalName = 'all' | 'diverse';
export type GuidanceScheduleName = 'constant' | 'linear' | 'cosine';
export type MixModeName = 'embedding' | 'prediction';
/** What pictures are, and so how they are enlarged: lines of ink on white paper, pixel art in whole blocks, or smooth. */
export type RenderingName = 'ink' | 'pixel' | 'smooth';
export type ObjectiveName = 'pred_noise' | 'pred_x0' | 'pred_v';

export interface ModelInfo {
  /** Version of the core, with "+relaxed" behind it if LoadOptions.relaxed is in use. */
  readonly engine: string;
  readonly name: string;
  readonly description: string;
  readonly license: string;
  readonly author: string;
  readonly sourceUrl: string;
  /** Of a finished picture, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly pixelUnshuffle: number;
  /** How finished pictures are best enlarged; no pixel depends on it. */
  readonly rendering: RenderingName;
  /** What the network sees: [networkChannels, networkHeight, networkWidth]. */
  readonly networkWidth: number;
  readonly networkHeight: number;
  readonly networkChannels: number;
  readonly networkOutChannels: number;
  readonly objective: ObjectiveName;
  readonly schedule: string;
  readonly timesteps: number;
  readonly alphasCumprod: Float64Array;
  /**
   * Whether the network takes the guidance scale beside the class: a guided step is one evaluation, and there is no null
   * prediction, nor any option that makes guidance from one.
   */
  readonly guidanceIsInput: boolean;
  /** The guidance scales that can be asked for. */
  readonly guidanceScaleRange: readonly [lowest: number, highest: number];
  readonly recommended: {
    readonly sampler: SamplerName;
    readonly steps: number;
    readonly guidanceScale: number;
    readonly eta: number;
    readonly timeGrid: TimeGridName;
    readonly guidanceInterval: readonly [tLow: number, tHigh: number];
    readonly rescale: number;
    readonly projection: boolean;
  };
  /** Whether a class stands for none. Without one the only guidance scale is 1, unless there is a negativeLabel. */
  readonly hasNullClass: boolean;
  /** Of the file: 1 for the Unet of denoising-diffusion-pytorch, 2 for any other network. */
  readonly formatVersion: number;
  /** Of one evaluation of the network for one picture, about. */
  readonly multiplications: number;
  readonly parameterCount: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
  /** SHA-256 of the file, lower-case hex, or '' where crypto.subtle is missing. */
  readonly sha256: string;
}

/** One operation of a network, in the words of docs/graph.md. */
export interface GraphOperation {
  readonly name: string;
  /** Numbers of earlier operations; -1 for one that is absent. */
  readonly inputs: readonly number[];
  /** Of its value, the channels last, as docs/graph.md has them (activations() has them first). */
  readonly shape: readonly number[];
  readonly integers: readonly number[];
  /** Some of class, time and x. */
  readonly depends: readonly string[];
  /** Whether it takes no time: its value is a part of another one. */
  readonly free: boolean;
}

/** 8-bit interleaved rows, of the size of the model's pictures. A Picture is one. */
export interface Image {
  readonly width: number;
  readonly height: number;
  /** Default: as many as the model's pictures have. */
  readonly channels?: number;
  readonly pixels: Uint8Array | Uint8ClampedArray;
}

export interface ClassWeight {
  readonly label: string | number;
  /** 0 .. 1e6; the weights of a mixture are divided by their sum. */
  readonly weight: number;
}

export interface GenerateOptions {
  /** Class name or number 0 .. labels.length - 1. Required without classMix or a recipe, unless the model has one class alone. */
  label?: string | number | null;
  /** 2 .. 8 classes with weights, in the place of `label`. */
  classMix?: ReadonlyArray<ClassWeight> | null;
  /**
   * What is mixed: the embeddings of the classes, at the price of one class (default), or their predictions, with a network
   * call for each.
   */
  mixMode?: MixModeName;
  /** s: null + s (cond - null); 1 is the conditional model alone, 0 the unconditional one. 0 .. 100. */
  guidanceScale?: number;
  /** w = s - 1, by the guidance paper's name; -1 .. 99. Not together with guidanceScale. */
  guidanceWeight?: number;
  /**
   * [tLow, tHigh]: guide at these timesteps alone, both included; elsewhere the conditional prediction is used as it is, which
   * halves the work of those steps, and gives the class its say there even at a guidanceScale of 0. 'all' is
   * [0, timesteps - 1]; 'diverse' is from half to seven tenths of the timesteps, where guidance costs the least variety.
   * Default: as the model recommends.
   */
  guidanceInterval?: readonly [tLow: number, tHigh: number] | GuidanceIntervalName;
  /** How w changes from the first step to the last; its mean stays. Other than 'constant' needs s >= 1. */
  guidanceSchedule?: GuidanceScheduleName;
  /** Guide away from this class instead of from the null class. Default null. */
  negativeLabel?: string | number | null;
  /** CFG++: eps is derived from the null prediction. Sampler 'ddim' only; not with momentum or normThreshold. */
  cfgPlusPlus?: boolean;
  /** Remove the part of the guidance update that is parallel to the conditional prediction. Default: as the model recommends. */
  projection?: boolean;
  /** With projection: share of the parallel part kept, 0 .. 1. Default 0. */
  keepParallel?: number;
  /** Of the guidance update over the steps (APG, often negative), -1 .. 1. Default 0. */
  momentum?: number;
  /** Longest guidance update (APG), 0 .. 1e6. Default 0: any. */
  normThreshold?: number;
  /** Rescaled guidance, phi in 0 .. 1. Default: as the model recommends. */
  rescale?: number;
  /** Dynamic thresholding: percentile of |x_0| in 0 .. 1 that becomes 1. Default 0: x_0 is clipped. */
  dynamicThreshold?: number;
  /** 1 .. timesteps. */
  steps?: number;
  /** docs/sampling.md has the formulas. 'heun' makes two network calls a step, one in the last. */
  sampler?: SamplerName;
  /** Which timesteps are visited. Default: as the model recommends. */
  timeGrid?: TimeGridName;
  /** DDIM stochasticity, 0 .. 1. */
  eta?: number;
  /** What the mean of 'ddpm' is made from: the clipped x_0 (default), or eps, unclipped. */
  ddpmMean?: 'x0' | 'noise';
  /** Of 'ddpm'. Default 'posterior'. */
  ddpmVariance?: 'posterior' | 'beta';
  /**
   * Whole number 0 .. 2^53 - 1, or a bigint below 2^64. Only the low 32 bits count, as in PyTorch, so larger ones repeat the
   * pictures of smaller ones: a warning on the console says so once. Default: drawn at random and reported in `options`.
   */
  seed?: number | bigint;
  /** Start from this picture instead of from noise alone (SDEdit). */
  image?: Image | null;
  /**
   * Of the image, 0 .. 1: the last round(strength * steps) steps are made. 0 gives the image back byte for byte; 1 makes
   * every step, from noise that holds as much of the image as its time has. Default 0.5, with a mask 1.
   */
  strength?: number;
  /**
   * One byte a pixel: 255 make anew, 0 keep; other values are refused, unless there is a maskThreshold. Needs an image, whose kept pixels come back exactly
   * (RePaint). At strength 1 the start is noise alone.
   */
  mask?: Image | null;
  /** With a mask that has greys: levels from this one on, 1 .. 255, are made anew, lower ones kept. Part of no recipe, which has the mask that comes out. */
  maskThreshold?: number;
  /** With a mask: how often each step but the last is made, 1 .. 100. Default 1. Not with 'dpmpp-2m', 'dpmpp-2m-sde', 'unipc'. */
  resample?: number;
  /** x_T, planar [networkChannels][networkHeight][networkWidth], instead of the seed's; the seed's generator goes on as if it had drawn it. */
  noise?: Float32Array | null;
  /** Another seed, towards whose noise x_T is moved on the arc between the two; noise drawn later is that of `seed`. */
  variationSeed?: number | bigint | null;
  /** How far, 0 .. 1; 0 is the noise of `seed`, 1 that of `variationSeed`. Default 0. */
  variationStrength?: number;
  /** Called after every step. The picture's next step waits for it if it returns a promise. */
  onStep?: (step: StepEvent) => void | Promise<void>;
  /** Put the current x_0 estimate into every StepEvent. Default: true if onStep is given. */
  preview?: boolean;
  /** Put x_t into every StepEvent. Default false. */
  state?: boolean;
  /**
   * Show what happens: a TraceStep in every StepEvent, and all of them in the picture's `trace`, of 24 bytes and more for
   * each value of x_t. Default false.
   */
  trace?: boolean;
  /** Takes effect within one network call; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Whose options are used where no others are given. */
  recipe?: Recipe;
  /** Use the recipe with a model that it was not made for: the class is found by its name. Default false. */
  anyModel?: boolean;
}

/** Of these options the recipe has those that are not given. An image, a mask or noise must be handed over again. */
export type WithRecipe<Options> = Partial<Options> & { recipe: Recipe };

/**
 * How a picture was made, as JSON: docs/recipe.md has the schema. The same recipe makes the same bytes with the same
 * model and the strict module.
 */
export interface Recipe {
  readonly format: 1;
  /** ModelInfo.engine, which does not choose the module when the recipe is used. */
  readonly version: string;
  readonly model: { readonly name: string; readonly sha256: string };
  /** ResolvedOptions, in which a bigint is a string of digits, and bytes are { sha256 }. */
  readonly options: { readonly [name: string]: unknown };
  /** Of a sheet of pictures, which the command line makes. */
  readonly sheet?: { readonly [name: string]: unknown };
}

export interface StepEvent {
  /** 1 .. steps */
  readonly step: number;
  /** Network calls of the run: the steps that are made, with 'heun' and `resample` more (docs/sampling.md). */
  readonly steps: number;
  /** t at which the network was evaluated. */
  readonly timestep: number;
  readonly preview?: { readonly width: number; readonly height: number; readonly channels: number; readonly pixels: Uint8Array };
  /** x after this step, planar [networkChannels][networkHeight][networkWidth]. */
  readonly state?: Float32Array;
  readonly trace?: TraceStep;
}

/** A tensor in network space, and how it looks. */
export interface Plane {
  /** Planar [networkChannels][networkHeight][networkWidth]. */
  readonly values: Float32Array;
  /** Euclidean norm of the values. */
  readonly norm: number;
  /** The value -range is black in the picture, 0 grey, +range white, anything beyond as range itself. */
  readonly range: number;
  /** Interleaved rows of the size of the finished picture. */
  readonly pixels: Uint8Array;
}

/** One network call. */
export interface TraceStep {
  /** t at which the network was evaluated. */
  readonly timestep: number;
  /** x_t, which the network was given. Range 1. */
  readonly x: Plane;
  /** The estimate of the picture that followed from it. Range 1. */
  readonly x0: Plane;
  /** What the network predicts (by its objective) for the class; null if it was not asked (s = 0). Range: largest magnitude. */
  readonly conditional: Plane | null;
  /** For the null class or `negativeLabel`; null where nothing is guided (s = 1, outside the interval). */
  readonly null: Plane | null;
  /** conditional - null, of which guidance adds s - 1 times to the conditional prediction; null unless there are both. */
  readonly difference: Plane | null;
}

/** Every option as it was used. */
export interface ResolvedOptions {
  /** null with classMix. */
  readonly label: number | null;
  /** Of a mixture 'cat:0.7+dog:0.3'. */
  readonly labelName: string;
  readonly classMix: ReadonlyArray<ClassWeight> | null;
  readonly mixMode: MixModeName;
  readonly image: Image | null;
  readonly strength: number;
  readonly mask: Image | null;
  readonly resample: number;
  readonly noise: Float32Array | null;
  readonly variationSeed: number | bigint | null;
  readonly variationStrength: number;
  readonly guidanceScale: number;
  readonly guidanceInterval: readonly [tLow: number, tHigh: number];
  readonly guidanceSchedule: GuidanceScheduleName;
  readonly negativeLabel: number | null;
  readonly cfgPlusPlus: boolean;
  readonly projection: boolean;
  readonly keepParallel: number;
  readonly momentum: number;
  readonly normThreshold: number;
  readonly rescale: number;
  readonly dynamicThreshold: number;
  readonly steps: number;
  readonly sampler: SamplerName;
  readonly timeGrid: TimeGridName;
  readonly eta: number;
  readonly ddpmMean: 'x0' | 'noise';
  readonly ddpmVariance: 'posterior' | 'beta';
  readonly seed: number | bigint;
}

export interface PNGOptions {
  /** Whether the file carries the recipe. Default true. */
  recipe?: boolean;
  /** Enlarged so many times as ModelInfo.rendering says: a whole number, 1 .. 4096 / the longer side. Default 1: the pixels as they are. */
  scale?: number;
  /** Of ink, the paper is transparent, and what a model leaves on it is gone. Default false. */
  transparent?: boolean;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Interleaved rows, height * width * channels bytes. */
  readonly pixels: Uint8Array;
  readonly options: ResolvedOptions;
  readonly recipe: Recipe;
  /** One for each network call, if the option `trace` was true. */
  readonly trace?: ReadonlyArray<TraceStep>;
  /** PNG file, encoded by the C core; the same bytes in every browser. */
  toPNG(options?: PNGOptions): Promise<Uint8Array>;
  /** RGBA bytes for ImageData. */
  toRGBA(): Uint8ClampedArray;
}

/** Of DDIM inversion: those of GenerateOptions that have a meaning for it, and the picture. */
export interface InvertOptions extends Pick<GenerateOptions,
  'label' | 'classMix' | 'mixMode' | 'guidanceScale' | 'guidanceWeight' | 'guidanceInterval' | 'guidanceSchedule' | 'negativeLabel' |
  'projection' | 'keepParallel' | 'momentum' | 'normThreshold' | 'rescale' | 'steps' | 'timeGrid' | 'onStep' | 'preview' | 'state' | 'signal'> {
  image: Image;
  /** Network calls of each step, 1 .. 100: those after the first make its result more exact. Default 1. */
  iterations?: number;
}

export interface Inversion {
  /** x_T, for the option `noise` of generate. */
  readonly noise: Float32Array;
  /** With these (noise among them), generate makes the picture again, as nearly as inversion goes. */
  readonly options: ResolvedOptions;
}

export interface GenerateManyOptions extends Omit<GenerateOptions, 'label' | 'onStep'> {
  /** One or several; with several, `count` pictures of each, label by label. Required without classMix or a recipe. */
  label?: string | number | null | ReadonlyArray<string | number>;
  /**
   * Pictures per label; seeds are seed, seed + 1, ... (the same for every label). With a variationStrength above 0 the
   * variationSeed counts up instead. Default 1.
   */
  count?: number;
  /**
   * Called after every step of every picture, with its place in the order. The steps of one picture come in order; those
   * of different pictures mix, for several are made together and in several workers.
   */
  onStep?: (step: StepEvent & { readonly index: number; readonly count: number }) => void | Promise<void>;
}

export interface GenerateBatchOptions extends Omit<GenerateOptions, 'onStep'> {
  /** What each picture has of its own, 1 .. 64 of them; everything else is the same for all. */
  pictures: ReadonlyArray<Pick<GenerateOptions, 'label' | 'seed' | 'variationSeed'>>;
  /** Called after every step of every picture, with its place in the order. */
  onStep?: (step: StepEvent & { readonly index: number; readonly count: number }) => void | Promise<void>;
}

/**
 * Calls at the same time are spread over the workers; those that share one, or this thread, take turns, step by step.
 * They do not change each other's results.
 */
/** Where a model runs. */
export interface Placement {
  /** Most workers at a time; 0: the thread that loaded the model. */
  readonly workers: number;
  /** Workers that there would be with memory for all of them. */
  readonly wanted: number;
  /** What one takes: the linear memory of its WebAssembly instance once the model is in it. */
  readonly workerBytes: number;
  /** What they may take together, as LoadOptions.memoryBudget. */
  readonly memoryBudget: number;
}

export interface Model {
  readonly labels: ReadonlyArray<string>;
  readonly info: ModelInfo;
  readonly placement: Placement;
  /** A recipe of another model is refused with code MODEL. */
  generate(options: GenerateOptions | WithRecipe<GenerateOptions> | Recipe): Promise<Picture>;
  /**
   * Several pictures in one run, which one worker makes: all of them take a step together, so that the weights are read
   * once for several, and all are finished at the same time. generateMany, which decides by itself what to make together
   * and keeps every worker busy, is for most programs the better one.
   */
  generateBatch(options: GenerateBatchOptions | WithRecipe<GenerateBatchOptions>): Promise<Picture[]>;
  /**
   * Pictures in order, each as soon as it and those before it are finished. The work goes on between them, a few pictures
   * ahead of the reader at most. Leaving the loop stops it.
   */
  generateMany(options: GenerateManyOptions | WithRecipe<GenerateManyOptions> | Recipe): AsyncGenerator<Picture, void, void>;
  /**
   * The noise from which sampler 'ddim' with eta 0 makes this picture again, nearly (docs/sampling.md has the errors). With
   * another label, generate makes the same drawing of another class. guidanceScale is 1 unless given: inversion is less
   * exact with more.
   */
  invert(options: InvertOptions): Promise<Inversion>;
  /** One raw forward pass. x: planar network space; t: whole number 0 .. timesteps - 1; label null: the null class. */
  predict(x: Float32Array, t: number, label: string | number | null): Promise<Float32Array>;
  /** What predict computes: the operations of the network, in their order. docs/graph.md is their vocabulary. */
  operations(): Promise<ReadonlyArray<GraphOperation>>;
  /**
   * The value that one operation makes on the way to predict(x, t, label): of a convolution, for example, its activations.
   * operation: its number, 0 .. count - 1. Planar: for each channel the positions in their order, as the operation's `shape`
   * has them. The evaluation ends there; pictures and predictions are not changed by it.
   */
  activations(x: Float32Array, t: number, label: string | number | null, operation: number): Promise<Float32Array>;
  /**
   * Ends the workers that have nothing to do, the last one, too, and frees their memory. The file's bytes are kept: the next
   * call starts a worker again. Without workers nothing happens.
   */
  release(): void;
  /** Frees the memory; pending calls reject with code CLOSED. May be called twice. */
  close(): void;
}

/**
 * Errors of the core and of loading. Wrong arguments are a TypeError (wrong type) or a RangeError (wrong value) instead,
 * whose message begins with the argument's name and whose `argument` property is that name.
 */
export class PocketDiffusionError extends Error {
  /**
   * Stable name. Of the core, with a status: 'MAGIC', 'SHORT', 'NONFINITE', 'TOO_BIG', 'CLOSED', ... (pocket_diffusion.h).
   * Of loading: 'NETWORK' (no connection, HTTP status, download broke off or stalled), 'FILE' (cannot be read), 'WASM'
   * (the module is missing or unusable), 'UNSUPPORTED' (no WebAssembly, no SIMD or, where a hash is to be checked, no
   * crypto.subtle in this JavaScript engine), 'INTEGRITY' (not the file that was asked for), 'MANIFEST' (a list of
   * models that cannot be used), 'WORKER' (the worker could not be started, died or fell silent while it had this call;
   * the next call gets another one). 'TRAP': the WebAssembly instance failed; the next call gets a fresh one. Of recipes: 'RECIPE'
   * (unreadable), 'MODEL' (made for another model).
   */
  readonly code: string;
  /** Number of the status in pocket_diffusion.h, or -1 for errors outside the core. */
  readonly status: number;
  /** Byte offset in the file, or -1. */
  readonly offset: number;
}

/** Loads a model. A failure leaves nothing behind; the same call can be made again. */
export function load(source: ModelSource, options?: LoadOptions): Promise<Model>;
/**
 * Reads a list of models: a JSON file `{ "models": [{ "name", "file", "bytes", "sha256", "license" }] }`, of at most 1 MiB,
 * with files below its own folder. Rejects with code MANIFEST if it is anything else.
 */
export function readManifest(source: string | URL, options?: ManifestOptions): Promise<ManifestEntry[]>;
/** Encodes interleaved 8-bit rows (channels 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA; sides 1 .. 8192) as PNG with the C core. */
export function encodePNG(
  image: { width: number; height: number; channels: number; pixels: Uint8Array | Uint8ClampedArray },
  options?: Pick<LoadOptions, 'wasm'> & { recipe?: Recipe },
): Promise<Uint8Array>;
/**
 * The recipe that a PNG carries in a text chunk, compressed or not, null if it has none. What is no whole PNG, and a recipe that is damaged or not
 * understood, is refused with code RECIPE. The options in it are checked by generate alone.
 */
export function readRecipe(png: Uint8Array): Recipe | null;
export const version: string;
