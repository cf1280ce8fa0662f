#!/usr/bin/env python3
"""Runs a command and tells what it took.

  measure.py OUT COMMAND [ARGUMENT ...]

OUT gets one JSON object: `status`, `wall`, `user` and `system` in seconds, `peak` (the largest resident size of the
command, in KiB), `read` and `written` (the bytes that it asked read and write calls for: rchar and wchar of
proc(5), page cache included). Linux only. The status of the command is passed on.

The peak cannot be below this script's own, about 13 MiB: a process inherits it from the one that started it.
"""

import json
import os
import sys
import time


def io_of(pid):
    """The counters of a process that has ended and was not waited for yet."""
    with open(f"/proc/{pid}/io", encoding="ascii") as lines:
        return {key: int(value) for key, value in (line.split(": ") for line in lines)}


def main():
    out, command = sys.argv[1], sys.argv[2:]
    begin = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    wall = time.monotonic() - begin
    io = io_of(pid)
    _, status, usage = os.wait4(pid, 0)
    status = os.waitstatus_to_exitcode(status)
    took = {"status": status, "wall": wall, "user": usage.ru_utime, "system": usage.ru_stime}
    took |= {"peak": usage.ru_maxrss, "read": io["rchar"], "written": io["wchar"]}
    with open(out, "w", encoding="ascii") as file:
        json.dump(took, file)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
