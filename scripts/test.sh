#!/usr/bin/env bash
# All checks of this project: scripts/check.sh, what needs other programs, a release, the dependencies, the fuzz targets.
# As root on Debian it installs what the tests hold the program against (Docker, Podman, skopeo, umoci, the reference
# implementation, more registries, Airflow) and runs everything; otherwise it runs what needs no missing peer and names
# what it left out.
# With CI=true anything left out is a failure.
#   scripts/test.sh [arguments of cargo nextest or cargo test, which then run without the fuzz targets]
# Variables: PHT_VECTORS (a directory with more vectors), PHT_REFERENCE_HOME (default ~/.cache/pht-reference).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/needs.sh
. scripts/parts.sh

# command:package, for what the tests call.
PEERS="dockerd:docker.io skopeo:skopeo umoci:umoci podman:podman buildah:buildah runc:runc ch-run:charliecloud conmon:conmon newuidmap:uidmap
  setfattr:attr zstd:zstd openssl:openssl curl:curl strace:strace docker-registry:docker-registry
  htpasswd:apache2-utils python3:python3 groff:groff-base busybox:busybox-static bsdtar:libarchive-tools
  mmdebstrap:mmdebstrap debootstrap:debootstrap pigz:pigz flock:util-linux pgrep:procps chromium:chromium"

install_peers() {
  local missing=() pair
  # Where tests give a user further ones; newer systems have the files from the beginning.
  touch /etc/subuid /etc/subgid
  for pair in $PEERS; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  command -v docker >/dev/null || missing+=(docker-cli)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  [ -f /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing ${missing[*]}"
  apt-get update -qq
  # docker-cli is a package of its own only on newer systems; elsewhere docker.io has the client.
  apt-cache show docker-cli >/dev/null 2>&1 || missing=("${missing[@]/docker-cli/docker.io}")
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What waits for the network and disks rather than for a processor, and so runs while the release is compiled.
set_up() {
  part "other programs" install_peers
  part "reference implementation" set_up_reference
  part "registries" set_up_registries
  part "Airflow" set_up_airflow
  part "Python packages" set_up_python
  part "algorithms" set_up_algorithms
}

set_up_reference() { scripts/setup-reference.sh >"$work/reference.env"; }
set_up_python() { scripts/setup-python.sh >"$work/python.env"; }
set_up_registries() { scripts/setup-registries.sh >"$work/registries.env"; }
set_up_algorithms() { scripts/setup-algorithms.sh >"$work/algorithms.env"; }
set_up_airflow() { scripts/setup-airflow.sh >"$work/airflow.env"; }

leave_out() { echo "left out: $1: needs $2" | tee -a "$PHT_LEFT_OUT"; }

# Called a few times, it need not be fast: without optimisation and debug information it is built in half the time.
install_cargo_deny() {
  command -v cargo-deny >/dev/null || CARGO_PROFILE_DEV_DEBUG=0 cargo install --locked --debug --quiet cargo-deny
}

# What compiles while the release does, which for minutes is at work on one crate and leaves a processor idle.
compile_beside_the_release() {
  part "cargo-deny" install_cargo_deny || echo "cargo-deny cannot be installed"
  check_features
}

check_features() { part "library in each set of features" scripts/features.sh --quick; }

# Licences, bans and sources of all dependencies; advisories where their database can be had.
check_dependencies() {
  if ! command -v cargo-deny >/dev/null; then
    leave_out "cargo deny check" cargo-deny
    return
  fi
  cargo deny --log-level error check --allow duplicate licenses bans sources || return
  if cargo deny --log-level off fetch db 2>/dev/null; then
    cargo deny --log-level error check --disable-fetch advisories
  else
    echo "no advisories were looked at: their database cannot be fetched from here"
  fi
}

# Compiled while the tests run, many of which wait for disks and daemons.
build_fuzz_targets() {
  cargo +nightly --version >/dev/null 2>&1 || return 0
  nice -n 10 scripts/fuzz.sh build >"$work/fuzz.log" 2>&1 || cat "$work/fuzz.log" >&2
}

# A few seconds of each fuzz target.
fuzz() {
  wait "$building_fuzz_targets"
  if cargo +nightly --version >/dev/null 2>&1; then
    scripts/fuzz.sh 35
  else
    leave_out scripts/fuzz.sh "the nightly toolchain"
  fi
}

# OpenSSL as it was built for the release serves the other builds of CI too: its source is compiled once, not twice. Only
# there, since to come and go with it is what has it compiled anew.
reuse_openssl() {
  [ "${CI:-}" = true ] || return 0
  local built=(target/release-build/*/release/build/openssl-sys-*/out/openssl-build/install)
  if [ -d "${built[0]}" ]; then
    export OPENSSL_NO_VENDOR=1 OPENSSL_STATIC=1 OPENSSL_DIR="$PWD/${built[0]}"
  fi
}

need_to_build
work="$(mktemp -d)"
export PHT_LEFT_OUT="$work/left-out"
trap 'rm -rf "$work" "$PARTS"' EXIT
status=0
# Nothing is changed and built again in CI, and without what that would need it is built in less time.
[ "${CI:-}" != true ] || export CARGO_INCREMENTAL=0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  # The image of the release has the certificate authorities in it.
  [ -f /etc/ssl/certs/ca-certificates.crt ] || part "other programs" install_peers
  set_up >"$work/set-up.log" 2>&1 &
  setting_up=$!
  compile_beside_the_release >"$work/beside.log" 2>&1 &
  compiling=$!
  part "release" scripts/release.sh
  export PHT_RELEASE="$PWD/target/dist"
  reuse_openssl
  wait "$compiling" || status=1
  cat "$work/beside.log"
  wait "$setting_up" || { cat "$work/set-up.log" >&2; exit 1; }
  . "$work/reference.env"
  . "$work/registries.env"
  . "$work/airflow.env"
  . "$work/python.env"
  . "$work/algorithms.env"
else
  say "not root on Debian: tests whose peers are missing are left out"
  check_features || status=1
fi

part "dependencies" check_dependencies || status=1
scripts/check.sh "$@" || status=1
building_fuzz_targets=
if [ $# -eq 0 ]; then
  build_fuzz_targets &
  building_fuzz_targets=$!
fi
part "tests that need other programs" run_tests --test peers "$@" || status=1
if [ $# -eq 0 ]; then
  part "fuzz targets, a few seconds each" fuzz || status=1
fi

say "left out"
if [ -s "$PHT_LEFT_OUT" ]; then
  sort -u "$PHT_LEFT_OUT"
  [ "${CI:-}" != true ] || status=1
else
  echo "nothing"
fi
print_parts
[ "$status" = 0 ] && say "all tests are well" || say "something FAILED; see above"
exit "$status"
