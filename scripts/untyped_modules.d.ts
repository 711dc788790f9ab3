// Packages without types of their own: what comes from them is not checked.
declare module 'cli-progress';
declare module 'pngjs';
declare module 'simple-bitmap-font';
