// Letters of one style as an OpenType font: outlines, side bearings and kerning from their shapes.

import { Font, Glyph, Path } from 'opentype.js/dist/opentype.mjs';
import { contoursOf } from './contours.mjs';
import { kerningTable, withTable } from './kerning.mjs';
import { Spacing, shapeOf } from './spacing.mjs';
import { isStraight } from './svg.mjs';

/**
 * @typedef {import('../library/rendering.mjs').Image} Image
 * @typedef {{ character: string, shape: import('./spacing.mjs').Shape, contours: import('./contours.mjs').Contour[] }} Letter
 * @typedef {{ family: string, description: string, license: string, designer: string }} Names
 */

const UNITS_PER_EM = 2000;
/** Of the picture's side, on which the letters stand with ascenders and descenders. */
const EM_IN_SIDES = 0.94;
/** Kerning that nobody sees, in units, is left out. */
const LEAST_KERNING = 8;

/** @param {number} units of a box for what is not there @param {number} height */
function missingGlyph(units, height) {
  const path = new Path();
  for (const inset of [0, 80]) {
    const [left, right, top] = [120 + inset, units - 120 - inset, height - inset];
    const corners = [[left, inset], [left, top], [right, top], [right, inset]];
    if (inset === 0) corners.reverse(); // holes go the other way round
    corners.forEach(([x, y], index) => (index === 0 ? path.moveTo(x, y) : path.lineTo(x, y)));
    path.closePath();
  }
  return new Glyph({ name: '.notdef', advanceWidth: units, path });
}

/** A PostScript name has at most as many characters, all of them ASCII. */
const LONGEST_POSTSCRIPT_NAME = 63;

/**
 * Characters that a glyph stands for: its own, and that of the other case if no glyph is that yet.
 * @param {string} character @param {Set<string>} claimed characters that have a glyph; those of this one come to them
 */
function codesOf(character, claimed) {
  const codes = [character];
  for (const other of [character.toUpperCase(), character.toLowerCase()]) {
    if ([...other].length !== 1 || claimed.has(other)) continue;
    claimed.add(other);
    codes.push(other);
  }
  return codes.map((each) => /** @type {number} */ (each.codePointAt(0)));
}

/** As the Adobe Glyph List Specification has it. @param {number} code */
function glyphName(code) {
  const digits = code.toString(16).toUpperCase();
  return code > 0xffff ? `u${digits}` : `uni${digits.padStart(4, '0')}`;
}

/** @param {string} family */
function postScriptName(family) {
  const style = '-Regular';
  return (family.replace(/[^A-Za-z0-9]/g, '').slice(0, LONGEST_POSTSCRIPT_NAME - style.length) || 'PocketDiffusion') + style;
}

/** A letter for a font; null if it has no ink. @param {string} character @param {Image} image @returns {Letter | null} */
export function makeLetter(character, image) {
  const shape = shapeOf(image);
  return shape && { character, shape, contours: contoursOf(image) };
}

/**
 * A font file.
 * @param {ReadonlyArray<Letter>} drawn each character once @param {number} side of their pictures @param {Names} names
 * @returns {{ bytes: Uint8Array<ArrayBuffer>, glyphs: number, kerningPairs: number }}
 */
export function buildFont(drawn, side, names) {
  const spacing = new Spacing(drawn.map(({ shape }) => shape), side);
  const scale = UNITS_PER_EM / (EM_IN_SIDES * side);
  /** @param {number} length */
  const units = (length) => Math.round(length * scale);
  const claimed = new Set(drawn.map(({ character }) => character));
  const tops = drawn.map(({ shape }) => units(spacing.baseline - shape.top));
  const space = units(spacing.space);

  const glyphs = drawn.map(({ character, shape, contours }) => {
    const path = new Path();
    const left = spacing.bearing(shape, 'left') - shape.minLeft;
    /** @param {import('./contours.mjs').Point} point */
    const place = ([x, y]) => [units(x + left), units(spacing.baseline - y)];
    for (const contour of contours) {
      const [x, y] = place(contour[0][0]);
      path.moveTo(x, y);
      for (const curve of contour) {
        if (isStraight(curve)) path.lineTo(...place(curve[3]));
        else path.curveTo(...curve.slice(1).flatMap(place));
      }
      path.closePath();
    }
    const unicodes = codesOf(character, claimed);
    return new Glyph({ name: glyphName(unicodes[0]), unicode: unicodes[0], unicodes, advanceWidth: units(spacing.advance(shape)), path });
  });

  const font = new Font({
    familyName: names.family,
    styleName: 'Regular',
    postScriptName: postScriptName(names.family),
    unitsPerEm: UNITS_PER_EM,
    ascender: Math.max(...tops, 1),
    descender: Math.min(...drawn.map(({ shape }) => units(spacing.baseline - shape.bottom)), 0),
    weightClass: 400,
    designer: names.designer,
    description: names.description,
    license: names.license,
    version: 'Version 1.0',
    tables: { os2: { achVendID: 'PcDf' } },
    glyphs: [missingGlyph(Math.max(2 * space, 300), Math.max(...tops, 300)), new Glyph({ name: 'space', unicode: 0x20, unicodes: [0x20, 0xa0], advanceWidth: space, path: new Path() }), ...glyphs],
  });

  const pairs = drawn.flatMap((a, i) => drawn.map((b, k) => ({ first: i + 2, second: k + 2, value: units(spacing.kerning(a.shape, b.shape)) })))
    .filter(({ value }) => Math.abs(value) >= LEAST_KERNING);
  return { bytes: withTable(font.toArrayBuffer(), 'GPOS', kerningTable(pairs)), glyphs: drawn.length, kerningPairs: pairs.length };
}
