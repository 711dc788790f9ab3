// Prints the SHA-256 of the pixels of every request as JSON: what the Node.js that runs this makes of them.
//
//   NODE tests/engine_hashes.mjs

import { load } from '../web/index.mjs';
import { modelPaths, optionsOf, pixelHash, requests } from './native_pictures.mjs';

/** @returns {Promise<string[]>} */
export async function engineHashes() {
  const models = {};
  for (const [name, path] of Object.entries(modelPaths)) models[name] = await load(path);
  const hashes = [];
  for (const request of requests) {
    const model = models[request.model];
    hashes.push(pixelHash((await model.generate(optionsOf(request, model.info))).pixels));
  }
  for (const model of Object.values(models)) model.close();
  return hashes;
}

if (process.argv[1]?.endsWith('engine_hashes.mjs')) console.log(JSON.stringify(await engineHashes()));
