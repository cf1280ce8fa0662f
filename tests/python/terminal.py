#!/usr/bin/env python3
"""Runs a command whose standard error is a terminal of 120 columns.

  terminal.py COMMAND [ARGUMENT ...]

Prints one JSON object: `status`, `stdout`, and `terminal`, all that was written to the terminal.
"""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import threading


def drain(terminal, seen):
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # nobody has the other end open any more
            return
        if not part:
            return
        seen.append(part)


def main():
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = os.environ | {"TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=end, env=environment)
    os.close(end)
    seen = []
    reader = threading.Thread(target=drain, args=(terminal, seen))
    reader.start()
    stdout, _ = program.communicate()
    reader.join()
    text = b"".join(seen).decode(errors="replace")
    json.dump({"status": program.returncode, "stdout": stdout.decode(errors="replace"), "terminal": text}, sys.stdout)


if __name__ == "__main__":
    main()
