#!/usr/bin/env bash
# From a fresh checkout to pictures and a page, with one command: installs what
# is missing, builds, draws a sheet of pictures, assembles the page, serves it.
#
#   scripts/start.sh [--no-serve] [--port NUMBER]
#
#   --no-serve     stop before serving
#   --port NUMBER  port on this machine, default 8080
#
# Needs git, Node.js 20 or newer, and either root (or sudo) on a Debian system
# or the tools named by the message. Leaves dist/doodles.png, dist/site and
# dist/pocket-diffusion.html.

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

serve=yes port=8080
while [ $# -gt 0 ]; do
  case $1 in
    --no-serve) serve=no ;;
    --port) port=${2-}; shift ;;
    --port=*) port=${1#*=} ;;
    -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "start.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
  esac
  shift || break
done
[[ $port =~ ^[0-9]{1,5}$ ]] && [ "$port" -ge 1 ] && [ "$port" -le 65535 ] ||
  { echo "start.sh: --port takes a number from 1 to 65535" >&2; exit 2; }

check_node
lock
say "1/5 packages of the system"
packages compilers
say "2/5 packages from npm, and what makes the documentation a site"
npm_packages
(docs_packages) || say "the site will be without its documentation"
say "3/5 building the C core, native and WebAssembly"
build_native native gcc Release && build_wasm || fail "the build failed"
say "4/5 drawing dist/doodles.png: ten classes, eight pictures each"
mkdir -p dist
labels=$(node web/cli.mjs info weights/doodles.gguf --json |
  node -e 'console.log(JSON.parse(require("fs").readFileSync(0)).labels.map((label) => `--label\n${label}`).join("\n"))') ||
  fail "cannot read weights/doodles.gguf"
mapfile -t labels <<<"$labels"
node web/cli.mjs generate --model weights/doodles.gguf "${labels[@]}" --count 8 --seed 1 --output dist/doodles.png </dev/null ||
  fail "drawing failed"
say "5/5 assembling the page in dist/site and in dist/pocket-diffusion.html"
node scripts/site/build_site.mjs </dev/null || fail "assembling the page failed"
unlock
say "ready: dist/doodles.png, dist/site, dist/pocket-diffusion.html (opens without a server)"
[ "$serve" = yes ] || exit 0
exec node_modules/.bin/sirv dist/site --host localhost --port "$port" --no-clear --no-logs
