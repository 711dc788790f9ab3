// All classes at once, in groups, over the whole window. Their pictures are drawn as they come into sight.

import { make, plural } from './elements.mjs';
import { makeCanvas } from './paint.mjs';
import { findClasses, loadThesaurus } from './search.mjs';

/**
 * @param {HTMLDialogElement} dialog
 * @param {object} what
 * @param {ReadonlyArray<string>} what.labels
 * @param {number} what.value the chosen class
 * @param {(label: number) => void} what.onPick
 * @param {(canvases: import('./classes.mjs').Place[]) => void} what.onShow gets the classes in sight
 */
export async function openWall(dialog, { labels, value, onPick, onShow }) {
  const thesaurus = await loadThesaurus();
  const groups = thesaurus ? thesaurus.groupsOf(labels) : [{ title: '', members: labels.map((_, label) => label) }];
  /** @type {Map<number, import('./classes.mjs').Place & { root: HTMLButtonElement }>} */
  const items = new Map(); // by class number
  /** @type {Set<number>} */
  const inSight = new Set(); // class numbers
  /** @param {number} label */
  const pick = (label) => {
    dialog.close();
    onPick(label);
  };

  const search = make('input', { type: 'search', placeholder: 'Search', autocomplete: 'off', spellcheck: false });
  search.setAttribute('aria-label', 'Search all classes');
  const close = make('button', { type: 'button', textContent: 'Close', onclick: () => dialog.close() });
  const head = make('div', { className: 'wall-head' }, make('h2', { id: 'wall-title', textContent: plural(labels.length, 'class', 'classes') }), search, close);

  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) inSight[isIntersecting ? 'add' : 'delete'](Number(target.getAttribute('data-label')));
    onShow([...inSight].flatMap((label) => items.get(label) ?? []));
  }, { root: dialog, rootMargin: '120px' });
  const sections = groups.map(({ title, members }) => {
    const section = make('section');
    const list = make('div', { className: 'wall-list' });
    for (const label of members) {
      const root = make('button', { type: 'button', className: 'class', onclick: () => pick(label) });
      root.dataset.label = String(label);
      root.setAttribute('aria-pressed', String(label === value));
      const canvas = makeCanvas();
      root.append(canvas, make('span', { textContent: labels[label] }));
      items.set(label, { label, root, canvas });
      list.append(root);
      observer.observe(root);
    }
    section.append(make('h3', { textContent: title }), list);
    return section;
  });
  search.oninput = () => {
    const found = new Set(findClasses(search.value, labels).map(({ label }) => label));
    for (const [label, { root }] of items) root.hidden = search.value.trim() !== '' && !found.has(label);
    for (const section of sections) section.hidden = !section.querySelector('.class:not([hidden])');
  };
  search.onkeydown = (event) => {
    const [best] = findClasses(search.value, labels);
    if (event.key === 'Enter' && best) pick(best.label);
    if (event.key === 'Escape' && search.value === '') dialog.close(); // WebKit's search fields keep this key to themselves
  };
  dialog.onclose = () => {
    observer.disconnect();
    dialog.replaceChildren();
    onShow([]);
  };
  dialog.replaceChildren(head, ...sections);
  dialog.showModal();
  items.get(value)?.root.scrollIntoView({ block: 'center' });
}
