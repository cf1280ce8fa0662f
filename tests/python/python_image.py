#!/usr/bin/env python3
"""The root of a small image with a shell and Python in it, as a tar archive on standard output, made of this machine's own
files: the Python that runs this with the modules that a train of the tests imports, its shared libraries, and BusyBox.
"""
import os
import re
import subprocess
import sys
import tarfile

BUSYBOX = next(path for path in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(path))
APPLETS = "sh ls cat cp mv mkdir rmdir echo touch rm ln chmod sleep true".split()
# What Python says, once it has imported them, of the files of its modules and of what is mapped into its memory.
LOADED = """
import json, os, random, string, sys
import encodings.ascii, encodings.latin_1, encodings.utf_8
files = {module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
with open("/proc/self/maps") as maps:
    files |= {line.split(None, 5)[5].strip() for line in maps if ".so" in line}
print(json.dumps(sorted(file for file in files if not file.startswith("<"))))
"""


def loaded(python):
    """The files that Python has read, and the loader of shared libraries by the name that programs have for it."""
    import json

    files = json.loads(subprocess.run([python, "-I", "-c", LOADED], check=True, stdout=subprocess.PIPE).stdout)
    listed = subprocess.run(["ldd", python], check=True, stdout=subprocess.PIPE, text=True).stdout
    return files + re.findall(r"(?:=> |^\s*)(/\S+) \(", listed, re.MULTILINE)


def main():
    python = os.path.realpath(sys.executable)
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as image:
        files = {path: os.path.realpath(path) for path in loaded(python)}
        files.update({python: python, "/bin/busybox": BUSYBOX})
        links = {f"/bin/{applet}": "busybox" for applet in APPLETS}
        links.update({f"/bin/{name}": python for name in ("python", "python3")})
        directories = {"/opt", "/tmp"}
        for path in (*files, *links):
            while (path := os.path.dirname(path)) != "/":
                directories.add(path)
        for path in sorted(directories):
            member = tarfile.TarInfo(path.lstrip("/"))
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            image.addfile(member)
        for path, source in sorted(files.items()):
            image.add(source, path.lstrip("/"))
        for path, target in sorted(links.items()):
            member = tarfile.TarInfo(path.lstrip("/"))
            member.type, member.linkname = tarfile.SYMTYPE, target
            image.addfile(member)


main()
