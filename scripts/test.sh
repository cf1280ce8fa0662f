#!/usr/bin/env bash
# All checks of this project. As root on Debian it installs what the tests hold the program against (Docker, Podman,
# skopeo, umoci, the reference implementation) and runs everything; otherwise it runs what needs no missing peer and
# names what it left out. With CI=true anything left out is a failure.
#   scripts/test.sh [arguments of cargo test, which then runs without the fuzz targets]
# Variables: PHT_VECTORS (a directory with more vectors), PHT_REFERENCE_HOME (default ~/.cache/pht-reference).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/needs.sh

say() { printf '\n== %s\n' "$*"; }

# What the lints are run with.
need_lints() {
  local part
  for part in fmt clippy; do
    cargo "$part" --version >/dev/null 2>&1 || { echo "cargo $part is missing: rustup component add rustfmt clippy" >&2; exit 2; }
  done
}

# command:package, for what the tests call.
PEERS="dockerd:docker.io skopeo:skopeo umoci:umoci podman:podman buildah:buildah runc:runc conmon:conmon
  setfattr:attr zstd:zstd openssl:openssl curl:curl strace:strace docker-registry:docker-registry
  htpasswd:apache2-utils python3:python3 groff:groff-base busybox:busybox-static bsdtar:libarchive-tools
  mmdebstrap:mmdebstrap flock:util-linux"

install_peers() {
  local missing=() pair
  for pair in $PEERS; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  command -v docker >/dev/null || missing+=(docker-cli)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  [ -f /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${missing[*]}"
  apt-get update -qq
  # docker-cli is a package of its own only on newer systems; elsewhere docker.io has the client.
  apt-cache show docker-cli >/dev/null 2>&1 || missing=("${missing[@]/docker-cli/docker.io}")
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Tools of Cargo's. What is only called a few times need not be fast: a build without optimisation takes half the time.
install_tools() {
  local tool
  for tool in cargo-deny cargo-fuzz; do
    command -v "$tool" >/dev/null && continue
    say "installing $tool"
    cargo install --locked --debug --quiet "$tool" || echo "$tool cannot be installed"
  done
}

leave_out() { echo "left out: $1: needs $2" | tee -a "$PHT_LEFT_OUT"; }

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

# A few seconds of each fuzz target.
fuzz() {
  if command -v cargo-fuzz >/dev/null && cargo +nightly --version >/dev/null 2>&1; then
    scripts/fuzz.sh 60
  else
    leave_out scripts/fuzz.sh "the nightly toolchain and cargo-fuzz"
  fi
}

need_to_build
need_lints
PHT_LEFT_OUT="$(mktemp)"
export PHT_LEFT_OUT
trap 'rm -f "$PHT_LEFT_OUT"' EXIT
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  install_peers
  install_tools
  say "reference implementation and its Docker daemon"
  environment="$(scripts/setup-reference.sh)"
  eval "$environment"
  say "release"
  scripts/release.sh
  export PHT_RELEASE="$PWD/target/dist"
  say "Airflow"
  environment="$(scripts/setup-airflow.sh)"
  eval "$environment"
else
  say "not root on Debian: tests whose peers are missing are left out"
fi

say "format, lints, documentation"
cargo fmt --check
cargo clippy --locked --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet

status=0
say "dependencies"
check_dependencies || status=1

say "tests"
cargo test --locked --no-fail-fast "$@" || status=$?

if [ $# -eq 0 ]; then
  say "fuzz targets, a few seconds each"
  fuzz || status=1
fi

say "left out"
if [ -s "$PHT_LEFT_OUT" ]; then
  sort -u "$PHT_LEFT_OUT"
  [ "${CI:-}" != true ] || status=1
else
  echo "nothing"
fi
exit "$status"
