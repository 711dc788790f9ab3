// The dialog that makes what puts pictures into another page, with the element itself as a preview. Fetched when somebody
// opens it, and what makes archives when one is made.

import { SAMPLERS } from '../library/options.mjs';
import { make, makeOption } from './elements.mjs';
import { FILES, FOLDER, USUAL_WIDTH, elementCode, embedded, examplePage, frameCode, ownCode, readme } from './embed.mjs';
import { explain } from './errors.mjs';
import { fetchFile, fetchPart } from './fetch_more.mjs';
import { attempt, button, check, field, head } from './fields.mjs';
import { listModels, tabOf } from './models.mjs';
import { formatClass, parseClass } from './options.mjs';
import { RadioGroup } from './radios.mjs';
import { download } from './saving.mjs';
import { SCALE } from './settings.mjs';
import { scriptURL } from './trusted.mjs';

/** @typedef {import('./embed.mjs').Embedded} Embedded */
/** @typedef {import('../element.d.ts').PocketDiffusionElement} PocketDiffusionElement */

/** Changes of text wait for the hand to rest. */
const REST_MILLISECONDS = 250;
/** Elements beside each other in a preview: more are only in the code. */
const MOST_SHOWN = 4;
const WIDTH = { min: 80, max: 1600, step: 10 };
const KINDS = /** @type {const} */ (['Element', 'Frame', 'Host it yourself']);
/** What has to be so elsewhere for each of them. */
const NEEDS = [
  'For a page of the same site, or if this site lets other origins read it (CORS: Access-Control-Allow-Origin; many static hosts do). On another origin it draws in the page’s own thread.',
  'Needs no CORS: it is a page of this site within yours, and draws in a worker. Not if your page’s policy (frame-src) or this site’s server (X-Frame-Options) forbids frames.',
  'Independent of this site, and without CORS: everything comes from your own server.',
];

/** SHA-384 of a file of the site, as `integrity` has it. @param {string} path */
async function integrityOf(path) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-384', await fetchFile(path)));
  return `sha384-${btoa(String.fromCharCode(...digest))}`;
}

function makeControls() {
  const number = { type: 'number', step: '1' };
  const controls = {
    model: make('select'),
    classes: make('select', { multiple: true, size: 4 }),
    scale: make('input', { type: 'range', className: 'slider', min: String(SCALE.min), max: String(SCALE.max), step: '0.1' }),
    seed: make('input', { type: 'text', inputMode: 'numeric', maxLength: 16, placeholder: 'another each time' }),
    count: make('input', { ...number, min: '1', max: '64' }),
    steps: make('input', { ...number, min: '1', max: '1000' }),
    sampler: make('select', {}, ...Object.entries(SAMPLERS).map(([name, { title }]) => makeOption(name, title))),
    loading: make('select', {}, makeOption('lazy', 'when it comes into sight'), makeOption('eager', 'at once'), makeOption('click', 'at a click')),
    width: make('input', { ...number, min: String(WIDTH.min), max: String(WIDTH.max), step: String(WIDTH.step), value: String(USUAL_WIDTH) }),
    controls: make('input', { type: 'checkbox', checked: true }),
    pin: make('input', { type: 'checkbox' }),
    preview: make('div', { className: 'embed-preview' }),
    kind: make('div', { className: 'segments' }),
    code: make('textarea', { readOnly: true, rows: 6, spellcheck: false, wrap: 'soft' }),
    copy: button('Copy', () => {}),
    zip: button('Download zip', () => {}),
    needs: make('p', { className: 'hint' }),
    says: make('p', { className: 'hint' }),
  };
  controls.says.setAttribute('role', 'status');
  controls.code.setAttribute('aria-label', 'Code');
  controls.kind.setAttribute('role', 'group');
  controls.kind.setAttribute('aria-label', 'How it gets into the page');
  controls.kind.id = 'embed-kind';
  return controls;
}

class EmbedDialog {
  #app;
  #dialog = make('dialog', { className: 'wall embed' });
  #controls = makeControls();
  /** @type {import('./models.mjs').Listed[]} */
  #listed = [];
  #path;
  /** @type {string | null} path of a model that was chosen, until it has come */
  #loading = null;
  /** @type {ReadonlyArray<string>} */
  #labels = [];
  #kind = 0;
  /** @type {{ script?: string, style?: string }} */
  #integrity = {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {import('../page.mjs').App} app whose model is a file of the site */
  constructor(app) {
    this.#app = app;
    this.#path = /** @type {string} */ (app.path);
  }

  async open() {
    const { model, settings } = this.#app;
    const controls = this.#controls;
    const { classes, count, kind, loading, pin, sampler, scale, seed, steps, width } = controls;
    document.body.append(this.#dialog);
    this.#dialog.onclose = () => {
      clearTimeout(this.#timer);
      this.#dialog.remove(); // and the elements with it: their workers end
    };
    const group = new RadioGroup(kind, KINDS, (index) => {
      this.#kind = index;
      this.#write();
    });
    group.value = 0;
    for (const control of [scale, seed, count, steps, width]) control.oninput = () => this.#change();
    for (const control of [classes, loading, sampler, controls.controls]) control.onchange = () => this.#change();
    pin.onchange = () => this.#try(() => this.#pin());
    pin.disabled = !globalThis.crypto?.subtle;
    controls.model.onchange = () => this.#choose(controls.model.value);
    controls.copy.onclick = () => this.#copy();
    controls.zip.onclick = () => this.#try(() => this.#makeArchive());
    this.#dialog.append(
      head(this.#dialog, 'embed-title', 'Put it into a page of yours'),
      make('div', { className: 'embed-columns' },
        controls.preview,
        make('div', { className: 'embed-fields' },
          field('Model', controls.model, 'embed'), field('Classes', classes, 'embed'), field('Guidance scale', scale, 'embed'),
          field('Seed', seed, 'embed'), field('Pictures', count, 'embed'), field('Steps', steps, 'embed'), field('Sampler', sampler, 'embed'),
          field('Width in pixels', width, 'embed'), field('Draw', loading, 'embed'), check('slider and buttons', controls.controls))),
      kind, controls.needs, controls.code,
      make('div', { className: 'buttons' }, controls.copy, controls.zip, check('this version alone (integrity)', pin)),
      controls.says,
    );
    this.#dialog.showModal();
    this.#listed = await listModels();
    controls.model.replaceChildren(...this.#listed.map(({ path, name }) => makeOption(path, name === tabOf(name) ? name : `${tabOf(name)}, fast`)));
    controls.model.value = this.#path;
    const { classes: chosen, attributes } = embedded(settings, model);
    this.#offer(model, chosen);
    this.#fill(attributes);
    this.#change(0);
  }

  /** @param {Record<string, string>} attributes */
  #fill(attributes) {
    const { count, sampler, scale, seed, steps } = this.#controls;
    scale.value = attributes['guidance-scale'];
    Object.assign(steps, { value: attributes.steps });
    sampler.value = attributes.sampler;
    if (attributes.seed) seed.value = attributes.seed;
    if (attributes.count) count.value = attributes.count;
  }

  /** Classes and limits of a model. @param {import('../index.d.ts').Model} model @param {string[]} chosen texts of classes */
  #offer({ labels, info }, chosen) {
    const { classes, scale, steps } = this.#controls;
    this.#labels = labels;
    const selected = new Set(chosen.map((text) => parseClass(text, labels)));
    classes.replaceChildren(...labels.map((name, label) => Object.assign(makeOption(String(label), name), { selected: selected.has(label) })));
    this.#allow();
    const [low, high] = info.guidanceScaleRange;
    Object.assign(scale, { min: String(Math.max(low, SCALE.min)), max: String(Math.min(high, SCALE.max)) });
    steps.max = String(info.timesteps);
  }

  /** Another model: its classes and what it recommends are known when the preview has loaded it. @param {string} path */
  #choose(path) {
    clearTimeout(this.#timer);
    this.#loading = path;
    this.#allow();
    const preview = this.#elements([{ src: path, loading: 'eager', count: '1' }]);
    this.#controls.preview.replaceChildren(...preview);
    this.#say('Loading the model …');
    preview[0].addEventListener('load', ({ detail: { model } }) => {
      if (this.#loading !== path || !this.#dialog.open) return;
      this.#loading = null;
      this.#path = path;
      this.#allow();
      const { recommended } = model.info;
      this.#offer(model, model.labels.length > 0 ? [formatClass(0, model.labels)] : []);
      this.#fill({ 'guidance-scale': String(recommended.guidanceScale), steps: String(recommended.steps), sampler: recommended.sampler });
      this.#say('');
      this.#change(0);
    });
    preview[0].addEventListener('error', ({ detail: { error } }) => {
      if (this.#loading !== path) return;
      this.#loading = null;
      this.#controls.model.value = this.#path;
      this.#allow();
      this.#change(0);
      this.#say(explain(error).sentence);
    });
  }

  /** While a model is loaded, nothing is known of it. */
  #allow() {
    const { classes, copy, zip } = this.#controls;
    copy.disabled = zip.disabled = this.#loading !== null;
    classes.disabled = this.#loading !== null || this.#labels.length === 0;
  }

  /** @param {Array<Record<string, string>>} all attributes of each */
  #elements(all) {
    return all.map((attributes) => {
      const node = /** @type {PocketDiffusionElement} */ (document.createElement('pocket-diffusion'));
      for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
      node.style.setProperty('--pocket-diffusion-size', `${this.#width}px`);
      return node;
    });
  }

  get #width() {
    const { valueAsNumber: width } = this.#controls.width;
    return Math.round(Math.min(Math.max(width || USUAL_WIDTH, WIDTH.min), WIDTH.max));
  }

  /** What is asked for. @returns {Embedded} */
  get #what() {
    const { classes, controls, count, loading, preview, sampler, scale, seed, steps } = this.#controls;
    const width = this.#width;
    const nodes = /** @type {HTMLElement[]} */ ([...preview.children]);
    const chosen = [...classes.selectedOptions].map(({ value }) => formatClass(Number(value), this.#labels));
    // Controls keep their height where the pictures have another width than here.
    const heights = nodes.map(({ offsetWidth, offsetHeight }) => (offsetWidth ? Math.ceil(offsetHeight * Math.max(1, width / offsetWidth)) : width));
    const height = (heights[0] ?? width) * Math.max(1, chosen.length);
    return {
      model: this.#path, width, height, classes: chosen,
      attributes: {
        'guidance-scale': scale.value, steps: String(clamp(steps, 1)), ...(/^\d{1,16}$/.test(seed.value.trim()) && { seed: seed.value.trim() }),
        sampler: sampler.value, count: String(clamp(count, 1)), ...(controls.checked && { controls: '' }), ...(loading.value !== 'lazy' && { loading: loading.value }),
      },
    };
  }

  #change(milliseconds = REST_MILLISECONDS) {
    const { scale } = this.#controls;
    scale.setAttribute('aria-valuetext', scale.value);
    if (this.#loading !== null) return;
    this.#write();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#show(), milliseconds);
  }

  /** The elements themselves, as they will be; a seed that is left out is another one each time there, too. */
  #show() {
    const { attributes, classes } = this.#what;
    const labels = classes.length > 0 ? classes.slice(0, MOST_SHOWN).map((label) => ({ label })) : [{}];
    this.#controls.preview.replaceChildren(...this.#elements(labels.map((label) => ({ src: this.#path, ...label, ...attributes }))));
    requestAnimationFrame(() => this.#write()); // the height is known now
  }

  get #site() {
    return new URL('.', document.baseURI).href;
  }

  #write() {
    const { code, needs, pin, zip } = this.#controls;
    const what = this.#what;
    code.value = this.#kind === 0 ? elementCode(what, this.#site, pin.checked ? this.#integrity : {})
      : this.#kind === 1 ? frameCode(what, this.#site) : ownCode(what);
    needs.textContent = NEEDS[this.#kind];
    zip.hidden = this.#kind !== 2;
    /** @type {HTMLElement} */ (pin.parentElement).hidden = this.#kind !== 0;
  }

  async #pin() {
    const { copy, pin } = this.#controls;
    copy.disabled = true; // until the code has it
    try {
      this.#integrity = { script: await integrityOf('pocket-diffusion.js'), style: await integrityOf('pocket-diffusion.css') };
    } catch (error) {
      pin.checked = false;
      throw error;
    } finally {
      this.#allow();
      this.#write();
    }
    this.#say(this.#controls.pin.checked ? 'Browsers will refuse every other version of the script: if this site is renewed, copy the code anew.' : '');
  }

  async #copy() {
    const { code } = this.#controls;
    try {
      await navigator.clipboard.writeText(code.value);
      this.#say('Copied: paste it into a page');
    } catch {
      code.focus();
      code.select();
      this.#say('The browser does not let this page copy: the code is selected, copy it by keyboard or menu.');
    }
  }

  async #makeArchive() {
    const what = this.#what;
    this.#say('Packing …');
    const [{ makeZip }, ...contents] = await Promise.all([
      fetchPart('zip', () => import('./zip.mjs')),
      ...[...Object.keys(FILES), what.model].map(async (path) => new Uint8Array(await fetchFile(path))),
    ]);
    const names = [...Object.values(FILES), what.model.replace(/^.*\//, '')];
    const license = this.#listed.find(({ path }) => path === what.model)?.license ?? '';
    const text = new TextEncoder();
    const file = await makeZip({
      'index.html': text.encode(examplePage(what)),
      'readme.txt': text.encode(readme(what, license, this.#site)),
      ...Object.fromEntries(names.map((name, index) => [`${FOLDER}/${name}`, contents[index]])),
    });
    if (!this.#dialog.open) return;
    download(file, `${FOLDER}.zip`);
    this.#say(`Saved ${FOLDER}.zip, ${(file.size / 1e6).toFixed(1)} MB: unpack it on a web server, its readme.txt says how`);
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

/** A whole number within the field's limits. @param {HTMLInputElement} input @param {number} instead of none */
const clamp = ({ valueAsNumber, min, max }, instead) => Math.round(Math.min(Math.max(valueAsNumber || instead, Number(min)), Number(max)));

/** The very script that other pages will have. @returns {Promise<unknown>} */
const fetchElement = () => fetchPart('element', () => new Promise((resolve, reject) => {
  const onerror = () => reject(new Error('pocket-diffusion.js'));
  document.head.append(make('script', { type: 'module', src: scriptURL(new URL('pocket-diffusion.js', document.baseURI)), onload: resolve, onerror }));
}));

/** @param {import('../page.mjs').App} app */
export async function open(app) {
  await fetchElement();
  if (app.path === null || document.querySelector('dialog.embed')) return; // a double click
  await new EmbedDialog(app).open();
}
