// The form under "More settings": a field for each of OPTIONS.

import { element, makeOption, setText } from './elements.mjs';
import { takeOverOnEnter } from './fine_fields.mjs';
import { OPTIONS, applies, formatOption, isOf, parseOption } from './options.mjs';
import { recommendedOptions } from './settings.mjs';
import { explainTerms } from './terms.mjs';

/** @typedef {import('./options.mjs').Option} Option */
/** @typedef {HTMLInputElement | HTMLSelectElement} Field */

/** Of a model with more classes the class to guide away from is typed: its name or its number. */
const MOST_IN_SELECT = 200;

export class OptionFields {
  #model;
  #controls;
  /** @type {Map<Option, { input: Field, hint: HTMLElement }>} */
  #fields = new Map();

  /** The fields are made when they are asked for. @param {import('../index.d.ts').Model} model @param {import('./controls.mjs').Controls} controls */
  constructor(model, controls) {
    this.#model = model;
    this.#controls = controls;
    const more = element('more');
    element('options').replaceChildren();
    more.ontoggle = () => this.#make();
    element('reset').onclick = () => controls.recommend(recommendedOptions(model));
    this.#make();
    this.show();
  }

  #make() {
    if (!element('more').open || this.#fields.size > 0) return;
    element('options').replaceChildren(...OPTIONS.filter((option) => isOf(option, this.#model)).map((option) => this.#makeField(option)));
    explainTerms(element('options'));
    this.show();
  }

  /** @param {Option} option */
  #makeField(option) {
    const field = Object.assign(document.createElement('div'), { className: 'field' });
    const id = `option-${option.key}`;
    const title = Object.assign(document.createElement('label'), { htmlFor: id, textContent: option.title });
    const input = this.#makeInput(option);
    input.id = id;
    input.onchange = () => this.#readOption(option, input);
    if (input instanceof HTMLInputElement) takeOverOnEnter(input);
    const hint = Object.assign(document.createElement('p'), { className: 'hint', id: `${id}-hint` });
    input.setAttribute('aria-describedby', hint.id);
    field.append(title, input, hint);
    title.dataset.term = option.key;
    this.#fields.set(option, { input, hint });
    return field;
  }

  /** @param {Option} option @returns {Field} */
  #makeInput(option) {
    const { labels } = this.#model;
    if (option.kind === 'class' && labels.length > MOST_IN_SELECT) {
      return Object.assign(document.createElement('input'), { type: 'text', placeholder: 'no class', spellcheck: false });
    }
    const choices = {
      choice: () => option.choices.map((choice) => makeOption(choice)),
      flag: () => [makeOption('0', 'off'), makeOption('1', 'on')],
      class: () => [makeOption('', 'no class'), ...labels.map((name, label) => makeOption(formatOption(option, label, labels), name))],
      number: null,
      whole: null,
    }[option.kind];
    if (choices) {
      const select = document.createElement('select');
      select.append(...choices());
      return select;
    }
    const [min, max] = option.range(this.#model);
    return Object.assign(document.createElement('input'), { type: 'number', min: String(min), max: String(max), step: String(option.step) });
  }

  /** @param {Option} option @param {Field} input */
  #readOption(option, input) {
    const value = parseOption(option, input.value, this.#model);
    if (value === undefined) this.show();
    else this.#controls.change({ [option.name]: value });
  }

  /** @param {import('./settings.mjs').Settings} settings */
  show(settings = this.#controls.settings) {
    for (const [option, { input, hint }] of this.#fields) {
      const usable = applies(option, settings);
      input.value = formatOption(option, settings[option.name], this.#model.labels);
      input.disabled = !usable;
      setText(hint, usable ? '' : `needs ${option.needs}`);
    }
    const changed = OPTIONS.filter(({ name, initial }) => settings[name] !== initial(this.#model)).length;
    setText(element('more-changed'), changed ? `${changed} changed` : '');
    element('reset').disabled = changed === 0;
  }
}
