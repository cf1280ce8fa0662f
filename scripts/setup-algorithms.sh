#!/usr/bin/env bash
# A master image of Debian's Python, pandas, scikit-learn and R for the tests of whole routes: an OCI layout, tag `base`,
# made by mmdebstrap and buildah. For root on Debian. Made once, some 200 MB of packages in about a minute; 600 MB of disk.
# Idempotent; prints what to export:
#   eval "$(scripts/setup-algorithms.sh)"
# It lives in PHT_ALGORITHMS_HOME (default ~/.cache/pht-algorithms).
set -euo pipefail

home="${PHT_ALGORITHMS_HOME:-$HOME/.cache/pht-algorithms}"
packages=base-files,bash,coreutils,dash,debianutils,grep,libblas3,libc-bin,liblapack3,python3-minimal,python3-pandas
packages+=,python3-sklearn,r-base-core,sed

# Of what the packages depend on, what only compilers and people read; and what a package manager would have left behind.
prune() {
  local root=$1
  # Static libraries, headers, compilers, documentation, tests.
  rm -rf "$root"/usr/include "$root"/usr/lib/gcc "$root"/usr/lib/*/openblas-pthread "$root"/usr/lib/python3*/config-* \
    "$root"/usr/lib/*/perl* "$root"/usr/share/{perl,perl5,doc,man,info,locale,i18n,icons,fonts,mime,lintian} \
    "$root"/usr/bin/*-linux-gnu-* "$root"/var/{cache,lib}/{apt,dpkg} "$root"/usr/lib/R/library/{tcltk,translations}
  find "$root" -xdev -name '*.a' -delete
  find "$root/usr/lib/python3" -xdev -depth -type d -name tests -exec rm -rf {} +
  # What the packages' scripts would have chosen and copied.
  cp "$root/usr/lib/R/etc/Renviron.ucf" "$root/etc/R/Renviron"
  ln -sf which.debianutils "$root/usr/bin/which"
  local library
  for library in blas lapack; do
    ln -sf "$library/lib$library.so.3" "$(echo "$root"/usr/lib/*/"$library")/../lib$library.so.3"
  done
}

make_base() {
  local codename container root
  codename="$(. /etc/os-release && echo "$VERSION_CODENAME")"
  mmdebstrap --quiet --variant=extract --include="$packages" --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until false' "$codename" "$work/root"
  prune "$work/root"
  container="$(buildah from scratch)"
  buildah config --env PATH=/usr/bin:/bin --env LANG=C.UTF-8 --env OMP_NUM_THREADS=1 --env PYTHONDONTWRITEBYTECODE=1 \
    --cmd python3 "$container"
  buildah copy --quiet "$container" "$work/root" / >/dev/null
  buildah commit --quiet --disable-compression "$container" "oci:$work/base:base" >/dev/null
  buildah rm "$container" >/dev/null
  mv "$work/base" "$home/base"
}

{
  mkdir -p "$home"
  exec 9>"$home/setup.lock"
  flock 9
  if ! [ -f "$home/base/index.json" ]; then
    work="$(mktemp -d "$home/making.XXXXXX")"
    trap 'rm -rf "$work"' EXIT
    make_base
  fi
} >&2
printf 'export PHT_ALGORITHMS_HOME=%q\n' "$home"
