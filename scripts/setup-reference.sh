#!/usr/bin/env bash
# The reference implementation for the tests: pht-train-container-library in its three wire versions from PyPI, in a
# virtual environment, and a private Docker daemon for it. For root on Debian. Idempotent; prints what to export:
#   eval "$(scripts/setup-reference.sh)"
# All of it lives in PHT_REFERENCE_HOME (default ~/.cache/pht-reference). The daemon keeps running and is stopped by
#   kill "$(cat ~/.cache/pht-reference/dockerd.pid)"
set -euo pipefail

home="${PHT_REFERENCE_HOME:-$HOME/.cache/pht-reference}"
host="unix://$home/docker.sock"
python="$home/venv/bin/python"

library() {
  [ -x "$python" ] || python3 -m venv "$home/venv"
  "$python" -c 'import docker, pydantic, cryptography, loguru, requests, securesystemslib' 2>/dev/null \
    || "$python" -m pip -q install 'docker<8' 'pydantic<2' cryptography loguru requests securesystemslib
  local version
  for version in 1.1.1 1.1.2 2.0.5; do
    [ -d "$home/lib/$version/train_lib" ] \
      || "$python" -m pip -q install --no-deps --target "$home/lib/$version" "pht-train-container-library==$version"
  done
}

answers() { curl -sf --max-time 5 --unix-socket "$home/docker.sock" http://localhost/_ping >/dev/null 2>&1; }

# No bridge and no iptables: trains run with the network disabled anyway. overlay2 does not work everywhere.
daemon() {
  local driver
  for driver in ${PHT_STORAGE_DRIVER:-overlay2 vfs}; do
    answers && return
    rm -f "$home/docker.sock"
    # For every layer it starts itself anew, and would each time look for garbage that there is not.
    GOGC=1000 nohup dockerd --iptables=false --ip6tables=false --bridge=none --storage-driver="$driver" \
      --data-root "$home/data" --exec-root "$home/exec" --pidfile "$home/dockerd.pid" --host "$host" \
      >"$home/dockerd.log" 2>&1 </dev/null &
    local pid=$! waited
    for waited in $(seq 120); do
      answers && return
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.5
    done
    kill "$pid" 2>/dev/null || true
  done
  echo "the private Docker daemon does not start:" && tail -n 20 "$home/dockerd.log" && return 1
}

{
  for tool in python3 dockerd curl; do
    command -v "$tool" >/dev/null || { echo "setup-reference.sh needs $tool (scripts/test.sh installs it)"; exit 1; }
  done
  mkdir -p "$home"
  # Two runs at a time must not both install or start.
  exec 9>"$home/setup.lock"
  flock 9
  library
  daemon 9>&-
} >&2
printf 'export PHT_REFERENCE_HOME=%q DOCKER_HOST=%q PHT_PYTHON=%q\n' "$home" "$host" "$python"
