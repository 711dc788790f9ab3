// PNG files as chunks, taken apart and written by the specification (W3C PNG, second edition, 5.3).
import { crc32 } from 'node:zlib';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** The checksum of annex D: that of node:zlib where it has one (Node.js 22). */
const checksum = crc32 ?? ((bytes) => {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
});

/** @param {string} type four letters @param {Uint8Array | string} data @returns {Buffer} one chunk with its length and checksum */
export function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), Buffer.from(data)]);
  const bytes = Buffer.alloc(body.length + 8);
  bytes.writeUInt32BE(body.length - 4, 0);
  body.copy(bytes, 4);
  bytes.writeUInt32BE(checksum(body), body.length + 4);
  return bytes;
}

/** @param {Uint8Array} png well-formed @returns {{ type: string, data: Buffer }[]} */
export function splitPNG(png) {
  const bytes = Buffer.from(png);
  const chunks = [];
  for (let at = SIGNATURE.length; at < bytes.length;) {
    const length = bytes.readUInt32BE(at);
    chunks.push({ type: bytes.toString('latin1', at + 4, at + 8), data: bytes.subarray(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  return chunks;
}

/** @param {{ type: string, data: Uint8Array }[]} chunks @returns {Uint8Array} */
export const joinPNG = (chunks) => new Uint8Array(Buffer.concat([SIGNATURE, ...chunks.map(({ type, data }) => chunk(type, data))]));
