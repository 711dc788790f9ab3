// What a file is that is no PNG, by its first bytes.

/** @type {Record<string, RegExp>} */
const SIGNATURES = {
  'a JPEG': /^\xff\xd8\xff/,
  'a WebP': /^RIFF.{4}WEBP/s,
  'a GIF': /^GIF8/,
  'an AVIF or HEIC': /^.{4}ftyp(avi|hei|hev|mif|msf)/s,
  'a BMP': /^BM.{4}\0{4}/s,
  'a TIFF': /^(II\*\0|MM\0\*)/,
  'a JPEG XL': /^(\xff\n|\0{3}\fJXL )/,
  'an SVG': /^(\xef\xbb\xbf)?\s*<(\?xml|svg|!--|!DOCTYPE svg)/,
  'a PDF': /^%PDF/,
};

/** @param {Uint8Array} bytes @returns {string | undefined} */
export function kindOfPicture(bytes) {
  const start = Buffer.from(bytes.subarray(0, 32)).toString('latin1');
  return Object.entries(SIGNATURES).find(([, signature]) => signature.test(start))?.[0];
}
