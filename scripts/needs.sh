# Sourced by the other scripts: sees to what building takes. As root on Debian it installs what is missing; else it ends
# the script and says how to go on, or builds with the portable crates, where that will do.
# Perl and make are for OpenSSL, whose digests are built from its source.
[ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
. scripts/link.sh

# Compiles and links, so that the C library's headers are there too.
has_compiler() {
  local dir status=0
  dir="$(mktemp -d)"
  printf '#include <stdio.h>\nint main(void) { return 0; }\n' >"$dir/main.c"
  cc -o "$dir/main" "$dir/main.c" 2>/dev/null || status=1
  rm -rf "$dir"
  return "$status"
}
has_make() { make --version >/dev/null 2>&1; }
has_perl() { perl -MFindBin -MIPC::Cmd -e 1 2>/dev/null; }

# What is missing of what the fast build takes, as Debian's packages.
missing_packages() {
  has_compiler || echo gcc libc6-dev
  has_make || echo make
  has_perl || echo perl
}

need_rust() {
  local wanted found
  wanted="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
  if ! cargo --version >/dev/null 2>&1; then
    cat >&2 <<TEXT
This needs Rust $wanted or newer:
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile default
On Debian, curl comes with: apt-get install -y curl ca-certificates
TEXT
    exit 2
  fi
  found="$(cargo --version | cut -d' ' -f2)"
  if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "This needs Rust $wanted or newer; here is $found. Try: rustup update stable" >&2
    exit 2
  fi
}

# Installs what is missing, where that can be done.
install_build_tools() {
  local missing
  read -r -a missing <<<"$(missing_packages | tr '\n' ' ')"
  [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  echo "Installing ${missing[*]}" >&2
  { apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null ||
    echo "They cannot be installed" >&2
}

# For scripts that take the program as it is released.
need_to_build() {
  local missing
  need_rust
  install_build_tools
  missing="$(missing_packages | tr '\n' ' ')"
  if [ -n "$missing" ]; then
    cat >&2 <<TEXT
This needs a C compiler, make and Perl. On Debian, as root:
  apt-get install -y ${missing% }
TEXT
    exit 2
  fi
}

# For scripts that take any build of the program: sets BUILD_OPTIONS for cargo. The portable crates do the same as the fast
# ones, slower.
need_to_build_somehow() {
  local missing
  need_rust
  install_build_tools
  BUILD_OPTIONS=()
  missing="$(missing_packages | tr '\n' ' ')"
  [ -n "$missing" ] || return 0
  echo "Not here: ${missing% }. Building with the portable crates, which are slower and do the same" >&2
  BUILD_OPTIONS=(--no-default-features --features portable)
  has_compiler && return
  if ! link_by_rust target/link; then
    echo "This system has nothing that links programs: install a C compiler" >&2
    exit 2
  fi
  # What is built so is kept apart: everything would be built anew, there and back.
  export CARGO_TARGET_DIR="$PWD/target/portable"
}
