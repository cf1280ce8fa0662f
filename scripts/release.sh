#!/usr/bin/env bash
# Makes a release: a static binary, an image of it, and their checksums.
#   scripts/release.sh [--check] [--target TRIPLE] [DIR]     DIR: where they go (default target/dist)
# The binary depends on nothing of the machine that it runs on, and neither path nor time of this one is in it: --check
# builds everything twice, in two directories, and compares. Needs what building takes; the image is made by the
# program itself, with this machine's certificate authorities in it if it has them where Debian keeps them.
# --target aarch64-unknown-linux-gnu builds for another processor: that takes `rustup target add` of it, Debian's
# gcc-aarch64-linux-gnu and libc6-dev-arm64-cross, and, for the image, qemu-user-static, which runs the program here.
set -euo pipefail
cd "$(dirname "$0")/.."

check=false target=
while [[ "${1:-}" = --* ]]; do
  case "$1" in
    --check) check=true ;;
    --target) target="${2:?}"; shift ;;
    *) sed -n '3s/^# *//p' "$0" >&2; exit 2 ;;
  esac
  shift
done
[ $# -le 1 ] || { sed -n '3s/^# *//p' "$0" >&2; exit 2; }
dist="${1:-target/dist}"
. scripts/needs.sh
need_to_build

host="$(rustc -vV | sed -n 's/^host: //p')"
triple="${target:-$host}"
arch="${triple%%-*}"
# What runs the program here, and what links it.
run=()
if [ "$triple" != "$host" ]; then
  variable="$(tr 'a-z-' 'A-Z_' <<<"$triple")"
  export "CARGO_TARGET_${variable}_LINKER=$arch-linux-gnu-gcc"
  run=("qemu-$arch-static")
  for program in "$arch-linux-gnu-gcc" "${run[@]}"; do
    command -v "$program" >/dev/null || { echo "$program is missing: apt-get install gcc-$arch-linux-gnu qemu-user-static" >&2; exit 1; }
  done
fi
version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)"
name="pht-oci-$version-$arch-linux"
certificates=/etc/ssl/certs/ca-certificates.crt
# The time in the image: that of the last commit, or of the change log where there is no repository.
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}"
export SOURCE_DATE_EPOCH

# build TARGET OUT: one build from nothing that is shared with another, into OUT
build() {
  local target="$PWD/$1" out="$2"
  local flags="-C target-feature=+crt-static -C strip=symbols" map
  for map in "$target=target" "${CARGO_HOME:-$HOME/.cargo}=cargo" "$(rustc --print sysroot)=rust" "$PWD=pht-oci"; do
    flags+=" --remap-path-prefix=$map"
  done
  # With --target these are not for build scripts, which have to stay dynamic.
  RUSTFLAGS="$flags" CFLAGS="-ffile-prefix-map=$target=target -ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=cargo" \
    cargo build --release --locked --quiet --target "$triple" --target-dir "$target"
  mkdir -p "$out"
  install -m 0755 "$target/$triple/release/pht-oci" "$out/$name"
  local options=()
  [ -f "$certificates" ] && options=(--certificates "$certificates")
  rm -f "$out/$name-image.tar"
  "${run[@]}" "$out/$name" --quiet tool-image "oci-archive:$out/$name-image.tar:latest" "${options[@]}"
}

build target/release-build "$dist"
if readelf -l "$dist/$name" 2>/dev/null | grep -q INTERP; then
  echo "$dist/$name is not static" >&2
  exit 1
fi
if $check; then
  again="$(mktemp -d "$PWD/target/release-again.XXXXXX")"
  trap 'rm -rf "$again"' EXIT
  build "${again#"$PWD/"}/build" "$again/dist"
  for file in "$name" "$name-image.tar"; do
    cmp "$dist/$file" "$again/dist/$file" || { echo "$file differs from build to build" >&2; exit 1; }
  done
  echo "built twice, the same twice"
fi
# The sums of what was built for another processor stay in the list.
cd "$dist"
others="$(grep -vF "  $name" SHA256SUMS 2>/dev/null || true)"
{ [ -z "$others" ] || printf '%s\n' "$others"; sha256sum "$name" "$name-image.tar"; } | sort -k 2 >SHA256SUMS.new
mv SHA256SUMS.new SHA256SUMS
cat SHA256SUMS
