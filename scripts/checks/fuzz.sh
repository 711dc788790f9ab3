#!/usr/bin/env bash
# Fuzzing with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   scripts/checks/fuzz.sh [--runs N | --minutes M] [TARGET...]    default: 1 minute for all targets
#
#   --runs N      executions of each target
#   --minutes M   time for all targets together
#
#   gguf    any bytes as a file                       tests/fuzz/fuzz_gguf.c
#   model   whole models, tiny ones                   tests/fuzz/fuzz_model.c
#   graph   models of format 2, which are run        tests/fuzz/fuzz_graph.c
#   run     options and steps of a generation         tests/fuzz/fuzz_run.c
#   png     pictures                                  tests/fuzz/fuzz_png.c
#
# What is found lies in build/fuzz/findings: run the target's program in
# build/fuzz/tests with that file. The corpus grows in build/fuzz/corpus;
# its seeds are in tests/fuzz/corpus. build/fuzz/executions counts all runs.
# Report in JUnit format: build/reports/fuzz.xml.

source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
source scripts/checks/junit.sh

runs=0 minutes=1 targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --runs) runs=${2:?--runs needs a number}; shift ;;
    --minutes) minutes=${2:?--minutes needs a number}; shift ;;
    gguf | model | graph | run | png) targets+=("$1") ;;
    -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "fuzz.sh: unknown argument $1 (see --help)" >&2; exit 2 ;;
  esac
  shift
done
[ "${#targets[@]}" -gt 0 ] || targets=(gguf model graph run png)
[[ $runs$minutes =~ ^[0-9]+$ ]] || fail "--runs and --minutes take whole numbers"

build_native fuzz clang-19 Debug -DPD_FUZZ=ON
mkdir -p build/fuzz/findings
if [ "$runs" = 0 ]; then limit=-max_total_time=$((minutes * 60 / ${#targets[@]})); else limit=-runs=$runs; fi
# Small inputs are fast ones, and break what large ones break.
declare -A longest=([gguf]=640 [model]=12288 [graph]=6144 [run]=384 [png]=512)

# For speed: no stack with each allocation, a short quarantine. Leaks are
# counted by the targets themselves.
export ASAN_OPTIONS=detect_leaks=0:malloc_context_size=0:quarantine_size_mb=4:max_malloc_fill_size=0

run_target() {
  local target=$1 corpus=build/fuzz/corpus/$1 seeds=tests/fuzz/corpus/$1 log status=0 count
  mkdir -p "$corpus"
  [ -d "$seeds" ] || seeds=
  log=build/logs/fuzz-$target.raw
  build/fuzz/tests/fuzz_"$target" -max_len="${longest[$target]}" "$limit" -timeout=20 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$target-" "$corpus" $seeds >"$log" 2>&1 || status=$?
  count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "$target ${count:-0}" >>build/fuzz/executions
  [ $status = 0 ] || cat "$log"
  echo "${count:-0} executions, $([ $status = 0 ] && echo no finding || echo 'a FINDING')"
  return $status
}
for target in "${targets[@]}"; do eval "run_$target() { run_target $target; }"; done

status=0
junit_cases fuzz "${targets[@]}" || status=1
awk '{ n[$1] += $2; all += $2 } END { for (t in n) printf "%s %d, ", t, n[t]; print "all targets", all, "executions in this build folder" }' build/fuzz/executions
exit $status
