// Parts of the page that know no DOM: words, lines of letters, other words for classes, addresses, the choice of a file.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { parseFragment } from 'parse5';
import { load } from 'pocket-diffusion';
import { cardOf } from '../../scripts/site/build_site.mjs';
import { Page } from '../../scripts/site/html.mjs';
import { readAddress } from '../../web/page/address.mjs';
import { elementCode, embedded, frameCode } from '../../web/page/embed.mjs';
import { explain } from '../../web/page/errors.mjs';
import { firstOf } from '../../web/page/first.mjs';
import { pathFor, tabOf } from '../../web/page/models.mjs';
import { LAST, ORDER, formatMorph, loop, parseMorph, waysOf } from '../../web/page/morphing.mjs';
import { fileName, sheetFile, sizeFactors } from '../../web/page/saving.mjs';
import { recipeIn } from '../../web/page/saved_text.mjs';
import { findClasses, loadThesaurus } from '../../web/page/search.mjs';
import { COUNTS, carryOver, defaultSettings, parseHash } from '../../web/page/settings.mjs';
import { layByShapes, setInPixels } from '../../web/page/typeset.mjs';
import { groupsOf, wordsFor } from '../../web/page/thesaurus.mjs';
import { advanceOf, fit, isAlphabet, layByAdvances, spell } from '../../web/page/word.mjs';
import { decodePNG } from './png_reader.mjs';

const weights = (name) => new URL(`../../weights/${name}.gguf`, import.meta.url);
const labelsOf = async (name) => {
  const model = await load(weights(name));
  model.close();
  return model.labels;
};

test('what the page asks index.html for is there, and of the tag that the types say', async () => {
  const web = new URL('../../web/', import.meta.url);
  const page = await Page.read(new URL('index.html', web));
  const [, rows] = /@typedef \{object\} Ids\n([^]*?)\*\//.exec(await readFile(new URL('page/elements.mjs', web), 'utf8'));
  const typed = [...rows.matchAll(/@property \{([^}]*)\} (\w+)/g)].flatMap(([, ids, tag]) => Array.from(ids.matchAll(/'([^']*)'/g), ([, id]) => [id, tag]));
  assert.ok(typed.length > 100, String(typed.length));
  assert.deepEqual(typed.filter(([id, tag]) => page.all([tag], { id }).length !== 1), []);
});

test('a font whose tables all point at the same names is looked into once', async () => {
  const [tables, records] = [65_535, 65_535];
  const names = 12 + 16 * tables;
  const bytes = new Uint8Array(names + 6 + 12 * records);
  const view = new DataView(bytes.buffer);
  view.setUint16(4, tables);
  for (let table = 0; table < tables; table++) {
    view.setUint32(12 + 16 * table, 0x6e616d65); // 'name'
    view.setUint32(12 + 16 * table + 8, names);
  }
  view.setUint16(names + 2, records);
  const begun = process.cpuUsage();
  assert.equal(await recipeIn(new File([bytes], 'names.otf', { type: 'font/otf' })), null);
  assert.ok(process.cpuUsage(begun).user < 2e6, 'not the product of the two'); // microseconds
});

describe('words', () => {
  test('are spelled in classes, in the other case where there is no better one', () => {
    assert.deepEqual(spell('aB ?a', ['A', 'b', 'B']), { letters: [0, 2, null, 0], missing: ['?'] });
    assert.equal(isAlphabet(['a', '1']), true);
    assert.equal(isAlphabet(['a', 'cat']), false);
  });

  test('take the room that their letters say; where squares overlap the darker level stays', () => {
    const letter = (level, advance) => ({ image: { width: 4, height: 2, channels: 1, pixels: new Uint8Array(8).fill(level) }, advance, space: false });
    const line = [letter(200, 0.5), { image: null, advance: 1, space: true }, letter(90, 0.5)];
    const { rows, broken } = layByAdvances(line, Infinity);
    assert.deepEqual([rows.length, rows[0].width, broken], [1, 2, false]);
    const { width, height, pixels } = setInPixels(line, rows);
    assert.deepEqual([width, height], [8, 2]);
    // The first square lies from -1 to 3, the last one from 5 to 9.
    assert.deepEqual(Array.from(pixels.slice(0, 8)), [200, 200, 200, 255, 255, 90, 90, 90]);
    const close = [letter(200, 0.5), letter(90, 0.5)];
    assert.deepEqual(Array.from(setInPixels(close, layByAdvances(close, 9).rows).pixels.slice(0, 4)), [200, 90, 90, 90]);
    assert.ok(advanceOf('i') < advanceOf('n') && advanceOf('n') < advanceOf('m'));
  });

  test('wrap at spaces, are broken where nothing else helps, and are as large as there is room for', () => {
    const set = (text) => [...text].map((character) => ({ image: null, advance: 0.5, space: character === ' ' }));
    const rowsOf = (text, limit) => layByAdvances(set(text), limit).rows.map(({ begin, end }) => text.slice(begin, end));
    assert.deepEqual(rowsOf('  ab cde  f ', 2), ['ab', 'cde', 'f']);
    assert.deepEqual(rowsOf('abcdef g', 2), ['abcd', 'ef g']);
    assert.equal(layByAdvances(set('abcdef'), 2).broken, true);
    assert.deepEqual(rowsOf('   ', 2), []);
    for (const [text, box] of [['ab', { width: 300, height: 100 }], ['a word of forty letters that goes on, on', { width: 330, height: 120 }], ['iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii', { width: 330, height: 120 }]]) {
      const { size, rows } = fit(layByAdvances, set(text), box);
      assert.ok(rows.length * size <= box.height && rows.every(({ width }) => width * size <= box.width), text);
      const larger = layByAdvances(set(text), box.width / (size / 0.97));
      assert.ok(size === box.height || larger.broken || larger.rows.length * size / 0.97 > box.height, `${text}: ${size}`);
    }
  });

  test('in colours are set by their advances, and letters that are still to come as wide as theirs', () => {
    const ink = (left, right) => ({ width: 10, height: 10, channels: 1, pixels: Uint8Array.from({ length: 100 }, (_, index) => (index % 10 >= left && index % 10 < right ? 0 : 255)) });
    const letters = [ink(4, 6), null, ink(1, 9)].map((image) => ({ image, advance: 0.5, space: false }));
    const [{ places, width }] = layByShapes(letters, 9).rows;
    assert.ok(places[1] - places[0] < 0.6 && width > 1.3, `${places} of ${width}`);
    const inks = [places[0] + 0.6, places[2] + 0.1]; // right edge of the first one, left edge of the last one
    assert.ok(inks[1] - inks[0] > 0.4 && inks[1] - inks[0] < 0.9, `${inks}`);
    const coloured = letters.map((letter) => ({ ...letter, image: letter.image && { ...letter.image, channels: 3, pixels: new Uint8Array(300) } }));
    assert.deepEqual(layByShapes(coloured, 9), layByAdvances(coloured, 9));
    // Nothing but paper has no shapes.
    const blank = letters.map((letter) => ({ ...letter, image: letter.image && { ...letter.image, pixels: letter.image.pixels.map(() => 255) } }));
    assert.deepEqual(layByShapes(blank, 9), layByAdvances(blank, 9));
  });
});

describe('classes', () => {
  test('every head stands in one group, every other word belongs to a class', async () => {
    const [characters, doodles] = await Promise.all([labelsOf('characters'), labelsOf('doodles')]);
    const groups = groupsOf(characters);
    assert.deepEqual(groups.flatMap(({ members }) => members).sort((a, b) => a - b), [...characters.keys()]);
    assert.ok(groups.every(({ title, members }) => title !== 'Others' && members.length >= 10), groups.map(({ title, members }) => `${title} ${members.length}`).join());
    for (const name of [...characters, ...doodles]) assert.ok(wordsFor(name).every((word) => word && word !== name), name);
    assert.deepEqual(groupsOf(['x', 'y']), [{ title: 'Others', members: [0, 1] }]);
  });

  test('are found by the beginning of their names first, then by other words', async () => {
    globalThis.document = { querySelector: () => ({}) }; // as in the one file: it is there
    await loadThesaurus();
    delete globalThis.document;
    const labels = ['catfish', 'bobcat', 'cat', 'tiger', 'big cat'];
    assert.deepEqual(findClasses('CAT', labels).map(({ name }) => name), ['catfish', 'cat', 'big cat', 'bobcat', 'tiger']);
    assert.deepEqual(findClasses('sofa', ['chair', 'couch']), [{ label: 1, name: 'couch', also: 'sofa', order: 2 }]);
    assert.deepEqual(findClasses('  ', labels), []);
  });

  test('what is shown first exists', async () => {
    for (const name of ['letters', 'doodles', 'characters', 'digits']) {
      const labels = await labelsOf(name);
      const { label, word, seed } = firstOf(name);
      assert.ok(Number.isInteger(seed));
      if (label) assert.ok(labels.includes(label), label);
      if (word) assert.deepEqual(spell(word, labels).missing, []);
    }
  });
});

test('links from before there were views lead into the Lab, the first screen is for play', () => {
  const { depth, drawing, linked, word } = readAddress('');
  assert.deepEqual({ depth, drawing, linked, word }, { depth: 'play', drawing: false, linked: false, word: null });
  assert.equal(readAddress('#label=cat').depth, 'lab');
  assert.equal(readAddress('#label=cat&view=play').depth, 'play');
  assert.equal(readAddress('#word=&view=play').word, '');
  assert.equal(readAddress(`#word=${'x'.repeat(99)}`).word.length, 40);
  const styled = readAddress('#word=on&style=3&to-style=12&between=0.35&view=play');
  assert.deepEqual([styled.style, styled.refused], [{ chosen: 2, other: 11, between: 0.35, toSeed: null }, []]);
  const beside = readAddress('#word=on&style=1&to-seed=1000&between=0.33');
  assert.deepEqual([beside.style, beside.refused], [{ chosen: 0, other: 12, between: 0.33, toSeed: 1000 }, []]);
  const refused = ['to-seed=-1', 'to-seed=1.5', 'to-seed=', 'to-seed=99999999999999999', 'style=13', 'style=0', 'style=1.5', 'to-style=', 'between=2', 'between=x'];
  for (const text of refused) assert.deepEqual(readAddress(`#word=on&${text}`).refused, [text]);
  assert.deepEqual(readAddress('#word=on&style=2').style, { chosen: 1, other: 0, between: 0, toSeed: null }, 'two styles');
  assert.equal(readAddress('#view=draw').drawing, true);
});

test('a fast model is taken where it is wanted and there is one', () => {
  const listed = [{ name: 'a', path: 'w/a.gguf' }, { name: 'a-fast', path: 'w/af.gguf' }, { name: 'b', path: 'w/b.gguf' }];
  assert.equal(pathFor(listed, 'a', true), 'w/af.gguf');
  assert.equal(pathFor(listed, 'a', false), 'w/a.gguf');
  assert.equal(pathFor(listed, 'b', true), 'w/b.gguf');
  assert.equal(pathFor([], 'c', true), 'weights/c.gguf');
  assert.deepEqual(listed.map(({ name }) => tabOf(name)), ['a', 'a', 'b']);
});

test('files that are no models are named', () => {
  const broken = { code: 'MAGIC', status: 2, message: 'no GGUF' };
  assert.match(explain(broken, 'a.txt').sentence, /^a\.txt is neither/);
  assert.match(explain(broken, 'net.safetensors').sentence, /exporter/);
  assert.match(explain(broken, 'net.gguf').sentence, /net\.gguf is damaged/);
  assert.match(explain(broken).sentence, /^The model file is damaged/);
});

test('a sheet has all pictures that the page can show', async () => {
  for (const count of COUNTS) {
    const picture = { width: 2, height: 2, channels: 1, pixels: new Uint8Array(4).fill(7), recipe: { options: {} }, options: { label: 0 } };
    const sheet = await sheetFile(new Array(count).fill(picture), { factor: 2, rendering: 'pixel', transparent: false });
    const { width, height, pixels } = decodePNG(Buffer.from(await sheet.arrayBuffer()));
    assert.deepEqual([width * height, new Set(pixels).size], [count * 16, 1], `${count} pictures`);
  }
  assert.deepEqual(sizeFactors({ width: 32, height: 16 }), [1, 8, 16, 32, 64, 128]);
  assert.equal(fileName(['a cat', 's3']), 'a-cat-s3.png');
  assert.equal(fileName(['/..'], 'svg'), 'picture.svg');
});

test('a model that cannot be guided has scale 1, whatever was set before, and no class in its link or its snippet', async () => {
  const [doodles, plain] = await Promise.all([load(weights('doodles')), load(new URL('../golden/no-classes.gguf', import.meta.url))]);
  const before = { ...defaultSettings(doodles), guidanceScale: 4.2, label: 3, seed: 9 };
  assert.deepEqual(carryOver(before, new Set(['guidanceScale', 'label', 'seed']), doodles, plain), { guidanceScale: 1, seed: 9 });
  assert.deepEqual(parseHash('#s=3&label=0&seed=2', plain), { settings: { seed: 2 }, refused: ['s=3', 'label=0'] });
  const settings = defaultSettings(plain);
  assert.deepEqual([settings.label, settings.guidanceScale], [null, 1]);
  const what = { model: 'weights/m.gguf', width: 320, height: 300, ...embedded(settings, plain) };
  assert.doesNotMatch(elementCode(what, 'https://e.org/'), /label/);
  assert.doesNotMatch(frameCode(what, 'https://e.org/'), /label/);
  assert.match(elementCode({ ...what, classes: ['a "b" <c>'] }, 'https://e.org/'), /label="a &quot;b&quot; &lt;c>"/);
  doodles.close();
  plain.close();
});

test('the card beside links has addresses that other programs can ask for, and a picture of its size', async () => {
  const html = await Page.read(new URL('../../web/index.html', import.meta.url));
  const card = parseFragment(cardOf(html, 'https://example.org/a'));
  const tags = Object.fromEntries(card.childNodes.flatMap(({ attrs }) => (attrs ? [attrs.map(({ value }) => value)] : [])));
  assert.equal(tags['og:url'], 'https://example.org/a/');
  assert.equal(tags['og:image'], 'https://example.org/a/preview.png');
  assert.equal(tags['og:title'], 'Pocket Diffusion');
  assert.ok(tags['og:description'].length > 50);
  const picture = await readFile(new URL('../../web/preview.png', import.meta.url));
  assert.deepEqual([tags['og:image:width'], tags['og:image:height']], [picture.readUInt32BE(16), picture.readUInt32BE(20)].map(String));
  assert.throws(() => cardOf(html, 'file:///a'), /--address/);
});

test('ways between pictures go through links, and what a model does not have is left out', async () => {
  const [doodles, plain] = await Promise.all([load(weights('doodles')), load(new URL('../golden/no-classes.gguf', import.meta.url))]);
  const morph = { way: 'mix', label: 4, seed: 7, toLabel: 6, toSeed: 8, at: 3 };
  assert.equal(formatMorph(morph, doodles), '&play=mix&to=dog&at=3');
  const read = (hash, model, morph, refused = []) => assert.deepEqual(parseMorph(hash, model), { morph, refused });
  read('#label=cat&play=mix&to=dog&at=3', doodles, { way: 'mix', toLabel: 6, at: 3 });
  read('#play=seeds&to=99&at=17', doodles, { way: 'seeds', toSeed: 99 }, ['at=17']);
  read('#play=mix&to=unicorn&at=x', doodles, { way: 'mix' }, ['to=unicorn', 'at=x']);
  read('#play=nothing&to=-1', doodles, {}, ['play=nothing', 'to=-1']);
  read('#play=redraw&to=0', plain, {}, ['play=redraw', 'to=0']);
  assert.deepEqual(waysOf(plain), ['seeds']);
  assert.deepEqual([...ORDER].sort((a, b) => a - b), Array.from({ length: LAST + 1 }, (_, index) => index));
  assert.equal(loop().length, 2 * LAST);
  doodles.close();
  plain.close();
});
