// The package as people get it: packed, and installed into an empty project.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tools = fileURLToPath(new URL('tools/node_modules', import.meta.url));

const npm = (folder, ...options) =>
  execFileSync('npm', [...options, '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder, encoding: 'utf8' });

/**
 * @returns {Promise<{ folder: string, tarball: string, files: string[], remove: () => Promise<void> }>} files of the tarball
 */
export async function installPackage() {
  const folder = await mkdtemp(join(tmpdir(), 'pocket-diffusion-package-'));
  const output = npm(root, 'pack', '--json', '--pack-destination', folder);
  const [{ filename, files }] = JSON.parse(output.slice(output.search(/^\[/m))); // prepack speaks first
  const tarball = join(folder, filename);
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  npm(folder, 'install', '--prefer-offline', tarball);
  return {
    folder,
    tarball,
    files: files.map(({ path }) => path),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The program of a tool of tests/package/tools/package.json, or null where it is not installed. */
export function toolPath(...names) {
  const path = join(tools, ...names);
  return existsSync(path) ? path : null;
}

/** For test(): what is missing is a reason to skip, for scripts/setup.sh package has to be run first. */
export const unlessMissing = (path) => (path ? {} : { skip: 'not installed: scripts/setup.sh package' });
