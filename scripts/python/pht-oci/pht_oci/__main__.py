"""`python -m pht_oci` is the program."""

from __future__ import annotations

import os
import sys

from pht_oci import ProgramMissing, find_pht_oci_bin


def main() -> None:
    """Becomes the program."""
    try:
        program = find_pht_oci_bin()
    except ProgramMissing as missing:
        sys.exit(str(missing))
    os.execv(program, ["pht-oci", *sys.argv[1:]])


if __name__ == "__main__":
    main()
