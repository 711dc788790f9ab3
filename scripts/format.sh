#!/usr/bin/env bash
# Puts the sources into the form that scripts/lint.sh asks for, as far as a program can: the C core by .clang-format, Python by
# ruff, JavaScript by the rules that eslint can mend itself.

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

has clang-format-19 || fail "missing: clang-format-19; scripts/setup.sh lint installs it"
find src -name '*.[ch]' -exec clang-format-19 -i {} +
node node_modules/eslint/bin/eslint.js --fix .
[ ! -x .venv/bin/ruff ] || { .venv/bin/ruff check --quiet --no-cache --fix python scripts tests; .venv/bin/ruff format --quiet --no-cache python scripts tests; }
