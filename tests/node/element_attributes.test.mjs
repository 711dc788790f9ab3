// Attributes of <pocket-diffusion> that other programs have: the right one is named. The element itself is tested in browsers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foreignAttributes } from '../../web/element/attributes.mjs';

for (const [name, meant] of [
  ['cfg-scale', 'guidance-scale'], ['cfgscale', 'guidance-scale'], ['guidance', 'guidance-scale'], ['num-inference-steps', 'steps'],
  ['scheduler', 'sampler'], ['prompt', 'label'], ['num-images', 'count'],
]) {
  test(`${name} is ${meant}`, () => {
    assert.deepEqual(foreignAttributes(['src', name, 'id']), [`<pocket-diffusion> has no attribute "${name}": ${meant} is what it means here`]);
  });
}

test('what the element has, and what HTML has, is left alone', () => {
  const names = ['class', 'id', 'style', 'title', 'label', 'steps', 'guidance-scale', 'guidancescale', 'seed', 'sampler', 'count', 'controls', 'data-prompt', 'aria-label', 'mask-image'];
  assert.deepEqual(foreignAttributes(names), []);
});
