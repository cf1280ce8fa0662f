#!/usr/bin/env bash
# Makes testdata/vectors anew: for each wire version a small train that the reference built and carried over two
# stations, one tag a state (0-built; then s-pre, s-ran, s-post), and its keys. Needs what setup-reference.sh needs.
set -euo pipefail

top="$(cd "$(dirname "$0")/.." && pwd)"
out="$top/testdata/vectors"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
environment="$("$top/scripts/setup-reference.sh")"
eval "$environment"
layout() { python3 "$top/tests/python/layout.py" "$@"; }
reference() { "$PHT_PYTHON" "$top/tests/python/reference.py" "$@"; }

# Deletions need a program in the image; the second station adds and changes only.
results() {
  local dir="$work/results"
  mkdir -p "$dir/sub" "$dir/sub-a" "$dir/empty directory"
  printf 'RESULT-PLAINTEXT-MARKER station %s\n' "$1" >>"$dir/result.txt"
  printf 'nested\n' >"$dir/sub/x"
  printf 'sibling %s\n' "$1" >"$dir/sub-a/y"
  printf 'dotted\n' >"$dir/sub.txt"
  printf 'hidden\n' >"$dir/.hidden"
  printf 'umlaut\n' >"$dir/ü name"
  : >"$dir/empty"
  ln -sfn result.txt "$dir/link"
  chmod 750 "$dir/sub/x"
}

cat >"$work/spec.json" <<'SPEC'
{"stations": ["station_1", "station_2"],
 "files": {"entrypoint.sh": "#!/bin/sh\n# TRAIN-PLAINTEXT-MARKER\n", "lib/helper.py": "print('help')\n"}}
SPEC

layout base "$work/base" base
rm -rf "$out"
for version in 1.1.1 1.1.2 2.0.5; do
  dir="$out/$version"
  mkdir -p "$dir"
  rm -rf "$work/results"
  reference "$version" build "$dir/layout" 0-built --keys "$dir/keys" --base "$work/base:base" --spec "$work/spec.json"
  layout tag "$dir/layout" 0-built base
  previous=0-built
  for s in 1 2; do
    key="$dir/keys/station_$s.pem"
    results "$s"
    reference "$version" pre "$dir/layout" "$previous" "$s-pre" --station "station_$s" --key "$key"
    reference "$version" put "$dir/layout" "$s-pre" "$s-ran" --results "$work/results"
    reference "$version" post "$dir/layout" "$s-ran" "$s-post" --station "station_$s" --key "$key"
    previous="$s-post"
  done
done
chmod -R u+rw,go+r "$out"
du -sh --apparent-size "$out"
