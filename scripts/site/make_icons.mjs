// Draws web/icon-*.png from web/favicon.svg with Chromium: for places that take no SVG.
//
//   node scripts/site/make_icons.mjs

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { launch } from '../../tests/browser/browsers.mjs';

const web = new URL('../../web/', import.meta.url);
/** A maskable icon may be cut to the circle in its middle, 4/5 as wide: the mark is smaller there, on its own ground. */
const ICONS = [
  { name: 'icon-192.png', size: 192, mark: 1, ground: 'transparent' },
  { name: 'icon-512.png', size: 512, mark: 1, ground: 'transparent' },
  { name: 'icon-maskable.png', size: 512, mark: 0.86, ground: '#c73a1d' },
];

const svg = (await readFile(new URL('favicon.svg', web))).toString('base64');
const session = await launch('chrome');
try {
  const page = await session.browser.newPage();
  for (const { name, size, mark, ground } of ICONS) {
    await page.setViewport({ width: size, height: size });
    await page.setContent(`<body style="margin:0;height:100vh;display:grid;place-items:center;background:${ground}">
      <img width="${size * mark}" src="data:image/svg+xml;base64,${svg}"></body>`);
    await page.screenshot({ path: fileURLToPath(new URL(name, web)), omitBackground: true, optimizeForSpeed: false });
  }
} finally {
  await session.close();
}
