// What people do to pictures and recipes: programs that save anew, masks with soft edges, seeds as long as hashes.
// Chunks are made by their specification, and compressed by Node.js.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { constants, deflateSync } from 'node:zlib';
import { PNG } from 'pngjs';
import { encodePNG, load, readRecipe } from 'pocket-diffusion';
import { root, tinyBytes, tinyPath } from './helpers.mjs';
import { chunk, joinPNG, splitPNG } from './png_chunks.mjs';

const folder = mkdtempSync(join(tmpdir(), 'pocket-diffusion-'));
after(() => rmSync(folder, { recursive: true }));
const model = await load(tinyBytes);
const picture = await model.generate({ label: 'square', steps: 2, seed: 5 });
const png = await picture.toPNG();
const recipe = { ...picture.recipe };
const content = JSON.stringify(recipe);

const KEYWORD = 'pocket-diffusion\0';
/** The PNG with these chunks in place of its recipe, after the pixels or before. */
function withTexts(texts, last = false) {
  const chunks = splitPNG(png).filter(({ type }) => type !== 'iTXt');
  chunks.splice(last ? -1 : 1, 0, ...texts);
  return joinPNG(chunks);
}
const text = (type, ...parts) => ({ type, data: Buffer.concat(parts.map((part) => Buffer.from(part))) });
const pack = (value, options) => deflateSync(Buffer.from(value), options);

const PACKINGS = [{ level: 0 }, { level: 1 }, { level: 9 }, { strategy: constants.Z_FIXED }, { strategy: constants.Z_HUFFMAN_ONLY }, { strategy: constants.Z_RLE }, { windowBits: 9 }];

test('recipes in tEXt, zTXt and compressed iTXt, before and after the pixels', () => {
  for (const last of [false, true]) {
    assert.deepEqual(readRecipe(withTexts([text('tEXt', KEYWORD, content)], last)), recipe);
    for (const options of PACKINGS) {
      assert.deepEqual(readRecipe(withTexts([text('zTXt', KEYWORD, '\0', pack(content, options))], last)), recipe);
      assert.deepEqual(readRecipe(withTexts([text('iTXt', KEYWORD, '\x01\0de\0Rezept\0', pack(content, options))], last)), recipe);
    }
  }
});

test('texts that are not English: in UTF-8 and, as tEXt was meant, in Latin-1', () => {
  const named = { ...recipe, model: { ...recipe.model, name: 'Füße' } };
  const spoken = JSON.stringify(named);
  for (const bytes of [Buffer.from(spoken), Buffer.from(spoken, 'latin1')]) {
    assert.deepEqual(readRecipe(withTexts([text('tEXt', KEYWORD, bytes)])), named);
    assert.deepEqual(readRecipe(withTexts([text('zTXt', KEYWORD, '\0', pack(bytes))])), named);
  }
  const foreign = JSON.stringify({ ...recipe, model: { ...recipe.model, name: '猫 🐈' } });
  assert.equal(readRecipe(withTexts([text('iTXt', KEYWORD, '\x01\0\0\0', pack(foreign))])).model.name, '猫 🐈');
});

test('the picture comes back from such a file', async () => {
  const again = await model.generate(readRecipe(withTexts([text('zTXt', KEYWORD, '\0', pack(content))])));
  assert.deepEqual(again.pixels, picture.pixels);
});

test('what is damaged, too long, of another method or twice there is refused', () => {
  const refused = (texts, pattern) => assert.throws(() => readRecipe(withTexts(texts)), (error) => error.code === 'RECIPE' && pattern.test(error.message));
  const packed = pack(content);
  for (let length = 0; length < packed.length - 5; length += 11) refused([text('zTXt', KEYWORD, '\0', packed.subarray(0, length))], /compressed/);
  refused([text('zTXt', KEYWORD, '\x01', packed)], /compressed/);
  refused([text('iTXt', KEYWORD, '\x02\0\0\0', packed)], /compressed/);
  refused([text('iTXt', KEYWORD, '\x01\x01\0\0', packed)], /compressed/);
  refused([text('zTXt', KEYWORD, '\0', pack(Buffer.alloc(2 ** 26, ' ')))], /bytes/); // a few kilobytes that would fill the memory
  refused([text('zTXt', KEYWORD)], /compressed/);
  refused([text('tEXt', KEYWORD, '{')], /JSON/);
  refused([text('tEXt', KEYWORD, content), text('iTXt', KEYWORD, '\0\0\0\0', content)], /two/);
  const cut = withTexts([text('zTXt', KEYWORD, '\0', packed)]);
  cut[80] ^= 1;
  assert.throws(() => readRecipe(cut), { code: 'RECIPE' });
  // No change of a byte, with its checksum made right, gets out of hand.
  for (let at = 0; at < packed.length; at++) {
    const changed = Buffer.from(packed);
    changed[at] ^= 1 << (at % 8);
    try {
      readRecipe(withTexts([text('zTXt', KEYWORD, '\0', changed)]));
    } catch (error) {
      assert.equal(error.code, 'RECIPE', error.stack);
    }
  }
});

const cli = (...args) => spawnSync(process.execPath, [join(root, 'web/cli.mjs'), ...args], { cwd: folder, encoding: 'utf8' });
const save = (name, bytes) => {
  writeFileSync(join(folder, name), bytes);
  return name;
};

test('a PNG that was saved anew without its recipe says so', () => {
  save('saved.png', PNG.sync.write(PNG.sync.read(Buffer.from(png)))); // pngjs keeps pixels alone
  assert.equal(readRecipe(readFileSync(join(folder, 'saved.png'))), null);
  const { status, stderr } = cli('recipe', 'saved.png');
  assert.equal(status, 1);
  assert.match(stderr, /no recipe: .*saved it anew/);
});

const JPEG = Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex');
const WEBP = Buffer.concat([Buffer.from('RIFF'), Buffer.of(26, 0, 0, 0), Buffer.from('WEBPVP8L'), Buffer.alloc(14)]);

test('a JPEG and a WebP are called by their names', async () => {
  for (const [bytes, name] of [[JPEG, 'JPEG'], [WEBP, 'WebP']]) {
    assert.throws(() => readRecipe(new Uint8Array(bytes)), { code: 'RECIPE', message: new RegExp(`a ${name}`) });
    const file = save('picture.png', bytes);
    for (const option of ['--image', '--mask', '--invert']) {
      const image = option === '--mask' ? ['--image', save('right.png', png)] : [];
      const { status, stderr } = cli('generate', '--model', tinyPath, '--label', '0', '--output', 'never.png', option, file, ...image);
      assert.equal(status, 2, stderr);
      assert.match(stderr, new RegExp(`${option}: picture.png: is a ${name} picture`));
    }
    for (const args of [['recipe', file], ['generate', '--model', tinyPath, '--output', 'never.png', '--from', file]]) {
      const { status, stderr } = cli(...args);
      assert.equal(status, 1);
      assert.match(stderr, new RegExp(`is a ${name} picture, which holds no recipe`));
    }
    await assert.rejects(model.generate({ label: 0, image: bytes }), { name: 'RangeError', argument: 'image', message: /decode it first/ });
    await assert.rejects(model.generate({ label: 0, image: new Blob([bytes]) }), { name: 'RangeError', argument: 'image', message: /decode it first/ });
  }
});

test('a soft mask: refused with the option that thresholds it', async () => {
  const { width, height } = picture;
  const pixels = Uint8Array.from({ length: width * height }, (_, at) => (at % width) * 17);
  const soft = { width, height, pixels };
  const options = { label: 0, steps: 2, seed: 1, image: picture };
  await assert.rejects(model.generate({ ...options, mask: soft }), { name: 'RangeError', argument: 'mask', message: /maskThreshold/ });
  for (const maskThreshold of [1, 128, 255]) {
    const hard = { width, height, pixels: pixels.map((level) => (level >= maskThreshold ? 255 : 0)) };
    const [thresholded, expected] = await Promise.all([model.generate({ ...options, mask: soft, maskThreshold }), model.generate({ ...options, mask: hard })]);
    assert.deepEqual(thresholded.pixels, expected.pixels);
    assert.deepEqual(thresholded.recipe, expected.recipe);
    const again = await model.generate({ recipe: thresholded.recipe, image: picture, mask: soft, maskThreshold });
    assert.deepEqual(again.pixels, expected.pixels);
  }
  assert.deepEqual([...new Set(pixels)].length, 16); // what was given stays as it is
  for (const [maskThreshold, name] of [[0, 'RangeError'], [256, 'RangeError'], [1.5, 'RangeError'], ['128', 'TypeError']]) {
    await assert.rejects(model.generate({ ...options, mask: soft, maskThreshold }), { name, argument: 'maskThreshold' });
  }
  await assert.rejects(model.generate({ label: 0, maskThreshold: 128 }), { name: 'RangeError', argument: 'maskThreshold', message: /needs a mask/ });

  save('image.png', png);
  save('mask.png', await encodePNG({ ...soft, channels: 1 }));
  const arguments_ = ['generate', '--model', tinyPath, '--label', '0', '--steps', '2', '--seed', '1', '--image', 'image.png', '--mask', 'mask.png', '--output', 'out.png'];
  const refused = cli(...arguments_);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /--mask: .*--mask-threshold/);
  assert.equal(cli(...arguments_, '--mask-threshold', '128').status, 0);
  const hard = { width, height, pixels: pixels.map((level) => (level >= 128 ? 255 : 0)) };
  assert.deepEqual(new Uint8Array(readFileSync(join(folder, 'out.png'))), await (await model.generate({ ...options, mask: hard })).toPNG());
});

test('how many of the steps a strength makes', () => {
  save('image.png', png);
  const report = (strength, ...options) => cli('generate', '--model', tinyPath, '--label', '0', '--steps', '10', '--image', 'image.png', '--output', 'out.png', '--strength', strength, ...options);
  assert.match(report('0.04').stdout, /, 0 of 10 steps of/);
  assert.match(report('0').stdout, /, 0 of 10 steps of/);
  assert.match(report('0.45').stdout, /, 5 of 10 steps of/); // halves up, also of the float next to 0.45
  assert.match(report('1').stdout, /, 10 steps of/);
  assert.match(report('0.04', '--film', 'film.png').stderr, /--film: .*0 of 10 steps/);
});

test('a seed over 2^32 draws what an earlier one draws, and says so once', () => {
  const program = `
    import { load } from 'pocket-diffusion';
    const model = await load(${JSON.stringify(tinyPath)});
    const draw = async (seed) => (await model.generate({ label: 0, steps: 1, seed })).pixels.join();
    const [first, next] = [await draw(7), await draw(2 ** 32 - 1)];
    const same = [await draw(2 ** 32 + 7), await draw(2n ** 63n + 7n)].every((pixels) => pixels === first);
    for await (const _ of model.generateMany({ label: 0, steps: 1, seed: 2 ** 32 - 1, count: 2 }));
    console.log(same, next !== first);
    model.close();`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { cwd: root, encoding: 'utf8' });
  assert.equal(stdout.trim(), 'true true', stderr);
  assert.deepEqual(stderr.match(/low 32 bits/g), ['low 32 bits']);
  assert.match(stderr, /4294967303 draws what 7 draws/);

  const wrapping = `
    import { load } from 'pocket-diffusion';
    const model = await load(${JSON.stringify(tinyPath)});
    for await (const _ of model.generateMany({ label: 0, steps: 1, seed: 2 ** 32 - 1, count: 2 }));
    model.close();`;
  assert.match(spawnSync(process.execPath, ['--input-type=module', '-e', wrapping], { cwd: root, encoding: 'utf8' }).stderr, /low 32 bits/);
  const line = cli('generate', '--model', tinyPath, '--label', '0', '--steps', '1', '--seed', '4294967296', '--output', 'out.png');
  assert.match(line.stderr, /low 32 bits/);
  assert.equal(line.status, 0);
  assert.doesNotMatch(execFileSync(process.execPath, [join(root, 'web/cli.mjs'), 'recipe', join(folder, 'out.png')], { encoding: 'utf8' }), /low 32/);
});

test('chunks of these tests are well-formed', () => {
  assert.deepEqual([...splitPNG(withTexts([text('tEXt', 'a\0b')]))].map(({ type }) => type), ['IHDR', 'tEXt', 'IDAT', 'IEND']);
  assert.equal(chunk('tEXt', 'a\0b').length, 15);
});
