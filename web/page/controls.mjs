// The form: settings in, settings out.

import { RadioGroup } from './radios.mjs';
import { COUNTS, MAX_SEED, SAMPLERS, SCALE, rollSeed, roundScale } from './settings.mjs';

/** @typedef {import('./settings.mjs').Settings} Settings */

/** From this number of classes on there is a search field. */
const SEARCH_FROM = 13;

const element = (id) => document.getElementById(id);
const wholeNumber = (text) => (/^\d+$/.test(text.trim()) ? Number(text) : NaN);

export class Controls {
  #settings;
  #info;
  #onChange;
  #byPointer = false;
  #classes;
  #samplers;
  #counts;

  /**
   * @param {import('../index.d.ts').Model} model
   * @param {Settings} settings
   * @param {(settings: Settings, how: { draft: boolean }) => void} onChange
   *   draft: the value is being moved and will change again
   */
  constructor({ labels, info }, settings, onChange) {
    this.#info = info;
    this.#onChange = onChange;
    this.#classes = new RadioGroup(element('class-list'), labels, (label) => {
      this.#change({ label, ...(this.#locked ? {} : { seed: rollSeed(this.#settings.seed) }) });
    });
    this.#samplers = new RadioGroup(element('sampler-list'), SAMPLERS.map((name) => name.toUpperCase()), (index) =>
      this.#change({ sampler: SAMPLERS[index] }));
    this.#counts = new RadioGroup(element('count-list'), COUNTS.map(String), (index) =>
      this.#change({ count: COUNTS[index] }));
    this.#connectSearch(labels.length >= SEARCH_FROM);
    this.#connectScale();
    this.#connectSeed();
    this.#connectSteps();
    this.settings = settings;
    for (const id of ['scale', 'generate', 'seed', 'roll', 'lock', 'steps', 'link']) element(id).disabled = false;
  }

  /** @returns {Settings} never changed in place */
  get settings() {
    return this.#settings;
  }

  set settings(settings) {
    this.#settings = Object.freeze({ ...settings });
    this.#classes.value = settings.label;
    this.#samplers.value = SAMPLERS.indexOf(settings.sampler);
    this.#counts.value = COUNTS.indexOf(settings.count);
    element('scale').value = String(settings.guidanceScale);
    element('seed').value = String(settings.seed);
    element('steps').value = String(settings.steps);
    this.#showScale();
  }

  get #locked() {
    return element('lock').getAttribute('aria-pressed') === 'true';
  }

  #change(changes, { draft = false } = {}) {
    this.settings = { ...this.#settings, ...changes };
    this.#onChange(this.#settings, { draft });
  }

  #connectSearch(wanted) {
    const search = element('class-search');
    search.hidden = !wanted;
    search.oninput = () => {
      element('class-none').hidden = this.#classes.filter(search.value) > 0;
    };
    search.onkeydown = (event) => {
      if (event.key === 'Enter') event.preventDefault();
    };
  }

  // `input` comes with every move. After a drag `change` says that it is over; with the keyboard it follows every
  // key, so there the moves are drafts that complete themselves when the keys rest.
  #connectScale() {
    const slider = element('scale');
    const recommended = element('recommended');
    const value = roundScale(this.#info.recommended.guidanceScale);
    const read = () => ({ guidanceScale: roundScale(slider.valueAsNumber) });
    // In braces: a handler that returns false cancels what the key does.
    slider.onpointerdown = () => { this.#byPointer = true; };
    slider.onkeydown = () => { this.#byPointer = false; };
    slider.oninput = () => this.#change(read(), { draft: true });
    slider.onchange = () => {
      if (this.#byPointer) this.#change(read());
    };
    recommended.onclick = () => this.#change({ guidanceScale: value });
    recommended.setAttribute('aria-label', `Use the recommended scale, ${value}`);
    element('recommended-text').textContent = String(value);
    const position = (value - SCALE.min) / (SCALE.max - SCALE.min);
    element('track').style.setProperty('--recommended', String(position));
    // There the word would run into those at the ends.
    element('track').toggleAttribute('data-crowded', Math.abs(position - 0.5) > 0.25);
    recommended.hidden = false;
  }

  #showScale() {
    const { guidanceScale } = this.#settings;
    const isRecommended = guidanceScale === roundScale(this.#info.recommended.guidanceScale);
    element('scale-value').textContent = guidanceScale.toFixed(1);
    element('weight').textContent = (guidanceScale - 1).toFixed(1).replace('-', '−');
    element('scale').setAttribute('aria-valuetext', `${guidanceScale}${isRecommended ? ', recommended' : ''}`);
    element('recommended').dataset.active = String(isRecommended);
    element('track').style.setProperty('--value', String((guidanceScale - SCALE.min) / (SCALE.max - SCALE.min)));
  }

  #connectSeed() {
    const seed = element('seed');
    const lock = element('lock');
    const roll = () => this.#change({ seed: rollSeed(this.#settings.seed) });
    seed.onchange = () => {
      const value = wholeNumber(seed.value);
      if (value <= MAX_SEED) this.#change({ seed: value });
      else seed.value = String(this.#settings.seed);
    };
    element('roll').onclick = roll;
    lock.onclick = () => lock.setAttribute('aria-pressed', String(!this.#locked));
    element('controls').onsubmit = (event) => {
      event.preventDefault();
      if (this.#locked) this.#change({});
      else roll();
    };
  }

  #connectSteps() {
    const steps = element('steps');
    steps.max = String(this.#info.timesteps);
    steps.onchange = () => {
      const value = wholeNumber(steps.value);
      if (value >= 1 && value <= this.#info.timesteps) this.#change({ steps: value });
      else steps.value = String(this.#settings.steps);
    };
  }
}
