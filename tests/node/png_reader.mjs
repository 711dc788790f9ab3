// A PNG reader from the specification (W3C PNG, second edition), for 8-bit pictures without interlace.
import assert from 'node:assert/strict';
import { inflateSync } from 'node:zlib';

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CHANNELS = { 0: 1, 2: 3, 4: 2, 6: 4 }; // colour type -> channels

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
const crc32 = (bytes) => ~bytes.reduce((crc, byte) => CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8), ~0) >>> 0;

/** Predictor of filter type 4. */
function paeth(left, up, upLeft) {
  const estimate = left + up - upLeft;
  const distances = [left, up, upLeft].map((value) => Math.abs(estimate - value));
  return [left, up, upLeft][distances.indexOf(Math.min(...distances))];
}

function unfilter(data, width, height, channels) {
  const stride = width * channels;
  assert.equal(data.length, (stride + 1) * height, 'length of the picture data');
  const pixels = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (stride + 1)];
    assert.ok(filter <= 4, 'filter type');
    for (let i = 0; i < stride; i++) {
      const left = i >= channels ? pixels[y * stride + i - channels] : 0;
      const up = y > 0 ? pixels[(y - 1) * stride + i] : 0;
      const upLeft = i >= channels && y > 0 ? pixels[(y - 1) * stride + i - channels] : 0;
      const prediction = [0, left, up, (left + up) >> 1, paeth(left, up, upLeft)][filter];
      pixels[y * stride + i] = data[y * (stride + 1) + 1 + i] + prediction;
    }
  }
  return pixels;
}

/** @param {Uint8Array} png @returns {{ width: number, height: number, channels: number, pixels: Uint8Array }} */
export function decodePNG(png) {
  assert.deepEqual([...png.subarray(0, 8)], SIGNATURE, 'signature');
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const chunks = [];
  for (let at = 8; at < png.length; at += 12 + view.getUint32(at)) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...png.subarray(at + 4, at + 8));
    assert.equal(view.getUint32(at + 8 + length), crc32(png.subarray(at + 4, at + 8 + length)), `CRC of ${type}`);
    chunks.push({ type, data: png.subarray(at + 8, at + 8 + length), offset: at + 8 });
  }
  assert.equal(chunks[0].type, 'IHDR');
  assert.equal(chunks.at(-1).type, 'IEND');
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  assert.equal(png[24], 8, 'bit depth');
  assert.deepEqual([...png.subarray(26, 29)], [0, 0, 0], 'compression, filter and interlace method');
  const channels = CHANNELS[png[25]];
  const data = inflateSync(Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map((chunk) => chunk.data)));
  return { width, height, channels, pixels: unfilter(data, width, height, channels) };
}
