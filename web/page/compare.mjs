// Two settings side by side: A is pinned with its pictures, B is what the form says.

import { makeCanvas, paint } from './paint.mjs';
import { OPTIONS, applies, formatOption } from './options.mjs';
import { SAMPLERS, nameOf } from './settings.mjs';

/** @typedef {import('./settings.mjs').Settings} Settings */

/** @type {Record<string, string>} */
const TITLES = { label: 'class', guidanceScale: 'scale', seed: 'seed', steps: 'steps', sampler: 'sampler' };

/**
 * What the settings say, in words: the everyday ones, and the others where they are not as the model recommends.
 * @param {Settings} settings @param {import('../index.d.ts').Model} model
 * @returns {Array<{ name: string, text: string }>}
 */
export function describeSettings(settings, model) {
  const { labels } = model;
  const parts = [
    { name: 'label', text: nameOf(model, settings.label) },
    { name: 'guidanceScale', text: `scale ${settings.guidanceScale}` },
    { name: 'seed', text: `seed ${settings.seed}` },
    { name: 'sampler', text: SAMPLERS[settings.sampler].title },
    { name: 'steps', text: `${settings.steps} ${settings.steps === 1 ? 'step' : 'steps'}` },
  ];
  for (const option of OPTIONS) {
    const value = settings[option.name];
    if (value === option.initial(model) || !applies(option, settings)) continue;
    const text = option.kind === 'flag' ? '' : ` ${formatOption(option, value, labels) || 'no class'}`;
    parts.push({ name: option.name, text: `${option.title.toLowerCase()}${text}` });
  }
  return parts;
}

/** Names of what differs, in words. @param {Settings} a @param {Settings} b @returns {string} */
export function differences(a, b) {
  const names = /** @type {Array<keyof Settings>} */ (Object.keys(a)).filter((name) => name !== 'count' && a[name] !== b[name]);
  return names.map((name) => TITLES[name] ?? OPTIONS.find((option) => option.name === name)?.title.toLowerCase()).join(', ');
}

export class Compare {
  #container;
  /** @type {{ settings: Settings, pictures: ReadonlyArray<import('../index.d.ts').Picture> } | null} */
  pinned = null;

  /** @param {HTMLElement} container receives the pinned pictures */
  constructor(container) {
    this.#container = container;
  }

  /** @param {Settings} settings @param {ReadonlyArray<import('../index.d.ts').Picture>} pictures @param {string} name of what is drawn */
  pin(settings, pictures, name) {
    this.pinned = { settings, pictures };
    this.#container.dataset.count = String(pictures.length);
    this.#container.replaceChildren(...pictures.map((picture, index) => {
      const tile = Object.assign(document.createElement('span'), { className: 'tile' });
      const canvas = makeCanvas();
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', `Pinned picture ${index + 1}, ${name}`);
      paint(canvas, picture);
      tile.append(canvas);
      return tile;
    }));
  }

  unpin() {
    this.pinned = null;
    this.#container.replaceChildren();
  }
}
