// The fields of seed, steps, sampler and number of pictures.

import { element, makeOption } from './elements.mjs';
import { RadioGroup } from './radios.mjs';
import { COUNTS, MAX_SEED, SAMPLERS } from './settings.mjs';

/** Enter takes the value over; the browser alone does so only when the field is left. @param {HTMLInputElement} input */
export function takeOverOnEnter(input) {
  input.onkeydown = (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    input.onchange?.(event);
  };
}

/** @param {string} text */
const wholeNumber = (text) => (/^\d+$/.test(text.trim()) ? Number(text) : NaN);

export class FineFields {
  #counts;

  /** @param {import('../index.d.ts').Model} model @param {import('./controls.mjs').Controls} controls */
  constructor(model, controls) {
    const { timesteps } = model.info;
    const seed = element('seed');
    const steps = element('steps');
    const sampler = element('sampler');
    const lock = element('lock');
    this.#counts = new RadioGroup(element('count-list'), COUNTS.map(String), (index) => controls.change({ count: COUNTS[index] }));
    sampler.replaceChildren(...Object.entries(SAMPLERS).map(([name, { title }]) => makeOption(name, title)));
    sampler.onchange = () => controls.change({ sampler: /** @type {import('./settings.mjs').Settings['sampler']} */ (sampler.value) });
    seed.onchange = () => {
      const value = wholeNumber(seed.value);
      if (value <= MAX_SEED) controls.change({ seed: value });
      else seed.value = String(controls.settings.seed);
    };
    steps.max = String(timesteps);
    steps.onchange = () => {
      const value = wholeNumber(steps.value);
      if (value >= 1 && value <= timesteps) controls.change({ steps: value });
      else steps.value = String(controls.settings.steps);
    };
    for (const input of [seed, steps]) takeOverOnEnter(input);
    lock.onclick = () => lock.setAttribute('aria-pressed', String(!controls.locked));
    for (const field of [seed, steps, sampler, lock]) field.disabled = false;
    this.show(controls.settings);
  }

  /** @param {import('./settings.mjs').Settings} settings */
  show({ seed, steps, sampler, count }) {
    element('seed').value = String(seed);
    element('steps').value = String(steps);
    element('sampler').value = sampler;
    this.#counts.value = COUNTS.indexOf(count);
  }
}
