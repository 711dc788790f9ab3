// The tab "Draw": what is on the easel, made anew by the model in part (SDEdit) or where it is marked (RePaint).
// docs/sampling.md has the formulas.

import { paperOf } from './adapt.mjs';
import { Easel } from './easel.mjs';
import { element, isCalm } from './elements.mjs';
import { Grid } from './grid.mjs';
import { keepOf } from './keep.mjs';
import { announce, fail } from './messages.mjs';
import { SAMPLERS, nameOf, requestOf } from './settings.mjs';
import { explainTerms } from './terms.mjs';

/** Seeds that are shown at once. */
const COUNT = 6;
/** A rough drawing is still recognised and already improved; a marked part is made of noise alone. */
const STRENGTHS = { whole: 0.7, part: 1 };
/** Of this size and smaller, results follow the pen while it moves. */
const MOST_LIVE_PIXELS = 128 * 128;

export class Edit {
  #app;
  #grid;
  #easel;
  /** @type {import('../index.d.ts').Model | null} */
  #model = null;
  #paperKnown = false;
  #strengths = { ...STRENGTHS };

  /** @param {import('../page.mjs').App} app */
  constructor(app) {
    this.#app = app;
    this.#grid = new Grid(element('edit-grid'), () => this.#showChosen());
    this.#easel = new Easel((how) => this.draw(how));
    this.#connect();
    explainTerms(element('edit'));
  }

  get #board() {
    return this.#app.editBoard;
  }

  #connect() {
    const { pictures } = this.#app;
    const keep = keepOf(this.#app);
    const strength = element('edit-strength');
    /** @param {{ draft: boolean }} [how] */
    const readStrength = (how) => {
      this.#strengths[this.#part] = strength.valueAsNumber;
      this.draw(how);
    };
    strength.oninput = () => readStrength({ draft: true });
    strength.onchange = () => readStrength();
    element('edit-resample').onchange = () => this.draw();
    element('edit-open').onclick = () => element('edit-file').click();
    element('edit-file').onchange = () => {
      const [file] = element('edit-file').files ?? [];
      if (file) this.open(file);
      element('edit-file').value = ''; // so that the same file can be chosen again
    };
    element('edit-take').onclick = () => this.take(pictures.picture);
    element('edit-save').onclick = () => keep.savePicture(this.#picture, 'edited');
    element('edit-svg').onclick = () => keep.saveSVG(this.#picture, 'edited');
    element('edit-go-on').onclick = () => this.take(this.#picture);
    element('edit-save-drawing').onclick = () => keep.saveImage(this.#easel.drawing.image, 'drawing');
    element('edit-save-mask').onclick = () => keep.saveImage(this.#easel.drawing.mask, 'mask');
  }

  // ---- from the page

  /** @param {import('../index.d.ts').Model} model */
  use(model) {
    this.#model = model;
    this.#paperKnown = false;
    this.#easel.use(model.info, this.#easel.drawing.paper);
    this.#grid.resize(COUNT);
    this.#grid.clear();
    element('edit').inert = false;
  }

  /** The first picture of a model shows the tone of its paper. @param {import('../index.d.ts').Picture} picture */
  learnPaper(picture) {
    if (this.#paperKnown) return;
    this.#paperKnown = true;
    this.#easel.paper = paperOf(picture);
  }

  /** Puts a picture on the easel. @param {import('../index.d.ts').Picture | null} picture of this model */
  take(picture) {
    if (picture) this.#easel.take(picture);
  }

  /** @param {File} file a picture of any kind */
  async open(file) {
    try {
      await this.#easel.open(file);
    } catch {
      const sentence = 'This file is not a picture that the browser can read: PNG, JPEG, WebP and GIF are.';
      fail(Object.assign(new Error(`${file.name}: ${file.type || 'unknown type'}`), { sentence }));
    }
  }

  // ---- drawing

  get #part() {
    return this.#easel.drawing.mask ? 'part' : 'whole';
  }

  /** What generate() is to be asked for; none if there is nothing to start from. */
  #requests() {
    const { image, mask, blank } = this.#easel.drawing;
    if (blank && !mask) return [];
    const settings = this.#app.settings;
    const editing = { image, strength: this.#strengths[this.#part] };
    if (mask) Object.assign(editing, { mask, resample: this.#resample });
    return Array.from({ length: COUNT }, (_, index) => ({ ...requestOf(settings, index), ...editing }));
  }

  get #resample() {
    return SAMPLERS[this.#app.settings.sampler].multistep ? 1 : Number(element('edit-resample').value);
  }

  /** Shows the results of what is on the easel under the page's settings, where that is on show. */
  draw({ draft = false } = {}) {
    if (!this.#model || !this.#app.view.drawing) return;
    this.#showOptions(this.#model);
    element('edit-take').disabled = !this.#app.pictures.picture;
    const { shape } = this.#easel.drawing;
    if (draft && shape.width * shape.height > MOST_LIVE_PIXELS) return;
    const requests = this.#requests();
    if (requests.length === 0) {
      this.#board.clear();
      this.#grid.clear();
      return this.#app.report('edit', { state: 'idle', draft: false, dragged: false, draftSteps: 0, progress: 0, finished: 0, computed: 0, milliseconds: 0 });
    }
    this.#board.first = this.#grid.chosen;
    this.#board.show(requests, { draft });
    this.#board.slots.forEach(({ has }, index) => has !== 'picture' && this.#grid.markStale(index));
  }

  /** @param {import('../index.d.ts').Model} model */
  #showOptions(model) {
    const { label, sampler } = this.#app.settings;
    const part = this.#part === 'part';
    const strength = this.#strengths[this.#part];
    for (let index = 0; index < COUNT; index++) {
      this.#grid.describe(index, `Picture ${index + 1} from your drawing, ${nameOf(model, label)}`);
    }
    element('edit-strength').value = String(strength);
    element('edit-strength-value').textContent = strength.toFixed(2);
    element('edit-strength').style.setProperty('--value', String(strength));
    const { multistep = false, title } = SAMPLERS[sampler];
    element('edit-kind').textContent = !part ? 'The whole picture changes. Mark a part, and only that is made anew.'
      : `The marked part is made anew; the rest stays as it is, pixel by pixel.${multistep ? ` Resampling needs another sampler than ${title}.` : ''}`;
    element('edit-resample').disabled = !part || multistep;
    element('edit-save-mask').hidden = !part;
    element('edit-save-drawing').disabled = this.#easel.drawing.blank;
  }

  /** @param {number} index @param {import('./paint.mjs').Image} preview */
  showStep(index, preview) {
    this.#grid.setState(index, 'running');
    if (!isCalm()) this.#grid.paint(index, preview);
  }

  /** @param {number} index @param {import('../index.d.ts').Picture} picture @param {boolean} draft */
  showPicture(index, picture, draft) {
    this.#grid.paint(index, picture);
    this.#grid.setState(index, draft ? 'draft' : 'done');
    if (index === this.#grid.chosen) this.#showChosen();
  }

  /** The chosen result, once it is there. */
  get #picture() {
    return this.#board.slots[this.#grid.chosen]?.picture ?? null;
  }

  #showChosen() {
    element('edit-save').disabled = element('edit-svg').disabled = element('edit-go-on').disabled = !this.#picture;
  }

  /** @param {import('./studio.mjs').Report} report of its board */
  report({ state, draft, draftSteps, finished, computed, error }) {
    const before = element('edit').dataset.state;
    element('edit').dataset.state = draft ? 'draft' : state;
    this.#showChosen();
    element('edit-status').textContent = {
      idle: `Draw: ${COUNT} pictures follow your pen.`,
      working: draft ? `Preview with at most ${draftSteps} steps` : `Drawing … ${finished} of ${COUNT}`,
      done: `${COUNT} seeds, one drawing`,
      stopped: `Stopped after ${finished} of ${COUNT}`,
      failed: '',
    }[state];
    if (state === 'failed') fail(error, () => this.draw());
    if (state === 'done' && before !== 'done' && computed) announce(`${COUNT} pictures from your drawing.`);
  }
}
