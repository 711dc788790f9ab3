#!/usr/bin/env bash
# Sets up, builds and runs every test, also after a failure. The last line is
# "N passed, N failed" (", N skipped" may follow); the exit code is 0 only if
# nothing failed and every stage ran at least one test.
#
#   scripts/test.sh [--quick] [--together] [STAGE...]
#
#   lint       static checks of C, Python and JavaScript: scripts/lint.sh (not with --quick)
#   fuzz       all fuzz targets for a minute: scripts/checks/fuzz.sh          (not with --quick)
#   coverage   share of the C core that its tests reach              (not with --quick)
#   release    C tests, gcc, optimised
#   debug      C tests, clang, not optimised                          (not with --quick)
#   sanitize   C tests, AddressSanitizer and UndefinedBehaviorSanitizer (not with --quick)
#   node       the JavaScript library and the command line under Node.js
#   browser    the page and the element in Chromium and in Firefox, the library in WebKit, too (not with --quick)
#   package    the npm package in bundlers and under the newest Node.js (not with --quick)
#   hosts      web servers, WebKit, generators of sites, frameworks, notebooks; all of them if the stage is named, otherwise a few (not with --quick)
#   parity     against the reference in PyTorch, training, and the Python package; --quick leaves out tests marked slow
#
# With --together what needs no browser goes on beside the browsers, at a low priority: one browser leaves a part of two cores to
# others. Then what a stage prints is kept until it ends.
#
# Reports in JUnit format: build/reports. POCKET_DIFFUSION_CHECKPOINTS may name a
# folder with the checkpoints of the shipped models: then these are verified too.

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set +e

quick=no together=no stages=()
for argument in "$@"; do
  case $argument in
    --quick) quick=yes ;;
    --together) together=yes ;;
    lint | fuzz | coverage | release | debug | sanitize | node | browser | package | hosts | parity)
      [[ " ${stages[*]} " == *" $argument "* ]] || stages+=("$argument")
      ;;
    -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "test.sh: unknown argument $argument (see --help)" >&2; exit 2 ;;
  esac
done
hosts=all
if [ "${#stages[@]}" = 0 ]; then
  hosts=few
  if [ $quick = yes ]; then stages=(release node parity); else stages=(lint fuzz coverage release debug sanitize node browser package hosts parity); fi
fi
wanted() { [[ " ${stages[*]} " == *" $1 "* ]]; }

reports=build/reports counted=build/logs/counted
rm -rf "$reports" "$counted"
mkdir -p "$reports" "$counted"
passed=0 failed=0 skipped=0 stage=stage

# job PRIORITY FUNCTION: in the background, as $!, in a session of its own. So whatever ends the run ends all of it; and the
# priority, 0 or a lower one up to 19, is one among sessions, by which Linux shares out the processors first (each browser is one).
jobs=()
job() {
  local state
  state=$(declare -p root quick hosts stages stage reports counted SECONDS; declare -f)
  setsid bash -uo pipefail -c "
    $state
    if [ $1 != 0 ]; then
      renice -n $1 -p \$\$ >/dev/null
      { echo $1 >/proc/self/autogroup; } 2>/dev/null
    fi
    $2" test.sh </dev/null 9>&- &
  jobs+=($!)
}
end_jobs() {
  local signal each ended=yes
  for signal in TERM KILL; do # to end in order, for some seconds
    for each in ${jobs[@]+"${jobs[@]}"}; do ! kill -$signal -- "-$each" 2>/dev/null || ended=no; done
    [ $signal = KILL ] || [ $ended = yes ] || sleep 3
  done
}
trap end_jobs EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs a stage's command, which writes build/reports/STAGE*.xml, and leaves in build/logs/counted/STAGE what that counts.
stage() {
  local name=$1 status counts begun=$SECONDS
  shift
  say "$name"
  "$@" </dev/null
  status=$?
  read -r -a counts < <(node scripts/checks/junit_totals.mjs "$reports/$name"*.xml)
  if [ $((counts[0] + counts[1])) = 0 ]; then
    echo "$name: no test ran" >&2
    counts[1]=1
  elif [ $status != 0 ] && [ "${counts[1]}" = 0 ]; then
    echo "$name: exit status $status without a failed test" >&2
    counts[1]=1
  fi
  say "$name: ${counts[0]} passed, ${counts[1]} failed, ${counts[2]} skipped, $((SECONDS - begun)) s"
  echo "${counts[*]}" >"$counted/$name"
}

# The same beside others: what is printed goes to show(), first that the stage begins, then the name of a file with the rest.
stage_beside() {
  say "$1 begins"
  stage "$@" >"build/logs/stage-$1.log" 2>&1
  echo "+build/logs/stage-$1.log"
}
show() {
  local line
  while IFS= read -r line; do
    if [[ $line == +* ]]; then cat "${line#+}"; else printf '%s\n' "$line"; fi
  done
}

# Set-up and build steps are no tests: only their failure counts.
step() {
  say "$1"
  shift
  # In a subshell, so that a step that gives up does not end the whole run.
  ("$@") && return 0
  echo "failed: $*" >&2
  failed=$((failed + 1))
}

c_tests() { # FOLDER NAME
  ctest --test-dir "build/$1" --output-on-failure --no-tests=error --parallel 2 --output-junit "$root/$reports/$2.xml" \
    >"build/logs/ctest-$2.log" 2>&1
  local status=$?
  if [ $status = 0 ]; then tail -n 4 "build/logs/ctest-$2.log"; else cat "build/logs/ctest-$2.log"; fi
  return $status
}

node_tests() { # FOLDER NAME [option...]: files *.test.mjs
  local files
  mapfile -t files < <(find "tests/$1" -name '*.test.mjs' -not -path '*/node_modules/*' | sort)
  [ "${#files[@]}" -gt 0 ] || return 1
  node --test "${@:3}" --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=junit --test-reporter-destination="$reports/$2.xml" "${files[@]}"
}

# Two processes, each of which takes one file of tests after the other: their sums and models belong to files.
parity_tests() {
  local selection=()
  [ $quick = no ] || selection=(-m 'not slow')
  .venv/bin/python -m pytest tests/parity tests/python -q -p no:cacheprovider --numprocesses 2 --dist loadfile --no-loadscope-reorder \
    --continue-on-collection-errors "${selection[@]}" --junitxml="$reports/parity.xml"
}

check_node
lock
groups=(compilers)
! wanted debug && ! wanted sanitize || groups+=(sanitizers)
! wanted lint || groups+=(lint)
! wanted fuzz || groups+=(sanitizers)
! wanted coverage || groups+=(lint)
[ $quick = yes ] || ! wanted node || groups+=(sanitizers)
{ ! wanted browser && ! wanted package && ! wanted hosts; } || groups+=(browsers)
{ ! wanted browser && ! wanted hosts; } || groups+=(webkit)
{ ! wanted parity && ! wanted lint; } || groups+=(python)
step "packages of the system" packages "${groups[@]}"

! wanted hosts || step "nginx" server_packages nginx # only one apt-get at a time

# What is fetched waits for others most of the time: meanwhile the builds go on.
fetch_npm() {
  failed=0
  step "packages from npm" npm_packages
  exit "$failed"
}
fetch_python() {
  failed=0
  { ! wanted parity && ! wanted lint; } || step "packages from PyPI" python_packages python/requirements.txt python/requirements-training.txt
  exit "$failed"
}
fetch_more() {
  failed=0
  { ! wanted browser && ! wanted hosts; } || step "MkDocs" docs_packages
  ! wanted package || step "bundlers" package_tools
  if wanted hosts && [ $hosts = few ]; then step "a few hosts" few_hosts; fi
  if wanted hosts && [ $hosts = all ]; then step "all hosts" host_tools; fi
  if [ $quick = no ] && wanted node; then step "the newest Node.js" newest_node; fi
  exit "$failed"
}
job 0 fetch_python
fetching=($!)
job 0 fetch_npm
npm=$!
step "building WebAssembly" build_wasm
step "building natively, gcc, Release" build_native native gcc Release
wait $npm
failed=$((failed + $?))
job 0 fetch_more
fetching+=($!)
[ $quick = yes ] || ! wanted node || step "building WebAssembly with a checked heap" build_wasm_safe_heap
! wanted debug || step "building natively, clang, Debug" build_native debug clang-19 Debug
if wanted node && [ $quick = no ]; then
  step "building natively for pictures, gcc, Debug" build_pictures gcc-debug gcc Debug
  step "building natively for pictures, clang, Release" build_pictures clang-release clang-19 Release
  wanted debug || step "building natively for pictures, clang, Debug" build_pictures debug clang-19 Debug
fi
! wanted sanitize || step "building with sanitizers" build_native sanitize clang-19 Debug -DPD_SANITIZE=ON

export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
need_browsers() {
  # One browser at a time: two cores.
  ! wanted browser || POCKET_DIFFUSION_HOSTS=$hosts $stage browser node_tests browser browser --test-concurrency=1
  ! wanted package || $stage package node_tests package package --test-concurrency=1
  ! wanted hosts || POCKET_DIFFUSION_HOSTS=$hosts $stage hosts node_tests hosts hosts --test-concurrency=1
}
need_compilers() {
  ! wanted release || $stage release c_tests native release
  ! wanted debug || $stage debug c_tests debug debug
  ! wanted sanitize || $stage sanitize c_tests sanitize sanitize
  ! wanted fuzz || $stage fuzz scripts/checks/fuzz.sh --minutes 1
  ! wanted coverage || $stage coverage scripts/checks/coverage.sh
}
need_packages() {
  ! wanted lint || $stage lint scripts/lint.sh
  ! wanted node || $stage node node_tests node node --test-concurrency=2 # by itself it would take one core of two
  ! wanted parity || $stage parity parity_tests
}
wait_for_packages() {
  local each
  for each in "${fetching[@]}"; do
    wait "$each"
    failed=$((failed + $?))
  done
  unlock
}
if [ $together = yes ] && [[ " ${stages[*]} " =~ \ (browser|package|hosts)\  ]] && [[ " ${stages[*]} " =~ \ (lint|fuzz|coverage|release|debug|sanitize|node|parity)\  ]]; then
  stage=stage_beside
  exec 3> >(show)
  showing=$!
  job 10 need_compilers >&3 2>&1 3>&-
  compilers=$!
  wait_for_packages
  job 0 need_browsers >&3 2>&1 3>&-
  browsers=$!
  wait $compilers
  job 10 need_packages >&3 2>&1 3>&-
  wait $! $browsers
  exec 3>&-
  wait $showing
else
  wait_for_packages
  need_compilers
  need_packages
  need_browsers
fi
for name in "${stages[@]}"; do
  if ! read -r -a counts <"$counted/$name"; then
    echo "$name: did not end" >&2
    counts=(0 1 0)
  fi
  passed=$((passed + counts[0])) failed=$((failed + counts[1])) skipped=$((skipped + counts[2]))
done

say "reports: $reports"
line="$passed passed, $failed failed"
[ "$skipped" = 0 ] || line+=", $skipped skipped"
echo "$line"
[ "$failed" = 0 ]
