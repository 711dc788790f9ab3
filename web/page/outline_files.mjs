// Outlines of what is on show, as SVG. Fetched when the first one is saved.

import { toSVG } from '../outlines.mjs';
import { contoursOf } from '../outlines/contours.mjs';
import { writeSVG } from '../outlines/svg.mjs';
import { layByShapes, recipeOfText } from './typeset.mjs';
import { fit } from './word.mjs';

/** @typedef {import('../index.d.ts').Picture} Picture */

/** Around a word, in sides of a letter's picture. */
const MARGIN = 0.1;

/** @param {string} svg */
const blobOf = (svg) => new Blob([svg], { type: 'image/svg+xml' });

/** @param {Picture} picture of ink */
export const pictureSVG = (picture) => blobOf(toSVG(picture));

/** A word in the rows in which it stands. @param {NonNullable<import('./lettering.mjs').Lettering['finished']>} word */
export function wordSVG({ text, letters, box }) {
  const { rows } = fit(layByShapes, letters, box);
  const pictures = /** @type {Picture[]} */ (letters.flatMap(({ image }) => image ?? []));
  const side = pictures[0].height;
  const width = Math.max(...rows.map((row) => row.width)) + 2 * MARGIN;
  const placed = rows.flatMap((row, index) => row.places.flatMap((place, letter) => {
    const { image } = letters[row.begin + letter];
    return image ? [{ contours: contoursOf(image), x: (width / 2 - row.width / 2 + place) * side, y: (index + MARGIN) * side }] : [];
  }));
  return blobOf(writeSVG({ width: width * side, height: (rows.length + 2 * MARGIN) * side }, placed, { title: text, recipe: recipeOfText(pictures, text) }));
}
