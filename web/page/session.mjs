// Which model is in use, and how the page comes to another one.

import { LARGE_BYTES } from '../library/integrity.mjs';
import { readAddress } from './address.mjs';
import { Controls } from './controls.mjs';
import { element, nextTask, setText } from './elements.mjs';
import { fetchMore, fetchPart } from './fetch_more.mjs';
import { STAND_IN, firstOf } from './first.mjs';
import { fail, hideError, setProgress, setStatus } from './messages.mjs';
import { availableModels, isSlowNetwork, listModels, loadModel, pathFor, tabOf } from './models.mjs';
import { COUNTS, DEFAULT_COUNT, aboutOf } from './settings.mjs';

/** Of links that name no model: from before links did. */
const UNNAMED = 'doodles';
/** The tab of a file of the visitor's. */
const OWN_TAB = 'own file';
/** The one with more classes than a row takes. */
const MANY_TAB = 'characters';
const MEGABYTE = 1e6;
const FONT = /\.otf$/i;

export class Session {
  #app;
  #page = element('page');
  /** @type {import('./models.mjs').Listed[]} */
  #listed = []; // the site's models
  /** @type {import('./models.mjs').Listed[]} */
  #available = []; // those of them that can be had
  #looks = 0; // for them
  #ownFile = ''; // name of the visitor's file in use
  #newest = 0; // number of the newest attempt to load a model
  /** Whether a model is connected to everything. */
  ready = false;

  /** @param {import('../page.mjs').App} app */
  constructor(app) {
    this.#app = app;
    for (const change of ['online', 'offline']) addEventListener(change, () => this.#offerTabs());
  }

  /** Keeps the room of what a link leads to, before anything has been painted. */
  prepare() {
    const { linked, drawing, depth, word } = readAddress(location.hash);
    if (!linked || word !== null) return;
    this.#app.view.show({ tab: UNNAMED, depth, drawing });
    this.#makeRoom(Number(new URLSearchParams(location.hash.slice(1)).get('count')) || DEFAULT_COUNT);
  }

  /** The room of what comes with the model of the tab: then nothing moves when it has come. @param {number} count of pictures */
  #makeRoom(count) {
    const { view, pictures } = this.#app;
    const hasWord = firstOf(view.tab)?.word !== undefined;
    const part = view.drawing ? 'edit' : view.inPlay && hasWord ? 'word' : 'grid';
    element('page').dataset.part = part;
    element('word').hidden = view.drawing || !hasWord;
    element('classes').hidden = part === 'word';
    element('class-list').replaceChildren();
    element('class-list').dataset.kind = view.tab === MANY_TAB ? 'many' : 'few';
    element('search').hidden = view.tab !== MANY_TAB;
    element('board').hidden = part !== 'grid';
    element('edit').hidden = element('draw-models').hidden = part !== 'edit';
    if (COUNTS.includes(count)) pictures.prepare(count);
  }

  async start() {
    const { view, lettering } = this.#app;
    const { linked, digits, depth, drawing, word, style } = readAddress(location.hash);
    this.#listed = await listModels();
    const entry = this.find(digits);
    const tab = entry ? tabOf(entry.name) : linked && word === null ? UNNAMED : view.tab;
    view.show({ tab, depth, drawing });
    await this.#offerTabs();
    if (word !== null) lettering.take(tab, word, style);
    if (!linked && isSlowNetwork()) await this.open(pathFor(this.#available, STAND_IN.name, true), { standIn: true });
    await this.open(entry && this.#available.includes(entry) ? entry.path : this.#pathOf(tab));
  }

  /** The model of the site whose SHA-256 begins so. @param {string} digits */
  find(digits) {
    return this.#listed.find(({ sha256 }) => digits && sha256?.startsWith(digits));
  }

  /** The file for a tab as the view is now. @param {string} tab */
  #pathOf(tab) {
    const { view } = this.#app;
    return pathFor(this.#available, tab, view.inPlay && !view.drawing);
  }

  /** @param {string | null} path */
  #tabOfPath(path) {
    if (path === null) return OWN_TAB;
    return tabOf(this.#listed.find((each) => each.path === path)?.name ?? path.replace(/^.*\/|\.gguf$/g, ''));
  }

  // ---- what the visitor chooses

  /** @param {string} tab @param {boolean} drawing on the sheet to draw on */
  async chooseTab(tab, drawing) {
    const { view, path } = this.#app;
    view.show({ tab, drawing });
    if (tab === OWN_TAB || this.#pathOf(tab) === path) return this.showView({});
    this.#makeRoom(this.#app.controls?.settings.count ?? DEFAULT_COUNT);
    await this.open(this.#pathOf(tab));
  }

  /** @param {Partial<Pick<import('./view.mjs').View, 'depth' | 'drawing'>>} changes */
  async showView(changes) {
    const { view, path } = this.#app;
    view.show(changes);
    if (!this.ready) return;
    // Another depth may have another file for the same tab.
    if (path !== null && this.#pathOf(view.tab) !== path) return this.open(this.#pathOf(view.tab));
    const lack = await this.#fetchParts();
    this.#app.show(this.#app.settings);
    lack?.();
  }

  /** A file of the visitor's: a text that was saved, a picture to start from, or a model. @param {File} file */
  async openFile(file) {
    const isImage = file.type.startsWith('image/');
    if (this.ready && (isImage || FONT.test(file.name))) {
      try {
        const { reopen } = await fetchPart('reopen', () => import('./reopen.mjs'));
        if (await reopen(this.#app, file)) return;
      } catch (error) {
        return fail(error, () => this.openFile(file), file.name);
      }
    }
    if (!isImage || !this.ready) return this.open(file);
    await this.showView({ drawing: true });
    this.#app.edit?.open(file);
  }

  // ---- models

  /**
   * Draws with this model from now on; if it cannot be loaded, everything stays as it is.
   * @param {string | File} source @param {{ standIn?: boolean }} [how] standIn: until that of the tab has come
   */
  async open(source, { standIn = false } = {}) {
    const attempt = ++this.#newest;
    const isNewest = () => attempt === this.#newest;
    const startedAt = performance.now();
    hideError();
    this.#app.studio.resume(); // it may have been waiting for a model that is wanted no more
    setStatus(typeof source === 'string' ? 'Loading the model …' : `Reading ${source.name} …`);
    this.#page.dataset.loading = '';
    try {
      const loaded = await loadModel(source, (progress) => isNewest() && this.#follow(progress));
      if (!isNewest()) return loaded.close();
      this.#app.measured = { loadMilliseconds: performance.now() - startedAt, run: null };
      await this.#use(loaded, source, standIn);
    } catch (error) {
      if (isNewest()) this.#refuse(error, source);
    } finally {
      if (isNewest()) delete this.#page.dataset.loading;
    }
  }

  /** @param {{ loaded: number, total: number }} progress of a download */
  #follow(progress) {
    const { model, studio } = this.#app;
    showDownload(progress);
    if (!model || !progress.total || progress.loaded < progress.total || Math.max(progress.total, model.info.fileBytes) < LARGE_BYTES) return;
    studio.pause();
    nextTask().then(() => model.release()); // keeps its bytes: if the other is refused, it goes on
  }

  /** @param {unknown} error @param {string | File} source */
  #refuse(error, source) {
    const { model, path, view, studio } = this.#app;
    studio.resume();
    if (!model) this.#page.dataset.state = 'failed';
    else {
      this.#page.dataset.state = 'done';
      view.show({ tab: this.#tabOfPath(path) });
    }
    if (typeof source === 'string') fail(error, () => this.open(source));
    else fail(error, null, source.name);
    if (model) setStatus(`Still drawing with ${model.info.name || 'the model before'}`);
  }

  /** Connects everything to a model. @param {import('../index.d.ts').Model} model @param {string | File} source @param {boolean} standIn */
  async #use(model, source, standIn) {
    const app = this.#app;
    /** @type {HTMLDialogElement | null} */ (document.querySelector('dialog[open]'))?.close(); // of the model before
    const previous = app.model && { model: app.model, settings: app.settings, own: app.controls.own };
    Object.assign(app, { model, standIn, sample: null, path: typeof source === 'string' ? source : null });
    app.studio.setModel(model, model.placement.workers);
    previous?.model.close();
    this.#ownFile = typeof source === 'string' ? '' : source.name;
    this.#offerTabs();
    if (!standIn) app.view.show({ tab: this.#tabOfPath(app.path) });
    app.pictures.use();
    app.lettering.use();
    app.edit?.use(model);
    app.controls = new Controls(model, ...app.links.begin(previous), app.show);
    app.lab?.use();
    this.#describe();
    if (!this.ready) await nextTask();
    if (app.model !== model) return;
    app.useClasses();
    const lack = await this.#fetchParts();
    if (app.model !== model) return;
    this.ready = true;
    this.#page.dataset.ready = '';
    app.show(app.settings);
    app.links.report();
    lack?.();
  }

  /** What the view needs beyond the first pictures. @returns {Promise<(() => void) | undefined>} says what could not be had, where the rest is shown */
  async #fetchParts() {
    const app = this.#app;
    try {
      if (!app.view.inPlay && !app.lab) {
        const { Lab } = await fetchMore();
        app.lab ??= new Lab(app);
      }
      if (app.view.drawing && !app.edit) {
        const { Edit } = await fetchMore();
        app.edit ??= new Edit(app);
        app.edit.use(app.model);
        if (app.sample) app.edit.learnPaper(app.sample);
      }
    } catch (error) {
      return () => fail(error, () => this.showView({}));
    }
    return undefined;
  }

  #describe() {
    const { name, parameterCount, fileBytes, license, rendering, width, height } = this.#app.model.info;
    const parts = [name, `${(parameterCount / 1e6).toFixed(1)} million parameters`, `${(fileBytes / MEGABYTE).toFixed(1)} MB`, license];
    element('model-line').textContent = `${parts.filter(Boolean).join(' · ')}. Nothing you do here leaves this page.`;
    setText(element('model-about'), aboutOf(this.#app.model.info));
    this.#page.dataset.rendering = rendering;
    this.#page.style.setProperty('--picture-ratio', String(width / height));
    element('open').disabled = element('generate').disabled = false;
  }

  /** A tab for every model of the site, and for a file of the visitor's. */
  async #offerTabs() {
    const { view } = this.#app;
    const titles = new Map(this.#listed.map(({ name }) => [tabOf(name), tabOf(name)]));
    if (titles.size === 0) for (const { dataset: { tab = '' }, textContent } of element('tabs').querySelectorAll('button')) titles.set(tab, textContent ?? '');
    if (this.#ownFile) titles.set(OWN_TAB, this.#ownFile);
    titles.delete('draw');
    view.offer(titles);
    const look = ++this.#looks;
    const available = await availableModels(this.#listed);
    if (look !== this.#looks) return; // the network has come or gone meanwhile
    this.#available = available;
    const there = new Set(this.#available.map(({ name }) => tabOf(name)));
    const out = new Set(this.#listed.map(({ name }) => tabOf(name)).filter((tab) => !there.has(tab)));
    if (out.size > 0) view.offer(titles, out);
  }
}

/** @param {{ loaded: number, total: number }} progress */
function showDownload({ loaded, total }) {
  if (!total) return;
  setProgress(loaded / total);
  setStatus(`Loading the model … ${(loaded / MEGABYTE).toFixed(1)} of ${(total / MEGABYTE).toFixed(1)} MB`);
}
