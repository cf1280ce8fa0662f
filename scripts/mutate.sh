#!/usr/bin/env bash
# Mutates whole trains of every wire version: each field of the config, and random bytes of each blob, a tenth as many with
# every digest repaired. Each mutant must be refused by pre-run, or its field is listed in tests/it/mutation.rs as one that no
# signature covers, or it opens to what was signed. Prints how many mutants ended with which exit status, and what was
# accepted.
#   scripts/mutate.sh [MUTANTS OF EACH BLOB, default 2000]
set -euo pipefail
cd "$(dirname "$0")/.."
PHT_MUTANTS="${1:-2000}" exec cargo test --locked --release --test it -- mutation:: --nocapture --test-threads 1
