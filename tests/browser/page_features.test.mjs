// What the page offers beside its grid: sweep, comparison, words, films, own models, links, copies for later.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { load, readRecipe } from 'pocket-diffusion';
import { modelPath } from '../native_pictures.mjs';
import { decodePNG } from '../node/png_reader.mjs';
import { ENGINES, MORE_ENGINES, launch, openPage, settled } from './browsers.mjs';
import { lastFrame, meanDifference, playFilm, probeFilm } from './films.mjs';
import { lettersModel } from './letters_model.mjs';
import {
  change, downloaded, dropFile, pickClass, pixelsOf, pixelsOfGrid, setNumber, stateOf, tabOnShow, textOf,
} from './page_tools.mjs';
import { serveSite, visit } from './server.mjs';

const tinyPath = new URL('../golden/tiny.gguf', import.meta.url);
const HASH = '#label=cat&s=3&seed=7&steps=10&sampler=ddim&count=6';
const FIRST = { label: 'cat', guidanceScale: 3, seed: 7, steps: 10, sampler: 'ddim' };

let doodles;
let letters;
before(async () => {
  doodles = await load(modelPath);
  letters = await load(await lettersModel());
});
after(() => {
  doodles.close();
  letters.close();
});

/** Pixels of one picture by Node. */
const pixelsByNode = async (options, model = doodles) => Array.from((await model.generate(options)).pixels);

/** The top left pixel of each square of `factor` pixels; all others must equal it. */
function shrink({ width, height, channels, pixels }, factor) {
  assert.equal(channels, 1);
  const small = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = pixels[y * width + x];
      if (y % factor === 0 && x % factor === 0) small.push(value);
      else if (value !== pixels[(y - (y % factor)) * width + x - (x % factor)]) assert.fail(`no square at ${x}, ${y}`);
    }
  }
  return small;
}

/** Frames of an animated picture, first channel, and how long each is shown, by the browser's own decoder. */
const decodeAnimation = async (page, bytes) => {
  const film = await page.evaluate(async (base64) => {
    const data = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const decoder = new ImageDecoder({ type: 'image/png', data });
    await decoder.tracks.ready;
    const { frameCount, animated, repetitionCount } = decoder.tracks.selectedTrack;
    const frames = [];
    for (let frameIndex = 0; frameIndex < frameCount; frameIndex++) {
      const { image } = await decoder.decode({ frameIndex });
      const { duration } = image;
      const canvas = new OffscreenCanvas(image.displayWidth, image.displayHeight);
      const context = canvas.getContext('2d', { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      const { data: rgba } = context.getImageData(0, 0, canvas.width, canvas.height);
      image.close();
      frames.push({ width: canvas.width, duration, pixels: btoa(Array.from({ length: rgba.length / 4 }, (_, index) => String.fromCharCode(rgba[index * 4])).join('')) });
    }
    return { animated, repetitionCount: String(repetitionCount), frames };
  }, bytes.toString('base64'));
  for (const frame of film.frames) frame.pixels = Buffer.from(frame.pixels, 'base64');
  return film;
};

/** Whether an animated picture of squares of 8 pixels comes to show these pixels, and others before. */
const plays = (page, bytes, pixels) => page.evaluate(async (base64, last) => {
  const data = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const image = Object.assign(new Image(), { src: URL.createObjectURL(new Blob([data], { type: 'image/png' })) });
  await image.decode();
  document.body.append(image);
  image.scrollIntoView();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const looks = new Set();
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    context.drawImage(image, 0, 0);
    const { data: rgba } = context.getImageData(0, 0, canvas.width, canvas.height);
    const side = canvas.width / 8;
    const seen = Array.from({ length: side * side }, (_, index) => rgba[4 * (Math.floor(index / side) * 8 * canvas.width + (index % side) * 8)]);
    looks.add(String(seen));
    if (looks.size > 1 && seen.every((value, index) => value === last[index])) break;
  }
  image.remove();
  return looks.size;
}, bytes.toString('base64'), pixels);

for (const name of MORE_ENGINES) {
  describe(`features of the page in ${name}`, () => {
    let site;
    let session;
    let page;
    let troubles;
    let leave;
    before(async () => {
      ({ site, session, page, troubles, leave } = await visit(name, HASH));
      await settled(page);
    });
    after(() => leave?.());

    test('every class has a picture in the picker', async () => {
      await page.waitForFunction(() => [...document.querySelectorAll('.class canvas')].every(({ width }) => width === 32));
      const pictures = await pixelsOf(page, '.class canvas');
      assert.equal(pictures.length, doodles.labels.length);
      for (const [label, pixels] of pictures.entries()) {
        assert.deepEqual(pixels, await pixelsByNode({ label, guidanceScale: 3, seed: 3, steps: 10 }));
      }
    });

    test('the sweep shows one seed over all scales, and a click on one uses it', async () => {
      await page.$eval('#sweep', (row) => row.scrollIntoView());
      await page.waitForSelector('#sweep[data-state="done"]', { timeout: 30_000 });
      const row = await pixelsOf(page, '#sweep canvas');
      assert.equal(row.length, 11);
      for (const guidanceScale of [0, 1, 10]) assert.deepEqual(row[guidanceScale], await pixelsByNode({ ...FIRST, guidanceScale }));
      await change(page, () => page.click('#sweep button:nth-child(6)'));
      assert.equal(await textOf(page, '#scale-value'), '5.0');
      assert.deepEqual((await pixelsOfGrid(page))[0], row[5]);
      assert.equal(await page.$eval('#sweep button:nth-child(6)', (button) => button.getAttribute('aria-pressed')), 'true');
      await change(page, () => page.click('#recommended'));
    });

    test('a moment of the strip is shown large', async () => {
      const large = async () => (await pixelsOf(page, '#big'))[0];
      const finished = await large();
      await page.click('#film-state .tile:nth-child(3)');
      const [third] = await pixelsOf(page, '#film-state .tile:nth-child(3) canvas');
      assert.deepEqual(await large(), third);
      assert.match(await textOf(page, '#chosen-options'), /^step \d+ of 10 · t = \d+$/);
      await page.click('#film-preview .tile:last-child');
      assert.deepEqual(await large(), finished);
      await page.click('#play');
      assert.notDeepEqual(await large(), finished, 'from noise');
      await page.waitForFunction((wanted) => {
        const canvas = document.getElementById('big');
        const { data } = canvas.getContext('2d', { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height);
        return wanted.every((value, index) => data[index * 4] === value);
      }, {}, finished);
    });

    test('saves the picture enlarged, a sheet, and a film that other programs can play', async () => {
      await page.select('#size', '8');
      const grid = await pixelsOfGrid(page);
      await page.click('#save');
      const file = await downloaded(session.downloads, 'cat-s3-seed7.png');
      const picture = decodePNG(file);
      assert.equal(picture.width, 256);
      const byNode = await doodles.generate({ recipe: readRecipe(file) });
      assert.deepEqual(Array.from(byNode.pixels), grid[0]);
      assert.deepEqual(picture, decodePNG(await byNode.toPNG({ scale: 8 })));

      // Up to 4096 pixels, and without the paper.
      assert.equal(await page.$$eval('#size option', (options) => options.at(-1).textContent), '4096 × 4096');
      await page.click('#transparent');
      await page.click('#save');
      const cut = decodePNG(await downloaded(session.downloads, 'cat-s3-seed7.png'));
      assert.deepEqual(cut, decodePNG(await byNode.toPNG({ scale: 8, transparent: true })));
      assert.equal(cut.channels, 2);
      await page.click('#transparent');

      await page.select('#size', '1');
      await page.click('#save-sheet');
      const sheetFile = await downloaded(session.downloads, 'cat-s3-seed7-sheet.png');
      assert.deepEqual(readRecipe(sheetFile).sheet, { labels: [doodles.labels.indexOf('cat')], count: 6, columns: 3 });
      assert.equal(readRecipe(sheetFile).options.seed, 7);
      const sheet = decodePNG(sheetFile);
      assert.deepEqual([sheet.width, sheet.height], [3 * 32, 2 * 32]);
      const fifth = Array.from({ length: 32 * 32 }, (_, index) => sheet.pixels[(32 + Math.floor(index / 32)) * 96 + 32 + (index % 32)]);
      assert.deepEqual(fifth, grid[4]);

      await page.select('#size', '8');
      assert.ok(!site.requests.some((path) => /^(gif|webm)-/.test(path)), 'what writes films is fetched when it is used');
      for (const kind of await page.$$eval('#film-kind option', (options) => options.map(({ value }) => value).filter((value) => value !== 'apng'))) {
        await page.select('#film-kind', kind);
        await page.click('#save-film');
        const file = await downloaded(session.downloads, `cat-s3-seed7-film.${kind}`);
        // Ten moments, and a rest on the last one.
        const { codec, width, height, frames } = probeFilm(file);
        assert.deepEqual([width, height, frames], [256, 256, kind === 'gif' ? 10 : 71], codec);
        const error = meanDifference(lastFrame(file, 256 * 256), picture.pixels);
        assert.ok(error <= (kind === 'gif' ? 0 : 6), `${kind}: the last frame differs by ${error}`);
        await playFilm(session.browser, file, kind);
      }
      await page.select('#film-kind', 'apng');
      await page.click('#save-film');
      const filmFile = await downloaded(session.downloads, 'cat-s3-seed7-film.png');
      assert.deepEqual(await pixelsByNode(readRecipe(filmFile)), grid[0]);
      assert.ok(await plays(page, filmFile, grid[0]), 'ends with the picture');
      if (name === 'webkit') return; // takes no film to pieces
      const film = await decodeAnimation(page, filmFile);
      assert.equal(film.animated, true);
      assert.equal(film.repetitionCount, 'Infinity');
      assert.equal(film.frames.length, 10);
      assert.deepEqual(Array.from(film.frames.at(-1).pixels), Array.from(picture.pixels));
      const [{ width, pixels }] = film.frames;
      const strip = await pixelsOf(page, '#film-state canvas');
      assert.deepEqual(shrink({ width, height: width, channels: 1, pixels }, 8), strip[0]);
      assert.ok(film.frames.at(-1).duration > film.frames[0].duration, 'rests on the picture');
    });

    test('two settings side by side', async () => {
      const a = await pixelsOfGrid(page);
      await page.click('#pin');
      assert.deepEqual(await pixelsOf(page, '#pinned-grid canvas'), a);
      assert.equal(await textOf(page, '#side-text'), 'The same as A: change a setting.');
      await change(page, () => page.click('#sweep button:nth-child(2)'));
      const b = await pixelsOfGrid(page);
      assert.deepEqual(b[0], await pixelsByNode({ ...FIRST, guidanceScale: 1 }));
      assert.deepEqual(await pixelsOf(page, '#pinned-grid canvas'), a);
      assert.match(await textOf(page, '#side-text'), /differs: scale/);
      await change(page, () => page.click('#swap'));
      assert.deepEqual(await pixelsOf(page, '#pinned-grid canvas'), b);
      assert.deepEqual(await pixelsOfGrid(page), a);
      await page.click('#unpin');
      assert.equal(await page.$eval('#pinned', (section) => section.hidden), true);
    });

    test('more settings: every sampler and time grid, and what has no effect cannot be set', async () => {
      await page.$eval('#more', (details) => (details.open = true));
      const samplers = await page.$$eval('#sampler option', (options) => options.map(({ value }) => value));
      assert.deepEqual(samplers, ['ddim', 'ddpm', 'dpmpp-2m', 'dpmpp-2m-sde', 'euler', 'euler-ancestral', 'heun', 'unipc', 'lcm']);
      await page.waitForSelector('#option-grid');
      await change(page, () => page.select('#option-grid', 'trailing'));
      await change(page, () => setNumber(page, '#option-eta', 0.5));
      await change(page, () => page.select('#option-away', 'dog'));
      assert.deepEqual((await pixelsOfGrid(page))[0], await pixelsByNode({ ...FIRST, timeGrid: 'trailing', eta: 0.5, negativeLabel: 'dog' }));
      assert.match(await page.evaluate(() => location.hash), /&away=dog&grid=trailing&eta=0.5&model=/);
      await change(page, () => page.select('#sampler', 'heun'));
      assert.equal(await page.$eval('#option-eta', (input) => input.disabled), true);
      assert.deepEqual((await pixelsOfGrid(page))[0], await pixelsByNode({ ...FIRST, sampler: 'heun', timeGrid: 'trailing', negativeLabel: 'dog' }));
      assert.equal(await page.$$eval('#film-state canvas', ([...all]) => all.filter(({ width }) => width > 1).length), 8);
      await change(page, () => page.select('#sampler', 'ddim'));
      await change(page, () => page.click('#reset'));
      assert.deepEqual((await pixelsOfGrid(page))[0], await pixelsByNode(FIRST));
    });

    test('figures are shown on request', async () => {
      await page.click('#figures summary');
      await page.waitForSelector('#figure-list > *'); // filled in when it opens
      const text = await page.$$eval('#figure-list > *', (nodes) => nodes.map(({ textContent }) => textContent).join('|'));
      assert.match(text, /^Parameters\|2.92 million\|Model file\|1.90 MB\|/);
      assert.match(text, new RegExp(doodles.info.sha256));
    });

    test('a broken model is explained and changes nothing, an own model is used', async () => {
      const before = await pixelsOfGrid(page);
      await dropFile(page, Buffer.from('this is not a model, however long it may be'), 'broken.gguf');
      await page.waitForSelector('#error:not([hidden])');
      assert.equal(await textOf(page, '#error-text'), 'The model file broken.gguf is damaged or not one that this page can read.');
      assert.match(await textOf(page, '#error-detail'), /^broken\.gguf: MAGIC: /);
      assert.deepEqual(await pixelsOfGrid(page), before);
      assert.equal(await stateOf(page), 'done');
      await page.click('#dismiss');
      await change(page, () => pickClass(page, 'house'));

      await dropFile(page, await readFile(tinyPath), '<b>tiny</b>.gguf');
      await page.waitForFunction(() => document.querySelectorAll('.class').length === 3 && location.hash.includes('label=circle'));
      await settled(page);
      const seed = Number(await page.$eval('#seed', (input) => input.value));
      const tiny = await load(tinyPath);
      assert.deepEqual((await pixelsOfGrid(page))[0], await pixelsByNode({ label: 0, seed, steps: 10, guidanceScale: 3 }, tiny));
      tiny.close();
      assert.equal(await tabOnShow(page), '<b>tiny</b>.gguf');
      assert.match(await textOf(page, '#model-line'), /^Tiny test model · /);
      assert.equal(await page.$eval('#error', (box) => box.hidden), true);
    });

    test('a word is set in letters of one seed and saved as one wide picture', async () => {
      await dropFile(page, await lettersModel(), 'letters.gguf');
      await page.waitForSelector('#word:not([hidden])');
      await page.$eval('#word-text', (input) => input.select());
      await page.type('#word-text', 'c bà');
      await page.waitForSelector('#word[data-state="done"]');
      assert.equal(await textOf(page, '#word-hint'), 'This model has no “à”.');
      assert.equal(await page.$eval('.word-row', (row) => row.getAttribute('aria-label')), 'The word C B in generated letters');
      const seed = Number(await page.$eval('#seed', (input) => input.value));
      const expected = {};
      for (const label of ['C', 'B']) expected[label] = await pixelsByNode({ label, seed, steps: 10, guidanceScale: 3 }, letters);
      const row = await pixelsOf(page, '.word-row canvas');
      assert.deepEqual([row[0], row[2]], [expected.C, expected.B]);
      await page.select('#size', '1');
      await page.click('#word-save');
      const file = await downloaded(session.downloads, `C-B-seed${seed}.png`);
      const picture = decodePNG(file);
      // Both letters are on it somewhere, the second one behind the first one and a space; elsewhere is paper.
      const { width, height } = picture;
      assert.equal(height, 16);
      const isSetAt = (...lefts) => picture.pixels.every((level, index) => {
        const [x, y] = [index % width, Math.floor(index / width)];
        const at = (label, left) => (x >= left && x < left + 16 ? expected[label][y * 16 + x - left] : 255);
        return level === Math.min(at('C', lefts[0]), at('B', lefts[1]));
      });
      const places = Array.from({ length: 2 * width }, (_, index) => index - width);
      assert.ok(places.some((left) => places.some((right) => right > left + 4 && isSetAt(left, right))), `${width} pixels wide`);
      assert.equal(readRecipe(file).sheet.text, 'C B');
      // Another seed, another style: all letters anew.
      await change(page, () => setNumber(page, '#seed', 12));
      await page.waitForSelector('#word[data-state="done"]');
      assert.deepEqual((await pixelsOf(page, '.word-row canvas'))[0], await pixelsByNode({ label: 'C', seed: 12, steps: 10, guidanceScale: 3 }, letters));
      assert.deepEqual(troubles, []);
    });

    test('another model comes with what it recommends, except what the visitor chose', async () => {
      const context = await session.browser.createBrowserContext();
      const { page: visitor } = await openPage(context, `${site.url}#label=cat`);
      await settled(visitor);
      const recommended = ({ info: { recommended: { steps, sampler, guidanceScale } } }) => ({ steps, sampler, guidanceScale });
      assert.notDeepEqual(recommended(letters), recommended(doodles));
      const shown = () => visitor.evaluate(() => {
        const { steps, sampler, scale } = Object.fromEntries(['steps', 'sampler', 'scale'].map((id) => [id, document.getElementById(id).value]));
        return { steps: Number(steps), sampler, guidanceScale: Number(scale) };
      });
      const openModel = async (bytes, name) => {
        await dropFile(visitor, bytes, name);
        await visitor.waitForFunction((wanted) => document.querySelector('#tabs [aria-selected="true"]').textContent === wanted, {}, name);
        await settled(visitor);
      };
      assert.deepEqual(await shown(), recommended(doodles));
      await openModel(await lettersModel(), 'letters.gguf');
      assert.deepEqual(await shown(), recommended(letters));
      assert.equal(await textOf(visitor, '#more-changed'), '', 'interval and time grid, too');
      await change(visitor, () => setNumber(visitor, '#steps', 7));
      await openModel(await readFile(modelPath), 'own.gguf');
      assert.deepEqual(await shown(), { ...recommended(doodles), steps: 7 });
      assert.equal(await textOf(visitor, '#more-changed'), '');
      await visitor.reload(); // the address has all settings, but they are no wish
      await settled(visitor);
      await openModel(await lettersModel(), 'letters.gguf');
      assert.deepEqual(await shown(), { ...recommended(letters), steps: 7 });
      await context.close();
    });

    test('a link made with another model says so, and is followed once that model is opened', async () => {
      const hash = `#label=C&s=2&seed=5&steps=4&sampler=euler&count=1&model=${letters.info.sha256.slice(0, 12)}`;
      const other = await openPage(session.browser, `${site.url}${hash}`);
      await settled(other.page);
      assert.match(await textOf(other.page, '#error-text'), /^This link was made with another model/);
      assert.ok((await textOf(other.page, '#error-detail')).includes(`${letters.info.sha256.slice(0, 12)}…, of this one: ${doodles.info.sha256.slice(0, 12)}…`));
      await dropFile(other.page, await lettersModel(), 'letters.gguf');
      await other.page.waitForFunction((wanted) => location.hash === wanted, {}, hash);
      await settled(other.page);
      assert.deepEqual((await pixelsOfGrid(other.page))[0], await pixelsByNode({ label: 'C', guidanceScale: 2, seed: 5, steps: 4, sampler: 'euler' }, letters));
      assert.equal(await other.page.$eval('#error', (box) => box.hidden), true);
      await other.page.close();
    });

    test('with the network gone, the page opens from its copy', async () => {
      const context = await session.browser.createBrowserContext();
      const { page: visitor, troubles: found } = await openPage(context, `${site.url}${HASH}`);
      await settled(visitor);
      const pixels = await pixelsOfGrid(visitor);
      await visitor.waitForFunction(async () => {
        const [cache] = await caches.keys();
        const kept = cache ? await (await caches.open(cache)).keys() : [];
        return (await navigator.serviceWorker.getRegistration())?.active && kept.some(({ url }) => url.endsWith('.gguf'));
      }, { timeout: 30_000, polling: 200 });
      assert.equal(site.requests.filter((path) => path === 'index.js').length, 0, 'only what the page needs');
      site.down = true;
      try {
        await visitor.reload();
        await settled(visitor);
        assert.deepEqual(await pixelsOfGrid(visitor), pixels);
        assert.deepEqual(found, []);
      } finally {
        site.down = false;
      }
      await context.close();
    });

    test('works when the browser has no room for a copy', async () => {
      const context = await session.browser.createBrowserContext();
      const prepare = () => (Cache.prototype.put = () => Promise.reject(new DOMException('no room', 'QuotaExceededError')));
      site.extra.set('service_worker.js', { type: 'text/javascript', body: `(${prepare})();\n${site.text('service_worker.js')}` });
      const { page: visitor, troubles: found } = await openPage(context, `${site.url}${HASH}`);
      await settled(visitor);
      await visitor.waitForFunction(async () => (await navigator.serviceWorker.getRegistration())?.active, { polling: 200 });
      await visitor.reload();
      await settled(visitor);
      assert.ok(await visitor.evaluate(() => navigator.serviceWorker.controller !== null), 'under its control');
      assert.deepEqual((await pixelsOfGrid(visitor))[0], await pixelsByNode(FIRST));
      assert.deepEqual(found, []);
      site.extra.delete('service_worker.js');
      await context.close();
    });
  });
}

describe('the page in several browsers', () => {
  test('a link from one gives the same pixels in the others', async () => {
    const site = await serveSite();
    const sessions = await Promise.all(ENGINES.map(launch));
    try {
      const [{ page: from }, ...others] = await Promise.all(sessions.map(({ browser }) => openPage(browser, `${site.url}blank.html`)));
      await from.goto(`${site.url}#label=flower&s=4.5&seed=99&steps=12&sampler=dpmpp-2m-sde&count=6&grid=karras&rescale=0.5&threshold=0.995&projection=1&parallel=0.3&low=100`);
      await settled(from);
      const link = await from.evaluate(() => location.href);
      const pixels = await pixelsOfGrid(from);
      for (const { page: to } of others) {
        await to.goto(link);
        await settled(to);
        assert.equal(await to.evaluate(() => location.href), link);
        assert.deepEqual(await pixelsOfGrid(to), pixels);
      }
      // A word between two styles, and all styles of it.
      const wordOf = async (page) => {
        await settled(page, { timeout: 60_000 });
        await page.waitForSelector('#styles[data-state="done"]', { timeout: 60_000 });
        return pixelsOf(page, '.word-row canvas, #styles .tile canvas');
      };
      await from.goto(`${site.url}blank.html`);
      await from.goto(`${site.url}#word=on&s=2&seed=5&steps=3&sampler=ddim&style=4&to-style=9&between=0.45&view=play`);
      const word = await wordOf(from);
      const wordLink = await from.evaluate(() => location.href);
      assert.match(wordLink, /&model=\w{12}&word=on&style=4&to-style=9&between=0.45&view=play$/);
      assert.equal(word.length, 2 + 12);
      for (const { page: to } of others) {
        await to.goto(wordLink);
        assert.deepEqual(await wordOf(to), word);
      }
      assert.deepEqual(pixels[5], await pixelsByNode({
        label: 'flower', guidanceScale: 4.5, seed: 104, steps: 12, sampler: 'dpmpp-2m-sde', timeGrid: 'karras', rescale: 0.5,
        dynamicThreshold: 0.995, projection: true, keepParallel: 0.3,
        guidanceInterval: [100, doodles.info.recommended.guidanceInterval[1]],
      }));
    } finally {
      await Promise.all(sessions.map((session) => session.close()));
      await site.close();
    }
  });
});
