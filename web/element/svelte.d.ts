/** The element, and its declaration for components in Svelte 5. */
import type { HTMLAttributes } from 'svelte/elements';
import type { PocketDiffusionElement } from '../element.js';
import type { Listeners, Properties } from './properties.js';

export * from '../element.js';

declare module 'svelte/elements' {
  interface SvelteHTMLElements {
    'pocket-diffusion': Omit<HTMLAttributes<PocketDiffusionElement>, keyof Listeners<'on'>> & Properties & Listeners<'on'>;
  }
}
