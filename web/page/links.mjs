// Links: settings from the address and into it, and what is said of those that cannot be followed.

import { askedFor, readAddress, writeAddress } from './address.mjs';
import { element } from './elements.mjs';
import { fetchPart } from './fetch_more.mjs';
import { firstOf } from './first.mjs';
import { announce, setStatus, showError } from './messages.mjs';
import { tabOf } from './models.mjs';
import { openDialog } from './open_dialog.mjs';
import { carryOver, defaultSettings, linkedModel, modelDigits, parseHash, recommendedOptions } from './settings.mjs';

/** The address follows the settings when they rest: browsers refuse one that changes with every move of a slider. */
const REST_MILLISECONDS = 300;

/** What every model has. @type {ReadonlyArray<string>} */
const EVERYDAY = ['label', 'guidanceScale', 'seed', 'count'];

/** Links that lead to ways between pictures. */
const TO_DIALOG = /[#&]play=/;

/** @typedef {import('./settings.mjs').Settings} Settings */
/** @typedef {import('../index.d.ts').Model} Model */
/** @typedef {{ model: Model, settings: Settings, own: ReadonlySet<string> }} Previous */

export class Links {
  #app;
  #ownHash = ''; // what the page itself has put into the address
  #foreign = ''; // one that was made with a model that is not here
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /**
   * What was chosen for a model before a fast one took its place: sampler, steps and the like are not for that.
   * @type {Previous | null}
   */
  #whole = null;

  /** @param {import('../page.mjs').App} app */
  constructor(app) {
    this.#app = app;
    addEventListener('hashchange', () => app.session.ready && this.open());
  }

  /**
   * What a model begins with: what it recommends, except what a link asks for or the visitor has chosen before.
   * @param {Previous | null} previous
   * @returns {[settings: Settings, own: string[]]} as Controls takes them
   */
  begin(previous) {
    const { model } = this.#app;
    const begin = { ...defaultSettings(model), ...this.#first() };
    const waiting = linkedModel(this.#foreign) === modelDigits(model) && this.#foreign;
    this.#foreign = '';
    if (previous && !waiting && location.hash === this.#ownHash) return this.#carry(begin, previous);
    const hash = waiting || location.hash;
    // The page remembers for each address of its own what was chosen: when it is loaded again, the rest is no wish.
    const chosen = history.state?.own ?? askedFor(hash, model);
    return [{ ...begin, ...this.#parse(hash).settings }, chosen];
  }

  /**
   * Between a model and the fast one that stands beside it goes what is the same for both: class, scale, seed, number of
   * pictures. The rest waits until a model comes again that it is for.
   * @param {Settings} begin @param {Previous} previous @returns {[settings: Settings, own: string[]]}
   */
  #carry(begin, previous) {
    const { model } = this.#app;
    /** @param {Model} model */
    const isFast = ({ info }) => info.guidanceIsInput;
    const same = isFast(previous.model) === isFast(model);
    if (!same && isFast(model)) this.#whole = previous;
    const own = new Set(same ? previous.own : [...previous.own].filter((name) => EVERYDAY.includes(name)));
    const settings = carryOver(previous.settings, own, previous.model, model);
    if (same || isFast(model) || !this.#whole) return [{ ...begin, ...settings }, [...own]];
    const rest = new Set([...this.#whole.own].filter((name) => !EVERYDAY.includes(name)));
    return [{ ...begin, ...carryOver(this.#whole.settings, rest, this.#whole.model, model), ...settings }, [...own, ...rest]];
  }

  /** What was chosen for the first look at a model of the site. */
  #first() {
    const { model, path, standIn, view } = this.#app;
    const { seed, label: name } = (path !== null && firstOf(view.tab)) || {};
    const label = name === undefined ? -1 : model.labels.indexOf(name);
    // A model that stands in for another leaves the slider where it is.
    return { ...(seed !== undefined && { seed }), ...(label >= 0 && { label }), ...(standIn && { guidanceScale: element('scale').valueAsNumber }) };
  }

  /** What an address asks for; what it leaves out is as the model recommends. @param {string} hash */
  #parse(hash) {
    const { model } = this.#app;
    const { settings, refused } = parseHash(hash, model);
    if (Object.keys(settings).length === 0) return { settings, refused };
    return { settings: { ...recommendedOptions(model), ...settings }, refused };
  }

  /** The address is to follow what is on show. @param {{ draft?: boolean }} [how] draft: more changes are coming */
  follow({ draft = false } = {}) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.show(), draft ? REST_MILLISECONDS : 0);
  }

  /** Puts what is on show into the address. */
  show() {
    const { controls, lettering, model, playing, settings, standIn, view } = this.#app;
    if (standIn) return;
    this.#ownHash = writeAddress({ ...settings, ...playing?.settings }, model, view, lettering.text, lettering.style) + (playing?.link ?? '');
    history.replaceState({ own: [...controls.own] }, '', this.#ownHash);
  }

  async copy() {
    this.show();
    try {
      await navigator.clipboard.writeText(location.href);
      const done = 'Link copied: it leads to these very pictures';
      setStatus(done);
      announce(done);
    } catch {
      showError('The address of this page is the link:', location.href, null, true);
    }
  }

  /** The visitor has put another address in. */
  async open() {
    const { controls, lettering, model, session, settings, view } = this.#app;
    const { digits, depth, drawing, word, style } = readAddress(location.hash);
    const linked = session.find(digits);
    if (word !== null) lettering.take(linked ? tabOf(linked.name) : view.tab, word, style);
    if (!TO_DIALOG.test(location.hash)) /** @type {HTMLDialogElement | null} */ (document.querySelector('dialog.play-dialog[open]'))?.close();
    view.show({ depth, drawing });
    if (linked && digits !== modelDigits(model)) return session.open(linked.path);
    askedFor(location.hash, model).forEach((name) => controls.own.add(name));
    controls.settings = { ...settings, ...this.#parse(location.hash).settings };
    this.report();
    await session.showView({});
  }

  /** Says what of the address this model cannot do. To be called before the address follows the settings. */
  report() {
    const { model, standIn } = this.#app;
    if (location.hash === this.#ownHash || standIn) return;
    const digits = linkedModel(location.hash);
    const own = modelDigits(model);
    const refused = [...this.#parse(location.hash).refused, ...readAddress(location.hash).refused];
    if (digits && own && digits !== own) {
      this.#foreign = location.hash;
      showError('This link was made with another model: its pictures differ from those here. Open that model’s file to see the very same ones.',
        `SHA-256 of the link’s model: ${digits}…, of this one: ${own}…`);
      return;
    }
    if (TO_DIALOG.test(location.hash)) openDialog(this.#app, () => fetchPart('morph', () => import('./morph.mjs')), location.hash);
    if (refused.length > 0) {
      showError('The link asks for something that this model does not have; the rest of it is used.', refused.join(', '));
    }
  }
}
