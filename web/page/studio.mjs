// Decides which picture is computed next. Knows no DOM.
//
// There is no queue: there are boards, in the order of their importance, and each has one record per picture that says
// what is wanted there and how far it is. Whenever there is room, the picture that lacks most on the first board that
// lacks any is begun, under the options wanted at that moment, so that options which have been replaced are never
// computed.
//
// While a slider is dragged, a board draws drafts: one run at a time per worker, of several pictures, which together take
// less time than one after the other, and in fewer steps where all of them would take too long for several updates in a
// second. A draft under way may end when the value moves on: if each move of the slider threw it away, a long drag would
// show nothing. It is replaced by a draft of the newest value.

import { mostInBatch } from '../library/batches.mjs';
import { SAMPLERS } from '../library/options.mjs';

/** @typedef {import('../index.d.ts').Model} Model */
/** @typedef {import('../index.d.ts').Picture} Picture */
/** @typedef {import('../index.d.ts').StepEvent} StepEvent */
/** @typedef {import('../index.d.ts').GenerateOptions} GenerateOptions */
/** @typedef {Partial<GenerateOptions> & { steps: number }} Request plain values, and pixels that do not change */
/** @typedef {StepEvent & { preview: import('./paint.mjs').Image }} Step with x_t if the board asked for it */

/**
 * @typedef {object} Run one or several pictures that are made together
 * @property {AbortController} controller
 * @property {boolean} dragged begun while a value was being dragged
 * @property {boolean} draft in fewer steps than are wanted
 * @property {number} slots that still wait for their picture
 */

/**
 * @typedef {object} Report
 * @property {'idle' | 'working' | 'done' | 'stopped' | 'failed'} state
 * @property {boolean} draft drafts are being drawn
 * @property {boolean} dragged a value is being dragged, or was when these pictures were asked for: others may follow at once
 * @property {number} draftSteps
 * @property {number} progress 0 .. 1, of drafts 0: the next value begins anew
 * @property {number} finished pictures in full
 * @property {number} computed of them since the board was last shown; the others were there before
 * @property {number} milliseconds since the board was last shown
 * @property {unknown} [error] if failed
 */

/**
 * @typedef {object} Callbacks
 * @property {(index: number, event: Step) => void} [onStep] of pictures in full
 * @property {(index: number, picture: Picture, draft: boolean, current: boolean) => void} onPicture current: of what is asked for now; while a
 *   value is dragged, pictures come of values that it has had
 * @property {(report: Report) => void} [onReport]
 * @property {boolean} [state] put x_t into events
 * @property {boolean} [follows] while a value is dragged, it takes turns with the boards before it, in place of waiting for them
 */

/** Runs under way per worker: while the page looks at a step of one, the worker makes one of the other. */
const FULL_RUNS = 2;
const DRAFT_RUNS = 1;

/**
 * What all pictures of a board may take together, and each alone, in milliseconds, and the fewest steps: for four updates
 * in a second and some to spare. Of a consistency model one step is a picture already: then for twenty.
 */
const DRAFTS = { update: 225, min: 40, max: 80, steps: 3, whole: Math.round };
const DRAFTS_OF_CONSISTENCY = { update: 50, min: 0, max: 80, steps: 1, whole: Math.floor };
const INITIAL_STEPS = 6;
/** A number of steps that is off by less stays. */
const STEPS_TOLERANCE = 0.8;
/** How much the newest run says of the time that a step takes; the rest is from those before. */
const NEWEST_SHARE = 0.3;

/** While a value is dragged, a board that follows has as many pictures for one of those before it. */
const FOLLOWING = 4;
/** Of pictures that are to be made up for: a turn is not longer than these. */
const MOST_OWED = 24;

/** The core evaluates no more pictures at once. */
const MOST_AT_ONCE = 8;

/** Whether one step is a picture. @param {Partial<GenerateOptions>} [request] */
export const isConsistency = (request) => Boolean(request?.sampler && SAMPLERS[request.sampler].consistency);

/** What the pictures of a run may differ in. @param {Partial<GenerateOptions>} request */
const ownOf = ({ label, seed, variationSeed }) => ({ label, seed, variationSeed });

/** @type {WeakMap<ArrayBufferLike, number>} */
const identities = new WeakMap(); // of buffers

/** Requests with the same key ask for the same picture. Pixels are told apart by their buffers: nobody changes those. @param {object} request */
function keyOf(request) {
  return JSON.stringify(request, (_, value) => {
    if (!ArrayBuffer.isView(value)) return value;
    if (!identities.has(value.buffer)) identities.set(value.buffer, ++keyOf.last);
    return identities.get(value.buffer);
  });
}
keyOf.last = 0;

/** One place of a board. */
class Slot {
  /** @type {Request} */
  request = { steps: 0 }; // what is wanted takes its place at once
  key = '';
  kind = ''; // slots of the same kind can share a run
  /** @type {'nothing' | 'draft' | 'picture'} under the wanted request */
  has = 'nothing';
  begun = 0; // when it was last begun, counted in runs of the whole studio
  /** @type {Run | null} */
  run = null;
  runKey = ''; // of the request that the run was begun with
  runSteps = 0; // of the run
  /** @type {Picture | null} finished in full under the wanted request */
  picture = null;
  steps = 0; // made by the run

  /** The run ends with the last slot that leaves it. */
  abort() {
    const { run } = this;
    this.run = null;
    if (run && --run.slots === 0) run.controller.abort();
  }
}

export class Board {
  /** @type {Slot[]} */
  slots = [];
  /** Pictures are computed from this one on. */
  first = 0;
  /** Pictures of a run of drafts; 0: as many as are a worker's share. */
  group = 0;
  drafting = false;
  #studio;
  #callbacks;
  /** @type {Report['state']} */
  #state = 'idle';
  #startedAt = 0;
  #computed = 0;
  #dragged = false;

  /** @param {Studio} studio @param {Callbacks} callbacks */
  constructor(studio, callbacks) {
    this.#studio = studio;
    this.#callbacks = callbacks;
  }

  get state() {
    return this.#state;
  }

  get follows() {
    return Boolean(this.#callbacks.follows);
  }

  get working() {
    return this.#state === 'working';
  }

  /**
   * Makes these the wanted pictures, at once. What is there already stays.
   * @param {Request[]} requests
   * @param {{ draft?: boolean, again?: boolean }} [options] draft: a value is being dragged and others will follow;
   *   again: compute also what is there
   */
  show(requests, { draft = false, again = false } = {}) {
    const continues = draft && this.drafting && this.working;
    this.#state = 'working';
    this.#startedAt = performance.now();
    this.#computed = 0;
    this.#dragged = draft;
    for (const slot of this.slots.splice(requests.length)) slot.abort();
    while (this.slots.length < requests.length) this.slots.push(new Slot());
    requests.forEach((request, index) => this.#want(this.slots[index], request, { draft, again, continues }));
    this.drafting = draft && this.slots.some(({ has }) => has !== 'picture');
    this.#studio.changed(this);
    this.update();
  }

  /** @param {Slot} slot @param {Request} request @param {{ draft: boolean, again: boolean, continues: boolean }} how */
  #want(slot, request, { draft, again, continues }) {
    const kind = keyOf({ ...request, ...ownOf({}) });
    const key = kind + keyOf(ownOf(request));
    const same = slot.key === key && !again;
    if (!continues && slot.run && (!same || slot.run.draft)) slot.abort();
    if (same && slot.has !== 'draft') return;
    Object.assign(slot, { request, key, kind, has: 'nothing', picture: null });
    if (!draft) slot.begun = 0;
  }

  stop() {
    if (!this.working) return;
    this.abort();
    this.#finish('stopped');
  }

  /** Ends what is under way; it begins anew when there is room. */
  abort() {
    for (const slot of this.slots) slot.abort();
  }

  /** Forgets everything. */
  clear() {
    this.abort();
    this.slots = [];
    this.drafting = false;
    this.#state = 'idle';
  }

  /**
   * The pictures to begin now, in one run: those that have waited longest, so that all of them follow a slider that does
   * not come to rest. Among equals the first one is first, then reading order.
   * @param {number} most pictures of a run of drafts
   * @returns {Slot[]} none if nothing is lacking
   */
  next(most) {
    if (!this.working) return [];
    if (this.drafting && this.slots.every(({ has }) => has !== 'nothing')) this.drafting = false;
    const enough = this.drafting ? ['draft', 'picture'] : ['picture'];
    const ordered = [...new Set([this.slots[this.first], ...this.slots])];
    const lacking = ordered.filter((slot) => slot && !slot.run && !enough.includes(slot.has)).sort((a, b) => a.begun - b.begun);
    // Pictures in full come one by one, and their steps are to be seen.
    return lacking.filter(({ kind }) => kind === lacking[0].kind).slice(0, this.drafting ? most : 1);
  }

  /**
   * What a run of slots needs beyond their requests.
   * @param {Slot[]} slots @param {Run} run @returns {Partial<import('../index.d.ts').GenerateBatchOptions>}
   */
  viewsOf(slots, run) {
    const { onStep, state = false } = this.#callbacks;
    for (const slot of slots) slot.steps = 0;
    if (run.dragged || !onStep) return {};
    return {
      preview: true,
      state,
      onStep: ({ index, ...event }) => {
        const slot = slots[index];
        if (slot.run !== run) return;
        slot.steps = event.step / event.steps;
        onStep(this.slots.indexOf(slot), /** @type {Step} */ (event));
        this.update();
      },
    };
  }

  /** @param {Slot[]} slots of a run @param {Run} run @param {Picture[]} pictures; those of slots that have left it are dropped */
  complete(slots, run, pictures) {
    slots.forEach((slot, index) => {
      if (slot.run !== run) return;
      slot.run = null;
      const current = slot.runKey === slot.key;
      if (!run.draft) this.#computed++;
      if (!run.draft && current) slot.picture = pictures[index];
      if (current) slot.has = run.draft ? 'draft' : 'picture';
      this.#callbacks.onPicture(this.slots.indexOf(slot), pictures[index], run.draft, current);
    });
    this.update();
  }

  /** @param {unknown} error */
  fail(error) {
    this.abort();
    this.#finish('failed', error);
  }

  /** @param {Report['state']} state @param {unknown} [error] */
  #finish(state, error) {
    this.#state = state;
    this.drafting = false;
    this.update(error);
  }

  /** Reports how far the board is. @param {unknown} [error] */
  update(error) {
    if (this.working && this.slots.every(({ has }) => has === 'picture')) {
      this.#state = 'done';
      this.drafting = false; // of few steps, what was drawn while a value was dragged is whole
    }
    const shares = this.slots.map(({ has, run, steps }) => (has === 'picture' ? 1 : run && !run.dragged ? steps : 0));
    this.#callbacks.onReport?.({
      state: this.#state,
      draft: this.drafting,
      dragged: this.#dragged,
      draftSteps: this.#studio.draftSteps,
      progress: this.drafting ? 0 : shares.reduce((sum, share) => sum + share, 0) / Math.max(shares.length, 1),
      finished: this.slots.filter(({ has }) => has === 'picture').length,
      computed: this.#computed,
      milliseconds: performance.now() - this.#startedAt,
      error,
    });
  }
}

export class Studio {
  /** @type {Model | null} */
  #model = null;
  #workers = 1;
  /** @type {Board[]} */
  #boards = [];
  #begun = 0;
  #stepMilliseconds = 0; // of one picture in a run of drafts, on average; 0 before the first
  #warm = false; // the model has made a picture
  #paused = false;
  #owed = 0; // pictures, to the board that follows
  #calm = true; // the first board is still to be finished

  /** Called before work is given out: the last moment to show() what is wanted now. */
  beforeFill = () => {};

  /** Steps of a draft, or more than are wanted: as many as this device can take in time. */
  draftSteps = INITIAL_STEPS;

  /** @param {Callbacks} callbacks @returns {Board} less important than all that were made before */
  addBoard(callbacks) {
    const board = new Board(this, callbacks);
    this.#boards.push(board);
    return board;
  }

  /**
   * From now on pictures are those of this model; the boards are empty.
   * @param {Model | null} model @param {number} [workers] that it may have
   */
  setModel(model, workers = 1) {
    for (const board of this.#boards) board.clear();
    this.#model = model;
    this.#paused = false;
    this.#workers = workers;
    this.draftSteps = INITIAL_STEPS;
    this.#stepMilliseconds = 0;
    this.#warm = false;
    this.#calm = true;
  }

  /** Ends what is under way; nothing is begun until resume() or setModel(). */
  pause() {
    this.#paused = true;
    for (const board of this.#boards) board.abort();
  }

  resume() {
    this.#paused = false;
    this.fill();
  }

  /**
   * To be called when a board wants other pictures: those of less important boards can wait. More important ones go on:
   * if each move of a slider threw their runs away, they would never end.
   * @param {Board} board
   */
  changed(board) {
    for (const other of this.#boards.slice(this.#boards.indexOf(board) + 1)) if (!other.follows || !other.drafting) other.abort();
    this.fill();
  }

  /** Gives work to every worker that has room. */
  fill() {
    if (!this.#model || this.#paused) return;
    this.beforeFill();
    for (;;) {
      const job = this.#next();
      const running = new Set(this.#boards.flatMap(({ slots }) => slots.map(({ run }) => run).filter(Boolean)));
      if (!job || running.size >= this.#room()) return;
      this.#start(...job);
    }
  }

  /**
   * Runs that may be under way: one alone until there is a first picture, so that it comes soon. Until the first board is
   * done, one core is left to the page, which is still being laid out and painted and may be scrolled and tapped already.
   */
  #room() {
    if (!this.#warm) return 1;
    this.#calm &&= !this.#boards.some((board) => board.state === 'done');
    const workers = this.#calm ? Math.max(1, this.#workers - 1) : this.#workers;
    const drafting = this.#boards.some((board) => board.working && board.drafting);
    return workers * (drafting ? DRAFT_RUNS : FULL_RUNS);
  }

  /** @returns {[Board, Slot[]] | null} */
  #next() {
    const drafting = this.#boards.filter((board) => board.working && board.drafting);
    const follower = drafting.find(({ follows }) => follows);
    const others = this.#boards.filter((board) => board !== follower);
    // Drafts of all that is on show come before pictures in full.
    const isTurn = this.#owed > 0 || drafting.length === 1;
    const boards = !follower ? others : isTurn ? [follower, ...others] : [...others, follower];
    for (const board of boards) {
      const slots = board.next(this.#draftsInRun(board));
      if (slots.length > 0) return [board, slots];
      if (!follower && board.working && board.drafting) return null; // drafts under way are not to share their workers
    }
    return null;
  }

  /**
   * Of no more pictures than leave some for every worker: then none waits for the others. Where one step is a picture, each worker takes
   * its share of them at once: two thirds of the time of one after the other, and one frame of the page.
   * @param {Board} board
   */
  #draftsInRun({ group, slots }) {
    if (this.#stepMilliseconds === 0) return 1;
    if (group > 0) return Math.min(group, MOST_AT_ONCE);
    const share = slots.length / this.#workers;
    if (isConsistency(slots[0]?.request)) return Math.min(Math.ceil(share), MOST_AT_ONCE);
    return Math.min(Math.max(Math.floor(share), 1), mostInBatch(this.#stepMilliseconds, 1));
  }

  /** @param {Board} board @param {Slot[]} slots of one kind */
  async #start(board, slots) {
    const model = /** @type {Model} */ (this.#model);
    const [{ request }] = slots;
    const steps = board.drafting ? Math.min(this.draftSteps, request.steps) : request.steps;
    /** @type {Run} */
    const run = { controller: new AbortController(), dragged: board.drafting, draft: steps < request.steps, slots: slots.length };
    const follows = slots.every(({ runSteps }) => runSteps === steps) && !board.follows;
    if (run.dragged) this.#owed = Math.max(0, Math.min(this.#owed + (board.follows ? -1 : FOLLOWING) * slots.length, MOST_OWED));
    for (const slot of slots) Object.assign(slot, { run, runKey: slot.key, runSteps: steps, begun: ++this.#begun });
    const startedAt = performance.now();
    try {
      const pictures = await model.generateBatch({
        ...request, steps, signal: run.controller.signal, ...board.viewsOf(slots, run),
        pictures: slots.map((slot) => ownOf(slot.request)),
      });
      if (run.slots === 0) return;
      this.#warm = true;
      if (run.dragged && (follows || (this.#stepMilliseconds === 0 && !board.follows))) this.#measure((performance.now() - startedAt) / steps / slots.length, board.slots.length, request.sampler);
      board.complete(slots, run, pictures);
    } catch (error) {
      if (run.slots > 0) board.fail(error);
    }
    this.fill();
  }

  /**
   * Of runs that follow others of as many steps: the model remembers how those began, but with another number of steps
   * everything is new. For the same reason the number stays as long as it is about right.
   * @param {number} milliseconds that a step of one picture took @param {number} pictures of the board @param {GenerateOptions['sampler']} sampler
   */
  #measure(milliseconds, pictures, sampler) {
    const { update, min, max, steps, whole } = isConsistency({ sampler }) ? DRAFTS_OF_CONSISTENCY : DRAFTS;
    this.#stepMilliseconds += (milliseconds - this.#stepMilliseconds) * (this.#stepMilliseconds === 0 ? 1 : NEWEST_SHARE);
    const each = Math.min(Math.max((update * this.#workers) / pictures, min), max);
    const possible = Math.max(each / this.#stepMilliseconds, steps);
    if (Math.abs(possible - this.draftSteps) > STEPS_TOLERANCE) this.draftSteps = whole(possible);
  }
}
