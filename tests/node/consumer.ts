// What an application in TypeScript writes; tests/node/types.test.mjs compiles it, nothing runs it. The lines after a
// "@ts-expect-error" must not compile.
import {
  PocketDiffusionError, encodePNG, load, readManifest, readRecipe, version,
  type ClassWeight, type Image, type Inversion, type InvertOptions, type MixModeName,
  type GenerateBatchOptions, type GenerateManyOptions, type GenerateOptions, type LoadOptions, type Model, type ModelInfo, type ModelSource,
  type GraphOperation, type GuidanceIntervalName, type GuidanceScheduleName, type Picture, type PNGOptions, type RenderingName, type Recipe, type ResolvedOptions, type WithRecipe, type SamplerName, type Plane, type StepEvent, type TimeGridName, type TraceStep, type ManifestEntry, type ManifestOptions, type Placement,
} from 'pocket-diffusion';

const sources: ModelSource[] = ['doodles.gguf', new URL('https://example.org/'), new ArrayBuffer(8), new Uint8Array(8), new Blob([])];
const controller = new AbortController();

export async function open(source: ModelSource = sources[0]!): Promise<Model> {
  const options: LoadOptions = {
    signal: controller.signal,
    onProgress: ({ loaded, total }) => console.log(loaded / total),
    wasm: new URL('pocket-diffusion.wasm', import.meta.url),
    worker: true,
    workers: 2,
    memoryBudget: 2 ** 30,
  };
  const model = await load(source, options);
  const { workers, wanted, workerBytes, memoryBudget }: Placement = model.placement;
  if (workers < wanted) console.log(`${wanted * workerBytes} bytes do not fit into ${memoryBudget}`);
  return model;
}

export async function openListed(list: URL): Promise<Model> {
  const options: ManifestOptions = { stallTimeout: 10_000 };
  const [first]: ManifestEntry[] = await readManifest(list, options);
  if (!first) throw new Error('an empty list');
  const { url, sha256, fileBytes } = first;
  return load(url, { sha256, fileBytes, stallTimeout: Infinity, workerTimeout: 5000 });
}

export async function draw(model: Model): Promise<Uint8Array> {
  const { recommended, alphasCumprod }: ModelInfo = model.info;
  const sampler: SamplerName = recommended.sampler;
  const timeGrid: TimeGridName = 'karras';
  const guidanceSchedule: GuidanceScheduleName = 'cosine';
  const middle: GuidanceIntervalName = 'diverse';
  const options: GenerateOptions = {
    label: model.labels[0]!, guidanceScale: 3, projection: false, rescale: 0.5, timeGrid, guidanceSchedule,
    guidanceInterval: [10, 900], negativeLabel: 'dog', momentum: -0.5, normThreshold: 2.5, dynamicThreshold: 0.995, steps: alphasCumprod.length, sampler, eta: 0,
    seed: 2n ** 40n, preview: true, state: true, signal: controller.signal,
    async onStep({ step, steps, timestep, preview, state }: StepEvent) {
      const pixels: Uint8Array | undefined = preview?.pixels;
      const x: Float32Array | undefined = state;
      console.log(step, steps, timestep, pixels?.length, x?.length);
    },
  };
  await model.generate({ ...options, guidanceInterval: middle });
  const picture: Picture = await model.generate(options);
  const { seed, labelName }: ResolvedOptions = picture.options;
  const context = new OffscreenCanvas(picture.width, picture.height).getContext('2d');
  context?.putImageData(new ImageData(new Uint8ClampedArray(picture.toRGBA()), picture.width, picture.height), 0, 0);
  console.log(version, BigInt(seed), labelName.length);
  const rendering: RenderingName = model.info.rendering;
  const file: PNGOptions = { scale: 4, transparent: rendering === 'ink', recipe: false };
  return picture.toPNG(file);
}

export async function sheet(model: Model): Promise<Uint8Array[]> {
  const options: GenerateManyOptions = { label: [0, 'cat'], count: 3, seed: 1, onStep: ({ index, count }) => console.log(index / count) };
  const files: Uint8Array[] = [];
  for await (const picture of model.generateMany(options)) {
    const { width, height, channels, pixels } = picture;
    files.push(await encodePNG({ width, height, channels, pixels }));
  }
  return files;
}

export function row(model: Model): Promise<Picture[]> {
  const options: GenerateBatchOptions = { label: 'cat', pictures: [{ seed: 1 }, { seed: 2, label: 0 }], onStep: ({ index, preview }) => console.log(index, preview?.width) };
  return model.generateBatch(options);
}

export async function again(model: Model, png: Uint8Array): Promise<Picture[]> {
  const recipe: Recipe | null = readRecipe(png);
  if (!recipe) return [];
  const changed: WithRecipe<GenerateOptions> = { recipe, anyModel: true, guidanceScale: 5 };
  const picture = await model.generate(recipe);
  await encodePNG(picture, { recipe: picture.recipe });
  await picture.toPNG({ recipe: false });
  for await (const each of model.generateMany({ recipe, count: 2 })) console.log(each.options);
  return [picture, await model.generate(changed)];
}

export async function watch(model: Model): Promise<number[]> {
  const { trace = [] } = await model.generate({ label: 0, trace: true, onStep: ({ trace: step }) => console.log(step?.timestep) });
  return trace.map((step: TraceStep) => {
    const plane: Plane | null = step.difference;
    return plane ? plane.norm / step.x.norm + plane.values[0]! + plane.pixels[0]! + plane.range : 0;
  });
}

export async function guided(model: Model, x: Float32Array): Promise<Float32Array> {
  const [conditional, unconditional] = await Promise.all([model.predict(x, 10, 'cat'), model.predict(x, 10, null)]);
  const operations: ReadonlyArray<GraphOperation> = await model.operations();
  const activations: Float32Array = await model.activations(x, 10, 'cat', operations.length - 1);
  return conditional.map((value, i) => 3 * value - 2 * unconditional[i]! + 0 * activations[i]!);
}

export async function edit(model: Model, image: Image, mask: Image): Promise<Picture[]> {
  const mixMode: MixModeName = 'prediction';
  const classMix: ClassWeight[] = [{ label: 'cat', weight: 0.7 }, { label: 6, weight: 0.3 }];
  const request: InvertOptions = { image, label: 'cat', steps: 50, guidanceScale: 1 };
  const { noise, options }: Inversion = await model.invert(request);
  const painted = await model.generate({ label: 'cat', image, mask, strength: 0.8, resample: 5, sampler: 'ddpm' });
  return [
    painted,
    await model.generate({ classMix, mixMode, variationSeed: 3n, variationStrength: 0.1 }),
    await model.generate({ label: 'dog', noise, steps: options.steps }),
    await model.generate({ label: 'dog', image: painted, strength: 0.3 }),
  ];
}

export function explain(error: unknown): string {
  if (error instanceof PocketDiffusionError) return `${error.code} ${error.status} ${error.offset}`;
  return String(error);
}

export async function wrong(model: Model): Promise<void> {
  // @ts-expect-error options are required
  await model.generate();
  // @ts-expect-error a mixture names its weights
  await model.generate({ classMix: ['cat', 'dog'] });
  // @ts-expect-error inversion is of an image
  await model.invert({ label: 0 });
  // @ts-expect-error one picture has one label
  await model.generate({ label: [0, 1] });
  // @ts-expect-error no such sampler
  await model.generate({ label: 0, sampler: 'plms' });
  // @ts-expect-error a number or a bigint
  await model.generate({ label: 0, seed: '1' });
  // @ts-expect-error misspelt
  await model.generate({ label: 0, guidancescale: 1 });
  // @ts-expect-error read-only
  model.info.width = 3;
  // @ts-expect-error a whole number
  await load('doodles.gguf', { workers: true });
  // @ts-expect-error pixels are missing
  await encodePNG({ width: 1, height: 1, channels: 1 });
  model.close();
}

/** Names of the operations of a network. */
export const operationNames = (graph: ReadonlyArray<GraphOperation>): unknown[] => graph.map((operation) => operation);
