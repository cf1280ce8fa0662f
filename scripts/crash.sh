#!/usr/bin/env bash
# Ends stages early in every way: `kill -9` at random moments, disks that are full (tmpfs of several sizes; needs root) or
# cannot be written to, files that shrink, signals; in layouts and archives; and whole runs with every engine that is here.
# Refuses calls as file systems do (by strace: flock, fsync, rename, link, chmod, fallocate), each at each place with each
# of seven errors. Prints a line of figures for each and fails where anything is damaged, left behind after the next run,
# or in plaintext after post-run.
#   scripts/crash.sh [KILLS, default 300] [SIZES OF THE DISK for each of ten cases, default 10]
#                    [KILLS OF RUNS with each engine, default 100]
set -euo pipefail
cd "$(dirname "$0")/.."
PHT_KILLS="${1:-300}" PHT_DISKS="${2:-10}" PHT_RUN_KILLS="${3:-100}" PHT_FAULTS=7 \
  exec cargo test --locked --test peers -- crashes:: filesystems:: --nocapture --test-threads 1
