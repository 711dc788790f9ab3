#!/usr/bin/env bash
# Static checks; scripts/test.sh runs them as its stage "lint".
#
#   scripts/lint.sh [CHECK...]    default: all
#
#   format       the C core has the form of .clang-format; scripts/format.sh gives it
#   clang-tidy   the C core                         .clang-tidy says which checks and why
#   analyze      the C core, by clang's analyser, with its optional checkers
#   ruff         Python in python/, scripts/ and tests/, and its form      ruff.toml
#   mypy         types of the Python package         python/pyproject.toml
#   eslint       JavaScript                         eslint.config.mjs
#   types        JavaScript in web/                 tsconfig.json, tsconfig.service_worker.json
#
# A check that finds something prints it. Report in JUnit format: build/reports/lint.xml.

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
source scripts/checks/junit.sh

checks=()
for argument in "$@"; do
  case $argument in
    format | clang-tidy | analyze | ruff | mypy | eslint | types) checks+=("$argument") ;;
    -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "lint.sh: unknown check $argument (see --help)" >&2; exit 2 ;;
  esac
done
[ "${#checks[@]}" -gt 0 ] || checks=(format clang-tidy analyze ruff mypy eslint types)

# The compiler's command lines, which clang-tidy reads; and a copy of stb_image_write.h.
quietly configure-lint cmake -S . -B build/lint -G Ninja -DCMAKE_C_COMPILER=clang-19 -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
sources=(src/*.c src/kernels/*.c src/network/*.c)
cores=$(nproc)

run_format() { find src -name '*.[ch]' -exec clang-format-19 --dry-run --Werror {} +; }

# Attributes of WebAssembly mean nothing to the native compiler.
# Each process has a filter of its own: their lines about progress would mix.
run_clang-tidy() { printf '%s\0' "${sources[@]}" | xargs -0 -n 4 -P "$cores" bash -o pipefail -c 'clang-tidy-19 --quiet -p build/lint --extra-arg=-Wno-unknown-attributes "$@" 2>&1 | sed -e "/ warnings\? generated/d" -e "/^\[[0-9]*\/[0-9]*\] Processing file/d"' clang-tidy; }

# Every checker for C, but for the one that asks for memcpy_s, of C11's optional Annex K.
run_analyze() {
  printf '%s\0' "${sources[@]}" | xargs -0 -n 4 -P "$cores" \
    clang-19 --analyze -std=c11 -Isrc -Isrc/kernels -Isrc/network -isystem build/lint/include --analyzer-output text \
    -Xclang -analyzer-werror -Xclang -analyzer-checker=core,deadcode,nullability,optin,security,unix,valist \
    -Xclang -analyzer-disable-checker=security.insecureAPI.DeprecatedOrUnsafeBufferHandling
}

run_ruff() {
  .venv/bin/ruff check --quiet --no-cache --output-format concise python scripts tests && .venv/bin/ruff format --quiet --no-cache --diff python scripts tests
}

# The drawing part of the package, strictly; python/pyproject.toml lists the files.
run_mypy() { (cd python && ../.venv/bin/mypy --no-error-summary --cache-dir ../build/mypy); }

run_eslint() { node node_modules/eslint/bin/eslint.js --max-warnings 0 .; }

run_types() { node node_modules/typescript/bin/tsc --project . && node node_modules/typescript/bin/tsc --project tsconfig.service_worker.json; }

junit_cases lint "${checks[@]}"
