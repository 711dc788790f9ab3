// The copy for visits without a network: the service worker's, of the page and of the models that were used.

import { isOneFile } from './models.mjs';
import { watchVersion } from './new_version.mjs';
import { scriptURL } from './trusted.mjs';

/** After the first pictures; everything else comes before. */
const WAIT_MILLISECONDS = 1000;

let begun = false;

/** @param {string | null} path of the model in use, relative to the page */
async function keepModel(path) {
  const { active } = await navigator.serviceWorker.ready;
  if (path !== null) active?.postMessage(path);
}

/** To be called when pictures of a model are there. @param {string | null} path */
export function keepForLater(path) {
  if (isOneFile() || !navigator.serviceWorker) return;
  if (begun) return void keepModel(path);
  begun = true;
  setTimeout(() => {
    // Refused for example where the page was not served over HTTPS: then the page works as before.
    navigator.serviceWorker.register(scriptURL('service_worker.js')).then((registration) => {
      watchVersion(registration);
      return keepModel(path);
    }, () => {});
  }, WAIT_MILLISECONDS);
}
