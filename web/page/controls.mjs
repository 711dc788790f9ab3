// The settings on show, and the slider that changes the most important one. The other fields are fine_fields.mjs.

import { element, setText } from './elements.mjs';
import { SCALE, recommendedScale, rollSeed, roundScale, scaleRange } from './settings.mjs';

/** @typedef {import('./settings.mjs').Settings} Settings */

/** Between two moves of the slider that have consequences: some more than the pictures can follow, of few steps or many. */
const MOVE_MILLISECONDS = { few: 30, many: 80 };
const FEW_STEPS = 4;

/** What a scale means, in a line. @param {number} scale @param {number} recommended @param {string} wish */
function says(scale, recommended, wish) {
  if (scale === 0) return 'At 0 the static alone decides.';
  if (scale < 1) return 'Below 1 the static still has its way.';
  if (scale === 1) return 'At 1 the network alone: varied, with slips.';
  if (scale <= recommended) return `Above 1 it leans towards ${wish}.`;
  return `Above ${recommended} it insists: clearer, more alike.`;
}

export class Controls {
  #settings;
  #own;
  #model;
  #onChange;
  #byPointer = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} while moves of the slider wait */
  #moves;
  #movedAt = -Infinity;
  #inPlay = true;
  #wish = '';

  /**
   * Connects the slider to a model; may be made again for another one.
   * @param {import('../index.d.ts').Model} model
   * @param {Settings} settings
   * @param {Iterable<string>} own names of those that the visitor has chosen, by hand or through a link
   * @param {(settings: Settings, how: { draft?: boolean, again?: boolean }) => void} onChange
   *   draft: the value is being moved and will change again; again: the same pictures are asked for once more
   */
  constructor(model, settings, own, onChange) {
    this.#model = model;
    this.#own = new Set(own);
    this.#onChange = onChange;
    this.#settings = settings;
    this.#connectScale();
    this.settings = settings; // shows them
    element('scale').disabled = false;
  }

  /** @returns {Settings} never changed in place */
  get settings() {
    return this.#settings;
  }

  set settings(settings) {
    this.#settings = Object.freeze({ ...settings });
    element('scale').value = String(settings.guidanceScale);
    this.#showScale();
  }

  /**
   * Where there is nothing but the slider, its way is for the scales at which something happens; elsewhere it has all.
   * @param {boolean} inPlay @param {string} wish what is asked for, in words
   */
  describe(inPlay, wish) {
    this.#inPlay = inPlay;
    this.#wish = wish;
    setText(element('wish'), wish);
    this.#showScale();
  }

  get locked() {
    return element('lock').getAttribute('aria-pressed') === 'true';
  }

  /** Names of the settings that stay when another model is opened; the others are then as that one recommends. @returns {Set<string>} */
  get own() {
    return this.#own;
  }

  /** Changes settings at the visitor's wish and says so. @param {Partial<Settings>} changes @param {{ draft?: boolean }} [how] */
  change(changes, how = {}) {
    const names = /** @type {Array<keyof Settings>} */ (Object.keys(changes));
    for (const name of names) if (changes[name] !== this.#settings[name]) this.#own.add(name);
    this.#apply(changes, how);
  }

  /** Back to what the model recommends. @param {Partial<Settings>} changes */
  recommend(changes) {
    for (const name of Object.keys(changes)) this.#own.delete(name);
    this.#apply(changes);
  }

  /** @param {Partial<Settings>} changes @param {{ draft?: boolean, again?: boolean }} [how] */
  #apply(changes, how = {}) {
    clearTimeout(this.#moves);
    this.#moves = undefined;
    this.settings = { ...this.#settings, ...changes };
    this.#onChange(this.#settings, how);
  }

  /** Another class, with another seed unless that is locked. @param {number} label */
  pickClass(label) {
    this.#own.add('label');
    this.#apply({ label, ...(this.locked ? {} : { seed: rollSeed(this.#settings.seed) }) });
  }

  /** Other pictures: another seed, which is no wish to be kept, unless the one in use is locked. */
  drawAgain() {
    if (this.locked) return this.#apply({}, { again: true });
    this.#own.delete('seed');
    this.#apply({ seed: rollSeed(this.#settings.seed) });
  }

  // `input` comes with every move. After a drag `change` says that it is over; with the keyboard it follows every
  // key, so there the moves are drafts that complete themselves when the keys rest.
  #connectScale() {
    const slider = element('scale');
    const recommended = element('recommended');
    const value = recommendedScale(this.#model);
    const read = () => ({ guidanceScale: roundScale(slider.valueAsNumber) });
    // In braces: a handler that returns false cancels what the key does.
    slider.onpointerdown = () => { this.#byPointer = true; };
    slider.onkeydown = () => { this.#byPointer = false; };
    slider.oninput = () => this.#move(read().guidanceScale);
    slider.onchange = () => {
      if (this.#byPointer) this.change(read());
    };
    recommended.onclick = () => this.recommend({ guidanceScale: value });
    recommended.setAttribute('aria-label', `Use the recommended scale, ${value}`);
    element('recommended-text').textContent = String(value);
    recommended.disabled = false;
  }

  /**
   * The slider has moved, and is likely to go on: where it stands is shown at once, but what follows from that is done
   * once for all moves that come close together. Nobody could see what came of the others.
   * @param {number} guidanceScale
   */
  #move(guidanceScale) {
    this.#own.add('guidanceScale');
    this.#settings = Object.freeze({ ...this.#settings, guidanceScale });
    this.#showScale();
    const wait = this.#movedAt + MOVE_MILLISECONDS[this.#settings.steps <= FEW_STEPS ? 'few' : 'many'] - performance.now();
    if (wait > 0) this.#moves ??= setTimeout(() => this.#follow(), wait);
    else this.#follow();
  }

  /** Does now what moves that wait have as their consequence. */
  flush() {
    if (this.#moves !== undefined) this.#follow();
  }

  #follow() {
    this.#movedAt = performance.now();
    this.#apply({}, { draft: true });
  }

  #showScale() {
    const { guidanceScale } = this.#settings;
    const recommended = recommendedScale(this.#model);
    const [min, highest] = scaleRange(this.#model);
    const max = this.#inPlay && Math.max(guidanceScale, recommended) <= SCALE.playMax ? Math.min(SCALE.playMax, highest) : highest;
    /** @param {number} value */
    const place = (value) => String((value - min) / Math.max(max - min, 0.1));
    const scale = element('scale');
    if (scale.min !== String(min) || scale.max !== String(max)) {
      Object.assign(scale, { min: String(min), max: String(max) });
      scale.value = String(guidanceScale); // it may have been cut off
    }
    setText(element('scale-value'), guidanceScale.toFixed(1));
    setText(element('weight'), (guidanceScale - 1).toFixed(1).replace('-', '−'));
    setText(element('scale-says'), says(guidanceScale, recommended, this.#wish));
    element('scale').setAttribute('aria-valuetext', `${guidanceScale}${guidanceScale === recommended ? ', recommended' : ''}`);
    element('recommended').dataset.active = String(guidanceScale === recommended);
    element('track').style.setProperty('--recommended', place(recommended));
    element('track').style.setProperty('--value', place(guidanceScale));
  }
}
