// What the words of the Lab mean: a line for each, on demand, beside its label.

/** @type {Record<string, string>} */
const LINES = {
  scale: 'How strongly the class pulls: 0 leaves it out, 1 is the model alone, more goes beyond it. Papers also write w = scale − 1.',
  seed: 'The number that the static is made from. The same seed gives the same picture, in every browser.',
  steps: 'How often the network looks at the picture on its way out of the static. More is slower, and smoother up to a point.',
  sampler: 'The rule that turns what the network says into the next, less noisy picture.',
  strength: 'How much of the drawing is turned into static before the model begins: 0 gives it back, 1 keeps next to nothing.',
  mark: 'Only what is marked is made anew; the rest stays as it is, pixel by pixel.',
  resample: 'Goes back some steps and forward again, so that new and old parts fit together better (RePaint). It takes a multiple of the time.',
  grid: 'Which moments between static and picture the steps fall on.',
  eta: 'How much fresh noise each step of DDIM adds: 0 none, 1 as much as DDPM.',
  mean: 'Whether DDPM takes its mean from the picture that the network expects, or from the noise.',
  variance: 'How much noise DDPM adds in a step: the lower bound of the theory, or the upper one.',
  away: 'Guidance leads away from this class; usually from no class at all.',
  schedule: 'How the scale changes on the way: the same at every step, or more of it at the beginning or the end.',
  low: 'Guidance is off below this timestep: in the last steps, where details come.',
  high: 'Guidance is off above this timestep: in the first steps, where the picture is laid out.',
  rescale: 'Brings the contrast of strongly guided pictures back to that of the model alone.',
  threshold: 'Keeps levels in range by this share of them instead of cutting all off at black and white.',
  momentum: 'Negative values hold back what guidance has pushed already (APG).',
  norm: 'Guidance longer than this is shortened (APG); 0 leaves it.',
  projection: 'Drops the part of guidance that only makes the picture stronger (APG).',
  parallel: 'How much of that part stays.',
  cfgpp: 'Guides the expected picture, but renews the noise without guidance: for small scales.',
};

const MARGIN = 8;
let count = 0;

/** A button beside every label in `root` that has a line, and has no button yet. @param {HTMLElement} root */
export function explainTerms(root) {
  for (const label of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll('[data-term]'))) {
    const line = LINES[label.dataset.term ?? ''];
    if (line && !label.nextElementSibling?.matches('.term')) label.after(...makeTerm(label, line));
  }
}

/** @param {HTMLElement} label @param {string} line */
function makeTerm(label, line) {
  const note = Object.assign(document.createElement('p'), { className: 'note', id: `term-${++count}`, hidden: true, textContent: line });
  const button = Object.assign(document.createElement('button'), { type: 'button', className: 'term', textContent: '?' });
  /** @param {boolean} visible */
  const show = (visible) => {
    note.hidden = !visible;
    button.setAttribute('aria-expanded', String(visible));
    if (visible) place(note, button);
  };
  button.setAttribute('aria-label', `What is ${label.textContent.trim()}?`);
  button.setAttribute('aria-controls', note.id);
  button.setAttribute('aria-describedby', note.id);
  button.onclick = () => show(note.hidden);
  button.onblur = () => show(false);
  button.onkeydown = ({ key }) => {
    if (key === 'Escape') show(false);
  };
  show(false);
  return [button, note];
}

/** Below the button, within the window. @param {HTMLElement} note @param {HTMLElement} button */
function place(note, button) {
  const { left, bottom, top } = button.getBoundingClientRect();
  const { width, height } = note.getBoundingClientRect();
  const below = bottom + MARGIN + height < innerHeight;
  note.style.left = `${Math.max(MARGIN, Math.min(left - MARGIN, document.documentElement.clientWidth - width - MARGIN))}px`;
  note.style.top = `${below ? bottom + MARGIN : top - MARGIN - height}px`;
}
