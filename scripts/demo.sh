#!/usr/bin/env bash
# A whole journey: builds a train, carries it over three stations, and shows the creator the results.
# Needs Rust: no root, no container engine, no network once the crates are there. Where a C compiler, make or Perl is
# missing, root on Debian gets them installed; for anybody else the program is built with the portable crates.
#   scripts/demo.sh [--program PROGRAM] [DIR]
# DIR keeps everything that was made; without it all goes at the end. PROGRAM is used as it is, and nothing is built.
set -euo pipefail
cd "$(dirname "$0")/.."
program=
if [ "${1:-}" = --program ]; then
  program="$(realpath "$(type -P "${2:?}")")"
  shift 2
else
  . scripts/needs.sh
  need_to_build_somehow
fi

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

if [ -z "$program" ]; then
  say "Building pht-oci (a few minutes the first time)"
  cargo build --release --locked --quiet "${BUILD_OPTIONS[@]}"
  program="$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/release/pht-oci"
fi
pht-oci() { "$program" "$@"; }

if [ $# -gt 0 ]; then
  mkdir -p "$1"
  cd "$1"
else
  work="$(mktemp -d)"
  trap 'rm -rf "$work"' EXIT
  cd "$work"
fi

say "Everyone makes a key pair: three hospitals, the creator of the train, and the service that builds it"
for who in hospital_a hospital_b hospital_c creator builder; do
  run pht-oci --quiet keygen "$who" --bits 2048
done

say "The creator writes an algorithm and a route. Each hospital adds its own patients to a count"
mkdir -p algorithm
cat >algorithm/count.sh <<'TEXT'
#!/bin/sh
# Usage: count.sh RESULTS PATIENTS
set -e
total=$(cat "$1/total" 2>/dev/null || echo 0)
echo $((total + $(wc -l <"$2"))) >"$1/total"
echo "added $(wc -l <"$2") patients" >>"$1/journal.txt"
TEXT
cat >route.json <<'TEXT'
[
  {"station": "hospital_a", "public_key_file": "hospital_a.pub.pem"},
  {"station": "hospital_b", "public_key_file": "hospital_b.pub.pem"},
  {"station": "hospital_c", "public_key_file": "hospital_c.pub.pem"}
]
TEXT
run cat algorithm/count.sh

say "The builder makes the train: an OCI image in a directory, on an empty base here, on a master image in life"
run pht-oci build ./train --base scratch --files algorithm --route route.json \
  --creator creator --creator-key creator.pem --builder-key builder.pem --cmd /bin/sh /opt/pht_train/count.sh
run pht-oci inspect ./train

for who in hospital_a hospital_b hospital_c; do
  say "The train is at $who: verify it and open the results of those before"
  run pht-oci pre-run ./train --private-key "$who.pem" --results "results-at-$who"

  say "It runs on the patients of $who (here as a plain script; in life in a container without network)"
  seq 1 $((RANDOM % 900 + 100)) >"patients-of-$who"
  run sh algorithm/count.sh "results-at-$who" "patients-of-$who"

  say "$who signs the results and encrypts them for those who come next"
  run pht-oci post-run ./train --private-key "$who.pem" --results "results-at-$who"
  rm -r "results-at-$who"
done

say "What travelled holds no plaintext"
if grep -rqa "added .* patients" ./train; then
  echo "a result was found in plaintext" >&2
  exit 1
fi
echo "no blob of ./train contains a line of journal.txt"

say "The creator reads the results"
run pht-oci inspect ./train
run pht-oci results ./train --private-key creator.pem --out ./results
run cat results/journal.txt results/total
