// Fonts of several seeds as the command line makes them: fontTools and FreeType have no complaint, their outlines are those of
// the enlarged pictures, and browsers set a paragraph in them. Two fonts, or, where the stage is named, ten.
// POCKET_DIFFUSION_FONTS may name a folder for the fonts and the paragraphs, which stays.

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Resvg } from '@resvg/resvg-js';
import { load } from 'pocket-diffusion';
import { root } from '../node/helpers.mjs';
import { decodePNG } from '../node/png_reader.mjs';
import { BROWSERS, launch } from './browsers.mjs';

const SEEDS = Array.from({ length: process.env.POCKET_DIFFUSION_HOSTS === 'few' ? 2 : 10 }, (_, index) => index + 1);
/** Of every font, compared with their pictures. */
const COMPARED = 'agQRS8mx';
const ENLARGEMENT = 8;
/** Of the ink, as docs/lettering.md has it. */
const MOST_DIFFERENCE = 0.02;
const PARAGRAPH = 'The quick brown fox jumps over 13 lazy dogs while Avatar Toy waves to 27 types of quartz and VIEWS 4680 WAXY KNIGHTS of Pocket Diffusion';

const kept = process.env.POCKET_DIFFUSION_FONTS;
const folder = kept ?? mkdtempSync(join(tmpdir(), 'pocket-diffusion-fonts-'));
const pathOf = (seed) => join(folder, `pocket-${seed}.otf`);
const python = join(root, '.venv/bin/python');
const noPython = !existsSync(python) && 'scripts/setup.sh python installs fontTools';
after(() => kept ?? rmSync(folder, { recursive: true }));

before(async () => {
  mkdirSync(folder, { recursive: true });
  for (const seed of SEEDS) {
    if (existsSync(pathOf(seed))) continue; // in a folder of one's own
    await promisify(execFile)(process.execPath, [join(root, 'web/cli.mjs'), 'font', '--model', join(root, 'weights/letters-fast.gguf'), '--seed', String(seed), '--output', pathOf(seed)]);
  }
});

/** Reads every table, draws every glyph, and writes some as paths of SVG, in units. */
const PROGRAM = `
import json, logging, sys
logging.basicConfig(level=logging.WARNING)
from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.ttLib import TTFont
seen = {}
for path in sys.argv[2:]:
    font = TTFont(path, checkChecksums=2)
    for tag in font.keys():
        font[tag]
    glyphs, cmap = font.getGlyphSet(), font.getBestCmap()
    paths = {}
    for code, name in cmap.items():
        pen = SVGPathPen(glyphs)
        glyphs[name].draw(pen)
        if chr(code) in sys.argv[1]:
            paths[chr(code)] = pen.getCommands()
    seen[path] = {"paths": paths, "characters": len(cmap)}
print(json.dumps(seen))
`;

/** Which pixels are ink, and the mean of their places. */
function inkOf(levels, width) {
  let [sum, x, y] = [0, 0, 0];
  const ink = Uint8Array.from(levels, (level) => Number(level < 128));
  ink.forEach((each, index) => {
    sum += each;
    x += each * (index % width);
    y += each * Math.floor(index / width);
  });
  return { ink, sum, x: x / sum, y: y / sum };
}

test('fontTools and FreeType have no complaint, and outlines are those of the enlarged pictures', { skip: noPython }, async (t) => {
  const { stdout, stderr, status } = spawnSync(python, ['-c', PROGRAM, COMPARED, ...SEEDS.map(pathOf)], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  assert.deepEqual([status, stderr], [0, '']);
  const seen = JSON.parse(stdout);
  const scan = spawnSync('fc-scan', SEEDS.map(pathOf), { encoding: 'utf8' });
  assert.ok(!scan.error || process.env.POCKET_DIFFUSION_HOSTS === 'few', 'fc-scan is missing: scripts/setup.sh browsers installs it');
  if (scan.error) t.diagnostic('fc-scan is missing');
  else {
    assert.equal(scan.stderr, '');
    for (const seed of SEEDS) assert.ok(scan.stdout.includes(`family: "Pocket letters-fast ${seed}"`), `seed ${seed}`);
  }
  const model = await load(join(root, 'weights/letters-fast.gguf'));
  const side = 64 * ENLARGEMENT;
  const perUnit = (0.94 * 64 * ENLARGEMENT) / 2000; // pixels: the em is as many sides of the picture
  const shares = [];
  for (const seed of SEEDS) {
    const { paths, characters } = seen[pathOf(seed)];
    assert.equal(characters, 62 + 2);
    for (const label of COMPARED) {
      const { pixels } = decodePNG(await (await model.generate({ label, seed })).toPNG({ scale: ENLARGEMENT }));
      const expected = inkOf(pixels, side);
      const draw = (x, y) => {
        const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}"><path fill-rule="evenodd" transform="translate(${x} ${y}) scale(${perUnit} ${-perUnit})" d="${paths[label]}"/></svg>`;
        const rgba = new Resvg(svg, { background: 'white' }).render().pixels;
        return inkOf(rgba.filter((_, index) => index % 4 === 0), side);
      };
      // A glyph has its own left edge and stands on the baseline: its middle is moved to that of the picture's ink.
      // The first one may be cut off.
      let [x, y, drawn] = [0, side * 0.75, null];
      for (let go = 0; go < 3; go++) {
        drawn = draw(x, y);
        [x, y] = [x + expected.x - drawn.x, y + expected.y - drawn.y];
      }
      const different = expected.ink.reduce((count, each, index) => count + Number(each !== drawn.ink[index]), 0);
      shares.push({ seed, label, share: different / expected.sum, all: expected.sum, different });
    }
  }
  await model.close();
  const worst = shares.reduce((a, b) => (b.share > a.share ? b : a));
  for (const seed of SEEDS) {
    const own = shares.filter((each) => each.seed === seed);
    const share = own.reduce((sum, each) => sum + each.different, 0) / own.reduce((sum, each) => sum + each.all, 0);
    t.diagnostic(`seed ${seed}: ${(100 * share).toFixed(2)} % of the ink`);
    assert.ok(share <= MOST_DIFFERENCE, `seed ${seed}: ${share}`);
  }
  t.diagnostic(`worst letter: ${worst.label} of seed ${worst.seed}, ${(100 * worst.share).toFixed(2)} %`);
});

test('browsers set a paragraph in them', async () => {
  const faces = SEEDS.map((seed) => `@font-face { font-family: "seed ${seed}"; src: url("pocket-${seed}.otf"); }`).join('\n');
  const paragraphs = SEEDS.map((seed) => `<p style="font-family: 'seed ${seed}', monospace">${PARAGRAPH}</p>`).join('\n');
  const html = `<!DOCTYPE html><meta charset="utf-8"><title>Fonts</title><link rel="icon" href="data:,"><style>${faces} body { margin: 16px; width: 900px } p { margin: 0 0 14px; font-size: 26px; line-height: 1.25 }</style>${paragraphs}`;
  const server = createServer((request, response) => {
    const file = /^\/(pocket-\d+\.otf)$/.exec(request.url)?.[1];
    response.writeHead(200, { 'Content-Type': file ? 'font/otf' : 'text/html' }).end(file ? readFileSync(join(folder, file)) : html);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    for (const name of BROWSERS) {
      const { browser, close } = await launch(name);
      const page = await browser.newPage();
      const messages = [];
      page.on('console', (message) => messages.push(message.text()));
      await page.setViewport({ width: 960, height: 600, deviceScaleFactor: 2 });
      await page.goto(`http://127.0.0.1:${server.address().port}/`);
      const seen = await page.evaluate(async () => {
        await document.fonts.ready;
        const context = document.createElement('canvas').getContext('2d');
        const widthOf = (font, text) => {
          context.font = `100px ${font}`;
          return context.measureText(text).width;
        };
        return [...document.fonts].map(({ family, status }) => {
          const name = JSON.stringify(family.replaceAll('"', ''));
          const own = widthOf(`${name}, monospace`, 'iiii') !== widthOf('monospace', 'iiii');
          return { status, own, kerned: ['AV', 'To', 'Ty', 'WA'].some((pair) => widthOf(name, pair) < widthOf(name, pair[0]) + widthOf(name, pair[1]) - 0.1) };
        });
      });
      if (kept) await page.screenshot({ path: join(folder, `paragraphs-${name}.png`), fullPage: true });
      await close();
      assert.deepEqual(messages, [], 'no font is refused');
      assert.deepEqual(seen.map(({ status, own }) => [status, own]), SEEDS.map(() => ['loaded', true]), name);
      assert.deepEqual(seen.map(({ kerned }) => kerned), SEEDS.map(() => true), `${name} kerns`);
    }
  } finally {
    server.close();
  }
});
