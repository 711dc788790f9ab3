// What lecture mode and the slides share: buttons of their bars, the code that leads listeners to a place, and what keys are whose.

import { make } from '../page/elements.mjs';

const TEXT = {
  en: { code: 'QR code', close: 'Close', scan: 'This very state, on your own screen' },
  zh: { code: '二维码', close: '关闭', scan: '在自己的屏幕上打开同样的状态' },
};

/** @param {string} label @param {string} sign @param {() => void} act */
export function barButton(label, sign, act) {
  const made = make('button', { type: 'button', textContent: sign, title: label, onclick: act });
  made.setAttribute('aria-label', label);
  return made;
}

/** @param {keyof typeof TEXT} language @param {() => string} link */
export const codeButton = (language, link) => barButton(TEXT[language].code, TEXT[language].code, () => showCode(link(), TEXT[language]));

/** @param {string} link @param {typeof TEXT.en} text */
async function showCode(link, text) {
  const { generate } = await import('lean-qr');
  const canvas = make('canvas', { className: 'code' });
  generate(link).toCanvas(canvas, { on: [0, 0, 0], off: [255, 255, 255], padX: 4, padY: 4 });
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', `${text.code}: ${link}`);
  const close = make('button', { type: 'button', textContent: text.close });
  const dialog = make('dialog', { className: 'scan' }, make('p', { textContent: text.scan }), canvas, make('p', { className: 'address', textContent: link }), close);
  dialog.setAttribute('aria-label', text.code);
  close.onclick = () => dialog.close();
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
}

/** Of the sections the one on show, from its top, read out by its heading. @param {ReadonlyArray<HTMLElement>} sections @param {number} at */
export function present(sections, at) {
  sections.forEach((section, index) => section.toggleAttribute('data-shown', index === at));
  scrollTo(0, 0);
  const heading = /** @type {HTMLElement} */ (sections[at].querySelector('h1, h2'));
  heading.tabIndex = -1;
  heading.focus();
}

/** Neither a command of the browser nor for a dialog. @param {KeyboardEvent} event */
export const isPlain = (event) => !event.altKey && !event.ctrlKey && !event.metaKey && !document.querySelector('dialog[open]');

/**
 * Whether what has the focus keeps the key. Page Up and Page Down, which remote controls send, are the presenter's but for text
 * that they scroll.
 * @param {KeyboardEvent} event @param {string} keeps what keeps other keys, as a selector
 */
export function isKept(event, keeps) {
  const inside = document.activeElement?.shadowRoot?.activeElement ?? document.activeElement;
  return Boolean(inside?.matches(event.key.startsWith('Page') ? 'pre' : keeps));
}
