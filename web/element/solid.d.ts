/** The element, and its declaration for JSX in Solid. */
import type { JSX as SolidJSX } from 'solid-js';
import type { PocketDiffusionElement } from '../element.js';
import type { Listeners, Properties } from './properties.js';

export * from '../element.js';

declare module 'solid-js' {
  namespace JSX {
    interface IntrinsicElements {
      'pocket-diffusion': Omit<SolidJSX.HTMLAttributes<PocketDiffusionElement>, 'onLoad' | 'onError' | 'onProgress'> & Properties & Listeners<'on:'>;
    }
  }
}
