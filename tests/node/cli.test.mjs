// The command line as people use it: arguments, files, streams, exit status.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { lstatSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { encodePNG, load, readRecipe, version } from 'pocket-diffusion';
import { enlarge } from '../../web/library/rendering.mjs';
import { doodlesPath, hash, root, tinyBytes, tinyPath, withServer } from './helpers.mjs';
import { decodePNG } from './png_reader.mjs';

const folder = mkdtempSync(join(tmpdir(), 'pocket-diffusion-'));
after(() => rmSync(folder, { recursive: true }));
const inFolder = (name) => join(folder, name);

/** @returns {Promise<{ status: number | null, signal: string | null, stdout: Buffer, stderr: string }>} */
function run(args, onStart = () => {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'web', 'cli.mjs'), ...args], { cwd: folder });
    const [out, err] = [[], []];
    child.stdout.on('data', (data) => out.push(data));
    child.stderr.on('data', (data) => err.push(data));
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() }));
    child.stdin.end();
    onStart(child);
  });
}

const generate = (...args) => run(['generate', '--model', tinyPath, '--steps', '2', ...args]);

/** Seeds beyond 2^32 draw what earlier ones drew, and this is said once. */
const REPEATING_SEED = /^pocket-diffusion: as in PyTorch, only the low 32 bits of a seed count: .*\n/;

async function succeeds(running) {
  const { status, stdout, stderr } = await running;
  assert.equal(status, 0, stderr);
  assert.equal(stderr.replace(REPEATING_SEED, ''), '', 'nothing else on standard error, and no progress bar off a terminal');
  return stdout;
}

async function failsWith(expectedStatus, running, pattern) {
  const { status, stdout, stderr } = await running;
  assert.equal(status, expectedStatus, stderr);
  assert.match(stderr, pattern);
  assert.equal(stdout.length, 0);
  if (expectedStatus === 1) assert.equal(stderr.trimEnd().split('\n').length, 1, 'one line');
  assert.doesNotMatch(stderr, /^\s+at /m, 'no stack');
}

test('--version and --help', async () => {
  assert.equal(String(await succeeds(run(['--version']))), `${version}\n`);
  assert.match(String(await succeeds(run(['--help']))), /generate[^]*\n {2}sweep[^]*\n {2}recipe.*\n {2}info/);
  const help = String(await succeeds(run(['generate', '--help'])));
  for (const option of ['model', 'label', 'guidance-scale', 'projection', 'rescale', 'steps', 'sampler', 'eta', 'seed', 'count', 'output', 'json',
    'mix', 'mix-mode', 'image', 'strength', 'mask', 'resample', 'variation-seed', 'variation-strength', 'invert', 'invert-label', 'invert-iterations',
    'film', 'film-planes', 'trace', 'preview']) {
    assert.match(help, new RegExp(`--${option}\\b`));
  }
});

test('one picture to a file, the same as from the library', async () => {
  const output = inFolder('one.png');
  const args = ['--label', 'square', '--guidance-scale', '2.5', '--projection', '--rescale', '0.5', '--sampler', 'ddim', '--eta', '0.5', '--seed', '9'];
  const stdout = String(await succeeds(generate(...args, '--output', output)));
  assert.match(stdout, /one\.png: square: 1 picture, seed 9, guidance scale 2\.5, 2 steps of ddim\n$/);
  const model = await load(tinyPath);
  const { pixels } = await model.generate({
    label: 'square', guidanceScale: 2.5, projection: true, rescale: 0.5, steps: 2, sampler: 'ddim', eta: 0.5, seed: 9,
  });
  assert.deepEqual(decodePNG(readFileSync(output)), { width: 16, height: 16, channels: 1, pixels });
});

/** Writes a PNG of 16 x 16 pixels, levelOf(row, column) in each of its channels. */
async function writePNG(name, levelOf, channels = 1, side = 16) {
  const pixels = Uint8Array.from({ length: side * side * channels }, (_, i) => {
    const pixel = Math.floor(i / channels);
    return levelOf(Math.floor(pixel / side), pixel % side, i % channels);
  });
  const image = { width: side, height: side, channels, pixels };
  writeFileSync(inFolder(name), await encodePNG(image));
  return { ...image, file: inFolder(name) };
}
const slope = (row, column) => 16 * row + column;
const disc = (row, column) => (Math.hypot(row - 7, column - 8) < 5 ? 255 : 0);

test('mixtures, pictures, masks, variations and inversion, the same as from the library', async () => {
  const [image, mask] = [await writePNG('image.png', slope), await writePNG('mask.png', disc)];
  const model = await load(tinyPath);
  const inverted = { image, label: 'circle', steps: 2, iterations: 3 };
  const { noise } = await model.invert(inverted);
  for (const [args, options] of [
    [['--label', '1', '--image', image.file, '--strength', '0.5'], { label: 1, image, strength: 0.5 }],
    [['--label', '1', '--image', image.file, '--mask', mask.file, '--resample', '2'], { label: 1, image, mask, resample: 2 }],
    [['--label', '1', '--variation-seed', '3', '--variation-strength', '0.25'], { label: 1, variationSeed: 3, variationStrength: 0.25 }],
    [['--mix', 'square:0.7, 2:0.3', '--mix-mode', 'prediction'], { classMix: [{ label: 1, weight: 0.7 }, { label: 2, weight: 0.3 }], mixMode: 'prediction' }],
    [['--label', '1', '--invert', image.file, '--invert-label', 'circle', '--invert-iterations', '3'], { label: 1, noise }],
  ]) {
    const png = await succeeds(generate(...args, '--seed', '4', '--output', '-'));
    assert.deepEqual(decodePNG(png).pixels, (await model.generate({ ...options, seed: 4, steps: 2 })).pixels, args.join(' '));
  }
  const strength0 = decodePNG(await succeeds(generate('--label', '0', '--image', image.file, '--strength', '0', '--output', '-')));
  assert.deepEqual(strength0.pixels, image.pixels);
  const [described] = JSON.parse(await succeeds(generate('--label', '0', '--image', image.file, '--json'))).pictures;
  assert.deepEqual(described.image, { width: 16, height: 16, channels: 1, pixelsSHA256: hash(image.pixels) });
});

test('colours that are grey will do; other files are refused by the name of the option', async () => {
  const grey = await writePNG('rgb.png', slope, 3);
  await succeeds(generate('--label', '0', '--image', grey.file, '--output', '-'));
  const colour = await writePNG('colour.png', (row, column, channel) => 60 * channel, 3);
  const clear = await writePNG('clear.png', (row, column, channel) => (channel === 3 ? row : 9), 4);
  const small = await writePNG('small.png', slope, 1, 8);
  writeFileSync(inFolder('broken.png'), readFileSync(grey.file).subarray(0, 60));
  const image = (file) => generate('--label', '0', '--image', file, '--output', inFolder('refused.png'));
  await failsWith(2, image(colour.file), /--image: .*colour\.png: has colours/);
  await failsWith(2, image(clear.file), /image: .*clear\.png: is transparent/);
  await failsWith(2, image(small.file), /image: must be 16 x 16 pixels.*not 8 x 8/);
  await failsWith(2, image(inFolder('broken.png')), /image: .*broken\.png: not a usable PNG/);
  await failsWith(2, image(inFolder('nowhere.png')), /image: .*nowhere\.png: cannot be read \(ENOENT\)/);
  await failsWith(2, generate('--label', '0', '--image', grey.file, '--mask', grey.file, '--output', '-'), /mask: must hold 255/);
  assert.ok(!readdirSync(folder).includes('refused.png'));
});

test('wrong combinations of editing options', async () => {
  await failsWith(2, generate('--output', '-'), /--label.*--mix/);
  await failsWith(2, generate('--label', '0', '--mix', '0:1,1:1', '--output', '-'), /--mix.*--label/);
  await failsWith(2, generate('--mix', 'circle', '--output', '-'), /CLASS:WEIGHT/);
  await failsWith(2, generate('--mix', 'circle:1,cube:1', '--output', '-'), /--mix: no class "cube"/);
  await failsWith(2, generate('--label', '0', '--invert', 'a.png', '--image', 'b.png', '--output', '-'), /--invert and --image/);
  await failsWith(2, generate('--label', '0', '--invert-label', '1', '--output', '-'), /--invert-label/);
  await failsWith(2, generate('--mix', '0:1,1:1', '--invert', 'a.png', '--output', '-'), /--invert-label/);
  await failsWith(2, generate('--label', '0', '--strength', '0.5', '--output', '-'), /--strength: needs an image/);
});

test('to standard output', async () => {
  const { width, height } = decodePNG(await succeeds(generate('--label', '0', '--seed', '1', '--output', '-')));
  assert.deepEqual([width, height], [16, 16]);
});

test('several labels and a count make a sheet: a row per class, a gap of two white pixels', async () => {
  const png = await succeeds(generate('--label', 'circle, 2', '--label', 'square', '--count', '4', '--seed', '5', '--output', '-'));
  const sheet = decodePNG(png);
  assert.deepEqual([sheet.width, sheet.height, sheet.channels], [4 * 16 + 3 * 2, 3 * 16 + 2 * 2, 1]);
  const model = await load(tinyPath);
  const expected = new Uint8Array(sheet.width * sheet.height).fill(255);
  for (const [row, label] of [0, 2, 1].entries()) {
    for (let column = 0; column < 4; column++) {
      const { pixels } = await model.generate({ label, seed: 5 + column, steps: 2 });
      pixels.forEach((value, index) => {
        const [x, y] = [column * 18 + (index % 16), row * 18 + Math.floor(index / 16)];
        expected[y * sheet.width + x] = value;
      });
    }
  }
  assert.deepEqual(sheet.pixels, expected);
});

test('rows of one class wrap at eight, or at --columns', async () => {
  const size = async (...args) => {
    const { width, height } = decodePNG(await succeeds(generate('--label', '0', '--output', '-', ...args)));
    return [(width + 2) / 18, (height + 2) / 18];
  };
  assert.deepEqual(await size('--count', '3'), [3, 1]);
  assert.deepEqual(await size('--count', '10'), [8, 2]);
  assert.deepEqual(await size('--count', '5', '--columns', '2'), [2, 3]);
  assert.deepEqual(await size('--count', '4', '--label', '1', '--columns', '3'), [3, 4]);
});

test('--enlarge and --transparent: each picture as its model asks, on a sheet too', async () => {
  const args = (model, ...more) => run(['generate', '--model', model, '--label', '0', '--steps', '2', '--seed', '1', '--output', '-', ...more]);
  const doodles = await load(doodlesPath);
  const { pixels: expected } = enlarge(await doodles.generate({ label: 0, seed: 1, steps: 2 }), 'ink', 3);
  assert.deepEqual(decodePNG(await succeeds(args(doodlesPath, '--enlarge', '3'))).pixels, expected);
  const cut = decodePNG(await succeeds(args(doodlesPath, '--enlarge', '3', '--transparent')));
  assert.deepEqual([cut.width, cut.channels], [96, 2]);
  assert.deepEqual(cut.pixels.filter((_, i) => i % 2), expected.map((value) => 255 - value));
  const sheet = decodePNG(await succeeds(args(doodlesPath, '--enlarge', '3', '--transparent', '--count', '2')));
  assert.deepEqual([sheet.width, sheet.height, sheet.pixels[2 * 96 + 1]], [2 * 96 + 2, 96, 0], 'the gap is transparent too');
  doodles.close();
  await failsWith(2, args(doodlesPath, '--enlarge', '129'), /--enlarge: must be a whole number from 1 to 128/);
  await failsWith(2, args(tinyPath, '--transparent'), /--transparent: for ink on paper; pictures of this model are "smooth"/);
});

test('SVG: outlines of ink by the name of the file, and its recipe makes the same again', async () => {
  const ink = ['generate', '--model', doodlesPath, '--steps', '2'];
  await succeeds(run([...ink, '--label', 'cat', '--seed', '7', '--output', 'cat.svg']));
  const svg = readFileSync(inFolder('cat.svg'), 'utf8');
  assert.match(svg, /^<svg [^]*<title>cat<\/title>/);
  await succeeds(run([...ink, '--from', 'cat.svg', '--output', 'again.svg']));
  assert.equal(readFileSync(inFolder('again.svg'), 'utf8'), svg);
  await succeeds(run([...ink, '--label', 'cat', '--count', '3', '--no-recipe', '--output', 'sheet.svg']));
  assert.match(readFileSync(inFolder('sheet.svg'), 'utf8'), /viewBox="0 0 100 32">\n<path/);
  await succeeds(run([...ink, '--label', 'cat', '--steps', '1', '--count', '125', '--columns', '125', '--output', 'wide.svg']));
  assert.match(readFileSync(inFolder('wide.svg'), 'utf8'), /viewBox="0 0 4248 32">/);
  assert.equal(JSON.parse(await succeeds(run(['recipe', 'wide.svg']))).sheet.columns, 125);
  await failsWith(2, run([...ink, '--label', 'cat', '--enlarge', '2', '--output', 'never.svg']), /--output: an SVG has any size/);
  await failsWith(2, generate('--label', '0', '--output', 'never.svg'), /--output: SVG is for ink/);
  for (const flag of ['--film', '--preview']) {
    await failsWith(2, run([...ink, '--label', 'cat', '--output', 'never.png', flag, 'never.svg']), new RegExp(`${flag}: is always a PNG`));
  }
  await failsWith(2, run(['sweep', '--model', doodlesPath, '--label', 'cat', '--columns', 'seed=1,2', '--output', 'never.SVG']), /--output: a sweep is always a PNG/);
  await failsWith(2, run(['font', '--model', doodlesPath, '--invert-label', 'cat', '--output', 'never.otf']), /--invert-label: not of a font/);
  await failsWith(1, run([...ink, '--from', 'sheet.svg', '--output', 'never.png']), /is an SVG picture, which holds no recipe/);
});

test('--separate writes one file per picture', async () => {
  await succeeds(generate('--label', 'circle,square', '--count', '2', '--seed', '7', '--separate', '--output', inFolder('part.png')));
  const names = readdirSync(folder).filter((name) => name.startsWith('part')).sort();
  assert.deepEqual(names, ['part-0-circle-7.png', 'part-0-circle-8.png', 'part-1-square-7.png', 'part-1-square-8.png']);
  const hashes = names.map((name) => hash(decodePNG(readFileSync(inFolder(name))).pixels));
  assert.equal(new Set(hashes).size, 4);
});

test('--json: the options as used and hashes of the pixels', async () => {
  const output = inFolder('json.png');
  const report = JSON.parse(await succeeds(generate('--label', '1', '--seed', '18446744073709551615', '--json', '--output', output)));
  assert.deepEqual(report.model, { name: 'Tiny test model', sha256: hash(tinyBytes) });
  const { pixels } = decodePNG(readFileSync(output));
  assert.deepEqual(report.pictures, [{
    label: 1, labelName: 'square', guidanceScale: 3, guidanceInterval: [0, 99], guidanceSchedule: 'constant', negativeLabel: null,
    cfgPlusPlus: false, projection: false, keepParallel: 0, momentum: 0, normThreshold: 0, rescale: 0, dynamicThreshold: 0, steps: 2,
    sampler: 'ddim', timeGrid: 'linear', eta: 0, ddpmMean: 'x0', ddpmVariance: 'posterior',
    seed: '18446744073709551615', classMix: null, mixMode: 'embedding', image: null, strength: 1, mask: null,
    resample: 1, noise: null, variationSeed: null, variationStrength: 0,
    pixelsSHA256: hash(pixels),
  }]);
  assert.deepEqual(report.outputs, [{ file: output, width: 16, height: 16, channels: 1, pixelsSHA256: hash(pixels) }]);
  const without = JSON.parse(await succeeds(generate('--label', '1', '--count', '2', '--json')));
  assert.equal(without.outputs[0].file, null);
  assert.equal(without.pictures.length, 2);
  assert.equal(without.pictures[1].seed, without.pictures[0].seed + 1);
});

test('a model over http', async () => {
  await withServer((request, response) => response.end(tinyBytes), async (base) => {
    const args = ['generate', '--model', `${base}/tiny.gguf`, '--label', '0', '--steps', '1', '--output', '-'];
    decodePNG(await succeeds(run(args)));
  });
});

test('info --graph', async () => {
  const lines = String(await succeeds(run(['info', tinyPath, '--graph']))).trimEnd().split('\n');
  const { networkHeight, networkWidth, networkChannels } = (await load(tinyBytes)).info;
  assert.match(lines[1], new RegExp(`^ +0 x +${networkHeight} x ${networkWidth} x ${networkChannels} +x$`));
  assert.match(lines.at(-1), new RegExp(`^ *${lines.length - 2} conv +\\d+ +${networkHeight} x ${networkWidth} x ${networkChannels} +class time x`));
  assert.ok(lines.some((line) => / linear_attention_block /.test(line)) && lines.some((line) => / reshape | slice .* free/.test(line)));
  await failsWith(1, run(['info', join(root, 'package.json'), '--graph']), /MAGIC/);
});

test('info, and info --json', async () => {
  const text = String(await succeeds(run(['info', tinyPath])));
  assert.match(text, /Tiny test model/);
  assert.match(text, /0 circle, 1 square, 2 triangle/);
  const { labels, alphasCumprod, ...info } = JSON.parse(await succeeds(run(['info', tinyPath, '--json'])));
  const model = await load(tinyPath);
  assert.deepEqual(labels, model.labels);
  assert.deepEqual(Float64Array.from(alphasCumprod), model.info.alphasCumprod);
  const { alphasCumprod: left, ...expected } = model.info;
  assert.deepEqual(info, expected);
});

test('the shipped model', async () => {
  const { stdout } = await run(['info', doodlesPath, '--json']);
  assert.equal(JSON.parse(stdout).labels.length, 10);
  const args = ['generate', '--model', doodlesPath, '--label', 'cat', '--steps', '2', '--seed', '1', '--output', '-'];
  const { width, height } = decodePNG(await succeeds(run(args)));
  assert.deepEqual([width, height], [32, 32]);
});

test('every option of sampling reaches the engine', async () => {
  const pixels = async (...options) => JSON.parse(await succeeds(generate('--label', '0', '--seed', '3', '--steps', '4', '--json', ...options))).pictures[0];
  const plain = await pixels();
  for (const options of [
    ['--guidance-interval', '0,50'], ['--guidance-schedule', 'linear'], ['--negative-label', 'square'], ['--cfg-plus-plus'],
    ['--projection', '--keep-parallel', '0.5'], ['--momentum=-0.5'], ['--norm-threshold', '0.1'],
    ['--time-grid', 'karras'], ['--sampler', 'unipc'], ['--sampler', 'ddpm', '--ddpm-mean', 'noise'],
    ['--sampler', 'ddpm', '--ddpm-variance', 'beta'], ['--guidance-weight', '5'],
  ]) {
    assert.notEqual((await pixels(...options)).pixelsSHA256, plain.pixelsSHA256, options.join(' '));
  }
  const strong = ['--guidance-scale', '90'];
  assert.notEqual((await pixels(...strong, '--dynamic-threshold', '0.9')).pixelsSHA256, (await pixels(...strong)).pixelsSHA256);
  assert.deepEqual(await pixels('--guidance-weight', '2'), await pixels('--guidance-scale', '3'));
  await failsWith(2, generate('--label', '0', '--guidance-weight', '2', '--guidance-scale', '3', '--json'), /guidance-weight/);
});

test('--from makes the same bytes again: pictures, sheets, films, recipes in JSON; options override', async () => {
  const from = (...args) => run(['generate', '--model', tinyPath, ...args]);
  const bytes = (name) => readFileSync(inFolder(name));
  await succeeds(generate('--label', 'square', '--seed', '4', '--projection', '--negative-label', '0', '--output', 'first.png', '--film', 'film.png'));
  await succeeds(from('--from', 'first.png', '--output', 'again.png', '--film', 'film-again.png'));
  assert.deepEqual(bytes('again.png'), bytes('first.png'));
  assert.deepEqual(bytes('film-again.png'), bytes('film.png'));
  writeFileSync(inFolder('recipe.json'), await succeeds(run(['recipe', 'first.png'])));
  assert.deepEqual(new Uint8Array(await succeeds(from('--from', 'recipe.json', '--output', '-'))), new Uint8Array(bytes('first.png')));

  const args = ['--label', 'square,circle', '--count', '3', '--columns', '2', '--seed', '18446744073709551600'];
  await succeeds(generate(...args, '--output', 'sheet.png'));
  assert.deepEqual(new Uint8Array(await succeeds(from('--from', 'sheet.png', '--output', '-'))), new Uint8Array(bytes('sheet.png')));
  await succeeds(generate('--label', '0', '--count', '2', '--seed', '1', '--separate', '--output', 'apart.png'));
  await succeeds(from('--from', 'apart-0-circle-2.png', '--output', 'two.png'));
  assert.deepEqual(bytes('two.png'), bytes('apart-0-circle-2.png'));

  const changed = ['--label', '2', '--guidance-weight', '4', '--no-projection', '--no-negative-label'];
  const [{ options }] = [readRecipe(await succeeds(from('--from', 'first.png', ...changed, '--output', '-')))];
  assert.deepEqual(options, { ...readRecipe(bytes('first.png')).options, label: 2, labelName: 'triangle', guidanceScale: 5, projection: false, negativeLabel: null });
  assert.equal(readRecipe(await succeeds(from('--from', 'first.png', '--no-recipe', '--output', '-'))), null);
});

test('--from with a mixture, a variation, pictures and inversion', async () => {
  const [image, mask] = [await writePNG('image.png', slope), await writePNG('mask.png', disc)];
  const from = (file, ...args) => run(['generate', '--model', tinyPath, '--from', file, '--output', '-', ...args]);
  const inputs = ['--image', image.file, '--mask', mask.file];
  const inversion = ['--invert', image.file, '--invert-iterations', '2'];
  for (const [args, again] of [
    [['--mix', 'square:2,0:1', '--count', '2'], []],
    [['--label', '0,1', '--variation-seed', '18446744073709551000', '--variation-strength', '0.5', '--count', '2'], []],
    [['--label', '0', '--image', image.file, '--strength', '0.6'], ['--image', image.file]],
    [['--label', '0', ...inputs, '--strength', '0.7'], inputs],
    [['--label', '0', ...inputs, '--sampler', 'ddpm', '--resample', '3'], inputs],
    [['--label', '2', ...inversion, '--invert-label', '1'], [...inversion, '--invert-label', '1']],
    [['--label', '0', ...inversion], inversion],
  ]) {
    const first = await succeeds(generate('--seed', '4', ...args, '--output', 'edited.png').then((result) => ({ ...result, stdout: readFileSync(inFolder('edited.png')) })));
    assert.deepEqual(await succeeds(from('edited.png', ...again)), first, args.join(' '));
  }
  await failsWith(2, from('edited.png'), /--invert: the recipe was made with one/);
  await failsWith(2, from('edited.png', '--invert', mask.file), /--invert: is not the one/);
  const mixed = readRecipe(await succeeds(from('edited.png', '--mix', '1:1,2:1', ...inversion, '--invert-label', '0')));
  assert.deepEqual([mixed.options.label, mixed.options.classMix[1]], [null, { label: 2, weight: 1 }]);
});

test('sweep of mixtures, strengths and variations of a picture', async () => {
  const image = await writePNG('image.png', slope);
  const sweep = (...args) => run(['sweep', '--model', tinyPath, '--steps', '2', '--seed', '6', ...args]);
  await succeeds(sweep('--image', image.file, '--rows', 'mix=0:1,1:0;0:1,1:1', '--columns', 'strength=0.5,1', '--output', 'mixes.png'));
  await succeeds(run(['sweep', '--model', tinyPath, '--from', 'mixes.png', '--image', image.file, '--output', 'again.png']));
  assert.deepEqual(readFileSync(inFolder('again.png')), readFileSync(inFolder('mixes.png')));
  await succeeds(sweep('--label', '0', '--variation-seed', '3', '--rows', 'variation-strength=0,0.5', '--output', 'variations.png'));
  await failsWith(2, sweep('--label', '0', '--rows', 'mix=0:1,1:1', '--output', 'never.png'), /label: cannot be given together/);
  await failsWith(2, sweep('--label', '0', '--rows', 'image=a.png', '--output', 'never.png'), /no option "image"/);
  await failsWith(2, sweep('--rows', 'mix=0:1,9:1', '--output', 'never.png'), /--mix/);
  await failsWith(2, generate('--label', '0', '--image', image.file, '--strength', '0', '--film', 'never.png'), /0 of 2 steps/);
});

test('--from: what cannot be used', async () => {
  const from = (file, ...args) => run(['generate', '--model', tinyPath, '--from', file, '--output', 'never.png', ...args]);
  await succeeds(generate('--label', '0', '--seed', '1', '--output', 'good.png'));
  const good = readFileSync(inFolder('good.png'));
  const recipe = readRecipe(good);
  const written = (name, content) => {
    writeFileSync(inFolder(name), content);
    return name;
  };
  const json = (value) => written('given.json', JSON.stringify(value));
  await failsWith(1, from('missing.png'), /missing\.png/);
  await failsWith(1, from(written('cut.png', good.subarray(0, -20))), /RECIPE/);
  await failsWith(1, from(written('other.json', '{')), /other\.json: neither a PNG nor a recipe/);
  await succeeds(generate('--label', '0', '--no-recipe', '--output', 'without.png'));
  await failsWith(1, from('without.png'), /without\.png: this PNG holds no recipe/);
  await failsWith(2, from(json({ ...recipe, format: 9 })), /--from: has format 9/);
  await failsWith(2, from(json({ ...recipe, options: { ...recipe.options, eat: 1 } })), /unknown option "eat"/);
  await failsWith(2, from(json({ ...recipe, sheet: { labels: 'x', count: -1 } })), /--count/);
  await failsWith(2, from(json({ ...recipe, sheet: { labels: [7] } })), /label/);
  const other = json({ ...recipe, model: { ...recipe.model, sha256: '0'.repeat(64) } });
  await failsWith(1, from(other), /Tiny test model.*MODEL/);
  await succeeds(run(['generate', '--model', tinyPath, '--from', other, '--any-model', '--output', 'any.png']));
  assert.deepEqual(readFileSync(inFolder('any.png')), good);
  await failsWith(2, generate('--label', '0', '--any-model', '--output', 'never.png'), /--any-model/);
});

test('sweep: every cell is the picture that generate makes, and --from makes the sheet again', async () => {
  const args = ['sweep', '--model', tinyPath, '--label', 'square', '--steps', '2', '--seed', '6'];
  await succeeds(run([...args, '--rows', 'label=circle;2', '--columns', 'guidance-scale=1,3,5', '--zoom', '1', '--output', 'sweep.png']));
  const sheet = decodePNG(readFileSync(inFolder('sweep.png')));
  const model = await load(tinyPath);
  const at = (left, top) => Array.from({ length: 256 }, (_, index) => sheet.pixels[(top + Math.floor(index / 16)) * sheet.width + left + (index % 16)]);
  const pictures = [];
  for (const label of [0, 2]) {
    for (const guidanceScale of [1, 3, 5]) pictures.push(Array.from((await model.generate({ label, guidanceScale, steps: 2, seed: 6 })).pixels));
  }
  // Wherever the layout puts them: in order, at equal distances.
  const places = [];
  for (let top = 0; top + 16 <= sheet.height; top++) {
    for (let left = 0; left + 16 <= sheet.width; left++) {
      const index = pictures.findIndex((picture) => picture.every((value, k) => k > 31 || value === sheet.pixels[(top + (k >> 4)) * sheet.width + left + (k & 15)]));
      if (index >= 0 && at(left, top).every((value, k) => value === pictures[index][k])) places.push([index, left, top]);
    }
  }
  assert.deepEqual(places.map(([index]) => index), [0, 1, 2, 3, 4, 5]);
  assert.equal(new Set(places.map(([, , top]) => top)).size, 2);
  assert.equal(new Set(places.map(([, left]) => left)).size, 3);
  const { sheet: kept } = readRecipe(readFileSync(inFolder('sweep.png')));
  assert.deepEqual(kept, { rows: 'label=circle;2', columns: 'guidance-scale=1,3,5', zoom: 1 });
  for (const command of ['sweep', 'generate']) {
    await succeeds(run([command, '--model', tinyPath, '--from', 'sweep.png', '--output', 'sweep-again.png']));
    assert.deepEqual(readFileSync(inFolder('sweep-again.png')), readFileSync(inFolder('sweep.png')), command);
  }
  for (const option of [['--count', '2'], ['--columns', '2'], ['--film', 'never.png'], ['--json']]) {
    await failsWith(2, run(['generate', '--model', tinyPath, '--from', 'sweep.png', '--output', 'never.png', ...option]), new RegExp(`${option[0]}: not with --from of a sweep`));
  }
});

test('sweep: one axis, ranges, switches, names; wrong axes before any work', async () => {
  const sweep = (...args) => run(['sweep', '--model', tinyPath, '--label', '0', '--steps', '1', '--seed', '1', '--output', 'axis.png', ...args]);
  for (const axis of ['seed=1..3', 'steps=1,2', 'sampler=ddim,heun', 'time-grid=karras', 'projection=true,false', 'guidance-interval=0,50;10,99', 'guidance-interval=all,diverse',
    'negative-label=square,2', 'guidance-weight=0,1.5']) {
    assert.match(String(await succeeds(sweep('--columns', axis))), /axis\.png: 1 x \d pictures/);
  }
  writeFileSync(inFolder('axis.png'), 'untouched');
  for (const [axes, pattern] of [
    [[], /--rows or --columns/], [['--rows', 'sede=1'], /no option "sede"/], [['--rows', 'seed'], /seed=VALUE/], [['--rows', 'steps=1,x'], /steps=x/],
    [['--rows', 'steps=1,101'], /steps/], [['--rows', 'sampler=plms'], /plms/], [['--rows', 'seed=5..1'], /range/], [['--rows', 'seed=0..5000'], /range/],
    [['--rows', 'projection=1'], /true or false/], [['--rows', 'label=circle,cube'], /cube/], [['--rows', 'model=x'], /no option/],
    [['--rows', 'seed=1', '--columns', 'seed=2'], /both seed/], [['--columns', 'seed=1..900'], /pixels, more than 8192/],
    [['--rows', 'seed=1', '--zoom', '0.5'], /--zoom/], [['--rows', 'guidance-weight=1', '--guidance-scale', '2'], /--guidance-weight/],
  ]) await failsWith(2, sweep(...axes), pattern);
  assert.equal(readFileSync(inFolder('axis.png'), 'utf8'), 'untouched');
});

test('--film and --preview', async () => {
  await succeeds(generate('--label', '0', '--seed', '1', '--film', 'strip.png', '--preview', 'preview.png', '--output', 'shown.png'));
  assert.deepEqual(decodePNG(readFileSync(inFolder('preview.png'))), decodePNG(readFileSync(inFolder('shown.png'))), 'the last estimate');
  const guided = decodePNG(readFileSync(inFolder('strip.png')));
  await succeeds(generate('--label', '0', '--seed', '1', '--guidance-scale', '1', '--film', 'strip.png'));
  const unguided = decodePNG(readFileSync(inFolder('strip.png')));
  assert.equal(guided.height - unguided.height, 6 * 16 + 4, 'without guidance there is no difference to show');
  const many = String(await succeeds(generate('--label', '0', '--count', '2', '--steps', '30', '--film', 'strip.png')));
  assert.match(many, /^strip\.png: circle: 2 pictures/);
  await succeeds(generate('--label', '0', '--seed', '1', '--film', 'strip.png', '--film-planes', 'null, conditional'));
  const predictions = decodePNG(readFileSync(inFolder('strip.png')));
  assert.equal(guided.height - predictions.height, 6 * 16 + 4, 'two rows instead of three');
  assert.notDeepEqual(predictions.pixels, guided.pixels.subarray(0, predictions.pixels.length));
  await failsWith(2, generate('--label', '0', '--film', '-'), /--film/);
  await failsWith(2, generate('--label', '0', '--film', 'never.png', '--film-planes', 'x,y'), /--film-planes/);
  await failsWith(2, generate('--label', '0', '--film-planes', 'x', '--output', 'never.png'), /--film-planes: only with --film/);
  await failsWith(2, generate('--label', '0,1,2', '--count', '3', '--film', 'strip.png'), /--film/);
  await failsWith(2, generate('--label', '0', '--count', '2', '--preview', 'preview.png', '--output', 'shown.png'), /--preview/);
});

test('--trace: the norms of every plane of every network call, as the library has them', async () => {
  await succeeds(generate('--label', '0,square', '--seed', '18446744073709551615', '--guidance-interval', '60,99', '--trace', 'trace.json'));
  const { model: { sha256 }, pictures } = JSON.parse(readFileSync(inFolder('trace.json'), 'utf8'));
  const model = await load(tinyPath);
  assert.equal(sha256, model.info.sha256);
  assert.deepEqual(pictures.map(({ label }) => label), [0, 1]);
  for (const { label, seed, trace } of pictures) {
    const expected = (await model.generate({ label, seed: BigInt(seed), steps: 2, guidanceInterval: [60, 99], trace: true })).trace;
    assert.deepEqual(trace.map(({ timestep }) => timestep), [99, 49]);
    for (const [step, call] of expected.entries()) {
      for (const plane of ['x', 'x0', 'conditional', 'null', 'difference']) {
        assert.deepEqual(trace[step][plane], call[plane] && { norm: call[plane].norm, range: call[plane].range }, `${step}, ${plane}`);
      }
    }
    assert.equal(trace[1].null, null, 'outside the interval');
  }
  model.close();
  await failsWith(2, generate('--label', '0', '--trace', '-'), /--trace: must be the name of a file/);
});

test('wrong usage: status 2', async () => {
  await failsWith(2, run([]), /Usage/);
  await failsWith(2, run(['paint']), /unknown command 'paint'/);
  await failsWith(2, run(['info']), /missing required argument/);
  await failsWith(2, run(['info', tinyPath, 'more']), /too many arguments/);
  await failsWith(2, run(['generate', '--label', '0', '--output', '-']), /--model/);
  await failsWith(2, generate('--output', 'x.png'), /--label/);
  await failsWith(2, generate('--label', '0'), /--output/);
  await failsWith(2, generate('--label', '0', '--output', ''), /--output/);
  await failsWith(2, generate('--label', '0', '--output', '-', '--json'), /standard output/);
  await failsWith(2, generate('--label', '0', '--output', '-', '--separate'), /--separate/);
  await failsWith(2, generate('--label', '0', '--output', 'x.png', '--guidance-scal', '3'), /unknown option '--guidance-scal'[^]*--guidance-scale/);
  await failsWith(2, generate('--label', 'squar', '--output', 'never.png'), /did you mean "square"/);
  assert.deepEqual(readdirSync(folder).filter((name) => /never|tmp/.test(name)), []);
});

/** Values that are refused, with what else must be given for that. */
const REFUSED = {
  steps: ['0', '1.5', 'ten', '0x10', '101'], seed: ['-1', '1.5', '18446744073709551616'],
  sampler: ['plms', 'toString'], 'time-grid': ['cubic'], eta: ['-0.5', '1.5'], 'ddpm-mean': ['noise', 'v'], 'ddpm-variance': ['beta', 'learned'],
  'guidance-scale': ['-1', '101', 'NaN', ''], 'guidance-weight': ['-1.5', '100'], 'guidance-interval': ['3', '5,2', '0,100', 'most'], enlarge: ['0', '1.5', '257'],
  'guidance-schedule': ['steps'], 'negative-label': ['cube'], 'keep-parallel': ['2'], momentum: ['1.5'],
  'norm-threshold': ['-1'], rescale: ['2'], 'dynamic-threshold': ['1.1'],
  label: ['cube', '3', '-1', '', 'circle,,square'], mix: ['0:1', '0:-1,1:1', '0:1,cube:1', '0,1'],
  'mix-mode': ['pixels'], image: ['missing.png', 'refused8.png'], strength: ['1.1'], mask: ['refused8.png', 'refused.png'],
  'mask-threshold': ['-1', '256', '1.5'], resample: ['0', '101'], 'variation-seed': ['-1'], 'variation-strength': ['1.1'],
  invert: ['missing.png', 'refused8.png'], 'invert-label': ['cube'], 'invert-iterations': ['0', '101'],
  count: ['0', '1.5'], columns: ['0'], 'film-planes': ['y'], film: ['-'], trace: [''], preview: ['-'],
};
const BESIDE = {
  strength: ['--image', 'refused.png'], mask: ['--image', 'refused.png'], 'mask-threshold': ['--image', 'refused.png', '--mask', 'refused-mask.png'], resample: ['--image', 'refused.png', '--mask', 'refused-mask.png'],
  'variation-strength': ['--variation-seed', '1'], 'invert-label': ['--invert', 'refused.png'], 'invert-iterations': ['--invert', 'refused.png'],
};

test('every option out of range is refused by name', async () => {
  await writePNG('refused.png', slope);
  await writePNG('refused8.png', slope, 1, 8);
  await writePNG('refused-mask.png', disc);
  const help = String(await succeeds(run(['generate', '--help'])));
  const taking = Array.from(help.matchAll(/^ {2}--([a-z-]+) </gm), ([, name]) => name);
  assert.deepEqual(taking.filter((name) => !Object.hasOwn(REFUSED, name)), ['model', 'from', 'output'], 'the options that have tests of their own');
  for (const [name, values] of Object.entries(REFUSED)) {
    await Promise.all(values.map((value) => {
      const label = ['label', 'mix'].includes(name) ? [] : ['--label', '0'];
      return failsWith(2, generate(...label, ...BESIDE[name] ?? [], `--${name}=${value}`, '--output', 'never.png'), new RegExp(`(pocket-diffusion: |option ')--${name}\\b`));
    }));
  }
  assert.deepEqual(readdirSync(folder).filter((name) => /never|tmp/.test(name)), []);
});

test('failures: status 1 and one line', async () => {
  await failsWith(1, run(['info', 'missing.gguf']), /missing\.gguf.*FILE/);
  await failsWith(1, run(['info', folder]), /FILE/);
  await failsWith(1, run(['info', join(root, 'package.json')]), /MAGIC/);
  writeFileSync(inFolder('cut.gguf'), tinyBytes.subarray(0, 100_000));
  await failsWith(1, run(['info', 'cut.gguf']), /SHORT/);
  await failsWith(1, generate('--label', '0', '--output', 'no/such/folder/x.png'), /no\/such\/folder/);
  await failsWith(1, generate('--label', '0', '--output', folder), /EISDIR|directory/);
});

test('an existing file is replaced, a link stays a link, a device is left in place', async () => {
  const file = inFolder('existing.png');
  writeFileSync(file, 'old');
  symlinkSync(file, inFolder('link.png'));
  await succeeds(generate('--label', '0', '--output', 'link.png'));
  assert.ok(lstatSync(inFolder('link.png')).isSymbolicLink());
  decodePNG(readFileSync(file));
  await succeeds(generate('--label', '0', '--output', '/dev/null'));
  assert.ok(statSync('/dev/null').isCharacterDevice());
});

test('names in a model do not steer the terminal', async () => {
  const bytes = Buffer.from(tinyBytes);
  const at = bytes.indexOf('Tiny test model');
  bytes.write('\u001b[31m', at, 'latin1');
  writeFileSync(inFolder('escape.gguf'), bytes);
  const { stdout, stderr } = await run(['info', 'escape.gguf']);
  assert.ok(!stdout.includes(0x1b) && !stderr.includes('\u001b'));
});

for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143]]) {
  test(`${signal} stops the work, says so, and leaves no file`, async () => {
    let child;
    // Once the model has been asked for, the signal is handled.
    const serve = (request, response) => response.end(tinyBytes, () => setTimeout(() => child.kill(signal), 300));
    const result = await withServer(serve, (base) => {
      const args = ['generate', '--model', base, '--label', '0', '--steps', '100', '--count', '100000', '--output', 'stopped.png'];
      return run(args, (started) => { child = started; });
    });
    assert.equal(result.status, status, result.stderr);
    assert.match(result.stderr, new RegExp(`^pocket-diffusion: stopped by ${signal}\n$`));
    assert.deepEqual(readdirSync(folder).filter((name) => name.includes('stopped')), []);
  });
}

test('a reader that goes away', async () => {
  const { status } = await run(['info', doodlesPath, '--json'], (child) => child.stdout.destroy());
  assert.equal(status, 1);
});

test('a progress bar on a terminal only, and on standard error', async (context) => {
  // script(1) of util-linux gives the command a terminal.
  const command = `'${process.execPath}' '${join(root, 'web', 'cli.mjs')}' generate --model '${tinyPath}' --label 0 --steps 50 --count 20 --output terminal.png >stdout.txt`;
  const child = spawn('script', ['-qec', command, '/dev/null'], { cwd: folder });
  const output = [];
  child.stdout.on('data', (data) => output.push(data));
  const status = await new Promise((resolve) => child.on('close', resolve).on('error', () => resolve(null)));
  if (status === null) return context.skip('script(1) is not installed');
  assert.equal(status, 0, String(Buffer.concat(output)));
  assert.match(Buffer.concat(output).toString(), /picture \d+ of 20/);
  assert.match(readFileSync(inFolder('stdout.txt'), 'utf8'), /^terminal\.png: /);
});
