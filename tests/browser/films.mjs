// Films in the eyes of others: of FFmpeg, and of the browser's own player.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPage } from './browsers.mjs';
import { serveStatic } from './static_server.mjs';

const TYPES = { gif: 'image/gif', webm: 'video/webm', apng: 'image/png' };

/** Runs a program of FFmpeg over a film, which has to be a file. @param {string} program @param {Uint8Array} bytes @param {(path: string) => string[]} argumentsFor */
function look(program, bytes, argumentsFor) {
  const folder = mkdtempSync(join(tmpdir(), 'pocket-diffusion-film-'));
  try {
    writeFileSync(join(folder, 'film'), bytes);
    return execFileSync(program, ['-v', 'error', ...argumentsFor(join(folder, 'film'))], { maxBuffer: 2 ** 28 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What ffprobe says of a film, with all its frames counted. @param {Uint8Array} bytes */
export function probeFilm(bytes) {
  const text = look('ffprobe', bytes, (path) => ['-count_frames', '-show_entries', 'stream=codec_name,width,height,nb_read_frames', '-of', 'json', path]);
  const { streams: [{ codec_name: codec, width, height, nb_read_frames: frames }] } = JSON.parse(text);
  return { codec, width, height, frames: Number(frames) };
}

/** Levels of the last frame as FFmpeg decodes it. @param {Uint8Array} bytes @param {number} pixels of a frame */
export const lastFrame = (bytes, pixels) => look('ffmpeg', bytes, (path) => ['-i', path, '-f', 'rawvideo', '-pix_fmt', 'gray', '-']).subarray(-pixels);

/** @param {Uint8Array} a @param {Uint8Array} b */
export function meanDifference(a, b) {
  assert.equal(a.length, b.length);
  return a.reduce((sum, value, index) => sum + Math.abs(value - b[index]), 0) / a.length;
}

/** Plays a film in a page of its own: what it shows has to change. @param {import('puppeteer-core').Browser} browser @param {Uint8Array} bytes @param {'gif' | 'webm' | 'apng'} kind */
export async function playFilm(browser, bytes, kind) {
  const tag = kind === 'webm' ? '<video src="film" muted autoplay loop></video>' : '<img src="film" alt="">';
  const server = await serveStatic({ policy: 'default-src *', pages: { '/': `<!DOCTYPE html><title>film</title>${tag}` } });
  server.faults.set('/film', (request, response) => void response.writeHead(200, { 'Content-Type': TYPES[kind], 'Content-Length': bytes.length }).end(bytes));
  const { page } = await openPage(browser, server.origin);
  try {
    await page.waitForFunction(() => {
      const film = document.querySelector('img, video');
      const width = film.videoWidth ?? film.naturalWidth;
      if (!width || film.readyState < 2) return false;
      const canvas = new OffscreenCanvas(32, 32);
      const context = canvas.getContext('2d', { willReadFrequently: true });
      context.drawImage(film, 0, 0, 32, 32);
      const look = context.getImageData(0, 0, 32, 32).data.join();
      // An image on a canvas may be its first frame: those are looked at by FFmpeg.
      const moves = film.localName === 'img' || (globalThis.seen ??= look) !== look;
      return moves && (film.localName === 'video' ? film.currentTime > 0 : film.complete);
    }, { timeout: 30_000 });
  } finally {
    await page.close();
    await server.close();
  }
}
