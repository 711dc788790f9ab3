// The style sheet of a figure's shadow tree, constructed: a policy without 'unsafe-inline' allows it. Colours are those of
// <pocket-diffusion>, by the same custom properties; light-dark() follows the place where the figure stands. Lines of a plot
// differ in dashes, not in colour alone.

const CSS = `
:host {
  --accent: var(--pocket-diffusion-accent, light-dark(#c23616, #ff8159));
  --surface: var(--pocket-diffusion-surface, light-dark(#fff, #26221d));
  --tile: var(--pocket-diffusion-tile, light-dark(#f1ede5, #2b2721));
  --text: var(--pocket-diffusion-text, light-dark(#201d19, #f1ece3));
  --quiet: var(--pocket-diffusion-quiet, light-dark(#645d53, #b3ab9f));
  --line: var(--pocket-diffusion-line, light-dark(#ddd6ca, #464037));
  --second: light-dark(#1d5fa8, #7fb8f5);
  --radius: var(--pocket-diffusion-radius, 10px);
  display: block;
  container-type: inline-size;
  padding: 1em;
  border: 1px solid var(--line);
  border-radius: calc(1.4 * var(--radius));
  background: var(--surface);
  color: var(--text);
  line-height: 1.45;
  text-align: start;
}
:host([hidden]), [hidden] { display: none !important; }
*, ::before, ::after { box-sizing: border-box; }
p, figure { margin: 0; }
sub, sup { line-height: 0; font-size: 0.75em; }
button, input, select, output { font: inherit; color: inherit; }

.stage { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1em; min-block-size: 12em; align-content: start; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(var(--least, 6.5em), 28cqi), 1fr)); gap: 0.75em; align-items: start; }
.row.four { grid-template-columns: repeat(2, minmax(0, 1fr)); }
@container (min-width: 28em) { .row.four { grid-template-columns: repeat(4, minmax(0, 1fr)); } }
.row.three { grid-template-columns: repeat(3, minmax(0, 1fr)); max-inline-size: 30em; }
.row.many { --least: 4.2em; gap: 0.5em; }
.tile { display: grid; gap: 0.3em; min-inline-size: 0; }
.tile canvas { display: block; inline-size: 100%; aspect-ratio: 1; image-rendering: pixelated; border: 1px solid var(--line); border-radius: calc(0.6 * var(--radius)); background: var(--tile); }
.tile canvas[data-own] { cursor: crosshair; touch-action: none; }
.tile[data-chosen] canvas { outline: 3px solid var(--accent); outline-offset: 1px; }
figcaption { font-size: 0.8125em; line-height: 1.35; color: var(--quiet); }
.chips { display: flex; flex-wrap: wrap; gap: 0.4em; margin: 0; padding: 0; list-style: none; font-size: 0.8125em; }
.chips li { padding: 0.15em 0.6em; border: 1px solid var(--line); border-radius: 99em; }
.chips [data-dropped] { border: 2px dashed var(--accent); font-weight: 700; }
.head { font-size: 0.875em; font-weight: 640; }
.equation { font-size: 1.0625em; font-variant-numeric: tabular-nums; overflow-x: auto; }

.controls { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 13em), 1fr)); gap: 0.6em 1.25em; margin-block-start: 1em; align-items: end; }
.control { display: grid; grid-template-columns: minmax(min-content, 1fr) auto; gap: 0 0.5em; font-size: 0.9375em; }
.control.wide { grid-column: 1 / -1; }
.control label, .control.check { color: var(--text); }
.control > label { font-size: 0.875em; font-weight: 560; }
.control output { text-align: end; font-size: 0.875em; font-variant-numeric: tabular-nums; font-weight: 640; }
.control input[type="range"] { grid-column: 1 / -1; inline-size: 100%; block-size: 2em; margin: 0; accent-color: var(--accent); cursor: grab; touch-action: pan-y; }
.control select, .control input[type="number"] { inline-size: 100%; min-block-size: 2.5em; padding: 0 0.6em; border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface); }
.control select { grid-column: 1 / -1; }
.control > label:has(+ input[type="number"]) { grid-column: 1 / -1; }
.control.check { display: flex; align-items: center; gap: 0.5em; min-block-size: 2.5em; }
.check input { inline-size: 1.2em; block-size: 1.2em; accent-color: var(--accent); flex: none; }
.check label { font-weight: 400; }
button { min-block-size: 2.5em; padding: 0 1em; border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface); font-weight: 560; cursor: pointer; }
button:hover { border-color: var(--quiet); }
button:disabled { opacity: 0.5; cursor: default; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }

.says { margin-block-start: 0.9em; padding-block-start: 0.8em; border-block-start: 1px solid var(--line); font-size: 0.9375em; min-block-size: 4.5em; font-variant-numeric: tabular-nums; }
.error { display: grid; justify-items: start; gap: 0.6em; }
.spoken { position: absolute; inline-size: 1px; block-size: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:host { position: relative; }

.plot { display: block; inline-size: 100%; max-inline-size: 35em; block-size: auto; margin-inline: auto; overflow: visible; }
.plot text { fill: var(--quiet); font-size: 11px; font-family: inherit; }
@container (max-width: 26em) { .plot text { font-size: 14px; } }
.plot .title, .plot .note { fill: var(--text); }
.plot .rule { stroke: var(--line); }
.plot .line { fill: none; stroke: var(--text); stroke-width: 2; vector-effect: non-scaling-stroke; }
.plot .line.first { stroke: var(--accent); stroke-width: 2.5; }
.plot .line.second { stroke: var(--second); stroke-dasharray: 7 4; }
.plot .line.third { stroke: var(--quiet); stroke-dasharray: 2 4; }
.plot .mark { fill: var(--quiet); }
.map { display: block; inline-size: 100%; block-size: auto; border: 1px solid var(--line); border-radius: var(--radius); background: #fff; }
.plane { max-inline-size: 30em; border: 1px solid var(--line); border-radius: var(--radius); overflow: hidden; }
.plane .clouds * { fill: none; stroke: var(--second); stroke-width: 1.5; stroke-dasharray: 5 4; }
.plane .clouds .chosen { stroke: var(--accent); stroke-width: 2.5; stroke-dasharray: none; }
.plane .field path { fill: none; stroke: var(--quiet); stroke-width: 1; opacity: 0.75; }
.plane .ways path { fill: none; stroke: var(--text); stroke-width: 1; opacity: 0.3; }
.plane .points circle { fill: var(--accent); stroke: var(--surface); stroke-width: 1.5; }
.plot .upright { stroke: var(--text); stroke-dasharray: 3 3; }
.plot .point circle { fill: var(--accent); stroke: var(--surface); stroke-width: 2; }
.plot .point.second circle { fill: var(--second); }
.plot .point.third circle { fill: var(--surface); stroke: var(--text); }
.plot .point text { fill: var(--text); font-weight: 600; }
.way { display: block; inline-size: 100%; max-inline-size: 36em; cursor: pointer; }
.row.heads { grid-template-columns: repeat(4, minmax(0, 1fr)); max-inline-size: 30em; }
.way rect { fill: var(--tile); stroke: var(--quiet); stroke-width: 1; }
.way :is(.attention, .linear) { stroke-dasharray: 3 2; }
.way [data-chosen] { fill: var(--accent); stroke: var(--accent); }
.board { position: relative; }
.board canvas { display: block; inline-size: 100%; image-rendering: pixelated; }
.stage > .board > canvas { cursor: pointer; }
.frame { position: absolute; outline: 2px solid var(--accent); pointer-events: none; }
.scale { display: grid; gap: 0.2em; font-size: 0.8125em; color: var(--quiet); font-variant-numeric: tabular-nums; }
.scale canvas { inline-size: 100%; block-size: 1em; border: 1px solid var(--line); }
.ends { display: flex; justify-content: space-between; }
pre { margin: 0; padding: 1em; overflow-x: auto; border-radius: var(--radius); background: var(--tile); font-size: 0.8125em; line-height: 1.5; tab-size: 2; }
`;

/** @type {WeakMap<Document, CSSStyleSheet>} */
const sheets = new WeakMap();

/** Shared by all figures of a document. @param {Document} document */
export function figureSheet(document) {
  const sheet = sheets.get(document) ?? new (/** @type {typeof globalThis} */ (document.defaultView ?? globalThis)).CSSStyleSheet();
  if (!sheets.has(document)) sheet.replaceSync(CSS);
  sheets.set(document, sheet);
  return sheet;
}
