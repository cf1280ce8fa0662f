"""Images that carry trains of wire 3, as section 8 of its specification (src/manual/wire-3.md) has them: OCI layouts,
packed layers, and tars with one reading only."""
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import zlib

import wire3_documents as documents
from wire3_documents import formed, verified

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.image.rootfs.diff."
REF = "org.opencontainers.image.ref.name"
OPAQUE = ".wh..wh..opq"
XATTRS = ("SCHILY.xattr.", "LIBARCHIVE.xattr.", "RHT.security.", "SCHILY.acl.")
PACKING = {OCI + "layer.v1.tar": None, OCI + "layer.v1.tar+gzip": "gzip", OCI + "layer.v1.tar+zstd": "zstd",
           DOCKER + "tar": None, DOCKER + "tar.gzip": "gzip", DOCKER + "tar.zstd": "zstd"}


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# Layouts ------------------------------------------------------------------------------------------------------------

def read_blob(layout, descriptor):
    formed(documents.is_digest(descriptor.get("digest")), "a descriptor without a digest")
    with open(os.path.join(layout, "blobs", *descriptor["digest"].split(":")), "rb") as blob:
        data = blob.read()
    verified(sha256(data) == descriptor["digest"], "blob", descriptor["digest"])
    verified(len(data) == descriptor.get("size"), "blob", f"{descriptor['digest']} is not as long as its descriptor says")
    return data


def write_blob(layout, data):
    digest = sha256(data)
    os.makedirs(os.path.join(layout, "blobs/sha256"), exist_ok=True)
    with open(os.path.join(layout, "blobs", *digest.split(":")), "wb") as blob:
        blob.write(data)
    return {"digest": digest, "size": len(data)}


def tag_of(descriptor):
    return descriptor.get("annotations", {}).get(REF)


def read_index(layout):
    try:
        with open(os.path.join(layout, "index.json"), "rb") as index:
            return documents.image_document(index.read(), documents.INDEX, "index")
    except FileNotFoundError:
        return {"schemaVersion": 2, "manifests": []}


def write_index(layout, index):
    with open(os.path.join(layout, "oci-layout"), "w", encoding="utf-8") as marker:
        marker.write('{"imageLayoutVersion":"1.0.0"}')
    with open(os.path.join(layout, "index.json"), "w", encoding="utf-8") as out:
        json.dump(index, out)


def point(layout, tag, manifest):
    """Makes a tag name a manifest, which is given as bytes."""
    index = read_index(layout)
    index["manifests"] = [d for d in index["manifests"] if tag_of(d) != tag]
    descriptor = {"mediaType": OCI + "manifest.v1+json"} | write_blob(layout, manifest)
    index["manifests"].append(descriptor | {"annotations": {REF: tag}})
    write_index(layout, index)


def encoded(document):
    return json.dumps(document, separators=(",", ":")).encode()


class Image:
    """An image of a layout, its layers as they are packed."""

    def __init__(self, layout, tag):
        found = [d for d in read_index(layout)["manifests"] if tag_of(d) == tag]
        formed(len(found) == 1, f"{layout}: no image {tag}")
        self.layout = layout
        self.manifest = documents.image_document(read_blob(layout, found[0]), documents.MANIFEST, "manifest")
        self.layers = self.manifest["layers"]
        config = read_blob(layout, self.manifest["config"])
        self.config = documents.image_document(config, documents.IMAGE_CONFIG, "image config")
        self.diff_ids = self.config["rootfs"]["diff_ids"]
        formed(len(self.diff_ids) == len(self.layers), "as many diff IDs as layers")
        for layer in self.layers:
            formed(layer.get("mediaType") in PACKING, f"a layer of type {layer.get('mediaType')}")

    def tar(self, layer, check="layers"):
        """A layer, unpacked and held against its diff ID."""
        descriptor = self.layers[layer]
        data = read_blob(self.layout, descriptor)
        # Docker's type for gzip is that of plain contents too.
        plain = descriptor["mediaType"] == DOCKER + "tar.gzip" and data[:2] != b"\x1f\x8b"
        data = unpacked(data, None if plain else PACKING[descriptor["mediaType"]])
        verified(sha256(data) == self.diff_ids[layer], check, f"the diff ID of layer {layer}")
        return data


def unpacked(data, packing):
    if packing == "gzip":
        out = []
        while data:
            formed(data[:2] == b"\x1f\x8b", "something that is no gzip member")
            member = zlib.decompressobj(31)
            try:
                out.append(member.decompress(data))
            except zlib.error as error:
                raise documents.Refused(5, "layers", str(error)) from None
            formed(member.eof, "a gzip member that ends early")
            data = member.unused_data
        return b"".join(out)
    if packing == "zstd":
        formed(re.match(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", data), "something that is no zstd frame")
        done = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False)
        formed(done.returncode == 0, "not zstd")
        return done.stdout
    formed(data[:2] != b"\x1f\x8b" and data[:4] != b"\x28\xb5\x2f\xfd", "packed, and its type says that it is not")
    return data


def publish(layout, tag, base, keep, image, payload, control):
    """An image of the lowest layers of `base` (nothing, if none are kept), these two tars, and these signed values."""
    layers = [{k: base.layers[at][k] for k in ("mediaType", "digest", "size")} for at in range(keep)]
    for layer in layers:
        write_blob(layout, read_blob(base.layout, layer))
    layers += [{"mediaType": OCI + "layer.v1.tar"} | write_blob(layout, tar) for tar in (payload, control)]
    diff_ids = (base.diff_ids[:keep] if base else []) + [sha256(payload), sha256(control)]
    config = image | {"rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "layers": layers,
                "config": {"mediaType": OCI + "config.v1+json"} | write_blob(layout, encoded(config))}
    point(layout, tag, encoded(manifest))


# Tars ---------------------------------------------------------------------------------------------------------------

class Entry:
    """An entry as its headers have it; the path is bytes, without the slash that a directory's name may end in."""

    def __init__(self, path, kind, mode, owner, link, xattrs, data):
        self.path, self.kind, self.mode, self.owner = path, kind, mode, owner
        self.link, self.xattrs, self.data = link, xattrs, data


def number(field, what):
    """Octal digits, blanks before and blanks or one NUL behind them."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    found = re.fullmatch(rb" *([0-7]+)[ \0]*|[ \0]+", field)
    formed(found, f"a tar header whose {what} is {field!r}")
    return int(found[1] or b"0", 8)


def text(field):
    return field.split(b"\0", 1)[0]


def pax_records(data):
    records = {}
    while data:
        length = re.match(rb"([1-9][0-9]*) ", data)
        formed(length and int(length[1]) <= len(data), "a PAX record without its length")
        record = data[length.end():int(length[1])]
        formed(record.endswith(b"\n") and b"=" in record, "a PAX record without an end")
        name, value = record[:-1].split(b"=", 1)
        formed(name and value and name not in records, f"the PAX record {name!r} twice or empty")
        records[name] = value
        data = data[int(length[1]):]
    return records


def entries(tar):
    """Every entry, in order; what two readers could read in two ways is refused."""
    found, at, pax, long_name = [], 0, {}, {}
    formed(len(tar) % 512 == 0, "a tar of no whole blocks")
    while tar[at:at + 512].strip(b"\0"):
        header = tar[at:at + 512]
        formed(len(header) == 512, "a tar that ends early")
        kind, magic = header[156:157], header[257:265]
        checksum = sum(header[:148]) + 8 * 32 + sum(header[156:])
        formed(number(header[148:156], "checksum") == checksum, "a tar header with another checksum")
        size = number(header[124:136], "size")
        if b"size" in pax:
            formed(re.fullmatch(rb"[0-9]+", pax[b"size"]), "a PAX size")
            size = int(pax[b"size"])
        data = tar[at + 512:at + 512 + size]
        formed(len(data) == size, "a tar that ends early")
        at += 512 + -(-size // 512) * 512
        if kind == b"x":
            formed(not pax, "two PAX headers")
            pax = pax_records(data)
            continue
        if kind in (b"L", b"K"):
            formed(kind not in long_name and data.strip(b"\0"), "a GNU name twice or empty")
            long_name[kind] = text(data)
            continue
        formed(kind in b"\x000123456" and magic[:5] == b"ustar", f"an entry of type {kind!r}")
        found.append(entry_of(header, kind, data, pax, long_name))
        pax, long_name = {}, {}
    formed(not pax and not long_name and not tar[at:].strip(b"\0"), "something behind the last entry")
    return found


def entry_of(header, kind, data, pax, long_name):
    prefix = text(header[345:500]) if header[257:263] == b"ustar\0" else b""
    name = (prefix + b"/" if prefix else b"") + text(header[0:100])
    forms = {form for form in (long_name.get(b"L"), pax.get(b"path")) if form is not None} or {name}
    links = {form for form in (long_name.get(b"K"), pax.get(b"linkpath")) if form is not None} or {text(header[157:257])}
    formed(len(forms) == 1 and len(links) == 1, f"two names of one entry: {forms} {links}")
    formed(not any(key.startswith(b"GNU.sparse") for key in pax), "a sparse file")
    path = forms.pop()
    kind = {b"\0": b"0"}.get(kind, kind)
    formed(kind == b"5" or not path.endswith(b"/"), f"{path!r} ends in a slash")
    formed(kind == b"0" or not data, f"{path!r} has contents")
    owner = tuple(int(pax[key]) if key in pax else number(field, "owner")
                  for key, field in ((b"uid", header[108:116]), (b"gid", header[116:124])))
    xattrs = [key.decode("utf-8", "replace") for key in pax if key.decode("utf-8", "replace").startswith(XATTRS)]
    return Entry(path.removesuffix(b"/") if kind == b"5" else path, kind, number(header[100:108], "mode"), owner,
                 links.pop(), xattrs, data)


def write_tar(files):
    """`files` is a list of path, mode and bytes; None for directories."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, mode, data in files:
            info = tarfile.TarInfo(path)
            info.mode = mode
            if data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


# The two layers of a train ------------------------------------------------------------------------------------------

def plain(entry, kind, mode, path=None):
    """An entry as both layers have theirs."""
    fits = (entry.kind, entry.mode, entry.owner, entry.xattrs) == (kind, mode, (0, 0), [])
    return fits and path in (None, entry.path)


def check_control(tar):
    """The bytes of the train config and of the creator's key; that the layer is no other is told by `extra`."""
    found = entries(tar)
    config = [entry for entry in found if entry.path == b"opt/train_config.json" and entry.kind == b"0"]
    formed(len(config) == 1, "no train: the layer on top has no train config")
    key = [entry for entry in found if entry.path == b"opt/user_sym_key.key" and entry.kind == b"0"]
    expected = [(b"5", 0o755, b"opt"), (b"0", 0o644, b"opt/train_config.json"), (b"0", 0o644, b"opt/user_sym_key.key")]
    right = len(found) == 3 and plain(found[0], *expected[0]) and all(
        any(plain(entry, *wanted) for entry in found[1:]) for wanted in expected[1:])
    return config[0].data, key[0].data if key else None, right


def check_payload(tar, files):
    """The entries of the payload layer below its two directories, without the markers; `files` are those of the config."""
    found, check = entries(tar), "payload"
    verified(len(found) > 3 and plain(found[0], b"5", 0o755, b"opt"), check, "opt does not stand first")
    seen, places = {b"opt": found[0]}, {b"opt/pht_results": [], b"opt/pht_train": []}
    at = 1
    for top, inside in places.items():
        marker = top + b"/" + OPAQUE.encode()
        verified(at + 1 < len(found) and found[at].path == top and found[at].kind == b"5", check, f"{top} is not next")
        verified(plain(found[at + 1], b"0", 0o644, marker) and not found[at + 1].data, check, f"{top} is not opaque")
        check_entry(found[at], top, seen)
        at += 2
        while at < len(found) and found[at].path.startswith(top + b"/"):
            check_entry(found[at], top, seen)
            inside.append(found[at])
            at += 1
        order = [entry.path.split(b"/") for entry in inside]
        verified(order == sorted(order), check, f"{top} is not in walk order")
    verified(at == len(found), check, f"{found[min(at, len(found) - 1)].path!r} has no place here")
    check_train(places[b"opt/pht_train"], files)
    return places[b"opt/pht_results"] + places[b"opt/pht_train"]


def check_entry(entry, top, seen):
    check, path = "payload", entry.path
    parts = path.split(b"/")
    verified(not {b"", b".", b".."} & set(parts) and not parts[-1].startswith(b".wh."), check, f"the name {path!r}")
    verified(path not in seen, check, f"{path!r} twice")
    parent = seen.get(b"/".join(parts[:-1]))
    verified(parent is not None and parent.kind == b"5", check, f"{path!r} has no directory before it")
    seen[path] = entry
    verified(not entry.mode & ~0o1777, check, f"{path!r} has the mode {entry.mode:o}")
    if top == b"opt/pht_train":
        own = entry.mode == 0o755 if entry.kind == b"5" else entry.kind == b"0"
        verified(own and entry.owner == (0, 0) and not entry.xattrs, check, f"{path!r} is not as immutable files are")
        return
    verified(entry.kind in b"0125", check, f"{path!r} is of type {entry.kind!r}")
    foreign = [name for name in entry.xattrs if not re.match(r"(SCHILY|LIBARCHIVE)\.xattr\.user\.", name)]
    verified(not foreign, check, f"{path!r} has {foreign}")
    target = seen.get(entry.link)
    good = target is not None and target.kind == b"0" and entry.link.startswith(b"opt/pht_results/")
    verified(entry.kind != b"1" or good, check, f"{path!r} is a link to {entry.link!r}")


def check_train(inside, files):
    """The files of the config with their modes, and exactly their parent directories."""
    wanted = {b"opt/pht_train/" + file["path"].encode(): file["mode"] for file in files}
    parents = {path[:at] for path in wanted for at in range(14, len(path)) if path[at:at + 1] == b"/"}
    found = {entry.path: entry.mode for entry in inside if entry.kind == b"0"}
    verified(found == wanted, "immutable-files", "the files are not those that the creator signed")
    directories = {entry.path for entry in inside if entry.kind == b"5"}
    verified(directories == parents, "payload", f"other directories than {parents}")
