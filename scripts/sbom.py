#!/usr/bin/env python3
"""The bill of materials of the program, as CycloneDX 1.5: every crate that is in the binary, with version, licence, digest.

  sbom.py [--target TRIPLE] [BINARY] > pht-oci.cdx.json

The crates are those that `cargo tree` lists, with the default features, without what only building and testing take.
With BINARY its digest is in the document. The same sources give the same bytes. Takes cargo and Python 3.11 or newer.
"""
import argparse
import hashlib
import json
import os
import subprocess
import tomllib
import uuid
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def metadata(target):
    line = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def host():
    told = subprocess.run(["rustc", "-vV"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return next(line.removeprefix("host: ") for line in told.splitlines() if line.startswith("host: "))


def names_in_the_binary(target):
    """Name and version of every crate that is compiled into the program: `cargo metadata` knows them only roughly, with
    what other features and other platforms take."""
    edges = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    line = ["cargo", "tree", "--locked", "--package", "pht-oci", "--target", target, *edges]
    printed = subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {tuple(crate.split()[:2]) for crate in printed.splitlines() if crate.strip()}


def in_the_binary(known, target):
    """The packages that are in the binary, in the order of their names, and what of them each needs."""
    names = names_in_the_binary(target)
    inside = {package["id"] for package in known["packages"] if (package["name"], f"v{package['version']}") in names}
    if len(inside) != len(names):
        raise SystemExit(f"cargo tree lists {len(names)} crates, of which cargo metadata knows {len(inside)}")
    needs = {}
    for node in known["resolve"]["nodes"]:
        if node["id"] in inside:
            # A dependency of the kind `null` is neither one of tests nor one of build scripts.
            normal = [d["pkg"] for d in node["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"])]
            needs[node["id"]] = sorted(package for package in normal if package in inside)
    return dict(sorted(needs.items()))


def component(package, checksums):
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{name}@{version}"
    found = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "scope": "required"}
    if package.get("description"):
        found["description"] = " ".join(package["description"].split())
    if package.get("license"):
        # Older crates write alternatives with a stroke.
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if (name, version) in checksums:
        found["hashes"] = [{"alg": "SHA-256", "content": checksums[name, version]}]
    links = {"vcs": package.get("repository"), "website": package.get("homepage")}
    found["externalReferences"] = [{"type": kind, "url": url} for kind, url in links.items() if url]
    if not found["externalReferences"]:
        del found["externalReferences"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target")
    parser.add_argument("binary", nargs="?", type=Path)
    asked = parser.parse_args()
    target = asked.target or host()
    known = metadata(target)
    packages = {package["id"]: package for package in known["packages"]}
    root = known["resolve"]["root"]
    needs = in_the_binary(known, target)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(entry["name"], entry["version"]): entry["checksum"] for entry in lock if "checksum" in entry}
    program = {**component(packages[root], checksums), "type": "application"}
    program.pop("scope")
    if asked.binary:
        digest = hashlib.sha256(asked.binary.read_bytes()).hexdigest()
        program["hashes"] = [{"alg": "SHA-256", "content": digest}]
    when = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), timezone.utc)
    references = {package: f"pkg:cargo/{packages[package]['name']}@{packages[package]['version']}" for package in needs}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": program},
        "components": [component(packages[package], checksums) for package in needs if package != root],
        "dependencies": [
            {"ref": references[package], "dependsOn": [references[needed] for needed in needed_by]}
            for package, needed_by in needs.items()
        ],
    }
    # The number of a document is to be unique, and this one is a function of what is in it.
    content = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).digest()
    document["serialNumber"] = f"urn:uuid:{uuid.UUID(bytes=content[:16], version=4)}"
    print(json.dumps(document, indent=2, ensure_ascii=False))


main()
