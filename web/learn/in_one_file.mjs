// The article within the page in one file, in the place of the page. It lies there as data, which nobody reads before, and
// becomes elements without a parser of HTML. The models are those of the page.

import { useLoader } from '../element/models.mjs';
import { loadModel } from '../page/models.mjs';
import { place } from './place.mjs';

/** @typedef {string | number | Tree} Part text; a number of a formula; or an element, */
/** @typedef {[name: string, attributes: Record<string, string> | 0, ...children: Part[]]} Tree */
/**
 * As articleData() of scripts/site/build_learn.mjs writes it.
 * @typedef {{ lang: string, title: string, body: Part[] }} Article
 * @typedef {{ style: string, formulas: Tree[] } & Record<'en' | 'zh', Article>} Data
 */

const MATHML = 'http://www.w3.org/1998/Math/MathML';
const root = document.documentElement;

/** @param {Part} part @param {Tree[]} formulas @param {string | null} [space] namespace @returns {Node} */
function build(part, formulas, space = root.namespaceURI) {
  if (typeof part === 'string') return document.createTextNode(part);
  if (typeof part === 'number') return build(formulas[part], formulas, MATHML);
  const [name, attributes, ...children] = part;
  const node = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children.map((child) => build(child, formulas, space)));
  return node;
}

async function open() {
  // The data come after the script, so that the page does not wait for them.
  if (document.readyState === 'loading') await new Promise((resolve) => document.addEventListener('DOMContentLoaded', resolve, { once: true }));
  /** @type {Data} */
  const { style, formulas, ...articles } = JSON.parse(document.getElementById('article-data')?.textContent ?? '');
  const { lang, title, body } = articles[root.dataset.article === 'zh' ? 'zh' : 'en'];
  for (const node of [...document.head.querySelectorAll('style'), ...document.body.children]) if (node.localName !== 'script') node.remove();
  document.head.append(Object.assign(document.createElement('style'), { textContent: style }));
  document.body.prepend(...body.map((part) => build(part, formulas)));
  document.title = title;
  root.lang = lang;
  delete root.dataset.article;
  Object.assign(place, { site: '', alone: true });
  const folder = new URL('.', document.baseURI).href;
  useLoader((href, { onProgress }) => loadModel(href.slice(folder.length), onProgress));
  await import('./learn.mjs');
  // The section that the address names was not there when the browser looked for it.
  if (scrollY === 0 && !location.hash.includes('=')) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

open();
