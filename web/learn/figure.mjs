// The element <pocket-diffusion-figure kind="noise" model="digits.gguf">: one figure of the article, which computes what it
// shows. docs/learn.md is its manual. Each kind is a module that is loaded when a figure of it comes near the window.
//
// Attributes are the whole of a figure's state, and its inputs change attributes. Updates never overlap: what changes
// meanwhile is drawn next, so that dragging shows as many states as the machine can draw.

import { acquireModel } from '../element/models.mjs';
import { argumentError, messageOf } from '../library/errors.mjs';
import { make, setText } from '../page/elements.mjs';
import { makeControl, valueOf } from './controls.mjs';
import { figureSheet } from './figure_style.mjs';
import { symbols } from './notation.mjs';

/** @typedef {import('./controls.mjs').Control} Control @typedef {import('./controls.mjs').State} State */
/** @typedef {import('../index.d.ts').Model} Model */
/**
 * What a kind gets, once.
 * @typedef {object} Context
 * @property {HTMLElement} stage where its pictures stand
 * @property {Model} model of kinds that need one
 * @property {'en' | 'zh'} language
 * @property {Record<string, any>} text of the kind, in this language
 * @property {(name: string, value: number | string | boolean) => void} set changes the figure's state as an input would
 * @property {() => void} redraw
 * @property {unknown} prepared by the kind
 */
/**
 * @typedef {{ says: string, values: Record<string, any> }} Seen what is to be seen now, in words and numbers
 * @typedef {{ update: (state: State, signal: AbortSignal) => Promise<Seen> | Seen, close?: () => void }} Drawing
 * @typedef {object} Kind
 * @property {boolean} needsModel
 * @property {Record<'en' | 'zh', Record<string, any>>} text
 * @property {(model: Model) => Promise<unknown>} [prepare] what its controls need to know of the model
 * @property {(context: Context) => Control[]} controls
 * @property {(context: Context) => Drawing} make
 */

const TAG = 'pocket-diffusion-figure';
const NEAR = '400px';
/** What is seen is read out when it has stood so long, in milliseconds. */
const PAUSE = 700;

/** @type {Record<string, () => Promise<{ default: Kind }>>} */
export const KINDS = {
  noise: () => import('./kinds/noise.mjs'),
  prediction: () => import('./kinds/prediction.mjs'),
  posterior: () => import('./kinds/posterior.mjs'),
  reverse: () => import('./kinds/reverse.mjs'),
  class: () => import('./kinds/class.mjs'),
  guidance: () => import('./kinds/guidance.mjs'),
  price: () => import('./kinds/price.mjs'),
  plane: () => import('./kinds/plane.mjs'),
  code: () => import('./kinds/code.mjs'),
  inside: () => import('./kinds/inside.mjs'),
};
/** Of all kinds. */
export const STATE_ATTRIBUTES = ['t', 'label', 'seed', 's', 'known', 'step', 'steps', 'at', 'back', 'pixel', 'draw', 'guess', 'sampler', 'eta', 'p', 'layer', 'channel'];

const TEXT = {
  en: { loading: 'The model is loading …', again: 'Try again', failed: 'This figure could not be drawn.' },
  zh: { loading: '正在载入模型……', again: '重试', failed: '这张图没能画出来。' },
};

const Base = globalThis.HTMLElement ?? class {};

export class PocketDiffusionFigure extends Base {
  static observedAttributes = ['kind', 'model', ...STATE_ATTRIBUTES];

  /** @type {'idle' | 'loading' | 'drawing' | 'done' | 'error'} */
  #state = 'idle';
  /** @type {Record<string, any>} */
  #values = {};
  #wanted = false;
  /** @type {IntersectionObserver | null} */
  #observer = null;
  /** @type {ReturnType<typeof acquireModel> | null} */
  #lease = null;
  /** @type {AbortController | null} */
  #life = null; // of the kind and the model on show
  /** @type {AbortController | null} */
  #update = null;
  #dirty = false;
  #running = false;
  /** @type {Drawing | null} */
  #drawing = null;
  /** @type {Map<string, { control: Control, show: (value: any) => void }>} */
  #controls = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pause;
  #stage = /** @type {HTMLElement} */ (/** @type {unknown} */ (null));
  #form = this.#stage;
  #says = this.#stage;
  #spoken = this.#stage;

  /** 'done': what its attributes say is on show. */
  get state() {
    return this.#state;
  }

  /** The numbers on show, by name; docs/learn.md lists them. */
  get values() {
    return this.#values;
  }

  get kind() {
    return this.getAttribute('kind') ?? '';
  }

  /** What differs from how the kind begins, as attributes have it; before it has begun, all that is written. @returns {Record<string, string>} */
  get changed() {
    const names = this.#controls.size > 0 ? [...this.#controls.keys()] : STATE_ATTRIBUTES;
    return Object.fromEntries(names.flatMap((name) => {
      const written = this.getAttribute(name);
      return written === null ? [] : [[name, written]];
    }));
  }

  /** @returns {'en' | 'zh'} */
  get #language() {
    return /^zh\b/i.test(this.closest('[lang]')?.getAttribute('lang') ?? '') ? 'zh' : 'en';
  }

  connectedCallback() {
    if (!this.#stage) this.#build();
    if (this.#wanted) this.#open();
    else this.#watch();
  }

  disconnectedCallback() {
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#observer?.disconnect();
      this.#close();
    });
  }

  /** @param {string} name @param {string | null} before @param {string | null} value */
  attributeChangedCallback(name, before, value) {
    if (before === value || !this.#wanted || !this.isConnected) return;
    if (name === 'kind' || name === 'model') this.#open();
    else this.#redraw();
  }

  /** Begins now, wherever the figure stands. */
  begin() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#observer?.disconnect();
    if (this.isConnected) this.#open();
  }

  #build() {
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [figureSheet(this.ownerDocument)];
    this.#stage = make('div', { className: 'stage' });
    this.#form = make('div', { className: 'controls' });
    this.#says = make('p', { className: 'says' });
    this.#spoken = make('p', { className: 'spoken' });
    this.#spoken.setAttribute('aria-live', 'polite');
    root.replaceChildren(this.#stage, this.#form, this.#says, this.#spoken);
  }

  #watch() {
    if (typeof IntersectionObserver !== 'function') return this.begin();
    this.#observer = new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) this.begin();
    }, { rootMargin: NEAR });
    this.#observer.observe(this);
  }

  #close() {
    this.#life?.abort();
    this.#update?.abort();
    this.#drawing?.close?.();
    this.#lease?.release();
    this.#life = this.#update = this.#drawing = this.#lease = null;
    this.#dirty = false;
    clearTimeout(this.#pause);
  }

  async #open() {
    this.#close();
    const life = new AbortController();
    this.#life = life;
    this.#state = 'loading';
    const text = TEXT[this.#language];
    setText(this.#says, text.loading);
    try {
      if (!Object.hasOwn(KINDS, this.kind)) throw argumentError(RangeError, 'kind', `must be one of ${Object.keys(KINDS).join(', ')}, not ${JSON.stringify(this.kind)}`);
      const { default: kind } = await KINDS[this.kind]();
      if (life.signal.aborted) return;
      const model = kind.needsModel ? await this.#load() : null;
      if (life.signal.aborted) return;
      const prepared = model && await kind.prepare?.(model);
      if (life.signal.aborted) return;
      this.#furnish(kind, /** @type {Model} */ (model), prepared);
      this.#redraw();
    } catch (error) {
      if (!life.signal.aborted) this.#fail(error);
    }
  }

  #load() {
    const source = this.getAttribute('model');
    if (!source) throw argumentError(TypeError, 'model', 'is missing');
    this.#lease = acquireModel(new URL(source, this.baseURI).href, () => {});
    return this.#lease.model;
  }

  /** @param {Kind} kind @param {Model} model @param {unknown} prepared */
  #furnish(kind, model, prepared) {
    const fresh = make('div', { className: 'stage' }); // without the listeners of what was drawn before
    this.#stage.replaceWith(fresh);
    this.#stage = fresh;
    /** @param {string} name @param {number | string | boolean} value */
    const set = (name, value) => this.#set(name, value);
    const language = this.#language;
    const context = { stage: this.#stage, model, language, text: kind.text[language], set, redraw: () => this.#redraw(), prepared };
    const made = kind.controls(context).map((control) => ({ control, ...makeControl(control, set) }));
    this.#controls = new Map(made.filter(({ control }) => control.kind !== 'button').map(({ control, show }) => [control.name, { control, show }]));
    this.#form.replaceChildren(...made.map(({ node }) => node));
    this.#drawing = kind.make(context);
  }

  /** @param {string} name @param {number | string | boolean} value */
  #set(name, value) {
    const control = this.#controls.get(name)?.control;
    if (control?.initial === value) this.removeAttribute(name);
    else this.setAttribute(name, value === true ? '' : value === false ? 'no' : String(value));
    this.dispatchEvent(new CustomEvent('change', { bubbles: true }));
  }

  /** @returns {State} */
  #read() {
    return Object.fromEntries([...this.#controls].map(([name, { control }]) => [name, valueOf(control, this.getAttribute(name))]));
  }

  #redraw() {
    if (!this.#drawing) return;
    this.#dirty = true;
    this.#state = 'drawing';
    this.#update?.abort();
    if (!this.#running) this.#run();
  }

  async #run() {
    this.#running = true;
    while (this.#dirty && this.#drawing) {
      this.#dirty = false;
      const update = this.#update = new AbortController();
      const state = this.#read();
      for (const [name, { show }] of this.#controls) show(state[name]);
      const drawing = this.#drawing;
      try {
        const { says, values } = await drawing.update(state, update.signal);
        if (drawing !== this.#drawing) continue;
        this.#values = values;
        this.#say(says);
        if (this.#dirty) continue;
        this.#state = 'done';
        this.dispatchEvent(new CustomEvent('update', { detail: values }));
      } catch (error) {
        if (!update.signal.aborted) this.#fail(error);
      }
    }
    this.#running = false;
  }

  /** @param {string} text */
  #say(text) {
    this.#says.replaceChildren(symbols(text));
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => setText(this.#spoken, this.#says.textContent ?? ''), PAUSE);
  }

  /** @param {unknown} error */
  #fail(error) {
    const text = TEXT[this.#language];
    this.#state = 'error';
    this.#close();
    const again = make('button', { type: 'button', textContent: text.again });
    again.onclick = () => this.#open();
    this.#form.replaceChildren();
    setText(this.#says, '');
    this.#stage.replaceChildren(make('div', { className: 'error' }, make('p', { textContent: text.failed }), make('p', { textContent: messageOf(error) }), again));
    this.#stage.querySelector('.error')?.setAttribute('role', 'alert');
  }
}

if (globalThis.customElements && !customElements.get(TAG)) customElements.define(TAG, PocketDiffusionFigure);
