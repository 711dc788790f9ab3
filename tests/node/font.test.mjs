// The font of a seed, as other programs see it: fontTools reads every table, FreeType scans it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { load } from 'pocket-diffusion';
import { makeFont } from 'pocket-diffusion/font';
import { lettersModel } from '../browser/letters_model.mjs';
import { hash, root } from './helpers.mjs';

const folder = mkdtempSync(join(tmpdir(), 'pocket-diffusion-font-'));
after(() => rmSync(folder, { recursive: true }));
const python = join(root, '.venv/bin/python');
const noPython = !existsSync(python) && 'scripts/setup.sh python installs fontTools'; // where it is set up, fontTools has to be there
const hasFontconfig = spawnSync('fc-scan', ['--version']).status === 0;

const SEED = 7;
/** 2000-01-01, in seconds since 1904. */
const DATE = 3_029_529_600;
/** Few: what the letters look like does not matter to tables. */
const STEPS = 4;
const path = join(folder, 'seed.otf');
let model;
let made;
before(async () => {
  model = await load(`${root}/weights/letters.gguf`);
  const progress = [];
  made = await makeFont(model, { seed: SEED, steps: STEPS, sampler: 'ddim', onProgress: ({ done, total }) => progress.push([done, total]) });
  assert.deepEqual(progress.at(-1), [62, 62]);
  writeFileSync(path, made.bytes);
});
after(() => model.close());

/** What fontTools says of it; any warning of it is on standard error. */
const PROGRAM = `
import json, logging, sys
logging.basicConfig(level=logging.WARNING)
from fontTools.pens.areaPen import AreaPen
from fontTools.pens.boundsPen import BoundsPen
from fontTools.ttLib import TTFont
font = TTFont(sys.argv[1], checkChecksums=2)
for tag in font.keys():
    font[tag]
glyphs = font.getGlyphSet()
def about(name):
    area, bounds = AreaPen(glyphs), BoundsPen(glyphs)
    glyphs[name].draw(area)
    glyphs[name].draw(bounds)
    return {"width": glyphs[name].width, "area": area.value, "bounds": bounds.bounds}
cmap = font.getBestCmap()
subtable = font["GPOS"].table.LookupList.Lookup[0].SubTable[0]
pairs = {f"{first} {record.SecondGlyph}": record.Value1.XAdvance
         for first, pairset in zip(subtable.Coverage.glyphs, subtable.PairSet) for record in pairset.PairValueRecord}
names = {record.nameID: record.toUnicode() for record in font["name"].names if record.platformID == 3}
print(json.dumps({
    "cmap": {chr(code): about(name) for code, name in cmap.items()}, "names": names, "pairs": {"AV": pairs.get(f"{cmap[65]} {cmap[86]}"), "count": len(pairs)},
    "features": [record.FeatureTag for record in font["GPOS"].table.FeatureList.FeatureRecord],
    "head": [font["head"].unitsPerEm, font["hhea"].ascent, font["hhea"].descent],
    "date": font["head"].modified,
}))
`;

test('fontTools has no complaint: tables, checksums, names, every letter with its width', { skip: noPython }, () => {
  const { stdout, stderr, status } = spawnSync(python, ['-c', PROGRAM, path], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '');
  const seen = JSON.parse(stdout);
  assert.deepEqual(Object.keys(seen.cmap).sort(), [...model.labels, ' ', '\u00a0'].sort());
  for (const label of model.labels) {
    const { width, area, bounds } = seen.cmap[label];
    assert.ok(width > 200 && width < 2400, `${label} is ${width} wide`);
    assert.ok(Math.abs(area) > 20_000, `${label} has an area of ${area}`);
    assert.ok(bounds[0] > -600 && bounds[2] < width + 600, `${label} from ${bounds[0]} to ${bounds[2]}`);
  }
  // Letters stand on the baseline; those that hang below it do.
  for (const label of 'HEx') assert.ok(Math.abs(seen.cmap[label].bounds[1]) < 60, `${label} at ${seen.cmap[label].bounds[1]}`);
  for (const label of 'pg') assert.ok(seen.cmap[label].bounds[1] < -80, `${label} at ${seen.cmap[label].bounds[1]}`);
  assert.ok(seen.cmap.i.width < seen.cmap.m.width);
  assert.deepEqual(seen.features, ['kern']);
  assert.ok(seen.pairs.AV < -20, `A and V: ${seen.pairs.AV}`);
  assert.equal(seen.pairs.count, made.kerningPairs);
  assert.equal(seen.names[1], 'Pocket letters 7');
  assert.match(seen.names[13], /licence is MIT/);
  const recipe = JSON.parse(seen.names[10]);
  assert.deepEqual(recipe, JSON.parse(JSON.stringify(made.recipe)));
  assert.deepEqual([recipe.options.seed, recipe.sheet.labels.length], [SEED, 62]);
  const [unitsPerEm, ascent, descent] = seen.head;
  assert.equal(unitsPerEm, 2000);
  assert.ok(ascent > seen.cmap.H.bounds[3] - 1 && descent < seen.cmap.g.bounds[1] + 1, `${ascent}, ${descent}`);
  assert.equal(seen.date, DATE, 'not when it was made: the same bytes');
});

test('FreeType reads it', { skip: !hasFontconfig }, () => {
  const { stdout, stderr } = spawnSync('fc-scan', [path], { encoding: 'utf8' });
  assert.equal(stderr, '');
  assert.match(stdout, /family: "Pocket letters 7"/);
  assert.match(stdout, /fontformat: "CFF"/);
});

test('the same letters are the same bytes, and the command line makes them', async () => {
  const [file, output] = ['tiny.gguf', 'command.otf'].map((name) => join(folder, name));
  writeFileSync(file, await lettersModel());
  const flags = ['--seed', '7', '--steps', '2', '--sampler', 'ddim', '--name', 'Own'];
  const stdout = execFileSync(process.execPath, [`${root}/web/cli.mjs`, 'font', '--model', file, ...flags, '--output', output], { encoding: 'utf8' });
  assert.match(stdout, /command\.otf: Own, 3 letters, \d+ pairs kerned, \d+ bytes/);
  const tiny = await load(file);
  assert.equal(hash(readFileSync(output)), hash((await makeFont(tiny, { seed: 7, steps: 2, sampler: 'ddim', name: 'Own' })).bytes));
  tiny.close();
});

test('names of any length and script, and of each variation', async () => {
  const tiny = await load(await lettersModel());
  const options = { seed: 1, steps: 1 };
  const families = await Promise.all([{}, { variationSeed: 2, variationStrength: 0.5 }, { variationSeed: 3, variationStrength: 0.5 }, { variationSeed: 2, variationStrength: 0.25 }]
    .map(async (variation) => (await makeFont(tiny, { ...options, ...variation })).family));
  assert.equal(new Set(families).size, 4, String(families));
  assert.ok(families.every((family) => family.length <= 60));
  assert.equal((await makeFont(tiny, { ...options, name: '😀'.repeat(61) })).family, '😀'.repeat(60));
  await assert.rejects(makeFont(tiny, { ...options, license: 'x'.repeat(10_001) }), { name: 'PocketDiffusionError', code: 'TOO_BIG', message: /more than 10000 characters/ });
  tiny.close();
});

test('names for PostScript, and long texts about the licence', { skip: noPython }, async () => {
  const tiny = await load(await lettersModel());
  const postScript = async (name, license) => {
    writeFileSync(join(folder, 'named.otf'), (await makeFont(tiny, { seed: 1, steps: 1, name, license })).bytes);
    return execFileSync(python, ['-c', 'import sys; from fontTools.ttLib import TTFont; font = TTFont(sys.argv[1]); print(font["name"].getDebugName(6), len(font["name"].getDebugName(13)))', join(folder, 'named.otf')], { encoding: 'utf8' }).trim();
  };
  assert.equal(await postScript('a'.repeat(60), 'x'.repeat(10_000)), `${'a'.repeat(55)}-Regular 10000`);
  assert.equal(await postScript('字', 'x'), 'PocketDiffusion-Regular 1');
  tiny.close();
});

test('no character has two glyphs, and glyphs beyond U+FFFF have names that programs know', { skip: noPython }, async () => {
  const greek = await load(await lettersModel(['σ', 'ς', '😀']));
  writeFileSync(join(folder, 'greek.otf'), (await makeFont(greek, { seed: 1, steps: 1 })).bytes);
  greek.close();
  const stdout = execFileSync(python, ['-c', 'import json, sys; from fontTools.ttLib import TTFont; print(json.dumps(TTFont(sys.argv[1]).getBestCmap()))', join(folder, 'greek.otf')], { encoding: 'utf8' });
  const { 0x3a3: capital, 0x3c3: medial, 0x3c2: final, 0x1f600: face } = JSON.parse(stdout);
  assert.deepEqual([capital, medial, final, face], ['uni03C3', 'uni03C3', 'uni03C2', 'u1F600']);
});

test('a letter that is there in one case stands for both', { skip: noPython }, async () => {
  const tiny = await load(await lettersModel());
  writeFileSync(join(folder, 'tiny.otf'), (await makeFont(tiny, { seed: 1, steps: 2 })).bytes);
  tiny.close();
  const codes = execFileSync(python, ['-c', 'import sys; from fontTools.ttLib import TTFont; print("".join(map(chr, TTFont(sys.argv[1]).getBestCmap())))', join(folder, 'tiny.otf')], { encoding: 'utf8' });
  for (const letter of 'ABCabc') assert.ok(codes.includes(letter), letter);
});

test('own names; what is not of a font; what is no model of letters', async () => {
  const tiny = await load(await lettersModel());
  const font = await makeFont(tiny, { seed: 1, steps: 2, name: '  Über "All" ', license: 'Own' });
  assert.equal(font.family, 'Über "All"');
  for (const [name, value] of [['name', ''], ['license', 3], ['label', 'A'], ['classMix', []], ['recipe', {}], ['image', {}], ['mask', {}], ['noise', new Float32Array(1)]]) {
    await assert.rejects(makeFont(tiny, { [name]: value }), { argument: name });
  }
  tiny.close();
  const doodles = await load(`${root}/weights/doodles.gguf`);
  await assert.rejects(makeFont(doodles), { name: 'RangeError', argument: 'model' });
  doodles.close();
  const command = (...flags) => spawnSync(process.execPath, [`${root}/web/cli.mjs`, 'font', '--model', `${root}/tests/golden/tiny.gguf`, ...flags], { encoding: 'utf8' });
  for (const flag of ['--invert-label', '--image', '--label', '--from']) {
    const { status, stderr } = command(flag, 'circle', '--output', 'font.otf');
    assert.deepEqual([status, stderr.includes(`${flag}: not of a font`)], [2, true], stderr);
  }
  assert.equal(command('--any-model', '--output', 'font.otf').status, 2);
  const refused = command('--output', 'font.ttf');
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /--output: must be the name of a file that ends in \.otf/);
});
