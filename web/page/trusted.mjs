// Addresses of scripts under the Content-Security-Policy "require-trusted-types-for 'script'".

/** As docs/element.md and docs/hosts.md name it: for the directive trusted-types. */
const POLICY = 'pocket-diffusion';

/** @type {{ createScriptURL: (address: string) => any } | null} */
let policy = null;

/**
 * The address of a script of our own, as something that such pages let through. Nobody else gets hold of the policy. A
 * page's own default policy goes first: then there may be no other.
 * @param {string | URL} address @returns {any} for new Worker() and register()
 */
export function scriptURL(address) {
  const types = /** @type {any} */ (globalThis).trustedTypes;
  if (!types || types.defaultPolicy) return address;
  policy ??= types.createPolicy(POLICY, { createScriptURL: (/** @type {string} */ own) => own });
  return policy?.createScriptURL(String(address));
}
