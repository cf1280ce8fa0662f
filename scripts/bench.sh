#!/usr/bin/env bash
# What the stages cost, beside what others need for comparable work: one run, medians, a Markdown table on stdout. For root
# a second table follows, of what whole runs cost with each engine (scripts/bench-runs.sh).
#   scripts/bench.sh [--quick] [DIR]     DIR: where to work (default: a new directory in target/, removed at the end)
# Needs what building takes, python3, openssl and GNU tar. Rows of skopeo, umoci and the reference implementation on
# Docker (for root on Debian, see scripts/setup-reference.sh) are left out where those are not here. About 20 GiB of disk
# and, on two cores, half an hour; --quick is less of everything. For figures to compare, let the machine do
# nothing else.
# Wall and CPU time, peak memory and bytes are those of the whole process (tests/python/measure.py).
set -euo pipefail
cd "$(dirname "$0")/.."

sizes="64M 256M 1G" files=100000 runs=5 reference=256M quick=
if [ "${1:-}" = --quick ]; then
  sizes="64M" files=10000 runs=1 reference=64M quick=--quick
  shift
fi
home="$PWD"
. scripts/needs.sh
need_to_build
cargo build --release --locked --quiet
pht="$home/target/release/pht-oci"
if [ $# -gt 0 ]; then
  mkdir -p "$1"
  cd "$1"
else
  work="$(mktemp -d "$home/target/bench.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
  cd "$work"
fi
unset STATION_ID PRIVATE_KEY_PATH PRIVATE_KEY_PASSWORD PHT_TRUST_DIR

say() { printf '== %s\n' "$*" >&2; }
bulk() { python3 "$home/tests/python/bulk.py" "$@"; }
# measure WHAT DATA COMMAND...: a row of figures.tsv
measure() {
  local what="$1" data="$2"
  shift 2
  python3 -I "$home/tests/python/measure.py" took.json "$@" >out.log 2>&1 || { cat out.log >&2; exit 1; }
  printf '%s\t%s\t%s\n' "$what" "$data" "$(cat took.json)" >>figures.tsv
}

wires="1.1.1 1.1.2 2.0 3"
prepare() {
  local who
  mkdir -p files
  for who in creator builder first second; do "$pht" --quiet keygen "$who" --bits 2048; done
  echo 'print("train")' >files/main.py
  cat >route.json <<'TEXT'
[{"station": "first", "public_key_file": "first.pub.pem"}, {"station": "second", "public_key_file": "second.pub.pem"}]
TEXT
  : >figures.tsv
}

stage() { "$pht" --quiet --max-files 1000000 "$1" "oci:$2" "oci:$3" --station "$4" --private-key "$4.pem"; }

# train LAYOUT WIRE BASE FILES EACH: tags base, pre (opened at the first station), ran (with results), one (closed).
train() {
  "$pht" --quiet build "oci:$1:base" --base "$3" --files files --route route.json --wire "$2" --creator creator \
    --creator-key creator.pem --builder-key builder.pem --cmd /bin/true
  stage pre-run "$1:base" "$1:pre" first
  bulk layer "$1" pre ran opt/pht_results plain "$4" "$5"
  stage post-run "$1:ran" "$1:one" first
}

# All find what they read in the page cache: systems may take it from there when nobody has read it for a while.
warm() { find "$@" -type f -exec cat {} + >/dev/null; }

# stages LAYOUT WIRE DATA: one run of post-run at the first station, and of pre-run at the second.
stages() {
  rm -rf out
  warm "$1"
  measure "post-run, wire $2" "$3" "$pht" --max-files 1000000 post-run "oci:$1:ran" oci:out:x --station first --private-key first.pem
  rm -rf out
  warm "$1"
  measure "pre-run, wire $2" "$3" "$pht" --max-files 1000000 pre-run "oci:$1:one" oci:out:x --station second --private-key second.pem
  rm -rf out
}

one_file() {
  local size="$1" wire run
  say "one file of $size"
  bulk file plain.bin "$size"
  for wire in $wires; do train "train-$wire" "$wire" scratch 1 "$size"; done
  for run in $(seq "$runs"); do
    warm plain.bin
    measure "\`openssl dgst -sha512\`" "$size" openssl dgst -sha512 plain.bin
    measure "\`openssl dgst -sha256\`" "$size" openssl dgst -sha256 plain.bin
    measure "\`openssl enc -aes-256-cbc\`" "$size" openssl enc -aes-256-cbc -K "$(printf '%064d' 1)" \
      -iv "$(printf '%032d' 1)" -in plain.bin -out enc.bin
    for wire in $wires; do stages "train-$wire" "$wire" "$size"; done
    if command -v skopeo >/dev/null; then
      warm train-2.0
      measure "\`skopeo copy\` of the layout" "$size" skopeo --insecure-policy copy -q oci:train-2.0:one oci:out:x
      rm -rf out
    fi
  done
  if [ "$size" = "$reference" ]; then by_umoci "$size" && by_reference "$size"; fi
  rm -rf train-* plain.bin enc.bin
}

by_umoci() {
  command -v umoci >/dev/null && [ "$(id -u)" = 0 ] || return 0
  say "umoci"
  rm -rf bundle
  measure "\`umoci unpack\` and \`repack\` of the change" "$1" sh -c 'umoci unpack --image train-2.0:pre bundle &&
    mkdir -p bundle/rootfs/opt/pht_results && cp plain.bin bundle/rootfs/opt/pht_results &&
    umoci repack --image train-2.0:umoci bundle'
  rm -rf bundle
}

by_reference() {
  if ! command -v dockerd >/dev/null || [ "$(id -u)" != 0 ]; then
    say "no Docker daemon, or not root: without the reference"
    return
  fi
  local version wire
  eval "$("$home/scripts/setup-reference.sh")"
  for version in 1.1.1 1.1.2 2.0.5; do
    say "the reference, $version"
    wire="${version%.5}"
    by_reference_stage post ran first && by_reference_stage pre one second
  done
}

# The wall time is that of the stage alone, without loading the image into Docker; the rest is the whole process.
by_reference_stage() {
  rm -f stage.seconds
  PHT_REFERENCE_SECONDS="$PWD/stage.seconds" measure "reference $version, $1-run" "$reference" "$PHT_PYTHON" \
    "$home/tests/python/reference.py" "$version" "$1" "train-$wire" "$2" "reference-$1" --station "$3" --key "$3.pem"
  python3 - figures.tsv "$(cat stage.seconds)" <<'PYTHON'
import json, sys
rows = open(sys.argv[1], encoding="utf-8").read().splitlines()
what, data, took = rows[-1].split("\t")
took = json.loads(took) | {"wall": float(sys.argv[2]), "stage": True}
rows[-1] = f"{what}\t{data}\t{json.dumps(took)}"
open(sys.argv[1], "w", encoding="utf-8").write("\n".join(rows) + "\n")
PYTHON
}

many_files() {
  local data="$files files of 1 KiB" wire run
  say "$data"
  bulk tree tree "$files" 1K
  for wire in $wires; do train "train-$wire" "$wire" scratch "$files" 1K; done
  measure "GNU tar, packing and unpacking" "$data" \
    sh -c 'tar -cf tree.tar -C tree . && mkdir unpacked && tar -xf tree.tar -C unpacked'
  for run in $(seq "$runs"); do
    for wire in $wires; do stages "train-$wire" "$wire" "$data"; done
  done
  rm -rf train-* tree unpacked tree.tar
}

a_million_files() {
  local data="999000 files of 16 bytes"
  say "$data"
  train train-million 3 scratch 999000 16
  stages train-million 3 "$data"
  rm -rf train-million
}

small_on_large() {
  local base run
  say "a small payload on a small and on a large base"
  for base in 1M 1G; do
    bulk layer "base-$base" - base usr/share/bulk plain 1 "$base"
    train "train-on-$base" 2.0 "oci:base-$base:base" 1 1M
  done
  for run in $(seq "$runs"); do
    for base in 1M 1G; do stages "train-on-$base" 2.0 "1M on a base of $base"; done
  done
  rm -rf train-* base-*
}

table() {
  python3 - figures.tsv "$runs" "$("$pht" --version)" <<'PYTHON'
import datetime, json, os, platform, statistics, sys
path, runs, version = sys.argv[1:]
groups = {}
for line in open(path, encoding="utf-8"):
    what, data, took = line.rstrip("\n").split("\t")
    groups.setdefault((data, what), []).append(json.loads(took))
cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
today = datetime.date.today().isoformat()
print(f"{version}, {today}: {os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, Linux {platform.release()}; "
      f"medians of {runs} runs (tar, umoci and the reference: one).\n")
print("| data | what | wall (s) | CPU (s) | peak (MiB) | read (MiB) | written (MiB) |")
print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
before = None
for (data, what), rows in groups.items():
    median = lambda of: statistics.median(of(row) for row in rows)
    mib = lambda name: f"{median(lambda row: row[name]) / 2**20:.1f}"
    wall, cpu = median(lambda row: row["wall"]), median(lambda row: row["user"] + row["system"])
    peak = median(lambda row: row["peak"]) / 1024
    shown, before = ("" if data == before else data), data
    print(f"| {shown} | {what} | {wall:.2f} | {cpu:.2f} | {peak:.1f} | {mib('read')} | {mib('written')} |")
print("\nSizes are powers of two. Read and written are what the process asked the system for, page cache included; peaks "
      "below that of the measuring script, about 13 MiB, cannot be seen. Of the reference wall time is the stage alone and the rest its "
      "Python process, with loading and exporting the image; the Docker daemon's share is not in it.")
PYTHON
}

prepare
for size in $sizes; do one_file "$size"; done
many_files
[ "$files" = 10000 ] || a_million_files
small_on_large
table
if [ "$(id -u)" = 0 ]; then
  echo
  PHT_OCI="$pht" "$home/scripts/bench-runs.sh" $quick
fi
