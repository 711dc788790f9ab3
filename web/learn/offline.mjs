// The site's service worker keeps a copy of the pages for use offline, and of the models that they need.

import { scriptURL } from '../page/trusted.mjs';

/** Before the copy is made, in milliseconds: figures come first. */
const WAIT = 3000;

/** Once there is a service worker. @param {string[]} models paths below the site */
export async function keepModels(models) {
  const registration = await navigator.serviceWorker?.getRegistration();
  for (const model of models) registration?.active?.postMessage(model);
}

/** Refused for example where the page was not served over HTTPS: then it works as before. @param {() => string[]} models */
export function keepForOffline(models) {
  setTimeout(() => {
    navigator.serviceWorker?.register(scriptURL('../service_worker.js')).then(() => navigator.serviceWorker.ready).then(() => keepModels(models()), () => {});
  }, WAIT);
}
