// Packages without types of their own: what comes from them is not checked.
declare module 'cli-progress';
declare module 'd3-contour';
declare module 'opentype.js/dist/opentype.mjs';
declare module 'pngjs';
declare module 'simple-bitmap-font';
