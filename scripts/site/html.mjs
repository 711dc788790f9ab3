// HTML files as trees: what the scripts of the site change in them.

import { readFile } from 'node:fs/promises';
import { defaultTreeAdapter as tree, parse, parseFragment, serialize } from 'parse5';

/** @typedef {import('parse5').DefaultTreeAdapterTypes.Element} Element */

export class Page {
  #document;

  /** Without the spaces that indent its lines. @param {string} path */
  static async read(path) {
    return new Page((await readFile(path, 'utf8')).replace(/^ +/gm, ''));
  }

  /** @param {string} text */
  constructor(text) {
    this.#document = parse(text);
  }

  /** Every element of one of the names that has the attributes. @param {string[]} names @param {Record<string, string>} [attributes] @returns {Element[]} */
  all(names, attributes = {}) {
    const wanted = Object.entries(attributes);
    const inside = (node) => (node.childNodes ?? []).flatMap((child) => [child, ...inside(child)]);
    return inside(this.#document).filter((node) =>
      names.includes(node.tagName) && wanted.every(([name, value]) => valueOf(node, name) === value));
  }

  /** The one element of the name that has the attributes. @param {string} name @param {Record<string, string>} [attributes] */
  one(name, attributes) {
    const found = this.all([name], attributes);
    if (found.length !== 1) throw new Error(`the page has ${found.length} elements ${name} ${JSON.stringify(attributes ?? {})}`);
    return found[0];
  }

  /** Removes an element and the space before it. @param {Element} element */
  remove(element) {
    const { parentNode: parent } = element;
    const before = parent.childNodes[parent.childNodes.indexOf(element) - 1];
    if (before && tree.isTextNode(before) && !before.value.trim()) tree.detachNode(before);
    tree.detachNode(element);
  }

  /** Puts HTML behind everything in an element. @param {'head' | 'body'} name @param {string} html */
  append(name, html) {
    const parent = this.one(name);
    for (const node of [...parseFragment(html).childNodes]) tree.appendChild(parent, node);
  }

  /** @param {Element} element an empty one @param {string} text */
  fill(element, text) {
    tree.insertText(element, text);
  }

  /** The text directly in an element. @param {Element} element */
  text(element) {
    return element.childNodes.map((node) => ('value' in node ? node.value : '')).join('');
  }

  toString() {
    return `${serialize(this.#document)}\n`;
  }
}

/** @param {Element} element @param {string} name */
export const valueOf = (element, name) => element.attrs?.find((each) => each.name === name)?.value;

/** @param {Element} element @param {string} name @param {string} value */
export function setValue(element, name, value) {
  const attribute = element.attrs.find((each) => each.name === name);
  if (!attribute) throw new Error(`<${element.tagName}> has no ${name}`);
  attribute.value = value;
}
