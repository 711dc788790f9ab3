#!/usr/bin/env bash
# Makes the files of a release, and checks them; publishes nothing.
#
#   scripts/release.sh VERSION
#
# Needs a clean work tree and a section "## VERSION" in CHANGELOG.md. Writes the version into every file that
# carries it (scripts/checks/version.mjs), builds, and leaves in dist/release the npm package, the wheel of the Python
# package, the site as a zip, and their SHA-256. Then it says what is left to do.

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

case ${1-} in
  -h | --help | "") sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit $(( $# == 0 ? 2 : 0 )) ;;
esac
version=$1
[ $# = 1 ] || fail "one version (see --help)"
[ -z "$(git status --porcelain)" ] || fail "the work tree has changes that are not committed"
grep -q "^## $version\b" CHANGELOG.md || fail "CHANGELOG.md has no section ## $version"

lock
packages compilers python
npm_packages
python_packages python/requirements.txt python/requirements-training.txt
docs_packages || fail "the site needs its documentation"
node scripts/checks/version.mjs "$version"
say "building"
build_native native gcc Release && build_wasm || fail "the build failed"
rm -rf dist && mkdir -p dist/release
node scripts/site/build_site.mjs
say "packing"
quietly npm-pack npm pack --pack-destination dist/release || fail "npm pack failed"
quietly wheel .venv/bin/python -m pip --no-input --disable-pip-version-check wheel --no-deps --wheel-dir dist/release ./python || fail "the wheel failed"
.venv/bin/python -c 'import shutil; shutil.make_archive("dist/release/pocket-diffusion-site", "zip", "dist/site")'
say "checking"
quietly publint node_modules/.bin/publint --strict dist/release/*.tgz || fail "publint complains"
quietly wheel-check .venv/bin/python -m pytest tests/python/test_package.py -q -p no:cacheprovider || fail "the wheel does not work by itself"
unlock
(cd dist/release && sha256sum -- * | tee SHA256SUMS)
say "left to do: scripts/test.sh; git commit -am 'Version $version'; git tag v$version; npm publish and twine upload of the files above"
