// How the scripts that are built start their worker.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const EXPRESSION = /new Worker\((new URL\('\.\/worker\.js', import\.meta\.url\)), (?=\{ type: 'module',? ?)/;
const TRUSTED = JSON.stringify(fileURLToPath(new URL('../../web/page/trusted.mjs', import.meta.url)));

/**
 * thread.mjs with another expression for the address of the worker, which Trusted Types let through. In the source it is
 * the one that bundlers look for.
 * @param {string} name @param {(text: string) => string} change
 * @returns {import('esbuild').Plugin}
 */
const worker = (name, change) => ({
  name,
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]thread\.mjs$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!EXPRESSION.test(text)) throw new Error('thread.mjs does not start its worker in the form that bundlers look for');
      return { contents: `import { scriptURL } from ${TRUSTED};\n${change(text)}` };
    });
  },
});

/** The worker is a file beside the script. */
export const separateWorker = worker('separate-worker', (text) => text.replace(EXPRESSION, 'new Worker(scriptURL($1), '));

/**
 * The worker's script is within the one that starts it, for bundles that have no address of their own: it starts from a Blob.
 * @param {string} source of the worker, as a classic script
 */
export const inlineWorker = (source) => worker('inline-worker', (text) => text
  .replace(EXPRESSION, () => `new Worker(scriptURL(URL.createObjectURL(new Blob([${JSON.stringify(source)}], { type: 'text/javascript' }))), `)
  .replace("{ type: 'module', ", '{ '));

/** Options for the worker as a classic script. */
export const CLASSIC = { format: 'iife', define: { 'import.meta.url': '"about:blank"' } };
