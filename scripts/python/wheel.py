#!/usr/bin/env python3
"""Makes wheels of the packages in this directory: `pht-oci` with the program in it, and `pht-oci-train-lib`.

  wheel.py BINARY OUT

A static binary needs nothing of the system, so that one wheel serves glibc and musl: it gets the tags of both. A dynamic
one gets the tag of this machine alone, which PyPI does not take. The same input gives the same bytes; times are those of
SOURCE_DATE_EPOCH. Takes Python 3.11 or newer, and nothing else.
"""
import base64
import hashlib
import os
import struct
import sys
import time
import tomllib
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MACHINES = {62: "x86_64", 183: "aarch64"}
PT_INTERP = 3
#: glibc 2.17 has been the oldest that pip's wheels for both architectures name; musl 1.1 that of Alpine 3.9.
STATIC = "manylinux_2_17_{0}.manylinux2014_{0}.musllinux_1_1_{0}"


def platform_of(binary):
    """The platform tag of a wheel with this program in it."""
    data = binary.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        sys.exit(f"{binary} is no program for Linux of 64 bits")
    machine = MACHINES.get(struct.unpack_from("<H", data, 18)[0])
    if machine is None:
        sys.exit(f"{binary} is for a processor that is neither x86-64 nor AArch64")
    table, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    kinds = {struct.unpack_from("<I", data, table + size * number)[0] for number in range(count)}
    return f"linux_{machine}" if PT_INTERP in kinds else STATIC.format(machine)


def metadata(package):
    """The metadata of a package, from its pyproject.toml and README.md; its name for files, and its version."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License: {project['license']['text']}",
        f"Requires-Python: {project['requires-python']}",
    ]
    if project.get("keywords"):
        lines.append(f"Keywords: {','.join(project['keywords'])}")
    lines += [f"Classifier: {classifier}" for classifier in project.get("classifiers", ())]
    lines += [f"Requires-Dist: {needed}" for needed in project.get("dependencies", ())]
    for extra, needed in project.get("optional-dependencies", {}).items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f'Requires-Dist: {requirement} ; extra == "{extra}"' for requirement in needed]
    lines += ["Description-Content-Type: text/markdown", "", (package / "README.md").read_text()]
    return "\n".join(lines), project["name"].replace("-", "_"), project["version"]


def write(out, package, module, platform, programs=()):
    """A wheel of a package's module; returns its file."""
    about, name, version = metadata(package)
    info = f"{name}-{version}.dist-info"
    tag = f"py3-none-{platform}"
    pure = "false" if programs else "true"
    # One tag a line; a name of several, with points, is short for all of them.
    tags = "".join(f"Tag: py3-none-{one}\n" for one in platform.split("."))
    files = {f"{module}/{path.relative_to(package / module)}": (path.read_bytes(), 0o644)
             for path in sorted((package / module).rglob("*")) if path.suffix == ".py" or path.name == "py.typed"}
    for program in programs:
        files[f"{name}-{version}.data/scripts/pht-oci"] = (program.read_bytes(), 0o755)
    files[f"{info}/METADATA"] = (about.encode(), 0o644)
    files[f"{info}/WHEEL"] = (f"Wheel-Version: 1.0\nGenerator: pht-oci\nRoot-Is-Purelib: {pure}\n{tags}".encode(), 0o644)
    files[f"{info}/LICENSE"] = ((HERE.parent.parent / "LICENSE").read_bytes(), 0o644)
    record = "".join(f"{path},sha256={digest(data)},{len(data)}\n" for path, (data, _) in files.items())
    files[f"{info}/RECORD"] = (f"{record}{info}/RECORD,,\n".encode(), 0o644)
    wheel = out / f"{name}-{version}-{tag}.whl"
    # Archives of this form know no time before 1980.
    when = time.gmtime(max(int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")), 315532800))[:6]
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, (data, mode) in files.items():
            member = zipfile.ZipInfo(path, when)
            member.external_attr = (0o100000 | mode) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            archive.writestr(member, data)
    return wheel


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    binary, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    print(write(out, HERE / "pht-oci", "pht_oci", platform_of(binary), [binary]))
    print(write(out, HERE / "pht-oci-train-lib", "train_lib", "any"))


main()
