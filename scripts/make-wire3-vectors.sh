#!/usr/bin/env bash
# Makes testdata/wire-3: a train of three stations with all keys, as built and after each stop (tags 0 to 3), and
# values.json with every value on the way, all by the second implementation (tests/python/wire3_peer.py). Keys that are
# there stay; salts, stage keys and signatures are new every time.
#
#   scripts/make-wire3-vectors.sh
#
# Needs python3 with the package cryptography (PHT_PYTHON, if that is another one).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PHT_PYTHON:-python3}
layout_py=$PWD/tests/python/layout.py
peer_py=$PWD/tests/python/wire3_peer.py
out=$PWD/testdata/wire-3
export SOURCE_DATE_EPOCH=1700000000 PYTHONDONTWRITEBYTECODE=1

rm -rf "$out/layout" "$out/values.json"
mkdir -p "$out/keys"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" - "$out/keys" creator builder station_1 station_2 station_3 <<'PYTHON'
import os, sys
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa
for name in sys.argv[2:]:
    private, public = (os.path.join(sys.argv[1], name + end) for end in (".pem", ".pub.pem"))
    if os.path.exists(private) and os.path.exists(public):
        continue
    key = rsa.generate_private_key(65537, 2048)
    with open(private, "wb") as file:
        file.write(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    with open(public, "wb") as file:
        file.write(key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
PYTHON

cd "$work" # so that the train names its master image without a place of this machine

# One file at, just before and just after each boundary of a chunk. The bytes are those of SHA-512 in counter mode, so
# that nobody has to take them from here.
mkdir -p files/lib
"$python" - files <<'PYTHON'
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
echo '{"query": {"resource": "Patient"}}' > files/query.json
chmod 644 files/query.json
cat > spec.json <<JSON
{"id": "urn:example:train:1", "proposal_id": "7", "files": "files", "command": ["/usr/bin/python3", "/opt/pht_train/main.py"],
 "creator": {"id": "alice", "key": "$out/keys/creator.pem"}, "builder": {"key": "$out/keys/builder.pem"},
 "route": [{"station": "station_1", "eco_system": "tue", "key": "$out/keys/station_1.pem"},
  {"station": 2, "eco_system": "padme", "key": "$out/keys/station_2.pem"},
  {"station": "Universit\u00e4t \ud83d\ude82 \"3\"", "eco_system": "tue", "key": "$out/keys/station_3.pem"}]}
JSON

"$python" "$layout_py" base base base
"$python" "$peer_py" build layout 0 --base base:base --spec spec.json
for stop in 1 2 3; do
  mkdir -p "results-$stop/sub"
  echo "sum after stop $stop" > "results-$stop/sum.txt"
  : > "results-$stop/sub/empty"
  chmod -R u=rwX,go=rX "results-$stop"
  "$python" "$peer_py" stop layout "$((stop - 1))" "$stop" --key "$out/keys/station_$stop.pem" --results "results-$stop"
done

for state in 0 1 2 3; do
  "$python" "$layout_py" only layout "$state" "$out/layout" "$state"
  "$python" "$peer_py" open "$out/layout" "$state" --key "$out/keys/creator.pem" --out "open-$state" > "$state.json"
done
"$python" - > "$out/values.json" <<'PYTHON'
import json, sys
states = [json.load(open(f"{state}.json", encoding="utf-8")) for state in range(4)]
json.dump({"comment": "made by scripts/make-wire3-vectors.sh", "states": states}, sys.stdout, indent=1)
print()
PYTHON
du -sh "$out"
