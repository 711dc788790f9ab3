// The lines that put the pictures on show into another page.

import { formatClass } from './options.mjs';

/** @param {string | number} text */
const escape = (text) => String(text).replace(/&/g, '&amp;').replace(/"/g, '&quot;').replace(/</g, '&lt;');

/**
 * @param {import('./settings.mjs').Settings} settings
 * @param {import('../index.d.ts').Model} model
 * @param {{ model: string, element: string }} addresses
 * @returns {string} HTML
 */
export function embedSnippet(settings, model, addresses) {
  const { label, guidanceScale, steps, seed, sampler, count } = settings;
  const attributes = {
    src: addresses.model,
    ...(label === null ? {} : { label: formatClass(label, model.labels) }),
    'guidance-scale': guidanceScale,
    steps,
    seed,
    sampler,
    count,
  };
  const text = Object.entries(attributes).map(([name, value]) => `${name}="${escape(value)}"`).join(' ');
  return `<script type="module" src="${escape(addresses.element)}"></script>\n<pocket-diffusion ${text}></pocket-diffusion>\n`;
}
