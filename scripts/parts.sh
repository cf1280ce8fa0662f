# Sourced by the scripts that run checks: says what each part is and took, and runs tests.

PARTS="${PHT_PARTS:-$(mktemp)}"
export PHT_PARTS="$PARTS"

say() { printf '\n== %s\n' "$*"; }

# part NAME COMMAND...: runs it, and notes how long it took and whether it went well
part() {
  local name="$1" begin=$SECONDS status=0
  shift
  say "$name"
  "$@" || status=$?
  printf '%s\t%d\t%s\n' "$name" $((SECONDS - begin)) "$([ "$status" = 0 ] && echo ok || echo FAILED)" >>"$PARTS"
  return "$status"
}

# What each part took so far.
print_parts() {
  say "what each part took"
  awk -F'\t' '{ printf "%-44s %4d min %02d s  %s\n", $1, $2 / 60, $2 % 60, $3 }' "$PARTS"
  printf '%-44s %4d min %02d s\n' "all of it, some beside one another" $((SECONDS / 60)) $((SECONDS % 60))
}

# run_tests ARGUMENTS of both `cargo nextest run` and `cargo test`. Nextest runs all tests beside one another, which
# takes half the time; without it everything is run as well.
run_tests() (
  make_place
  trap leave_place EXIT
  export TMPDIR="$place"
  # What is called `python3` may be a script that looks for Python, at each of some thousand calls.
  if [ "$(head -c 2 "$(command -v python3)" 2>/dev/null)" = '#!' ]; then
    python="$(python3 -c 'import sys; print(sys.executable)')"
    mkdir "$place/bin"
    printf '#!/bin/sh\nexec %q "$@"\n' "$python" >"$place/bin/python3"
    chmod +x "$place/bin/python3"
    PATH="$place/bin:$PATH"
  fi
  run_nextest "$@"
)

# Where the tests have their files. They write many small ones that are soon gone, and sync them, which on a disk takes a
# quarter of their time: so it is in memory, where that is large.
make_place() {
  local free within="${TMPDIR:-/tmp}"
  free="$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo 2>/dev/null)"
  [ -z "${TMPDIR:-}" ] && [ "${free:-0}" -ge 12 ] || free=0
  if [ "$free" != 0 ] && [ "$(id -u)" != 0 ] && [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ]; then
    within=/dev/shm
  fi
  # Small letters: Buildah makes a name of it.
  place="$within/$(mktemp -u t.XXXXXXXX | tr '[:upper:]' '[:lower:]')"
  mkdir -m 700 "$place"
  if [ "$free" != 0 ] && [ "$(id -u)" = 0 ]; then
    mount -t tmpfs -o "size=$((free * 3 / 4))G" tests "$place" 2>/dev/null || echo "the tests' files are on the disk"
  fi
  # Some tests are other users.
  chmod 1777 "$place"
}

leave_place() {
  if mountpoint -q "$place"; then umount "$place" 2>/dev/null || umount --lazy "$place"; fi
  rm -rf --one-file-system "$place"
}

run_nextest() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --profile ci --no-tests=warn "$@"
  else
    cargo test --locked --no-fail-fast "$@"
  fi
}
