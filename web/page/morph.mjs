// The dialog with ways from one picture to another: a slider, a film of them, and what can be taken away. Fetched when
// somebody opens it.

import { factorFor } from '../library/rendering.mjs';
import { canShare, isCalm, make, makeOption } from './elements.mjs';
import { explain } from './errors.mjs';
import { attempt, button, field, head } from './fields.mjs';
import { KINDS, encodeFilm, usableKinds } from './films.mjs';
import { LAST, ORDER, WAYS, formatMorph, loop, parseMorph, requestAt, waysOf } from './morphing.mjs';
import { paint } from './paint.mjs';
import { RadioGroup } from './radios.mjs';
import { download, fileName, pictureFile } from './saving.mjs';
import { MAX_SEED, nameOf, rollSeed } from './settings.mjs';
import { Sharer } from './sharing.mjs';

/** @typedef {import('./morphing.mjs').Morph} Morph */
/** @typedef {import('../index.d.ts').Picture} Picture */

/** Longest side of a saved picture, in pixels, about. */
const SAVED_SIDE = 1024;
/** As what films are given to other programs. */
const OWN_TYPES = { gif: 'image/gif', webm: 'video/webm', apng: 'image/png' };

function makeControls() {
  const seed = { type: 'text', inputMode: 'numeric', maxLength: 16 };
  const controls = {
    ways: make('div', { className: 'segments', id: 'morph-ways' }),
    label: make('select'),
    seed: make('input', seed),
    toLabel: make('select'),
    toSeed: make('input', seed),
    canvas: make('canvas', { width: 1, height: 1 }),
    slider: make('input', { type: 'range', className: 'slider', min: '0', max: String(LAST), step: '1' }),
    play: button('Play', () => {}),
    surprise: button('Surprise me', () => {}),
    film: button('Save film', () => {}),
    kind: make('select'),
    png: button('Save PNG', () => {}),
    link: button('Copy link', () => {}),
    share: Object.assign(button('Share', () => {}), { hidden: true }),
    says: make('p', { className: 'hint' }),
    counted: make('p', { className: 'hint' }), // seen only: it changes with every picture
  };
  controls.canvas.setAttribute('role', 'img');
  controls.kind.setAttribute('aria-label', 'Kind of film');
  controls.slider.setAttribute('aria-label', 'From the first picture to the other');
  controls.ways.setAttribute('role', 'group');
  controls.ways.setAttribute('aria-label', 'What is done');
  controls.says.setAttribute('role', 'status');
  return controls;
}

class MorphDialog {
  #app;
  #dialog = make('dialog', { className: 'wall play-dialog' });
  #controls = makeControls();
  #sharer = new Sharer(this.#controls.share, (text) => this.#say(text));
  #board;
  /** @type {Map<number, Picture>} by their places on the way */
  #pictures = new Map();
  /** @type {Morph} */
  #morph = { way: 'seeds', label: null, seed: 0, toLabel: 0, toSeed: 0, at: 0 };
  /** @type {ReturnType<typeof setTimeout> | undefined} while it plays */
  #playing;
  #toPlay = false; // as soon as all is there
  /** @type {string[]} of the link */
  #refused = [];

  /** @param {import('../page.mjs').App} app */
  constructor(app) {
    this.#app = app;
    this.#board = app.studio.addBoard({
      onPicture: (index, picture) => this.#take(ORDER[index], picture),
      onReport: ({ state, error }) => {
        if (state === 'failed') this.#say(explain(error).sentence);
      },
    });
    document.body.append(this.#dialog);
    this.#connect();
  }

  #connect() {
    const { film, kind, label, link, play, png, seed, share: shareButton, slider, surprise, toLabel, toSeed } = this.#controls;
    /** @param {HTMLInputElement} input @param {number} before */
    const seedOf = (input, before) => {
      const value = /^\d{1,16}$/.test(input.value.trim()) ? Math.min(Number(input.value), MAX_SEED) : before;
      input.value = String(value);
      return value;
    };
    label.onchange = () => this.#change({ label: Number(label.value) });
    toLabel.onchange = () => this.#change({ toLabel: Number(toLabel.value) });
    seed.onchange = () => this.#change({ seed: seedOf(seed, this.#morph.seed) });
    toSeed.onchange = () => this.#change({ toSeed: seedOf(toSeed, this.#morph.toSeed) });
    slider.oninput = () => {
      this.#pause();
      this.#show(slider.valueAsNumber);
    };
    slider.onchange = () => this.#app.links.follow();
    play.onclick = () => (this.#playing === undefined ? this.#play() : this.#pause());
    surprise.onclick = () => this.#surprise();
    film.onclick = () => this.#try(async () => {
      const made = await this.#filmed();
      if (made) this.#save(made.blob, made.name);
    });
    png.onclick = () => this.#try(() => this.#savePNG());
    link.onclick = () => this.#copyLink();
    shareButton.onclick = () => this.#try(() => this.#sharer.share(() => this.#filmed()));
    kind.onchange = () => {
      this.#sharer.forget();
      shareButton.hidden = !canShare(OWN_TYPES[this.#kind]);
    };
    usableKinds().then((kinds) => {
      kind.replaceChildren(...kinds.map((each) => makeOption(each, KINDS[each].title)));
      shareButton.hidden = !canShare(OWN_TYPES[this.#kind]);
    });
    this.#dialog.onclose = () => {
      if (this.#dialog.open) return; // opened again before the event came
      this.#pause();
      this.#toPlay = false;
      this.#board.clear();
      this.#pictures.clear();
      this.#app.playing = null;
      if (this.#app.session.ready) this.#app.show(this.#app.settings);
    };
  }

  /** Also where it is open already: the visitor goes back to another link. @param {string} hash what it is to begin with, if a link says so */
  open(hash) {
    const { lettering, model, pictures, settings } = this.#app;
    const controls = this.#controls;
    const { morph: wish, refused } = parseMorph(hash, model);
    this.#refused = refused;
    pictures.rest();
    lettering.board.stop();
    lettering.styles?.board.stop();
    const { length } = model.labels;
    const seed = wish.way ? settings.seed : settings.seed + (this.#app.part === 'grid' ? pictures.chosen : this.#app.part === 'word' ? lettering.style.chosen : 0);
    const ways = waysOf(model);
    this.#morph = {
      way: ways[0], label: settings.label, seed, toSeed: seed === MAX_SEED ? 0 : seed + 1, at: LAST / 2,
      toLabel: length > 1 ? (partnerOf(model.labels, Number(settings.label))) : 0, ...wish,
    };
    this.#toPlay = !wish.way && !isCalm();
    const group = new RadioGroup(controls.ways, ways.map((way) => WAYS[way]), (index) => this.#change({ way: ways[index] }));
    group.value = ways.indexOf(this.#morph.way);
    for (const select of [controls.label, controls.toLabel]) select.replaceChildren(...model.labels.map((name, index) => makeOption(String(index), name)));
    this.#dialog.replaceChildren(
      head(this.#dialog, 'morph-title', 'Mix and morph'), controls.ways,
      make('div', { className: 'morph-stage' },
        make('div', { className: 'morph-end' }, field('From', controls.label, 'morph'), field('Seed', controls.seed, 'morph')),
        controls.canvas,
        make('div', { className: 'morph-end' }, field('To', controls.toLabel, 'morph'), field('To the seed', controls.toSeed, 'morph')),
        controls.slider),
      make('div', { className: 'buttons morph-buttons' }, controls.play, controls.surprise, controls.png, controls.film, controls.kind, controls.link, controls.share),
      controls.says, controls.counted,
    );
    this.#dialog.dataset.rendering = model.info.rendering;
    this.#dialog.style.setProperty('--picture-ratio', String(model.info.width / model.info.height));
    this.#dialog.showModal();
    this.#change({});
  }

  // ---- what is asked for

  /** @param {Partial<Morph>} changes */
  #change(changes) {
    Object.assign(this.#morph, changes);
    this.#sharer.forget();
    const { label, seed, slider, toLabel, toSeed } = this.#controls;
    const { at, way } = this.#morph;
    label.value = String(this.#morph.label ?? 0);
    toLabel.value = String(this.#morph.toLabel);
    seed.value = String(this.#morph.seed);
    toSeed.value = String(this.#morph.toSeed);
    slider.value = String(at);
    const bySeed = way === 'seeds';
    /** @param {HTMLElement} control @param {boolean} hidden */
    const hide = (control, hidden) => { /** @type {HTMLElement} */ (control.parentElement).hidden = hidden; };
    hide(label, this.#morph.label === null);
    hide(toLabel, bySeed);
    hide(toSeed, !bySeed);
    const resume = this.#playing !== undefined;
    this.#pause();
    this.#toPlay ||= resume;
    this.#pictures.clear();
    this.#allow(false);
    this.#dialog.dataset.state = 'working';
    this.#say('Drawing …');
    // What is redrawn has to be there first.
    this.#want(way === 'redraw' ? ORDER.slice(0, 1) : ORDER, null);
    this.#show(at);
    this.#app.links.follow();
  }

  /** @param {readonly number[]} places @param {Picture | null} first */
  #want(places, first) {
    this.#board.first = Math.max(places.indexOf(this.#morph.at), 0);
    this.#board.show(places.map((at) => requestAt(this.#app.settings, this.#morph, at, first)));
    this.#board.slots.forEach(({ picture }, index) => picture && this.#pictures.set(places[index], picture));
    this.#goOn();
  }

  /** Another way, of what the model has. */
  #surprise() {
    const { labels } = this.#app.model;
    const [random] = crypto.getRandomValues(new Uint32Array(1));
    const label = labels.length > 0 ? random % labels.length : null;
    const seed = rollSeed(this.#morph.seed);
    this.#toPlay = !isCalm();
    history.pushState(history.state, ''); // each has its link, and the way back
    this.#change({ label, seed, toSeed: rollSeed(seed), toLabel: labels.length > 1 ? (Number(label) + 1 + (Math.floor(random / labels.length) % (labels.length - 1))) % labels.length : 0 });
  }

  // ---- what has come

  /** @param {number} at @param {Picture} picture */
  #take(at, picture) {
    this.#pictures.set(at, picture);
    this.#show(this.#morph.at);
    this.#controls.counted.textContent = `${this.#pictures.size} of ${LAST + 1}`;
    this.#goOn();
  }

  /** What follows from the pictures that are there. */
  #goOn() {
    const first = this.#pictures.get(0);
    if (this.#pictures.size > LAST) this.#finish();
    else if (first && this.#board.slots.length === 1) setTimeout(() => this.#pictures.get(0) === first && this.#board.slots.length === 1 && this.#want(ORDER, first));
  }

  #finish() {
    this.#dialog.dataset.state = 'done';
    this.#controls.counted.textContent = '';
    this.#say(this.#refused.length > 0 ? `The link asks for something that this model does not have: ${this.#refused.join(', ')}` : '');
    this.#refused = [];
    this.#allow(true);
    if (this.#toPlay) this.#play();
    this.#toPlay = false;
  }

  /** @param {boolean} whole */
  #allow(whole) {
    const { film, play, png, share: shareButton } = this.#controls;
    for (const each of [film, play, png, shareButton]) each.disabled = !whole;
  }

  /** The picture at a place, or the nearest that is there. @param {number} at @param {boolean} told not while it plays: that is 16 times a second */
  #show(at, told = true) {
    const { canvas, slider } = this.#controls;
    this.#morph.at = at;
    this.#app.playing = { settings: { label: this.#morph.label, seed: this.#morph.seed }, link: formatMorph(this.#morph, this.#app.model) };
    const places = [...this.#pictures.keys()].sort((a, b) => Math.abs(a - at) - Math.abs(b - at));
    if (places.length > 0) paint(canvas, /** @type {Picture} */ (this.#pictures.get(places[0])));
    if (!told) return;
    const text = this.#describe(at);
    slider.setAttribute('aria-valuetext', text);
    canvas.setAttribute('aria-label', text);
  }

  /** @param {number} at */
  #describe(at) {
    const { label, seed, toLabel, toSeed, way } = this.#morph;
    const { model } = this.#app;
    const percent = Math.round((100 * at) / LAST);
    if (way === 'seeds') return `${nameOf(model, label)}, ${percent} % from seed ${seed} to ${toSeed}`;
    return `${nameOf(model, label)}, ${percent} % ${way === 'mix' ? '' : 'redrawn as '}${nameOf(model, toLabel)}`;
  }

  // ---- to and fro

  #play() {
    const way = loop();
    let index = way.findIndex(({ at }) => at === this.#morph.at);
    const next = () => {
      const { at, milliseconds } = way[index];
      index = (index + 1) % way.length;
      this.#controls.slider.value = String(at);
      this.#show(at, false);
      this.#playing = setTimeout(next, milliseconds);
    };
    this.#controls.play.textContent = 'Pause';
    next();
  }

  #pause() {
    if (this.#playing === undefined) return;
    clearTimeout(this.#playing);
    this.#playing = undefined;
    this.#controls.play.textContent = 'Play';
    this.#show(this.#morph.at); // in words, too
  }

  // ---- to take away

  get #kind() {
    return /** @type {import('./films.mjs').Kind} */ (this.#controls.kind.value);
  }

  get #name() {
    const { label, seed, toLabel, toSeed, way } = this.#morph;
    const { model } = this.#app;
    return [nameOf(model, label), way === 'seeds' ? `seed${seed}-to${toSeed}` : `${way}-${nameOf(model, toLabel)}-seed${seed}`];
  }

  get #filmName() {
    return fileName(this.#name, KINDS[this.#kind].extension);
  }

  /** Makes the film. @returns {Promise<import('./sharing.mjs').Made | null>} null: the dialog is closed or shows something else by then */
  async #filmed() {
    const { film, kind, share: shareButton } = this.#controls;
    const [name, first] = [this.#filmName, this.#pictures.get(0)];
    for (const each of [film, kind, shareButton]) each.disabled = true;
    try {
      const blob = await this.#makeFilm();
      if (!this.#dialog.open || this.#pictures.get(0) !== first) return null;
      this.#say('');
      return { blob, name };
    } finally {
      kind.disabled = false;
      film.disabled = shareButton.disabled = this.#dialog.dataset.state !== 'done';
    }
  }

  /** @returns {Promise<Blob>} */
  #makeFilm() {
    const { rendering } = this.#app.model.info;
    this.#say('Making the film …');
    const frames = loop().map(({ at, milliseconds }) => ({ image: /** @type {Picture} */ (this.#pictures.get(at)), rendering, milliseconds }));
    return encodeFilm(frames, this.#kind, factorFor(frames[0].image, SAVED_SIDE));
  }

  async #savePNG() {
    const { at } = this.#morph;
    const { info } = this.#app.model;
    const picture = /** @type {Picture} */ (this.#pictures.get(at));
    const file = await pictureFile(picture, { factor: factorFor(info, SAVED_SIDE), rendering: info.rendering, transparent: false });
    this.#save(file, fileName([...this.#name, `at${at}`]));
  }

  /** @param {Blob} file @param {string} name */
  #save(file, name) {
    download(file, name);
    this.#say(`Saved ${name}, ${Math.max(1, Math.round(file.size / 1000))} kB`);
  }

  async #copyLink() {
    this.#app.links.show();
    try {
      await navigator.clipboard.writeText(location.href);
      this.#say('Link copied: it leads to this very picture');
    } catch {
      this.#say(`The address of this page is the link: ${location.href}`);
    }
  }

  /** @param {() => Promise<unknown>} work */
  #try(work) {
    return attempt(this.#controls.says, work);
  }

  /** @param {string} text */
  #say(text) {
    this.#controls.says.textContent = text;
  }
}

/** A pair that is worth looking at first. @param {ReadonlyArray<string>} labels @param {number} label */
function partnerOf(labels, label) {
  const dog = labels.indexOf('dog');
  return dog >= 0 && dog !== label ? dog : (label + 1) % labels.length;
}

/** @type {MorphDialog | null} */
let dialog = null;

/** @param {import('../page.mjs').App} app @param {string} [hash] of a link that leads here */
export function open(app, hash = '') {
  dialog ??= new MorphDialog(app);
  dialog.open(hash);
}
