// Recipes: in PNG files, in the library. Chunks are written and read here by their specification, not by our own code.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePNG, load, readRecipe, version } from 'pocket-diffusion';
import { checkInputs, makeRecipe, withRecipe } from '../../web/library/recipe.mjs';
import { doodlesPath, hash, tinyBytes } from './helpers.mjs';
import { chunk } from './png_chunks.mjs';
import { decodePNG } from './png_reader.mjs';

const model = await load(tinyBytes);
const OPTIONS = { label: 'square', steps: 3, seed: 5, guidanceScale: 2.7, sampler: 'ddpm', guidanceInterval: [10, 90] };
const picture = await model.generate(OPTIONS);
const png = await picture.toPNG();

const text = (content, head = 'pocket-diffusion\0\0\0\0\0') => chunk('iTXt', Buffer.concat([Buffer.from(head), Buffer.from(content)]));

const plain = Buffer.from(await picture.toPNG({ recipe: false }));
/** A PNG with these chunks after its header. */
const withChunks = (...chunks) => new Uint8Array(Buffer.concat([plain.subarray(0, 33), ...chunks, plain.subarray(33)]));
const withText = (content, head) => withChunks(text(content, head));
const withRecipeOf = (changes) => withText(JSON.stringify({ ...picture.recipe, ...changes }));

test('a PNG carries its recipe, and the pixels are as without', () => {
  assert.deepEqual(readRecipe(png), {
    format: 1,
    version,
    model: { name: 'Tiny test model', sha256: hash(tinyBytes) },
    options: { ...picture.options },
  });
  assert.deepEqual(readRecipe(png), { ...picture.recipe });
  assert.deepEqual(new Uint8Array(withText(JSON.stringify(picture.recipe))), png);
  assert.deepEqual(decodePNG(png), decodePNG(plain));
  assert.equal(readRecipe(new Uint8Array(plain)), null);
});

test('the recipe makes the same bytes again, in another place, through JSON', async () => {
  const other = await load(tinyBytes, { worker: true });
  const again = await other.generate(JSON.parse(JSON.stringify(readRecipe(png))));
  other.close();
  assert.deepEqual(await again.toPNG(), png);
  for (const seed of [2n ** 64n - 1n, 7n, 7]) {
    const first = await model.generate({ ...OPTIONS, seed, guidanceWeight: 0.3, guidanceScale: undefined });
    assert.deepEqual(await (await model.generate(readRecipe(await first.toPNG()))).toPNG(), await first.toPNG());
  }
});

test('options beside a recipe take the place of its own', async () => {
  const { recipe } = picture;
  const changed = await model.generate({ recipe, guidanceWeight: 4, seed: undefined, label: 0 });
  assert.deepEqual(changed.options, { ...picture.options, guidanceScale: 5, label: 0, labelName: 'circle' });
  assert.deepEqual(changed.pixels, (await model.generate({ ...OPTIONS, guidanceScale: 5, label: 0 })).pixels);
  const several = [];
  for await (const each of model.generateMany({ recipe, label: [1, 2], count: 2 })) several.push(each.options);
  assert.deepEqual(several.map(({ label, seed }) => [label, seed]), [[1, 5], [1, 6], [2, 5], [2, 6]]);
});

test('a recipe of another model is refused, unless any will do', async () => {
  const doodles = await load(doodlesPath);
  const recipe = { ...picture.recipe, options: { ...picture.options, label: 0, labelName: 'cat', guidanceInterval: [0, 9] } };
  const wrong = { name: 'PocketDiffusionError', code: 'MODEL', message: /Tiny test model.*doodles/ };
  await assert.rejects(doodles.generate(recipe), wrong);
  await assert.rejects(doodles.generate({ recipe, anyModel: false }), wrong);
  const { options } = await doodles.generate({ recipe, anyModel: true });
  assert.deepEqual([options.label, options.labelName], [doodles.labels.indexOf('cat'), 'cat']);
  await assert.rejects(doodles.generate({ recipe: picture.recipe, anyModel: true }), { name: 'RangeError', argument: 'label' });
  await assert.rejects(model.generate({ label: 0, anyModel: true }), { name: 'TypeError', argument: 'anyModel' });
  const unnamed = { ...picture.recipe, model: { name: 'Tiny test model', sha256: '' } }; // a page without crypto.subtle
  assert.deepEqual((await model.generate(unnamed)).pixels, picture.pixels);
  doodles.close();
});

test('unusable recipes: an error that names what is wrong', async () => {
  const { recipe } = picture;
  const refused = async (given, ErrorType, pattern) => assert.rejects(model.generate(given), (error) => {
    assert.equal(error.name, ErrorType);
    assert.match(error.message, pattern);
    return Boolean(error.argument);
  });
  await refused({ ...recipe, format: 2 }, 'TypeError', /recipe: has format 2/);
  await refused({ ...recipe, more: 1 }, 'TypeError', /unknown key "more"/);
  await refused({ ...recipe, sheet: {} }, 'TypeError', /sheet/);
  await refused({ recipe: null }, 'TypeError', /recipe: must be an object, not null/);
  await refused({ recipe: 'x' }, 'TypeError', /recipe: must be an object/);
  for (const [key, values] of Object.entries({ version: [1, undefined], model: [null, {}, { name: 'x' }, { name: 'x', sha256: 'A' }, { name: 'x', sha256: ['a'.repeat(64)] }], options: [[], null] })) {
    for (const value of values) await refused({ ...recipe, [key]: value }, 'TypeError', /recipe: must have/);
  }
  const withOption = (name, value) => ({ ...recipe, options: { ...recipe.options, [name]: value } });
  await refused(withOption('stepz', 3), 'TypeError', /recipe: unknown option "stepz"; did you mean "steps"/);
  for (const name of ['signal', 'onStep', 'preview', 'recipe', 'anyModel', 'guidanceWeight', 'toString']) {
    await refused(withOption(name, true), 'TypeError', /recipe: unknown option/);
  }
  await refused(JSON.parse(JSON.stringify(recipe).replace('"steps"', '"__proto__":{"eta":1},"steps"')), 'TypeError', /unknown option "__proto__"/);
  await refused(withOption('steps', 0), 'RangeError', /steps/);
  await refused(withOption('steps', '3'), 'TypeError', /steps/);
  await refused(withOption('seed', '18446744073709551616'), 'RangeError', /seed/);
  await refused(withOption('seed', 'x'), 'TypeError', /seed/);
  await refused(withOption('label', 3), 'RangeError', /label/);
  await refused(withOption('ddpmMean', { sha256: 'ab' }), 'TypeError', /ddpmMean: .*SHA-256/);
  await refused({ recipe, sampler: 'ddim', cfgPlusPlus: true, momentum: 1 }, 'RangeError', /cfgPlusPlus/);
});

test('bytes among the options are recorded by their SHA-256, and must be the same again', async () => {
  const image = { width: 2, height: 1, pixels: Uint8Array.of(1, 2) };
  const info = { ...model.info };
  const recipe = JSON.parse(JSON.stringify(await makeRecipe({ label: 0, labelName: 'circle', image, noise: Float32Array.of(1) }, info)));
  assert.deepEqual(recipe.options.image, { width: 2, height: 1, pixels: { sha256: hash(image.pixels) } });
  assert.deepEqual(recipe.options.noise, { sha256: hash(Buffer.from([0, 0, 128, 63])) });
  const use = (given) => withRecipe({ recipe, ...given }, info, model.labels, () => {});
  assert.throws(() => use({ image }), { name: 'TypeError', argument: 'noise', message: /SHA-256/ });
  const { options, inputs } = use({ image, noise: Float32Array.of(1) });
  await checkInputs(inputs, options);
  await assert.rejects(checkInputs(inputs, { ...options, image: { ...image, pixels: Uint8Array.of(1, 3) } }), { name: 'RangeError', argument: 'image' });
});

test('mixtures, variations and inputs come back through JSON', async () => {
  const again = async (made, inputs = {}) => {
    const recipe = JSON.parse(JSON.stringify(readRecipe(await made.toPNG())));
    assert.deepEqual(await (await model.generate({ recipe, ...inputs })).toPNG(), await made.toPNG());
    return recipe;
  };
  const { label: _label, ...others } = OPTIONS;
  const mixed = await model.generate({ ...others, classMix: [{ label: 'square', weight: 0.25 }, { label: 2, weight: 1 }], mixMode: 'prediction' });
  const mixRecipe = await again(mixed);
  assert.equal(mixRecipe.options.label, null);
  await again(await model.generate({ ...OPTIONS, variationSeed: 2n ** 60n, variationStrength: 0.25 }));

  const image = { width: 16, height: 16, pixels: Uint8Array.from({ length: 256 }, (_, index) => index) };
  const mask = { width: 16, height: 16, pixels: image.pixels.map((level) => (level > 99 ? 255 : 0)) };
  const noise = Float32Array.from({ length: 256 }, (_, index) => Math.sin(index * index));
  const painted = await model.generate({ ...OPTIONS, image, mask, strength: 0.8, resample: 2 });
  const { options } = await again(painted, { image, mask });
  assert.deepEqual(options.image, { width: 16, height: 16, channels: 1, pixels: { sha256: hash(image.pixels) } });
  await again(await model.generate({ ...OPTIONS, noise }), { noise });
  await assert.rejects(model.generate({ recipe: painted.recipe, image }), { name: 'TypeError', argument: 'mask' });
  const other = { ...image, pixels: image.pixels.map((level) => level ^ 1) };
  await assert.rejects(model.generate({ recipe: painted.recipe, image: other, mask }), { name: 'RangeError', argument: 'image' });

  const single = await model.generate({ recipe: mixRecipe, label: 'square' });
  assert.deepEqual([single.options.label, single.options.classMix], [1, null]);
  assert.deepEqual(single.pixels, picture.pixels);
  const { classMix } = mixRecipe.options;
  const remixed = await model.generate({ recipe: picture.recipe, classMix, mixMode: 'prediction' });
  assert.deepEqual(remixed.pixels, mixed.pixels);
  const elsewhere = { ...mixRecipe, model: { name: 'Other', sha256: '0'.repeat(64) } };
  assert.deepEqual((await model.generate({ recipe: elsewhere, anyModel: true })).pixels, mixed.pixels);
});

test('readRecipe refuses what is damaged, cut off, compressed, twice there or too large', () => {
  const refused = (bytes, pattern) => assert.throws(() => readRecipe(bytes), (error) => {
    assert.match(error.message, pattern);
    return error.code === 'RECIPE';
  });
  for (let length = 0; length < png.length; length++) refused(png.subarray(0, length), /PNG/);
  const content = JSON.stringify(picture.recipe);
  refused(withText(content, 'pocket-diffusion\0\x01\0\0\0'), /compressed/);
  refused(withChunks(chunk('iTXt', Buffer.from('pocket-diffusion\0\0\0'))), /well-formed/);
  refused(withChunks(chunk('iTXt', Buffer.from('pocket-diffusion\0\0\0en\0'))), /well-formed/);
  refused(withChunks(text(content), text(content)), /two/);
  refused(withChunks(chunk('IHDR', plain.subarray(16, 29))), /header/);
  refused(withText('x'.repeat(2 ** 20 + 100)), /bytes/);
  refused(withText('{'), /JSON/);
  refused(withText(Buffer.from([0x22, 0xff, 0x22])), /UTF-8/);
  refused(withText('[]'), /must be an object/);
  refused(withRecipeOf({ format: 2 }), /format 2/);
  const damaged = png.slice();
  damaged[80] ^= 1;
  refused(damaged, /checksum/);
  assert.throws(() => readRecipe('x'), { name: 'TypeError', argument: 'png' });
  // Others' texts are none of ours, whatever they hold.
  for (const other of ['pocket-diffusio', 'pocket-diffusions', 'Comment']) assert.equal(readRecipe(withText('{', `${other}\0\0\0\0\0`)), null);
  assert.deepEqual(readRecipe(withText(content, 'pocket-diffusion\0\0\0de\0Rezept\0')), { ...picture.recipe });
  const inside = new Uint8Array(png.length + 7);
  inside.set(png, 3);
  assert.deepEqual(readRecipe(inside.subarray(3, 3 + png.length)), { ...picture.recipe });
});

test('readRecipe of changed files: a recipe, null or an error of its own', () => {
  let state = 1;
  const random = (n) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % n;
  const outcomes = new Set();
  for (let round = 0; round < 5000; round++) {
    const bytes = png.slice();
    for (let change = random(3); change >= 0; change--) bytes[random(round % 2 ? 60 : bytes.length)] = random(256);
    try {
      outcomes.add(readRecipe(bytes) === null ? 'null' : 'recipe');
    } catch (error) {
      assert.equal(error.code, 'RECIPE', error.stack);
      outcomes.add('refused');
    }
  }
  assert.deepEqual([...outcomes].sort(), ['null', 'recipe', 'refused']);
});

test('encodePNG with a recipe, and wrong ones', async () => {
  const image = { width: 2, height: 1, channels: 1, pixels: Uint8Array.of(7, 9) };
  const recipe = { ...picture.recipe, sheet: { note: 'Grüße, 猫 \u0000' } };
  assert.deepEqual(readRecipe(await encodePNG(image, { recipe })), recipe);
  await assert.rejects(encodePNG(image, { recipe: { format: 1 } }), { name: 'TypeError', argument: 'recipe' });
  await assert.rejects(encodePNG(image, { recipe: { ...recipe, sheet: { note: 'x'.repeat(2 ** 20) } } }), { code: 'TOO_BIG' });
  await assert.rejects(picture.toPNG({ recipe: 1 }), { name: 'TypeError', argument: 'recipe' });
  await assert.rejects(picture.toPNG({ recipes: true }), { name: 'TypeError', argument: 'options' });
});
