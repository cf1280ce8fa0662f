#!/usr/bin/env bash
# What to run while working on the program: format, lints, documentation, unit tests, and the tests that need nothing but
# this package. What needs more (engines, registries, the reference, root) is in scripts/test.sh.
#   scripts/check.sh [arguments of cargo nextest or cargo test, for the tests]
# Of the long tables of changes and attacks one row in twenty is tried; PHT_ROWS=1 tries all, as CI does. Alone it builds
# the portable program, which takes no C compiler and the shorter time; called by scripts/test.sh, the one that is released.
# Tests that Python or OpenSSL judge are left out, and named, where those are missing; with CI=true that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/needs.sh
. scripts/parts.sh

# What the lints are run with.
need_lints() {
  local part
  for part in fmt clippy; do
    cargo "$part" --version >/dev/null 2>&1 || { echo "cargo $part is missing: rustup component add rustfmt clippy" >&2; exit 2; }
  done
}

document() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet "${features[@]}"; }

need_rust
need_lints
# A script that calls this one has set the file, and prints it.
outer="${PHT_LEFT_OUT:-}"
features=()
if [ -z "$outer" ]; then
  features=(--no-default-features --features portable)
  PHT_LEFT_OUT="$(mktemp)"
  export PHT_LEFT_OUT
  trap 'rm -f "$PHT_LEFT_OUT" "$PARTS"' EXIT
fi

status=0
part "format" cargo fmt --all --check || status=1
part "lints" cargo clippy --locked --workspace --all-targets --quiet "${features[@]}" -- -D warnings || status=1
part "documentation" document || status=1
# Many of them wait, none for an engine.
NEXTEST_TEST_THREADS=6 part "tests that need nothing else" run_tests "${features[@]}" --lib --bins --test it "$@" || status=1
part "examples in the documentation" cargo test --locked --doc --quiet "${features[@]}" || status=1

if [ -z "$outer" ]; then
  if [ -s "$PHT_LEFT_OUT" ]; then
    say "left out"
    sort -u "$PHT_LEFT_OUT"
  fi
  print_parts
  [ "$status" = 0 ] && say "all checks are well" || say "something FAILED; see above"
fi
exit "$status"
