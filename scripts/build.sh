#!/usr/bin/env bash
# Builds what has changed; installs nothing (scripts/setup.sh does).
#
#   scripts/build.sh [--native] [--wasm] [--benchmarks] [--debug] [--sanitize]
#                    default: --native --wasm
#
#   --native    static library and C tests, gcc, Release      build/native
#   --wasm      the WebAssembly modules, strict and relaxed   web/pocket-diffusion*.wasm
#   --benchmarks  programs of npm run benchmark -- --profile and --convolutions
#   --debug     library and C tests, clang, no optimisation   build/debug
#   --sanitize  the same with AddressSanitizer and UBSan      build/sanitize

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

[ $# -gt 0 ] || set -- --native --wasm
for option in "$@"; do
  case $option in
    --native | --wasm | --benchmarks | --debug | --sanitize) ;;
    -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "build.sh: unknown option $option (see --help)" >&2; exit 2 ;;
  esac
done

missing=$(missing_packages compilers)
[ -z "$missing" ] || fail "missing: $(echo $missing); scripts/setup.sh compilers installs it"
lock
for option in "$@"; do
  case $option in
    --native) build_native native gcc Release ;;
    --benchmarks) build_wasm bench_network bench_kernels ;;
    --wasm)
      build_wasm
      for module in web/pocket-diffusion*.wasm; do
        say "$module: $(stat -c %s "$module") bytes, $(gzip -9c "$module" | wc -c) with gzip"
      done
      ;;
    --debug) build_native debug clang-19 Debug ;;
    --sanitize) build_native sanitize clang-19 Debug -DPD_SANITIZE=ON ;;
  esac || fail "$option failed"
done
say "built: $*"
