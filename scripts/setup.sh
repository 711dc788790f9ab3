#!/usr/bin/env bash
# Installs what the other scripts need. start.sh, build.sh and test.sh source
# this file; run by itself it prepares the parts that are named:
#
#   scripts/setup.sh [compilers] [npm] [lint] [browsers] [python] [benchmark] [lighthouse] [package] [hosts] [docs]
#                                                                        default: compilers npm
#
# Everything is done only where something is missing, so a second run is quick.
# System packages come from apt-get (as root, or through sudo); on a system
# without apt-get the script names what is missing and stops.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export DEBIAN_FRONTEND=noninteractive
mkdir -p build/stamps build/logs

say() { printf '[%s %4ds] %s\n' "$(date +%H:%M:%S)" "$SECONDS" "$*"; }
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# quietly NAME COMMAND...: output goes to build/logs/NAME.log and is shown only
# if the command fails. No command may wait for an answer.
quietly() {
  local log=build/logs/$1.log
  shift
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    printf 'failed: %s (whole output: %s)\n' "$*" "$log" >&2
    return 1
  fi
}

# One set-up or build at a time in this checkout.
lock() {
  exec 9>build/lock
  command -v flock >/dev/null || return 0
  flock --nonblock 9 || { say "waiting for another run in this checkout"; flock 9; }
}
unlock() { exec 9>&-; }

# stamp NAME TEXT...: true if TEXT is what was recorded for NAME.
stamped() { [ "$(cat "build/stamps/$1" 2>/dev/null)" = "$2" ]; }
stamp() { printf '%s\n' "$2" >"build/stamps/$1"; }

# ---- system packages ---------------------------------------------------------

has() { command -v "$1" >/dev/null 2>&1; }
has_server() { has "$1" || [ -x "/usr/sbin/$1" ]; } # that folder is not on everybody's PATH
has_package() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }

# A working Python of at least 3.10 that can make virtual environments.
find_python() {
  local candidate
  for candidate in python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

# Debian's Emscripten is old, and its own LLVM with it; see emscripten_environment.
emcc_is_old() {
  local version
  version=$(emcc --version 2>/dev/null | sed -n '1s/[^0-9]*\([0-9][0-9.]*\).*/\1/p')
  [ -z "$version" ] || [ "$(printf '%s\n3.1.25\n' "$version" | sort -V | head -n 1)" != 3.1.25 ]
}

# Names of the Debian packages of a group that are not there. A tool that was
# installed in another way counts.
missing_packages() {
  case $1 in
    compilers)
      has cmake || echo cmake
      has ninja || echo ninja-build
      has gcc || echo gcc
      echo '#include <stdio.h>' | gcc -E - >/dev/null 2>&1 || echo libc6-dev
      has emcc || echo emscripten
      [ -e /usr/include/stb/stb_image_write.h ] || [ -e /usr/local/include/stb/stb_image_write.h ] || echo libstb-dev
      if emcc_is_old; then
        has clang-19 || echo clang-19
        has wasm-ld-19 || echo lld-19
        has llvm-config-19 || echo llvm-19
        [ -d /usr/share/nodejs/acorn ] || echo node-acorn
      fi
      ;;
    sanitizers)
      has clang-19 || echo clang-19
      ! has dpkg-query || has_package libclang-rt-19-dev || echo libclang-rt-19-dev
      ;;
    lint)
      has clang-19 || echo clang-19
      has clang-tidy-19 || echo clang-tidy-19
      has clang-format-19 || echo clang-format-19
      has llvm-cov-19 || echo llvm-19
      ! has dpkg-query || has_package libclang-rt-19-dev || echo libclang-rt-19-dev
      ;;
    browsers)
      has chromium || echo chromium
      has firefox-esr || echo firefox-esr
      has fc-scan || echo fontconfig
      has ffprobe || echo ffmpeg
      ;;
    webkit)
      has WebKitWebDriver || echo webkit2gtk-driver
      has Xvfb || echo xvfb
      ;;
    nginx)
      has_server nginx || echo nginx
      ;;
    servers)
      has_server apache2 || echo apache2-bin
      has_server lighttpd || echo lighttpd
      ! has dpkg-query || has_package lighttpd-mod-deflate || echo lighttpd-mod-deflate
      has caddy || echo caddy
      ;;
    python)
      find_python >/dev/null || echo python3 python3-venv
      ;;
    *) fail "no package group $1" ;;
  esac
}

# packages GROUP...: installs what is missing of the groups.
packages() {
  local group missing=() as_root=()
  for group in "$@"; do
    mapfile -t -O "${#missing[@]}" missing < <(missing_packages "$group" | tr ' ' '\n')
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  has apt-get || fail "missing, and there is no apt-get to install it (Debian's package names): ${missing[*]}"
  if [ "$(id -u)" != 0 ]; then
    { has sudo && sudo -n true 2>/dev/null; } ||
      fail "missing, and installing needs root: apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo -n --preserve-env=DEBIAN_FRONTEND)
  fi
  say "installing Debian packages: ${missing[*]}"
  local apt=(${as_root[@]+"${as_root[@]}"} apt-get -o DPkg::Lock::Timeout=300)
  quietly apt-update "${apt[@]}" update || say "apt-get update failed; trying with the lists that are there"
  quietly apt-install "${apt[@]}" install --yes --no-install-recommends "${missing[@]}" ||
    fail "cannot install: ${missing[*]}"
}

# ---- npm and Python packages ---------------------------------------------------

check_node() {
  has node && has npm || fail "Node.js 20 or newer with npm is needed, and not found"
  [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || fail "Node.js 20 or newer is needed; this is $(node --version)"
}

npm_packages() {
  check_node
  local key
  key=$(cat package.json package-lock.json 2>/dev/null | sha256sum; node --version)
  [ -d node_modules ] && stamped npm "$key" && return 0
  say "installing npm packages"
  if [ -e package-lock.json ]; then
    quietly npm npm ci --no-audit --no-fund || fail "npm ci failed"
  else
    quietly npm npm install --no-audit --no-fund --no-package-lock || fail "npm install failed"
  fi
  stamp npm "$key"
}

# What one script alone needs, in a folder of its own: TensorFlow.js (66 MB) for
# the benchmark, Lighthouse (185 MB) for the audit of the page, servers, Bun and
# Deno (206 MB) for the tests of hosts.
own_packages() { # FOLDER NAME
  check_node
  local folder=$1 name=npm-$2 key
  key=$(cat "$folder/package.json" "$folder/package-lock.json" | sha256sum; node --version)
  [ -d "$folder/node_modules" ] && stamped "$name" "$key" && return 0
  say "installing npm packages for $2"
  quietly "$name" npm ci --prefix "$folder" --no-audit --no-fund || fail "npm ci failed"
  stamp "$name" "$key"
}

# Servers for the tests of hosts. Debian starts a server that it has installed, on port 80, unless it is told not to.
server_packages() ( # GROUP...
  policy=/usr/sbin/policy-rc.d missing='' as_root=()
  for group in "$@"; do missing+=$(missing_packages "$group"); done
  [ -n "$missing" ] || exit 0
  [ "$(id -u)" = 0 ] || as_root=(sudo -n)
  if [ ! -e $policy ] && has apt-get; then
    trap '${as_root[@]+"${as_root[@]}"} rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | ${as_root[@]+"${as_root[@]}"} tee $policy >/dev/null
    ${as_root[@]+"${as_root[@]}"} chmod 755 $policy
  fi
  packages "$@"
)

# Packages of web/examples, each in build/hosts, where the tests build a copy of the example.
example_packages() { # NAME...
  check_node
  local name key
  for name in "$@"; do
    mkdir -p "build/hosts/$name"
    key=$(cat "web/examples/$name/package.json" "web/examples/$name/package-lock.json" | sha256sum; node --version)
    [ -d "build/hosts/$name/node_modules" ] && stamped "npm-example-$name" "$key" && continue
    say "installing npm packages of web/examples/$name"
    cp "web/examples/$name/package.json" "web/examples/$name/package-lock.json" "build/hosts/$name/"
    quietly "npm-example-$name" nice -n 3 npm ci --prefix "build/hosts/$name" --no-audit --no-fund || fail "npm ci failed"
    stamp "npm-example-$name" "$key"
  done
}

# venv_packages FOLDER FILE: a virtual environment of its own with what FILE names.
venv_packages() {
  packages python
  local venv=$1 file=$2 name key python
  name=$(basename "$venv")
  python=$(find_python) || fail "Python 3.10 or newer with venv is needed"
  key=$(cat "$file"; "$python" --version)
  [ -x "$venv/bin/python" ] && stamped "python-$name" "$key" && return 0
  say "installing Python packages into $venv"
  quietly "venv-$name" "$python" -m venv "$venv" || fail "cannot make $venv"
  quietly "pip-$name" "$venv/bin/python" -m pip --no-input --disable-pip-version-check install -r "$file" || fail "cannot install $file"
  stamp "python-$name" "$key"
}

# What makes the documentation a site.
docs_packages() { venv_packages build/docs docs/requirements.txt; }

# What a run of everything takes of the hosts: tests/hosts/selection.mjs.
few_hosts() {
  server_packages nginx
  venv_packages build/examples web/examples/requirements.txt
  example_packages react
}

# All hosts: the servers of Debian, those of npm with other JavaScript engines, generators of sites, frameworks, JupyterLab.
host_tools() {
  server_packages nginx servers
  packages browsers webkit python
  own_packages tests/hosts/tools hosts
  own_packages tests/package/tools tools # Astro needs a newer Node.js than 20
  venv_packages build/examples web/examples/requirements.txt
  venv_packages build/notebooks web/examples/jupyter/requirements.txt
  example_packages react next vue svelte solid vitepress docusaurus starlight
}

# What the package is tried with: bundlers and the newest Node.js.
package_tools() {
  own_packages tests/package/tools tools
}

# The newest Node.js beside the one in use, for the same test. npm has it for
# some platforms; elsewhere the comparison is left out.
newest_node() {
  check_node
  local package
  package=$(node -p '`node-${process.platform}-${process.arch}@26.10.0`')
  stamped newest-node "$package" && return 0
  mkdir -p build/newest_node
  echo '{ "private": true }' >build/newest_node/package.json
  if quietly newest-node npm install --prefix build/newest_node --save-exact --no-audit --no-fund "$package"; then
    stamp newest-node "$package"
  else
    say "without $package"
  fi
}

# .venv with PyTorch, the reference implementation, the tools for training and export.
# requirements FILE... are added. The reference is installed without its
# dependencies: it wants torchvision, which the one module in use does not; so is
# diffusers, whose schedulers alone are used.
python_packages() {
  packages python
  local python key name
  name=python-$(basename "${!#}" .txt)
  local torch=torch==2.13.0 reference=denoising-diffusion-pytorch==2.3.4 diffusers=diffusers==0.42.1
  python=$(find_python) || fail "Python 3.10 or newer with venv is needed"
  key=$(cat "$@" python/pyproject.toml | sha256sum; echo "$torch $reference $diffusers"; "$python" --version)
  [ -x .venv/bin/python ] && stamped "$name" "$key" && return 0
  say "installing Python packages into .venv ($torch and others)"
  [ -x .venv/bin/python ] || quietly venv "$python" -m venv .venv || fail "cannot make .venv"
  local pip=(.venv/bin/python -m pip --no-input --disable-pip-version-check install) file
  quietly pip-torch "${pip[@]}" "$torch" || fail "cannot install $torch"
  for file in "$@"; do
    quietly "pip-$(basename "$file" .txt)" "${pip[@]}" -r "$file" || fail "cannot install $file"
  done
  quietly pip-reference "${pip[@]}" --no-deps "$reference" || fail "cannot install $reference"
  quietly pip-diffusers "${pip[@]}" --no-deps "$diffusers" || fail "cannot install $diffusers"
  quietly pip-project "${pip[@]}" --no-deps --editable python || fail "cannot install python/"
  stamp "$name" "$key"
}

# ---- building ------------------------------------------------------------------

# build_native FOLDER COMPILER BUILD_TYPE [cmake option...]
build_native() {
  local folder=$1 compiler=$2 type=$3
  shift 3
  # CMake cannot change the compiler of a build folder.
  if [ -e "build/$folder/CMakeCache.txt" ] && ! grep -q "^CMAKE_C_COMPILER:[A-Z]*=\(.*/\)\?$compiler\$" "build/$folder/CMakeCache.txt"; then
    rm -rf "build/$folder"
  fi
  quietly "configure-$folder" cmake -S . -B "build/$folder" -G Ninja -DCMAKE_C_COMPILER="$compiler" -DCMAKE_BUILD_TYPE="$type" "$@" &&
    quietly "build-$folder" cmake --build "build/$folder"
}

# build_pictures FOLDER COMPILER BUILD_TYPE: only the program whose pictures
# tests/node/sameness.test.mjs compares.
build_pictures() {
  quietly "configure-$1" cmake -S . -B "build/$1" -G Ninja -DCMAKE_C_COMPILER="$2" -DCMAKE_BUILD_TYPE="$3" &&
    quietly "build-$1" cmake --build "build/$1" --target native_pictures
}

# Debian's Emscripten 3.1.6 with clang 19 in place of its own LLVM 14: much
# better SIMD code. Its JavaScript finds acorn only through NODE_PATH when
# Node.js is not Debian's own. Its library cache is part of the package and
# read-only: EM_CACHE must stay unset. A current emsdk is used as it is.
emscripten_environment() {
  emcc_is_old || return 0
  EM_LLVM_ROOT=$(llvm-config-19 --bindir)
  export EM_LLVM_ROOT EM_LLVM_ADD_VERSION='' EM_CLANG_ADD_VERSION=''
  export NODE_PATH=/usr/share/nodejs${NODE_PATH:+:$NODE_PATH}
  unset EM_CACHE
}

# Writes web/pocket-diffusion*.wasm, or builds the targets that are named.
build_wasm() (
  emscripten_environment
  quietly configure-wasm emcmake cmake -S . -B build/wasm -G Ninja -DCMAKE_BUILD_TYPE=Release &&
    quietly build-wasm cmake --build build/wasm ${1:+--target "$@"}
)

# Writes build/wasm-safe-heap/pocket-diffusion.wasm, with assertions and every
# access to memory checked, for tests/node/safe_heap.test.mjs.
build_wasm_safe_heap() (
  emscripten_environment
  quietly configure-wasm-safe-heap emcmake cmake -S . -B build/wasm-safe-heap -G Ninja -DCMAKE_BUILD_TYPE=Debug -DPD_SAFE_HEAP=ON \
    -DPD_WASM_FOLDER="$root/build/wasm-safe-heap" -DCMAKE_C_FLAGS_DEBUG=-O1 &&
    quietly build-wasm-safe-heap cmake --build build/wasm-safe-heap
)

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  [ $# -gt 0 ] || set -- compilers npm
  case " $* " in *" -h "* | *" --help "*) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
  lock
  for part in "$@"; do
    case $part in
      compilers | browsers | lint) packages "$part" ;;
      npm) npm_packages ;;
      python) python_packages python/requirements.txt python/requirements-training.txt ;;
      benchmark)
        python_packages python/requirements.txt scripts/benchmark/requirements.txt
        own_packages scripts/benchmark/tfjs benchmark
        ;;
      lighthouse) own_packages scripts/site/lighthouse lighthouse ;;
      package) package_tools ;;
      hosts) host_tools ;;
      docs) docs_packages ;;
      *) fail "unknown part $part; known: compilers npm lint browsers python benchmark lighthouse package hosts docs" ;;
    esac
  done
  say "ready: $*"
fi
