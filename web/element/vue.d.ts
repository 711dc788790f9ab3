/** The element, and its declaration for templates and JSX in Vue 3. */
import type { HTMLAttributes, ReservedProps } from 'vue';
import type { PocketDiffusionElement } from '../element.js';
import type { Listeners, Properties } from './properties.js';

export * from '../element.js';

type Attributes = Omit<HTMLAttributes, 'onLoad' | 'onError' | 'onProgress'> & ReservedProps & Properties &
  Listeners<'on'> & { [Name in keyof Listeners<''> as `on${Capitalize<Name>}`]?: Listeners<''>[Name] };

declare module 'vue' {
  interface GlobalComponents {
    'pocket-diffusion': new () => PocketDiffusionElement & { $props: Attributes };
  }
}

declare module 'vue/jsx-runtime' {
  namespace JSX {
    interface IntrinsicElements {
      'pocket-diffusion': Attributes;
    }
  }
}
