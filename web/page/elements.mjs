// Small things that most parts of the page use.

export const element = (id) => document.getElementById(id);

/** Between parts of the work: the page answers in the meantime. */
export const nextTask = () => new Promise((resolve) => setTimeout(resolve));

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** Whether nothing may move by itself. */
export const isCalm = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

export const makeOption = (value, text = value) => Object.assign(document.createElement('option'), { value, textContent: text });

/** Shows a text. The same one put in again would be laid out again. @param {HTMLElement} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
