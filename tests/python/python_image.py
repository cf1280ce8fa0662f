#!/usr/bin/env python3
"""The root of a small image with a shell and Python in it, as a tar archive on standard output, made of this machine's own
files: the Python that runs this, its library and its shared libraries, and BusyBox.
"""
import os
import re
import subprocess
import sys
import sysconfig
import tarfile

BUSYBOX = next(path for path in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(path))
APPLETS = "sh ls cat cp mv mkdir rmdir echo touch rm ln chmod sleep true".split()
LEFT_OUT = re.compile(r"/(__pycache__|test|tests|idlelib|tkinter|ensurepip|lib2to3|(dist|site)-packages|config-[^/]*)(/|$)")


def libraries(program):
    """The shared libraries of a program, the one that loads them included, by the paths under which they are loaded."""
    listed = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.findall(r"(?:=> |^\s*)(/\S+) \(", listed, re.MULTILINE)


def main():
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as image:
        for name in ("bin", "etc", "lib", "opt", "tmp", "usr", "usr/bin", "usr/lib"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            image.addfile(member)
        image.add(BUSYBOX, "bin/busybox")
        for applet in APPLETS:
            member = tarfile.TarInfo(f"bin/{applet}")
            member.type, member.linkname = tarfile.SYMTYPE, "busybox"
            image.addfile(member)
        python = os.path.realpath(sys.executable)
        # Modules of the standard library that are libraries themselves need some of their own.
        modules = sysconfig.get_config_var("DESTSHARED") or ""
        loaded = [os.path.join(modules, name) for name in sorted(os.listdir(modules))] if os.path.isdir(modules) else []
        for path in sorted({path for program in (python, *loaded) for path in libraries(program)}):
            image.add(os.path.realpath(path), path.lstrip("/"))
        image.add(python, python.lstrip("/"))
        for name in ("python", "python3"):
            member = tarfile.TarInfo(f"bin/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, python
            image.addfile(member)
        library = sysconfig.get_path("stdlib")
        image.add(library, library.lstrip("/"), filter=lambda member: None if LEFT_OUT.search(f"/{member.name}") else member)


main()
