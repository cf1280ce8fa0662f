#!/usr/bin/env python3
"""Writes an image of an OCI layout in another form that other tools write; it stays the same image to who runs it.

  reform.py image LAYOUT TAG OUT [OPTION...]          the image in another form, as TAG OUT
      --docker            Docker schema 2: media types, and the config's fields that only Docker writes
      --compress C        every layer anew: plain, gzip or zstd
      --names PREFIX      every entry of every layer begins so: `./` or `/`
      --history HOW       none, or undated: without `created`
      --architecture A    the architecture that the config states
      --annotate JSON     annotations of the manifest
  reform.py index LAYOUT OUT OS/ARCH=TAG...           an image index of these images; the tags themselves go
  reform.py index LAYOUT OUT OS/ARCH=TAG... --attest  the same, each with an attestation, as build tools add
  reform.py entry LAYOUT TAG JSON                     fields for the tag's entry in index.json
"""
import argparse
import hashlib
import io
import json
import sys
import tarfile

sys.dont_write_bytecode = True
import layout as lib  # noqa: E402

FIELDS = {"docker_version": "20.10.24", "container": "c0ffee", "id": None,
          "container_config": {"Hostname": "c0ffee", "Cmd": ["/bin/sh", "-c", "#(nop) "], "Memory": 12345678901234567890}}


def renamed(tar, prefix):
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(tar)) as old, tarfile.open(fileobj=out, mode="w", format=old.format) as new:
        for member in old.getmembers():
            member.pax_headers = {k: v for k, v in member.pax_headers.items() if k not in ("path", "linkpath")}
            data = old.extractfile(member) if member.isreg() else None
            member.name = prefix + lib.normal(member.name)
            if member.islnk():
                member.linkname = prefix + lib.normal(member.linkname)
            new.addfile(member, data)
    return out.getvalue()


def image(args):
    _, manifest, config = lib.load(args.layout, args.tag)
    old, manifest["layers"], ids = manifest["layers"], [], []
    for layer in old:
        raw = lib.read_blob(args.layout, layer["digest"])
        tar = lib.decompress(raw)
        if args.names:
            tar = renamed(tar, args.names)
        how = args.compress or ("gzip" if args.docker or args.names else None)
        if how:
            kind = lib.OCI + "layer.v1.tar" + lib.SUFFIX[how]
            layer = layer | {"mediaType": kind} | lib.write_blob(args.layout, lib.compress(tar, how))
        if args.docker:
            layer["mediaType"] = lib.DOCKER + "image.rootfs.diff.tar.gzip"
        manifest["layers"].append(layer)
        ids.append("sha256:" + hashlib.sha256(tar).hexdigest())
    config["rootfs"]["diff_ids"] = ids
    if args.docker:
        manifest["mediaType"] = lib.DOCKER + "distribution.manifest.v2+json"
        manifest["config"]["mediaType"] = lib.DOCKER + "container.image.v1+json"
        manifest["x-unknown"] = {"kept": [1.50, None]}
        config |= FIELDS
    if args.annotate:
        manifest["annotations"] = json.loads(args.annotate)
        manifest["config"]["annotations"] = {"org.example.config": "kept"}
        manifest["layers"][0]["annotations"] = {"org.example.layer": "kept"}
    if args.history == "none":
        del config["history"]
    elif args.history == "undated":
        for entry in config["history"]:
            del entry["created"]
    if args.architecture:
        config["architecture"] = args.architecture
    lib.save(args.layout, args.out, manifest, config)


def attestation(layout, of):
    statement = json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": of["digest"]}).encode()
    layer = {"mediaType": "application/vnd.in-toto+json"} | lib.write_blob(layout, statement)
    config = {"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
    config = {"mediaType": lib.OCI + "config.v1+json"} | lib.write_blob(layout, json.dumps(config).encode())
    kind = lib.OCI + "manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}
    notes = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of["digest"]}
    return {"mediaType": kind, "annotations": notes, "platform": {"architecture": "unknown", "os": "unknown"}
            } | lib.write_blob(layout, json.dumps(manifest).encode())


def index(args):
    images, tags = [], []
    for platform, tag in (pair.split("=") for pair in args.images):
        system, architecture, *variant = platform.split("/")
        entry = lib.find(args.layout, tag) | {"platform": {"architecture": architecture, "os": system}}
        if variant:
            entry["platform"]["variant"] = variant[0]
        entry.pop("annotations", None)
        images.append(entry)
        tags.append(tag)
    if args.attest:
        images += [attestation(args.layout, image) for image in images]
    kind = lib.OCI + "index.v1+json"
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": images}
    lib.point(args.layout, args.out, {"mediaType": kind} | lib.write_blob(args.layout, json.dumps(document).encode()))
    top = lib.read_index(args.layout)
    top["manifests"] = [entry for entry in top["manifests"] if lib.name_of(entry) not in tags]
    lib.write_index(args.layout, top)


def entry(args):
    top, more = lib.read_index(args.layout), json.loads(args.fields)
    for one in top["manifests"]:
        if lib.name_of(one) == args.tag:
            notes = one["annotations"] | more.pop("annotations", {})
            one |= more | {"annotations": notes}
    lib.write_index(args.layout, top)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    words = {"image": ["layout", "tag", "out"], "index": ["layout", "out"], "entry": ["layout", "tag", "fields"]}
    of = {}
    for command, positional in words.items():
        of[command] = commands.add_parser(command)
        for word in positional:
            of[command].add_argument(word)
    of["image"].add_argument("--docker", action="store_true")
    of["image"].add_argument("--compress", choices=lib.SUFFIX)
    of["image"].add_argument("--history", choices=["none", "undated"])
    for option in ("--names", "--architecture", "--annotate"):
        of["image"].add_argument(option)
    of["index"].add_argument("images", nargs="+")
    of["index"].add_argument("--attest", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    {"image": image, "index": index, "entry": entry}[given.command](given)
