// The table GPOS of a font, with kerning alone, which opentype.js does not write (OpenType 1.9, GPOS and "Font file").

/** @typedef {{ first: number, second: number, value: number }} Pair glyph numbers, and by how much the second one is moved */

/** Offsets in the table have 16 bits: of more pairs the strongest are kept. */
const MOST_PAIRS = 12_000;
/** Seconds from 1904, in which fonts count, to 2000: a font of the same letters has the same bytes on every day. */
const DATE = 3_029_529_600;
/** What all 32-bit numbers of a font add up to. */
const MAGIC = 0xb1b0afba;

/** 16-bit numbers, big end first; offsets are numbers, too. @param {number[]} numbers */
function words(numbers) {
  const bytes = new Uint8Array(2 * numbers.length);
  const view = new DataView(bytes.buffer);
  numbers.forEach((number, index) => view.setInt16(2 * index, number));
  return bytes;
}

/** @param {string} tag */
const tagWords = (tag) => [0, 2].map((at) => (tag.charCodeAt(at) << 8) | tag.charCodeAt(at + 1));

/** @param {ReadonlyArray<Pair>} pairs @returns {Uint8Array<ArrayBuffer>} */
export function kerningTable(pairs) {
  const kept = [...pairs].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, MOST_PAIRS);
  kept.sort((a, b) => a.first - b.first || a.second - b.second);
  const firsts = [...new Set(kept.map(({ first }) => first))];
  const sets = firsts.map((glyph) => {
    const own = kept.filter(({ first }) => first === glyph);
    return [own.length, ...own.flatMap(({ second, value }) => [second, value])];
  });
  // Pair adjustment, format 1: after its header the sets, then the coverage; the first glyph's advance is changed.
  const header = 5 + sets.length;
  const ends = sets.reduce((sums, set) => [...sums, sums[sums.length - 1] + set.length], [header]);
  const adjustment = [1, 2 * ends[sets.length], 4, 0, sets.length, ...ends.slice(0, -1).map((end) => 2 * end), ...sets.flat(), 1, firsts.length, ...firsts];
  const language = [4, 0, 0, 0xffff, 1, 0]; // a script: its default language, no others; no required feature, feature 0
  const scripts = [2, ...tagWords('DFLT'), 14, ...tagWords('latn'), 14 + 2 * language.length, ...language, ...language];
  const features = [1, ...tagWords('kern'), 8, 0, 1, 0]; // lookup 0
  const lookups = [1, 4, 2, 0, 1, 8, ...adjustment]; // one lookup of type 2, of one subtable
  return words([1, 0, 10, 10 + 2 * scripts.length, 10 + 2 * (scripts.length + features.length), ...scripts, ...features, ...lookups]);
}

/** @param {Uint8Array} bytes padded to 4 */
function checksum(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 4) sum = (sum + view.getUint32(at)) >>> 0;
  return sum;
}

/** @param {Uint8Array} bytes with zeros up to a multiple of 4 */
function padded(bytes) {
  const whole = new Uint8Array(new ArrayBuffer(Math.ceil(bytes.length / 4) * 4));
  whole.set(bytes);
  return whole;
}

/**
 * A font with one more table, and a fixed date.
 * @param {ArrayBuffer} font OpenType, of one font @param {string} tag @param {Uint8Array<ArrayBuffer>} bytes @returns {Uint8Array<ArrayBuffer>}
 */
export function withTable(font, tag, bytes) {
  const view = new DataView(font);
  const latin1 = new TextDecoder('latin1');
  const tables = Array.from({ length: view.getUint16(4) }, (_, index) => {
    const at = 12 + 16 * index;
    return { tag: latin1.decode(new Uint8Array(font, at, 4)), data: new Uint8Array(font, view.getUint32(at + 8), view.getUint32(at + 12)) };
  });
  tables.push({ tag, data: bytes });
  tables.sort((a, b) => (a.tag < b.tag ? -1 : 1));
  const start = 12 + 16 * tables.length;
  const made = new Uint8Array(new ArrayBuffer(tables.reduce((sum, { data }) => sum + Math.ceil(data.length / 4) * 4, start)));
  const out = new DataView(made.buffer);
  const power = Math.floor(Math.log2(tables.length));
  [view.getUint16(0), view.getUint16(2), tables.length, 16 << power, power, 16 * (tables.length - (1 << power))].forEach((word, index) => out.setUint16(2 * index, word));
  let [at, head] = [start, 0];
  tables.forEach((table, index) => {
    const data = padded(table.data);
    if (table.tag === 'head') {
      head = at;
      const fields = new DataView(data.buffer);
      fields.setUint32(8, 0); // the checksum of the whole font, which is not there yet
      for (const date of [20, 28]) fields.setBigInt64(date, BigInt(DATE));
    }
    made.set(data, at);
    made.set(new TextEncoder().encode(table.tag), 12 + 16 * index);
    [checksum(data), at, table.data.length].forEach((number, field) => out.setUint32(16 + 16 * index + 4 * field, number));
    at += data.length;
  });
  out.setUint32(head + 8, (MAGIC - checksum(made)) >>> 0);
  return made;
}
