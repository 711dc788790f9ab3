// Radio buttons made from data: the browser's own, so that arrow keys, focus and screen readers work as everywhere.

import { makeCanvas } from './paint.mjs';

let groups = 0;

/**
 * A radio button whose face is a canvas.
 * @param {string} name of its group @param {() => void} onChoose
 * @returns {{ root: HTMLLabelElement, input: HTMLInputElement, canvas: HTMLCanvasElement }}
 */
export function makeTile(name, onChoose) {
  const root = Object.assign(document.createElement('label'), { className: 'tile' });
  const input = Object.assign(document.createElement('input'), { type: 'radio', name: `${name}-tile` });
  input.addEventListener('change', onChoose);
  const canvas = makeCanvas();
  root.append(input, canvas);
  return { root, input, canvas };
}

export class RadioGroup {
  #inputs;

  /**
   * @param {HTMLElement} container receives one label with an input per item
   * @param {ReadonlyArray<string>} items shown as text
   * @param {(index: number) => void} onChange
   */
  constructor(container, items, onChange) {
    const name = `${container.id}-${++groups}`;
    this.#inputs = items.map((_, index) => {
      const input = Object.assign(document.createElement('input'), { type: 'radio', name, value: String(index) });
      input.addEventListener('change', () => onChange(index));
      return input;
    });
    container.replaceChildren(...items.map((text, index) => {
      const label = document.createElement('label');
      const caption = document.createElement('span');
      caption.textContent = text;
      label.append(this.#inputs[index], caption);
      return label;
    }));
  }

  /** @param {number} index of the chosen one */
  set value(index) {
    this.#inputs.forEach((input, each) => (input.checked = each === index));
  }
}
