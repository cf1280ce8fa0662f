#!/usr/bin/env bash
# Changes every byte of a small train of wire 3, one at a time (tests/it/every_byte.rs), then mutates whole trains of every
# wire version: each field of the config, and random bytes of each blob, a tenth as many with every digest repaired. Each
# mutant must be refused, or its field is listed with the rule or the sentence that leaves it unsigned, or it opens to what
# was signed. Prints how many mutants ended with which exit status, and what was accepted.
#   scripts/mutate.sh [MUTANTS OF EACH BLOB, default 2000]
set -euo pipefail
cd "$(dirname "$0")/.."
export PHT_ROWS=1
PHT_MUTANTS=all cargo test --locked --release --test it -- every_byte:: --nocapture
PHT_MUTANTS="${1:-2000}" exec cargo test --locked --release --test it -- mutation:: --nocapture --test-threads 1
