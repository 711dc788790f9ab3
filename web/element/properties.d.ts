// What frameworks may set on <pocket-diffusion>, for their declarations of it.

import type { PocketDiffusionElement, PocketDiffusionEventMap } from '../element.js';

type Settable = 'src' | 'label' | 'guidanceScale' | 'steps' | 'seed' | 'sampler' | 'count' | 'controls' | 'loading' | 'poster' | 'width' | 'height';

/** Undefined and null are no attribute. Numbers may be text, as in HTML. */
export type Properties = {
  [Name in Settable]?: PocketDiffusionElement[Name] | (number extends PocketDiffusionElement[Name] ? `${number}` : never) | null | undefined;
} & { 'guidance-scale'?: number | `${number}` | null | undefined };

/** Names of listeners, such as ongenerate. */
export type Listeners<Prefix extends string> = {
  [Type in keyof PocketDiffusionEventMap as `${Prefix}${Type}`]?: ((event: PocketDiffusionEventMap[Type]) => unknown) | undefined;
};
