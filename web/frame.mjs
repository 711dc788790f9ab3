// A page that shows elements and nothing else, for other pages to have within them: what stands behind # says which, as
// web/page/embed.mjs writes it.

import { PocketDiffusionElement } from './element.mjs';

/** What a frame decides itself. */
const OWN = ['src', 'label', 'width', 'height', 'poster'];

/** The model has to be a file of this site. @param {string | null} path */
function addressOf(path) {
  const folder = new URL('.', document.baseURI).href;
  try {
    const { href } = new URL(path ?? '', folder);
    return href.startsWith(folder) ? href : folder;
  } catch {
    return folder;
  }
}

function show() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const labels = parameters.getAll('label');
  const width = Number(parameters.get('width'));
  const attributes = PocketDiffusionElement.observedAttributes.filter((name) => parameters.has(name) && !OWN.includes(name));
  document.body.replaceChildren(...(labels.length > 0 ? labels : [null]).map((label) => {
    const node = document.createElement('pocket-diffusion');
    for (const name of attributes) node.setAttribute(name, /** @type {string} */ (parameters.get(name)));
    node.setAttribute('src', addressOf(parameters.get('src')));
    if (label !== null) node.setAttribute('label', label);
    if (width > 0) node.style.setProperty('--pocket-diffusion-size', `${width}px`);
    return node;
  }));
}

document.body.style.margin = '0';
addEventListener('hashchange', show);
show();
