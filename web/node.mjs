// The library under Node.js, with what needs a file system. Documented in node.d.ts.

import { fileURLToPath } from 'node:url';
import { writeWhole } from './cli/files.mjs';
import { encodePNG } from './index.mjs';
import { makeSheet as layOutSheet } from './library/sheet.mjs';
import { checkPictures, checkWhole } from './library/validate.mjs';

export * from './index.mjs';

/** @type {typeof import('./node.d.ts').makeSheet} */
export function makeSheet(pictures, { columns } = {}) {
  const checked = checkPictures(pictures);
  const most = Math.ceil(Math.sqrt(checked.length));
  return layOutSheet(checked, columns === undefined ? most : checkWhole('columns', columns, 1, 8192));
}

/** @type {typeof import('./node.d.ts').writePNG} */
export async function writePNG(file, image, { signal } = {}) {
  signal?.throwIfAborted();
  await writeWhole(file instanceof URL ? fileURLToPath(file) : file, await encodePNG(image), signal);
}
