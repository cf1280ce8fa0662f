"""What the attacks on wire 3 start from: parties, trains made by the second implementation, an image taken apart and put
together again, and judges: the second implementation, or the program under test."""
import copy
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import wire3_documents as documents
import wire3_image as images
import wire3_peer as peer

PARTIES = ("creator", "builder", "station_1", "station_2", "station_3", "stranger")
STATIONS = ("station_1", 2, "station_3")
CONFIG = {
    "User": "1000", "ExposedPorts": {"80/tcp": {}}, "Env": ["PATH=/bin", "A=1"], "Entrypoint": ["/bin/sh"],
    "Cmd": ["-c", "true"], "Volumes": {"/data": {}}, "WorkingDir": "/tmp", "StopSignal": "SIGTERM",
    "Labels": {"org.example": "kept"},
}
FILES = {"main.py": (0o755, b"print(1)\n"), "lib/two chunks.bin": (0o644, bytes(131_072)), "lib/empty": (0o600, b""),
         "lib.py": (0o644, b"x" * 65_537), "query.json": (0o644, b"{}")}
RESULTS = {"a.txt": b"result a\n", "b.txt": b"result b\n", "full.bin": bytes(65_536), "large.bin": b"y" * 140_000,
           "sub/empty": b"", "sub/x": b"x\n", "sub-a": b"-\n"}


def write_files(top, files):
    for name, (mode, data) in files.items():
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(data)
        os.chmod(path, mode)


class Arguments:
    def __init__(self, **values):
        self.__dict__ |= values


class Field:
    """A directory with keys and two trains of the same people as built and after two stops, and one without a base."""

    def __init__(self, top):
        self.top, self.layout = top, os.path.join(top, "trains")
        os.makedirs(os.path.join(top, "keys"))
        for name in PARTIES:
            key = rsa.generate_private_key(65537, 2048)
            kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            with open(os.open(self.key_file(name), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as out:
                out.write(key.private_bytes(*kinds))
        self.keys = {name: peer.private_of(self.key_file(name)) for name in PARTIES}
        write_files(self.path("files"), FILES)
        write_files(self.path("results"), {name: (0o640, data) for name, data in RESULTS.items()})
        os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
        self.make_base()
        for name, base in (("", self.path("base") + ":base"), ("other-", self.path("base") + ":base"), ("bare-", "scratch")):
            self.make_train(name, base)

    def path(self, name):
        return os.path.join(self.top, name)

    def key_file(self, name):
        return os.path.join(self.top, "keys", name + ".pem")

    def make_base(self):
        layout, descriptors, diff_ids = self.path("base"), [], []
        for files in ([("etc", 0o755, None), ("etc/os-release", 0o644, b"ID=x\n"), ("opt", 0o755, None)],
                      [("usr", 0o755, None), ("usr/python3", 0o755, b"genuine\n")]):
            tar = images.write_tar(files)
            blob = images.write_blob(layout, gzip.compress(tar, 6, mtime=0))
            descriptors.append({"mediaType": images.OCI + "layer.v1.tar+gzip"} | blob)
            diff_ids.append(images.sha256(tar))
        config = {"architecture": "amd64", "os": "linux", "config": CONFIG,
                  "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        config["architecture"] = {"aarch64": "arm64"}.get(os.uname().machine, "amd64")
        manifest = {"schemaVersion": 2, "mediaType": images.OCI + "manifest.v1+json", "layers": descriptors,
                    "config": {"mediaType": images.OCI + "config.v1+json"}
                    | images.write_blob(layout, images.encoded(config))}
        images.point(layout, "base", images.encoded(manifest))

    def make_train(self, prefix, base):
        route = [{"station": station, "eco_system": "tue", "key": self.key_file(f"station_{at + 1}")}
                 for at, station in enumerate(STATIONS)]
        spec = {"id": f"urn:example:{prefix}train", "proposal_id": 7, "files": self.path("files"), "route": route,
                "creator": {"id": "alice", "key": self.key_file("creator")}, "builder": {"key": self.key_file("builder")}}
        with open(self.path("spec.json"), "w", encoding="utf-8") as out:
            json.dump(spec, out)
        peer.build(Arguments(layout=self.layout, tag=prefix + "0", base=base, spec=self.path("spec.json")))
        for stop in (1, 2, 3):
            peer.stop(Arguments(layout=self.layout, tag=f"{prefix}{stop - 1}", to=f"{prefix}{stop}",
                                key=self.key_file(f"station_{stop}"), results=self.path("results")))


class Entry:
    """An entry of a tar, with everything that its header says."""

    def __init__(self, info, data=b""):
        self.info, self.data = info, data

    @property
    def name(self):
        return self.info.name


def entry(path, data=b"", mode=0o644, kind=tarfile.REGTYPE, link="", **more):
    info = tarfile.TarInfo(path)
    info.mode, info.type, info.linkname = mode, kind, link
    for name, value in more.items():
        setattr(info, name, value)
    return Entry(info, data)


def entries_of(tar):
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        return [Entry(info, archive.extractfile(info).read() if info.isreg() else b"") for info in archive.getmembers()]


def tar_of(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for found in entries:
            found.info.size = len(found.data) if found.info.isreg() else 0
            archive.addfile(found.info, io.BytesIO(found.data))
    return out.getvalue()


class Train:
    """An image taken apart. An attack changes any of it; `texts` are functions over the bytes of a document."""

    def __init__(self, field, tag):
        self.field, self.keys, self.image = field, field.keys, images.Image(field.layout, tag)
        self.base = len(self.image.layers) - 2
        self.manifest, self.image_config = copy.deepcopy(self.image.manifest), copy.deepcopy(self.image.config)
        self.blobs = [images.read_blob(field.layout, layer) for layer in self.image.layers[:self.base]]
        self.payload_tar, control = self.image.tar(self.base), self.image.tar(self.base + 1)
        self.payload, self.control = entries_of(self.payload_tar), entries_of(control)
        self.config = json.loads(self.in_control("opt/train_config.json").data)
        self.original = copy.deepcopy(self.config)
        self.texts, self.top, self.index, self.descriptor = {}, [], {}, {}
        self.payload_changed, self.no_control, self.wrap_payload = False, False, lambda tar: tar

    # What attacks look at and change -------------------------------------------------------------------------------

    def other(self, tag):
        return Train(self.field, tag)

    def route(self):
        return sorted(self.config["route"], key=lambda stop: stop["index"])

    def last(self):
        signed = [stop for stop in self.route() if stop.get("signature")]
        return signed[-1] if signed else None

    def next(self):
        return self.route()[self.last()["index"] + 1 if self.last() else 0]

    def stage_key(self):
        return self.keys["creator"].decrypt(bytes.fromhex(self.original["creator"]["encrypted_key"]), peer.oaep())

    def in_payload(self, path):
        self.payload_changed = True
        return next(found for found in self.payload if found.name.rstrip("/") == path)

    def in_control(self, path):
        return next(found for found in self.control if found.name.rstrip("/") == path)

    def put(self, added, after=None):
        """Puts an entry at its place in walk order, or directly after a path."""
        self.payload_changed = True
        names = [found.name.rstrip("/") for found in self.payload]
        if after is not None:
            at = names.index(after) + 1
        else:
            key = documents.walk(added.name)
            at = max(n for n, name in enumerate(names) if documents.walk(name) < key or name.endswith(images.OPAQUE)
                     and name.split("/")[1] == added.name.split("/")[1]) + 1
        self.payload.insert(at, added)

    def sealed(self, path, data):
        return peer.encrypt(self.stage_key(), path.removeprefix("opt/"), data)

    # Signatures that an attacker can make --------------------------------------------------------------------------

    def diff_id(self):
        return images.sha256(self.payload_bytes())

    def payload_bytes(self):
        return self.wrap_payload(tar_of(self.payload) if self.payload_changed else self.payload_tar)

    def sign_last(self, **changes):
        """The last stop or the build, signed again by its own signer, `changes` in its record."""
        stop = self.last()
        record = stop["signature"] if stop else self.config["build"]
        record |= {"payload": self.diff_id(), "recipients": peer.recipients_of(self.config, stop["index"] + 1 if stop else 0)}
        self.sign_record(stop, record | changes)

    def sign_record(self, stop, record):
        previous = None
        if stop is not None:
            before = self.route()[:stop["index"]]
            previous = (before[-1]["signature"] if before else self.config["build"])["digest"]
        kind = "build" if stop is None else "stop"
        made = peer.message(kind, documents.document_of(self.config, stop, previous, record))
        key = self.keys["builder" if stop is None else f"station_{stop['index'] + 1}"]
        record = record | {"digest": peer.sha512(made).hex(), "signature": peer.sign(key, made)}
        if stop is None:
            self.config["build"] = record
        else:
            stop["signature"] = record

    def sign_all(self):
        """All signatures anew, as if everybody were the attacker: only the form can be wrong."""
        made = peer.message("statement", documents.statement(self.config))
        self.config |= {"hash": peer.sha512(made).hex(), "signature": peer.sign(self.keys["creator"], made)}
        self.sign_record(None, self.config["build"])
        for stop in self.route():
            if stop.get("signature"):
                self.sign_record(stop, stop["signature"])

    # Together again ------------------------------------------------------------------------------------------------

    def write(self, layout):
        """The image as the only one of a new layout, tag `t`."""
        text = lambda name, data: self.texts.get(name, lambda same: same)(data)
        for found in self.control:
            if found.name == "opt/train_config.json" and found.info.isreg() and not found.data.startswith(b"fixed"):
                found.data = text("config", json.dumps(self.config, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        tars = [self.payload_bytes()] + ([] if self.no_control else [tar_of(self.control)]) + self.top
        layers = self.manifest["layers"][:self.base]
        for layer, blob in zip(layers, self.blobs):
            written = images.write_blob(layout, blob)
            layer |= {name: layer[name] if layer.pop("fixed " + name, None) else written[name] for name in written}
        layers += [{"mediaType": images.OCI + "layer.v1.tar"} | images.write_blob(layout, tar) for tar in tars]
        self.manifest["layers"] = layers
        for name, rootfs in self.image_config.items():
            if name.casefold() == "rootfs" and isinstance(rootfs, dict):
                rootfs["diff_ids"] = rootfs["diff_ids"][:self.base] + [images.sha256(tar) for tar in tars]
        config = text("image config", json.dumps(self.image_config, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        self.manifest["config"] |= images.write_blob(layout, config)
        manifest = text("manifest", images.encoded(self.manifest))
        descriptor = {"mediaType": images.OCI + "manifest.v1+json"} | images.write_blob(layout, manifest)
        annotations = {images.REF: "t"} | self.descriptor.pop("annotations", {})
        index = {"schemaVersion": 2, "manifests": [descriptor | {"annotations": annotations} | self.descriptor]} | self.index
        images.write_index(layout, index)
        with open(os.path.join(layout, "index.json"), "wb") as out:
            out.write(text("index", images.encoded(index)))


# Judges -------------------------------------------------------------------------------------------------------------

class Peer:
    """The second implementation itself."""

    name = "peer"

    def verify(self, layout):
        return self.judged(lambda: peer.Train(images.Image(layout, "t")).weak)

    def opened(self, field, layout, reader, _out):
        def run():
            train = peer.Train(images.Image(layout, "t"))
            peer.decrypted(train, peer.unwrap(train, field.keys[reader]))
        return self.judged(run)

    def foreign(self, _out):
        """It publishes nothing for engines."""
        return []

    def judged(self, run):
        try:
            return 0, [f"weak {check}" for check in run() or []], ""
        except documents.Refused as refused:
            return refused.status, [str(refused).partition(":")[0]], str(refused)


class Program:
    """The program under test."""

    def __init__(self, program):
        self.name = self.program = program

    def run(self, *line):
        environment = {name: value for name, value in os.environ.items() if name not in ("PHT_TRUST_DIR", "PHT_MIN_WIRE")}
        done = subprocess.run([self.program, "--format", "json", *line], capture_output=True, check=False, env=environment)
        try:
            checks = json.loads(done.stdout or b"{}").get("checks", [])
        except ValueError:
            checks = []
        wrong = [check["id"] for check in checks if check["verdict"] == "broken"]
        weak = [f"weak {check['id']}" for check in checks if check["verdict"] == "weak"]
        return done.returncode, wrong + weak, done.stderr.decode("utf-8", "replace").strip()

    def verify(self, layout):
        return self.run("verify", f"oci:{layout}:t")

    def opened(self, field, layout, reader, out):
        """Pre-run, or `results`; whoever refuses has published nothing."""
        shutil.rmtree(out, ignore_errors=True)
        before = listing(layout)
        if reader == "creator":
            told = self.run("results", f"oci:{layout}:t", "--private-key", field.key_file(reader), "--out", out)
        else:
            told = self.run("pre-run", f"oci:{layout}:t", f"oci:{out}:t", "--private-key", field.key_file(reader))
        if told[0] != 0 and (os.path.exists(os.path.join(out, "index.json")) or reader == "creator" and os.path.exists(out)):
            return "published", told[1], told[2]
        return told if before == listing(layout) else ("changed its source", told[1], told[2])

    def foreign(self, out):
        """Annotations and URLs in what pre-run published last that an engine might act on."""
        found = []
        with open(os.path.join(out, "index.json"), "rb") as text:
            index = json.load(text)
        objects = [index, *index["manifests"]]
        for descriptor in index["manifests"]:
            manifest = json.loads(images.read_blob(out, descriptor))
            objects += [manifest, manifest["config"], *manifest["layers"]]
        for value in objects:
            found += [name for name in value.get("annotations") or {} if not name.startswith("org.opencontainers.image.")]
            found += value.get("urls") or []
        return found


def listing(top):
    found = {}
    for here, _, names in os.walk(top):
        for name in names:
            with open(os.path.join(here, name), "rb") as data:
                found[os.path.join(here, name)] = hashlib.sha256(data.read()).hexdigest()
    return found


if __name__ == "__main__":
    sys.exit("run wire3_attacks.py")
