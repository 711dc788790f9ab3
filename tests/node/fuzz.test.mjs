// Anything at all as an option, an argument, a message or a file: there is a picture or a clear error, never anything
// else, and the model goes on as before. PD_FUZZ_RUNS says how many values each property gets; scripts/fuzz.mjs is the
// long run.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { PocketDiffusionError, encodePNG, load, readManifest } from 'pocket-diffusion';
import { isReply, isRequest, makeMessage, unpackError } from '../../web/protocol.mjs';
import { tinyBytes } from './helpers.mjs';

const numRuns = Number(process.env.PD_FUZZ_RUNS ?? 100);
const property = (...values) => fc.assert(fc.asyncProperty(...values), { numRuns });
let executions = 0;

const golden = { label: 1, seed: 3, steps: 2 };
let model;
let expected;
before(async () => {
  model = await load(tinyBytes);
  expected = (await model.generate(golden)).pixels;
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
    const call = many ? model.generateMany({ count: 2, ...asked }).next() : model.generate(asked);
    const picture = await settles(call, [...OPTIONS, 'options', 'count'], thrownByCaller(asked));
    checkPicture(many ? picture?.value : picture);
  });
});

test('valid options in any combination make a picture or name what does not go together', async () => {
  const valid = fc.record({
    label: fc.constantFrom(0, 1, 2, 'circle', 'square'), guidanceScale: fc.double({ min: 0, max: 100, noNaN: true }),
    sampler: fc.constantFrom('ddim', 'ddpm', 'dpmpp-2m', 'dpmpp-2m-sde', 'euler', 'euler-ancestral', 'heun', 'unipc'), steps: fc.integer({ min: 1, max: 4 }),
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
    bytes: fc.integer(), sha256: fc.oneof(fc.string(), fc.constant('a'.repeat(64))) })) }).map((value) => JSON.stringify(value))), async (text) => {
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

// ---- messages

const field = fc.oneof(anything, fc.constantFrom('open', 'predict', 'generate', 'continue', 'abort', 'ping', 'result', 'failure', 'step', 'pong', 'alive'));
const message = fc.oneof(anything, fc.record({
  to: fc.oneof({ weight: 9, arbitrary: fc.constant('pocket-diffusion') }, { weight: 1, arbitrary: anything }), type: field, id: fc.oneof(fc.integer({ min: 2, max: 9 }), anything),
  module: anything, bytes: anything, x: anything, t: anything, label: anything, steps: fc.oneof(fc.boolean(), anything),
  request: fc.oneof(anything, fc.record({ pictures: fc.oneof(fc.constant([{ label: 0, seed: 1 }]), fc.array(anything)), sampler: anything, steps: anything, guidanceInterval: anything })),
  value: anything, error: fc.oneof(anything, fc.record({ message: fc.string(), name: anything, code: anything })), events: fc.oneof(anything, fc.array(anything)),
}, { requiredKeys: ['to', 'type', 'id'] }));

test('what is not a message is told apart without an exception', async () => {
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
  const worker = new Worker(new URL('../../web/worker.mjs', import.meta.url));
  let ended = null;
  worker.on('error', (error) => { ended = error; });
  worker.on('exit', (status) => { ended ??= new Error(`exit status ${status}`); });
  const waiting = new Map();
  worker.on('message', (reply) => waiting.get(reply.id)?.(reply));
  let id = 1000;
  const ask = (type, fields) => new Promise((resolve, reject) => {
    waiting.set(++id, resolve);
    worker.once('exit', () => reject(ended));
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
