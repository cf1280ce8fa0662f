#!/usr/bin/env bash
# The library in each set of features: what a program that uses it may build, and what of C and of other crates is not
# drawn in. No C compiler is called: any attempt fails.
#   scripts/features.sh [--quick]     --quick: builds and looks at dependencies, runs no tests
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/needs.sh
need_rust
export CC=false CXX=false
status=0
fail() { echo "features.sh: $*" >&2; status=1; }

# tree FEATURES: the crates that are built with these, build scripts and what they need included
tree() { cargo tree --locked --no-default-features --features "$1" --edges normal,build --prefix none --format '{p}' | cut -d' ' -f1 | sort -u; }

# without NAME FEATURES CRATES...: none of the crates is drawn in
without() {
  local name="$1" features="$2" crate
  shift 2
  for crate in "$@"; do
    if grep -qx "$crate" <<<"$(tree "$features")"; then fail "$name builds $crate"; fi
  done
}

cli=(clap clap_complete clap_mangen indicatif signal-hook tracing-subscriber)
network=(reqwest hyper rustls tokio)
c=(cc cmake aws-lc-sys openssl-sys openssl-src zstd-sys ring bindgen)
without "a bare library" "" "${cli[@]}" "${network[@]}" "${c[@]}"
without "a library with registries" registry "${cli[@]}" "${c[@]}"
without "a library with engines" engines "${cli[@]}" "${network[@]}" "${c[@]}"
without "the portable program" portable "${c[@]}"

for features in "" registry engines "registry engines" cli portable; do
  echo "features: ${features:-none}"
  cargo check --locked --quiet --no-default-features --features "$features" || fail "does not build with: ${features:-none}"
done
if [ "${1:-}" != --quick ]; then
  for features in "" registry portable; do
    echo "tests of the library with: ${features:-none}"
    cargo test --locked --quiet --no-default-features --features "$features" --lib || fail "its tests fail with: ${features:-none}"
  done
fi
exit "$status"
