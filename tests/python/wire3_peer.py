#!/usr/bin/env python3
"""Wire version 3 of the train security protocol, a second time: written from its specification alone.

  wire3_peer.py verify LAYOUT TAG                          all that needs no key; prints every intermediate value as JSON
  wire3_peer.py open   LAYOUT TAG --key PEM --out DIR      verifies and decrypts as a station or as the creator
  wire3_peer.py build  LAYOUT TAG --base LAYOUT:TAG --spec JSON     builds a train; `--base scratch` for no base
  wire3_peer.py stop   LAYOUT FROM TO --key PEM --results DIR       one station: verifies, decrypts, signs, encrypts

SPEC: {id, proposal_id, creator: {id, key}, builder: {key}, route: [{station, eco_system, key}], files: DIR}; the keys
are PEM files. LAYOUT is an OCI image layout. Exit status 3 where verification fails, 4 for a key, 5 for a bad form.
"""
import argparse
import gzip
import hashlib
import io
import json
import os
import re
import stat
import sys
import tarfile

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK, TAG, SALT = 64 * 1024, 16, 16
TRAIN, RESULTS = "pht_train", "pht_results"
OPAQUE = ".wh..wh..opq"


class Refused(Exception):
    def __init__(self, status, what):
        super().__init__(what)
        self.status = status


def verified(holds, what):
    if not holds:
        raise Refused(3, what)


def formed(holds, what):
    if not holds:
        raise Refused(5, what)


# Primitives ---------------------------------------------------------------------------------------------------------

def jcs(value):
    """RFC 8785 for what occurs here: texts, integers, lists, objects with ASCII names, null."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def sha512(data):
    return hashlib.sha512(data).digest()


def hkdf(key, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def pss(key):
    """PSS with SHA-512, MGF1 with SHA-512, and the longest salt: emLen - 64 - 2."""
    return padding.PSS(padding.MGF1(hashes.SHA512()), (key.key_size - 1 + 7) // 8 - 64 - 2)


def sign(key, digest):
    return key.sign(digest, pss(key), Prehashed(hashes.SHA512()))


def check_signature(key, signature, digest, what):
    try:
        key.verify(signature, digest, pss(key), Prehashed(hashes.SHA512()))
    except InvalidSignature:
        raise Refused(3, f"{what}: the signature does not verify") from None


def oaep():
    return padding.OAEP(padding.MGF1(hashes.SHA512()), hashes.SHA512(), None)


def public_of(pem_hex):
    return serialization.load_pem_public_key(bytes.fromhex(pem_hex))


def pem_hex_of(key):
    kinds = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(*kinds).hex()


def private_of(path):
    with open(path, "rb") as pem:
        return serialization.load_pem_private_key(pem.read(), None)


# Files: salt || STREAM ----------------------------------------------------------------------------------------------

def file_key(stage_key, salt, path):
    return hkdf(stage_key, salt, b"pht-oci/3 file\0" + path.encode("utf-8", "surrogateescape"))


def nonce(counter, last):
    return counter.to_bytes(11, "big") + bytes([last])


def encrypt(stage_key, path, data, salt=None):
    salt = salt or os.urandom(SALT)
    cipher, out = AESGCM(file_key(stage_key, salt, path)), [salt]
    chunks = [data[at:at + CHUNK] for at in range(0, len(data), CHUNK)] or [b""]
    for counter, chunk in enumerate(chunks):
        out.append(cipher.encrypt(nonce(counter, counter == len(chunks) - 1), chunk, None))
    return b"".join(out)


def sealed_chunks(sealed):
    verified(len(sealed) >= SALT + TAG, "too short for an encrypted file")
    return [sealed[at:at + CHUNK + TAG] for at in range(SALT, len(sealed), CHUNK + TAG)]


def decrypt(stage_key, path, sealed):
    chunks, plain = sealed_chunks(sealed), []
    cipher = AESGCM(file_key(stage_key, sealed[:SALT], path))
    for counter, chunk in enumerate(chunks):
        last = counter == len(chunks) - 1
        verified(len(chunk) > TAG or counter == 0, f"{path}: an empty last chunk after others")
        try:
            plain.append(cipher.decrypt(nonce(counter, last), chunk, None))
        except (InvalidTag, ValueError):
            raise Refused(3, f"{path}: chunk {counter} does not authenticate") from None
    return b"".join(plain)


# OCI layouts --------------------------------------------------------------------------------------------------------

def read_blob(layout, descriptor):
    with open(os.path.join(layout, "blobs", *descriptor["digest"].split(":")), "rb") as blob:
        data = blob.read()
    verified("sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"], f"blob {descriptor['digest']}")
    return data


def write_blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    os.makedirs(os.path.join(layout, "blobs/sha256"), exist_ok=True)
    with open(os.path.join(layout, "blobs/sha256", digest), "wb") as blob:
        blob.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def tag_of(descriptor):
    return descriptor.get("annotations", {}).get("org.opencontainers.image.ref.name")


def read_index(layout):
    try:
        with open(os.path.join(layout, "index.json"), encoding="utf-8") as index:
            return json.load(index)
    except FileNotFoundError:
        return {"schemaVersion": 2, "manifests": []}


class Image:
    """Layers as uncompressed tars, from the bottom up, with their blobs."""

    def __init__(self, layout, tag):
        found = [d for d in read_index(layout)["manifests"] if tag_of(d) == tag]
        formed(len(found) == 1, f"{layout}: no image {tag}")
        self.layout = layout
        self.manifest = json.loads(read_blob(layout, found[0]))
        self.config = json.loads(read_blob(layout, self.manifest["config"]))
        self.diff_ids = self.config["rootfs"]["diff_ids"]
        formed(len(self.diff_ids) == len(self.manifest["layers"]), "as many diff IDs as layers")

    def tar(self, layer):
        data = read_blob(self.layout, self.manifest["layers"][layer])
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        verified("sha256:" + hashlib.sha256(data).hexdigest() == self.diff_ids[layer], f"diff ID of layer {layer}")
        return data


def chain_id(diff_ids):
    chain = None
    for diff_id in diff_ids:
        chain = diff_id if chain is None else "sha256:" + hashlib.sha256(f"{chain} {diff_id}".encode()).hexdigest()
    return chain


def publish(layout, tag, base, payload, control):
    """The image of the base's layers and these two; `base` is an image or nothing, of which `keep` layers stay."""
    image, keep = base
    image_type = "application/vnd.oci.image."
    layers, diff_ids = [], []
    for at in range(keep):
        data = read_blob(image.layout, image.manifest["layers"][at])
        layers.append(image.manifest["layers"][at] | write_blob(layout, data))
        diff_ids.append(image.diff_ids[at])
    for tar in (payload, control):
        written = write_blob(layout, tar)
        layers.append({"mediaType": image_type + "layer.v1.tar"} | written)
        diff_ids.append(written["digest"])
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = {"architecture": machine, "os": "linux", "config": {}} | (image.config if image else {})
    config = {k: v for k, v in config.items() if k != "history"} | {"rootfs": {"type": "layers", "diff_ids": diff_ids}}
    config["config"] = {k: v for k, v in config.get("config", {}).items() if k != "Labels"}
    manifest = {"schemaVersion": 2, "mediaType": image_type + "manifest.v1+json", "layers": layers,
                "config": {"mediaType": image_type + "config.v1+json"} | write_blob(layout, json.dumps(config).encode())}
    descriptor = {"mediaType": manifest["mediaType"]} | write_blob(layout, json.dumps(manifest).encode())
    index = read_index(layout)
    index["manifests"] = [d for d in index["manifests"] if tag_of(d) != tag]
    index["manifests"].append(descriptor | {"annotations": {"org.opencontainers.image.ref.name": tag}})
    with open(os.path.join(layout, "oci-layout"), "w", encoding="utf-8") as marker:
        marker.write('{"imageLayoutVersion":"1.0.0"}')
    with open(os.path.join(layout, "index.json"), "w", encoding="utf-8") as out:
        json.dump(index, out)


def members(tar):
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        for member in archive.getmembers():
            name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
            yield name, member, archive.extractfile(member).read() if member.isreg() else None


def walk(path):
    """Sorts as files are walked: depth first, the names of each directory in byte order."""
    return [part.encode("utf-8", "surrogateescape") for part in path.split("/")]


def write_tar(files, opaque=()):
    """`files` is a list of path, mode and bytes or, for directories, None."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, mode, data in [("opt", 0o755, None)] + [x for d in opaque for x in
                                                          ((f"opt/{d}", 0o755, None), (f"opt/{d}/{OPAQUE}", 0o644, b""))
                                                          ] + files:
            info = tarfile.TarInfo(path)
            info.mode = mode
            if data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


def read_tree(top):
    """Files and directories of a directory on disk as (path, mode, bytes or None), in walk order."""
    found = []
    for here, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(here, name)
            mode = stat.S_IMODE(os.lstat(path).st_mode)
            data = None
            if name in files:
                with open(path, "rb") as content:
                    data = content.read()
            found.append((os.path.relpath(path, top), mode, data))
    return sorted(found, key=lambda entry: walk(entry[0]))


# The config ---------------------------------------------------------------------------------------------------------

def statement(config):
    route = sorted(config["route"], key=lambda stop: stop["index"])
    return {
        "wire": config["wire"], "id": config["@id"], "proposal_id": config["proposal_id"],
        "session_id": config["session_id"],
        "creator": {k: config["creator"][k] for k in ("id", "rsa_public_key")},
        "route": [{k: stop[k] for k in ("station", "index", "eco_system", "rsa_public_key")} for stop in route],
        "files": config["files"], "base_chain": config["base_chain"],
    }


def digest_document(config, station, index, previous, payload, commitment):
    return {"train": config["hash"], "station": station, "index": index, "previous": previous, "payload": payload,
            "key_commitment": commitment}


def commitment_of(stage_key, config):
    return hkdf(stage_key, bytes.fromhex(config["session_id"]), b"pht-oci/3 commit").hex()


def record_of(config, key, station, index, previous, payload, stage_key):
    commitment = commitment_of(stage_key, config)
    digest = sha512(jcs(digest_document(config, station, index, previous, payload, commitment)))
    return {"payload": payload, "key_commitment": commitment, "digest": digest.hex(),
            "signature": sign(key, digest).hex()}


def check_form(config):
    hex_of = {"session_id": 128, "hash": 128}
    formed(config.get("wire") == "3", "wire is not 3")
    for name in ("@id", "proposal_id", "session_id", "creator", "route", "files", "hash", "signature", "build"):
        formed(config.get(name) is not None, f"{name} is missing")
    formed("base_chain" in config, "base_chain is missing")
    formed(config.get("result_hash") is None and config.get("result_signature") is None, "result_hash does not occur")
    for name, length in hex_of.items():
        formed(re.fullmatch(f"[0-9a-f]{{{length}}}", config[name]), f"{name} is not {length} hex digits")
    for file in config["files"]:
        formed(set(file) == {"path", "mode", "size", "sha512"}, "a file has path, mode, size and sha512")
        formed(isinstance(file["path"], str) and re.fullmatch("[0-9a-f]{128}", file["sha512"]), "a file's form")
        formed(type(file["mode"]) is int and type(file["size"]) is int, "mode and size are integers")
    paths = [file["path"] for file in config["files"]]
    formed(paths == sorted(set(paths), key=walk), "files are in walk order")
    route = sorted(config["route"], key=lambda stop: stop["index"])
    formed(route and [stop["index"] for stop in route] == list(range(len(route))), "indexes run from 0 on")


def check_train(image):
    """What anyone can check; the config, the number of base layers, and every value on the way."""
    control = {name: data for name, _, data in members(image.tar(len(image.diff_ids) - 1))}
    formed(control.get("opt/train_config.json") is not None, "no train config")
    config = json.loads(control["opt/train_config.json"])
    check_form(config)
    creator, told = config["creator"], {}
    told["statement"] = jcs(statement(config)).decode()
    told["hash"] = sha512(told["statement"].encode()).hex()
    verified(told["hash"] == config["hash"], "hash is not that of the statement")
    check_signature(public_of(creator["rsa_public_key"]), bytes.fromhex(config["signature"]),
                    bytes.fromhex(config["hash"]), "creator")
    told["records"], last, previous = [], None, None
    route = sorted(config["route"], key=lambda stop: stop["index"])
    signed = [stop for stop in route if stop.get("signature")]
    verified(signed == route[:len(signed)], "stations have signed in the order of the route")
    signers = [(None, -1, config["build"]["rsa_public_key"], config["build"])]
    signers += [(stop["station"], stop["index"], stop["rsa_public_key"], stop["signature"]) for stop in signed]
    for station, index, key, record in signers:
        for name in ("payload", "key_commitment", "digest", "signature"):
            formed(isinstance(record.get(name), str), f"a record has no {name}")
        document = jcs(digest_document(config, station, index, previous, record["payload"], record["key_commitment"]))
        digest = sha512(document)
        verified(digest.hex() == record["digest"], f"digest of {index}")
        check_signature(public_of(key), bytes.fromhex(record["signature"]), digest, f"signer {index}")
        told["records"].append({"index": index, "document": document.decode(), "digest": digest.hex()})
        previous, last = record["digest"], record
    readers = [stop["index"] for stop in route if stop.get("encrypted_key")]
    verified(readers == ([len(signed)] if len(signed) < len(route) else []), f"a key is wrapped for {readers}")
    base = len(image.diff_ids) - 2
    verified(base >= 0 and chain_id(image.diff_ids[:base]) == config["base_chain"], "base_chain")
    verified(image.diff_ids[base] == last["payload"], "the payload layer is not the signed one")
    verified(set(control) <= {"", "opt", "opt/train_config.json", "opt/user_sym_key.key"}, "control layer")
    told |= {"base_chain": config["base_chain"], "payload": last["payload"], "signed": len(signed)}
    return config, base, last, told


def unwrap(config, key, last):
    public, route = key.public_key(), config["route"]
    same = lambda pem: public_of(pem).public_numbers() == public.public_numbers()
    owner = next((o for o in [*route, config["creator"]] if same(o["rsa_public_key"])), None)
    if owner is None or not owner.get("encrypted_key"):
        raise Refused(4, "no key is wrapped for this private key")
    try:
        stage_key = key.decrypt(bytes.fromhex(owner["encrypted_key"]), oaep())
    except ValueError:
        raise Refused(4, "the wrapped key does not open") from None
    verified(commitment_of(stage_key, config) == last["key_commitment"], "another key than the one committed to")
    return stage_key


def open_payload(image, base, config, stage_key):
    """Every file of the payload, decrypted and checked: (path under /opt, mode, bytes or None), and values on the way."""
    files, told = [], []
    for name, member, sealed in members(image.tar(base)):
        path = name.removeprefix("opt/")
        if path.rpartition("/")[2] == OPAQUE or path in ("opt", "", TRAIN, RESULTS):
            continue
        verified(path.split("/")[0] != TRAIN or member.isreg() or member.isdir(), f"{path}: not a file or directory")
        data = None
        if member.isreg():
            data = decrypt(stage_key, path, sealed)
            salt = sealed[:SALT]
            told.append({"path": path, "size": len(data), "salt": salt.hex(), "sha512": sha512(data).hex(),
                         "info": (b"pht-oci/3 file\0" + path.encode()).hex(),
                         "key": file_key(stage_key, salt, path).hex(),
                         "chunks": [{"size": len(c) - TAG, "tag": c[-TAG:].hex(),
                                     "nonce": nonce(at, at == len(sealed_chunks(sealed)) - 1).hex()}
                                    for at, c in enumerate(sealed_chunks(sealed))]})
        if member.isreg() or member.isdir():
            files.append((path, member.mode & 0o7777, data))
    found = [{"path": p.removeprefix(TRAIN + "/"), "mode": mode, "size": len(data), "sha512": sha512(data).hex()}
             for p, mode, data in files if p.startswith(TRAIN + "/") and data is not None]
    found.sort(key=lambda file: walk(file["path"]))
    verified(found == config["files"], "the files are not those that the creator signed")
    return files, told


# Commands -----------------------------------------------------------------------------------------------------------

def verify(args):
    print(json.dumps(check_train(Image(args.layout, args.tag))[3], indent=1))


def open_train(args):
    image = Image(args.layout, args.tag)
    config, base, last, told = check_train(image)
    stage_key = unwrap(config, private_of(args.key), last)
    files, values = open_payload(image, base, config, stage_key)
    for path, mode, data in files:
        place = os.path.join(args.out, path)
        os.makedirs(place if data is None else os.path.dirname(place), exist_ok=True)
        if data is not None:
            with open(place, "wb") as out:
                out.write(data)
            os.chmod(place, mode)
    told |= {"config": config, "stage_key": stage_key.hex(), "key_commitment": commitment_of(stage_key, config), "files": values}
    print(json.dumps(told, indent=1))


def layer_of(stage_key, files):
    sealed = [(f"opt/{path}", mode, data if data is None else encrypt(stage_key, path, data))
              for path, mode, data in files]
    return write_tar(sealed, (RESULTS, TRAIN))


def control_of(config):
    user_key = bytes.fromhex(config["creator"]["encrypted_key"])
    return write_tar([("opt/train_config.json", 0o644, json.dumps(config, indent=2).encode()),
                      ("opt/user_sym_key.key", 0o644, user_key)])


def build(args):
    with open(args.spec, encoding="utf-8") as text:
        spec = json.load(text)
    base, keep = None, 0
    if args.base != "scratch":
        base = Image(*args.base.rsplit(":", 1))
        keep = len(base.diff_ids)
    creator, builder = private_of(spec["creator"]["key"]), private_of(spec["builder"]["key"])
    keys = [private_of(stop["key"]) for stop in spec["route"]]
    files = read_tree(spec["files"])
    listed = [{"path": p, "mode": m, "size": len(d), "sha512": sha512(d).hex()} for p, m, d in files if d is not None]
    stage_key, session_id = os.urandom(32), os.urandom(64).hex()
    wrap = lambda key: key.public_key().encrypt(stage_key, oaep()).hex()
    config = {
        "wire": "3", "@id": spec["id"], "@context": None, "proposal_id": spec["proposal_id"], "session_id": session_id,
        "source": {"type": "docker_repository", "address": "example/master", "tag": None, "branch": None},
        "creator": {"id": spec["creator"]["id"], "rsa_public_key": pem_hex_of(creator), "encrypted_key": wrap(creator)},
        "route": [{"station": stop["station"], "eco_system": stop["eco_system"], "index": index,
                   "rsa_public_key": pem_hex_of(key)} for index, (stop, key) in enumerate(zip(spec["route"], keys))],
        "file_list": [file["path"] for file in listed], "files": listed,
        "base_chain": chain_id(base.diff_ids) if base else None,
    }
    config["route"][0]["encrypted_key"] = wrap(keys[0])
    digest = sha512(jcs(statement(config)))
    config |= {"hash": digest.hex(), "signature": sign(creator, digest).hex()}
    payload = layer_of(stage_key, [(f"{TRAIN}/{path}", mode, data) for path, mode, data in files])
    diff_id = "sha256:" + hashlib.sha256(payload).hexdigest()
    config["build"] = {"rsa_public_key": pem_hex_of(builder)}
    config["build"] |= record_of(config, builder, None, -1, None, diff_id, stage_key)
    publish(args.layout, args.tag, (base, keep), payload, control_of(config))


def stop(args):
    image, key = Image(args.layout, args.tag), private_of(args.key)
    config, base, last, told = check_train(image)
    files, _ = open_payload(image, base, config, unwrap(config, key, last))
    config["route"].sort(key=lambda stop: stop["index"])
    stage_key, own = os.urandom(32), config["route"][told["signed"]]
    verified(own["rsa_public_key"] == pem_hex_of(key), "it is not this station's turn")
    train = [file for file in files if file[0].split("/")[0] == TRAIN]
    results = [(f"{RESULTS}/{path}", mode, data) for path, mode, data in read_tree(args.results)]
    payload = layer_of(stage_key, results + train)
    diff_id = "sha256:" + hashlib.sha256(payload).hexdigest()
    own["signature"] = record_of(config, key, own["station"], own["index"], last["digest"], diff_id, stage_key)
    for reader in config["route"]:
        reader.pop("encrypted_key", None)
    for reader in [config["creator"], *config["route"][own["index"] + 1:][:1]]:
        reader["encrypted_key"] = public_of(reader["rsa_public_key"]).encrypt(stage_key, oaep()).hex()
    publish(args.layout, args.to, (image, base), payload, control_of(config))


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for name, run, options in [("verify", verify, []), ("open", open_train, ["--key", "--out"]),
                               ("build", build, ["--base", "--spec"]), ("stop", stop, ["--key", "--results"])]:
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        for positional in ["layout", "tag"] + (["to"] if name == "stop" else []):
            command.add_argument(positional)
        for option in options:
            command.add_argument(option, required=True)
    args = parser.parse_args()
    try:
        args.run(args)
    except Refused as refused:
        print(f"refused: {refused}", file=sys.stderr)
        sys.exit(refused.status)


if __name__ == "__main__":
    main()
