// WebKit, Safari's engine: Debian's MiniBrowser under Xvfb, told what to do by W3C WebDriver. The pages that it opens have
// the methods of puppeteer's that the tests of several browsers use; what they print on the console is not seen.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';

const isOnPath = (name) => (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
export const hasWebKit = () => isOnPath('WebKitWebDriver') && isOnPath('Xvfb');

const POLL = 50;
const SCRIPT_TIMEOUT = 120_000;
/** Key of an element's identity in answers, as the standard has it. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';
const KEYS = { Enter: '\uE007', Tab: '\uE004', Escape: '\uE00C', ArrowLeft: '\uE012', ArrowUp: '\uE013', ArrowRight: '\uE014', ArrowDown: '\uE015', Home: '\uE011', End: '\uE010' };

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
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

/** Calls a function in the page with the values and gives its result, or what it threw, to `done`. */
const callOf = (text) => `const [values, done] = arguments;
const fail = (error) => done({ error: { name: error?.name, message: String(error?.message ?? error), code: error?.code } });
try { Promise.resolve((${text})(...values)).then((value) => done({ value }), fail); } catch (error) { fail(error); }`;

class WebKitPage {
  #browser;
  #handle;
  #prepare = null;

  constructor(browser, handle) {
    this.#browser = browser;
    this.#handle = handle;
    this.keyboard = { press: (key) => this.#type(KEYS[key] ?? key) };
  }

  on() {}
  async setViewport({ width, height }) {
    await this.#send('POST', '/window/rect', { width, height });
  }

  /** Before the functions of the test, but after the scripts of the page: WebDriver has nothing earlier. */
  async evaluateOnNewDocument(prepare) {
    this.#prepare = prepare;
  }

  async goto(url) {
    await this.#send('POST', '/url', { url });
    if (this.#prepare) await this.evaluate(this.#prepare);
  }

  async reload() {
    await this.#send('POST', '/refresh', {});
    if (this.#prepare) await this.evaluate(this.#prepare);
  }

  async evaluate(what, ...values) {
    const answer = await this.#send('POST', '/execute/async', { script: callOf(what), args: [values] });
    if (answer.error) throw Object.assign(new Error(answer.error.message), answer.error);
    return answer.value;
  }

  $eval(selector, look, ...values) {
    return this.evaluate(`(selector, ...values) => (${look})(document.querySelector(selector), ...values)`, selector, ...values);
  }

  $$eval(selector, look, ...values) {
    return this.evaluate(`(selector, ...values) => (${look})(Array.from(document.querySelectorAll(selector)), ...values)`, selector, ...values);
  }

  waitForFunction(what, { timeout = 30_000 } = {}, ...values) {
    return until(() => this.evaluate(what, ...values), timeout, String(what));
  }

  waitForSelector(selector, { timeout } = {}) {
    return this.waitForFunction((wanted) => document.querySelector(wanted) !== null, { timeout }, selector);
  }

  async click(selector) {
    await this.#send('POST', `/element/${await this.#find(selector)}/click`, {});
  }

  async type(selector, text) {
    await this.#send('POST', `/element/${await this.#find(selector)}/value`, { text });
  }

  /** @returns {Promise<Buffer>} PNG of the window */
  async screenshot() {
    return Buffer.from(await this.#send('GET', '/screenshot'), 'base64');
  }

  close() {
    return this.#browser.closePage(this.#handle);
  }

  async #type(text) {
    const { [ELEMENT]: element } = await this.#send('GET', '/element/active');
    await this.#send('POST', `/element/${element}/value`, { text });
  }

  async #find(selector) {
    return (await this.#send('POST', '/element', { using: 'css selector', value: selector }))[ELEMENT];
  }

  #send(method, path, body) {
    return this.#browser.send(this.#handle, method, path, body);
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

  /** @param {string} driver its address */
  constructor(driver) {
    this.#driver = driver;
  }

  async start() {
    const { sessionId } = await this.#ask('POST', '/session', { capabilities: { alwaysMatch: { timeouts: { script: SCRIPT_TIMEOUT } } } });
    this.#session = `/session/${sessionId}`;
    this.#unused = this.#current = await this.#ask('GET', `${this.#session}/window`);
  }

  async newPage() {
    const handle = this.#unused || (await this.send(this.#current, 'POST', '/window/new', { type: 'tab' })).handle;
    this.#unused = '';
    this.#open++;
    return new WebKitPage(this, handle);
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

/** As launch() of browsers.mjs. */
export async function launchWebKit() {
  const screen = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1400x1000x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const [number] = await once(screen.stdio[3], 'data');
  const port = await freePort();
  const driver = spawn('WebKitWebDriver', [`--port=${port}`], { env: { ...process.env, DISPLAY: `:${String(number).trim()}` }, stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  const browser = new WebKitBrowser(url);
  const close = async () => {
    await browser.end().catch(() => {});
    for (const child of [driver, screen]) {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
  };
  try {
    await until(() => fetch(`${url}/status`).then(() => true, () => false), 20_000, 'WebKitWebDriver');
    await browser.start();
  } catch (error) {
    await close();
    throw error;
  }
  return { browser, downloads: '', close };
}
