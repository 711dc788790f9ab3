// Parts of the page that are fetched when they are used, where they cannot be had: each way to one says so, in a sentence of its
// own, and goes on when it is tried again.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, settled } from './browsers.mjs';
import { dropFile, showDepth, showTab } from './page_tools.mjs';
import { visit } from './server.mjs';

const SENTENCE = 'This part of the page could not be downloaded. Is the network there? Then try again.';
const HASH = '#word=on&s=2&seed=5&steps=1&view=play';
const BOX = '#error-text';
const PATIENCE = { timeout: 60_000 };

const click = (selector) => (page) => page.$eval(selector, (button) => button.click());
const press = (dialog, text) => (page) => page.$$eval(`${dialog} button`, (all, wanted) => all.find(({ textContent }) => textContent === wanted).click(), text);
const film = (kind) => async (page) => {
  await page.select('.play-dialog .morph-buttons select', kind);
  await press('.play-dialog', 'Save film')(page);
};
const close = (page) => page.$$eval('dialog[open]', (all) => all.forEach((dialog) => dialog.close()));
const says = (selector, text) => (page) => page.waitForFunction((where, wanted) => document.querySelector(where)?.textContent.includes(wanted), PATIENCE, selector, text);
const shows = (selector) => (page) => page.waitForSelector(selector, PATIENCE);
const saved = says('#status', 'Saved ');
const enter = (tab) => async (page) => {
  await close(page);
  await showTab(page, tab);
  await page.waitForSelector(`#page[data-tab="${tab}"]:not([data-loading])`, PATIENCE);
  await settled(page, PATIENCE);
};

/**
 * Ways to parts, each where the one before has led.
 * @type {Array<{ part: string, way: (page: any) => Promise<unknown>, proof: (page: any) => Promise<unknown>, at?: string, before?: (page: any) => Promise<unknown> }>}
 *   at: where it is said what went wrong; before: what comes first
 */
const WAYS = [
  { part: 'more', way: click('#play-save'), proof: saved },
  { part: 'styles', way: (page) => page.type('#word-text', 'e'), proof: shows('#styles[data-state="done"] .tile') },
  { part: 'outline_files', way: click('#play-svg'), proof: says('#status', '.svg') },
  { part: 'reopen', way: (page) => dropFile(page, Buffer.alloc(9), 'a.otf'), proof: says(BOX, 'This font has no recipe') },
  { part: 'poster', way: click('#poster-open'), proof: shows('#poster[open] .buttons > button:enabled') },
  { part: 'make_font', way: press('#poster', 'Make a font'), proof: says('#poster .buttons span.hint', 'Drawing the font'), at: '#poster [role="status"]' },
  { part: 'rendering', before: enter('doodles'), way: click('#play-save'), proof: saved },
  { part: 'morph', way: click('#morph-open'), proof: shows('.play-dialog[open][data-state="done"]') },
  { part: 'gif', way: film('gif'), proof: says('.play-dialog [role="status"]', '.gif'), at: '.play-dialog [role="status"]' },
  { part: 'webm', way: film('webm'), proof: says('.play-dialog [role="status"]', '.webm'), at: '.play-dialog [role="status"]' },
  {
    part: 'embed_dialog', way: click('#embed'), proof: shows('dialog.embed[open]'),
    before: async (page) => {
      await close(page);
      await showDepth(page, 'lab');
      await page.waitForSelector('#embed:enabled', PATIENCE);
    },
  },
  { part: 'zip', way: press('dialog.embed', 'Download zip'), proof: says('dialog.embed [role="status"]', 'Saved'), at: 'dialog.embed [role="status"]' },
];

for (const name of BROWSERS) {
  describe(`parts that cannot be fetched, in ${name}`, () => {
    let site;
    let page;
    let leave;
    /** Files of each part, as the page has them. */
    let parts;
    before(async () => {
      ({ site, page, leave } = await visit(name, 'blank.html'));
      parts = JSON.parse(site.text('parts.json'));
      site.refused = new Set([...Object.values(parts).flat(), 'more.css']);
      await page.goto(`${site.url}${HASH}`);
      await settled(page, PATIENCE);
    });
    after(() => leave?.());
    const isSaid = (at = BOX) => page.waitForFunction((where, text) => document.querySelector(where)?.textContent === text && document.querySelector(where).checkVisibility(), PATIENCE, at, SENTENCE);
    const dismiss = () => page.$eval('#error', (box) => { box.hidden = true; });

    test('with none of them, every way says so, and the first pictures are there', async () => {
      await isSaid(); // the twelve styles come by themselves
      const atRest = () => page.waitForSelector('#page:not([data-loading])', PATIENCE);
      for (const way of [
        click('#play-save'), click('#play-svg'), click('#morph-open'), click('#poster-open'),
        (where) => dropFile(where, Buffer.alloc(9), 'a.otf'), (where) => showDepth(where, 'lab'), (where) => showTab(where, 'draw'),
      ]) {
        await dismiss();
        await way(page);
        await isSaid();
        await atRest();
      }
      await showDepth(page, 'play');
      await enter('characters')(page);
      await isSaid(); // the search
      await dismiss();
      await click('#class-wall')(page);
      await isSaid();
      await enter('letters')(page);
    });

    for (const { part, way, proof, at, before: first } of WAYS) {
      test(`${part}: said, and there when it is tried again`, async (t) => {
        site.refused = new Set();
        await first?.(page);
        if (part === 'webm' && !(await page.$('.play-dialog option[value="webm"]'))) return t.skip('it writes none');
        await dismiss();
        site.refused = new Set(parts[part]);
        await way(page);
        await isSaid(at);
        site.refused = new Set();
        await (at ? way : click('#retry'))(page);
        await proof(page);
      });
    }

    test('other words for the classes, if they cannot be had, come with the next model; names are found without them', async () => {
      const find = async (text) => {
        await page.waitForSelector('#class-search:enabled', PATIENCE);
        await page.$eval('#class-search', (input) => { input.value = ''; });
        await page.type('#class-search', text);
        return page.$$eval('#class-found [role="option"]', (all) => all.map(({ textContent }) => textContent));
      };
      site.refused = new Set(parts.thesaurus);
      await enter('characters')(page);
      assert.deepEqual(await find('monk'), ['No class of that name.']);
      assert.deepEqual(await find('orangu'), ['orangutan']);
      site.refused = new Set();
      await enter('letters')(page);
      await enter('characters')(page);
      assert.deepEqual(await find('monk'), ['apemonkey', 'orangutanmonkey']);
    });

    test('the element of the dialog to embed it', async (t) => {
      const { site: another, page: fresh, leave: leaveIt } = await visit(name, '#label=cat&s=2&seed=5&steps=1&count=1');
      t.after(leaveIt);
      another.refused = new Set(parts.element);
      await fresh.waitForSelector('#embed:enabled', PATIENCE);
      await click('#embed')(fresh);
      await says(BOX, SENTENCE)(fresh);
      another.refused = new Set();
      await click('#retry')(fresh);
      await shows('dialog.embed[open] pocket-diffusion')(fresh);
    });
  });
}
