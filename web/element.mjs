// The element <pocket-diffusion>. Documented in element.d.ts and docs/element.md.
//
// Attributes are the whole of its settings; its controls change attributes, too. Whatever changes ends the run under way
// and begins the next one with what the attributes say by then.

import { abortable } from './async.mjs';
import {
  SAMPLING_ATTRIBUTES, numberProperty, readLayout, readLoading, readOptions, seedProperty,
} from './element/attributes.mjs';
import { acquireModel } from './element/models.mjs';
import { View, saveFile } from './element/view.mjs';
import { argumentError } from './errors.mjs';

const TAG = 'pocket-diffusion';

/** How far below and above the window "near" reaches. */
const NEAR = '300px';

/** Seeds that are drawn at random: six digits are short enough to read out. */
const RANDOM_SEEDS = 1_000_000;

const LAYOUT_ATTRIBUTES = ['count', 'width', 'height'];
const STRINGS = ['src', 'label', 'sampler', 'poster'];
const NUMBERS = { guidanceScale: 'guidance-scale', steps: 'steps', count: 'count', width: 'width', height: 'height' };

const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % RANDOM_SEEDS;
const abortError = () => new DOMException('The pictures are no longer wanted.', 'AbortError');

/** Under Node.js, for example while a site is rendered on a server, there is no such class. */
const Base = globalThis.HTMLElement ?? class {};

export class PocketDiffusionElement extends Base {
  static observedAttributes = [...new Set(['src', ...SAMPLING_ATTRIBUTES, ...LAYOUT_ATTRIBUTES, 'controls', 'loading', 'poster'])];

  #get = (name) => this.getAttribute(name);
  #view = null;
  #observer = null;
  #wanted = false; // near the window, or asked for
  #state = 'idle';
  #lease = null; // of the model at `src`
  #model = null;
  #work = null; // controller of what is under way
  #waiting = null; // promise and settlers of the next run, until it begins
  #sliding = false; // the slider is changing the attribute
  #again = false; // the slider has moved since the run began
  #randomSeed = null;
  #pictures = Object.freeze([]);

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

  set loading(value) {
    this.#reflect('loading', value);
  }

  #reflect(attribute, value) {
    if (value === null || value === undefined) this.removeAttribute(attribute);
    else this.setAttribute(attribute, String(value));
  }

  static {
    const property = (name, get, attribute = name) => Object.defineProperty(this.prototype, name, {
      configurable: true,
      enumerable: true,
      get,
      set(value) {
        this.#reflect(attribute, value);
      },
    });
    for (const name of STRINGS) property(name, function () { return this.getAttribute(name); });
    for (const [name, attribute] of Object.entries(NUMBERS)) {
      property(name, function () { return numberProperty(this.#get, attribute); }, attribute);
    }
  }

  // ---- life cycle

  connectedCallback() {
    if (!this.#view) {
      this.#upgradeProperties();
      this.#build();
    }
    if (!this.#wanted) this.#arm();
    else if (this.#state === 'idle') this.#schedule();
  }

  /** Properties that were set before the element was defined hide the accessors. */
  #upgradeProperties() {
    for (const name of [...STRINGS, ...Object.keys(NUMBERS), 'seed', 'controls', 'loading']) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
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
      onSlid: () => this.#again && this.#schedule(),
    });
    this.#view.layOut(readLayout(this.#get));
    this.#view.showControls(this.controls);
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

  attributeChangedCallback(name, before, value) {
    if (before === value || !this.#view) return;
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
    const name = options.labelName.replace(/[^\p{L}\p{N}_-]+/gu, '_').slice(0, 64);
    saveFile(`${name}-${options.seed}.png`, await this.#encode(), 'image/png');
  }

  /** One PNG of all pictures, laid out as they are shown. */
  async #encode() {
    const pictures = this.#pictures;
    if (pictures.length === 1) return pictures[0].toPNG();
    const [{ encodePNG }, { makeSheet }] = await Promise.all([import('./index.mjs'), import('./sheet.mjs')]);
    return encodePNG(makeSheet(pictures, readLayout(this.#get).columns));
  }

  /** Runs of the slider wait for the one under way: otherwise none would ever be finished while it moves. */
  #slide(scale) {
    this.#sliding = true;
    this.guidanceScale = scale;
    this.#sliding = false;
  }

  // ---- runs

  /** @returns {Promise<ReadonlyArray<import('./index.d.ts').Picture>>} the pictures of the next run */
  #schedule() {
    if (!this.#waiting) {
      const waiting = {};
      waiting.promise = new Promise((resolve, reject) => Object.assign(waiting, { resolve, reject }));
      waiting.promise.catch(() => {}); // shown in the element; nobody has to look at the promise
      this.#waiting = waiting;
      queueMicrotask(() => this.#begin());
    }
    return this.#waiting.promise;
  }

  #begin() {
    const { resolve, reject } = this.#waiting;
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

  async #run(work, gentle) {
    const { signal } = work;
    let sentence = 'The model could not be loaded.';
    try {
      const model = await this.#load(signal);
      sentence = 'The picture could not be drawn.';
      return await this.#draw(model, signal, gentle);
    } catch (error) {
      signal.throwIfAborted();
      this.#fail(error, error.argument ? 'This element is not set up correctly.' : sentence);
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
    this.#showScale();
    this.#emit('load', { model: this.#model });
    signal.throwIfAborted(); // by a listener
    return this.#model;
  }

  #tellProgress({ loaded, total }) {
    if (this.#state !== 'loading') return;
    this.#view.loading(loaded, total);
    this.#emit('progress', { loaded, total });
  }

  async #draw(model, signal, gentle) {
    const options = readOptions(this.#get, model.labels);
    options.seed ??= this.#randomSeed ??= randomSeed();
    this.#state = 'generating';
    this.#view.drawing(0, { quiet: gentle });
    const pictures = [];
    const shown = !gentle && !matchMedia('(prefers-reduced-motion: reduce)').matches;
    const onStep = this.#stepListener(options.count, shown);
    for await (const picture of model.generateMany({ ...options, signal, preview: shown, onStep })) {
      const { labelName, seed, guidanceScale } = picture.options;
      this.#view.paint(pictures.length, picture);
      this.#view.describe(pictures.length, `${labelName}, seed ${seed}, guidance scale ${guidanceScale}`);
      pictures.push(picture);
    }
    this.#pictures = Object.freeze(pictures);
    this.#state = 'done';
    const what = options.count === 1 ? '' : `${options.count} pictures, `;
    this.#view.rest(`Drawn: ${what}${pictures[0].options.labelName}, seed ${pictures[0].options.seed}`);
    this.#view.allowSaving(true);
    this.#emit('generate', { pictures: this.#pictures });
    return this.#pictures;
  }

  #stepListener(count, shown) {
    const steps = new Array(count).fill(0);
    return (event) => {
      steps[event.index] = event.step;
      const done = steps.reduce((sum, step) => sum + step, 0);
      this.#view.drawing(done / (event.steps * count), { quiet: !shown });
      if (shown) this.#view.paint(event.index, event.preview);
      this.#emit('step', event);
    };
  }

  #fail(error, sentence) {
    this.#state = 'error';
    this.#view.fail(sentence, error.message);
    this.#emit('error', { error });
  }
}

if (globalThis.customElements && !customElements.get(TAG)) customElements.define(TAG, PocketDiffusionElement);
