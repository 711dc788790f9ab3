// Ink as outlines: SVG of grey pictures. An entry of its own, for it needs packages that pictures do not. Documented in
// outlines.d.ts.

import { PocketDiffusionError, argumentError, show } from './library/errors.mjs';
import { checkRecipe, parseRecipe } from './library/recipe.mjs';
import { contoursOf } from './outlines/contours.mjs';
import { metadataIn, writeSVG } from './outlines/svg.mjs';

/** Of a side: what is traced is enlarged before, and takes a hundred bytes a pixel. */
const MOST_SIDE = 2048;

/** A grey picture, or an error that names it. @param {any} image @returns {import('./library/rendering.mjs').Image} */
function checkInk(image) {
  if (typeof image !== 'object' || image === null) throw argumentError(TypeError, 'picture', `must be a picture, not ${show(image)}`);
  const { width, height, pixels, channels = 1 } = image;
  if (channels !== 1) throw argumentError(RangeError, 'picture', `must be grey, of one channel: outlines are those of ink, not of ${show(channels)} channels`);
  const isSide = (/** @type {unknown} */ value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MOST_SIDE;
  if (!isSide(width) || !isSide(height)) throw argumentError(RangeError, 'picture', `must have a width and a height of 1 to ${MOST_SIDE}`);
  if (!(pixels instanceof Uint8Array || pixels instanceof Uint8ClampedArray) || pixels.length !== width * height) {
    throw argumentError(TypeError, 'picture', 'must have one byte a pixel');
  }
  return { width, height, channels, pixels };
}

/** @type {typeof import('./outlines.d.ts').outlinesOf} */
export const outlinesOf = (picture) => contoursOf(checkInk(picture));

/** @type {typeof import('./outlines.d.ts').toSVG} */
export function toSVG(picture, options = {}) {
  const checked = checkInk(picture);
  if (typeof options !== 'object' || options === null) throw argumentError(TypeError, 'options', `must be an object, not ${show(options)}`);
  const { recipe = true, title, ...others } = options;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw argumentError(TypeError, 'options', `unknown key ${show(unknown)}`);
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
