#!/usr/bin/env bash
# Packages of one binary, as scripts/release.sh makes it: a tarball, a Debian package, wheels, a bill of materials, and
# their checksums. Where the images for all processors are in DIR, one more is made that is for all of them.
#   scripts/package.sh [--native PROGRAM] BINARY [DIR]     DIR: where they go (default target/dist)
# --native: the same version for this machine, which writes manual pages and completions when BINARY is for another one.
# The same binary gives the same bytes. Takes Python 3.11 or newer, cargo, and dpkg-deb for the Debian package.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '4s/^# *//p' "$0" >&2; exit 2; }
native=
if [ "${1:-}" = --native ]; then
  native="${2:?}"
  shift 2
fi
[ $# -ge 1 ] && [ $# -le 2 ] || usage
binary="$(realpath "$1")"
native="$(realpath "${native:-$binary}")"
dist="${2:-target/dist}"
mkdir -p "$dist"
dist="$(realpath "$dist")"
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}"
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C
umask 022

version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)"
# The processor that the program is for, by bytes 18 and 19 of its header.
case "$(od -An -tu2 -j18 -N2 "$binary" | tr -d ' ')" in
  62) arch=x86_64 debian=amd64 ;;
  183) arch=aarch64 debian=arm64 ;;
  *) echo "$binary is a program neither for x86-64 nor for AArch64" >&2; exit 1 ;;
esac
if ! told="$("$native" --version)"; then
  echo "$native does not run here; name one that does by --native" >&2
  exit 1
fi
if [ "$told" != "pht-oci $version" ]; then
  echo "$native says \`$told\`; expected pht-oci $version" >&2
  exit 1
fi
# What a dynamic program needs of the system; a static one needs nothing.
depends=
if readelf -l "$binary" 2>/dev/null | grep -q INTERP; then
  echo "$binary is not static: what is made of it is for trying only" >&2
  depends=libc6
fi

name="pht-oci-$version-$arch-linux"
run=()
[ "$arch" = "$(uname -m)" ] || run=("qemu-$arch-static")
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Everything that lies beside the program.
"$native" --quiet man --out "$work/man"
mkdir "$work/completions"
for shell in bash zsh fish elvish powershell; do
  "$native" completions "$shell" >"$work/completions/pht-oci.$shell"
done

tarball() {
  local top="$work/$name"
  mkdir -p "$top/man/man1"
  install -m 0755 "$binary" "$top/pht-oci"
  install -m 0644 README.md CHANGELOG.md LICENSE "$top"
  install -m 0644 "$work"/man/* "$top/man/man1"
  cp -r "$work/completions" "$top"
  tar --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$work" -c "$name" |
    gzip -9n >"$dist/$name.tar.gz"
  echo "$name.tar.gz"
}

debian_package() {
  local root="$work/debian" file="pht-oci_${version}_$debian.deb"
  local doc="$root/usr/share/doc/pht-oci"
  install -D -m 0755 "$binary" "$root/usr/bin/pht-oci"
  mkdir -p "$root/usr/share/man/man1" "$doc" "$root/DEBIAN"
  local page
  for page in "$work"/man/*; do
    gzip -9nc "$page" >"$root/usr/share/man/man1/${page##*/}.gz"
  done
  install -D -m 0644 "$work/completions/pht-oci.bash" "$root/usr/share/bash-completion/completions/pht-oci"
  install -D -m 0644 "$work/completions/pht-oci.zsh" "$root/usr/share/zsh/vendor-completions/_pht-oci"
  install -D -m 0644 "$work/completions/pht-oci.fish" "$root/usr/share/fish/vendor_completions.d/pht-oci.fish"
  install -m 0644 LICENSE "$doc/copyright"
  gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
  gzip -9nc README.md >"$doc/README.md.gz"
  (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
  cat >"$root/DEBIAN/control" <<TEXT
Package: pht-oci
Version: $version
Architecture: $debian
Maintainer: The pht-oci authors <pht-oci@localhost>
Installed-Size: $(du -sk --apparent-size "$root/usr" | cut -f1)
${depends:+Depends: $depends
}Recommends: ca-certificates
Suggests: podman | docker.io | runc
Section: utils
Priority: optional
Description: security protocol of the Personal Health Train on OCI images
 In the Personal Health Train, analysis code travels to hospitals instead of
 patient data travelling to the code. This program is the gate at the
 station: it verifies, opens, closes and signs trains, reading and rewriting
 OCI images directly, without a container daemon.
TEXT
  find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zxz --build "$root" "$dist/$file" >/dev/null
  echo "$file"
}

# Only a static program runs in an image of itself; the image is made by the program itself, where it runs.
image() {
  local certificates=/etc/ssl/certs/ca-certificates.crt options=()
  [ -f "$certificates" ] && options=(--certificates "$certificates")
  rm -f "$dist/$name-image.tar"
  "${run[@]}" "$binary" --quiet tool-image "oci-archive:$dist/$name-image.tar:latest" "${options[@]}"
  echo "$name-image.tar"
}

made=("$(tarball)")
if command -v dpkg-deb >/dev/null; then
  made+=("$(debian_package)")
else
  echo "without dpkg-deb no Debian package is made" >&2
fi
while read -r wheel; do made+=("${wheel##*/}"); done < <(scripts/python/wheel.py "$binary" "$dist")
[ ${#made[@]} -ge 3 ] || { echo "no wheel was made" >&2; exit 1; }
scripts/sbom.py --target "$arch-unknown-linux-gnu" "$binary" >"$dist/$name.cdx.json"
made+=("$name.cdx.json")
[ -n "$depends" ] || [ -f "$dist/$name-image.tar" ] || made+=("$(image)")

images=("$dist/pht-oci-$version-x86_64-linux-image.tar" "$dist/pht-oci-$version-aarch64-linux-image.tar")
if [ -f "${images[0]}" ] && [ -f "${images[1]}" ]; then
  scripts/image-index.py "$dist/pht-oci-$version-linux-image.tar" "${images[@]}"
  made+=("pht-oci-$version-linux-image.tar")
fi

# The sums of what release.sh has made stay in the list.
cd "$dist"
{
  [ ! -f SHA256SUMS ] || grep -vF "$(printf '  %s\n' "${made[@]}")" SHA256SUMS || true
  sha256sum "${made[@]}"
} | sort -k 2 >"$work/SHA256SUMS"
mv "$work/SHA256SUMS" SHA256SUMS
cat SHA256SUMS
