// The element <pocket-diffusion>. Documented in element.d.ts and docs/element.md.
//
// Attributes are the whole of its settings; its controls change attributes, too. Whatever changes ends the run under way
// and begins the next one with what the attributes say by then.

import { abortable } from './library/async.mjs';
import {
  SAMPLING_ATTRIBUTES, attributeText, foreignAttributes, numberProperty, readLayout, readLoading, readOptions, seedProperty, withoutDashes,
} from './element/attributes.mjs';
import { acquireModel } from './element/models.mjs';
import { View, saveFile } from './element/view.mjs';
import { argumentError, messageOf } from './library/errors.mjs';

const TAG = 'pocket-diffusion';

/** How far below and above the window "near" reaches. */
const NEAR = '300px';

/** Seeds that are drawn at random: six digits are short enough to read out. */
const RANDOM_SEEDS = 1_000_000;
/** Saved pictures have about these many pixels on their longer side, sheets of them a few thousand. */
const SAVED_SIDE = 512;
const SAVED_SHEET_SIDE = 4096;

const LAYOUT_ATTRIBUTES = ['count', 'width', 'height'];
const STRINGS = ['src', 'label', 'sampler', 'poster'];
const NUMBERS = { guidanceScale: 'guidance-scale', steps: 'steps', count: 'count', width: 'width', height: 'height' };
const ATTRIBUTES = ['src', ...SAMPLING_ATTRIBUTES, 'width', 'height', 'controls', 'loading', 'poster'];

/**
 * Frameworks that render on a server write the names of properties, `guidanceScale`, and HTML makes `guidancescale` of it.
 * @type {Map<string, string>} attribute without dashes -> with dashes
 */
const DASHED = new Map(ATTRIBUTES.filter((name) => name.includes('-')).map((name) => [withoutDashes(name), name]));

const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % RANDOM_SEEDS;
const abortError = () => new DOMException('The pictures are no longer wanted.', 'AbortError');

/**
 * @typedef {import('./element.d.ts').PocketDiffusionElement} Documented
 * @typedef {Pick<Documented, 'src' | 'label' | 'sampler' | 'poster' | 'guidanceScale' | 'steps' | 'count' | 'width' | 'height'>} Reflected
 *   what the static block defines
 * @typedef {import('./index.d.ts').Model} Model @typedef {import('./index.d.ts').Picture} Picture
 * @typedef {{ promise: Promise<ReadonlyArray<Picture>>, resolve: (pictures: ReadonlyArray<Picture>) => void, reject: (reason: unknown) => void }} Waiting
 */

/**
 * Under Node.js, for example while a site is rendered on a server, there is no such class.
 */
const Base = /** @type {new () => HTMLElement & Reflected} */ (globalThis.HTMLElement ?? class {});

export class PocketDiffusionElement extends Base {
  static observedAttributes = [...ATTRIBUTES, ...DASHED.keys()];

  /** @param {string} name */
  #get = (name) => this.getAttribute(name) ?? this.getAttribute(withoutDashes(name));
  #view = /** @type {View} */ (/** @type {unknown} */ (null)); // made when the element is put into a document
  /** @type {IntersectionObserver | null} */
  #observer = null;
  #wanted = false; // near the window, or asked for
  /** @type {import('./element.d.ts').ElementState} */
  #state = 'idle';
  /** @type {ReturnType<typeof acquireModel> | null} */
  #lease = null; // of the model at `src`
  /** @type {Model | null} */
  #model = null;
  /** @type {AbortController | null} */
  #work = null; // of what is under way
  /** @type {Waiting | null} */
  #waiting = null; // of the next run, until it begins
  #sliding = false; // the slider is changing the attribute
  #again = false; // the slider has moved since the run began
  /** @type {number | null} */
  #randomSeed = null;
  /** @type {ReadonlyArray<Picture>} */
  #pictures = Object.freeze([]);
  /** @type {import('./index.d.ts').RenderingName} of the pictures */
  #rendering = 'smooth';

  constructor() {
    super();
    this.#upgradeProperties();
  }

  // ---- properties

  get state() {
    return this.#state;
  }

  get pictures() {
    return this.#pictures;
  }

  get model() {
    return this.#model;
  }

  get seed() {
    return seedProperty(this.#get);
  }

  /** @param {number | bigint | null} value */
  set seed(value) {
    this.#reflect('seed', value);
  }

  get controls() {
    return this.hasAttribute('controls');
  }

  set controls(value) {
    this.toggleAttribute('controls', Boolean(value));
  }

  get loading() {
    return readLoading(this.#get);
  }

  /** @param {import('./element.d.ts').Loading} value */
  set loading(value) {
    this.#reflect('loading', value);
  }

  /** @param {string} attribute @param {unknown} value */
  #reflect(attribute, value) {
    if (value === null || value === undefined) this.removeAttribute(attribute);
    else this.setAttribute(attribute, attributeText(value));
  }

  /**
   * With an attribute goes its other form: Vue removes `guidanceScale` after it has set the property to 0.
   * @override @param {string} name
   */
  removeAttribute(name) {
    super.removeAttribute(name);
    for (const forms of DASHED) {
      if (forms.includes(String(name).toLowerCase())) forms.forEach((form) => super.removeAttribute(form));
    }
  }

  static {
    /** @param {string} name @param {(this: PocketDiffusionElement) => unknown} get */
    const property = (name, get, attribute = name) => Object.defineProperty(this.prototype, name, {
      configurable: true,
      enumerable: true,
      get,
      /** @this {PocketDiffusionElement} @param {unknown} value */
      set(value) {
        this.#reflect(attribute, value);
      },
    });
    for (const name of STRINGS) property(name, function () { return this.getAttribute(name); });
    for (const [name, attribute] of Object.entries(NUMBERS)) {
      // Solid writes names of properties in small letters.
      for (const form of new Set([name, name.toLowerCase()])) {
        property(form, function () { return numberProperty(this.#get, attribute); }, attribute);
      }
    }
  }

  // ---- life cycle

  connectedCallback() {
    if (!this.#view) this.#build();
    if (!this.#wanted) this.#arm();
    else if (this.#state === 'idle') this.#schedule();
  }

  /**
   * Properties that were set before the element was defined hide its accessors. Undefined is what a script reads from such an
   * element, and may write back (`element.src = element.src`): it asks for nothing.
   */
  #upgradeProperties() {
    for (const name of Object.getOwnPropertyNames(this)) {
      const accessor = Object.getOwnPropertyDescriptor(PocketDiffusionElement.prototype, name);
      if (!accessor?.get) continue;
      const value = Object.getOwnPropertyDescriptor(this, name)?.value;
      if (Reflect.deleteProperty(this, name) && value !== undefined) accessor.set?.call(this, value);
    }
  }

  #build() {
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    root.replaceChildren();
    this.#view = new View(root, {
      onStart: () => this.generate(),
      onRetry: () => this.generate(),
      onReroll: () => this.reroll(),
      onSave: () => this.save().catch((error) => this.#fail(error, 'The picture could not be saved.')),
      onSlide: (scale) => this.#slide(scale),
      onSlid: () => {
        if (this.#again) this.#schedule();
      },
    });
    this.#view.layOut(readLayout(this.#get));
    this.#view.showControls(this.controls);
    // eslint-disable-next-line no-console -- whoever wrote the attribute learns of it nowhere else
    for (const sentence of foreignAttributes(this.getAttributeNames())) console.warn(sentence);
    this.#view.allowSaving(false);
    this.#showScale();
    this.#showPoster();
  }

  disconnectedCallback() {
    // An element that is moved is taken out and put in again at once.
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#stopWatching();
      this.#abort();
      this.#release();
      this.#rest();
    });
  }

  adoptedCallback() {
    this.#view?.restyle();
  }

  /** @param {string} written @param {string | null} before @param {string | null} value */
  attributeChangedCallback(written, before, value) {
    if (before === value || !this.#view) return;
    const name = DASHED.get(written) ?? written;
    if (LAYOUT_ATTRIBUTES.includes(name)) this.#view.layOut(readLayout(this.#get));
    if (name === 'controls') this.#view.showControls(this.controls);
    if (name === 'poster') this.#showPoster();
    if (name === 'guidance-scale') this.#showScale();
    const sampling = name === 'src' || SAMPLING_ATTRIBUTES.includes(name);
    if (!this.isConnected) {
      if (sampling) this.#state = 'idle'; // what is on show is no longer what the attributes say
    } else if (!this.#wanted) {
      if (sampling || name === 'loading') this.#arm();
    } else if (sampling) {
      this.#again = this.#sliding;
      if (!this.#sliding || !this.#work) this.#schedule();
    }
  }

  /** Waits for the moment that `loading` names. */
  #arm() {
    if (this.#wanted) return;
    const { loading } = this;
    this.#stopWatching();
    this.#view.offer(loading === 'click' && this.src ? this.label ?? '' : null);
    if (!this.src || loading === 'click') return;
    if (loading === 'eager' || typeof IntersectionObserver !== 'function') {
      this.generate();
      return;
    }
    this.#observer = new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) this.generate();
    }, { rootMargin: NEAR });
    this.#observer.observe(this);
  }

  #stopWatching() {
    this.#observer?.disconnect();
    this.#observer = null;
  }

  #showScale() {
    const scale = this.guidanceScale ?? this.#model?.info.recommended.guidanceScale;
    if (scale !== undefined) this.#view.setScale(scale);
  }

  #showPoster() {
    this.#view.setPoster(this.#pictures.length > 0 ? null : this.poster);
  }

  /** @param {keyof import('./element.d.ts').PocketDiffusionEventMap} type @param {object} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // ---- what people and scripts can ask for

  generate() {
    this.#wanted = true;
    this.#stopWatching();
    this.#view?.offer(null);
    return this.#schedule();
  }

  stop() {
    if (!this.#work && !this.#waiting) return;
    this.#wanted = false;
    this.#abort();
    this.#rest();
    this.#view?.offer(this.src ? this.label ?? '' : null);
  }

  reroll() {
    const used = this.#pictures[0]?.options.seed;
    const seed = randomSeed();
    this.seed = seed === used ? (seed + 1) % RANDOM_SEEDS : seed;
    return this.generate();
  }

  async save() {
    if (this.#pictures.length === 0) throw new DOMException('There is no picture yet.', 'InvalidStateError');
    const [{ options }] = this.#pictures;
    const name = options.labelName.replace(/[^\p{L}\p{N}_-]+/gu, '_').slice(0, 64) || 'picture';
    saveFile(`${name}-${options.seed}.png`, await this.#encode(), 'image/png');
  }

  /** One PNG of all pictures, enlarged and laid out as they are shown. */
  async #encode() {
    const pictures = this.#pictures;
    const { enlarge, factorFor } = await import('./library/rendering.mjs');
    if (pictures.length === 1) return pictures[0].toPNG({ scale: factorFor(pictures[0], SAVED_SIDE) });
    const [{ encodePNG }, { makeSheet }] = await Promise.all([import('./index.mjs'), import('./library/sheet.mjs')]);
    const { columns, rows } = readLayout(this.#get);
    const scale = factorFor(pictures[0], Math.min(SAVED_SIDE, Math.floor(SAVED_SHEET_SIDE / Math.max(columns, rows))));
    const images = pictures.map((picture) => /** @type {Picture} */ (enlarge(picture, this.#rendering, scale)));
    return encodePNG(makeSheet(images, columns));
  }

  /** Runs of the slider wait for the one under way: otherwise none would ever be finished while it moves. @param {number} scale */
  #slide(scale) {
    this.#sliding = true;
    this.guidanceScale = scale;
    this.#sliding = false;
  }

  // ---- runs

  /** @returns {Promise<ReadonlyArray<import('./index.d.ts').Picture>>} the pictures of the next run */
  #schedule() {
    if (!this.#waiting) {
      const waiting = /** @type {Waiting} */ ({});
      waiting.promise = new Promise((resolve, reject) => Object.assign(waiting, { resolve, reject }));
      waiting.promise.catch(() => {}); // shown in the element; nobody has to look at the promise
      this.#waiting = waiting;
      queueMicrotask(() => this.#begin(waiting));
    }
    return this.#waiting.promise;
  }

  /** @param {Waiting} waiting */
  #begin({ resolve, reject }) {
    const gentle = this.#again && this.#pictures.length > 0;
    this.#waiting = null;
    this.#again = false;
    this.#abort();
    if (!this.#wanted || !this.isConnected) {
      reject(abortError());
      return;
    }
    this.#work = new AbortController();
    this.#run(this.#work, gentle).then(resolve, reject);
  }

  /** @param {AbortController} work @param {boolean} gentle without what would flicker while the slider moves */
  async #run(work, gentle) {
    const { signal } = work;
    let sentence = 'The model could not be loaded.';
    try {
      const model = await this.#load(signal);
      sentence = 'The picture could not be drawn.';
      return await this.#draw(model, signal, gentle);
    } catch (error) {
      signal.throwIfAborted();
      this.#fail(error, /** @type {{ argument?: string }} */ (error).argument ? 'This element is not set up correctly.' : sentence);
      throw error;
    } finally {
      if (this.#work === work) {
        this.#work = null;
        if (this.#again) this.#schedule();
      }
    }
  }

  #abort() {
    this.#work?.abort(abortError());
    this.#work = null;
  }

  #rest() {
    if (this.#state !== 'done' && this.#state !== 'error') this.#state = 'idle';
    if (this.#state === 'idle') this.#view?.rest();
  }

  #release() {
    this.#lease?.release();
    this.#lease = this.#model = null;
  }

  #address() {
    if (!this.src) throw argumentError(TypeError, 'src', 'is missing');
    try {
      return new URL(this.src, this.baseURI).href;
    } catch {
      throw argumentError(TypeError, 'src', 'is no address');
    }
  }

  /** @param {AbortSignal} signal */
  async #load(signal) {
    if (this.#lease && (!this.src || this.#lease.href !== this.#address())) this.#release();
    if (this.#model) return this.#model;
    const href = this.#address();
    this.#state = 'loading';
    this.#view.loading(0, 0);
    this.#lease ??= acquireModel(href, (progress) => this.#tellProgress(progress));
    try {
      this.#model = await abortable(this.#lease.model, signal);
    } catch (error) {
      if (!signal.aborted) this.#release(); // the next run downloads again
      throw error;
    }
    this.#view.setScales(this.#model.info);
    this.#showScale();
    this.#emit('load', { model: this.#model });
    signal.throwIfAborted(); // by a listener
    return this.#model;
  }

  /** @param {{ loaded: number, total: number }} progress */
  #tellProgress({ loaded, total }) {
    if (this.#state !== 'loading') return;
    this.#view.loading(loaded, total);
    this.#emit('progress', { loaded, total });
  }

  /** @param {Model} model @param {AbortSignal} signal @param {boolean} gentle */
  async #draw(model, signal, gentle) {
    const options = readOptions(this.#get, model.labels);
    options.seed ??= this.#randomSeed ??= randomSeed();
    this.#state = 'generating';
    this.#view.drawing(0, { quiet: gentle });
    /** @type {Picture[]} */
    const pictures = [];
    const shown = !gentle && !matchMedia('(prefers-reduced-motion: reduce)').matches;
    const { rendering } = model.info;
    const onStep = this.#stepListener(options.count, shown, rendering);
    for await (const picture of model.generateMany({ ...options, signal, preview: shown, onStep })) {
      const { labelName, seed, guidanceScale } = picture.options;
      this.#view.paint(pictures.length, picture, rendering);
      this.#view.describe(pictures.length, `${labelName || 'Picture'}, seed ${seed}, guidance scale ${guidanceScale}`);
      pictures.push(picture);
    }
    this.#pictures = Object.freeze(pictures);
    this.#rendering = rendering;
    this.#state = 'done';
    const what = options.count === 1 ? '' : `${options.count} pictures, `;
    this.#view.rest(`Drawn: ${what}${pictures[0].options.labelName || 'picture'}, seed ${pictures[0].options.seed}`);
    this.#view.allowSaving(true);
    this.#emit('generate', { pictures: this.#pictures });
    return this.#pictures;
  }

  /** @param {number} count @param {boolean} shown @param {import('./index.d.ts').RenderingName} rendering */
  #stepListener(count, shown, rendering) {
    const steps = new Array(count).fill(0);
    /** @param {import('./index.d.ts').StepEvent & { index: number }} event */
    return (event) => {
      steps[event.index] = event.step;
      const done = steps.reduce((sum, step) => sum + step, 0);
      this.#view.drawing(done / (event.steps * count), { quiet: !shown });
      if (shown && event.preview) this.#view.paint(event.index, event.preview, rendering);
      this.#emit('step', event);
    };
  }

  /** @param {unknown} error @param {string} sentence */
  #fail(error, sentence) {
    this.#state = 'error';
    this.#view.fail(sentence, messageOf(error));
    this.#emit('error', { error });
  }
}

if (globalThis.customElements && !customElements.get(TAG)) customElements.define(TAG, PocketDiffusionElement);
