#!/usr/bin/env bash
# Makes testdata/wire-3: a train of three stations with all keys, as built and after each stop (tags 0 to 3), and
# values.json with every value on the way as the second implementation (tests/python/wire3_peer.py) computes it. The keys,
# salts and signatures are new every time.
#
#   scripts/make-wire3-vectors.sh [PROGRAM]
#
# Needs python3 with the package cryptography (PHT_PYTHON, if that is another one).
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/debug/pht-oci}")
python=${PHT_PYTHON:-python3}
layout_py=$PWD/tests/python/layout.py
peer_py=${PHT_PEER:-$PWD/tests/python/wire3_peer.py}
out=$PWD/testdata/wire-3
export SOURCE_DATE_EPOCH=1700000000

rm -rf "$out"
mkdir -p "$out/keys"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for name in station_1 station_2 station_3 creator builder; do
  "$program" -q keygen "$out/keys/$name" --bits 2048
done

cd "$work" # so that the train names its master image without a place of this machine

# One file at, just before and just after each boundary of a chunk. The bytes are those of SHA-512 in counter mode, so
# that nobody has to take them from here.
mkdir -p "$work/files/lib"
"$python" - "$work/files" <<'PYTHON'
import hashlib, os, sys
for size in (0, 1, 65535, 65536, 65537, 131072):
    data = b"".join(hashlib.sha512(b"%d:%d" % (size, n)).digest() for n in range(size // 64 + 1))[:size]
    name = os.path.join(sys.argv[1], f"lib/{size}.bin")
    with open(name, "wb") as out:
        out.write(data)
    os.chmod(name, 0o644)
with open(os.path.join(sys.argv[1], "main.py"), "w") as out:
    out.write("print('wire 3')\n")
os.chmod(os.path.join(sys.argv[1], "main.py"), 0o755)
PYTHON
echo '{"query": {"resource": "Patient"}}' > "$work/query.json"
cat > "$work/route.json" <<JSON
[{"station": "station_1", "eco_system": "tue", "public_key_file": "$out/keys/station_1.pub.pem"},
 {"station": 2, "eco_system": "padme", "public_key_file": "$out/keys/station_2.pub.pem"},
 {"station": "Universit\u00e4t \ud83d\ude82 \"3\"", "eco_system": "tue", "public_key_file": "$out/keys/station_3.pub.pem"}]
JSON

"$python" "$layout_py" base "$work/base" base
"$program" -q build "oci:layout:0" --base "oci:base:base" --files "$work/files" --query "$work/query.json" \
  --route "$work/route.json" --creator alice --creator-key "$out/keys/creator.pem" \
  --builder-key "$out/keys/builder.pem" --id urn:example:train:1 --proposal 7 --wire 3
for stop in 1 2 3; do
  results=$work/results-$stop key=$out/keys/station_$stop.pem
  mkdir -p "$results/sub"
  echo "sum after stop $stop" > "$results/sum.txt"
  : > "$results/sub/empty"
  "$program" -q pre-run "oci:layout:$((stop - 1))" "oci:layout:open" --private-key "$key"
  "$python" "$layout_py" append "$work/layout" open ran --opaque "opt/pht_results=$results"
  "$program" -q post-run "oci:layout:ran" "oci:layout:$stop" --private-key "$key"
done

for state in 0 1 2 3; do
  "$python" "$layout_py" only "$work/layout" "$state" "$out/layout" "$state"
  "$python" "$peer_py" open "$out/layout" "$state" --key "$out/keys/creator.pem" --out "$work/open-$state" \
    > "$work/$state.json"
done
"$python" - "$work" > "$out/values.json" <<'PYTHON'
import json, sys
states = [json.load(open(f"{sys.argv[1]}/{state}.json", encoding="utf-8")) for state in range(4)]
json.dump({"comment": "made by scripts/make-wire3-vectors.sh", "states": states}, sys.stdout, indent=1)
print()
PYTHON
du -sh "$out"
