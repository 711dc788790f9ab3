// Lecture mode: one figure at a time, large, on the whole screen. Arrow keys, and the keys of presenters' remote controls, go
// from figure to figure; but arrows not while an input has the focus, which they move.

import { make } from '../page/elements.mjs';

/** @type {Record<string, number>} */
const KEYS = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 };
const TEXT = {
  en: { before: 'Figure before', next: 'Next figure', code: 'QR code', close: 'Close', leave: 'Leave', scan: 'This very state, on your own screen' },
  zh: { before: '上一图', next: '下一图', code: '二维码', close: '关闭', leave: '退出', scan: '在自己的屏幕上打开同样的状态' },
};
const root = document.documentElement;

/** @param {string} link @param {keyof typeof TEXT} language */
export async function showCode(link, language) {
  const { generate } = await import('lean-qr');
  const canvas = make('canvas', { className: 'code' });
  generate(link).toCanvas(canvas, { on: [0, 0, 0], off: [255, 255, 255], padX: 4, padY: 4 });
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', `${TEXT[language].code}: ${link}`);
  const close = make('button', { type: 'button', textContent: TEXT[language].close });
  const dialog = make('dialog', { className: 'scan' }, make('p', { textContent: TEXT[language].scan }), canvas, make('p', { className: 'address', textContent: link }), close);
  dialog.setAttribute('aria-label', TEXT[language].code);
  close.onclick = () => dialog.close();
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
}

export class Lecture {
  #onMove;
  #sections = [...document.querySelectorAll('section')].filter((section) => section.querySelector('pocket-diffusion-figure'));
  #at = 0;
  #place = make('output', {});
  #bar;

  /**
   * @param {keyof typeof TEXT} language
   * @param {{ onMove: (section: string | null) => void, link: () => string }} article onMove: with the id of the section on show; null: it is over
   */
  constructor(language, { onMove, link }) {
    this.#onMove = onMove;
    const text = TEXT[language];
    const button = (/** @type {string} */ label, /** @type {string} */ sign, /** @type {() => void} */ act) => {
      const made = make('button', { type: 'button', textContent: sign, title: label, onclick: act });
      made.setAttribute('aria-label', label);
      return made;
    };
    // A file on this device is nothing that others could open.
    const code = location.protocol === 'file:' ? [] : [button(text.code, text.code, () => showCode(link().replace(/([#&])lecture=&?/, '$1'), language))];
    this.#bar = make('div', { className: 'lecture-bar', hidden: true },
      button(text.before, '‹', () => this.#move(-1)), this.#place, button(text.next, '›', () => this.#move(1)),
      ...code, button(text.leave, text.leave, () => this.leave()));
    document.body.append(this.#bar);
    document.addEventListener('keydown', (event) => this.#key(event));
    document.addEventListener('fullscreenchange', () => {
      if (!document.fullscreenElement) this.leave();
    });
  }

  get on() {
    return 'lecture' in root.dataset;
  }

  /** @param {string} [id] of the section to begin with; default: the one nearest to the top of the window */
  enter(id) {
    const nearest = this.#sections.findIndex((section) => section.id === id || (!id && section.getBoundingClientRect().bottom > innerHeight / 3));
    this.#at = Math.max(0, nearest);
    root.dataset.lecture = '';
    this.#bar.hidden = false;
    // Browsers let a click do it, not a link that was followed; a window serves as well.
    if (navigator.userActivation?.isActive) root.requestFullscreen?.().catch(() => {});
    this.#show();
  }

  leave() {
    if (!this.on) return;
    delete root.dataset.lecture;
    this.#bar.hidden = true;
    for (const section of this.#sections) delete section.dataset.shown;
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
    this.#sections[this.#at].scrollIntoView();
    this.#onMove(null);
  }

  /** @param {number} step */
  #move(step) {
    this.#at = Math.min(Math.max(this.#at + step, 0), this.#sections.length - 1);
    this.#show();
  }

  #show() {
    this.#sections.forEach((section, index) => section.toggleAttribute('data-shown', index === this.#at));
    const section = this.#sections[this.#at];
    this.#place.value = `${this.#at + 1} / ${this.#sections.length}`;
    scrollTo(0, 0);
    const heading = /** @type {HTMLElement} */ (section.querySelector('h2'));
    heading.tabIndex = -1;
    heading.focus();
    this.#onMove(section.id);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.on || event.altKey || event.ctrlKey || event.metaKey || document.querySelector('dialog[open]')) return;
    if (event.key === 'Escape') return this.leave();
    const inside = document.activeElement?.shadowRoot?.activeElement ?? document.activeElement;
    // Page Up and Page Down are the presenter's whatever has the focus, but for text that they scroll.
    const keeps = event.key.startsWith('Page') ? 'pre' : 'input:not([type="checkbox"]), select, canvas, pre';
    if (!(event.key in KEYS) || inside?.matches(keeps)) return;
    event.preventDefault();
    this.#move(KEYS[event.key]);
  }
}
