// Small things that most parts of the page use.

/**
 * The ids of index.html that the page asks for, by tag: others cannot be asked for. A test compares them with that file.
 * @typedef {object} Ids
 * @property {'class-wall' | 'dismiss' | 'easel-clear' | 'easel-invert' | 'easel-undo' | 'edit-go-on' | 'edit-open' | 'edit-save' |
 *   'edit-save-drawing' | 'edit-svg' | 'edit-save-mask' | 'edit-take' | 'edit-this' | 'embed' | 'generate' | 'link' | 'lock' | 'morph-open' | 'open' | 'pin' | 'play' |
 *   'play-link' | 'play-save' | 'play-share' | 'play-svg' | 'poster-open' | 'recommended' | 'reset' | 'retry' | 'save' | 'save-svg' | 'save-film' | 'save-sheet' | 'stop' | 'swap' |
 *   'tab-draw' | 'unpin' | 'word-save'} button
 * @property {'board' | 'class-list' | 'count-list' | 'depth' | 'draw-models' | 'drop' | 'easel-presets' | 'easel-tools' | 'edit-grid' |
 *   'error' | 'film-preview' | 'film-state' | 'grid' | 'guidance' | 'options' | 'page' | 'panel' | 'pinned-grid' | 'search' | 'side' |
 *   'strip' | 'styles' | 'sweep' | 'tabs' | 'track' | 'word-rows'} div
 * @property {'announcer' | 'chosen-options' | 'class-hint' | 'edit-kind' | 'edit-status' | 'error-detail' | 'error-text' | 'late' |
 *   'model-about' | 'model-line' | 'pinned-text' | 'scale-says' | 'side-text' | 'status' | 'word-hint'} p
 * @property {'class-search' | 'easel-colour' | 'easel-size' | 'edit-file' | 'edit-strength' | 'file' | 'play-transparent' | 'scale' | 'seed' | 'steps' |
 *   'transparent' | 'word-text'} input
 * @property {'easel-brush' | 'more-changed' | 'recommended-text' | 'weight' | 'wish'} span
 * @property {'edit' | 'pinned' | 'scales' | 'word'} section
 * @property {'draw-model' | 'edit-resample' | 'film-kind' | 'sampler' | 'size'} select
 * @property {'big' | 'easel-canvas' | 'easel-mask'} canvas
 * @property {'easel-size-value' | 'edit-strength-value' | 'scale-value'} output
 * @property {'figures' | 'more'} details
 * @property {'transparent-line' | 'word-title'} label
 * @property {'poster' | 'wall'} dialog
 * @property {'figure-list'} dl
 * @property {'classes'} fieldset
 * @property {'big-figure'} figure
 * @property {'chosen-title'} h2
 * @property {'progress'} progress
 * @property {'class-found'} ul
 */
/** @typedef {{ [Tag in keyof Ids as Ids[Tag]]: HTMLElementTagNameMap[Tag] }} Elements by id */

/** @template {keyof Elements} Id @param {Id} id @returns {Elements[Id]} */
export const element = (id) => /** @type {Elements[Id]} */ (/** @type {unknown} */ (document.getElementById(id)));

/** Whether the device takes files of a type from pages. @param {string} type */
export const canShare = (type) => Boolean(navigator.canShare?.({ files: [new File([''], 'file', { type })] }));

/** Between parts of the work: the page answers in the meantime. */
export const nextTask = () => new Promise((resolve) => setTimeout(resolve));

/** @param {number} count @param {string} one */
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** Whether nothing may move by itself. */
export const isCalm = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} name @param {Partial<HTMLElementTagNameMap[Tag]>} [properties] @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

/** @param {string} value @param {string} [text] */
export const makeOption = (value, text = value) => Object.assign(document.createElement('option'), { value, textContent: text });

/** Shows a text. The same one put in again would be laid out again. @param {HTMLElement} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
