// Line plots as SVG: classes carry the colours, so that the style sheet of the figure has dark and light; lines differ in
// their dashes as well.

const SVG = 'http://www.w3.org/2000/svg';
const LEFT = 34;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 26;

/** @param {string} name @param {Record<string, string | number>} attributes @param {string} [text] */
export function svg(name, attributes = {}, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  if (text !== undefined) node.textContent = text;
  return node;
}

/** @typedef {readonly [number, number]} Range from, to */

export class Plot {
  node;
  #size;
  #x;
  #y;
  /** @type {Map<string, SVGElement>} what has a name is replaced by the next of its kind that has it */
  #named = new Map();

  /**
   * @param {{ x: Range, y: Range, label: string, xTitle?: string, yTitle?: string, xTicks?: number[], yTicks?: number[], width?: number, height?: number }} options
   *   label: what a screen reader says of the plot
   */
  constructor({ x, y, label, xTitle = '', yTitle = '', xTicks = [x[0], x[1]], yTicks = [y[0], y[1]], width = 420, height = 180 }) {
    this.#size = { width, height };
    this.#x = x;
    this.#y = y;
    this.node = svg('svg', { class: 'plot', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label });
    for (const tick of yTicks) {
      this.node.append(
        svg('line', { class: 'rule', x1: LEFT, x2: width - RIGHT, y1: this.down(tick), y2: this.down(tick) }),
        svg('text', { x: LEFT - 6, y: this.down(tick) + 4, 'text-anchor': 'end' }, String(tick)),
      );
    }
    for (const tick of xTicks) this.node.append(svg('text', { x: this.across(tick), y: height - 10, 'text-anchor': 'middle' }, String(tick)));
    if (xTitle) this.node.append(svg('text', { class: 'title', x: (LEFT + width - RIGHT) / 2, y: height - 10, 'text-anchor': 'middle' }, xTitle));
    if (yTitle) this.node.append(svg('text', { class: 'title', x: LEFT + 4, y: TOP + 4 }, yTitle));
  }

  /** @param {number} x */
  across(x) {
    return LEFT + ((x - this.#x[0]) / (this.#x[1] - this.#x[0])) * (this.#size.width - LEFT - RIGHT);
  }

  /** @param {number} y */
  down(y) {
    return TOP + (1 - (y - this.#y[0]) / (this.#y[1] - this.#y[0])) * (this.#size.height - TOP - BOTTOM);
  }

  /** @param {string} name @param {SVGElement} node */
  #put(name, node) {
    const key = `${node.tagName} ${name}`;
    const old = this.#named.get(key);
    if (old) old.replaceWith(node);
    else this.node.append(node);
    this.#named.set(key, node);
  }

  /** @param {string} name also its class @param {ReadonlyArray<readonly [number, number]>} points */
  line(name, points) {
    const path = points.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${this.across(x).toFixed(1)} ${this.down(y).toFixed(1)}`).join('');
    this.#put(name, svg('path', { class: `line ${name}`, d: path }));
  }

  /** @param {string} name @param {number} x @param {number} y @param {string} [text] beside it @param {boolean} [left] on which side */
  point(name, x, y, text, left = this.across(x) > this.#size.width * 0.7) {
    const group = svg('g', { class: `point ${name}` });
    group.append(svg('circle', { cx: this.across(x), cy: this.down(y), r: 5 }));
    if (text) {
      group.append(svg('text', { x: this.across(x) + (left ? -10 : 10), y: this.down(y) - 8, 'text-anchor': left ? 'end' : 'start' }, text));
    }
    this.#put(name, group);
  }

  /** A stroke on a line, with its number under it. @param {number} x @param {number} y @param {string} text */
  mark(x, y, text) {
    this.node.append(
      svg('circle', { class: 'mark', cx: this.across(x), cy: this.down(y), r: 2.5 }),
      svg('text', { x: this.across(x), y: this.down(y) + 16, 'text-anchor': 'middle' }, text),
    );
  }

  /** @param {string} name @param {number} x */
  upright(name, x) {
    this.#put(name, svg('line', { class: `upright ${name}`, x1: this.across(x), x2: this.across(x), y1: TOP, y2: this.#size.height - BOTTOM }));
  }

  /** @param {string} name @param {number} x @param {number} y @param {string} text */
  text(name, x, y, text, anchor = 'start') {
    this.#put(name, svg('text', { class: `note ${name}`, x: this.across(x), y: this.down(y), 'text-anchor': anchor }, text));
  }
}
