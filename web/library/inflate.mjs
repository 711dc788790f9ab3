// Decompression of zlib data (RFC 1950, RFC 1951), for short texts: bit by bit, and at once, which platforms do not offer.

const END = 256; // of a block
/** The order in which lengths of codes of lengths are stored. */
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** @typedef {{ counts: number[], symbols: number[] }} Codes counts: of codes of 0 .. 15 bits; symbols: by code */

/** @param {number[]} lengths of the code of each symbol, 0: it has none @returns {Codes} */
function makeCodes(lengths) {
  const counts = Array(16).fill(0);
  for (const length of lengths) counts[length]++;
  counts[0] = 0;
  const symbols = lengths.map((_, symbol) => symbol).filter((symbol) => lengths[symbol]).sort((a, b) => lengths[a] - lengths[b] || a - b);
  return { counts, symbols };
}

/** @param {number} length @param {(index: number) => number} make */
const list = (length, make) => Array.from({ length }, (_, index) => make(index));

/**
 * @param {Uint8Array} bytes @param {number} most bytes that may come out
 * @returns {Uint8Array | null} null: damaged, cut off, or longer
 */
export function inflate(bytes, most) {
  const out = new Uint8Array(most);
  let size = 0;
  let at = 16; // in bits, behind the header
  let failed = (bytes[0] & 15) !== 8 || (bytes[0] * 256 + bytes[1]) % 31 !== 0 || (bytes[1] & 32) !== 0;
  const limit = bytes.length * 8;

  /** @param {number} count @returns {number} of the next bits; those behind the end are 0, and a failure */
  const bits = (count) => {
    let value = 0;
    for (let bit = 0; bit < count; bit++, at++) value |= ((bytes[at >> 3] >> (at & 7)) & 1) << bit;
    failed ||= at > limit;
    return value;
  };
  /** @param {Codes} codes @returns {number} the next symbol */
  const decode = ({ counts, symbols }) => {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length < 16 && !failed; length++) {
      code = code * 2 + bits(1);
      first *= 2;
      if (code - first < counts[length]) return symbols[index + code - first];
      index += counts[length];
      first += counts[length];
    }
    failed = true;
    return END;
  };
  /** @param {number} byte */
  const put = (byte) => {
    if (size === most) failed = true;
    else out[size++] = byte;
  };
  /** A base and bits that are added to it. @param {number} code @param {number} perLevel codes with one number of bits, as a power of two */
  const extended = (code, perLevel) => {
    const extra = Math.max((code >> perLevel) - 1, 0);
    return (extra === 0 ? code : ((1 << perLevel) + (code & ((1 << perLevel) - 1))) << extra) + bits(extra);
  };
  const readCodes = () => {
    const [literals, distances, used] = [257 + bits(5), 1 + bits(5), 4 + bits(4)];
    const own = Array(19).fill(0);
    for (const symbol of ORDER.slice(0, used)) own[symbol] = bits(3);
    const codes = makeCodes(own);
    /** @type {number[]} */
    const lengths = [];
    while (lengths.length < literals + distances && !failed) {
      const symbol = decode(codes);
      const [value, count] = symbol < 16 ? [symbol, 1] : symbol === 16 ? [lengths.at(-1) ?? 0, 3 + bits(2)] : [0, symbol === 17 ? 3 + bits(3) : 11 + bits(7)];
      lengths.push(...Array(count).fill(value));
    }
    return [makeCodes(lengths.slice(0, literals)), makeCodes(lengths.slice(literals))];
  };

  for (let last = 0; !last && !failed;) {
    last = bits(1);
    const kind = bits(2);
    if (kind === 0) {
      at = (at + 7) & ~7;
      const length = bits(16);
      failed ||= (length ^ bits(16)) !== 0xffff;
      for (let left = length; left > 0 && !failed; left--) put(bits(8));
      continue;
    }
    failed ||= kind === 3;
    const [literals, distances] = kind === 2 ? readCodes() :
      [makeCodes(list(288, (symbol) => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8))), makeCodes(Array(30).fill(5))];
    for (let symbol = 0; symbol !== END && !failed;) {
      symbol = decode(literals);
      if (symbol < END) put(symbol);
      if (symbol <= END) continue;
      const length = symbol === 285 ? 258 : 3 + extended(symbol - 257, 2);
      const distance = 1 + extended(decode(distances), 1);
      failed ||= distance > size;
      for (let left = length; left > 0 && !failed; left--) put(out[size - distance]);
    }
  }
  return failed ? null : out.subarray(0, size);
}
