/**
 * SHA-256 of bytes in lower-case hex, '' on pages without crypto.subtle (those that were not served over HTTPS or from
 * localhost).
 * @param {ArrayBuffer | ArrayBufferView} bytes @returns {Promise<string>}
 */
export async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) return '';
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', /** @type {BufferSource} */ (bytes)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
