#!/usr/bin/env python3
"""Makes large images in little memory, without the program: for tests and benchmarks of what much data costs.

  bulk.py file     PATH SIZE                     a file of SIZE bytes that do not compress
  bulk.py tree     DIR FILES EACH                a directory of FILES files of EACH bytes, 1000 in a directory
  bulk.py layer    LAYOUT TAG OUT WHERE COMPRESS FILES EACH
                                                 the image TAG and one more layer: FILES files of EACH bytes below the
                                                 directory WHERE (`opt/pht_results`), as the image OUT; TAG may be `-`
                                                 for an image of nothing

SIZE and EACH in bytes, or with the suffix K, M or G. COMPRESS: plain, or gzip with contents that compress.
"""

import gzip
import hashlib
import json
import os
import random
import sys
import tarfile

OCI = "application/vnd.oci.image."
MIB = 1 << 20
# Nothing in it repeats.
BLOCK = random.Random(1).randbytes(MIB)
# Compresses well, and fast.
DULL = BLOCK[:1 << 14] * 64


def size_of(text):
    units = {"K": 1 << 10, "M": MIB, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


class Endless:
    """Reads a block over and over, each file from another place."""

    def __init__(self, start, block=BLOCK):
        self.block, self.at = block, start * 4099 % MIB

    def read(self, size):
        parts = []
        while size:
            part = self.block[self.at:self.at + size]
            parts.append(part)
            size -= len(part)
            self.at = (self.at + len(part)) % MIB
        return b"".join(parts)


def copy(source, out, size):
    while size:
        part = min(size, MIB)
        out.write(source.read(part))
        size -= part


class Digesting:
    """Writes on, and digests."""

    def __init__(self, out):
        self.out, self.sha256, self.size = out, hashlib.sha256(), 0

    def write(self, data):
        self.sha256.update(data)
        self.size += len(data)
        return self.out.write(data)

    def flush(self):
        self.out.flush()

    def digest(self):
        return "sha256:" + self.sha256.hexdigest()


def names(files):
    if files == 1:
        return ["result.bin"]
    return [f"part-{file // 1000:04}/{file % 1000:03}.bin" for file in range(files)]


def write_tar(out, where, files, each, block):
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, bufsize=MIB) as tar:
        made = set()

        def directory(path):
            if path and path not in made:
                directory(os.path.dirname(path))
                made.add(path)
                info = tarfile.TarInfo(path)
                info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, 1_700_000_000
                tar.addfile(info)

        for number, name in enumerate(names(files)):
            path = f"{where}/{name}"
            directory(os.path.dirname(path))
            info = tarfile.TarInfo(path)
            info.size, info.mtime = each, 1_700_000_000
            tar.addfile(info, Endless(number, block))


def put_blob(layout, fill):
    """A blob that `fill` writes; its descriptor without a media type, and what `fill` returned."""
    blobs = os.path.join(layout, "blobs", "sha256")
    os.makedirs(blobs, exist_ok=True)
    path = os.path.join(blobs, ".filling")
    with open(path, "wb") as file:
        out = Digesting(file)
        result = fill(out)
    os.rename(path, os.path.join(blobs, out.sha256.hexdigest()))
    return {"digest": out.digest(), "size": out.size}, result


def put_json(layout, media_type, value):
    descriptor, _ = put_blob(layout, lambda out: out.write(json.dumps(value).encode()))
    return {"mediaType": OCI + media_type} | descriptor


def read_json(layout, descriptor):
    with open(os.path.join(layout, "blobs", descriptor["digest"].replace(":", "/")), encoding="utf-8") as file:
        return json.load(file)


def fill_layer(out, compress, where, files, each):
    if compress == "plain":
        write_tar(out, where, files, each, BLOCK)
        return out.digest()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as zipped:
        plain = Digesting(zipped)
        write_tar(plain, where, files, each, DULL)
    return plain.digest()


def layer(layout, tag, out, where, compress, files, each):
    name = "org.opencontainers.image.ref.name"
    index_path = os.path.join(layout, "index.json")
    index = {"schemaVersion": 2, "manifests": []}
    if os.path.exists(index_path):
        with open(index_path, encoding="utf-8") as file:
            index = json.load(file)
    if tag == "-":
        config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
        manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "layers": []}
    else:
        found = next(entry for entry in index["manifests"] if entry.get("annotations", {}).get(name) == tag)
        manifest = read_json(layout, found)
        config = read_json(layout, manifest["config"])
    descriptor, diff_id = put_blob(layout, lambda blob: fill_layer(blob, compress, where, files, each))
    kind = "layer.v1.tar" + ("" if compress == "plain" else "+gzip")
    manifest["layers"].append({"mediaType": OCI + kind} | descriptor)
    config["rootfs"]["diff_ids"].append(diff_id)
    config.pop("history", None)
    manifest["config"] = put_json(layout, "config.v1+json", config)
    entry = put_json(layout, "manifest.v1+json", manifest) | {"annotations": {name: out}}
    others = [entry for entry in index["manifests"] if entry.get("annotations", {}).get(name) != out]
    index["manifests"] = others + [entry]
    with open(index_path, "w", encoding="utf-8") as file:
        json.dump(index, file)
    with open(os.path.join(layout, "oci-layout"), "w", encoding="utf-8") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')


def tree(top, files, each):
    for number, name in enumerate(names(files)):
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            copy(Endless(number), out, each)


def main():
    command, *words = sys.argv[1:]
    if command == "file":
        with open(words[0], "wb") as out:
            copy(Endless(0), out, size_of(words[1]))
    elif command == "tree":
        tree(words[0], int(words[1]), size_of(words[2]))
    elif command == "layer":
        layer(*words[:5], int(words[5]), size_of(words[6]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
