#!/usr/bin/env python3
"""Changes images of an OCI layout in ways that no ordinary tool offers.

  tamper.py layer  LAYOUT TAG OUT JSON     one more layer with exactly these entries, in this order: a list of objects
                                           with path and, where they differ from an empty file of root's, type, mode,
                                           uid, gid, data, link and xattrs
  tamper.py squash LAYOUT TAG OUT [KEEP]   the image with one layer in the place of all above the lowest KEEP
  tamper.py swap   LAYOUT TAG OUT LAYER JSON
                                           layer number LAYER with these entries more, and the config as it was
"""
import io
import json
import sys
import tarfile

sys.dont_write_bytecode = True
import layout as lib  # noqa: E402

TYPES = {"file": tarfile.REGTYPE, "directory": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE,
         "fifo": tarfile.FIFOTYPE, "char": tarfile.CHRTYPE, "block": tarfile.BLKTYPE}


def add(tar, entry):
    info = tarfile.TarInfo(entry["path"])
    info.type = TYPES[entry.get("type", "file")]
    if info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = 1, 3  # 0:0 is a whiteout to some engines
    mode = entry.get("mode", 0o755 if info.isdir() else 0o644)
    info.mode = int(mode, 8) if isinstance(mode, str) else mode
    info.uid, info.gid = entry.get("uid", 0), entry.get("gid", 0)
    info.linkname = entry.get("link", "")
    info.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in entry.get("xattrs", {}).items()}
    data = entry.get("data", b"") if info.isreg() else b""
    data = data.encode() if isinstance(data, str) else data
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data) if info.isreg() else None)


def tar_of(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            add(tar, entry)
    return out.getvalue()


def layer(where, tag, out, entries):
    _, manifest, config = lib.load(where, tag)
    lib.add_layer(where, manifest, config, tar_of(json.loads(entries)), "gzip", "test layer")
    lib.save(where, out, manifest, config)


def entries_of(view):
    """The entries that make a view; all names of a file but the first are hard links."""
    first = {}
    for path in sorted(view):
        entry = view[path] | {"path": path}
        name = first.setdefault(id(view[path]), path)
        yield entry | {"type": "hardlink", "link": name} if name != path else entry


def squash(where, tag, out, keep="0"):
    _, manifest, config = lib.load(where, tag)
    above = manifest["layers"][int(keep):]
    view = {}
    for one in above if int(keep) else []:
        lib.apply_layer(view, lib.decompress(lib.read_blob(where, one["digest"])))
    view = view if int(keep) else lib.merged(where, tag)
    manifest["layers"] = manifest["layers"][:int(keep)]
    config["rootfs"]["diff_ids"] = config["rootfs"]["diff_ids"][:int(keep)]
    del config["history"]
    lib.add_layer(where, manifest, config, tar_of(entries_of(view)), "gzip", "test squash")
    del config["history"]
    lib.save(where, out, manifest, config)


def swap(where, tag, out, number, entries):
    _, manifest, config = lib.load(where, tag)
    old = manifest["layers"][int(number)]
    tar = lib.decompress(lib.read_blob(where, old["digest"])).rstrip(b"\0")
    tar += b"\0" * (-len(tar) % 512) + tar_of(json.loads(entries))
    old |= lib.write_blob(where, lib.compress(tar, "gzip"))
    lib.save(where, out, manifest, config)


if __name__ == "__main__":
    {"layer": layer, "squash": squash, "swap": swap}[sys.argv[1]](*sys.argv[2:])
