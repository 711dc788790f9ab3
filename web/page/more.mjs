// Everything that is not needed for the first pictures, fetched when one of it is used. One file: several would share
// many small ones.

export { Edit } from './edit.mjs';
export { keepOf } from './keep.mjs';
export { Lab } from './lab.mjs';
export { connectSearch, loadThesaurus } from './search.mjs';
export { openWall } from './wall.mjs';
