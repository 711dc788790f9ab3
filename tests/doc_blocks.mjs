// The fenced blocks of the documentation, for the tests that run them.

import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

export const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'python/README.md', 'web/examples/README.md', ...readdirSync(`${root}docs`).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];

/**
 * @typedef {object} Block
 * @property {string} name file and line
 * @property {string} file
 * @property {string} language js, html, sh, python, or '' for what is no program
 * @property {boolean} browser whether JavaScript is for a page; it sees the HTML block before it in its file
 * @property {string} source the file that the block is a copy of, '' if there is none
 * @property {string} reason why it is not run, '' if it is
 * @property {string} text
 */

/** @returns {Block[]} */
export function blocksOf(file) {
  const text = readFileSync(`${root}${file}`, 'utf8');
  return [...text.matchAll(/^```([^\n]*)\n([^]*?)^```$/gm)].map(({ 1: info, 2: body, index }) => {
    const [language = '', mark = ''] = info.split(' ');
    const line = text.slice(0, index).split('\n').length;
    const [, reason = ''] = /not run: (.+)/.exec(info) ?? [];
    const source = mark.includes('/') ? mark : '';
    return { name: `${file}:${line}`, file, language, browser: mark === 'browser', source, reason, text: body };
  });
}

export const blocks = DOCUMENTS.flatMap(blocksOf);
