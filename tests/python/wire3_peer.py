#!/usr/bin/env python3
"""Wire 3 of the train security protocol, a second time: written from its specification (src/manual/wire-3.md) alone.

  wire3_peer.py verify LAYOUT TAG                          all that needs no key; prints every intermediate value as JSON
  wire3_peer.py open   LAYOUT TAG --key PEM --out DIR      verifies and decrypts as the next station or as the creator
  wire3_peer.py build  LAYOUT TAG --base LAYOUT:TAG --spec JSON     builds a train; `--base scratch` for no base
  wire3_peer.py stop   LAYOUT FROM TO --key PEM --results DIR       one station: verifies, decrypts, signs, encrypts

SPEC: {id, proposal_id, creator: {id, key}, builder: {key}, route: [{station, eco_system, key}], files: DIR, command};
the keys are PEM files. LAYOUT is an OCI image layout. SOURCE_DATE_EPOCH is the time that a stage signs. Exit status 3
where verification fails, 4 for a key, 5 for a bad form.
"""
import argparse
import hashlib
import json
import os
import stat
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cryptography.exceptions import InvalidSignature, InvalidTag  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import padding  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: E402

import wire3_documents as documents  # noqa: E402
import wire3_image as images  # noqa: E402
from wire3_documents import Refused, formed, jcs, message, verified  # noqa: E402

CHUNK, TAG, SALT = 64 * 1024, 16, 16
TRAIN, RESULTS = "pht_train", "pht_results"


# Primitives ---------------------------------------------------------------------------------------------------------

def sha512(data):
    return hashlib.sha512(data).digest()


def hkdf(key, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def pss():
    return padding.PSS(padding.MGF1(hashes.SHA512()), 64)


def sign(key, signed):
    return key.sign(signed, pss(), hashes.SHA512()).hex()


def check_signature(key, signature, signed, check):
    try:
        key.verify(bytes.fromhex(signature), signed, pss(), hashes.SHA512())
    except InvalidSignature:
        raise Refused(3, check, "the signature does not verify") from None


def oaep():
    return padding.OAEP(padding.MGF1(hashes.SHA512()), hashes.SHA512(), None)


def wrap(pem_hex, stage_key):
    return documents.public_of(pem_hex).encrypt(stage_key, oaep()).hex()


def pem_hex_of(key):
    kinds = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(*kinds).hex()


def private_of(path):
    with open(path, "rb") as pem:
        key = serialization.load_pem_private_key(pem.read(), None)
    if not documents.good_numbers(key.public_key().public_numbers()):
        raise Refused(4, "key", "it protects nothing")
    return key


def now():
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


# Files: salt || STREAM ----------------------------------------------------------------------------------------------

def info_of(path):
    return b"pht-oci/3 file\0" + os.fsencode(path)


def file_key(stage_key, salt, path):
    return hkdf(stage_key, salt, info_of(path))


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
    verified(len(sealed) >= SALT + TAG, "file", "too short for an encrypted file")
    return [sealed[at:at + CHUNK + TAG] for at in range(SALT, len(sealed), CHUNK + TAG)]


def decrypt(stage_key, path, sealed):
    chunks, plain = sealed_chunks(sealed), []
    cipher = AESGCM(file_key(stage_key, sealed[:SALT], path))
    for counter, chunk in enumerate(chunks):
        last = counter == len(chunks) - 1
        verified(len(chunk) > TAG or counter == 0, "file", f"{path}: an empty last chunk after others")
        try:
            plain.append(cipher.decrypt(nonce(counter, last), chunk, None))
        except (InvalidTag, ValueError):
            raise Refused(3, "file", f"{path}: chunk {counter} does not authenticate") from None
    return b"".join(plain)


# What anyone can check ----------------------------------------------------------------------------------------------

class Train:
    """A train whose every public part holds; `told` has the values on the way, `weak` what proves nothing."""

    def __init__(self, image):
        self.image, self.weak, self.base = image, [], len(image.layers) - 2
        formed(self.base >= 0, "no train: less than two layers")
        config, user_key, right = images.check_control(image.tar(self.base + 1))
        self.config = documents.parse(config, "train config", integers=True)
        self.stops = documents.check_form(self.config)
        self.signed = sum(stop.get("signature") is not None for stop in self.stops)
        in_turn = all(stop.get("signature") is not None for stop in self.stops[:self.signed])
        verified(in_turn, "route-order", "a stop has signed before an earlier one")
        self.told = {"signed": self.signed, "records": [], "weak": self.weak}
        self.check_statement()
        self.check_records()
        self.check_recipients()
        self.check_base()
        self.check_image_config()
        verified(image.diff_ids[self.base] == self.last["payload"], "payload", "not the signed payload layer")
        self.entries = images.check_payload(image.tar(self.base), self.config["files"])
        verified(right and user_key == bytes.fromhex(self.config["creator"]["encrypted_key"]), "control", "not as written")
        self.told["payload"] = self.last["payload"]

    def check_statement(self):
        config = self.config
        verified(config.get("signature") is not None, "creator-signature", "the train waits for its creator")
        self.statement = documents.statement(config)
        signed = message("statement", self.statement)
        self.told |= {"statement": jcs(self.statement).decode(), "hash": sha512(signed).hex()}
        verified(self.told["hash"] == config["hash"], "statement", "hash is not that of the statement")
        creator = documents.public_of(config["creator"]["rsa_public_key"])
        check_signature(creator, config["signature"], signed, "creator-signature")

    def check_records(self):
        signers = [("build", None, self.config["builder"], self.config["build"])]
        signers += [("stop", stop, stop, stop["signature"]) for stop in self.stops[:self.signed]]
        previous = before = None
        for kind, stop, owner, record in signers:
            document = documents.document_of(self.config, stop, previous, record)
            signed = message(kind, document)
            digest = sha512(signed).hex()
            verified(digest == record["digest"], f"{kind}-digest", "it is of another document")
            check_signature(documents.public_of(owner["rsa_public_key"]), record["signature"], signed, f"{kind}-signature")
            if before is not None and record["time"] < before:
                self.weak.append("time")
            previous, before, self.last = digest, record["time"], record
            self.told["records"].append({"kind": kind, "document": jcs(document).decode(), "digest": digest})

    def check_recipients(self):
        readers = [stop["index"] for stop in self.stops if stop.get("encrypted_key") is not None]
        expected = [self.signed] if self.signed < len(self.stops) else []
        verified(readers == expected, "key-recipients", f"a key is wrapped for {readers}")
        self.told["recipients"] = recipients_of(self.config, self.signed)
        verified(self.told["recipients"] == self.last["recipients"], "recipients", "other keys than those signed")

    def check_base(self):
        base = self.statement["base_layers"]
        verified([layer["diff_id"] for layer in base] == self.image.diff_ids[:self.base], "base", "other layers")
        for at, signed in enumerate(base):
            packed = self.image.layers[at]
            if packed["digest"] == signed["digest"]:
                verified(packed["size"] == signed["size"], "base", f"layer {at} has another size")
            else:
                self.image.tar(at, "base")

    def check_image_config(self):
        """With the statement's values: there, members that are null are left out at any depth."""
        config, signed = self.image.config, self.statement["image"]
        found = documents.image_values(config)
        verified(jcs(found) == jcs(signed), "image-config", f"{found} is not what was signed")
        known = ("architecture", "os", "variant", "config", "rootfs", "created", "author", "history")
        extra = [name for name in config if name not in known and config[name] not in documents.EMPTY]
        verified(not extra, "image-config", f"{extra}")


def recipients_of(config, signed):
    stops = sorted(config["route"], key=lambda stop: stop["index"])
    readers = {"creator": config["creator"]["encrypted_key"]}
    if signed < len(stops):
        readers["next"] = stops[signed]["encrypted_key"]
    return sha512(jcs(readers)).hex()


def commitment_of(stage_key, config):
    return hkdf(stage_key, bytes.fromhex(config["session_id"]), b"pht-oci/3 commit").hex()


# What takes a key ---------------------------------------------------------------------------------------------------

def unwrap(train, key):
    same = lambda owner: documents.public_of(owner["rsa_public_key"]).public_numbers() == key.public_key().public_numbers()
    owner = next((owner for owner in [train.config["creator"], *train.stops] if same(owner)), None)
    if owner is None or owner.get("encrypted_key") is None:
        raise Refused(4, "key", "no key is wrapped for this private key")
    try:
        stage_key = key.decrypt(bytes.fromhex(owner["encrypted_key"]), oaep())
    except ValueError:
        raise Refused(4, "key", "the wrapped key does not open") from None
    if len(stage_key) != 32:
        raise Refused(4, "key", "a key of another length")
    commitment = commitment_of(stage_key, train.config)
    verified(commitment == train.last["key_commitment"], "key-commitment", "another key than the one committed to")
    return stage_key


def decrypted(train, stage_key):
    """Every file and directory of the payload: (path under /opt, mode, bytes or None), and the values on the way."""
    files, told, plain = [], [], {}
    for entry in train.entries:
        path = os.fsdecode(entry.path.removeprefix(b"opt/"))
        if entry.kind == b"0":
            data = plain[entry.path] = decrypt(stage_key, path, entry.data)
            told.append(values_of(stage_key, path, data, entry.data))
        elif entry.kind == b"1":
            data = plain[entry.link]
        elif entry.kind == b"5":
            data = None
        else:
            continue
        files.append((path, entry.mode, data))
    contents = {path: data for path, _, data in files}
    for file in train.config["files"]:
        data = contents[f"{TRAIN}/{file['path']}"]
        right = (len(data), sha512(data).hex()) == (file["size"], file["sha512"])
        verified(right, "immutable-files", f"{file['path']} is not what the creator signed")
    return files, told


def values_of(stage_key, path, data, sealed):
    salt, chunks = sealed[:SALT], sealed_chunks(sealed)
    last = len(chunks) - 1
    return {"path": path, "size": len(data), "salt": salt.hex(), "sha512": sha512(data).hex(),
            "info": info_of(path).hex(), "key": file_key(stage_key, salt, path).hex(),
            "chunks": [{"size": len(chunk) - TAG, "tag": chunk[-TAG:].hex(), "nonce": nonce(at, at == last).hex()}
                       for at, chunk in enumerate(chunks)]}


def record_of(config, key, stop, previous, payload, stage_key, when=None):
    """What a build or a stop adds; the keys are wrapped already."""
    signed = 0 if stop is None else stop["index"] + 1
    record = {"payload": payload, "key_commitment": commitment_of(stage_key, config),
              "recipients": recipients_of(config, signed), "time": when or now()}
    kind = "build" if stop is None else "stop"
    made = message(kind, documents.document_of(config, stop, previous, record))
    return record | {"digest": sha512(made).hex(), "signature": sign(key, made)}


def read_tree(top):
    """Files and directories of a directory on disk as (path, mode, bytes or None), in walk order."""
    found = []
    for here, directories, names in os.walk(top):
        for name in directories + names:
            path, data = os.path.join(here, name), None
            if name in names:
                with open(path, "rb") as content:
                    data = content.read()
            found.append((os.path.relpath(path, top), stat.S_IMODE(os.lstat(path).st_mode) & 0o777, data))
    return sorted(found, key=lambda entry: documents.walk(entry[0]))


def payload_of(stage_key, results, files):
    """The payload layer: `results` and `files` are paths below their directories, modes, and bytes in plaintext."""
    out = [("opt", 0o755, None)]
    for top, inside in ((RESULTS, results), (TRAIN, files)):
        out += [(f"opt/{top}", 0o755, None), (f"opt/{top}/{images.OPAQUE}", 0o644, b"")]
        for path, mode, data in inside:
            if data is None:
                out.append((f"opt/{top}/{path}", 0o755 if top == TRAIN else mode, None))
            else:
                out.append((f"opt/{top}/{path}", mode, encrypt(stage_key, f"{top}/{path}", data)))
    return images.write_tar(out)


def control_of(config):
    user_key = bytes.fromhex(config["creator"]["encrypted_key"])
    return images.write_tar([("opt", 0o755, None), ("opt/train_config.json", 0o644, json.dumps(config, indent=2).encode()),
                             ("opt/user_sym_key.key", 0o644, user_key)])


# Commands -----------------------------------------------------------------------------------------------------------

def verify(args):
    print(json.dumps(Train(images.Image(args.layout, args.tag)).told, indent=1))


def open_train(args):
    train = Train(images.Image(args.layout, args.tag))
    stage_key = unwrap(train, private_of(args.key))
    files, values = decrypted(train, stage_key)
    for path, mode, data in files:
        place = os.path.join(args.out, path)
        os.makedirs(place if data is None else os.path.dirname(place), exist_ok=True)
        if data is not None:
            with open(place, "wb") as out:
                out.write(data)
            os.chmod(place, mode)
    train.told |= {"config": train.config, "stage_key": stage_key.hex(), "files": values,
                   "key_commitment": commitment_of(stage_key, train.config)}
    print(json.dumps(train.told, indent=1))


def build(args):
    with open(args.spec, encoding="utf-8") as text:
        spec = json.load(text)
    base = None if args.base == "scratch" else images.Image(*args.base.rsplit(":", 1))
    layers = []
    for at, diff_id in enumerate(base.diff_ids if base else []):
        base.tar(at)
        layers.append({"diff_id": diff_id} | {name: base.layers[at][name] for name in ("digest", "size")})
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    image = documents.image_values(base.config if base else {"architecture": machine, "os": "linux"})
    image["config"] = {name: value for name, value in image["config"].items() if name in documents.CONFIG_MEMBERS}
    image["config"] |= {"Cmd": spec["command"]} if "command" in spec else {}
    files = read_tree(spec["files"])
    within = {path for path, _, data in files if data is not None}
    files = [file for file in files if file[2] is not None or any(name.startswith(file[0] + "/") for name in within)]
    creator, builder = private_of(spec["creator"]["key"]), private_of(spec["builder"]["key"])
    config = config_of(spec, creator, builder, layers, image, files)
    signed = message("statement", documents.statement(config))
    config |= {"hash": sha512(signed).hex(), "signature": sign(creator, signed)}
    stage_key = os.urandom(32)
    for reader in (config["creator"], config["route"][0]):
        reader["encrypted_key"] = wrap(reader["rsa_public_key"], stage_key)
    payload = payload_of(stage_key, [], files)
    config["build"] = record_of(config, builder, None, None, images.sha256(payload), stage_key)
    images.publish(args.layout, args.tag, base, len(layers), image, payload, control_of(config))


def config_of(spec, creator, builder, layers, image, files):
    """All that the creator signs."""
    listed = [{"path": p, "mode": m, "size": len(d), "sha512": sha512(d).hex()} for p, m, d in files if d is not None]
    return {
        "wire": "3", "@id": spec["id"], "@context": None, "proposal_id": spec["proposal_id"],
        "session_id": os.urandom(64).hex(),
        "source": {"type": "docker_repository", "address": "example/master", "tag": None, "branch": None},
        "creator": {"id": spec["creator"]["id"], "rsa_public_key": pem_hex_of(creator)},
        "builder": {"rsa_public_key": pem_hex_of(builder)},
        "route": [{"station": stop["station"], "eco_system": stop["eco_system"], "index": index,
                   "rsa_public_key": pem_hex_of(private_of(stop["key"]))} for index, stop in enumerate(spec["route"])],
        "file_list": [file["path"] for file in listed], "files": listed, "base_layers": layers, "image": image,
    }


def stop(args):
    image, key = images.Image(args.layout, args.tag), private_of(args.key)
    train = Train(image)
    verified(train.signed < len(train.stops), "route-order", "every station has signed")
    own = train.stops[train.signed]
    verified(own["rsa_public_key"] == pem_hex_of(key), "route-order", "it is not this station's turn")
    files, _ = decrypted(train, unwrap(train, key))
    files = [(path.removeprefix(TRAIN + "/"), mode, data) for path, mode, data in files if path.startswith(TRAIN + "/")]
    stage_key, previous = os.urandom(32), train.last["digest"]
    for reader in train.stops:
        reader.pop("encrypted_key", None)
    for reader in [train.config["creator"], *train.stops[train.signed + 1:][:1]]:
        reader["encrypted_key"] = wrap(reader["rsa_public_key"], stage_key)
    payload = payload_of(stage_key, read_tree(args.results), files)
    own["signature"] = record_of(train.config, key, own, previous, images.sha256(payload), stage_key)
    signed = train.statement["image"]
    images.publish(args.layout, args.to, image, train.base, signed, payload, control_of(train.config))


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
