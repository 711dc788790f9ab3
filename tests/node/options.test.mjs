// What JavaScript knows by name of the core, which the module shows: options, samplers, operations of networks; and the types in
// index.d.ts.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import ts from 'typescript';
import { FORMS, OPTIONS, SAMPLERS, dashed, fieldOf, numbersOf, rangeOf } from '../../web/library/options.mjs';

const file = (name) => new URL(`../../${name}`, import.meta.url);

// ---- the core

const { instance: { exports } } = await WebAssembly.instantiate(readFileSync(file('web/pocket-diffusion.wasm')), { env: { emscripten_notify_memory_growth() {} } });
exports._initialize();

function text(address) {
  if (!address) return '';
  const memory = new Uint8Array(exports.memory.buffer);
  return new TextDecoder().decode(memory.subarray(address, memory.indexOf(0, address)));
}

function namesOf(ask) {
  const names = [];
  for (let name; (name = text(ask(names.length))); ) names.push(name);
  return names;
}

const NEEDS = ['ddim', 'ddpm', 'twoPredictions']; // pd_option_needs
const RANGES = ['fixed', 'steps', 'timestep', 'label'];
const core = Object.fromEntries(namesOf(exports.pd_wasm_options_name).map((name, key) => {
  const [whole, range, minimum, maximum, needs] = [0, 1, 2, 3, 4].map((limit) => exports.pd_wasm_options_limit(key, limit));
  return [name, { whole: whole === 1, range: RANGES[range], minimum, maximum, needs: NEEDS.filter((_, bit) => needs & (2 ** bit)) }];
}));

test('the samplers are those of the core, with their traits', () => {
  const names = namesOf(exports.pd_wasm_sampler_name);
  assert.deepEqual(Object.keys(SAMPLERS), names);
  names.forEach((name, key) => {
    const { title, consistency, ...traits } = SAMPLERS[name]; // the core treats all alike
    const [evaluations, drawsNoise, multistep] = [0, 1, 2].map((trait) => exports.pd_wasm_sampler_trait(key, trait));
    assert.deepEqual({ evaluations: 1, drawsNoise: false, multistep: false, ...traits }, { evaluations, drawsNoise: drawsNoise === 1, multistep: multistep === 1 }, name);
    assert.ok(title);
    assert.equal(consistency ?? false, name === 'lcm');
  });
});

test('every number of pd_options has its option, and the other way round', () => {
  assert.deepEqual(Object.keys(numbersOf({ guidanceInterval: [0, 1], inversion: 0 })).sort(), Object.keys(core).sort());
});

test('ranges, types and numbers of choices are those of the core', () => {
  const info = { timesteps: 123, guidanceScaleRange: [0, 100] };
  for (const [name, option] of Object.entries(OPTIONS)) {
    const field = fieldOf(name);
    if (!field) continue;
    const { whole, range, minimum, maximum, needs } = core[field];
    assert.deepEqual([option.sampler, option.twoPredictions && 'twoPredictions'].filter(Boolean), needs, name);
    assert.equal(whole, option.kind !== 'number', name);
    const here = option.choices ? [0, option.choices.length - 1] : option.kind === 'flag' ? [0, 1] : option.kind === 'class' ? 'label' : rangeOf(option, info);
    assert.deepEqual(here, { fixed: [minimum, maximum], steps: [1, 123], label: 'label' }[range], name);
  }
});

// ---- the types

const program = ts.createProgram([file('web/index.d.ts').pathname], { strict: true, noEmit: true });
const checker = program.getTypeChecker();
const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file('web/index.d.ts').pathname)));
const typeOf = (name) => checker.getDeclaredTypeOfSymbol(exported.find((symbol) => symbol.name === name));
const membersOf = (name) => checker.getPropertiesOfType(typeOf(name));
/** The words of a union of them. */
const wordsOf = (type) => (type.isUnion() ? type.types : [type]).filter((each) => each.isStringLiteral()).map(({ value }) => value);

test('index.d.ts has the options of the table, in both of its interfaces, with their choices', () => {
  const ofCalls = ['guidanceWeight', 'maskThreshold', 'onStep', 'preview', 'state', 'trace', 'signal', 'recipe', 'anyModel'];
  assert.deepEqual(membersOf('GenerateOptions').map(({ name }) => name).sort(), ['label', ...Object.keys(OPTIONS), ...ofCalls].sort());
  assert.deepEqual(membersOf('ResolvedOptions').map(({ name }) => name).sort(), ['label', 'labelName', ...Object.keys(OPTIONS)].sort());
  for (const members of [membersOf('GenerateOptions'), membersOf('ResolvedOptions')]) {
    for (const member of members) {
      const { choices } = OPTIONS[member.name] ?? {};
      if (choices) assert.deepEqual(wordsOf(checker.getTypeOfSymbol(member)).sort(), [...choices].sort(), member.name);
    }
  }
  const { recommended } = Object.fromEntries(membersOf('ModelInfo').map((member) => [member.name, member]));
  const names = checker.getPropertiesOfType(checker.getTypeOfSymbol(recommended)).map(({ name }) => name);
  assert.deepEqual(names.sort(), Object.keys(OPTIONS).filter((name) => !('initial' in OPTIONS[name]) && !['seed', 'strength'].includes(name)).sort());
});

test('what the core tells of an operation has the names of its type', () => {
  const members = membersOf('GraphOperation').map(({ name }) => name).filter((name) => !['name', 'depends'].includes(name));
  assert.deepEqual(namesOf(exports.pd_wasm_graph_field_name).sort(), [...members, 'class', 'time', 'x'].sort());
});

test('what is said of options is said of some that there are, once', () => {
  for (const name of Object.keys(FORMS)) assert.ok(OPTIONS[name], name);
  const links = Object.values(FORMS).flatMap(({ link }) => link ?? []);
  assert.equal(new Set(links).size, links.length);
  assert.equal(dashed('cfgPlusPlus'), 'cfg-plus-plus');
});
