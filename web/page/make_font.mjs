// What writes fonts, fetched when one is made: most of it is opentype.js.

export { makeFont } from '../font.mjs';
