#!/usr/bin/env python3
"""Reads and edits OCI layouts for the tests, without a line of the program under test.

  layout.py base   LAYOUT TAG [--busybox] [--compress C]   a base image: nothing but /etc/os-release, or with busybox
  layout.py image  LAYOUT TAG                              JSON: descriptor, manifest and config of an image
  layout.py tags   LAYOUT                                  JSON: every tag of the layout, in order
  layout.py view   LAYOUT TAG [PREFIX]                     JSON: the merged view, path to what is there
  layout.py cat    LAYOUT TAG PATH                         the bytes of one file of the merged view
  layout.py append LAYOUT TAG OUT EDIT... [--compress C]   the image with one more layer, as TAG OUT
  layout.py tag    LAYOUT TAG OUT                          one more name for an image
  layout.py config LAYOUT TAG OUT --merge JSON             the image with changes to its image config
  layout.py only   LAYOUT TAG OTHER OUT                    a layout that holds this image and nothing else
  layout.py search LAYOUT TEXT                             the blobs that contain TEXT, raw or decompressed
  layout.py serve                                          for each command that comes in, as JSON in a line, what it prints

EDIT: --diff AT=DIR    what a container engine commits when AT came to look like DIR: changes and whiteouts
      --opaque AT=DIR  the same by an opaque whiteout and everything anew
      --put PATH=FILE  one file (mode 0644, root); --remove PATH  one whiteout
C: plain, gzip (default) or zstd.
"""
import argparse
import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile

REF = "org.opencontainers.image.ref.name"
OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
SUFFIX = {"plain": "", "gzip": "+gzip", "zstd": "+zstd"}
CREATED = "2024-01-01T00:00:00Z"
OPAQUE = ".wh..wh..opq"


def normal(name):
    """The path of an entry without `./`, without `/` at either end; the root is the empty string."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def under(path, top):
    return top == "" or path == top or path.startswith(top + "/")


# Blobs and documents ------------------------------------------------------------------------------------------------

def blob_path(layout, digest):
    algorithm, value = digest.split(":")
    return os.path.join(layout, "blobs", algorithm, value)


def read_blob(layout, digest):
    with open(blob_path(layout, digest), "rb") as blob:
        return blob.read()


def write_blob(layout, data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    path = blob_path(layout, digest)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path):
        with open(path, "wb") as blob:
            blob.write(data)
    return {"digest": digest, "size": len(data)}


def read_index(layout):
    path = os.path.join(layout, "index.json")
    if not os.path.exists(path):
        return {"schemaVersion": 2, "manifests": []}
    with open(path, encoding="utf-8") as index:
        return json.load(index)


def write_index(layout, index):
    os.makedirs(layout, exist_ok=True)
    with open(os.path.join(layout, "oci-layout"), "w", encoding="utf-8") as marker:
        marker.write('{"imageLayoutVersion":"1.0.0"}')
    with open(os.path.join(layout, "index.json"), "w", encoding="utf-8") as out:
        json.dump(index, out)


def name_of(descriptor):
    return descriptor.get("annotations", {}).get(REF)


def find(layout, tag):
    for descriptor in read_index(layout)["manifests"]:
        if name_of(descriptor) == tag:
            return descriptor
    sys.exit(f"{layout}: no tag {tag}; there are {[name_of(d) for d in read_index(layout)['manifests']]}")


def load(layout, tag):
    """The descriptor, the manifest and the image config of a tag."""
    descriptor = find(layout, tag)
    manifest = json.loads(read_blob(layout, descriptor["digest"]))
    return descriptor, manifest, json.loads(read_blob(layout, manifest["config"]["digest"]))


def save(layout, tag, manifest, config):
    """Writes config and manifest and points the tag at them."""
    encode = lambda document: json.dumps(document, separators=(",", ":")).encode()
    manifest["config"] |= write_blob(layout, encode(config))
    manifest.setdefault("mediaType", OCI + "manifest.v1+json")
    descriptor = {"mediaType": manifest["mediaType"]} | write_blob(layout, encode(manifest))
    point(layout, tag, descriptor)


def point(layout, tag, descriptor):
    index = read_index(layout)
    index["manifests"] = [d for d in index["manifests"] if name_of(d) != tag]
    index["manifests"].append(descriptor | {"annotations": {REF: tag}})
    write_index(layout, index)


def decompress(data):
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def compress(data, how):
    if how == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-cq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def add_layer(layout, manifest, config, tar, how, note):
    family = DOCKER if manifest.get("mediaType", "").startswith(DOCKER) else OCI
    kind = DOCKER + "image.rootfs.diff.tar.gzip" if family == DOCKER else OCI + "layer.v1.tar" + SUFFIX[how]
    manifest["layers"].append({"mediaType": kind} | write_blob(layout, compress(tar, how)))
    config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(tar).hexdigest())
    config.setdefault("history", []).append({"created": CREATED, "created_by": note})


# The merged view ----------------------------------------------------------------------------------------------------

def kind_of(member):
    kinds = [("directory", member.isdir()), ("symlink", member.issym()), ("fifo", member.isfifo()),
             ("char", member.ischr()), ("block", member.isblk()), ("file", member.isreg())]
    return next((kind for kind, is_it in kinds if is_it), "unknown")


def entry_of(tar, member):
    prefix = "SCHILY.xattr."
    xattrs = {k[len(prefix):]: v for k, v in member.pax_headers.items() if k.startswith(prefix)}
    entry = {"type": kind_of(member), "mode": oct(member.mode & 0o7777), "uid": member.uid, "gid": member.gid,
             "mtime": int(member.mtime), "xattrs": xattrs}
    if member.issym():
        entry["link"] = member.linkname
    if member.isreg():
        entry["data"] = tar.extractfile(member).read()
    return entry


def drop(view, top, itself=True):
    for path in [p for p in view if under(p, top) and (itself or p != top)]:
        del view[path]


def apply_layer(view, data):
    """Puts one layer over the view; whiteouts act on what the layers below hold, never on this one."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        members = [(normal(m.name), m) for m in tar.getmembers()]
        for path, _ in members:
            parent, _, name = path.rpartition("/")
            if name == OPAQUE:
                drop(view, parent, itself=False)
            elif name.startswith(".wh."):
                drop(view, normal(f"{parent}/{name[4:]}"))
        for path, member in members:
            if path.rpartition("/")[2].startswith(".wh."):
                continue
            if member.islnk():
                new = view[normal(member.linkname)]
            else:
                new = entry_of(tar, member)
            if new["type"] != "directory":
                drop(view, path)
            view[path] = new


def merged(layout, tag):
    _, manifest, config = load(layout, tag)
    view = {}
    for descriptor, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        raw = read_blob(layout, descriptor["digest"])
        if len(raw) != descriptor["size"] or "sha256:" + hashlib.sha256(raw).hexdigest() != descriptor["digest"]:
            sys.exit(f"{layout}:{tag}: layer {descriptor['digest']} is not what its descriptor says")
        data = decompress(raw)
        if "sha256:" + hashlib.sha256(data).hexdigest() != diff_id:
            sys.exit(f"{layout}:{tag}: layer {descriptor['digest']} does not have the diff ID {diff_id}")
        apply_layer(view, data)
    return view


def shown(view, prefix):
    """The view as JSON: contents as their hash, the names of one inode as a list where there are several."""
    names = {}
    for path, entry in view.items():
        names.setdefault(id(entry), []).append(path)
    out = {}
    for path in sorted(view):
        if not under(path, prefix):
            continue
        entry = dict(view[path])
        if "data" in entry:
            data = entry.pop("data")
            entry |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if len(names[id(view[path])]) > 1:
            entry["names"] = sorted(names[id(view[path])])
        out[path] = entry
    return out


# Writing layers -----------------------------------------------------------------------------------------------------

def directory(tar, path, like=None):
    info = tarfile.TarInfo(path)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    if like:
        status = os.stat(like)
        info.mode, info.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
        info.uid, info.gid = status.st_uid, status.st_gid
    tar.addfile(info)


def plain(tar, path, data, mode=0o644):
    info = tarfile.TarInfo(path)
    info.size, info.mode = len(data), mode
    tar.addfile(info, io.BytesIO(data))


def add_path(tar, source, path):
    """One file-system entry with its owner, times, xattrs; hard links become links within this tar."""
    info = tar.gettarinfo(source, path)
    info.uname = info.gname = ""
    info.mtime = int(info.mtime)
    if not os.path.islink(source):
        for name in os.listxattr(source):
            info.pax_headers[f"SCHILY.xattr.{name}"] = os.getxattr(source, name).decode()
    if info.isreg():
        with open(source, "rb") as data:
            tar.addfile(info, data)
    else:
        tar.addfile(info)


def tree(top):
    """Every path below a directory, in walk order: names of each directory in byte order, depth first."""
    for name in sorted(os.listdir(top), key=os.fsencode):
        yield name
        path = os.path.join(top, name)
        if os.path.isdir(path) and not os.path.islink(path):
            for below in tree(path):
                yield f"{name}/{below}"


def same(entry, source):
    status = os.lstat(source)
    if oct(stat.S_IMODE(status.st_mode)) != entry["mode"] and not stat.S_ISLNK(status.st_mode):
        return False
    if stat.S_ISDIR(status.st_mode):
        return entry["type"] == "directory"
    if stat.S_ISLNK(status.st_mode):
        return entry.get("link") == os.readlink(source)
    if not stat.S_ISREG(status.st_mode) or entry["type"] != "file" or status.st_nlink > 1:
        return False
    with open(source, "rb") as data:
        return data.read() == entry["data"]


def write_diff(tar, view, at, source):
    directory(tar, at, source)
    wanted = list(tree(source))
    keep = {f"{at}/{name}" for name in wanted}
    for path in sorted(p for p in view if under(p, at) and p != at and p not in keep):
        parent, _, name = path.rpartition("/")
        if parent == at or parent in keep:
            plain(tar, f"{parent}/.wh.{name}", b"")
    for name in wanted:
        path, here = f"{at}/{name}", os.path.join(source, name)
        if path not in view or not same(view[path], here):
            add_path(tar, here, path)


def write_opaque(tar, at, source):
    directory(tar, at, source)
    plain(tar, f"{at}/{OPAQUE}", b"")
    for name in tree(source):
        add_path(tar, os.path.join(source, name), f"{at}/{name}")


def edited(view, args):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for at, source in (pair.split("=", 1) for pair in args.diff):
            write_diff(tar, view, normal(at), source)
        for at, source in (pair.split("=", 1) for pair in args.opaque):
            write_opaque(tar, normal(at), source)
        for path in map(normal, args.remove):
            parent, _, name = path.rpartition("/")
            plain(tar, f"{parent}/.wh.{name}", b"")
        for path, source in (pair.split("=", 1) for pair in args.put):
            with open(source, "rb") as data:
                plain(tar, normal(path), data.read())
    return out.getvalue()


APPLETS = "sh ls cat cp mv mkdir echo head sleep rm ln chmod chown touch wc printf find id true".split()


def base_tar(busybox):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in ("bin", "etc", "opt", "tmp"):
            directory(tar, path)
        plain(tar, "etc/os-release", b"ID=pht-test-base\n")
        if busybox:
            program = next(p for p in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(p))
            with open(program, "rb") as data:
                plain(tar, "bin/busybox", data.read(), 0o755)
            for applet in APPLETS:
                info = tarfile.TarInfo(f"bin/{applet}")
                info.type, info.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(info)
    return out.getvalue()


# Commands -----------------------------------------------------------------------------------------------------------

def base(args):
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = {"created": CREATED, "architecture": machine, "os": "linux",
              "config": {"Env": ["PATH=/bin"], "Labels": {"org.example.base": "kept"}},
              "rootfs": {"type": "layers", "diff_ids": []}, "history": []}
    manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
                "config": {"mediaType": OCI + "config.v1+json"}, "layers": []}
    add_layer(args.layout, manifest, config, base_tar(args.busybox), args.compress, "test base")
    save(args.layout, args.tag, manifest, config)


def image(args):
    descriptor, manifest, config = load(args.layout, args.tag)
    print(json.dumps({"descriptor": descriptor, "manifest": manifest, "config": config}))


def append(args):
    _, manifest, config = load(args.layout, args.tag)
    tar = edited(merged(args.layout, args.tag), args)
    add_layer(args.layout, manifest, config, tar, args.compress, "test layer")
    save(args.layout, args.out, manifest, config)


def change_config(args):
    _, manifest, config = load(args.layout, args.tag)
    config["config"] = config.get("config", {}) | json.loads(args.merge)
    save(args.layout, args.out, manifest, config)


def only(args):
    descriptor, manifest, _ = load(args.layout, args.tag)
    for digest in [descriptor["digest"], manifest["config"]["digest"], *(x["digest"] for x in manifest["layers"])]:
        os.makedirs(os.path.dirname(blob_path(args.other, digest)), exist_ok=True)
        shutil.copyfile(blob_path(args.layout, digest), blob_path(args.other, digest))
    point(args.other, args.out, {k: v for k, v in descriptor.items() if k != "annotations"})


def search(args):
    """Walks the directory, not the index: what no tag reaches counts as well."""
    found, text = [], args.text.encode()
    for where, _, names in os.walk(args.layout):
        for name in names:
            with open(os.path.join(where, name), "rb") as blob:
                raw = blob.read()
            if text in raw or text in decompress(raw):
                found.append(os.path.join(where, name))
    print(json.dumps(sorted(found)))


def cat(args):
    view, path = merged(args.layout, args.tag), normal(args.path)
    if "data" not in view.get(path, {}):
        sys.exit(f"{args.layout}:{args.tag}: no file {path}")
    sys.stdout.buffer.write(view[path]["data"])


def serve(_):
    parser = command_line()
    for line in sys.stdin:
        answer = {}
        try:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                given = parser.parse_args(json.loads(line))
                COMMANDS[given.command](given)
            answer["printed"] = printed.getvalue()
        except (Exception, SystemExit) as error:
            answer["fault"] = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)


COMMANDS = {
    "base": base, "image": image, "append": append, "config": change_config, "only": only, "search": search, "cat": cat,
    "serve": serve,
    "tags": lambda a: print(json.dumps([name_of(d) for d in read_index(a.layout)["manifests"]])),
    "view": lambda a: print(json.dumps(shown(merged(a.layout, a.tag), normal(a.prefix)))),
    "tag": lambda a: point(a.layout, a.out, {k: v for k, v in find(a.layout, a.tag).items() if k != "annotations"}),
}


def command_line():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    words = {"base": "tag", "image": "tag", "tags": "", "view": "tag", "cat": "tag path", "append": "tag out",
             "tag": "tag out", "config": "tag out", "only": "tag other out", "search": "text"}
    commands.add_parser("serve")
    of = {}
    for command, positional in words.items():
        of[command] = commands.add_parser(command)
        for word in ["layout", *positional.split()]:
            of[command].add_argument(word)
    of["view"].add_argument("prefix", nargs="?", default="")
    of["base"].add_argument("--busybox", action="store_true")
    of["config"].add_argument("--merge", required=True)
    for option in ("--diff", "--opaque", "--put", "--remove"):
        of["append"].add_argument(option, action="append", default=[])
    for command in ("base", "append"):
        of[command].add_argument("--compress", choices=SUFFIX, default="gzip")
    return parser


if __name__ == "__main__":
    given = command_line().parse_args()
    COMMANDS[given.command](given)
