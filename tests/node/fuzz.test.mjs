// Anything at all as an option, an argument, a message or a file: there is a picture or a clear error, never anything
// else, and the model goes on as before. PD_FUZZ_RUNS says how many values each property gets; scripts/checks/fuzz.mjs is the
// long run.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { PocketDiffusionError, encodePNG, load, readManifest, readRecipe } from 'pocket-diffusion';
import { makeFont } from 'pocket-diffusion/font';
import { toSVG } from 'pocket-diffusion/outlines';
import { SAMPLER_NAMES } from '../../web/library/options.mjs';
import { isReply, isRequest, makeMessage, unpackError } from '../../web/library/protocol.mjs';
import { addressOf, recipeIn } from '../../web/page/saved_text.mjs';
import { lettersModel } from '../browser/letters_model.mjs';
import { tinyBytes } from './helpers.mjs';
import { joinPNG, splitPNG } from './png_chunks.mjs';

const numRuns = Number(process.env.PD_FUZZ_RUNS ?? 100);
const property = (...values) => fc.assert(fc.asyncProperty(...values), { numRuns });
let executions = 0;

const golden = { label: 1, seed: 3, steps: 2 };
let model;
let expected;
let recipe;
let chunks; // of the picture as a PNG file
before(async () => {
  model = await load(tinyBytes);
  const picture = await model.generate(golden);
  expected = picture.pixels;
  recipe = JSON.parse(JSON.stringify(picture.recipe));
  chunks = splitPNG(await picture.toPNG());
});
after(async () => {
  assert.deepEqual((await model.generate(golden)).pixels, expected, 'nothing has changed the model');
  model.close();
  console.log(`${executions} executions`);
});

// ---- values

const NUMBERS = [0, -0, 1, -1, 0.5, 1.5, 2, 3, 99, 100, 101, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 1e300, NaN, Infinity, -Infinity, 5e-324];
const detached = () => {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
};
const odd = fc.constantFrom(
  ...NUMBERS, 0n, -1n, 2n ** 64n, 2n ** 64n - 1n, '', 'circle', 'squares', '__proto__', 'constructor', 'toString', 'ddim', 'karras', 'cosine',
  Symbol('s'), () => 1, async () => {}, class {}, /x/, new Date(NaN), new Map(), new Proxy({}, {}), new Uint8Array(3), new Float32Array(256),
  new Error('e'), Promise.resolve(), globalThis, Object.create(null), [], [0], [0, 99], [NaN, 1], [[]], new Array(3), Object(3), Object('circle'),
  new AbortController().signal, new AbortController(), { aborted: false, addEventListener() {} }, new URL('https://example.org/'),
  { valueOf: () => { throw new Error('valueOf'); }, toString: () => { throw new Error('toString'); } }, true, false, null, undefined);
const anything = fc.oneof({ weight: 3, arbitrary: odd }, { weight: 1, arbitrary: fc.constant().map(detached) }, { weight: 3, arbitrary: fc.anything({ withBigInt: true, withDate: true, withMap: true,
    withSet: true, withObjectString: true, withNullPrototype: true, withTypedArray: true, withSparseArray: true }) },
  { weight: 1, arbitrary: fc.double() }, { weight: 1, arbitrary: fc.string({ unit: 'binary' }) });

const OPTIONS = [
  'label', 'guidanceScale', 'guidanceWeight', 'guidanceInterval', 'guidanceSchedule', 'negativeLabel', 'cfgPlusPlus', 'projection',
  'keepParallel', 'momentum', 'normThreshold', 'rescale', 'dynamicThreshold', 'steps', 'sampler', 'timeGrid', 'eta', 'ddpmMean', 'ddpmVariance',
  'seed', 'onStep', 'preview', 'state', 'signal',
];

/** Settles with a result or a clear error: of an argument that it names, or with a code. */
async function settles(promise, names, ours = () => false) {
  executions++;
  try {
    return await promise;
  } catch (error) {
    if (ours(error)) return undefined;
    if (error instanceof PocketDiffusionError) assert.match(error.code, /^[A-Z_]+$/);
    else {
      assert.ok(error instanceof TypeError || error instanceof RangeError, `${error?.stack ?? error}`);
      assert.ok(names.includes(error.argument), `names ${error.argument}: ${error.stack}`);
      assert.ok(error.message.startsWith(error.argument), error.message);
    }
    assert.doesNotMatch(error.message, /[\n\r]/);
    return undefined;
  }
}

function checkPicture(picture) {
  if (!picture) return;
  assert.equal(picture.pixels.length, 256);
  assert.ok(Object.values(picture.options).every((value) => value !== undefined && !Number.isNaN(value)));
}

// A caller's own function may throw, and a signal abort: then that comes back.
const thrownByCaller = (options) => (error) => typeof options?.onStep === 'function' || (Boolean(options?.signal) && error === options.signal.reason);

// ---- properties

test('one option with any value', async () => {
  await property(fc.constantFrom(...OPTIONS), anything, async (name, value) => {
    const options = { label: 0, steps: 1, [name]: value };
    checkPicture(await settles(model.generate(options), [...OPTIONS, 'options'], thrownByCaller(options)));
  });
});

test('several options with likely values', async () => {
  const likely = fc.oneof(anything, fc.constantFrom(0, 1, 2, true, false, 'ddim', 'ddpm', 'heun', 'linear', 'circle', undefined));
  const record = fc.dictionary(fc.constantFrom(...OPTIONS), likely, { maxKeys: 6 });
  await property(record, fc.boolean(), async (options, many) => {
    const asked = { label: 0, steps: 2, ...options };
    const pictures = model.generateMany({ count: 2, ...asked });
    const picture = await settles(many ? pictures.next() : model.generate(asked), [...OPTIONS, 'options', 'count'], thrownByCaller(asked));
    checkPicture(many ? picture?.value : picture);
    await pictures.return();
  });
});

test('valid options in any combination make a picture or name what does not go together', async () => {
  const valid = fc.record({
    label: fc.constantFrom(0, 1, 2, 'circle', 'square'), guidanceScale: fc.double({ min: 0, max: 100, noNaN: true }),
    sampler: fc.constantFrom(...SAMPLER_NAMES), steps: fc.integer({ min: 1, max: 4 }),
    timeGrid: fc.constantFrom('linear', 'quadratic', 'trailing', 'karras'), eta: fc.double({ min: 0, max: 1, noNaN: true }), seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    projection: fc.boolean(), cfgPlusPlus: fc.boolean(), momentum: fc.double({ min: -1, max: 1, noNaN: true }), rescale: fc.double({ min: 0, max: 1, noNaN: true }),
    dynamicThreshold: fc.double({ min: 0, max: 1, noNaN: true }), normThreshold: fc.double({ min: 0, max: 1e6, noNaN: true }), state: fc.boolean(), preview: fc.boolean(),
    guidanceSchedule: fc.constantFrom('constant', 'linear', 'cosine'), negativeLabel: fc.constantFrom(null, 0, 1), ddpmMean: fc.constantFrom('x0', 'noise'),
  }, { requiredKeys: ['label', 'steps'] });
  await property(valid, async (options) => {
    const picture = await settles(model.generate(options), ['cfgPlusPlus', 'guidanceSchedule', 'ddpmMean']);
    checkPicture(picture);
    if (picture) assert.deepEqual((await model.generate(picture.options.label === undefined ? options : { ...options, seed: picture.options.seed })).pixels, picture.pixels);
  });
});

test('the options themselves, and other arguments', async () => {
  await property(anything, anything, anything, async (a, b, c) => {
    await settles(model.generate(a), [...OPTIONS, 'options']);
    await settles(model.predict(a, b, c), ['x', 't', 'label']);
    await settles(model.activations(new Float32Array(256), 3, 0, a), ['operation']);
    await settles(encodePNG(a, b), ['image', 'options', 'width', 'height', 'channels', 'pixels', 'wasm']);
    await settles(encodePNG({ width: a, height: b, channels: 1, pixels: c }), ['width', 'height', 'pixels']);
  });
});

test('options of load and of readManifest', async () => {
  // Without strings and URLs: those are addresses, which would be read.
  const noAddress = anything.filter((value) => typeof value !== 'string' && !(value instanceof URL) && !(value instanceof String));
  const names = ['source', 'options', 'signal', 'onProgress', 'wasm', 'worker', 'workers', 'stallTimeout', 'workerTimeout', 'sha256', 'fileBytes'];
  await property(fc.constantFrom(...names.slice(2)), noAddress, async (name, value) => {
    if (['worker', 'workers'].includes(name) && (value === true || typeof value === 'number')) return; // no threads here
    const opened = await settles(load(tinyBytes, { [name]: value }), names, (error) => name === 'onProgress' || error === value?.reason);
    opened?.close();
    await settles(load(value), names);
    await settles(readManifest(value), ['source']);
    await settles(readManifest('data:,', { [name]: value }), names, (error) => error === value?.reason);
  });
});

test('files: any bytes, and the model with some bytes changed', async () => {
  const edit = fc.tuple(fc.nat(tinyBytes.length - 1), fc.nat(255));
  const early = fc.tuple(fc.nat(6000), fc.nat(255)); // where the metadata and the tensor table are
  await property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.array(fc.oneof(edit, early), { minLength: 1, maxLength: 3 })), async (what) => {
    const bytes = what instanceof Uint8Array ? what : tinyBytes.slice();
    if (bytes !== what) for (const [offset, value] of what) bytes[offset] = value;
    const opened = await settles(load(bytes), []);
    if (!opened) return;
    await settles(opened.generate({ label: 0, steps: 1, seed: 1 }), ['label']);
    opened.close();
  });
});

test('manifests: any text and any JSON', async () => {
  await property(fc.oneof(fc.json(), fc.string(), fc.record({ models: fc.array(fc.record({ name: fc.string(), file: fc.oneof(fc.string(), fc.webPath()),
    bytes: fc.oneof(fc.integer(), fc.jsonValue()), sha256: fc.oneof(fc.string(), fc.constantFrom('a'.repeat(64), ['a'.repeat(64)]), fc.jsonValue()) })) }).map((value) => JSON.stringify(value))), async (text) => {
    const { fetch } = globalThis;
    globalThis.fetch = async () => new Response(text);
    try {
      const models = await settles(readManifest('https://site.example/a/b/manifest.json'), []);
      for (const { url } of models ?? []) assert.ok(url.href.startsWith('https://site.example/a/b/'), url.href);
    } finally {
      globalThis.fetch = fetch;
    }
  });
});

// ---- recipes

const EDITING = ['image', 'strength', 'mask', 'resample', 'noise', 'variationSeed', 'variationStrength', 'classMix', 'mixMode'];
const RECIPE_ARGUMENTS = [...OPTIONS, ...EDITING, 'options', 'recipe', 'anyModel'];
const KEYWORD = 'pocket-diffusion\0\0\0\0\0';

/** A deep copy of an object in which some values have been replaced, added or (undefined) removed, by their paths. */
function edited(object, edits) {
  const copy = structuredClone(object);
  for (const [path, value] of edits) {
    const last = path.at(-1);
    const parent = path.slice(0, -1).reduce((at, key) => (typeof at?.[key] === 'object' ? at[key] : null), copy);
    if (typeof parent !== 'object' || parent === null || Object.isFrozen(parent)) continue;
    if (value === undefined) delete parent[last];
    else parent[last] = value;
  }
  return copy;
}

const key = fc.oneof(fc.constantFrom(...RECIPE_ARGUMENTS, 'labelName', 'format', '__proto__', 'sha256', 'onStep'), fc.string());
const path = fc.oneof(
  fc.tuple(fc.constantFrom('format', 'version', 'model', 'options', 'sheet', 'toString', 'then')),
  fc.tuple(fc.constant('model'), fc.constantFrom('name', 'sha256', 'more')),
  fc.tuple(fc.constant('options'), key),
  fc.tuple(fc.constant('options'), fc.constantFrom('guidanceInterval', 'classMix', 'image'), fc.constantFrom(0, 1, 2, 'label', 'sha256')));
const inFiles = fc.oneof(fc.constantFrom(...NUMBERS, '7', '18446744073709551615', '18446744073709551616', '', 'circle', 'unipc', true, false, null, undefined, [], {}),
  fc.record({ sha256: fc.constantFrom('a'.repeat(64), '', 1) }), fc.jsonValue());
const edits = (value) => fc.array(fc.tuple(path, value), { minLength: 1, maxLength: 3 });

test('recipes with some values changed: a picture, or an error that names what is wrong', { timeout: 600_000 }, async () => {
  // Their own functions are called in no place but `then`, which makes a promise of any object.
  const value = fc.oneof(inFiles, anything.filter((each) => typeof each !== 'function'));
  await property(edits(value), fc.boolean(), fc.constantFrom(undefined, true, false), async (changes, elsewhere, anyModel) => {
    const given = edited(elsewhere ? { ...recipe, model: { name: 'Another', sha256: '' } } : recipe, changes);
    checkPicture(await settles(model.generate(given), RECIPE_ARGUMENTS));
    checkPicture(await settles(model.generate({ recipe: given, anyModel, steps: 1 }), RECIPE_ARGUMENTS));
    const pictures = model.generateMany(given);
    const many = await settles(pictures.next(), [...RECIPE_ARGUMENTS, 'count']);
    checkPicture(many?.value);
    await pictures.return();
  });
});

/** One change of a list of chunks. Each has its right checksum again, but for the last kind of change. */
const chunkEdit = fc.oneof(
  { weight: 4, arbitrary: edits(inFiles).map((changes) => (list) => putText(list, JSON.stringify(edited(recipe, changes)) ?? '')) },
  { weight: 1, arbitrary: fc.json().map((text) => (list) => putText(list, text)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => (list) => putText(list, Buffer.from(bytes))) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 30 }).map((head) => (list) => putText(list, JSON.stringify(recipe), head)) },
  fc.tuple(fc.nat(9), fc.nat(9)).map(([from, to]) => (list) => list.splice(to % (list.length + 1), 0, list[from % list.length])),
  fc.nat(9).map((at) => (list) => list.length > 1 && list.splice(at % list.length, 1)),
  fc.tuple(fc.nat(9), fc.constantFrom('IHDR', 'iTXt', 'tEXt', 'IDAT', 'IEND', 'abcd', '\0\0\0\0')).map(([at, type]) => (list) => change(list, at, { type })),
  fc.tuple(fc.nat(9), fc.nat(400), fc.nat(255)).map(([at, offset, byte]) => (list) => {
    const data = Buffer.from(list[at % list.length].data);
    if (data.length > 0) data[offset % data.length] = byte;
    change(list, at, { data });
  }),
  fc.tuple(fc.nat(9), fc.nat(400)).map(([at, length]) => (list) => change(list, at, { data: list[at % list.length].data.subarray(0, length) })));
function change(list, at, fields) {
  list[at % list.length] = { ...list[at % list.length], ...fields };
}
function putText(list, text, head = KEYWORD) {
  const at = list.findIndex(({ type }) => type === 'iTXt');
  change(list, Math.max(at, 0), { type: 'iTXt', data: Buffer.concat([Buffer.from(head), Buffer.from(text)]) });
}

test('PNG files with chunks changed: a recipe, null or the code RECIPE', { timeout: 600_000 }, async () => {
  const damage = fc.option(fc.tuple(fc.nat(2 ** 16), fc.nat(255), fc.boolean()), { freq: 8 });
  const outcomes = { recipe: 0, none: 0, refused: 0 };
  await property(fc.array(chunkEdit, { minLength: 1, maxLength: 3 }), damage, async (changes, spoil) => {
    executions++;
    const list = [...chunks];
    for (const apply of changes) apply(list);
    let png = joinPNG(list);
    if (spoil) {
      const [offset, byte, cut] = spoil;
      if (cut) png = png.subarray(0, offset % png.length);
      else png[offset % png.length] = byte;
    }
    let read;
    try {
      read = readRecipe(png);
    } catch (error) {
      assert.ok(error instanceof PocketDiffusionError && error.code === 'RECIPE', error.stack);
      assert.doesNotMatch(error.message, /[\n\r]/);
      outcomes.refused++;
      return;
    }
    outcomes[read === null ? 'none' : 'recipe']++;
    if (read === null) return;
    assert.deepEqual(readRecipe(await encodePNG({ width: 1, height: 1, channels: 1, pixels: new Uint8Array(1) }, { recipe: read })), read);
    checkPicture(await settles(model.generate(read), RECIPE_ARGUMENTS));
  });
  assert.ok(Object.values(outcomes).every((count) => count > 0), `the changes reach every outcome: ${JSON.stringify(outcomes)}`);
});

// ---- messages

const field = fc.oneof(anything, fc.constantFrom('open', 'predict', 'graph', 'generate', 'continue', 'abort', 'ping', 'result', 'failure', 'step', 'pong', 'alive'));
const message = fc.oneof(anything, fc.record({
  to: fc.oneof({ weight: 9, arbitrary: fc.constant('pocket-diffusion') }, { weight: 1, arbitrary: anything }), type: field, id: fc.oneof(fc.integer({ min: 2, max: 9 }), anything),
  module: anything, bytes: anything, x: anything, t: anything, label: anything, operation: anything, length: anything, steps: fc.oneof(fc.boolean(), anything),
  request: fc.oneof(anything, fc.record({ pictures: fc.oneof(fc.constant([{ label: 0, seed: 1 }]), fc.array(anything)), sampler: anything, steps: anything, guidanceInterval: anything })),
  value: anything, error: fc.oneof(anything, fc.record({ message: fc.string(), name: anything, code: anything })), events: fc.oneof(anything, fc.array(anything)),
}, { requiredKeys: ['to', 'type', 'id'] }));

test('files that are dropped on the page, with some bytes changed: a recipe, whose address is one, or null', async () => {
  const letters = await load(await lettersModel());
  const picture = await letters.generate({ label: 0, seed: 1, steps: 1 });
  const files = [
    ['image/png', new Uint8Array(await picture.toPNG())], ['image/svg+xml', new TextEncoder().encode(toSVG(picture))],
    ['font/otf', new Uint8Array((await makeFont(letters, { seed: 1, steps: 1 })).bytes)],
  ];
  let whole = 0;
  const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 });
  await property(fc.constantFrom(...files), changes, fc.boolean(), async ([type, bytes], changed, cut) => {
    const spoilt = bytes.slice(0, cut && changed.length > 0 ? changed[0][0] % bytes.length : bytes.length);
    for (const [at, value] of changed) if (spoilt.length > 0) spoilt[at % spoilt.length] = value;
    const found = await recipeIn(new File([spoilt], 'file', { type }));
    executions++;
    if (found === null) return;
    whole++;
    assert.ok(addressOf(found, 'word', letters).startsWith('#'));
  });
  assert.ok(whole > 0, 'some were left as they are');
  for (const [type, bytes] of files) assert.ok(await recipeIn(new File([bytes], 'file', { type })), type);
  letters.close();
});

test('what is not a message is told apart without an exception', async () => {
  for (const type of [Object.create(null), ['open'], null]) assert.deepEqual([isRequest({ to: 'pocket-diffusion', type, id: 2 }), isReply({ to: 'pocket-diffusion', type, id: 2 })], [false, false]);
  await property(message, async (value) => {
    executions++;
    let told;
    try {
      told = [isRequest(value), isReply(value)];
    } catch (error) {
      // A revoked proxy cannot come by message; what can, can be looked at.
      assert.throws(() => structuredClone(value), undefined, error.stack);
      return;
    }
    assert.ok(told.every((each) => typeof each === 'boolean'));
    if (told[1] && value.type === 'failure') assert.ok(unpackError(value.error) instanceof Error);
  });
});

test('a worker outlives every message and answers the next call', { timeout: 600_000 }, async () => {
  const worker = new Worker(new URL('../../web/worker.js', import.meta.url));
  let ended = null;
  worker.on('error', (error) => { ended = error; });
  const waiting = new Map(); // id -> { resolve, reject }
  worker.on('exit', (status) => {
    ended ??= new Error(`exit status ${status}`);
    for (const { reject } of waiting.values()) reject(ended);
  });
  worker.on('message', (reply) => waiting.get(reply.id)?.resolve(reply));
  let id = 1000;
  const ask = (type, fields) => new Promise((resolve, reject) => {
    waiting.set(++id, { resolve, reject });
    worker.postMessage(makeMessage(type, id, fields));
  });
  try {
    const module = await WebAssembly.compile(await import('node:fs').then((fs) => fs.readFileSync(new URL('../../web/pocket-diffusion.wasm', import.meta.url))));
    assert.equal((await ask('open', { module, bytes: tinyBytes })).type, 'result');
    const first = await ask('predict', { x: new Float32Array(256), t: 3, label: 1 });
    await property(message, async (value) => {
      executions++;
      try {
        worker.postMessage(value);
      } catch {
        return; // not something that can be posted
      }
      assert.equal((await ask('ping')).type, 'pong');
    });
    assert.deepEqual((await ask('predict', { x: new Float32Array(256), t: 3, label: 1 })).value, first.value);
    assert.equal(ended, null);
  } finally {
    await worker.terminate();
  }
});
