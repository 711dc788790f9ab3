// The worker's script within the one that starts it, for bundles that have no address of their own: it starts from a Blob.

import { readFile } from 'node:fs/promises';

const EXPRESSION = /new Worker\(new URL\('\.\/worker\.js', import\.meta\.url\), \{ type: 'module',? ?/;

/**
 * @param {string} source of the worker, as a classic script
 * @returns {import('esbuild').Plugin}
 */
export function inlineWorker(source) {
  return {
    name: 'inline-worker',
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]thread\.mjs$/ }, async ({ path }) => {
        const text = await readFile(path, 'utf8');
        if (!EXPRESSION.test(text)) throw new Error('thread.mjs does not start its worker in the form that bundlers look for');
        const blob = `new Blob([${JSON.stringify(source)}], { type: 'text/javascript' })`;
        return { contents: text.replace(EXPRESSION, () => `new Worker(URL.createObjectURL(${blob}), { `) };
      });
    },
  };
}

/** Options for the worker as a classic script. */
export const CLASSIC = { format: 'iife', define: { 'import.meta.url': '"about:blank"' } };
