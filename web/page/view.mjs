// What of the page is on show: a tab for each model and one to draw on, in one of its depths.

import { element, makeOption } from './elements.mjs';

/** @typedef {'play' | 'lab'} Depth play: one thing to do; lab: every setting */

/** Of the tabs that index.html does not have. */
const OWN_ID = 'tab-own-';
/** @type {Record<string, number>} */
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
      const tab = /** @type {Element} */ (target).closest('button');
      if (tab && !tab.disabled) this.#choose(tab);
    };
    element('tabs').onkeydown = (event) => this.#moveByKey(event);
    element('depth').onclick = ({ target }) => {
      const depth = /** @type {HTMLElement} */ (target).dataset.depth;
      if (depth && depth !== this.depth) onChange({ depth: /** @type {Depth} */ (depth) });
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
    for (const button of element('depth').querySelectorAll('button')) button.setAttribute('aria-pressed', String(button.dataset.depth === this.depth));
    element('draw-model').value = this.tab;
  }

  /** @param {HTMLButtonElement} button */
  #choose({ dataset: { tab = '' } }) {
    if (tab === 'draw') this.#onChange({ drawing: true });
    else this.#onTab(tab, false);
  }

  /** Of a narrow window's tabs some are out of sight. @param {HTMLButtonElement} tab */
  #reveal(tab) {
    const row = element('tabs');
    const { left, right } = tab.getBoundingClientRect();
    const box = row.getBoundingClientRect();
    if (left < box.left || right > box.right) row.scrollLeft += left - box.left - (box.width - (right - left)) / 2;
  }

  get #tabs() {
    return [...element('tabs').querySelectorAll('button')];
  }

  /** @param {KeyboardEvent} event */
  #moveByKey(event) {
    const step = KEYS[event.key];
    const tabs = this.#tabs.filter(({ disabled }) => !disabled);
    const at = tabs.findIndex((tab) => tab === document.activeElement);
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
    for (const tab of this.#tabs) if (tab !== draw && !titles.has(tab.dataset.tab ?? '')) tab.remove();
    for (const [name, title] of titles) {
      const tab = this.#tabs.find(({ dataset }) => dataset.tab === name) ?? makeTab(name);
      if (!tab.parentElement) draw.before(tab);
      if (tab.id.startsWith(OWN_ID)) tab.lastChild?.replaceWith(title);
    }
    for (const tab of this.#tabs) {
      tab.disabled = out.has(tab.dataset.tab ?? '');
      tab.title = tab.disabled ? 'Not kept for use without a network' : '';
    }
    element('draw-model').replaceChildren(...this.#tabs.filter((tab) => tab !== draw)
      .map(({ dataset: { tab = '' }, textContent, disabled }) => Object.assign(makeOption(tab, textContent ?? tab), { disabled })));
    this.show({});
  }
}

/** @param {string} name */
function makeTab(name) {
  const tab = Object.assign(document.createElement('button'), { type: 'button', role: 'tab', id: `${OWN_ID}${++makeTab.count}` });
  tab.dataset.tab = name;
  tab.setAttribute('aria-controls', 'panel');
  tab.append(Object.assign(document.createElement('span'), { className: 'tab-picture' }), name);
  return tab;
}
makeTab.count = 0;
