// What puts pictures into another page, as text and as files. Knows no DOM.

import { formatClass } from './options.mjs';

/**
 * @typedef {object} Embedded what a page is to show
 * @property {string} model path, relative to the site
 * @property {string[]} classes their texts, an element for each; none of a model that has no classes
 * @property {Record<string, string>} attributes of each element, but for `src` and `label`
 * @property {number} width of an element, in CSS pixels
 * @property {number} height of all of them in a frame, in CSS pixels
 */
/** @typedef {{ script?: string, style?: string }} Integrity hashes of the files, as `integrity` has them; none: any version will do */

export const FOLDER = 'pocket-diffusion';
/** The width that elements have by themselves, 20em of 16 pixels. */
export const USUAL_WIDTH = 320;

/** @param {string | number} text */
const escape = (text) => String(text).replace(/&/g, '&amp;').replace(/"/g, '&quot;').replace(/</g, '&lt;');

/** @param {Record<string, string | number>} attributes an empty one is one without a value */
const write = (attributes) => Object.entries(attributes).map(([name, value]) => (value === '' ? ` ${name}` : ` ${name}="${escape(value)}"`)).join('');

/**
 * What the settings on show mean for an element.
 * @param {import('./settings.mjs').Settings} settings @param {import('../index.d.ts').Model} model
 * @returns {Pick<Embedded, 'classes' | 'attributes'>}
 */
export function embedded({ label, guidanceScale, steps, seed, sampler, count }, model) {
  return {
    classes: label === null ? [] : [formatClass(label, model.labels)],
    attributes: { 'guidance-scale': String(guidanceScale), steps: String(steps), seed: String(seed), sampler, count: String(count) },
  };
}

/** The elements, as HTML. @param {Embedded} what @param {string} src address of the model */
function elementsOf({ classes, attributes, width }, src) {
  /** @type {Record<string, string>} */
  const style = width === USUAL_WIDTH ? {} : { style: `--pocket-diffusion-size: ${width}px` };
  /** @type {Array<Record<string, string>>} */
  const labels = classes.length > 0 ? classes.map((label) => ({ label })) : [{}];
  return labels.map((label) => `<pocket-diffusion${write({ src, ...label, ...attributes, ...style })}></pocket-diffusion>\n`).join('');
}

/**
 * Lines for a page anywhere.
 * @param {Embedded} what @param {string} site address of this site's folder, with a slash at its end @param {Integrity} [integrity]
 */
export function elementCode(what, site, { script, style } = {}) {
  /** @param {string | undefined} hash @returns {Record<string, string>} */
  const pinned = (hash) => (hash ? { integrity: hash, crossorigin: 'anonymous' } : {});
  return `<link${write({ rel: 'stylesheet', href: `${site}pocket-diffusion.css`, ...pinned(style) })}>\n` +
    `<script${write({ type: 'module', src: `${site}pocket-diffusion.js`, ...pinned(script) })}></script>\n${elementsOf(what, site + what.model)}`;
}

/** The same as a page of this site within another one. @param {Embedded} what @param {string} site */
export function frameCode({ model, classes, attributes, width, height }, site) {
  const parameters = new URLSearchParams([['src', model], ...classes.map((label) => ['label', label]), ...Object.entries(attributes), ['width', String(width)]]);
  const title = `${classes.join(', ') || 'Pictures'}, drawn by Pocket Diffusion`;
  return `<iframe${write({ src: `${site}frame.html#${parameters}`, title, width, height, loading: 'lazy', style: 'border: 0; max-width: 100%' })}></iframe>\n`;
}

/** Lines for a page beside whose file the folder lies. @param {Embedded} what */
export function ownCode(what) {
  return `<link rel="stylesheet" href="${FOLDER}/pocket-diffusion.css">\n<script type="module" src="${FOLDER}/pocket-diffusion.js"></script>\n` +
    elementsOf(what, `${FOLDER}/${what.model.replace(/^.*\//, '')}`);
}

/** @param {Embedded} what */
export const examplePage = (what) => `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Pocket Diffusion</title>
</head>
<body>
${ownCode(what)}</body>
</html>
`;

/** Files of the site that the element needs beside a model -> their names in the folder. */
export const FILES = {
  'pocket-diffusion.js': 'pocket-diffusion.js', 'pocket-diffusion.css': 'pocket-diffusion.css', 'worker.js': 'worker.js',
  'pocket-diffusion.wasm': 'pocket-diffusion.wasm', 'license.txt': 'license.txt', 'licenses.txt': 'licenses.txt',
};

/** @param {Embedded} what @param {string} license of the model @param {string} site where it comes from */
export const readme = (what, license, site) => `Pocket Diffusion, to host yourself

Put index.html and the folder ${FOLDER} on any web server, or put the lines of
index.html into a page of yours beside that folder. To look at it first:

    python3 -m http.server

and open http://localhost:8000. From a folder (file:) it does not work: browsers
load no modules from there.

Everything comes from the page's own server, so no permission of another origin
(CORS) is needed. If the model is to lie on another origin, that server has to
send Access-Control-Allow-Origin; script and worker have to stay here.

The programs: ${FOLDER}/license.txt, packages within them: licenses.txt.
The model ${what.model.replace(/^.*\//, '')}: ${license || 'its licence is not known'}.
From ${site}
`;
