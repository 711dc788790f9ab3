// Ink as outlines: SVG of grey pictures. An entry of its own, for it needs packages that pictures do not. Documented in
// outlines.d.ts.

import { PocketDiffusionError, argumentError, show } from './library/errors.mjs';
import { checkRecipe, parseRecipe } from './library/recipe.mjs';
import { checkImage, checkKeys } from './library/validate.mjs';
import { contoursOf } from './outlines/contours.mjs';
import { metadataIn, writeSVG } from './outlines/svg.mjs';

/** Of a side: what is traced is enlarged before, and takes a hundred bytes a pixel. */
const MOST_SIDE = 2048;

/** A grey picture, or an error that names it. @param {unknown} picture */
function checkInk(picture) {
  const image = checkImage(picture, { argument: 'picture', side: MOST_SIDE });
  if (image.channels !== 1) throw argumentError(RangeError, 'picture', `must be grey, of one channel: outlines are those of ink, not of ${image.channels} channels`);
  return image;
}

/** @type {typeof import('./outlines.d.ts').outlinesOf} */
export const outlinesOf = (picture) => contoursOf(checkInk(picture));

/** @type {typeof import('./outlines.d.ts').toSVG} */
export function toSVG(picture, options = {}) {
  const checked = checkInk(picture);
  checkKeys('options', options, ['recipe', 'title']);
  const { recipe = true, title } = options;
  if (title !== undefined && typeof title !== 'string') throw argumentError(TypeError, 'title', `must be a string, not ${show(title)}`);
  const own = /** @type {import('./index.d.ts').Picture} */ (picture);
  const written = recipe === true ? own.recipe : recipe === false ? null : checkRecipe(recipe);
  return writeSVG(checked, [{ contours: contoursOf(checked), x: 0, y: 0 }], { title: title ?? own.options?.labelName, recipe: written });
}

/** @type {typeof import('./outlines.d.ts').readSVGRecipe} */
export function readSVGRecipe(svg) {
  if (typeof svg !== 'string') throw argumentError(TypeError, 'svg', `must be a string, not ${show(svg)}`);
  const texts = metadataIn(svg);
  if (texts.length > 1) throw new PocketDiffusionError('RECIPE', 'the SVG file has two recipes');
  return texts.length === 0 ? null : parseRecipe(texts[0]);
}
