#!/usr/bin/env python3
"""What the central service hands out of a train that post-run has closed: its config and its results, without the image.

  handout.py LAYOUT TAG OUT [--gzip] [--prefix P] [--without PATH] [--first MEMBER...] [--last MEMBER...]

MEMBER is JSON: {"name", "type"?: "link" | "symlink" | "fifo" | "char", "to"?, "data"?}.
"""
import argparse
import io
import json
import sys
import tarfile

sys.dont_write_bytecode = True
import layout as lib  # noqa: E402

TYPES = {"link": tarfile.LNKTYPE, "symlink": tarfile.SYMTYPE, "fifo": tarfile.FIFOTYPE, "char": tarfile.CHRTYPE}


def add(out, text):
    told = json.loads(text)
    member = tarfile.TarInfo(told["name"])
    data = told.get("data", "").encode()
    if "type" in told:
        member.type, member.linkname = TYPES[told["type"]], told.get("to", "")
    else:
        member.size = len(data)
    out.addfile(member, io.BytesIO(data))


def main():
    parser = argparse.ArgumentParser()
    for name in ("layout", "tag", "out"):
        parser.add_argument(name)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--without")
    parser.add_argument("--first", nargs="*", default=[])
    parser.add_argument("--last", nargs="*", default=[])
    args = parser.parse_args()
    _, manifest, _ = lib.load(args.layout, args.tag)
    with tarfile.open(args.out, "w:gz" if args.gzip else "w", format=tarfile.GNU_FORMAT) as out:
        for text in args.first:
            add(out, text)
        for descriptor in manifest["layers"][-2:]:
            tar = tarfile.open(fileobj=io.BytesIO(lib.decompress(lib.read_blob(args.layout, descriptor["digest"]))))
            for member in tar.getmembers():
                name = lib.normal(member.name)
                if name == "opt/train_config.json" or lib.under(name, "opt/pht_results"):
                    name = name.removeprefix("opt/")
                    if ".wh." in name or name == args.without:
                        continue
                    data = tar.extractfile(member) if member.isreg() else None
                    member.name, member.pax_headers = args.prefix + name, {}
                    if member.islnk():
                        member.linkname = args.prefix + lib.normal(member.linkname).removeprefix("opt/")
                    out.addfile(member, data)
        for text in args.last:
            add(out, text)


main()
