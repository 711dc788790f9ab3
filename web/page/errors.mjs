// What went wrong, for people who do not read stack traces.

/** @type {Record<string, string>} */
const SENTENCES = {
  INTEGRITY: 'The file that came is not the one that this site offers. Try again later.',
  NETWORK: 'The model could not be downloaded. Is the network there? Then try again.',
  PART: 'This part of the page could not be downloaded. Is the network there? Then try again.',
  WASM: 'This browser cannot run the model: it needs WebAssembly with SIMD. A current Chrome, Edge, Firefox or Safari will do.',
  WORKER: 'The part of the page that draws has stopped. Try again, or reload the page.',
  TRAP: 'The part of the page that draws has failed. Try again, or reload the page.',
  MEMORY: 'There is not enough memory. Close other tabs, or draw fewer pictures.',
  TOO_BIG: 'The model is larger than this page accepts.',
  NONFINITE: 'The network lost its numbers on the way. Another scale or number of steps may work.',
};

/** Codes of the core from SHORT to PADDING are about the file. */
const LAST_FILE_STATUS = 20;

const CHECKPOINT = /\.(?:pt|pth|ckpt|bin|safetensors)$/i;

/** A file that was opened as a model and is none. @param {string} file */
function explainFile(file) {
  if (CHECKPOINT.test(file)) return `${file} is a checkpoint. The exporter makes a model file (.gguf) of it: python -m pocket_diffusion export ${file} model.gguf`;
  if (/\.gguf$/i.test(file)) return `The model file ${file} is damaged or not one that this page can read.`;
  return `${file} is neither a model file (.gguf) nor a picture.`;
}

/**
 * @param {unknown} error with a sentence of its own, or a code
 * @param {string} [file] name of the visitor's file that it is about
 * @returns {{ sentence: string, detail: string }}
 */
export function explain(error, file = '') {
  const { code = '', status = -1, message = String(error), sentence: own } = /** @type {{ code?: string, status?: number, message?: string, sentence?: string }} */ (error ?? {});
  const broken = status > 0 && status <= LAST_FILE_STATUS;
  const sentence = own ?? SENTENCES[code] ?? (!broken ? 'Something went wrong.'
    : file ? explainFile(file) : 'The model file is damaged or not one that this page can read.');
  return { sentence, detail: code ? `${code}: ${message}` : message };
}
