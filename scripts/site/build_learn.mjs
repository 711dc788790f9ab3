// Builds the article and its figures. With a folder: the figures alone, for pages of others (docs/learn.md).
//
//   node scripts/site/build_learn.mjs FOLDER

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import temml from 'temml';
import { FORMULAS } from '../../web/learn/article/formulas.mjs';
import { SLIDES } from '../../web/learn/article/slides.mjs';
import { WORDS } from '../../web/learn/article/words.mjs';
import { separateWorker } from './start_worker.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const web = join(root, 'web');
const source = join(web, 'learn');

/** Language -> name of its page in the site's folder learn/. */
const PAGES = { en: 'index.html', zh: 'zh.html' };
const DECKS = { en: 'slides.html', zh: 'slides-zh.html' };
/** The element, for pages of others. */
const FIGURE = 'pocket-diffusion-figure';

/** MathML. Styles are those of learn.css: the policy of the page allows no attributes of style. @param {string} name @param {boolean} display */
function mathML(name, display) {
  if (!Object.hasOwn(FORMULAS, name)) throw new Error(`the article names a formula ${JSON.stringify(name)}, which is not there`);
  return temml.renderToString(FORMULAS[name], { displayMode: display, throwOnError: true }).replaceAll(/ style="[^"]*"/g, '');
}

/** What is wider than a telephone scrolls, so that it has a place in the order of keys, and a name; MathML is read out. @param {string} text @param {string} label */
const withFormulas = (text, label) => text
  .replace(/\{\{\{(\w+)\}\}\}/g, (_, name) => `<div class="formula" tabindex="0" role="group" aria-label="${label}">${mathML(name, true)}</div>`)
  .replace(/\{\{(\w+)\}\}/g, (_, name) => mathML(name, false));

/** @param {string} name of a file @returns {Promise<string>} */
const read = (name) => readFile(join(source, 'article', name), 'utf8');

/** A file of web/learn/article with its words filled in. @param {string} name @param {Record<string, string>} words */
const fill = async (name, words) => (await read(name)).replace(/^ +/gm, '').replace(/\{\{(\w+)\}\}/g, (_, word) => {
  if (!Object.hasOwn(words, word)) throw new Error(`${name} names ${word}, which is not there`);
  return words[word];
});

/**
 * A whole page. @param {'en' | 'zh'} language @param {Record<string, string>} names of it in all languages
 * @param {{ heading: string, styles: string[], script: string, body: string }} parts
 */
function inShell(language, names, { heading, styles, script, body }) {
  const head = [
    ...styles.map((style) => `<link rel="stylesheet" href="../${style}">`),
    ...Object.entries(names).map(([other, name]) => `<link rel="alternate" hreflang="${other}" href="${name}">`),
    `<script type="module" src="../${script}"></script>`,
  ];
  return fill('shell.html', { ...WORDS[language], heading, head: head.join('\n'), body });
}

/** @param {import('../../web/learn/article/slides.mjs').Slide} slide @param {import('../../web/learn/article/slides.mjs').Words} words */
function slideOf({ id, formula, figure }, { title, points, notes }) {
  const { model = 'doodles', ...attributes } = figure ?? {};
  const set = Object.entries({ model: `../weights/${model}.gguf`, ...attributes }).map(([name, value]) => ` ${name}="${value}"`).join('');
  return `<section id="slide-${id}"${figure ? '' : ' class="plain"'}><h1>${title}</h1>` +
    `<div class="words">${formula ? `{{{${formula}}}}` : ''}<ul>${points.map((point) => `<li>${point}</li>`).join('')}</ul><p class="notes">${notes}</p></div>` +
    `${figure ? `<pocket-diffusion-figure${set}></pocket-diffusion-figure>` : ''}</section>`;
}

/** @param {'en' | 'zh'} language */
function deck(language) {
  const { slides, title, formula } = WORDS[language];
  const sections = withFormulas(SLIDES.map((slide) => slideOf(slide, slide[language])).join('\n'), formula);
  return inShell(language, DECKS, { heading: `${slides}: ${title}`, styles: ['learn.css', 'slides.css'], script: 'slides.js', body: `<main class="deck">\n${sections}\n</main>` });
}

/** @param {'en' | 'zh'} language */
async function page(language) {
  const text = await read(`${language}.html`);
  const { title, formula } = WORDS[language];
  const sections = [...text.matchAll(/<section id="(\w+)">\s*<h2>([^<]+)<\/h2>/g)];
  const list = sections.map(([, id, heading]) => `<li><a href="#${id}">${heading}</a></li>`).join('');
  const body = await fill('page.html', { ...WORDS[language], article: withFormulas(text, formula), list });
  return inShell(language, PAGES, { heading: title, styles: ['learn.css'], script: 'learn.js', body: body.trim() });
}

/** The text of the program that a figure shows and runs, without comments for tools. */
const snippet = {
  name: 'snippet',
  setup: ({ onLoad }) => onLoad({ filter: /[\\/]snippet_text\.mjs$/ }, async () => {
    const text = await readFile(join(source, 'snippet.mjs'), 'utf8');
    const code = text.slice(text.indexOf('export ')).replaceAll(/\/\*\*.*?\*\/ ?/gs, '').trim();
    return { contents: `export default ${JSON.stringify(code)};` };
  }),
};

/** @param {Record<string, string>} entryPoints name -> file */
async function scripts(entryPoints) {
  const { outputFiles, metafile } = await esbuild.build({
    bundle: true, minify: true, write: false, format: 'esm', splitting: true, metafile: true, target: ['es2022'], external: ['node:*'], legalComments: 'none', logLevel: 'error',
    entryPoints, outdir: web, chunkNames: 'learn-[name]-[hash]', absWorkingDir: root, plugins: [snippet, separateWorker],
  });
  return { files: new Map(outputFiles.map(({ path, text }) => [basename(path), text])), inputs: Object.keys(metafile.inputs) };
}

/**
 * What the site has of it: scripts beside its own, which find the worker and the engine there, and the pages in learn/.
 * @returns {Promise<{ files: Map<string, string>, forOthers: Map<string, string>, inputs: string[] }>} inputs: what the scripts are made of
 */
export async function buildLearn() {
  const { files, inputs } = await scripts({ learn: join(source, 'learn.mjs'), slides: join(source, 'slides.mjs'), [FIGURE]: join(source, 'figure.mjs') });
  for (const name of ['learn.css', 'slides.css']) {
    const { outputFiles: [style] } = await esbuild.build({ entryPoints: [join(source, name)], minify: true, write: false, target: ['es2022'] });
    files.set(name, style.text);
  }
  for (const [language, name] of Object.entries(PAGES)) files.set(`learn/${name}`, await page(language));
  for (const [language, name] of Object.entries(DECKS)) files.set(`learn/${name}`, await deck(language));
  const forOthers = new Map([[`${FIGURE}.js`, files.get(`${FIGURE}.js`) ?? '']]);
  files.delete(`${FIGURE}.js`);
  return { files, forOthers, inputs };
}

/** The figures for pages of others, with the engine; models go beside them. @param {string} folder @returns {Promise<string[]>} names */
export async function buildFigures(folder) {
  const { files } = await scripts({ [FIGURE]: join(source, 'figure.mjs'), worker: join(web, 'worker.js') });
  files.set('pocket-diffusion.wasm', await readFile(join(web, 'pocket-diffusion.wasm')));
  await mkdir(folder, { recursive: true });
  for (const [name, data] of files) await writeFile(join(folder, name), data);
  return [...files.keys()];
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const [folder] = process.argv.slice(2);
  if (!folder) {
    console.error('usage: node scripts/site/build_learn.mjs FOLDER');
    process.exitCode = 2;
  } else {
    console.log(`${folder}: ${(await buildFigures(resolve(folder))).join(', ')}`);
  }
}
