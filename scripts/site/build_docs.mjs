// The documentation as pages of the site, by Material for MkDocs: README.md, docs/, the cards of the models and what else is
// written for people. In the repository links lead from file to file, as code hosts show them; here they lead from page to
// page, and what lies only in the repository (sources, tests) is named without a link.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const MKDOCS = join(root, 'build/docs/bin/mkdocs');
const SETTINGS = ['scripts/site/mkdocs.yml', 'scripts/site/docs_theme/main.html', 'scripts/site/docs_theme/site.css', 'scripts/site/build_docs.mjs', 'docs/requirements.txt'];
const BUILT = join(root, 'build/docs-site');
/** Source maps, lists of addresses for search engines, which would need the site's own, and stemming of other languages. */
const NOT_WANTED = /\.(?:map|xml|xml\.gz)$|[\\/](?:lunr[\\/].*|404\.html)$/;

/** Path in the repository -> name of the page. */
async function places() {
  const markdown = async (folder) => (await readdir(join(root, folder))).filter((name) => name.endsWith('.md'));
  return new Map([
    ['README.md', 'index.md'], ['CHANGELOG.md', 'changelog.md'], ['CONTRIBUTING.md', 'contributing.md'], ['python/README.md', 'python.md'],
    ...(await markdown('docs')).map((name) => [`docs/${name}`, name]),
    ...(await markdown('weights')).map((name) => [`weights/${name}`, `model-${name}`]),
  ]);
}

/**
 * A file as a page: its links lead to pages and pictures of the site.
 * @param {string} source path of the file @param {string} text @param {Map<string, string>} pages @param {Set<string>} images receives those that it shows
 */
function toPage(source, text, pages, images) {
  const link = (whole, mark, title, href) => {
    if (/^(?:https?:|mailto:|#)/.test(href)) return whole;
    const [path, anchor] = href.split('#');
    const target = posix.normalize(posix.join(posix.dirname(source), path));
    if (mark === '!') {
      images.add(target);
      return `![${title}](images/${posix.basename(target)})`;
    }
    const page = pages.get(target);
    return page ? `[${title}](${page}${anchor ? `#${anchor}` : ''})` : title;
  };
  // What stands in blocks of code is no link; behind their language stands what the tests want to know.
  const parts = text.split(/^(```[^]*?^```)$/m);
  return parts.map((part, index) => (index % 2 ? part.replace(/^(```\w*) .*/, '$1') : part.replace(/(!?)\[((?:[^\]\\`]|`[^`]*`)*)\]\(([^)\s]+)\)/g, link))).join('');
}

async function filesOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return paths.sort();
}

/** Unless the pages are there already, made from the same files. @param {Map<string, string | null>} pages name -> text, or null for a picture @param {string} hash */
async function runMkdocs(pages, hash) {
  const stamp = `${BUILT}.stamp`;
  if (existsSync(stamp) && await readFile(stamp, 'utf8') === hash) return;
  // In a folder of its own: the tests and a build by hand may come at the same time.
  const folder = await mkdtemp(join(root, 'build/docs-pages-'));
  const [from, to] = ['pages', 'site'].map((name) => join(folder, name));
  try {
    for (const [name, contents] of pages) {
      await mkdir(dirname(join(from, name)), { recursive: true });
      if (contents === null) await copyFile(join(root, 'docs', name), join(from, name));
      else await writeFile(join(from, name), contents);
    }
    const settings = { env: { ...process.env, DOCS_PAGES: from, NO_MKDOCS_2_WARNING: '1' } };
    await promisify(execFile)(MKDOCS, ['build', '--strict', '-f', join(root, 'scripts/site/mkdocs.yml'), '-d', to], settings).catch((error) => {
      throw new Error(`the documentation has faults:\n${error.stdout}${error.stderr}`, { cause: error });
    });
    await rm(stamp, { force: true });
    await rm(BUILT, { recursive: true, force: true });
    await rename(to, BUILT);
    await writeFile(stamp, hash);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @returns {Promise<Map<string, Buffer>>} path in the site -> contents; empty where MkDocs is not installed */
export async function buildDocs() {
  if (!existsSync(MKDOCS)) {
    console.error('without the documentation: scripts/setup.sh docs installs what makes it a site');
    return new Map();
  }
  const places_ = await places();
  const images = new Set();
  const pages = new Map();
  const hash = createHash('sha256');
  for (const [source, name] of places_) pages.set(name, toPage(source, await readFile(join(root, source), 'utf8'), places_, images));
  for (const path of images) {
    pages.set(posix.relative('docs', path), null);
    hash.update(await readFile(join(root, path)));
  }
  for (const path of SETTINGS) hash.update(await readFile(join(root, path)));
  await runMkdocs(pages, hash.update(JSON.stringify([...pages])).digest('hex'));
  const files = new Map();
  for (const path of await filesOf(BUILT)) {
    if (!NOT_WANTED.test(path)) files.set(`docs/${posix.relative(BUILT, path)}`, await readFile(path));
  }
  return files;
}
