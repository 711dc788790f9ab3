// Everything that is not needed for the first pictures, fetched when one of it is used. One file: several would share
// many small ones. That it needs the page's own modules, all of them, keeps those together in one other file, which
// compresses better than two.

import '../page.mjs';
export { Edit } from './edit.mjs';
export { Lab } from './lab.mjs';
export * from './saving.mjs';
export { connectSearch, loadThesaurus } from './search.mjs';
export { openWall } from './wall.mjs';
