// The version, which has to stand in several files because their readers know no other: is it the same in all of them?
//
//   node scripts/checks/version.mjs           prints it, or says where another one stands; exit code 1 then
//   node scripts/checks/version.mjs 1.2.0     writes it into all of them

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const path = (file) => fileURLToPath(new URL(`../../${file}`, import.meta.url));

/** Each file and the line in which the version stands. package.json is the first: it is the one that others are compared with. */
const PLACES = [
  ['package.json', /(?<=^ {2}"version": ")[^"]+(?=")/m],
  ['package-lock.json', /(?<=^ {2}"version": ")[^"]+(?=")/m],
  ['package-lock.json', /(?<=^ {6}"name": "pocket-diffusion",\n {6}"version": ")[^"]+(?=")/m],
  ['CMakeLists.txt', /(?<=^project\(pocket_diffusion VERSION )[\d.]+/m],
  ['src/pocket_diffusion.h', /(?<=^#define PD_VERSION_STRING ")[^"]+(?=")/m],
  ['web/library/version.mjs', /(?<=version = ')[^']+(?=')/],
  ['python/pyproject.toml', /(?<=^version = ")[^"]+(?=")/m],
  ['python/pocket_diffusion/__init__.py', /(?<=^__version__ = ")[^"]+(?=")/m],
];

/** @returns {{ file: string, version: string | undefined }[]} */
export const versions = () => PLACES.map(([file, pattern]) => ({ file, version: pattern.exec(readFileSync(path(file), 'utf8'))?.[0] }));

function write(version) {
  for (const [file, pattern] of PLACES) writeFileSync(path(file), readFileSync(path(file), 'utf8').replace(pattern, version));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [wanted] = process.argv.slice(2);
  if (wanted !== undefined && !/^\d+\.\d+\.\d+$/.test(wanted)) {
    console.error(`version.mjs: ${wanted} is not three numbers with dots between them`);
    process.exit(2);
  }
  if (wanted) write(wanted);
  const [{ version }, ...others] = versions();
  const different = others.filter((other) => other.version !== version);
  for (const other of different) console.error(`${other.file} has ${other.version}, package.json ${version}`);
  if (different.length > 0) process.exit(1);
  console.log(version);
}
