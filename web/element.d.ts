/**
 * The custom element <pocket-diffusion>. Importing this module defines it, where there is a DOM; elsewhere (on a server)
 * it does nothing. docs/element.md is its manual.
 */

import type { Model, Picture, SamplerName, StepEvent } from './index.js';

export type Loading = 'lazy' | 'eager' | 'click';
/** idle: nothing has begun, or it was stopped; done: the pictures on show are those that the attributes ask for. */
export type ElementState = 'idle' | 'loading' | 'generating' | 'done' | 'error';

export interface PocketDiffusionEventMap {
  /** The model is there. */
  load: CustomEvent<{ readonly model: Model }>;
  /** Bytes of the download so far and in all (0 while unknown). */
  progress: CustomEvent<{ readonly loaded: number; readonly total: number }>;
  /** After every step of every picture. No preview while the slider moves, or if the system asks for reduced motion. */
  step: CustomEvent<StepEvent & { readonly index: number; readonly count: number }>;
  /** All pictures are drawn and shown. */
  generate: CustomEvent<{ readonly pictures: ReadonlyArray<Picture> }>;
  /** What is shown in the element, too: PocketDiffusionError, TypeError or RangeError. */
  error: CustomEvent<{ readonly error: Error }>;
}

/**
 * Events do not bubble. Every property reflects the attribute of its name; null and undefined are no attribute. Set to
 * undefined before the element is defined, a property leaves the attribute as it is.
 */
export class PocketDiffusionElement extends HTMLElement {
  /** Address of the model, relative to the document. Elements with the same one share one download and one pool of workers. */
  src: string | null;
  /** Class name or number; default: the first class. */
  label: string | null;
  /** Attribute guidance-scale, 0 .. 100; default: as the model recommends. */
  guidanceScale: number | null;
  /** 1 .. timesteps; default: as the model recommends. */
  steps: number | null;
  /** Of the first picture, the others count up; default: drawn at random once. */
  get seed(): number | bigint | null;
  set seed(value: number | bigint | null);
  /** Default: as the model recommends. */
  sampler: SamplerName | (string & {}) | null;
  /** Pictures, 1 .. 64; default 1. */
  count: number | null;
  /** Show the slider and the buttons. */
  controls: boolean;
  /** When to begin: near the window (default), at once, or when somebody clicks. */
  get loading(): Loading;
  set loading(value: Loading | null);
  /** Address of an image to show until there is a picture. */
  poster: string | null;
  /** With height: proportions of one picture; default: square. */
  width: number | null;
  height: number | null;

  readonly state: ElementState;
  /** Those drawn last. */
  readonly pictures: ReadonlyArray<Picture>;
  /** The shared model while it is there; not to be closed. */
  readonly model: Model | null;

  /**
   * Begins now, whatever `loading` says, and draws anew. Rejects with what an error event would bring, or with an AbortError
   * if attributes change, the element is removed or stop() is called before the pictures are there.
   */
  generate(): Promise<ReadonlyArray<Picture>>;
  /** Ends what is under way and offers to begin again. */
  stop(): void;
  /** generate() with another seed, drawn at random into the attribute. */
  reroll(): Promise<ReadonlyArray<Picture>>;
  /** Offers the pictures as one PNG file to save, enlarged to about 512 pixels as ModelInfo.rendering says. Rejects with an InvalidStateError if there are none. */
  save(): Promise<void>;

  addEventListener<K extends keyof PocketDiffusionEventMap>(
    type: K, listener: (this: PocketDiffusionElement, event: PocketDiffusionEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof PocketDiffusionEventMap>(
    type: K, listener: (this: PocketDiffusionElement, event: PocketDiffusionEventMap[K]) => unknown,
    options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'pocket-diffusion': PocketDiffusionElement;
  }
}
