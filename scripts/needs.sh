# Sourced by the other scripts: ends them, and says how to go on, where something is missing that building takes.
# Perl and make are for OpenSSL, whose digests are built from its source.
[ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"

need_to_build() {
  local wanted found
  wanted="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
  if ! { command -v cargo && command -v cc && command -v make && perl -MFindBin -MIPC::Cmd -e 1; } >/dev/null 2>&1; then
    cat >&2 <<TEXT
This needs Rust $wanted or newer, a C compiler, make and Perl. On Debian:
  apt-get install -y curl ca-certificates gcc libc6-dev make perl
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile default
TEXT
    exit 2
  fi
  found="$(cargo --version | cut -d' ' -f2)"
  if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "This needs Rust $wanted or newer; here is $found. Try: rustup update stable" >&2
    exit 2
  fi
}
