// Rules for all JavaScript of the project. The recommended set finds mistakes; what is added, and why:
//   - nothing makes code or markup out of text: a page with this library works under a strict Content-Security-Policy,
//     and names from a model file are text, never HTML;
//   - no regular expression that a hostile input can make slow, for file and class names are matched;
//   - promises and comparisons that say one thing and mean another.

import js from '@eslint/js';
import noUnsanitized from 'eslint-plugin-no-unsanitized';
import * as regexp from 'eslint-plugin-regexp';
import globals from 'globals';

const MARKUP = ['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'createContextualFragment', 'setHTMLUnsafe', 'parseHTMLUnsafe', 'srcdoc'];

export default [
  { ignores: ['**/build/', 'dist/', '**/node_modules/', '.venv/', 'scripts/benchmark/'] },
  js.configs.recommended,
  noUnsanitized.configs.recommended,
  {
    plugins: { regexp },
    languageOptions: { ecmaVersion: 2024, sourceType: 'module', globals: { ...globals.browser, ...globals.node, ...globals.worker } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true, caughtErrors: 'none' }],
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-new-func': 'error',
      'no-script-url': 'error',
      'no-proto': 'error',
      'no-extend-native': 'error',
      'no-async-promise-executor': 'error',
      'no-unsafe-optional-chaining': ['error', { disallowArithmeticOperators: true }],
      'array-callback-return': 'error',
      'no-constructor-return': 'error',
      'no-self-compare': 'error',
      'no-use-before-define': ['error', { functions: false, classes: false, variables: false }],
      'eqeqeq': 'error',
      'no-var': 'error',
      'prefer-const': ['error', { destructuring: 'all' }],
      'no-throw-literal': 'error',
      'no-return-assign': ['error', 'except-parens'],
      'no-shadow-restricted-names': 'error',
      'object-shorthand': 'error',
      'no-alert': 'error',
      'no-caller': 'error',
      'no-new-wrappers': 'error',
      'no-template-curly-in-string': 'error',
    },
  },
  {
    files: ['web/**/*.mjs', 'web/worker.js'],
    rules: {
      'regexp/no-super-linear-backtracking': 'error',
      'regexp/no-super-linear-move': 'error',
      'regexp/no-dupe-disjunctions': 'error',
      'no-console': 'error',
      'no-restricted-properties': ['error',
        ...MARKUP.map((property) => ({ property, message: 'Text from a file must stay text: use textContent.' })),
        { object: 'document', property: 'write', message: 'Use the DOM.' },
        { object: 'document', property: 'writeln', message: 'Use the DOM.' },
      ],
      'no-restricted-globals': ['error', 'event', 'name', 'SharedArrayBuffer'],
      'no-restricted-syntax': ['error',
        { selector: 'ImportExpression > :not(Literal)', message: 'Modules are named, not computed.' },
        { selector: 'Literal[value=/^javascript:/i]', message: 'No code in addresses.' },
        { selector: 'CallExpression[callee.property.name="setAttribute"] > Literal[value=/^(on|style$|srcdoc$)/i]', message: 'No inline handlers or styles.' },
      ],
    },
  },
  {
    files: ['web/cli.mjs', 'web/cli/*.mjs'],
    rules: { 'no-console': 'off' }, // it is where it writes to
  },
  {
    files: ['tests/**/*.mjs', 'scripts/**/*.mjs'],
    rules: {
      'no-undef': 'off', // functions that run in a page, where other tests have put their globals
      'no-unsanitized/method': 'off', // they import the modules of a server of their own
    },
  },
];
