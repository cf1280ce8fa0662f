#!/usr/bin/env bash
# What `run` costs on bases of several sizes, beside the same container started by hand: a Markdown table on stdout.
#   scripts/bench-runs.sh [--quick] [DIR]     DIR: where to work (default: a new directory in target/, removed at the end)
# Needs root, python3, a static busybox, util-linux, and the engines: podman, docker, runc, ch-run; one that is not here is
# left out. PHT_OCI is the program (default: target/release/pht-oci, which is built), PHT_SIZES the sizes of the bases,
# PHT_ENGINES the engines. Takes three times the largest size of disk. Every figure is the least of several,
# taken in turn with those that it is held against: on a machine that does something else, too, that is the fairest.
# The base of an engine is loaded by the first run, and stays. "First" is that run beside `podman pull` of the same layout
# into an empty store. Ordinary users are without rights, but for Podman's further users.
set -euo pipefail
cd "$(dirname "$0")/.."

sizes="${PHT_SIZES:-1M 1G 4G}" runs=7
if [ "${1:-}" = --quick ]; then
  sizes="${PHT_SIZES:-1M 1G}" runs=3
  shift
fi
home="$PWD"
if [ -z "${PHT_OCI:-}" ]; then
  . scripts/needs.sh
  need_to_build
  cargo build --release --locked --quiet
fi
pht="$(realpath "${PHT_OCI:-target/release/pht-oci}")"
work="${1:-$(mktemp -d "$home/target/bench.XXXXXX")}"
mkdir -p "$work"
cd "$work"
work="$PWD"
# Podman cannot clean up behind a container, and waits 20 seconds for that, where the path of its runtime directory is long.
short="$(mktemp -d /tmp/pht.XXXXXX)"
chmod 755 "$short"
user=54321
unset STATION_ID PRIVATE_KEY_PATH PRIVATE_KEY_PASSWORD PHT_TRUST_DIR XDG_RUNTIME_DIR

say() { printf '== %s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null; }
wanted() { has "$1" && case " ${PHT_ENGINES:-podman runc docker ch-run} " in *" $1 "*) ;; *) false ;; esac; }

clean_up() {
  local pid
  pid="$(cat "$short/ordinary/libpod/tmp/pause.pid" 2>/dev/null || true)"
  [ -z "$pid" ] || kill "$pid" || true
  if has docker && docker info >/dev/null 2>&1; then
    docker images --quiet --filter reference=localhost/pht-oci/base | sort -u | xargs -r docker rmi --force >/dev/null || true
  fi
  for mounted in "$work"/{root,ordinary}/store/overlay; do umount --quiet "$mounted" 2>/dev/null || true; done
  cd "$home"
  rm -rf "$work" "$short"
}
trap clean_up EXIT

# A place for each user, with stores of its own.
place() {
  mkdir -p "$1"/{state,cache,home} "$short/$1"
  chmod 700 "$short/$1"
  printf '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n' >"$1/containers.conf"
  printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$work/$1/store" "$work/$1/run" >"$1/storage.conf"
}

# as WHO COMMAND...
as() {
  local who="$1" there="$work/$1"
  shift
  set -- env HOME="$there/home" XDG_STATE_HOME="$there/state" XDG_CACHE_HOME="$there/cache" XDG_RUNTIME_DIR="$short/$who" \
    CONTAINERS_CONF="$there/containers.conf" CONTAINERS_STORAGE_CONF="$there/storage.conf" USER="$who" "$@"
  if [ "$who" = root ]; then
    "$@"
  else
    # The user exists for this command alone.
    unshare --mount --propagation private /bin/sh -euc 'there=$1 user=$2; shift 2
      for name in passwd group subuid subgid; do mount --bind "$there/$name" "/etc/$name"; done
      exec setpriv --reuid "$user" --regid "$user" --clear-groups "$@"' sh "$there" "$user" "$@"
  fi
}

accounts() {
  { cat /etc/passwd; echo "pht:x:$user:$user::$work/ordinary/home:/bin/sh"; } >ordinary/passwd
  { cat /etc/group; echo "pht:x:$user:"; } >ordinary/group
  echo "pht:200000:65536" | tee ordinary/subuid >ordinary/subgid
}

# base LAYOUT SIZE: an image with busybox and a layer of this size.
base() {
  python3 -I - "$1" <<'PYTHON'
import hashlib, io, json, os, shutil, sys, tarfile
layout, oci = sys.argv[1], "application/vnd.oci.image."
os.makedirs(f"{layout}/blobs/sha256")
def blob(data, kind=None):
    name = hashlib.sha256(data).hexdigest()
    with open(f"{layout}/blobs/sha256/{name}", "wb") as file:
        file.write(data)
    return {"mediaType": oci + kind, "digest": f"sha256:{name}", "size": len(data)}
layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w") as tar:
    for name in ("bin", "etc", "opt", "tmp", "proc", "sys", "dev"):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
    entry = tarfile.TarInfo("bin/busybox")
    with open(shutil.which("busybox"), "rb") as file:
        data = file.read()
    entry.size, entry.mode = len(data), 0o755
    tar.addfile(entry, io.BytesIO(data))
layer = blob(layer.getvalue(), "layer.v1.tar")
config = {"architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine], "os": "linux", "config": {},
          "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}, "history": [{"created_by": "busybox"}]}
config = blob(json.dumps(config).encode(), "config.v1+json")
manifest = {"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": config, "layers": [layer]}
manifest = blob(json.dumps(manifest).encode(), "manifest.v1+json")
manifest["annotations"] = {"org.opencontainers.image.ref.name": "busybox"}
for name, document in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", {"schemaVersion": 2, "manifests": [manifest]})):
    with open(f"{layout}/{name}", "w", encoding="ascii") as file:
        json.dump(document, file)
PYTHON
  python3 "$home/tests/python/bulk.py" layer "$1" busybox base usr/share/bulk plain 16 "$(($(numfmt --from=iec "$2") / 16))"
}

# seconds COMMAND...: what it took, wall time.
seconds() {
  local begin="$EPOCHREALTIME"
  "$@" >out.log 2>&1 || { echo "failed: $*" >&2; cat out.log >&2; exit 1; }
  echo "$begin $EPOCHREALTIME" | awk '{ printf "%.3f\n", $2 - $1 }'
}

# note SIZE ENGINE WHO WHAT COMMAND...: notes what the command, which prints seconds, says.
note() {
  local row="$1	$2	$3	$4" took
  shift 4
  took="$("$@")"
  printf '%s\t%s\n' "$row" "$took" >>"$work/figures.tsv"
}

# ours LAYOUT ENGINE WHO: a whole stop. The result is another tag of the layout: nothing is copied that is there.
ours() { as "$3" "$pht" --quiet run "oci:$work/$3/$1:t" "oci:$work/$3/$1:out" --engine "$2" --private-key "$work/$3/s.pem"; }

# by_hand ENGINE WHO SIZE: the same program in a container on the same base, as one would start it.
by_hand() {
  local image root
  case "$1" in
  podman)
    image="$(as "$2" podman images --quiet --filter reference=localhost/pht-oci/base | head -n 1)"
    seconds as "$2" podman run --rm --network none "$image" /bin/busybox true
    ;;
  docker)
    image="$(docker images --quiet --filter reference=localhost/pht-oci/base | head -n 1)"
    seconds docker run --rm --network none --entrypoint /bin/busybox "$image" true
    ;;
  runc)
    root="$(echo "$work/$2"/cache/pht-oci/roots/*/rootfs)"
    rm -rf "$2/bundle"
    as "$2" mkdir "$work/$2/bundle"
    if [ "$2" = root ]; then (cd "$2/bundle" && as "$2" runc spec); else (cd "$2/bundle" && as "$2" runc spec --rootless); fi
    sed -i "s|\"path\": \"rootfs\"|\"path\": \"$root\"|; s|\"terminal\": true|\"terminal\": false|; s|\"sh\"|\"/bin/busybox\", \"true\"|" "$2/bundle/config.json"
    seconds as "$2" runc --root "$work/$2/runc" run --bundle "$work/$2/bundle" by-hand
    ;;
  charliecloud)
    root="$(echo "$work/$2"/cache/pht-oci/roots/*/rootfs)"
    seconds as "$2" ch-run --no-passwd "$root" -- /bin/busybox true
    ;;
  esac
}

# forget WHO: as if nothing had run there.
forget() { as "$1" "$pht" --quiet cache prune >/dev/null; }

compare() {
  local size="$1" engine="$2" who="$3" run
  say "$engine, $who, $size"
  note "$size" "$engine" "$who" first seconds ours "$train" "$engine" "$who"
  for run in $(seq "$runs"); do
    note "$size" "$engine" "$who" hand by_hand "$engine" "$who" "$size"
    note "$size" "$engine" "$who" ours seconds ours "$train" "$engine" "$who"
  done
  forget "$who"
}

# first SIZE: beside `podman pull`, each into an empty store, in turn.
first() {
  local size="$1" run
  say "first run, $size"
  for run in 1 2 3; do
    note "$size" podman root pull seconds as root podman pull --quiet "oci:root/$train:base"
    as root podman rmi --all --force >/dev/null 2>&1
    note "$size" podman root first seconds ours "$train" podman root
    forget root
  done
}

place root
place ordinary
accounts
mkdir files
echo true >files/main.sh
for name in creator builder s; do "$pht" --quiet keygen "$name" --bits 2048; done
echo '[{"station": "s", "public_key_file": "s.pub.pem"}]' >route.json
cp s.pem root
cp s.pem ordinary
chmod 755 "$work"
chown "$user" "$short/ordinary"
: >figures.tsv
for size in $sizes; do
  # In one layout, and in lower case: Podman takes the path, here from $work, for a name.
  train="train-${size,,}"
  base "root/$train" "$size"
  "$pht" --quiet build "oci:root/$train:t" --base "oci:root/$train:base" --files files --route route.json --creator creator \
    --creator-key creator.pem --builder-key builder.pem --cmd /bin/busybox true
  cp -rl "root/$train" ordinary
  chown -R "$user:$user" ordinary
  if wanted podman; then
    first "$size"
    compare "$size" podman root
    compare "$size" podman ordinary
  fi
  if wanted runc; then
    compare "$size" runc root
    compare "$size" runc ordinary
  fi
  if wanted docker && docker info >/dev/null 2>&1; then compare "$size" docker root; fi
  if wanted ch-run; then compare "$size" charliecloud ordinary; fi
  rm -rf "root/$train" "ordinary/$train"
done

python3 -I - figures.tsv "$("$pht" --version)" <<'PYTHON'
import datetime, os, platform, sys
least = {}
for line in open(sys.argv[1], encoding="utf-8"):
    size, engine, who, what, took = line.split()
    key = (size, engine, who, what)
    least[key] = min(float(took), least.get(key, float("inf")))
rows = list(dict.fromkeys(key[:3] for key in least))
print(f"{sys.argv[2]}, {datetime.date.today().isoformat()}: {os.cpu_count()} cores, Linux {platform.release()}; seconds, each the "
      "least of several.\n")
print("| base | engine | as | by hand | `run` | more | first run | `podman pull` |")
print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |")
for row in rows:
    hand, ours, first, pull = (least.get((*row, what)) for what in ("hand", "ours", "first", "pull"))
    shown = [f"{value:.2f}" if value is not None else "" for value in (hand, ours, ours - hand, first, pull)]
    print("| " + " | ".join([*row, *shown]) + " |")
PYTHON
