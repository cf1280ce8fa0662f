#!/usr/bin/env python3
"""One image for several platforms, of OCI archives with one image each: all blobs once, and an index above them.

  image-index.py OUT.tar IMAGE.tar...

The tag is `latest`. Each blob is held against its digest; the same images give the same bytes.
"""
import hashlib
import io
import json
import os
import sys
import tarfile

INDEX = "application/vnd.oci.image.index.v1+json"
REF = "org.opencontainers.image.ref.name"


def read(path):
    """The blobs of an archive by their names, and the descriptor of its only image, with its platform."""
    with tarfile.open(path) as archive:
        files = {member.name.removeprefix("./"): archive.extractfile(member).read() for member in archive if member.isfile()}
    blobs = {name: data for name, data in files.items() if name.startswith("blobs/sha256/")}
    for name, data in blobs.items():
        if hashlib.sha256(data).hexdigest() != name.rpartition("/")[2]:
            raise SystemExit(f"{path}: {name}: these bytes have another digest")

    def document(digest):
        return json.loads(blobs["blobs/" + digest.replace(":", "/")])

    manifests = json.loads(files["index.json"])["manifests"]
    if len(manifests) != 1:
        raise SystemExit(f"{path}: {len(manifests)} images, expected one")
    config = document(document(manifests[0]["digest"])["config"]["digest"])
    platform = {"architecture": config["architecture"], "os": config["os"]}
    return blobs, {key: manifests[0][key] for key in ("mediaType", "digest", "size")} | {"platform": platform}


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    out, *images = sys.argv[1:]
    blobs, entries = {}, []
    for image in images:
        found, entry = read(image)
        blobs.update(found)
        entries.append(entry)
    entries.sort(key=lambda entry: entry["platform"]["architecture"])
    if len({entry["platform"]["architecture"] for entry in entries}) != len(entries):
        raise SystemExit("two images are for one platform")
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    digest = hashlib.sha256(index).hexdigest()
    blobs[f"blobs/sha256/{digest}"] = index
    top = {"mediaType": INDEX, "digest": f"sha256:{digest}", "size": len(index), "annotations": {REF: "latest"}}
    files = dict(sorted(blobs.items()))
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [top]}).encode()
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', **files}
    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            member.mtime = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
            archive.addfile(member, io.BytesIO(data))


main()
