// Outlines as SVG, with the recipe of what they show.

import { KEYWORD } from '../library/recipe.mjs';

/**
 * @typedef {import('./contours.mjs').Contour} Contour
 * @typedef {import('./contours.mjs').Point} Point
 * @typedef {{ contours: ReadonlyArray<Contour>, x: number, y: number }} Placed outlines that are moved by x, y
 */

/** A curve whose control points are as near to its chord, in pixels, is written as a line. */
const STRAIGHT = 0.03;

/** @type {Record<string, string>} */
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
/** Without what XML cannot hold. @param {string} text */
// eslint-disable-next-line no-control-regex -- these are what is left out
const escape = (text) => text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '').replace(/[&<>"]/g, (character) => ENTITIES[character]);

/** In hundredths: a letter of 64 pixels as a poster is off by a tenth of a millimetre. @param {number} value */
const short = (value) => String(Math.round(value * 100) / 100);

/** @param {import('./contours.mjs').Curve} curve whether it is a line */
export function isStraight([from, leaving, arriving, to]) {
  const [x, y] = [to[0] - from[0], to[1] - from[1]];
  const length = Math.hypot(x, y) || 1;
  return [leaving, arriving].every((point) => Math.abs((point[0] - from[0]) * y - (point[1] - from[1]) * x) <= STRAIGHT * length);
}

/** The `d` of a path. @param {ReadonlyArray<Placed>} placed */
export function pathOf(placed) {
  let path = '';
  for (const { contours, x, y } of placed) {
    /** @param {ReadonlyArray<Point>} points */
    const write = (points) => points.map((point) => `${short(point[0] + x)} ${short(point[1] + y)}`).join(' ');
    for (const contour of contours) {
      path += `M${write([contour[0][0]])}`;
      for (const curve of contour) path += isStraight(curve) ? `L${write([curve[3]])}` : `C${write(curve.slice(1))}`;
      path += 'Z';
    }
  }
  return path;
}

/**
 * A file of one black path on nothing, to be filled by the even-odd rule.
 * @param {{ width: number, height: number }} size of the view box @param {ReadonlyArray<Placed>} placed
 * @param {{ title?: string, recipe?: object | null }} about
 */
export function writeSVG({ width, height }, placed, { title, recipe }) {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${short(width)}" height="${short(height)}" viewBox="0 0 ${short(width)} ${short(height)}">\n` +
    `${title ? `<title>${escape(title)}</title>\n` : ''}` +
    `${recipe ? `<metadata id="${KEYWORD}">${escape(JSON.stringify(recipe))}</metadata>\n` : ''}` +
    `<path fill-rule="evenodd" d="${pathOf(placed)}"/>\n</svg>\n`;
}

/** @param {string} entity named, decimal or hexadecimal @param {string} code of the latter two */
function characterOf(entity, code) {
  const number = code && (code[0] === 'x' ? parseInt(code.slice(1), 16) : Number(code));
  if (number) return number <= 0x10ffff ? String.fromCodePoint(number) : entity;
  return Object.keys(ENTITIES).find((character) => ENTITIES[character] === entity) ?? (entity === '&apos;' ? "'" : entity);
}

/**
 * The texts of elements for recipes. Programs that save an SVG anew write attributes and entities in other ways.
 * @param {string} svg @returns {string[]}
 */
export function metadataIn(svg) {
  const found = svg.matchAll(new RegExp(`<metadata\\s[^<>]{0,400}?\\bid\\s*=\\s*(["'])${KEYWORD}\\1[^<>]{0,400}>([^<]*)</metadata\\s*>`, 'g'));
  return Array.from(found, ([, , text]) => text.replace(/&(?:[a-z]{2,4}|#(\d{1,7}|x[\da-fA-F]{1,6}));/g, characterOf));
}
