// What the page says: the line of status, screen readers, and the box of what went wrong.

import { element, setText } from './elements.mjs';
import { explain } from './errors.mjs';

/** @type {(() => void) | null} */
let retry = null;

/** @param {string} text */
export function setStatus(text) {
  setText(element('status'), text);
}

/** How far something is. @param {number} share 0 .. 1 */
export function setProgress(share) {
  if (element('progress').value !== share) element('progress').value = share;
}

/** To screen readers, and sparingly. @param {string} text */
export function announce(text) {
  element('announcer').textContent = text;
}

/** @param {unknown} error @param {(() => void) | null} [again] what the button does @param {string} [file] that it is about */
export function fail(error, again = null, file = '') {
  const { sentence, detail } = explain(error, file);
  element('stop').disabled = true;
  setStatus('');
  showError(sentence, file ? `${file}: ${detail}` : detail, again);
}

/** @param {string} sentence @param {string} detail @param {(() => void) | null} [again] @param {boolean} [opened] with the detail in sight */
export function showError(sentence, detail, again = null, opened = false) {
  element('error-text').textContent = sentence;
  element('error-detail').textContent = detail;
  /** @type {HTMLDetailsElement} */ (element('error-detail').parentElement).open = opened;
  retry = again;
  element('retry').hidden = !again;
  element('error').hidden = false;
  element('error').scrollIntoView({ block: 'nearest' }); // what failed may be far below
}

/** Does something; what goes wrong is said, and may be tried again. @param {() => unknown} work */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    fail(error, () => attempt(work));
  }
}

export function hideError() {
  if (!element('error').hidden) element('error').hidden = true;
}

element('retry').onclick = () => {
  hideError();
  retry?.();
};
element('dismiss').onclick = hideError;
