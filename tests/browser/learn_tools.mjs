// What the tests of the article share: looking at its figures, on the site and in the one file.

import assert from 'node:assert/strict';
import { KINDS } from '../../web/learn/figure.mjs';

export const kinds = Object.keys(KINDS);

/** Runs in the page before anything else. */
export function watch() {
  globalThis.violations = [];
  addEventListener('securitypolicyviolation', ({ violatedDirective, sourceFile }) => violations.push(`${violatedDirective} ${sourceFile}`));
  globalThis.figure = (kind) => document.querySelector(`pocket-diffusion-figure[kind="${kind}"]`);
  globalThis.inside = (kind, selector) => figure(kind).shadowRoot.querySelector(selector);
  /** Numbers of a figure; arrays travel as lists. */
  globalThis.valuesOf = (kind) => Object.fromEntries(Object.entries(figure(kind).values).map(([name, value]) => [name, ArrayBuffer.isView(value) ? Array.from(value) : value]));
}

export async function drawn(page, kind) {
  await page.evaluate((one) => figure(one).begin(), kind);
  await page.waitForFunction((one) => ['done', 'error'].includes(figure(one).state), { timeout: 60_000 }, kind);
  assert.equal(await page.evaluate((one) => figure(one).state, kind), 'done', await page.evaluate((one) => inside(one, '.stage').textContent, kind));
}

/** Sets attributes of a figure, and waits until that is on show. */
export async function set(page, kind, attributes) {
  await page.evaluate((one, wanted) => Object.entries(wanted).forEach(([name, value]) => figure(one).setAttribute(name, value)), kind, attributes);
  await drawn(page, kind);
}

/** Ids of the sections on show: in lecture mode one. */
export const sectionsShown = (page) => page.$$eval('section', (all) => all.filter((section) => section.getBoundingClientRect().height > 0).map(({ id }) => id));

/** What axe-core finds; its source has to be in the page. */
export const axeFinds = (page) => page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ['violations'] })).violations
  .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ').slice(0, 300)}`));
