/** The library under Node.js, with what needs a file system. */

export * from './index.js';

/** What can be encoded: a Picture, or another image in 8-bit rows. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly pixels: Uint8Array;
}

/**
 * Pictures of one shape side by side, with two white pixels between, row by row.
 * columns: 1 .. 8192; default: as square as possible. A RangeError names the picture that is shaped differently.
 */
export function makeSheet(pictures: ReadonlyArray<Image>, options?: { columns?: number }): Image;

/**
 * Writes an image as a PNG file: the whole file or nothing, an existing one stays until the new one is complete.
 * Rejects with the error of the file system, or with the signal's reason.
 */
export function writePNG(file: string | URL, image: Image, options?: { signal?: AbortSignal }): Promise<void>;
