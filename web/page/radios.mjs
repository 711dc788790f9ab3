// Radio buttons made from data: the browser's own, so that arrow keys, focus and screen readers work as everywhere.

let groups = 0;

export class RadioGroup {
  #container;
  #inputs;

  /**
   * @param {HTMLElement} container receives one label with an input per item
   * @param {ReadonlyArray<string>} items shown as text
   * @param {(index: number) => void} onChange
   */
  constructor(container, items, onChange) {
    const name = `${container.id}-${++groups}`;
    this.#container = container;
    this.#inputs = items.map((text, index) => {
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

  get value() {
    return this.#inputs.findIndex((input) => input.checked);
  }

  set value(index) {
    this.#inputs.forEach((input, each) => (input.checked = each === index));
  }

  /** Hides the items that do not contain `text`; the checked one hides like the others. @returns {number} shown */
  filter(text) {
    const wanted = text.trim().toLowerCase();
    let shown = 0;
    for (const label of this.#container.children) {
      label.hidden = !label.textContent.toLowerCase().includes(wanted);
      if (!label.hidden) shown++;
    }
    return shown;
  }
}
