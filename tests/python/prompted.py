#!/usr/bin/env python3
"""Runs a command on a terminal of its own and types one line when it is asked for something.

  prompted.py TYPED COMMAND [ARGUMENT ...]

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
