#!/usr/bin/env bash
# Apache Airflow for the test of scripts/airflow: from PyPI, in a virtual environment, with SQLite, and what checks
# Kubernetes manifests. Idempotent; prints what to export:
#   eval "$(scripts/setup-airflow.sh)"
# All of it lives in PHT_AIRFLOW_HOME (default ~/.cache/pht-airflow), a gigabyte.
set -euo pipefail

home="${PHT_AIRFLOW_HOME:-$HOME/.cache/pht-airflow}"
python="$home/venv/bin/python"
{
  mkdir -p "$home"
  exec 9>"$home/setup.lock"
  flock 9
  [ -x "$python" ] || python3 -m venv "$home/venv"
  "$python" -c 'import airflow.sdk, kubernetes_validate' 2>/dev/null \
    || "$python" -m pip -q install 'apache-airflow==3.3.*' 'kubernetes-validate==1.37.*'
} >&2
printf 'export PHT_AIRFLOW_HOME=%q\n' "$home"
