// The documentation as pages of the site: README.md, docs/ and the cards of the models, from Markdown. Links between them
// lead on; what lies only in the repository (sources, tests) is named without a link.

import { readFile, readdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Marked } from 'marked';

const root = fileURLToPath(new URL('../..', import.meta.url));
const FRONT = 'README.md';

const slugOf = (text) => text.toLowerCase().replace(/<[^>]*>/g, '').replace(/[^\p{Letter}\p{Number} _-]/gu, '').trim().replaceAll(' ', '-');
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** Path in the repository -> path in the site. */
async function places() {
  const markdown = async (folder) => (await readdir(join(root, folder))).filter((name) => name.endsWith('.md'));
  return new Map([
    [FRONT, 'docs/index.html'],
    ...(await markdown('docs')).map((name) => [`docs/${name}`, `docs/${name.replace('.md', '.html')}`]),
    ...(await markdown('weights')).map((name) => [`weights/${name}`, `docs/model-${name.replace('.md', '.html')}`]),
  ]);
}

/** @param {string} source path of the Markdown file @param {Map<string, string>} pages @param {Set<string>} images receives those that it shows */
function rendererOf(source, pages, images) {
  const resolve = (path) => posix.normalize(posix.join(posix.dirname(source), path));
  return {
    heading: (text, level) => `<h${level} id="${slugOf(text)}">${text}</h${level}>\n`,
    link(href, _title, text) {
      if (/^(?:https?:|#)/.test(href)) return `<a href="${escape(href)}">${text}</a>`;
      const [path, anchor] = href.split('#');
      const target = pages.get(resolve(path));
      return target ? `<a href="${posix.relative('docs', target)}${anchor ? `#${anchor}` : ''}">${text}</a>` : text;
    },
    image(href, _title, text) {
      const path = resolve(href);
      images.add(path);
      return `<img src="${posix.relative('docs', path)}" alt="${escape(text)}" loading="lazy">`;
    },
    table: (header, body) => `<div class="table" tabindex="0" role="region" aria-label="Table"><table><thead>${header}</thead><tbody>${body}</tbody></table></div>\n`,
  };
}

const pageOf = (title, body) => `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(title)} – Pocket Diffusion</title>
<link rel="icon" href="../favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="../docs.css">
</head>
<body>
<nav aria-label="Site"><a href="../">Back to the pictures</a> <a href="./index.html">Documentation</a></nav>
<main>
${body}</main>
</body>
</html>
`;

/** @returns {Promise<Map<string, string | Buffer>>} path in the site -> contents */
export async function buildDocs() {
  const pages = await places();
  const images = new Set();
  const files = new Map();
  for (const [source, target] of pages) {
    const text = await readFile(join(root, source), 'utf8');
    const marked = new Marked({ renderer: rendererOf(source, pages, images) });
    const [, title = source] = text.match(/^# (.+)/m) ?? [];
    files.set(target, pageOf(title, marked.parse(text)));
  }
  for (const path of images) if (path.startsWith('docs/')) files.set(path, await readFile(join(root, path)));
  return files;
}
