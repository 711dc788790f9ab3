// Decides which picture is computed next, and where. Knows no DOM.
//
// There is no queue: there is one set of wanted settings and one record per picture that says how far it is.
// Whenever a model has room, it takes the picture that lacks most under the settings wanted at that moment, so
// that settings which have been replaced are never computed.
//
// While a slider is dragged, pictures are drawn as drafts, in fewer steps and one at a time per model, so that each
// takes a few hundredths of a second. A draft under way may end when the value moves on: if each move of the
// slider threw it away, a long drag would show nothing. It is replaced by a draft of the newest value.

/** @typedef {import('./settings.mjs').Settings} Settings */
/** @typedef {import('../index.d.ts').Model} Model */
/** @typedef {import('../index.d.ts').Picture} Picture */
/** @typedef {import('../index.d.ts').StepEvent} StepEvent */

/**
 * @typedef {object} Slot one place of the grid
 * @property {'nothing' | 'draft' | 'picture'} has under the wanted settings
 * @property {number} begun when it was last begun, counted in runs of the whole grid
 * @property {Run | null} run
 * @property {Picture | null} picture finished in full under the wanted settings
 * @property {StepEvent[]} frames of the newest full run; while drafts are drawn, still of the one before
 */

/** @typedef {{ model: Model, controller: AbortController, draft: boolean, settings: Settings }} Run */

/**
 * @typedef {object} Report
 * @property {'working' | 'done' | 'stopped' | 'failed'} state
 * @property {boolean} draft drafts are being drawn
 * @property {number} draftSteps
 * @property {number} progress 0 .. 1
 * @property {number} finished pictures in full
 * @property {number} milliseconds since the settings were wanted
 * @property {unknown} [error] if failed
 */

/** Runs under way per model: a row of pictures that sharpen together. */
const FULL_RUNS = 4;
const DRAFT_RUNS = 1;

const DRAFT_MILLISECONDS = 80;
const DRAFT_STEPS = { min: 3, max: 8, initial: 6 };

export class Studio {
  #models = [];
  /** @type {Slot[]} */
  #slots = [];
  /** @type {Settings | null} */
  #wanted = null;
  #drafting = false;
  #draftSteps = DRAFT_STEPS.initial;
  #first = 0;
  #begun = 0;
  #startedAt = 0;
  #state = 'done';
  #callbacks;

  /**
   * @param {object} callbacks
   * @param {(index: number, event: StepEvent, draft: boolean) => void} callbacks.onStep
   * @param {(index: number, picture: Picture, draft: boolean) => void} callbacks.onPicture
   * @param {(report: Report) => void} callbacks.onReport
   */
  constructor(callbacks) {
    this.#callbacks = callbacks;
  }

  get slots() {
    return this.#slots;
  }

  get working() {
    return this.#state === 'working';
  }

  /** @param {Model} model another instance of the same file, in a worker of its own */
  addModel(model) {
    this.#models.push(model);
    if (this.working) this.#fill();
  }

  /** Ends what is under way; nothing is computed until there is a model again. */
  removeModels() {
    this.#abortRuns();
    this.#models = [];
  }

  /** Pictures are computed from this one on. */
  set first(index) {
    this.#first = index;
  }

  /**
   * Makes these the wanted settings, at once.
   * @param {Settings} settings
   * @param {{ draft?: boolean }} [options] draft: a value is being dragged and others will follow
   */
  show(settings, { draft = false } = {}) {
    const continues = draft && this.#drafting && this.working;
    if (!continues) this.#abortRuns();
    this.#wanted = settings;
    this.#drafting = draft && this.#draftSteps < settings.steps;
    this.#startedAt = performance.now();
    this.#state = 'working';
    this.#slots.length = Math.min(this.#slots.length, settings.count);
    while (this.#slots.length < settings.count) {
      this.#slots.push({ has: 'nothing', begun: 0, run: null, picture: null, frames: [] });
    }
    for (const slot of this.#slots) {
      slot.has = 'nothing';
      slot.picture = null;
      if (!draft) {
        slot.begun = 0;
        slot.frames = [];
      }
    }
    this.#fill();
    this.#report();
  }

  stop() {
    if (!this.working) return;
    this.#abortRuns();
    this.#state = 'stopped';
    this.#report();
  }

  #abortRuns() {
    for (const slot of this.#slots) {
      slot.run?.controller.abort();
      slot.run = null;
    }
  }

  /** Gives work to every model that has room. */
  #fill() {
    if (this.#drafting && this.#slots.every((slot) => slot.has !== 'nothing')) this.#drafting = false;
    const room = this.#drafting ? DRAFT_RUNS : FULL_RUNS;
    for (let turn = 0; turn < room; turn++) {
      for (const model of this.#models) {
        if (this.#runsOf(model) > turn) continue;
        const index = this.#next();
        if (index === undefined) return;
        this.#start(index, model);
      }
    }
  }

  #runsOf(model) {
    return this.#slots.filter((slot) => slot.run?.model === model).length;
  }

  /**
   * The picture to begin now: the one that has waited longest, so that all of them follow a slider that does not
   * come to rest. Among equals the chosen one is first, then reading order.
   */
  #next() {
    const enough = this.#drafting ? ['draft', 'picture'] : ['picture'];
    const waiting = [this.#first, ...this.#slots.keys()].filter((index) => {
      const slot = this.#slots[index];
      return slot && !slot.run && !enough.includes(slot.has);
    });
    return waiting.sort((a, b) => this.#slots[a].begun - this.#slots[b].begun)[0];
  }

  async #start(index, model) {
    const slot = this.#slots[index];
    const settings = this.#wanted;
    const draft = this.#drafting;
    const run = { model, controller: new AbortController(), draft, settings };
    slot.run = run;
    slot.begun = ++this.#begun;
    const startedAt = performance.now();
    if (!draft) slot.frames = [];
    const { label, guidanceScale, sampler, seed } = settings;
    try {
      const picture = await model.generate({
        label,
        guidanceScale,
        sampler,
        seed: seed + index,
        steps: draft ? this.#draftSteps : settings.steps,
        signal: run.controller.signal,
        preview: !draft,
        state: !draft,
        onStep: draft ? undefined : (event) => {
          if (slot.run !== run) return;
          slot.frames.push(event);
          this.#callbacks.onStep(index, event, draft);
          this.#report();
        },
      });
      if (slot.run !== run) return;
      slot.run = null;
      if (draft) this.#measure((performance.now() - startedAt) / picture.options.steps);
      this.#finish(index, run, picture);
    } catch (error) {
      if (slot.run === run) this.#fail(error);
    }
  }

  /** The number of draft steps that this device can take in DRAFT_MILLISECONDS. */
  #measure(stepMilliseconds) {
    const steps = Math.round(DRAFT_MILLISECONDS / stepMilliseconds);
    this.#draftSteps = Math.min(Math.max(steps, DRAFT_STEPS.min), DRAFT_STEPS.max);
  }

  #finish(index, run, picture) {
    const slot = this.#slots[index];
    if (!run.draft) slot.picture = picture;
    if (run.settings === this.#wanted) slot.has = run.draft ? 'draft' : 'picture';
    this.#callbacks.onPicture(index, picture, run.draft);
    this.#fill();
    if (this.#slots.every(({ has }) => has === 'picture')) this.#state = 'done';
    this.#report();
  }

  #fail(error) {
    this.#abortRuns();
    this.#state = 'failed';
    this.#report(error);
  }

  #report(error) {
    const { steps } = this.#wanted;
    const shares = this.#slots.map(({ has, run, frames }) =>
      has === 'picture' ? 1 : run && !run.draft ? frames.length / steps : 0);
    this.#callbacks.onReport({
      state: this.#state,
      draft: this.#drafting,
      draftSteps: this.#draftSteps,
      progress: shares.reduce((sum, share) => sum + share, 0) / shares.length,
      finished: this.#slots.filter(({ has }) => has === 'picture').length,
      milliseconds: performance.now() - this.#startedAt,
      error,
    });
  }
}
