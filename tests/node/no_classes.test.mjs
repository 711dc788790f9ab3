// A model that was never told a class: it draws, and everything that speaks of classes is refused by name.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { load } from 'pocket-diffusion';

describe('a model without classes', () => {
  let model;
  before(async () => (model = await load(await readFile(new URL('../golden/no-classes.gguf', import.meta.url)))));
  after(() => model.close());

  test('draws without a label', async () => {
    assert.deepEqual([model.labels, model.info.hasNullClass], [[], false]);
    const picture = await model.generate({ seed: 3, steps: 4 });
    assert.deepEqual([picture.options.label, picture.options.labelName, picture.options.guidanceScale], [null, '', 1]);
    assert.deepEqual((await model.generate({ recipe: picture.recipe })).pixels, picture.pixels);
    const many = [];
    for await (const each of model.generateMany({ seed: 2, steps: 4, count: 2 })) many.push(each);
    assert.deepEqual(many[1].pixels, picture.pixels);
  });

  for (const [name, options, message] of [
    ['a label', { label: 0 }, /label: this model has no classes/],
    ['a mixture', { classMix: [{ label: 'cat', weight: 1 }, { label: 'dog', weight: 1 }] }, /classMix.*this model has no classes/],
    ['guidance', { guidanceScale: 3 }, /made without a null class: only 1 is possible/],
    ['a negative class', { negativeLabel: 'cat' }, /negativeLabel: this model has no classes/],
    ['a negative class by its number', { negativeLabel: 0 }, /negativeLabel: this model has no classes/],
  ]) {
    test(`refuses ${name}`, async () => {
      await assert.rejects(model.generate({ seed: 3, steps: 4, ...options }), message);
    });
  }
});
