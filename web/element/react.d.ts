/**
 * The element, and its declaration for JSX in React 19. Events are listened to in `ref`, with addEventListener(): React
 * forgets those among the properties on markup that came from a server.
 */
import type { ClassAttributes, HTMLAttributes } from 'react';
import type { PocketDiffusionElement } from '../element.js';
import type { Properties } from './properties.js';

export * from '../element.js';

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'pocket-diffusion': Omit<HTMLAttributes<PocketDiffusionElement>, 'onLoad' | 'onError' | 'onProgress'> &
        ClassAttributes<PocketDiffusionElement> & Properties & { class?: string };
    }
  }
}
