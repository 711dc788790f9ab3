// Lecture mode: one figure at a time, large, on the whole screen. Arrow keys, and the keys of presenters' remote controls, go
// from figure to figure; but arrows not while an input has the focus, which they move.

import { make } from '../page/elements.mjs';
import { barButton, codeButton, isKept, isPlain, present } from './presenting.mjs';

/** @type {Record<string, number>} */
const KEYS = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 };
const TEXT = {
  en: { before: 'Figure before', next: 'Next figure', leave: 'Leave' },
  zh: { before: '上一图', next: '下一图', leave: '退出' },
};
const root = document.documentElement;

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
    this.#bar = make('div', { className: 'lecture-bar', hidden: true },
      barButton(text.before, '‹', () => this.#move(-1)), this.#place, barButton(text.next, '›', () => this.#move(1)),
      codeButton(language, () => link().replace(/([#&])lecture=&?/, '$1')), barButton(text.leave, text.leave, () => this.leave()));
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
    this.#place.value = `${this.#at + 1} / ${this.#sections.length}`;
    present(this.#sections, this.#at);
    this.#onMove(this.#sections[this.#at].id);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.on || !isPlain(event)) return;
    if (event.key === 'Escape') return this.leave();
    if (!(event.key in KEYS) || isKept(event, 'input:not([type="checkbox"]), select, canvas, pre')) return;
    event.preventDefault();
    this.#move(KEYS[event.key]);
  }
}
