// The copy that the service worker keeps is the version that was new when it was made. A newer one waits beside it until
// no page shows the old one; here it is offered, and taken when the page starts.

/** As service_worker.js has them. */
const TAKE_OVER = 'take over';
const OTHERS = 'others';

/**
 * Asks the version that waits to take over, which it does unless other windows show the page.
 * @param {ServiceWorker} waiting @param {() => void} [then]
 */
function ask(waiting, then = () => location.reload()) {
  navigator.serviceWorker.addEventListener('controllerchange', then, { once: true });
  waiting.postMessage(TAKE_OVER);
}

/** To be called when the page starts. Whoever has begun to type or to draw meanwhile is asked. */
export async function takeNewVersion() {
  // Not navigator.userActivation: browsers keep that from before a reload.
  let begun = false;
  for (const type of ['pointerdown', 'keydown']) addEventListener(type, () => (begun = true), { once: true, capture: true });
  const registration = await navigator.serviceWorker?.getRegistration().catch(() => undefined);
  if (registration?.waiting) ask(registration.waiting, () => (begun ? offer() : location.reload()));
}

/** @param {ServiceWorkerRegistration} [registration] of which a version waits; without, it has taken over already */
function offer(registration) {
  if (document.getElementById('new-version')) return;
  const text = document.createElement('p');
  text.textContent = 'There is a new version of this page.';
  const button = Object.assign(document.createElement('button'), { type: 'button', textContent: 'Use it' });
  button.onclick = () => (registration ? registration.waiting && ask(registration.waiting) : location.reload());
  navigator.serviceWorker.addEventListener('message', ({ data }) => {
    if (data === OTHERS) text.textContent = 'There is a new version of this page. Close its other windows, then use it.';
  });
  const notice = Object.assign(document.createElement('div'), { id: 'new-version', className: 'notice' });
  notice.setAttribute('role', 'status');
  notice.append(text, button);
  document.querySelector('main')?.before(notice);
}

/** Says when there is a newer version than the one on show. @param {ServiceWorkerRegistration} registration */
export function watchVersion(registration) {
  const look = () => {
    if (registration.waiting && navigator.serviceWorker.controller) offer(registration);
  };
  look();
  registration.addEventListener('updatefound', () => registration.installing?.addEventListener('statechange', look));
}
