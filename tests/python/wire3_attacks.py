#!/usr/bin/env python3
"""Attacks on trains of wire version 3.

  wire3_attacks.py LAYOUT FROM TO ATTACK --keys DIR [--sign NAME] [--other TAG] [--gzip]

Writes the image FROM as TO after ATTACK. With --sign the payload is signed again by its own signer (`station_2`, say),
as a station that is itself the attacker can do; the train's last record is then right, and only what lies deeper can
notice. OTHER is another state or another train in the same layout. With --gzip the layers are compressed in the end, as
a registry's tools do.
"""
import argparse
import copy
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import wire3_peer as peer  # noqa: E402

LARGE, A, B = "opt/pht_results/large.bin", "opt/pht_results/a.txt", "opt/pht_results/b.txt"
MAIN = "opt/pht_train/main.py"


class Train:
    """An image taken apart: base, payload entries, config, what else lies on top."""

    def __init__(self, layout, tag, keys):
        self.image, self.keys = peer.Image(layout, tag), keys
        self.base = len(self.image.diff_ids) - 2
        control = {name: data for name, _, data in peer.members(self.image.tar(self.base + 1))}
        self.config = json.loads(control["opt/train_config.json"])
        self.payload = [[info, data] for info, data in entries(self.image.tar(self.base))]
        self.raw_payload = self.image.tar(self.base)
        self.changed_payload = False
        self.extra_control, self.more_layers = [], []
        self.other = None

    def key(self, name):
        return peer.private_of(os.path.join(self.keys, name + ".pem"))

    def route(self):
        return sorted(self.config["route"], key=lambda stop: stop["index"])

    def signer(self):
        signed = [stop for stop in self.route() if stop.get("signature")]
        return signed[-1] if signed else None

    def stage_key(self):
        wrapped = bytes.fromhex(self.config["creator"]["encrypted_key"])
        return self.key("creator").decrypt(wrapped, peer.oaep())

    def entry(self, path):
        self.changed_payload = True
        return next(entry for entry in self.payload if entry[0].name.rstrip("/") == path)

    def add(self, path, data, mode=0o644, kind=tarfile.REGTYPE, link=""):
        self.changed_payload = True
        info = tarfile.TarInfo(path)
        info.mode, info.type, info.linkname = mode, kind, link
        self.payload.append([info, data])

    def payload_tar(self):
        return tar_of(self.payload) if self.changed_payload else self.raw_payload

    def sign_again(self, name):
        key, signer, tar = self.key(name), self.signer(), self.payload_tar()
        diff_id = "sha256:" + hashlib.sha256(tar).hexdigest()
        if signer is None:
            record = peer.record_of(self.config, key, None, -1, None, diff_id, self.stage_key())
            self.config["build"] |= record
            return
        before = self.route()[:signer["index"]]
        previous = before[-1]["signature"]["digest"] if before else self.config["build"]["digest"]
        station, index = signer["station"], signer["index"]
        signer["signature"] = peer.record_of(self.config, key, station, index, previous, diff_id, self.stage_key())


def entries(tar):
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        for info in archive.getmembers():
            yield info, archive.extractfile(info).read() if info.isreg() else b""


def tar_of(found):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in found:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


# The attacks --------------------------------------------------------------------------------------------------------

def nothing(train):
    pass


def stranger_added(train):
    stop = copy.deepcopy(train.route()[-1]) | {"station": "stranger", "index": len(train.route())}
    stop["rsa_public_key"] = peer.pem_hex_of(train.key("stranger"))
    train.config["route"].append({k: v for k, v in stop.items() if k not in ("signature", "encrypted_key")})


def stranger_swapped(train):
    stop, stranger = train.route()[2], train.key("stranger")
    stop["rsa_public_key"] = peer.pem_hex_of(stranger)
    stop["encrypted_key"] = stranger.public_key().encrypt(train.stage_key(), peer.oaep()).hex()


def results_exchanged(train):
    a, b = train.entry(A), train.entry(B)
    a[1], b[1] = b[1], a[1]


def result_truncated(train):
    entry = train.entry(LARGE)
    entry[1] = entry[1][:peer.SALT + peer.CHUNK + peer.TAG]


def result_emptied(train):
    train.entry(LARGE)[1] = b""


def result_extended(train):
    entry = train.entry("opt/pht_results/full.bin")
    entry[1] += entry[1][-(peer.CHUNK + peer.TAG):]


def result_moved(train):
    train.entry(A)[0].name = "opt/pht_results/z.txt"


def result_copied(train):
    train.add("opt/pht_results/z.txt", train.entry(A)[1])


def result_hidden_by_the_payload(train):
    train.payload.remove(train.entry(A))


def control_hides_a_result(train):
    train.extra_control.append(("opt/pht_results/.wh.a.txt", b""))


def control_adds_a_file(train):
    train.extra_control.append(("opt/pht_train/new.py", b"evil"))


def control_adds_a_program(train):
    train.extra_control.append(("usr/bin/python3", b"evil"))


def layer_on_top(train):
    info = tarfile.TarInfo("etc/new")
    train.more_layers.append(tar_of([[info, b"evil"]]))


def signature_of_another_train(train):
    train.signer()["signature"] = train.other.signer()["signature"]


def signature_of_another_stop(train):
    train.route()[1]["signature"] = train.route()[0]["signature"]


def build_of_another_train(train):
    train.config["build"] = train.other.config["build"]


def last_signature_removed(train):
    del train.signer()["signature"]


def stop_removed_from_the_route(train):
    """The state before station 2, made to look as if it had never been on the route."""
    route = [stop for stop in train.route() if stop["station"] != 2]
    for index, stop in enumerate(route):
        stop["index"] = index
    route[1]["encrypted_key"] = train.route()[1].get("encrypted_key")
    train.config["route"] = route


def older_payload(train):
    train.payload, train.changed_payload, train.raw_payload = train.other.payload, False, train.other.raw_payload


def another_key_for_the_next(train):
    stop = train.route()[2]
    stop["encrypted_key"] = peer.public_of(stop["rsa_public_key"]).encrypt(os.urandom(32), peer.oaep()).hex()


def another_key_for_the_creator(train):
    creator = train.config["creator"]
    creator["encrypted_key"] = peer.public_of(creator["rsa_public_key"]).encrypt(os.urandom(32), peer.oaep()).hex()


def key_for_one_who_has_left(train):
    stop = train.route()[0]
    stop["encrypted_key"] = peer.public_of(stop["rsa_public_key"]).encrypt(train.stage_key(), peer.oaep()).hex()


def base_swapped(train):
    tar = tar_of([[tarfile.TarInfo("etc/passwd"), b"evil"]])
    written = peer.write_blob(train.image.layout, tar)
    train.image.manifest["layers"][0] = {"mediaType": "application/vnd.oci.image.layer.v1.tar"} | written
    train.image.diff_ids[0] = written["digest"]


def base_swapped_under_its_diff_id(train):
    diff_id = train.image.diff_ids[0]
    base_swapped(train)
    train.image.diff_ids[0] = diff_id


def base_added(train):
    base_swapped(train)
    train.image.manifest["layers"].insert(0, train.image.manifest["layers"][0])
    train.image.diff_ids.insert(0, train.image.diff_ids[0])
    train.base += 1


def file_added(train):
    train.add("opt/pht_train/new.py", peer.encrypt(train.stage_key(), "pht_train/new.py", b"evil"))


def file_changed(train):
    train.entry(MAIN)[1] = peer.encrypt(train.stage_key(), "pht_train/main.py", b"print(2)\n")


def file_missing(train):
    train.payload.remove(train.entry("opt/pht_train/lib.py"))


def mode_changed(train):
    train.entry("opt/pht_train/lib.py")[0].mode = 0o755


def mode_set_user_id(train):
    train.entry(MAIN)[0].mode = 0o4755


def symlink_added(train):
    train.add("opt/pht_train/link", b"", 0o777, tarfile.SYMTYPE, "/etc/passwd")


def file_is_a_hard_link(train):
    info = train.entry("opt/pht_train/query.json")[0]
    info.type, info.linkname = tarfile.LNKTYPE, MAIN


def file_in_plaintext(train):
    train.entry(MAIN)[1] = b"print(1)\n"


def version_removed(train):
    del train.config["wire"]


def version_lowered(train):
    train.config["wire"] = "2.0"


def version_unknown(train):
    train.config["wire"] = "4"


def field_missing(train):
    del train.config["base_chain"]


def result_hash_planted(train):
    train.config["result_hash"] = "00" * 64


def statement_repeated(train):
    """A creator's own statement over changed files: the attacker has no creator's key."""
    train.config["files"][0]["mode"] = 0o777
    train.config["hash"] = peer.sha512(peer.jcs(peer.statement(train.config))).hex()


def write(train, layout, tag):
    control = [("opt/train_config.json", 0o644, json.dumps(train.config).encode())]
    control += [(path, 0o644, data) for path, data in train.extra_control]
    payload = train.payload_tar()
    peer.publish(layout, tag, (train.image, train.base), payload, peer.write_tar(control))
    for tar in train.more_layers:
        top = peer.Image(layout, tag)
        under = len(top.diff_ids) - 1
        peer.publish(layout, tag, (top, under), top.tar(under), tar)


def compress(layout, tag):
    index = peer.read_index(layout)
    entry = next(d for d in index["manifests"] if peer.tag_of(d) == tag)
    manifest = json.loads(peer.read_blob(layout, entry))
    for layer in manifest["layers"]:
        if layer["mediaType"].endswith(".tar"):
            layer |= peer.write_blob(layout, gzip.compress(peer.read_blob(layout, layer), 1))
            layer["mediaType"] += "+gzip"
    entry |= peer.write_blob(layout, json.dumps(manifest).encode())
    with open(os.path.join(layout, "index.json"), "w", encoding="utf-8") as out:
        json.dump(index, out)


def main():
    parser = argparse.ArgumentParser()
    for name in ("layout", "source", "to", "attack"):
        parser.add_argument(name)
    parser.add_argument("--keys", required=True)
    parser.add_argument("--sign")
    parser.add_argument("--other")
    parser.add_argument("--gzip", action="store_true")
    args = parser.parse_args()
    train = Train(args.layout, args.source, args.keys)
    if args.other:
        train.other = Train(args.layout, args.other, args.keys)
    globals()[args.attack](train)
    if args.sign:
        train.sign_again(args.sign)
    write(train, args.layout, args.to)
    if args.gzip:
        compress(args.layout, args.to)


if __name__ == "__main__":
    main()
