/** Ink as outlines: SVG of grey pictures, letters and doodles. */

import type { Image, Recipe } from './index.js';

/** In pixels of the picture, from its upper left corner. */
export type OutlinePoint = [x: number, y: number];
/** A cubic Bezier curve. */
export type OutlineCurve = [from: OutlinePoint, control: OutlinePoint, control: OutlinePoint, to: OutlinePoint];

/**
 * The edges of the ink as closed contours, each of which ends where it begins. Holes are contours, too: fill them by the
 * even-odd rule. A TypeError or RangeError names a picture that is not grey (of one channel), or larger than 2048 pixels a side.
 */
export function outlinesOf(picture: Image): OutlineCurve[][];

export interface SVGOptions {
  /** The recipe that the file carries. Default true: the picture's own, if it is a Picture; false: none. */
  recipe?: boolean | Recipe;
  /** What the picture is called. Default: its class. */
  title?: string;
}

/**
 * An SVG file: one black path on a transparent ground, of the size of the picture in its view box. It shows what an
 * enlarged picture of ink shows: at most 2 % of the ink's area differ.
 */
export function toSVG(picture: Image, options?: SVGOptions): string;

/** The recipe in an SVG file of toSVG; null if it has none. A PocketDiffusionError of code RECIPE if it is damaged, or one of two. */
export function readSVGRecipe(svg: string): Recipe | null;
