#!/usr/bin/env bash
# Which lines and branches of the C core its C tests reach, by clang's source
# coverage. What reads files, options and memory must be reached wholly.
#
#   scripts/checks/coverage.sh [--missing]
#
#   --missing   also list every branch that is missed
#
# Report in JUnit format: build/reports/coverage.xml. What is counted and what
# not: docs/trust.md.

source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
source scripts/checks/junit.sh

case ${1:-} in
  '' | --missing) ;;
  -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "coverage.sh: unknown argument $1 (see --help)" >&2; exit 2 ;;
esac

build_native coverage clang-19 Release -DPD_COVERAGE=ON
rm -rf build/coverage/profiles
LLVM_PROFILE_FILE=$root/build/coverage/profiles/%p.profraw \
  quietly coverage-tests ctest --test-dir build/coverage --output-on-failure --no-tests=error --parallel 2
llvm-profdata-19 merge -o build/coverage/all.profdata build/coverage/profiles/*.profraw
objects=()
for program in build/coverage/tests/{test,replay}_*; do [ ! -x "$program" ] || objects+=(-object "$program"); done
quietly coverage-export sh -c 'llvm-cov-19 export -instr-profile build/coverage/all.profdata "$@" >build/coverage/coverage.json' sh "${objects[@]}"

run_thresholds() { node scripts/checks/coverage_report.mjs build/coverage/coverage.json "$@"; }
run_all() { run_thresholds ${missing:+--missing}; }
missing=${1:-}
junit_cases coverage all
tail -n +1 build/logs/coverage-all.log
