// Which hosts, browsers, generators and frameworks the tests of this folder take.

/**
 * A run of everything takes these; `scripts/test.sh hosts`, and a file that is run by itself, takes all; POCKET_DIFFUSION_HOSTS
 * may name those that somebody works on: `next,solid`.
 */
const FEW = ['nginx', 'webkit', 'material', 'react'];

/**
 * Whether this run takes it. What is left out is not defined as a test, so that it does not count as skipped.
 * @param {string} name
 */
export function taken(name) {
  const chosen = process.env.POCKET_DIFFUSION_HOSTS ?? 'all';
  return chosen === 'all' || (chosen === 'few' ? FEW : chosen.split(',')).includes(name);
}

/** For describe() and test(): what is missing is a reason to skip. @param {unknown} present */
export const unlessMissing = (present) => (present ? {} : { skip: 'not installed: scripts/setup.sh hosts' });
