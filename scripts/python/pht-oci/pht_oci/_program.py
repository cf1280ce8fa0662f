"""Finds the program `pht-oci` and runs it."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import IO, Any, Mapping, Optional, Sequence, Union

from ._errors import ProgramMissing, error_of

PathLike = Union[str, "os.PathLike[str]"]

_NAME = "pht-oci"


def find_pht_oci_bin() -> str:
    """The path of the program: `PHT_OCI_BIN`, else the one that was installed with this package, else that in the PATH.

    Raises `ProgramMissing` if there is none.
    """
    named = os.environ.get("PHT_OCI_BIN")
    if named:
        if not Path(named).is_file():
            raise ProgramMissing(f"PHT_OCI_BIN names {named!r}, where there is no file")
        return named
    for directory in _script_directories():
        program = Path(directory) / _NAME
        if program.is_file():
            return str(program)
    found = shutil.which(_NAME)
    if found is None:
        raise ProgramMissing(
            "there is no program `pht-oci` beside this Python and none in the PATH; "
            "install it by `pip install pht-oci` on Linux, or set PHT_OCI_BIN to where it is"
        )
    return found


def _script_directories() -> list[str]:
    """Where pip puts programs: of this environment, of `pip install --target`, of `pip install --user`."""
    directories = [sysconfig.get_path("scripts"), str(Path(__file__).resolve().parent.parent / "bin")]
    scheme = sysconfig.get_preferred_scheme("user") if sys.version_info >= (3, 10) else f"{os.name}_user"
    directories.append(sysconfig.get_path("scripts", scheme=scheme))
    return directories


def call(
    arguments: Sequence[PathLike],
    *,
    environment: Optional[Mapping[str, str]] = None,
    stdin: Optional[IO[bytes]] = None,
    stdout: Optional[IO[bytes]] = None,
    own_options: bool = True,
) -> bytes:
    """Runs the program, and returns what it prints unless that goes to the file `stdout`.

    `environment` is added to that of this process. `own_options` are those by which it reports in JSON. Raises an exception of `pht_oci` if the exit status is not 0.
    """
    line = [find_pht_oci_bin(), *(os.fspath(argument) for argument in arguments)]
    if own_options:
        line += ["--format", "json", "--quiet"]
    done = subprocess.run(
        line,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        raise error_of(done.returncode, done.stderr.decode("utf-8", "replace"), report_in(done.stdout or b""))
    return done.stdout or b""


def knows(command: str, option: str) -> bool:
    """Whether the program that is here has this option of a command."""
    return re.search(rf"{re.escape(option)}\b", _help(find_pht_oci_bin(), command)) is not None


@functools.lru_cache(maxsize=None)
def _help(program: str, command: str) -> str:
    done = subprocess.run([program, command, "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    return done.stdout.decode("utf-8", "replace")


def report_in(printed: bytes) -> Optional[Mapping[str, Any]]:
    """The report that was printed before the program ended with a status other than 0, if there is one."""
    try:
        report = json.loads(printed)
    except ValueError:
        return None
    return report if isinstance(report, dict) else None
