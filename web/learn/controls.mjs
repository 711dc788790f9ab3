// The native inputs of a figure. What they say are attributes of its element: so figures are set in HTML, and stand in links.

import { make, makeOption } from '../page/elements.mjs';
import { symbols } from './notation.mjs';

/**
 * @typedef {object} Control
 * @property {'range' | 'choice' | 'seed' | 'check' | 'button'} kind
 * @property {string} name of the attribute; of a button, of what it does
 * @property {string} text its label
 * @property {number | string | boolean} [initial]
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step]
 * @property {boolean} [wide] as wide as the figure
 * @property {(value: number) => string} [show] of a range
 * @property {{ value: string, text: string, name?: string }[]} [options] of a choice; name: what attributes may say, too, whatever the language
 * @property {() => void} [act] of a button
 */
/** @typedef {Record<string, any>} State by name of the control: numbers, texts, and truth */

const MOST_SEED = 999_999;

/** What an attribute says; nonsense counts as nothing. @param {Control} control @param {string | null} written */
export function valueOf({ kind, initial, min = 0, max = MOST_SEED, step = 1, options = [] }, written) {
  if (kind === 'check') return written === null ? initial : written !== 'no';
  if (written === null || written === '') return initial;
  if (kind === 'choice') return options.find(({ value, text, name }) => [value, text, name].includes(written))?.value ?? initial;
  const number = Number(written);
  if (!Number.isFinite(number)) return initial;
  const fit = step >= 1 ? Math.round(number / step) * step : number;
  return Math.min(Math.max(fit, min), max);
}

let made = 0;

/**
 * @param {Control} control @param {(name: string, value: number | string | boolean) => void} change
 * @returns {{ node: HTMLElement, show: (value: any) => void }}
 */
export function makeControl(control, change) {
  const { kind, name, text, min = 0, max = 1, step = 1, wide } = control;
  const id = `control-${++made}`;
  const label = make('label', { htmlFor: id }, symbols(text));
  const box = (/** @type {(Node | string)[]} */ ...children) => make('div', { className: `control ${kind}${wide ? ' wide' : ''}` }, ...children);
  if (kind === 'button') {
    const button = make('button', { type: 'button' }, symbols(text));
    button.dataset.name = name;
    button.onclick = () => control.act?.();
    return { node: box(button), show: () => {} };
  }
  if (kind === 'check') {
    const input = make('input', { id, type: 'checkbox', name });
    input.onchange = () => change(name, input.checked);
    return { node: box(input, label), show: (value) => (input.checked = value) };
  }
  if (kind === 'choice') {
    const select = make('select', { id, name }, ...(control.options ?? []).map((option) => makeOption(option.value, option.text)));
    select.onchange = () => change(name, select.value);
    return { node: box(label, select), show: (value) => (select.value = value) };
  }
  if (kind === 'seed') {
    const input = make('input', { id, name, type: 'number', min: '0', max: String(MOST_SEED), step: '1', inputMode: 'numeric' });
    input.onchange = () => change(name, /** @type {number} */ (valueOf({ ...control, min: 0, max: MOST_SEED }, input.value)));
    const next = make('button', { type: 'button', textContent: '+1' });
    next.setAttribute('aria-label', `${text} +1`);
    next.onclick = () => change(name, (Number(input.value) + 1) % (MOST_SEED + 1));
    return { node: box(label, input, next), show: (value) => (input.value = String(value)) };
  }
  const input = make('input', { id, name, type: 'range', min: String(min), max: String(max), step: String(step) });
  const output = make('output', {});
  output.setAttribute('aria-live', 'off'); // the input itself says it
  output.setAttribute('for', id);
  input.oninput = () => change(name, Number(input.value));
  return {
    node: box(label, output, input),
    show: (value) => {
      input.value = String(value);
      output.value = control.show?.(value) ?? String(value);
      input.setAttribute('aria-valuetext', output.value);
    },
  };
}
