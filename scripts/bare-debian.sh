#!/usr/bin/env bash
# What scripts/package.sh has made, on a bare Debian 12 without Rust and without a compiler: Debian package, tarball, wheel
# and image each make the journey of scripts/demo.sh. Prints sizes and seconds.
#   scripts/bare-debian.sh [DIR]     DIR: where the packages are (default target/dist)
# Takes root, mmdebstrap, and podman for the image. Programs for AArch64, if there are any, are run by qemu-user-static.
set -euo pipefail
cd "$(dirname "$0")/.."
dist="$(realpath "${1:-target/dist}")"
source="$PWD"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
root="$work/root"

# journey NAME FILE COMMAND...: the demo with the program that COMMAND is
journey() {
  local name="$1" file="$2" begun="$SECONDS"
  shift 2
  "$@" >"$work/told" 2>&1 || { cat "$work/told" >&2; echo "$name: the journey failed" >&2; exit 1; }
  grep -q '^added .* patients$' "$work/told" || { cat "$work/told" >&2; echo "$name: no results" >&2; exit 1; }
  echo "$name: $(stat -c %s "$file") bytes, the journey took $((SECONDS - begun)) s"
}

# The system, as Debian has it before anything is installed; Python, for the wheel.
mmdebstrap --quiet --variant=essential --include=python3,python3-pip-whl bookworm "$work/root.tar"
mkdir "$root"
tar -xf "$work/root.tar" -C "$root" --exclude='./dev/*'
mkdir -p "$root/packages"
cp "$dist"/*.deb "$dist"/*.tar.gz "$dist"/*.whl "$dist/SHA256SUMS" "$root/packages"
mkdir -p "$root/source/scripts"
cp scripts/demo.sh "$root/source/scripts"

# inside COMMAND...: in the system, with nothing of this one but the kernel's files
inside() {
  unshare --mount --net -- bash -euc '
    root="$1"
    shift
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    cd "$root/packages"
    exec chroot "$root" env -i -C /packages PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
  ' bash "$root" "$@"
}
for tool in cc gcc rustc cargo make perl; do
  # Perl is essential on Debian, and no compiler.
  [ "$tool" = perl ] || ! inside sh -c "command -v $tool" >/dev/null || { echo "$tool is there" >&2; exit 1; }
done
demo=(bash /source/scripts/demo.sh --program)

# As README has it.
sed -n '/^```sh install$/,/^```$/p' README.md | sed '1d;$d' >"$root/packages/install.sh"
inside bash -euxo pipefail install.sh >"$work/told" 2>&1 || { cat "$work/told" >&2; exit 1; }
package="$(echo "$dist"/*_amd64.deb)"
journey "Debian package" "$package" inside "${demo[@]}" pht-oci
tarball="$(echo "$dist"/*-x86_64-linux.tar.gz)"
journey "tarball" "$tarball" inside "${demo[@]}" "/packages/$(basename "$tarball" .tar.gz)/pht-oci"
wheel="$(echo "$dist"/pht_oci-*_x86_64*.whl)"
inside sh -euc 'PYTHONPATH="$(echo /usr/share/python-wheels/pip-*.whl)" python3 -m pip install -q --no-index \
  --root-user-action ignore --target /wheel pht_oci-*x86_64*.whl && PYTHONPATH=/wheel python3 -m pht_oci --version' >/dev/null
journey "wheel" "$wheel" inside "${demo[@]}" /wheel/bin/pht-oci

image="$(echo "$dist"/*-x86_64-linux-image.tar)"
if [ -f "$image" ]; then
  id="$(podman pull -q "oci-archive:$image")"
  mkdir "$work/demo"
  cat >"$work/in-image" <<TEXT
#!/bin/sh
exec podman run --rm --network none --volume "$work/demo:$work/demo" --workdir "\$PWD" "$id" "\$@"
TEXT
  chmod +x "$work/in-image"
  journey "image" "$image" bash "$source/scripts/demo.sh" --program "$work/in-image" "$work/demo"
  podman rmi --force "$id" >/dev/null
fi

for foreign in "$dist"/*-aarch64-linux.tar.gz; do
  [ -f "$foreign" ] || continue
  mkdir "$work/foreign"
  tar -xzf "$foreign" -C "$work/foreign" --strip-components=1
  printf '#!/bin/sh\nexec qemu-aarch64-static %s "$@"\n' "$work/foreign/pht-oci" >"$work/emulated"
  chmod +x "$work/emulated"
  journey "tarball for AArch64, under qemu" "$foreign" bash "$source/scripts/demo.sh" --program "$work/emulated"
done
