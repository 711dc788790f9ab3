// web/*.d.ts under the strictest settings of the TypeScript compiler, as an application sees it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { root } from './helpers.mjs';

const OPTIONS = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noImplicitOverride: true,
  noUnusedLocals: true,
  skipLibCheck: false,
  noEmit: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
  types: [],
};

function compile(...files) {
  const program = ts.createProgram(files.map((file) => join(root, file)), OPTIONS);
  const messages = ts.getPreEmitDiagnostics(program).map(({ file, messageText }) =>
    `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
  return { program, messages };
}

test('an application that uses the whole interface compiles, and wrong uses do not', () => {
  const { program, messages } = compile('tests/node/consumer.ts');
  assert.deepEqual(messages, []);
  // By the name of the package, through its exports.
  assert.ok(program.getSourceFile(join(root, 'web', 'index.d.ts')));
});

test('every type that is exported is used by that application', () => {
  const { program } = compile('tests/node/consumer.ts');
  const checker = program.getTypeChecker();
  const symbol = checker.getSymbolAtLocation(program.getSourceFile(join(root, 'web', 'index.d.ts')));
  const names = checker.getExportsOfModule(symbol).map(({ name }) => name).filter((name) => name !== 'ObjectiveName');
  const text = program.getSourceFile(join(root, 'tests', 'node', 'consumer.ts')).text;
  assert.ok(names.length > 10);
  assert.deepEqual(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(text)), []);
});

test('so does one that uses the element and the other exports', () => {
  const { program, messages } = compile('tests/node/element_consumer.ts');
  assert.deepEqual(messages, []);
  const text = program.getSourceFile(join(root, 'tests', 'node', 'element_consumer.ts')).text;
  const checker = program.getTypeChecker();
  for (const file of ['element.d.ts', 'node.d.ts', 'wasm.d.ts']) {
    const symbol = checker.getSymbolAtLocation(program.getSourceFile(join(root, 'web', file)));
    const own = [...symbol.exports.keys()].filter((name) => !name.startsWith('_'));
    for (const name of own) assert.match(text, new RegExp(`\\b${name}\\b`), file);
  }
});
