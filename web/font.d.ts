/** A seed of a model of letters as a font that can be installed. */

import type { GenerateOptions, Model, Recipe } from './index.js';

export interface FontOptions extends Partial<Omit<GenerateOptions, 'label' | 'classMix' | 'image' | 'mask' | 'noise' | 'onStep' | 'recipe'>> {
  /** Family name, at most 60 characters of it. Default: "Pocket", the model's name, the seed and the variation. */
  name?: string;
  /** Text about the licence in the font. Default: the model's licence. With more than 10,000 characters a PocketDiffusionError. */
  license?: string;
  /** Called after every letter. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

export interface MadeFont {
  /** An OpenType font (.otf) with cubic outlines; the same letters make the same bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly family: string;
  /** Letters that have ink; a space and a box for what is missing come to them. */
  readonly glyphs: number;
  /** Pairs of letters that kerning moves. The table GPOS has the 12,000 that it moves most. */
  readonly kerningPairs: number;
  /** That of a sheet of all letters; the font has it as its description. */
  readonly recipe: Recipe;
}

/**
 * The font of a seed: every class that is one character, drawn with the same options, as outlines with side bearings and
 * kerning from their shapes. A letter that the model has in one case alone stands for both. A RangeError names a model that
 * has no letters.
 */
export function makeFont(model: Model, options?: FontOptions): Promise<MadeFont>;
