// Properties and attributes of <pocket-diffusion> as scripts and frameworks set them: before the element is defined, while it
// draws, after it was taken out, to whatever; and the ways in which they copy it and move it. What it draws is compared with
// Node.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { load } from 'pocket-diffusion';
import { modelPath } from '../native_pictures.mjs';
import { root } from '../node/helpers.mjs';
import { ENGINES, launch, openPage } from './browsers.mjs';
import { STRICT_POLICY, serveStatic } from './static_server.mjs';

const OPTIONS = { label: 'cat', seed: 7, steps: 4, guidanceScale: 3 };
const ATTRIBUTES = 'src="/weights/doodles.gguf" label="cat" seed="7" steps="4"';

const pageOf = (html) => `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>properties</title>
<link rel="icon" href="/web/favicon.svg"><link rel="stylesheet" href="/web/element.css"></head><body>${html}</body></html>`;

const pages = {
  '/plain.html': pageOf(`<pocket-diffusion ${ATTRIBUTES} guidance-scale="3"></pocket-diffusion>`),
  '/dashless.html': pageOf(`<pocket-diffusion ${ATTRIBUTES} guidancescale="3"></pocket-diffusion>`),
  '/template.html': pageOf(`<template><pocket-diffusion ${ATTRIBUTES} guidance-scale="3" loading="eager"></pocket-diffusion></template>`),
  '/frame.html': pageOf(''),
};

/** In the page: names for what every test does. None defines the element. */
function prepare() {
  globalThis.define = () => import('/web/element.mjs');
  globalThis.only = () => document.querySelector('pocket-diffusion');
  globalThis.ended = async (node = only()) => {
    do await new Promise((resolve) => setTimeout(resolve, 10)); while (!['done', 'error'].includes(node.state)); // also what was just asked for
    if (node.state === 'error') throw new Error(node.shadowRoot.querySelector('.detail').textContent);
    return Array.from(node.pictures[0].pixels);
  };
  /** What a property can be set to, and what is no text at all. */
  globalThis.STRANGE = {
    NaN, infinity: Infinity, object: {}, list: [1, 2], symbol: Symbol('3'), bare: Object.create(null), yes: true,
    hostile: { toString() { throw new Error('on purpose'); } }, function: () => 3,
  };
}

let model;
let expected;
before(async () => {
  model = await load(modelPath);
  expected = async (options) => Array.from((await model.generate({ ...OPTIONS, ...options })).pixels);
});
after(() => model.close());

for (const name of ENGINES) {
  describe(`properties in ${name}`, () => {
    let server;
    let session;
    before(async () => {
      server = await serveStatic({ folders: { '/web/': join(root, 'web'), '/weights/': join(root, 'weights') }, pages, policy: `${STRICT_POLICY}; frame-src 'self'` });
      session = await launch(name);
    });
    after(async () => {
      await session?.close();
      await server?.close();
    });

    /** What `run` returns in the page; nothing is on the console. */
    async function inPage(path, run, ...values) {
      const { page, troubles } = await openPage(session.browser, `${server.origin}${path}`, { prepare });
      try {
        const result = await page.evaluate(run, ...values);
        assert.deepEqual(troubles, []);
        return result;
      } finally {
        await page.close();
      }
    }

    test('an attribute stays if its property is written back before the element is defined', async () => {
      const drawn = await inPage('/plain.html', async () => {
        for (const property of ['src', 'label', 'guidanceScale', 'seed', 'steps', 'controls', 'loading', 'state', 'pictures']) {
          only()[property] = only()[property]; // undefined
        }
        await define();
        return ended();
      });
      assert.deepEqual(drawn, await expected());
    });

    test('what is set before is there afterwards, for an element on the page and for one that comes later', async () => {
      for (const onPage of [true, false]) {
        const found = await inPage('/plain.html', async (connected) => {
          const node = connected ? only() : document.createElement('pocket-diffusion');
          if (!connected) only().remove();
          const url = new URL('/weights/doodles.gguf', location.href);
          Object.assign(node, { src: url, label: 'dog', guidanceScale: 2, seed: 5n, steps: '4', sampler: null, controls: 1, loading: 'eager' });
          await define();
          if (!connected) document.body.append(node);
          const pixels = await ended(node);
          const { src, label, guidanceScale, seed, steps, sampler, controls, loading } = node;
          return { pixels, values: [src === url.href, label, guidanceScale, seed, steps, sampler, controls, loading], own: Object.keys(node) };
        }, onPage);
        assert.deepEqual(found.values, [true, 'dog', 2, 5, 4, null, true, 'eager']);
        assert.deepEqual(found.pixels, await expected({ label: 'dog', guidanceScale: 2, seed: 5 }));
        assert.deepEqual(found.own, []);
      }
    });

    test('null takes the attribute away, and names that cannot be set are not hidden', async () => {
      const found = await inPage('/plain.html', async () => {
        Object.assign(only(), { label: null, state: 'lost', pictures: null, model: 'doodles' });
        Object.defineProperty(only(), 'poster', { configurable: true, get: () => { throw new Error('on purpose'); } });
        await define();
        await ended();
        return [only().hasAttribute('label'), only().pictures[0].options.labelName, only().state, only().poster, only().model.labels.length];
      });
      assert.deepEqual(found, [false, model.labels[0], 'done', null, model.labels.length]);
    });

    test('what is no number is named in the element, whenever it was set, and the right value mends it', async () => {
      const found = await inPage('/plain.html', async () => {
        const [home, copies] = [document.body, {}];
        const said = (node) => ended(node).then(() => 'drawn', ({ message }) => message);
        for (const [kind, value] of Object.entries(STRANGE)) {
          copies[kind] = only().cloneNode();
          copies[kind].guidanceScale = value;
        }
        await define();
        const results = [];
        for (const [kind, value] of Object.entries(STRANGE)) {
          const node = copies[kind];
          home.append(node);
          const messages = [await said(node)];
          node.guidanceScale = 3;
          messages.push(await said(node));
          node.guidanceScale = 2;
          await new Promise((resolve) => node.addEventListener('step', resolve, { once: true }));
          node.guidanceScale = value; // while it draws
          await new Promise((resolve) => node.addEventListener('error', resolve, { once: true }));
          messages.push(await said(node));
          node.remove();
          node.guidanceScale = undefined;
          node.guidanceScale = value;
          home.append(node);
          messages.push(await said(node));
          node.remove();
          node.guidanceScale = 3;
          home.append(node);
          messages.push(await said(node));
          node.remove();
          results.push([kind, ...messages]);
        }
        return results;
      });
      assert.equal(found.length, 9);
      for (const [kind, ...messages] of found) {
        const wrong = /^guidance-scale: must be a number, not "/;
        for (const index of [0, 2, 3]) assert.match(messages[index], wrong, kind);
        assert.deepEqual([messages[1], messages[4]], ['drawn', 'drawn'], kind);
      }
    });

    test('every other property, too, is either understood or named', async () => {
      const found = await inPage('/plain.html', async () => {
        await define();
        await ended();
        const results = [];
        for (const property of ['label', 'seed', 'steps', 'count', 'sampler']) {
          for (const [kind, value] of Object.entries(STRANGE)) {
            const before = only()[property];
            only()[property] = value;
            results.push([property, kind, await only().generate().then(() => 'drawn', (error) => error.message)]);
            only()[property] = before;
          }
        }
        for (const value of Object.values(STRANGE)) Object.assign(only(), { width: value, height: value, loading: value, poster: null });
        return [...results, ['layout', 'all', await only().generate().then(() => 'drawn')]];
      });
      assert.deepEqual(found.pop(), ['layout', 'all', 'drawn']);
      for (const [property, kind, message] of found) assert.ok(message.startsWith(`${property}: `), `${property}, ${kind}: ${message}`);
    });

    test('an attribute without its dash is the same; the one with the dash goes first; both are removed together', async () => {
      const found = await inPage('/dashless.html', async () => {
        await define();
        const dashless = [only().guidanceScale, await ended()];
        const scales = [];
        const draw = async () => {
          await only().generate();
          scales.push(only().pictures[0].options.guidanceScale);
        };
        only().setAttribute('guidance-scale', '5');
        await draw();
        only().removeAttribute('guidance-scale');
        scales.push(only().guidanceScale);
        only().setAttribute('guidanceScale', '2');
        await draw();
        only().guidancescale = 6;
        await draw();
        only().guidanceScale = 4;
        await draw();
        only().removeAttribute('guidanceScale');
        only().setAttribute('data-x', '1');
        only().removeAttribute('data-x');
        return { dashless, scales, left: only().getAttributeNames().sort() };
      });
      assert.deepEqual(found.dashless, [3, await expected()]);
      assert.deepEqual(found.scales, [5, null, 2, 6, 4]);
      assert.deepEqual(found.left, ['label', 'seed', 'src', 'steps']);
    });

    test('an attribute without its dash that changes draws anew', async () => {
      const drawn = await inPage('/dashless.html', async () => {
        await define();
        await ended();
        only().setAttribute('guidancescale', '1');
        await new Promise((resolve) => only().addEventListener('generate', resolve, { once: true }));
        return ended();
      });
      assert.deepEqual(drawn, await expected({ guidanceScale: 1 }));
    });

    test('elements that were parsed elsewhere, copied, or taken from a template draw', async () => {
      const found = await inPage('/template.html', async () => {
        const [template] = document.getElementsByTagName('template');
        const elsewhere = document.implementation.createHTMLDocument();
        const foreign = elsewhere.body.appendChild(elsewhere.importNode(template.content.firstChild, true));
        Object.assign(foreign, { src: foreign.src }); // as sites do that fetch their pages
        const nodes = [template.content.cloneNode(true).firstChild, document.importNode(template.content.firstChild, true), document.adoptNode(foreign)];
        document.body.append(...nodes);
        await define();
        nodes.push(nodes[0].cloneNode(true), document.adoptNode(template.content.firstChild));
        document.body.append(...nodes.slice(3));
        const clone = document.body.appendChild(Object.assign(nodes[1].cloneNode(), { label: 'dog' }));
        return { same: await Promise.all(nodes.map((node) => ended(node))), clone: await ended(clone) };
      });
      assert.equal(found.same.length, 5);
      for (const pixels of found.same) assert.deepEqual(pixels, await expected());
      assert.deepEqual(found.clone, await expected({ label: 'dog' }));
    });

    test('an element that moves into a frame and back keeps its looks, and draws there', async () => {
      const found = await inPage('/plain.html', async () => {
        const frame = document.createElement('iframe');
        frame.src = '/frame.html';
        await new Promise((resolve) => {
          frame.onload = resolve;
          document.body.append(frame);
        });
        await define();
        const node = only();
        await ended(node);
        const looks = () => {
          const { width, height } = node.getBoundingClientRect();
          const picture = node.shadowRoot.querySelector('[part="picture"]');
          return [width > 100 && width === height, getComputedStyle(picture).borderTopWidth, getComputedStyle(picture.parentNode).display];
        };
        const seen = [looks()];
        for (const [place, label] of [[frame.contentDocument.body, 'dog'], [document.body, 'cat']]) {
          place.append(node);
          seen.push(looks());
          node.label = label;
          await new Promise((resolve) => node.addEventListener('generate', resolve, { once: true }));
          seen.push(await ended(node));
        }
        node.count = 2;
        await node.generate();
        return [...seen, node.getBoundingClientRect().width > 1.9 * node.getBoundingClientRect().height];
      });
      const looks = [true, '1px', 'grid'];
      assert.deepEqual(found, [looks, looks, await expected({ label: 'dog' }), looks, await expected(), true]);
    });

    test('an element that is taken out and put back many times draws once', async () => {
      const found = await inPage('/plain.html', async () => {
        await define();
        const node = only();
        let drawn = 0;
        node.addEventListener('generate', () => drawn++);
        for (let turn = 0; turn < 20; turn++) {
          node.remove();
          if (turn % 2) await Promise.resolve();
          document.body.append(node);
        }
        const pixels = await ended(node);
        await new Promise((resolve) => setTimeout(resolve, 200));
        return { drawn, pixels };
      });
      assert.deepEqual(found, { drawn: 1, pixels: await expected() });
    });
  });
}
