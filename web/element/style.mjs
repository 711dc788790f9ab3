// The style sheet of the shadow tree, as a constructed one: a Content-Security-Policy without 'unsafe-inline' allows it.
// light-dark() follows the color-scheme of the place where the element stands, so a dark page gets dark controls
// whatever the system prefers.

const CSS = `
:host {
  --accent: var(--pocket-diffusion-accent, light-dark(#c23616, #ff8159));
  --on-accent: var(--pocket-diffusion-on-accent, light-dark(#fff, #231007));
  --surface: var(--pocket-diffusion-surface, light-dark(#fff, #26221d));
  --tile: var(--pocket-diffusion-tile, light-dark(#f1ede5, #2b2721));
  --text: var(--pocket-diffusion-text, light-dark(#201d19, #f1ece3));
  --quiet: var(--pocket-diffusion-quiet, light-dark(#645d53, #b3ab9f));
  --line: var(--pocket-diffusion-line, light-dark(#ddd6ca, #464037));
  --radius: var(--pocket-diffusion-radius, 10px);
  --gap: var(--pocket-diffusion-gap, 4px);
  display: block;
  box-sizing: border-box;
  inline-size: var(--pocket-diffusion-size, 20em);
  max-inline-size: 100%;
  color: var(--text);
  line-height: 1.4;
  text-align: start;
}
:host([hidden]), [hidden] { display: none !important; }
*, ::before, ::after { box-sizing: border-box; }
button, input, output { font: inherit; color: inherit; }

.stage {
  position: relative;
  overflow: hidden;
  aspect-ratio: var(--ratio, 1);
}
.grid {
  display: grid;
  grid-template: repeat(var(--rows, 1), minmax(0, 1fr)) / repeat(var(--columns, 1), minmax(0, 1fr));
  gap: var(--gap);
  block-size: 100%;
}
.grid > div, .poster {
  inline-size: 100%;
  block-size: 100%;
  border: 1px solid var(--line);
  border-radius: var(--radius);
  overflow: hidden;
  background: var(--tile);
}
canvas, .poster {
  display: block;
  object-fit: contain;
}
canvas {
  inline-size: 100%;
  block-size: 100%;
  image-rendering: var(--pocket-diffusion-rendering, auto);
}
[data-rendering="pixel"] canvas { image-rendering: var(--pocket-diffusion-rendering, pixelated); }
/* White paper and even strokes, as rendering.mjs has it. */
[data-rendering="ink"] canvas { filter: brightness(1.315) contrast(1.27); }
.poster { position: absolute; inset: 0; }

.start, .note, .error {
  position: absolute;
  inset: 0;
  display: grid;
  place-content: center;
  justify-items: center;
}
.start {
  padding: 0;
  border: 0;
  background: none;
  cursor: pointer;
}
.pill, .retry {
  max-inline-size: 100%;
  min-block-size: 2.75em;
  padding: 0.6em 1.2em;
  border: 0;
  border-radius: 99em;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
  font-weight: 600;
  background: var(--accent);
  color: var(--on-accent);
  cursor: pointer;
}
.start { padding: 0.5em; }
.start:hover .pill, .retry:hover { filter: brightness(1.08); }
.note { pointer-events: none; color: var(--quiet); font-size: 0.875em; font-variant-numeric: tabular-nums; }
.error {
  place-content: safe center;
  gap: 0.5em;
  padding: 0.75em;
  overflow: auto;
  background: var(--surface);
  border: 1px solid var(--line);
  border-radius: var(--radius);
  text-align: center;
  font-size: 0.875em;
}
.error p { margin: 0; overflow-wrap: anywhere; }
.error .sentence { font-weight: 600; }
.error .detail { color: var(--quiet); font-size: 0.9em; }

progress {
  appearance: none;
  position: absolute;
  inset: auto var(--radius) 0;
  inline-size: calc(100% - 2 * var(--radius));
  block-size: 4px;
  border: 0;
  background: transparent;
  color: var(--accent);
}
progress::-webkit-progress-bar { background: transparent; }
progress::-webkit-progress-value { background: var(--accent); }
progress::-moz-progress-bar { background: var(--accent); }
progress:indeterminate { background: linear-gradient(90deg, transparent, var(--accent), transparent) 0 0 / 50% 100% repeat-x; }
progress:indeterminate::-moz-progress-bar { background: transparent; }
@media (prefers-reduced-motion: no-preference) {
  progress:indeterminate { animation: pass 1.2s linear infinite; }
  @keyframes pass { from { background-position-x: -100%; } to { background-position-x: 100%; } }
}

/* As high as element.css reserves. */
.controls {
  display: flex;
  align-items: center;
  gap: 0.5em;
  block-size: 3.75em;
  padding-block-start: 0.5em;
}
.scale { flex: 1; min-inline-size: 0; display: grid; grid-template-columns: minmax(0, 1fr) auto; column-gap: 0.5em; }
.scale label {
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
  color: var(--quiet);
  font-size: 0.8125em;
  line-height: 1.6;
}
.scale output { min-inline-size: 4ch; text-align: end; font-size: 0.8125em; line-height: 1.6; font-variant-numeric: tabular-nums; font-weight: 600; }
.scale input {
  grid-column: 1 / -1;
  inline-size: 100%;
  block-size: 1.75em;
  margin: 0;
  accent-color: var(--accent);
  cursor: grab;
  touch-action: pan-y;
}
.icon {
  flex: none;
  display: grid;
  place-content: center;
  inline-size: 2.75em;
  block-size: 2.75em;
  padding: 0;
  border: 1px solid var(--line);
  border-radius: var(--radius);
  background: var(--surface);
  cursor: pointer;
}
.icon:hover { border-color: var(--quiet); }
.icon:disabled { opacity: 0.45; cursor: default; }
svg { inline-size: 1.4em; block-size: 1.4em; fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.start:focus-visible { outline-offset: -3px; border-radius: var(--radius); }

.spoken {
  position: absolute;
  inline-size: 1px;
  block-size: 1px;
  margin: -1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}
`;

/** @type {WeakMap<Document, CSSStyleSheet>} */
const sheets = new WeakMap();

/** Shared by all elements of a document: a sheet works in the one that it was made for alone. @param {Document} document */
export function styleSheet(document) {
  const known = sheets.get(document);
  if (known) return known;
  const sheet = emptySheet(document);
  sheet.replaceSync(CSS);
  sheets.set(document, sheet);
  return sheet;
}

/** @param {Document} document */
export const emptySheet = ({ defaultView }) => new (/** @type {typeof globalThis} */ (defaultView ?? globalThis)).CSSStyleSheet();
