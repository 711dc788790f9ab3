// Web servers that people have, as Debian and npm install them, each for one folder. Of their configuration only what a
// folder and a port need is written here: the types of files are those that the server brings.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const YEAR = 31_536_000;
const IMMUTABLE = `public, max-age=${YEAR}, immutable`;
const tools = fileURLToPath(new URL('tools/node_modules', import.meta.url));
const isRoot = process.getuid?.() === 0;

/** The program of a name, or null. Debian has servers in /usr/sbin, which is not on everybody's PATH. */
function programOf(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

const scriptOf = (...names) => (existsSync(join(tools, ...names)) ? join(tools, ...names) : null);

const nginx = ({ root, port, work, tuned }) => `
${isRoot ? 'user root;' : ''}
daemon off;
pid ${work}/pid;
error_log stderr error;
events {}
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${work}/${name};`).join(' ')}
  server {
    listen 127.0.0.1:${port};
    root ${root};
    ${tuned ? `gzip on; gzip_types *; add_header Cache-Control "${IMMUTABLE}";` : ''}
  }
}`;

const apache = ({ root, port, work, tuned }) => `
ServerName localhost
Listen 127.0.0.1:${port}
PidFile ${work}/pid
ErrorLog ${work}/error.log
DefaultRuntimeDir ${work}
Mutex file:${work}
${['mpm_event', 'authz_core', 'dir', 'mime', 'deflate', 'filter', 'headers']
    .map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
${isRoot ? 'User www-data\nGroup www-data' : ''}
TypesConfig /etc/mime.types
DocumentRoot ${root}
DirectoryIndex index.html
<Directory ${root}>
  Require all granted
</Directory>
${tuned ? `SetOutputFilter DEFLATE\nHeader set Cache-Control "${IMMUTABLE}"` : ''}`;

const lighttpd = ({ root, port, work, tuned }) => `
server.modules = ("mod_deflate", "mod_setenv")
server.document-root = "${root}"
server.bind = "127.0.0.1"
server.port = ${port}
server.pid-file = "${work}/pid"
index-file.names = ("index.html")
include_shell "/usr/share/lighttpd/create-mime.conf.pl"
${tuned ? `
deflate.cache-dir = "${work}"
deflate.mimetypes = ("")
deflate.allowed-encodings = ("gzip")
setenv.add-response-header = ("Cache-Control" => "${IMMUTABLE}")` : ''}`;

const caddy = ({ root, port, tuned }) => `
{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  root * ${root}
  ${tuned ? `encode gzip\n  header Cache-Control "${IMMUTABLE}"` : ''}
  file_server
}`;

/**
 * program: null where it is not installed; config and command: of a server for the folder `root` on `port`, with the folder
 * `work` for files of its own; tuned: with gzip wherever the server can, and told to browsers to be kept for ever;
 * tunes: whether it can be told so.
 */
const SERVERS = {
  nginx: {
    program: programOf('nginx'), tunes: true, config: nginx,
    command: ({ config, work }) => ['-p', work, '-e', 'stderr', '-c', config],
  },
  apache2: { program: programOf('apache2'), tunes: true, config: apache, command: ({ config }) => ['-D', 'FOREGROUND', '-f', config] },
  lighttpd: { program: programOf('lighttpd'), tunes: true, config: lighttpd, command: ({ config }) => ['-D', '-f', config] },
  caddy: { program: programOf('caddy'), tunes: true, config: caddy, command: ({ config }) => ['run', '--adapter', 'caddyfile', '--config', config] },
  'python3 -m http.server': {
    program: programOf('python3'), tunes: false,
    command: ({ root, port }) => ['-m', 'http.server', '--bind', '127.0.0.1', '--directory', root, String(port)],
  },
  serve: {
    program: scriptOf('serve', 'build', 'main.js'), tunes: true,
    config: ({ tuned }) => JSON.stringify(tuned ? { headers: [{ source: '**', headers: [{ key: 'Cache-Control', value: IMMUTABLE }] }] } : {}),
    command: ({ root, port, config, tuned }) =>
      ['--no-clipboard', '--config', config, '--listen', `tcp://127.0.0.1:${port}`, ...(tuned ? [] : ['--no-compression']), root],
  },
  'http-server': {
    program: scriptOf('http-server', 'bin', 'http-server'), tunes: true, // --gzip sends what has been compressed before
    command: ({ root, port, tuned }) => [root, '-a', '127.0.0.1', '-p', String(port), '-s', ...(tuned ? ['--gzip', '-c', `${IMMUTABLE}`] : ['-c-1'])],
  },
};

export const SERVER_NAMES = Object.keys(SERVERS);
export const isInstalled = (name) => SERVERS[name].program !== null;
export const canBeTuned = (name) => SERVERS[name].tunes;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

async function answers(url, process) {
  for (let wait = 0; wait < 200; wait++) {
    if (process.exitCode !== null) break;
    if (await fetch(url).then(() => true, () => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${process.spawnargs.join(' ')} does not answer`);
}

/**
 * @param {string} name of SERVER_NAMES
 * @param {string} root the folder; others must be able to read it
 * @param {{ tuned?: boolean }} [options] gzip, and "Cache-Control: immutable"
 * @returns {Promise<{ origin: string, close: () => Promise<void> }>}
 */
export async function startServer(name, root, { tuned = false } = {}) {
  const { program, config: write, command } = SERVERS[name];
  const work = await mkdtemp(join(tmpdir(), 'pocket-diffusion-server-'));
  const port = await freePort();
  const config = join(work, 'config.json'); // npm's serve insists on the ending
  if (write) await writeFile(config, write({ root, port, work, tuned }));
  const [file, ...first] = program.startsWith(tools) ? [process.execPath, program] : [program];
  const child = spawn(file, [...first, ...command({ root, port, work, config, tuned })], {
    stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, XDG_DATA_HOME: work, XDG_CONFIG_HOME: work, NO_UPDATE_CHECK: '1' },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const close = async () => {
    if (child.exitCode === null) {
      child.kill();
      await once(child, 'exit');
    }
    await rm(work, { recursive: true, force: true });
  };
  const origin = `http://127.0.0.1:${port}`;
  try {
    await answers(origin, child);
  } catch (error) {
    await close();
    error.message += `: ${said}`;
    throw error;
  }
  return { origin, close };
}
