// The form: settings in, settings out.

import { OPTIONS, applies, formatOption, parseOption } from './options.mjs';
import { RadioGroup } from './radios.mjs';
import { COUNTS, MAX_SEED, SAMPLERS, SAMPLER_TITLES, SCALE, rollSeed, roundScale } from './settings.mjs';
import { setText } from './text.mjs';

/** @typedef {import('./settings.mjs').Settings} Settings */
/** @typedef {import('./options.mjs').Option} Option */

const element = (id) => document.getElementById(id);
/** Enter takes the value over; it does not submit the form, which would draw with another seed. */
function takeOverOnEnter(input) {
  input.onkeydown = (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    input.onchange();
  };
}

/** Between two moves of the slider that have consequences: some more than the pictures can follow. */
const MOVE_MILLISECONDS = 80;

const wholeNumber = (text) => (/^\d+$/.test(text.trim()) ? Number(text) : NaN);
const makeOption = (value, text = value) => Object.assign(document.createElement('option'), { value, textContent: text });

/** Of a model with more classes the class to guide away from is typed: its name or its number. */
export const MOST_IN_SELECT = 200;

export class Controls {
  /** @type {Settings} */
  #settings;
  #own;
  #model;
  #onChange;
  #byPointer = false;
  /** @type {any} of setTimeout, while moves of the slider wait */
  #moves;
  #movedAt = -Infinity;
  #counts;
  #fields = new Map(); // Option -> { input, hint }

  /**
   * Connects the form to a model; may be made again for another one.
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
    element('sampler').replaceChildren(...SAMPLERS.map((name) => makeOption(name, SAMPLER_TITLES[name] ?? name)));
    element('sampler').onchange = () => this.change({ sampler: element('sampler').value });
    this.#counts = new RadioGroup(element('count-list'), COUNTS.map(String), (index) => this.change({ count: COUNTS[index] }));
    this.#connectScale();
    this.#connectSeed();
    this.#connectSteps();
    this.#connectOptions();
    this.settings = settings;
    for (const id of ['scale', 'generate', 'seed', 'roll', 'lock', 'steps', 'sampler']) element(id).disabled = false;
  }

  /** @returns {Settings} never changed in place */
  get settings() {
    return this.#settings;
  }

  set settings(settings) {
    this.#settings = Object.freeze({ ...settings });
    this.#counts.value = COUNTS.indexOf(settings.count);
    element('scale').value = String(settings.guidanceScale);
    element('seed').value = String(settings.seed);
    element('steps').value = String(settings.steps);
    element('sampler').value = settings.sampler;
    this.#showScale();
    this.#showOptions();
  }

  get locked() {
    return element('lock').getAttribute('aria-pressed') === 'true';
  }

  /** Names of the settings that stay when another model is opened; the others are then as that one recommends. @returns {Set<string>} */
  get own() {
    return this.#own;
  }

  /** Changes settings at the visitor's wish and says so. @param {Partial<Settings>} changes */
  change(changes, how = {}) {
    for (const [name, value] of Object.entries(changes)) if (value !== this.#settings[name]) this.#own.add(name);
    this.#apply(changes, how);
  }

  /** Back to what the model recommends. @param {Partial<Settings>} changes */
  #recommend(changes) {
    for (const name of Object.keys(changes)) this.#own.delete(name);
    this.#apply(changes);
  }

  #apply(changes, how = {}) {
    clearTimeout(this.#moves);
    this.#moves = undefined;
    this.settings = { ...this.#settings, ...changes };
    this.#onChange(this.#settings, how);
  }

  /** Another class, with another seed unless that is locked. */
  pickClass(label) {
    this.change({ label, ...(this.locked ? {} : { seed: rollSeed(this.#settings.seed) }) });
  }

  // `input` comes with every move. After a drag `change` says that it is over; with the keyboard it follows every
  // key, so there the moves are drafts that complete themselves when the keys rest.
  #connectScale() {
    const slider = element('scale');
    const recommended = element('recommended');
    const value = roundScale(this.#model.info.recommended.guidanceScale);
    const read = () => ({ guidanceScale: roundScale(slider.valueAsNumber) });
    // In braces: a handler that returns false cancels what the key does.
    slider.onpointerdown = () => { this.#byPointer = true; };
    slider.onkeydown = () => { this.#byPointer = false; };
    slider.oninput = () => this.#move(read().guidanceScale);
    slider.onchange = () => {
      if (this.#byPointer) this.change(read());
    };
    recommended.onclick = () => this.#recommend({ guidanceScale: value });
    recommended.setAttribute('aria-label', `Use the recommended scale, ${value}`);
    element('recommended-text').textContent = String(value);
    const position = (value - SCALE.min) / (SCALE.max - SCALE.min);
    element('track').style.setProperty('--recommended', String(position));
    // There the word would run into those at the ends.
    element('track').toggleAttribute('data-crowded', Math.abs(position - 0.5) > 0.25);
    recommended.hidden = false;
  }

  /**
   * The slider has moved, and is likely to go on: where it stands is shown at once, but what follows from that is done
   * once for all moves that come close together. Nobody could see what came of the others.
   */
  #move(guidanceScale) {
    this.#own.add('guidanceScale');
    this.#settings = Object.freeze({ ...this.#settings, guidanceScale });
    this.#showScale();
    const wait = this.#movedAt + MOVE_MILLISECONDS - performance.now();
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
    const isRecommended = guidanceScale === roundScale(this.#model.info.recommended.guidanceScale);
    setText(element('scale-value'), guidanceScale.toFixed(1));
    setText(element('weight'), (guidanceScale - 1).toFixed(1).replace('-', '−'));
    element('scale').setAttribute('aria-valuetext', `${guidanceScale}${isRecommended ? ', recommended' : ''}`);
    element('recommended').dataset.active = String(isRecommended);
    element('track').style.setProperty('--value', String((guidanceScale - SCALE.min) / (SCALE.max - SCALE.min)));
  }

  #connectSeed() {
    const seed = element('seed');
    const lock = element('lock');
    const roll = () => this.change({ seed: rollSeed(this.#settings.seed) });
    seed.onchange = () => {
      const value = wholeNumber(seed.value);
      if (value <= MAX_SEED) this.change({ seed: value });
      else seed.value = String(this.#settings.seed);
    };
    takeOverOnEnter(seed);
    element('roll').onclick = roll;
    lock.onclick = () => lock.setAttribute('aria-pressed', String(!this.locked));
    element('controls').onsubmit = (event) => {
      event.preventDefault();
      if (this.locked) this.change({}, { again: true });
      else roll();
    };
  }

  #connectSteps() {
    const steps = element('steps');
    steps.max = String(this.#model.info.timesteps);
    steps.onchange = () => {
      const value = wholeNumber(steps.value);
      if (value >= 1 && value <= this.#model.info.timesteps) this.change({ steps: value });
      else steps.value = String(this.#settings.steps);
    };
    takeOverOnEnter(steps);
  }

  // ---- more settings

  /** The fields are made when they are asked for, and anew for another model. */
  #connectOptions() {
    const more = element('more');
    const make = () => {
      if (!more.open || this.#fields.size > 0) return;
      element('options').replaceChildren(...OPTIONS.map((option) => this.#makeField(option)));
      this.#showOptions();
    };
    element('options').replaceChildren();
    more.ontoggle = make;
    element('reset').onclick = () =>
      this.#recommend(Object.fromEntries(OPTIONS.map(({ name, initial }) => [name, initial(this.#model)])));
    queueMicrotask(make); // open already: when the settings are there
  }

  /** @param {Option} option */
  #makeField(option) {
    const field = Object.assign(document.createElement('div'), { className: 'field' });
    const id = `option-${option.key}`;
    const title = Object.assign(document.createElement('label'), { htmlFor: id, textContent: option.title });
    const input = this.#makeInput(option);
    input.id = id;
    input.onchange = () => this.#readOption(option, input);
    if (input.localName === 'input') takeOverOnEnter(input);
    const hint = Object.assign(document.createElement('p'), { className: 'hint', id: `${id}-hint` });
    input.setAttribute('aria-describedby', hint.id);
    field.append(title, input, hint);
    this.#fields.set(option, { input, hint });
    return field;
  }

  /** @param {Option} option */
  #makeInput(option) {
    const { labels } = this.#model;
    if (option.kind === 'class' && labels.length > MOST_IN_SELECT) {
      return Object.assign(document.createElement('input'), { type: 'text', placeholder: 'no class', spellcheck: false });
    }
    const choices = {
      choice: () => option.choices.map((choice) => makeOption(choice)),
      flag: () => [makeOption('0', 'off'), makeOption('1', 'on')],
      class: () => [makeOption('', 'no class'), ...labels.map((name, label) => makeOption(formatOption(option, label, labels), name))],
    }[option.kind];
    if (choices) {
      const select = document.createElement('select');
      select.append(...choices());
      return select;
    }
    const [min, max] = option.range(this.#model);
    return Object.assign(document.createElement('input'), { type: 'number', min, max, step: option.step });
  }

  #readOption(option, input) {
    const value = parseOption(option, input.value, this.#model);
    if (value === undefined) this.#showOptions();
    else this.change({ [option.name]: value });
  }

  #showOptions() {
    for (const [option, { input, hint }] of this.#fields) {
      const usable = applies(option, this.#settings);
      input.value = formatOption(option, this.#settings[option.name], this.#model.labels);
      input.disabled = !usable;
      setText(hint, usable ? '' : `needs ${option.needs}`);
    }
    const changed = OPTIONS.filter(({ name, initial }) => this.#settings[name] !== initial(this.#model)).length;
    setText(element('more-changed'), changed ? `${changed} changed` : '');
    element('reset').disabled = changed === 0;
  }
}
