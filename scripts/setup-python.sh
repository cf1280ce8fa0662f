#!/usr/bin/env bash
# What the tests of scripts/python run with, from PyPI: two virtual environments, with pydantic 2 and with pydantic 1.
# Idempotent; prints what to export:
#   eval "$(scripts/setup-python.sh)"
# All of it lives in PHT_PYTHON_HOME (default ~/.cache/pht-python). Other versions of Python: PHT_PYTHON_WITH=python3.13
set -euo pipefail

home="${PHT_PYTHON_HOME:-$HOME/.cache/pht-python}"

# environment NAME MODULES PACKAGE...: a virtual environment that has these modules
environment() {
  local python="$home/$1/bin/python" modules="$2"
  shift 2
  [ -x "$python" ] || "${PHT_PYTHON_WITH:-python3}" -m venv "${python%/bin/python}"
  "$python" -c "import $modules" 2>/dev/null || "$python" -m pip -q install "$@"
}

{
  mkdir -p "$home"
  exec 9>"$home/setup.lock"
  flock 9
  # phe is the other implementation of Paillier; docker, pytest and dotenv are what the reference's own tests import.
  environment venv 'cryptography, docker, dotenv, mypy, phe, pydantic, pytest, requests' \
    cryptography 'docker<8' mypy phe 'pydantic>=2' pytest python-dotenv requests types-requests
  environment venv-pydantic-1 'cryptography, pydantic, requests' cryptography 'pydantic<2' requests
} >&2
printf 'export PHT_PYTHON_HOME=%q\n' "$home"
