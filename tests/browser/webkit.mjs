// WebKit, Safari's engine: Debian's MiniBrowser under Xvfb, told what to do by W3C WebDriver. The pages that it opens have
// the methods of puppeteer's that the tests of several browsers use. A proxy puts what tests prepare in front of the page's own
// scripts, and sees which hosts are asked; the console, uncaught errors included, is read with every answer.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request as ask } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pipeline } from 'node:stream';
import { text } from 'node:stream/consumers';

const isOnPath = (name) => (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
export const hasWebKit = () => isOnPath('WebKitWebDriver') && isOnPath('Xvfb');

const POLL = 50;
const SCRIPT_TIMEOUT = 120_000;
/** Key of an element's identity in answers, as the standard has it. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';
const KEYS = {
  Backspace: '\uE003', Tab: '\uE004', Enter: '\uE007', Control: '\uE009', Escape: '\uE00C', End: '\uE010', Home: '\uE011',
  ArrowLeft: '\uE012', ArrowUp: '\uE013', ArrowRight: '\uE014', ArrowDown: '\uE015',
};
/** Path of the script that a proxy puts into pages. */
const PREPARE = '/prepare-for-tests.js';

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

async function freePort() {
  const server = createServer();
  const port = await listen(server);
  server.close();
  return port;
}

async function until(look, timeout, what) {
  const end = performance.now() + timeout;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > end) throw new Error(`Waiting for ${what} failed: ${timeout}ms exceeded`);
    await wait(POLL);
  }
}

/** In the page, before its own scripts. */
function recordConsole() {
  globalThis.messagesForTests = [];
  const record = (type, text) => messagesForTests.push({ type, text: String(text) });
  for (const type of ['error', 'warn']) {
    const write = console[type];
    console[type] = (...values) => {
      record(type, values.map(String).join(' '));
      write.apply(console, values);
    };
  }
  addEventListener('error', ({ message }) => message && record('uncaught', message));
  addEventListener('unhandledrejection', ({ reason }) => record('uncaught', reason?.message ?? reason));
}

/** Calls a function in the page with the values and gives its result, or what it threw, to `done`; and what was on the console. */
const callOf = (code) => `const values = Array.from(arguments);
const done = values.pop();
const answer = (result) => done({ ...result, messages: globalThis.messagesForTests?.splice(0) ?? [] });
const plain = (value) => (value instanceof Node ? value : JSON.parse(JSON.stringify(value) ?? 'null'));
const fail = (error) => answer({ error: { name: error?.name, message: String(error?.message ?? error), code: error?.code } });
try { Promise.resolve((${code})(...values)).then((value) => answer({ value: plain(value) }), fail); } catch (error) { fail(error); }`;

/** In the page: the element of a selector, in which ` >>> ` leads into a shadow root. */
const FIND = `((selector) => selector.split(' >>> ').reduce((root, part) => root && (root.shadowRoot ?? root).querySelector(part), document))`;

class WebKitElement {
  #page;
  #reference;

  constructor(page, reference) {
    this.#page = page;
    this.#reference = reference;
  }

  click() {
    return this.#page.send('POST', `/element/${this.#reference[ELEMENT]}/click`, {});
  }

  focus() {
    return this.evaluate((node) => node.focus());
  }

  boundingBox() {
    return this.evaluate((node) => {
      const { x, y, width, height } = node.getBoundingClientRect();
      return { x, y, width, height };
    });
  }

  evaluate(look, ...values) {
    return this.#page.evaluate(look, this.#reference, ...values);
  }
}

class WebKitPage {
  #browser;
  #handle;
  #prepare = '';
  #listeners = new Map();

  constructor(browser, handle) {
    this.#browser = browser;
    this.#handle = handle;
    const press = (type, key) => this.#act({ type: 'key', id: 'keyboard', actions: type.map((each) => ({ type: each, value: KEYS[key] ?? key })) });
    this.keyboard = {
      down: (key) => press(['keyDown'], key),
      up: (key) => press(['keyUp'], key),
      press: (key) => press(['keyDown', 'keyUp'], key),
    };
    const point = (action) => this.#act({ type: 'pointer', id: 'mouse', parameters: { pointerType: 'mouse' }, actions: [action] });
    this.mouse = {
      move: (x, y) => point({ type: 'pointerMove', duration: 0, x: Math.round(x), y: Math.round(y) }),
      down: () => point({ type: 'pointerDown', button: 0 }),
      up: () => point({ type: 'pointerUp', button: 0 }),
    };
  }

  /** `console`, `pageerror` and `request`; others are never heard of. */
  on(type, listener) {
    this.#listeners.set(type, listener);
  }

  async setViewport({ width, height }) {
    await this.send('POST', '/window/rect', { width, height });
    const bars = await this.evaluate(() => outerHeight - innerHeight);
    await this.send('POST', '/window/rect', { width, height: height + bars });
  }

  async evaluateOnNewDocument(prepare) {
    this.#prepare = typeof prepare === 'function' ? `(${prepare})();` : prepare;
  }

  async goto(url) {
    this.#browser.prepareNext(this.#prepare, (asked) => this.#listeners.get('request')?.({ url: () => asked }));
    await this.send('POST', '/url', { url });
    await this.#loaded();
  }

  async reload() {
    await this.send('POST', '/refresh', {});
    await this.#loaded();
  }

  /** The driver does not wait for modules. */
  #loaded() {
    return this.waitForFunction(() => document.readyState === 'complete');
  }

  /** A function with values for it, or the text of a script. */
  evaluate(what, ...values) {
    return typeof what === 'string' ? this.send('POST', '/execute/sync', { script: what, args: [] }) : this.#call(String(what), values);
  }

  $eval(selector, look, ...values) {
    return this.#call(`(selector, ...values) => (${look})(${FIND}(selector), ...values)`, [selector, ...values]);
  }

  $$eval(selector, look, ...values) {
    return this.#call(`(selector, ...values) => (${look})(Array.from(document.querySelectorAll(selector)), ...values)`, [selector, ...values]);
  }

  async $(selector) {
    const reference = await this.#call(FIND, [selector]);
    return reference && new WebKitElement(this, reference);
  }

  async waitForFunction(what, { timeout = 30_000 } = {}, ...values) {
    const value = await until(() => this.evaluate(what, ...values), timeout, String(what));
    return { jsonValue: () => value };
  }

  async waitForSelector(selector, { timeout = 30_000 } = {}) {
    return until(() => this.$(selector), timeout, selector);
  }

  async click(selector) {
    await (await this.#one(selector)).click();
  }

  async focus(selector) {
    await (await this.#one(selector)).focus();
  }

  async type(selector, text) {
    const { [ELEMENT]: element } = await this.send('POST', '/element', { using: 'css selector', value: selector });
    await this.send('POST', `/element/${element}/value`, { text });
  }

  select(selector, value) {
    return this.$eval(selector, (select, wanted) => {
      select.value = wanted;
      for (const type of ['input', 'change']) select.dispatchEvent(new Event(type, { bubbles: true }));
    }, value);
  }

  /** @returns {Promise<Buffer>} PNG of the window */
  async screenshot() {
    return Buffer.from(await this.send('GET', '/screenshot'), 'base64');
  }

  close() {
    return this.#browser.closePage(this.#handle);
  }

  send(method, path, body) {
    return this.#browser.send(this.#handle, method, path, body);
  }

  async #one(selector) {
    const found = await this.$(selector);
    if (!found) throw new Error(`no element ${selector}`);
    return found;
  }

  async #call(code, values) {
    const { error, value, messages } = await this.send('POST', '/execute/async', { script: callOf(code), args: values });
    for (const { type, text } of messages) {
      if (type === 'uncaught') this.#listeners.get('pageerror')?.(new Error(text));
      else this.#listeners.get('console')?.({ type: () => type, text: () => text });
    }
    if (error) throw Object.assign(new Error(error.message), error);
    return value;
  }

  #act(source) {
    return this.send('POST', '/actions', { actions: [source] });
  }
}

class WebKitBrowser {
  #driver;
  #session = '';
  #current = '';
  #unused = ''; // window; the session ends with the last one
  #open = 0;
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();
  #contexts = [];

  /** @param {string} driver its address @param {(script: string, heard: (url: string) => void) => void} prepareNext */
  constructor(driver, prepareNext) {
    this.#driver = driver;
    this.prepareNext = prepareNext;
  }

  /** @param {string} proxy host and port */
  async start(proxy) {
    const capabilities = { timeouts: { script: SCRIPT_TIMEOUT }, proxy: { proxyType: 'manual', httpProxy: proxy } };
    const { sessionId } = await this.#ask('POST', '/session', { capabilities: { alwaysMatch: capabilities } });
    this.#session = `/session/${sessionId}`;
    this.#unused = this.#current = await this.#ask('GET', `${this.#session}/window`);
  }

  async newPage() {
    const handle = this.#unused || (await this.send(this.#current, 'POST', '/window/new', { type: 'tab' })).handle;
    this.#unused = '';
    this.#open++;
    return new WebKitPage(this, handle);
  }

  /** What was stored in one is not seen in the other: a browser of its own. */
  async createBrowserContext() {
    const { browser, close } = await launchWebKit();
    this.#contexts.push(close);
    return Object.assign(browser, { close });
  }

  async closePage(handle) {
    this.#open--;
    if (this.#open > 0) {
      const [other] = await this.send(handle, 'DELETE', '/window');
      this.#current = '';
      await this.send(other, 'GET', '/url');
    } else {
      await this.send(handle, 'POST', '/url', { url: 'about:blank' });
      this.#unused = handle;
    }
  }

  /** A command for one window; one after the other, for the driver has a window at a time. */
  send(handle, method, path, body) {
    const command = this.#last.then(async () => {
      if (handle !== this.#current) await this.#ask('POST', `${this.#session}/window`, { handle });
      this.#current = handle;
      return this.#ask(method, this.#session + path, body);
    });
    this.#last = command.catch(() => {});
    return command;
  }

  async end() {
    for (const close of this.#contexts) await close();
    if (this.#session) await this.#ask('DELETE', this.#session);
  }

  async #ask(method, path, body) {
    const headers = { 'Content-Type': 'application/json' };
    const response = await fetch(this.#driver + path, { method, headers, body: body && JSON.stringify(body) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }
}

/** Hands requests on as they are, but puts a script in front of all others of a page. */
async function startProxy() {
  let script = '';
  let prepares = false;
  let heard = () => {};
  const server = createServer((request, response) => {
    const url = new URL(request.url);
    if (url.pathname === PREPARE) return response.writeHead(200, { 'Content-Type': 'text/javascript', 'Cache-Control': 'no-store' }).end(script);
    heard(request.url);
    const headers = { ...request.headers };
    // What a service worker fetches to keep it says neither; it stays as it is unless a test has something to prepare.
    const isPage = headers.accept?.startsWith('text/html') || (prepares && /(\/|\.html)$/.test(url.pathname));
    if (isPage) for (const name of ['accept-encoding', 'if-none-match', 'if-modified-since']) delete headers[name];
    const onward = ask(url, { method: request.method, headers }, async (answer) => {
      if (!isPage || !answer.headers['content-type']?.startsWith('text/html')) {
        response.writeHead(answer.statusCode, answer.headers);
        return pipeline(answer, response, (error) => error && response.destroy());
      }
      const { 'content-length': _, ...rest } = answer.headers;
      const html = await text(answer);
      response.writeHead(answer.statusCode, rest).end(html.replace(/<head[^>]*>/i, `$&<script src="${PREPARE}"></script>`));
    });
    onward.on('error', () => request.socket.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  return {
    address: `127.0.0.1:${await listen(server)}`,
    prepareNext(prepare, listener) {
      script = `(${recordConsole})();${prepare}`;
      prepares = prepare !== '';
      heard = listener;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** As launch() of browsers.mjs. */
export async function launchWebKit() {
  const home = await mkdtemp(join(tmpdir(), 'pocket-diffusion-webkit-'));
  const downloads = join(home, 'downloads');
  await mkdir(downloads);
  await mkdir(join(home, 'config'));
  await writeFile(join(home, 'config/user-dirs.dirs'), `XDG_DOWNLOAD_DIR="${downloads}"\n`);
  const screen = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1400x1000x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const [number] = await once(screen.stdio[3], 'data');
  const port = await freePort();
  const environment = { ...process.env, DISPLAY: `:${String(number).trim()}`, HOME: home, XDG_CONFIG_HOME: join(home, 'config'), XDG_CACHE_HOME: join(home, 'cache'), XDG_DATA_HOME: join(home, 'data') };
  const driver = spawn('WebKitWebDriver', [`--port=${port}`], { env: environment, stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  const proxy = await startProxy();
  const browser = new WebKitBrowser(url, proxy.prepareNext);
  const close = async () => {
    await browser.end().catch(() => {});
    proxy.close();
    for (const child of [driver, screen]) {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await until(() => fetch(`${url}/status`).then(() => true, () => false), 20_000, 'WebKitWebDriver');
    await browser.start(proxy.address);
  } catch (error) {
    await close();
    throw error;
  }
  return { browser, downloads, close };
}
