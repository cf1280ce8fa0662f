#!/usr/bin/env bash
# Runs all fuzz targets in tests/fuzz and prints how many inputs each has tried. Inputs that reach
# something new are kept in target/fuzz/corpus for the next run; one that fails is left in target/fuzz/artifacts.
# Then as long as one of them: random layers and archives against umoci, skopeo and podman, where they are here (as root);
# CI leaves that to the test, which always has the same ones.
#   scripts/fuzz.sh [SECONDS]   in total, shared evenly [default: 3600]
#   scripts/fuzz.sh build       only builds them
# Variables: PHT_FUZZ_TARGETS (the names of some targets [default: all]).
# Needs the nightly toolchain: rustup toolchain install nightly
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-3600}"
case "$seconds" in
  build) ;;
  '' | *[!0-9]*) echo "fuzz.sh: SECONDS is a number, not \`$seconds\`" >&2; exit 2 ;;
esac
if ! cargo +nightly --version >/dev/null 2>&1; then
  echo "fuzz.sh: needs: rustup toolchain install nightly" >&2
  exit 2
fi
read -r -a targets <<<"${PHT_FUZZ_TARGETS:-$(sed -n 's/^name = "\([a-z]*\)"$/\1/p' tests/fuzz/Cargo.toml | tr '\n' ' ')}"
export CARGO_TARGET_DIR="$PWD/target/fuzz"
mkdir -p "$CARGO_TARGET_DIR/log"

# The flags that cargo-fuzz sets, without that program: AddressSanitizer, and the coverage that guides libFuzzer.
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
triple="$(rustc +nightly -vV | sed -n 's/^host: //p')"
RUSTFLAGS="$(echo $coverage) -Zsanitizer=address --cfg fuzzing -Ccodegen-units=1" \
  cargo +nightly build --locked --release --quiet --manifest-path tests/fuzz/Cargo.toml --target "$triple" --bins
[ "$seconds" != build ] || exit 0

# As many at once as there are processors.
jobs="$(nproc)"
each=$((seconds * jobs / (${#targets[@]} + jobs)))
[ "$each" -gt 0 ] || each=1

# fuzz TARGET: one line on it; its output if it fails
fuzz() {
  local target="$1" result=ok runs
  local corpus="$CARGO_TARGET_DIR/corpus/$target" artifacts="$CARGO_TARGET_DIR/artifacts/$target/"
  local log="$CARGO_TARGET_DIR/log/$target"
  mkdir -p "$corpus" "$artifacts"
  # A key derivation may take long, and memory is bounded by the readers; 60 s and 1 GiB are beyond both.
  "$CARGO_TARGET_DIR/$triple/release/$target" "$corpus" "tests/fuzz/corpus/$target" \
    -max_total_time="$each" -timeout=60 -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$artifacts" \
    >"$log" 2>&1 || result=FAILED
  runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)"
  printf '%-10s %12s executions in %5s s  %s\n' "$target" "${runs:-0}" "$each" "$result"
  [ "$result" = ok ] && return
  tail -n 40 "$log" >&2
  return 1
}
export -f fuzz
export triple each

status=0
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I {} bash -c 'fuzz {}' || status=1

# Every round has other numbers; what differs is named by its number, which goes into tests/peers/differential/mod.rs.
differential() {
  local first=$((RANDOM * 1000000 + RANDOM)) until=$((SECONDS + each)) rounds=0
  unset CARGO_TARGET_DIR
  cargo test --test peers --no-run >/dev/null 2>&1 || return 1
  while [ "$rounds" = 0 ] || [ "$SECONDS" -lt "$until" ]; do
    PHT_DIFFERENTIAL_FIRST="$first" PHT_DIFFERENTIAL_LAYERS=2000 PHT_DIFFERENTIAL_ARCHIVES=200 CI=true \
      cargo test --test peers are_refused_or_read_alike -- --nocapture || return 1
    first=$((first + 2000)) rounds=$((rounds + 1))
  done
  printf '%-10s %12s layers     in %5s s  ok\n' differential "$((rounds * 2000))" "$each"
}
if [ "${CI:-}" = true ]; then
  : # The test of the same name has held the same numbers against them; CI does not depend on chance.
elif [ "$(id -u)" = 0 ] && command -v umoci >/dev/null && command -v skopeo >/dev/null && command -v podman >/dev/null; then
  log="$CARGO_TARGET_DIR/log/differential"
  differential >"$log" 2>&1 || { status=1; tail -n 40 "$log" >&2; }
  grep -E 'refused|^differential' "$log" || true
else
  echo "fuzz.sh: differential left out: needs root, umoci, skopeo and podman" >&2
fi
exit "$status"
