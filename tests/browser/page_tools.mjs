// What the tests of the page share: looking at it, and acting on it as a visitor would.

import assert from 'node:assert/strict';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { settled } from './browsers.mjs';

/** Pixels of the canvases that `selector` finds, first channel. As one string each, for numbers travel slowly. */
export async function pixelsOf(page, selector) {
  const all = await page.$$eval(selector, (canvases) => canvases.map((canvas) => {
    const { data } = canvas.getContext('2d', { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height);
    return btoa(Array.from({ length: data.length / 4 }, (_, index) => String.fromCharCode(data[index * 4])).join(''));
  }));
  return all.map((text) => Array.from(Buffer.from(text, 'base64')));
}

export const pixelsOfGrid = (page) => pixelsOf(page, '#grid .tile canvas');
export const textOf = (page, selector) => page.$eval(selector, (node) => node.textContent);
export const stateOf = (page) => page.$eval('#page', (node) => node.dataset.state);
/** Shows a tab: 'letters', 'doodles', 'characters', 'digits' or 'draw'. */
export const showTab = (page, name) => page.$eval(`#tab-${name}`, (tab) => tab.click());
export const showDepth = (page, depth) => page.$eval(`#depth [data-depth="${depth}"]`, (button) => button.click());
/** What the tab on show is called. */
export const tabOnShow = (page) => page.$eval('#tabs [aria-selected="true"]', (tab) => tab.textContent);
export const waitForState = (page, state) => page.waitForSelector(`#page[data-state="${state}"]`, { timeout: 30_000 });

export const pickClass = (page, name) => page.$$eval('#class-list label', (labels, wanted) =>
  labels.find((label) => label.textContent === wanted).click(), name);

export async function setNumber(page, selector, value) {
  await page.$eval(selector, (input) => input.select());
  await page.type(selector, String(value));
  await page.keyboard.press('Enter');
}

/** Does something that changes the settings, and waits until the page has drawn what they ask for. */
export async function change(page, action) {
  const hash = await page.evaluate(() => location.hash);
  await action();
  await page.waitForFunction((before) => location.hash !== before, {}, hash);
  await settled(page);
}

/** A finger that is put down, goes from point to point of the window and is lifted. @param {Array<[x: number, y: number]>} points in CSS pixels */
export async function swipe(page, [first, ...rest]) {
  const { browsingContext } = page.mainFrame();
  if (browsingContext) { // Firefox: it refuses what puppeteer tells of a finger
    const to = ([x, y]) => ({ type: 'pointerMove', x: Math.round(x), y: Math.round(y) });
    const actions = [to(first), { type: 'pointerDown', button: 0 }, ...rest.map(to), { type: 'pointerUp', button: 0 }];
    return browsingContext.performActions([{ type: 'pointer', id: 'finger', parameters: { pointerType: 'touch' }, actions }]);
  }
  const touch = await page.touchscreen.touchStart(...first);
  for (const point of rest) await touch.move(...point);
  return touch.end();
}

/** A finger that taps on the middle of something. */
export async function tap(page, selector) {
  const node = await page.$(selector);
  await node.scrollIntoView();
  const { x, y, width, height } = await node.boundingBox();
  await swipe(page, [[x + width / 2, y + height / 2]]);
}

/**
 * Takes hold of the page's slider with the mouse.
 * @param {number} share where, 0 .. 1 of its length @param {ScrollLogicalPosition} block where in the window it is to stand
 * @returns {Promise<(share: number) => Promise<void>>} moves it
 */
export async function holdSlider(page, share, block = 'nearest') {
  const { x, y, width, height } = await page.$eval('#scale', (slider, place) => {
    slider.scrollIntoView({ block: place });
    return slider.getBoundingClientRect().toJSON();
  }, block);
  const moveTo = (where) => page.mouse.move(x + width * where, y + height / 2);
  await moveTo(share);
  await page.mouse.down();
  return moveTo;
}

/** A file dropped onto the page. @param {string} [type] as browsers give it to files that they know */
export const dropFile = (page, bytes, name, type = '') => page.evaluate((base64, fileName, fileType) => {
  const data = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([data], fileName, { type: fileType }));
  for (const type of ['dragover', 'drop']) {
    document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}, Buffer.from(bytes).toString('base64'), name, type);

/** The bytes of the one file that is in the download folder once the browser has written all of it; the folder is emptied. */
export async function downloaded(folder, file) {
  for (let wait = 0; wait < 200; wait++) {
    const names = await readdir(folder);
    const bytes = names.length === 1 && names[0] === file ? await readFile(join(folder, file)) : [];
    if (bytes.length > 0) {
      await rm(join(folder, file));
      return bytes;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no ${file}, but ${await readdir(folder)}`);
}

/** The most CPU time that one task of the page's main thread took, from Chromium's trace, in milliseconds. @param {string} [mark] that the page has set */
export function longestTask(trace, mark = 'first-picture') {
  const { traceEvents } = JSON.parse(Buffer.from(trace).toString());
  // The browser's own pages have main threads, too: the page's is the one that set the mark.
  const { pid, tid } = traceEvents.find(({ name }) => name === mark);
  const tasks = traceEvents.filter((event) => event.name === 'ThreadControllerImpl::RunTask' && event.pid === pid && event.tid === tid);
  assert.ok(tasks.length > 100, 'the trace has tasks');
  return Math.max(...tasks.map(({ tdur = 0 }) => tdur / 1000));
}
