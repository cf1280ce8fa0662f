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
run_tests() {
  # What is called `python3` may be a script that looks for Python, at each of some thousand calls.
  local python="" shims=""
  if [ "$(head -c 2 "$(command -v python3)" 2>/dev/null)" = '#!' ]; then
    python="$(python3 -c 'import sys; print(sys.executable)')"
    shims="$(mktemp -d)"
    printf '#!/bin/sh\nexec %q "$@"\n' "$python" >"$shims/python3"
    chmod +x "$shims/python3"
    local -x PATH="$shims:$PATH"
  fi
  local status=0
  run_nextest "$@" || status=$?
  [ -z "$shims" ] || rm -rf "$shims"
  return "$status"
}

run_nextest() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --profile ci --no-tests=warn "$@"
  else
    cargo test --locked --no-fail-fast "$@"
  fi
}
