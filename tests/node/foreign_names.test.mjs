// Names of options that people bring from other programs: each gets the name that it has here, in every spelling.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { load } from 'pocket-diffusion';
import { root, tinyBytes } from './helpers.mjs';

/** In snake_case -> ours in the library. */
const NAMES = {
  cond_scale: 'guidanceScale', cfg_scale: 'guidanceScale', cfg: 'guidanceScale', guidance: 'guidanceScale', guidance_scale: 'guidanceScale',
  num_inference_steps: 'steps', n_steps: 'steps', num_steps: 'steps', sampling_timesteps: 'steps', scheduler: 'sampler', solver: 'sampler',
  eps: 'eta', ddim_sampling_eta: 'eta', latents: 'noise', rescaled_phi: 'rescale', guidance_rescale: 'rescale',
  remove_parallel_component: 'projection', keep_parallel_frac: 'keepParallel', use_cfg_plus_plus: 'cfgPlusPlus',
  prompt: 'label', class: 'label', classes: 'label', class_labels: 'label', negative_prompt: 'negativeLabel',
  num_images_per_prompt: 'count', batch_size: 'count', num_samples: 'count', generator: 'seed', init_image: 'image', denoising_strength: 'strength',
  mask_image: 'mask', timestep_spacing: 'timeGrid', variation_seed: 'variationSeed', negative_label: 'negativeLabel',
};
const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
const kebab = (name) => name.replaceAll('_', '-');
const spellings = (name) => new Set([name, camel(name), kebab(name), name.toUpperCase()]);

const model = await load(tinyBytes);

/** What the message suggests. */
const suggested = ({ message }) => [...(message.split('did you mean ')[1] ?? '').matchAll(/"(\w+)"/g)].map(([, name]) => name);

for (const [name, ours] of Object.entries(NAMES)) {
  test(`${name} is ${ours}`, async () => {
    for (const given of spellings(name)) {
      if (given === ours) continue;
      const error = await model.generateMany({ label: 0, steps: 1, [given]: 3 }).next().then(assert.fail, (thrown) => thrown);
      assert.equal(error.name, 'TypeError');
      assert.equal(error.argument, 'options');
      assert.ok(suggested(error).includes(ours), error.message);
      assert.ok(suggested(error).length <= 2, error.message);
    }
  });
}

test('eps may be the noise or eta; what is like nothing gets no suggestion', async () => {
  const refused = (options) => model.generate({ label: 0, ...options }).then(assert.fail, (thrown) => thrown);
  assert.deepEqual(suggested(await refused({ eps: 0 })), ['eta', 'noise']);
  const { message } = await refused({ telephone: 1 });
  assert.match(message, /unknown option "telephone"$/);
  assert.deepEqual(suggested(await refused({ stepz: 1 })), ['steps']);
  assert.deepEqual(suggested(await model.invert({ n_steps: 1 }).catch((thrown) => thrown)), ['steps']);
  assert.doesNotMatch((await model.invert({ scheduler: 1 }).catch((thrown) => thrown)).message, /"sampler"/); // it has none
  assert.deepEqual(suggested(await load(tinyBytes, { threads: 2 }).catch((thrown) => thrown)), ['workers']);
});

/** Each starts a process: one of every kind. */
const KINDS = ['cond_scale', 'cfg', 'num_inference_steps', 'scheduler', 'eps', 'rescaled_phi', 'classes', 'negative_prompt', 'guidance_scale'];
const FLAGS = { ...Object.fromEntries(KINDS.map((name) => [name, NAMES[name]])), latents: 'invert', out: 'output', ckpt: 'model' };
const flagOf = (name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** @returns {Promise<{ code: number, stderr: string }>} */
const run = (...args) => new Promise((resolve) => {
  execFile(process.execPath, [join(root, 'web/cli.mjs'), ...args], (error, _, stderr) => resolve({ code: error?.code ?? 0, stderr }));
});

test('the same on the command line', async () => {
  for (const [name, ours] of Object.entries(FLAGS)) {
    const given = `--${[name, camel(name), kebab(name)][name.length % 3]}`;
    if (given === flagOf(ours)) continue;
    const { code, stderr } = await run('generate', '--model', 'x', given, '3');
    assert.equal(code, 2);
    const [, hint] = /\(Did you mean ([^)]*)\?\)/.exec(stderr) ?? [];
    assert.ok(hint?.split(' or ').includes(flagOf(ours)), `${given}: ${stderr}`);
  }
  assert.doesNotMatch((await run('generate', '--telephone', '3')).stderr, /Did you mean/);
  const axis = (text) => run('sweep', '--model', join(root, 'tests/golden/tiny.gguf'), '--label', '0', '--output', 'never.png', '--rows', text);
  for (const text of ['cond_scale=1,2', 'guidanceScale=1,2']) {
    const { code, stderr } = await axis(text);
    assert.equal(code, 2);
    assert.match(stderr, /did you mean guidance-scale\?/);
  }
});
