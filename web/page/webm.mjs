// Films as WebM, by the browser's own encoder; fetched when one is made. What is fetched is webm-muxer.

import { ArrayBufferTarget, Muxer } from 'webm-muxer';
import { makeCanvas, paint } from './paint.mjs';

/** Many programs know constant rates alone. */
const FRAMES_PER_SECOND = 25;
const KEY_EVERY = 50;
/** Frames that may wait for the encoder. */
const MOST_WAITING = 8;

/**
 * @param {ReadonlyArray<import('./films.mjs').Frame>} frames of one size
 * @param {{ config: VideoEncoderConfig, name: string }} codec its size is at most theirs
 * @returns {Promise<Blob>}
 */
export async function encodeWebM(frames, { config, name }) {
  const { width, height } = config;
  const muxer = new Muxer({ target: new ArrayBufferTarget(), video: { codec: name, width, height, frameRate: FRAMES_PER_SECOND } });
  /** @type {unknown} */
  let failure = null;
  const encoder = new VideoEncoder({ output: (chunk, meta) => muxer.addVideoChunk(chunk, meta), error: (error) => { failure = error; } });
  encoder.configure(config);
  const canvas = makeCanvas();
  const step = 1e6 / FRAMES_PER_SECOND; // microseconds
  let count = 0;
  let end = 0;
  try {
    for (const { image, milliseconds } of frames) {
      paint(canvas, image);
      end += milliseconds * 1000;
      for (; count * step < end; count++) {
        const frame = new VideoFrame(canvas, { timestamp: count * step, duration: step, visibleRect: { x: 0, y: 0, width, height } });
        encoder.encode(frame, { keyFrame: count % KEY_EVERY === 0 });
        frame.close();
        while (encoder.encodeQueueSize > MOST_WAITING && !failure) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      if (failure) throw failure;
    }
    await encoder.flush();
  } finally {
    if (encoder.state !== 'closed') encoder.close();
  }
  if (failure) throw failure;
  muxer.finalize();
  return new Blob([muxer.target.buffer], { type: 'video/webm' });
}
