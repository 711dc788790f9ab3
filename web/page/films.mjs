// Films as files, in the forms that people can pass on. What writes each form is fetched when it is used.

import { enlarge } from '../library/rendering.mjs';
import { encodeAnimation } from './apng.mjs';
import { fetchPart } from './fetch_more.mjs';
import { usableFactor } from './sheet.mjs';

/** @typedef {import('./paint.mjs').Image} Image */
/** @typedef {{ image: Image, milliseconds: number }} Frame */
/** @typedef {'gif' | 'webm' | 'apng'} Kind */

/** @type {Record<Kind, { title: string, extension: string, side: number }>} side: longest one of a film, in pixels, about */
export const KINDS = {
  gif: { title: 'GIF', extension: 'gif', side: 512 },
  webm: { title: 'WebM', extension: 'webm', side: 512 },
  apng: { title: 'APNG', extension: 'png', side: 1024 },
};

/** Those that this browser can write, the one that most programs play first. @returns {Promise<Kind[]>} */
export async function usableKinds() {
  const codec = await webmCodec({ width: KINDS.webm.side, height: KINDS.webm.side });
  return codec ? ['gif', 'webm', 'apng'] : ['gif', 'apng'];
}

/** Codecs of WebM as WebCodecs names them -> as the file does. */
const CODECS = { 'vp09.00.30.08': 'V_VP9', vp8: 'V_VP8' };
/** For lines on paper, sharp enough. */
const BITS_PER_SECOND = 2_000_000;

/** What the browser can encode films of this size with; null if with nothing. @param {{ width: number, height: number }} size */
async function webmCodec({ width, height }) {
  if (typeof VideoEncoder !== 'function') return null; // also where the page is not from a secure context
  // WebKitGTK without an encoder ends the page when it is asked for one; of recording it knows that it cannot.
  if (!globalThis.MediaRecorder?.isTypeSupported('video/webm')) return null;
  for (const [codec, name] of Object.entries(CODECS)) {
    const config = { codec, width, height, bitrate: BITS_PER_SECOND };
    const { supported } = await VideoEncoder.isConfigSupported(config).catch(() => ({ supported: false }));
    if (supported) return { config, name };
  }
  return null;
}

/**
 * @param {ReadonlyArray<{ image: Image, rendering: import('../index.d.ts').RenderingName, milliseconds: number }>} frames of one size
 * @param {Kind} kind @param {number} factor how much larger @param {import('../index.d.ts').Recipe} [recipe] for files that can carry one
 * @returns {Promise<Blob>}
 */
export async function encodeFilm(frames, kind, factor, recipe) {
  const [{ image: first }] = frames;
  const most = Math.max(1, Math.round(KINDS[kind].side / Math.max(first.width, first.height)));
  const usable = Math.min(usableFactor(factor, first, 1, 1), most);
  /** @type {Map<Image, Image>} a picture may come twice */
  const known = new Map();
  const enlarged = frames.map(({ image, rendering, milliseconds }) => {
    const larger = known.get(image) ?? enlarge(image, rendering, usable);
    known.set(image, larger);
    return { image: larger, milliseconds };
  });
  if (kind === 'apng') return encodeAnimation(enlarged, recipe);
  if (kind === 'gif') return (await fetchPart('gif', () => import('./gif.mjs'))).encodeGIF(enlarged);
  // Video has even sides.
  const size = { width: enlarged[0].image.width & ~1, height: enlarged[0].image.height & ~1 };
  const codec = await webmCodec(size);
  if (!codec) throw new Error('this browser writes no WebM');
  return (await fetchPart('webm', () => import('./webm.mjs'))).encodeWebM(enlarged, codec);
}
