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
"""Runs a command on a terminal of its own and types one line when it is asked for something.

  terminal.py TYPED COMMAND [ARGUMENT ...]

TYPED may have escapes (`\\n`, `\\x03` for Ctrl-C). Prints one JSON object: `status`, `seen` (all that the terminal shows),
`echo_while_asked` and `echo_after`: whether the terminal shows what is typed.
"""
import json
import os
import pty
import sys
import termios


def has_echo(fd):
    return bool(termios.tcgetattr(fd)[3] & termios.ECHO)


def main():
    typed, command = sys.argv[1].encode().decode("unicode_escape").encode(), sys.argv[2:]
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    seen, while_asked = b"", None
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError:  # what Linux says when the other side is closed
            break
        if not piece:
            break
        seen += piece
        if while_asked is None and seen.endswith(b": "):
            while_asked = has_echo(fd)
            os.write(fd, typed)
    _, status = os.waitpid(pid, 0)
    print(json.dumps({"status": os.waitstatus_to_exitcode(status), "seen": seen.decode(errors="replace"),
                      "echo_while_asked": while_asked, "echo_after": has_echo(fd)}))


if __name__ == "__main__":
    main()
