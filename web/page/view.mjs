// What of the page is on show: a tab for each model and one to draw on, in one of its depths.

import { element, makeOption } from './elements.mjs';

/** @typedef {'play' | 'lab'} Depth play: one thing to do; lab: every setting */

/** Of the tabs that index.html does not have. */
const OWN_ID = 'tab-own-';
const KEYS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

export class View {
  #page = element('page');
  #onTab;
  #onChange;
  /** Name of the tab's model. */
  tab = 'letters';
  /** @type {Depth} */
  depth = 'play';
  /** Whether the sheet to draw on is on show. */
  drawing = false;

  /**
   * @param {(tab: string, drawing: boolean) => void} onTab a model was chosen, to be seen or to draw with
   * @param {(changes: { depth?: Depth, drawing?: boolean }) => void} onChange of the view alone
   */
  constructor(onTab, onChange) {
    this.#onTab = onTab;
    this.#onChange = onChange;
    element('tabs').onclick = ({ target }) => {
      const tab = target.closest('[role="tab"]');
      if (tab && !tab.disabled) this.#choose(tab);
    };
    element('tabs').onkeydown = (event) => this.#moveByKey(event);
    element('depth').onclick = ({ target }) => {
      const { depth } = target.dataset;
      if (depth && depth !== this.depth) onChange({ depth });
    };
    element('draw-model').onchange = () => onTab(element('draw-model').value, true);
  }

  get inPlay() {
    return this.depth === 'play';
  }

  /** @param {Partial<Pick<View, 'tab' | 'depth' | 'drawing'>>} changes */
  show(changes) {
    Object.assign(this, changes);
    const chosen = this.drawing ? 'draw' : this.tab;
    Object.assign(this.#page.dataset, { tab: chosen, depth: this.depth });
    for (const tab of this.#tabs) {
      const selected = tab.dataset.tab === chosen;
      tab.setAttribute('aria-selected', String(selected));
      tab.tabIndex = selected ? 0 : -1;
      if (selected) {
        element('panel').setAttribute('aria-labelledby', tab.id);
        this.#reveal(tab);
      }
    }
    for (const button of element('depth').children) button.setAttribute('aria-pressed', String(button.dataset.depth === this.depth));
    element('draw-model').value = this.tab;
  }

  #choose({ dataset: { tab } }) {
    if (tab === 'draw') this.#onChange({ drawing: true });
    else this.#onTab(tab, false);
  }

  /** Of a narrow window's tabs some are out of sight. */
  #reveal(tab) {
    const row = element('tabs');
    const { left, right } = tab.getBoundingClientRect();
    const box = row.getBoundingClientRect();
    if (left < box.left || right > box.right) row.scrollLeft += left - box.left - (box.width - (right - left)) / 2;
  }

  get #tabs() {
    return [...element('tabs').querySelectorAll('[role="tab"]')];
  }

  #moveByKey(event) {
    const step = KEYS[event.key];
    const tabs = this.#tabs.filter(({ disabled }) => !disabled);
    const at = tabs.indexOf(document.activeElement);
    if (step === undefined || at < 0) return;
    event.preventDefault();
    const next = Number.isFinite(step) ? (at + step + tabs.length) % tabs.length : step < 0 ? 0 : tabs.length - 1;
    tabs[next].focus();
    this.#choose(tabs[next]);
  }

  /**
   * Tabs for these models and no others.
   * @param {ReadonlyMap<string, string>} titles by name @param {ReadonlySet<string>} [out] names of those that cannot be had now
   */
  offer(titles, out = new Set()) {
    const draw = element('tab-draw');
    for (const tab of this.#tabs) if (tab !== draw && titles.get(tab.dataset.tab) === undefined) tab.remove();
    for (const [name, title] of titles) {
      if (!this.#find(name)) draw.before(makeTab(name));
      if (this.#find(name).id.startsWith(OWN_ID)) this.#find(name).lastChild.textContent = title;
    }
    for (const tab of this.#tabs) {
      tab.disabled = out.has(tab.dataset.tab);
      tab.title = tab.disabled ? 'Not kept for use without a network' : '';
    }
    element('draw-model').replaceChildren(...this.#tabs.filter((tab) => tab !== draw)
      .map(({ dataset, textContent, disabled }) => Object.assign(makeOption(dataset.tab, textContent), { disabled })));
    this.show({});
  }

  #find(name) {
    return this.#tabs.find(({ dataset }) => dataset.tab === name);
  }
}

function makeTab(name) {
  const tab = Object.assign(document.createElement('button'), { type: 'button', role: 'tab', id: `${OWN_ID}${++makeTab.count}` });
  tab.dataset.tab = name;
  tab.setAttribute('aria-controls', 'panel');
  tab.append(Object.assign(document.createElement('span'), { className: 'tab-picture' }), name);
  return tab;
}
makeTab.count = 0;
