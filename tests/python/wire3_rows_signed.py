"""Attacks by those who sign: payload layers of a station or a builder, recipients, times, signatures of other kinds, and
states and records of the same and of other trains."""
import copy
import os
import tarfile

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

import wire3_documents as documents
import wire3_image as images
import wire3_peer as peer
from wire3_fixture import Entry, entry, tar_of
from wire3_rows_config import ABSENT, Row, both

RESULTS, TRAIN = "opt/pht_results", "opt/pht_train"
A, B, LARGE, MAIN = f"{RESULTS}/a.txt", f"{RESULTS}/b.txt", f"{RESULTS}/large.bin", f"{TRAIN}/main.py"
MARKER = "/.wh..wh..opq"
DIRECTORY = {"kind": tarfile.DIRTYPE, "mode": 0o755}


def sign(train):
    train.sign_last()


def info(path, **values):
    """A change of an entry's header."""
    def change(train):
        found = train.in_payload(path)
        for name, value in values.items():
            setattr(found.info, name, value)
    return change


def data(path, make):
    def change(train):
        found = train.in_payload(path)
        found.data = make(found.data) if callable(make) else make
    return change


def removed(path):
    def change(train):
        train.payload.remove(train.in_payload(path))
    return change


def put(added, after=None, sealed=None):
    def change(train):
        new = copy.deepcopy(added)
        if sealed is not None:
            new.data = train.sealed(new.name, sealed)
        train.put(new, after)
    return change


def move(path, to):
    """An entry directly behind another."""
    def change(train):
        found = train.in_payload(path)
        train.payload.remove(found)
        train.put(found, to)
    return change


# The payload layer --------------------------------------------------------------------------------------------------

def malformed_entries():
    """What no payload layer may have, by a name; the second station signs it."""
    for path in ("opt", RESULTS, TRAIN, RESULTS + MARKER, TRAIN + MARKER):
        yield f"{path} missing", removed(path)
    for path in ("opt", TRAIN, f"{TRAIN}/lib", MAIN, RESULTS + MARKER, TRAIN + MARKER):
        yield f"{path} of another owner", info(path, uid=1000)
        yield f"{path} of another group", info(path, gid=1000)
        yield f"{path} with user.note", info(path, pax_headers={"SCHILY.xattr.user.note": "x"})
        yield f"{path} of mode 0777", info(path, mode=0o777)
        yield f"{path} of mode 0700", info(path, mode=0o700)
        yield f"{path} of mode 04755", info(path, mode=0o4755)
        yield f"{path} of mode 01755", info(path, mode=0o1755)
    for path in (RESULTS, A, f"{RESULTS}/sub"):
        for mode in (0o4755, 0o2755, 0o6777):
            yield f"{path} of mode {mode:o}", info(path, mode=mode)
        for name in ("security.capability", "trusted.x", "system.posix_acl_access", "userx.note", "security.user.x"):
            yield f"{path} with {name}", info(path, pax_headers={f"SCHILY.xattr.{name}": "x"})
            yield f"{path} with {name} as libarchive has it", info(path, pax_headers={f"LIBARCHIVE.xattr.{name}": "eA=="})
        yield f"{path} with an access list", info(path, pax_headers={"SCHILY.acl.access": "user::rwx"})
        yield f"{path} with a security label", info(path, pax_headers={"RHT.security.selinux": "x"})
    for top in ("opt", RESULTS, TRAIN):
        yield f"{top} is a link", info(top, type=tarfile.SYMTYPE, linkname="/tmp", mode=0o777)
        yield f"{top} is a file", info(top, type=tarfile.REGTYPE)
        yield f"{top} twice", lambda t, p=top: t.put(copy.deepcopy(t.in_payload(p)), p)
    for top in (RESULTS, TRAIN):
        yield f"{top}: marker not empty", data(top + MARKER, b"x")
        yield f"{top}: marker is a link", info(top + MARKER, type=tarfile.SYMTYPE, linkname="x")
        yield f"{top}: marker behind the first entry", move(top + MARKER, A if top == RESULTS else f"{TRAIN}/lib")
        yield f"{top}: marker in front of it", move(top + MARKER, "opt")
        yield f"{top}: marker twice", put(entry(top + MARKER), top + MARKER)
    yield "the train before the results", train_first
    yield "opt behind the results", move("opt", RESULTS + MARKER)
    yield "results not in walk order", move(A, B)
    yield "results in the order of whole names", move(f"{RESULTS}/sub", f"{RESULTS}/sub-a")
    yield "files not in walk order", move(MAIN, f"{TRAIN}/query.json")
    yield "a result behind the train", move(A, f"{TRAIN}/query.json")
    for name in (f"{RESULTS}/.wh.x", f"{RESULTS}/sub/.wh..wh..opq", f"{RESULTS}/sub/.wh.x", f"{RESULTS}/.wh.", f"{TRAIN}/.wh.x",
                 f"{RESULTS}/.wh..wh.plnk"):
        yield f"a whiteout {name}", put(entry(name))
    yield "a whiteout of the train", put(entry("opt/.wh.pht_train"), "opt")
    for name in ("etc/x", "x", "opt/x", "opt/train_config.json", "opt/pht_results.x", "opt/pht_trainx/x", "usr/python3"):
        for after in ("opt", f"{TRAIN}/query.json"):
            yield f"an entry {name} after {after}", put(entry(name, b"x" * 32), after)
    for name in (f"./{A}", f"/{A}", f"opt//pht_results/a.txt", f"opt/./pht_results/a.txt", f"{RESULTS}/sub/../a.txt", f"{A}/.",
                 f"../{A}", f"{RESULTS}/../../etc/x"):
        yield f"a result named {name}", info(A, name=name)
    yield "the train named ./opt/pht_train", info(TRAIN, name=f"./{TRAIN}")
    yield "a result twice", lambda t: t.put(copy.deepcopy(t.in_payload(A)), A)
    yield "a file twice", lambda t: t.put(copy.deepcopy(t.in_payload(MAIN)), MAIN)
    yield "a result without its directory", removed(f"{RESULTS}/sub")
    yield "a file without its directory", removed(f"{TRAIN}/lib")
    yield "a result below a link", info(f"{RESULTS}/sub", type=tarfile.SYMTYPE, linkname="/etc", mode=0o777)
    yield "a result below a file", info(f"{RESULTS}/sub", type=tarfile.REGTYPE)
    for kind, name in ((tarfile.FIFOTYPE, "FIFO"), (tarfile.CHRTYPE, "character device"), (tarfile.BLKTYPE, "block device")):
        yield f"a {name} in the results", put(entry(f"{RESULTS}/c", kind=kind))
        yield f"a {name} in the train", put(entry(f"{TRAIN}/n", kind=kind))
    for name, link in {"a later result": LARGE, "itself": f"{RESULTS}/c", "a file of the train": MAIN, "a program": "usr/python3",
                       "an absolute name": f"/{A}", "a name with ./": f"./{A}", "a name below it": "a.txt", "a directory": RESULTS,
                       "the config": "opt/train_config.json", "a marker": RESULTS + MARKER}.items():
        yield f"a hard link to {name}", put(entry(f"{RESULTS}/c", kind=tarfile.LNKTYPE, link=link))
    yield "a hard link to a link", both(put(entry(f"{RESULTS}/c", kind=tarfile.SYMTYPE, link="a.txt", mode=0o777)),
                                        put(entry(f"{RESULTS}/d", kind=tarfile.LNKTYPE, link=f"{RESULTS}/c")))
    yield "a hard link with contents", linked_with_contents
    yield "a file more in the train", put(entry(f"{TRAIN}/n.py"), sealed=b"evil")
    yield "a file less in the train", removed(f"{TRAIN}/lib.py")
    yield "a directory more in the train", put(entry(f"{TRAIN}/n", **DIRECTORY))
    yield "a link in the train", put(entry(f"{TRAIN}/n", kind=tarfile.SYMTYPE, link="/etc/passwd", mode=0o777))
    yield "a file that is a link", info(f"{TRAIN}/query.json", type=tarfile.SYMTYPE, linkname="main.py", mode=0o777)
    yield "a file that is a hard link", info(f"{TRAIN}/query.json", type=tarfile.LNKTYPE, linkname=MAIN)
    yield "a file with another mode", info(f"{TRAIN}/lib.py", mode=0o755)
    yield "a file under another name", info(f"{TRAIN}/query.json", name=f"{TRAIN}/query.jsox")


def train_first(train):
    train.payload_changed = True
    opt, *rest = train.payload
    of = lambda top: [found for found in rest if found.name.rstrip("/") == top or found.name.startswith(top + "/")]
    train.payload = [opt, *of(TRAIN), *of(RESULTS)]


def linked_with_contents(train):
    """A header that says link and has the size of a file: some readers skip the contents, others read them as headers."""
    train.put(entry(f"{RESULTS}/c", kind=tarfile.LNKTYPE, link=A))
    plain = train.payload_bytes

    def wrapped():
        tar = bytearray(plain())
        at = next(n for n in range(0, len(tar), 512) if tar[n:n + 100].rstrip(b"\0") == b"opt/pht_results/c")
        tar[at + 124:at + 136] = b"%011o\0" % 512
        tar[at + 148:at + 156] = b" " * 8
        tar[at + 148:at + 156] = b"%06o\0 " % sum(tar[at:at + 512])
        return bytes(tar[:at + 512] + b"x" * 512 + tar[at + 512:])
    train.payload_bytes = wrapped


def payload():
    for name, change in malformed_entries():
        yield Row(f"payload: {name}", both(change, sign), (3, 5))
    yield Row("payload: by the builder: a device", both(put(entry(f"{TRAIN}/n", kind=tarfile.CHRTYPE)), sign), (3, 5), tag="0",
              readers=("station_1", "creator"))
    yield Row("payload: by the builder: results of mode 04755", both(info(RESULTS, mode=0o4755), sign), (3, 5), tag="0",
              readers=("station_1", "creator"))
    # What results may have.
    good = {
        "another owner of a result": info(A, uid=1000, gid=1000), "user.note": info(A, pax_headers={"SCHILY.xattr.user.note": "x"}),
        "user.note as libarchive has it": info(A, pax_headers={"LIBARCHIVE.xattr.user.note": "eA=="}),
        "a result of mode 0777": info(A, mode=0o777), "a directory of mode 0700": info(f"{RESULTS}/sub", mode=0o700),
        "a link that leads elsewhere": put(entry(f"{RESULTS}/c", kind=tarfile.SYMTYPE, link="/etc/passwd", mode=0o777)),
        "a hard link to an earlier result": put(entry(f"{RESULTS}/c", kind=tarfile.LNKTYPE, link=A, mode=0o640)),
        "an empty directory": put(entry(f"{RESULTS}/c", **DIRECTORY)), "a result more": put(entry(f"{RESULTS}/c"), sealed=b"c"),
        "another time": info(A, mtime=7), "a name of 200 bytes": put(entry(f"{RESULTS}/c{'x' * 200}"), sealed=b"c"),
        "a name in UTF-8": put(entry(f"{RESULTS}/c\u00e9\U0001f682"), sealed=b"c"), "no change": lambda train: None,
        "the owner of the results": info(RESULTS, uid=1000, gid=1000, mode=0o750),
    }
    for name, change in good.items():
        yield Row(f"payload: {name}, which may be", both(change, sign), 0)
    for name, wrap in {"a block of zeros more": lambda tar: tar + bytes(512), "a text behind the end": lambda tar: tar + b"x" * 512,
                       "a tar behind the end": lambda tar: tar + tar_of([entry("etc/x", b"x")])}.items():
        status = 0 if "zeros" in name else (3, 5)
        yield Row(f"payload: {name}", both(lambda t, w=wrap: setattr(t, "wrap_payload", w), sign), status)


def contents():
    """What only a key shows: the second station signs it, or the layer is changed without a signature."""
    changes = {
        "two results exchanged": exchanged, "a result cut to a chunk": data(LARGE, lambda d: d[:16 + 65_552]),
        "a result cut in a chunk": data(LARGE, lambda d: d[:-1]), "a result extended": data(f"{RESULTS}/full.bin", lambda d: d + d[-65_552:]),
        "a byte more": data(A, lambda d: d + b"\0"), "a bit of the tag": data(A, lambda d: d[:-1] + bytes([d[-1] ^ 1])),
        "a bit of the salt": data(A, lambda d: bytes([d[0] ^ 1]) + d[1:]), "a chunk twice": data(LARGE, lambda d: d[:65_568] + d[16:]),
        "an empty last chunk": empty_last, "the chunks exchanged": data(LARGE, lambda d: d[:16] + d[65_568:131_120] + d[16:65_568] + d[131_120:]),
        "a result under another name": info(A, name=f"{RESULTS}/aa"), "a result of the state before": older,
        "a result of another train": from_other, "a file in plaintext": data(MAIN, b"print(1)\n" * 9),
        "a file changed": lambda t: data(MAIN, t.sealed(MAIN, b"print(2)\n"))(t), "a file longer": lambda t: data(MAIN, t.sealed(MAIN, b"print(1)\n\n"))(t),
        "a file as a result": lambda t: data(MAIN, t.in_payload(A).data)(t), "a result in plaintext": data(A, b"result a\n" * 9),
    }
    for name, change in changes.items():
        yield Row(f"contents: {name}, by the station", both(change, sign), (0, 3), opened=3)
        yield Row(f"contents: {name}", change, 3, "payload")
    for name, short in {"empty": b"", "of 31 bytes": b"x" * 31, "of a salt": b"x" * 16}.items():
        yield Row(f"contents: a result {name}", both(data(A, short), sign), (0, 3), opened=3)
        yield Row(f"contents: a file {name}", both(data(f"{TRAIN}/lib/empty", short), sign), (0, 3), opened=3)


def exchanged(train):
    a, b = train.in_payload(A), train.in_payload(B)
    a.data, b.data = b.data, a.data


def empty_last(train):
    """A full chunk that is not the last, and an empty one that is."""
    path, salt = f"{RESULTS}/full.bin", b"s" * 16
    cipher = peer.AESGCM(peer.file_key(train.stage_key(), salt, "pht_results/full.bin"))
    chunks = [cipher.encrypt(peer.nonce(0, False), bytes(65_536), None), cipher.encrypt(peer.nonce(1, True), b"", None)]
    train.in_payload(path).data = salt + b"".join(chunks)


def older(train):
    train.in_payload(A).data = train.other("1").in_payload(A).data


def from_other(train):
    train.in_payload(A).data = train.other("other-2").in_payload(A).data


# Keys and recipients ------------------------------------------------------------------------------------------------

def wrapped_for(owner, key=None, name=None):
    """The stage key, or another, wrapped anew for an owner, with the key in the config or a party's."""
    def change(train):
        holder = train.config["creator"] if owner == "creator" else train.route()[owner]
        pem = peer.pem_hex_of(train.keys[name]) if name else holder["rsa_public_key"]
        holder["encrypted_key"] = peer.wrap(pem, train.stage_key() if key is None else key)
    return change


def swap_recipients(train):
    creator, following = train.config["creator"], train.next()
    creator["encrypted_key"], following["encrypted_key"] = following["encrypted_key"], creator["encrypted_key"]
    put_user_key(train)


def put_user_key(train):
    train.in_control("opt/user_sym_key.key").data = bytes.fromhex(train.config["creator"]["encrypted_key"])


def noise(owner):
    def change(train):
        holder = train.config["creator"] if owner == "creator" else train.route()[owner]
        holder["encrypted_key"] = "7f" + os.urandom(255).hex()
    return change


def recipients():
    check, places = "recipients", "key-recipients"
    user = put_user_key
    yield Row("recipients: exchanged", swap_recipients, 3, check)
    for owner in ("creator", 2):
        yield Row(f"recipients: the same key wrapped anew for {owner}", both(wrapped_for(owner), user), 3, check)
        yield Row(f"recipients: another key for {owner}", both(wrapped_for(owner, b"k" * 32), user), 3, check)
        yield Row(f"recipients: wrapped for a stranger in place of {owner}", both(wrapped_for(owner, name="stranger"), user), 3, check)
        yield Row(f"recipients: noise for {owner}", both(noise(owner), user), 3, check)
        reader = ("creator",) if owner == "creator" else ("station_3",)
        for length in (0, 16, 31, 33, 64):
            yield Row(f"recipients: {length} bytes for {owner}, by the station", both(wrapped_for(owner, b"k" * length), user, sign), 0,
                      opened=4, readers=reader)
        yield Row(f"recipients: another key for {owner}, by the station", both(wrapped_for(owner, b"k" * 32), user, sign), 0,
                  opened=3, readers=reader)
        yield Row(f"recipients: noise for {owner}, by the station", both(noise(owner), user, sign), 0, opened=4, readers=reader)
        yield Row(f"recipients: wrapped for a stranger in place of {owner}, by the station",
                  both(wrapped_for(owner, name="stranger"), user, sign), 0, opened=4, readers=reader)
        yield Row(f"recipients: the same key wrapped anew for {owner}, by the station", both(wrapped_for(owner), user, sign), 0,
                  readers=reader)
    for stop in (0, 1):
        yield Row(f"recipients: a key for stop {stop}, which has left", wrapped_for(stop), 3, places)
        yield Row(f"recipients: a key for stop {stop}, by the station", both(wrapped_for(stop), sign), 3, places)
    yield Row("recipients: a key after the last stop", wrapped_for(2), 3, places, tag="3", readers=("creator",))
    yield Row("recipients: a key for a stop after the next", wrapped_for(2), 3, places, tag="1", readers=("station_2", "creator"))
    yield Row("recipients: none after the last stop", lambda train: None, 0, tag="3", readers=("creator",))
    yield Row("recipients: the next has none", lambda t: t.next().pop("encrypted_key"), 5)
    yield Row("recipients: the next has none, by the station", both(lambda t: t.next().pop("encrypted_key"), without_next), 5)
    yield Row("recipients: of the stop before", lambda t: t.sign_last(recipients=t.route()[0]["signature"]["recipients"]), 3, check)
    yield Row("recipients: a commitment to another key", lambda t: t.sign_last(key_commitment="00" * 32), 0, opened=3)
    yield Row("recipients: the keys of the stop before", keys_of("1"), 3)
    yield Row("recipients: the keys of another train", keys_of("other-2"), 3, check)


def without_next(train):
    """Signed as if nobody were next."""
    value = peer.sha512(documents.jcs({"creator": train.config["creator"]["encrypted_key"]})).hex()
    last = train.last()
    train.sign_record(last, last["signature"] | {"recipients": value})


def keys_of(tag):
    def change(train):
        other = train.other(tag).config
        train.config["creator"]["encrypted_key"] = other["creator"]["encrypted_key"]
        train.next()["encrypted_key"] = other["route"][2].get("encrypted_key") or other["route"][1]["encrypted_key"]
        put_user_key(train)
    return change


# Time ---------------------------------------------------------------------------------------------------------------

def time():
    for value in ("2026-02-30T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
                  "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
                  "2026-12-31T23:59:60Z", "2016-12-31T23:59:60Z", "2026-01-01T00:00:61Z", "2026-01-01t00:00:00Z", "2026-01-01T00:00:00z",
                  "2026-01-01 00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.0Z", "2026-1-1T00:00:00Z",
                  "26-01-01T00:00:00Z", "+2026-01-01T00:00:00Z", " 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z\n", "20260101T000000Z",
                  "2026-01-01T00:00:0\u0661Z", "12026-01-01T00:00:00Z", "-026-01-01T00:00:00Z", "", "now", 1700000000):
        yield Row(f"time: {value!r}", lambda t, v=value: t.sign_last(time=v), 5)
        yield Row(f"time: {value!r} of the build", lambda t, v=value: t.sign_last(time=v), 5, tag="0", readers=("station_1", "creator"))
    for value in ("2028-02-29T23:59:59Z", "2023-11-14T22:13:21Z", "9999-12-31T23:59:59Z"):
        yield Row(f"time: {value}, which may be", lambda t, v=value: t.sign_last(time=v), 0)
    for value in ("2023-11-14T22:13:19Z", "2000-02-29T00:00:00Z", "1970-01-01T00:00:00Z"):
        yield Row(f"time: {value}, which is before the last", lambda t, v=value: t.sign_last(time=v), 0, "weak time")


# Signatures of other kinds ------------------------------------------------------------------------------------------

def mgf(hash_=hashes.SHA512):
    return padding.MGF1(hash_())


LONGEST = 256 - 64 - 2
SHA512 = hashes.SHA512()
KINDS = {
    "the longest salt": lambda key, made: key.sign(made, padding.PSS(mgf(), LONGEST), SHA512),
    "a signature of the older wires over the digest": lambda key, made: key.sign(peer.sha512(made), padding.PSS(mgf(), LONGEST), Prehashed(SHA512)),
    "a signature of the older wires over the digest's digest": lambda key, made: key.sign(
        peer.sha512(peer.sha512(made)), padding.PSS(mgf(), LONGEST), Prehashed(SHA512)),
    "no salt": lambda key, made: key.sign(made, padding.PSS(mgf(), 0), SHA512),
    "a salt of 32 bytes": lambda key, made: key.sign(made, padding.PSS(mgf(), 32), SHA512),
    "a salt of 63 bytes": lambda key, made: key.sign(made, padding.PSS(mgf(), 63), SHA512),
    "a salt of 65 bytes": lambda key, made: key.sign(made, padding.PSS(mgf(), 65), SHA512),
    "PKCS#1 v1.5": lambda key, made: key.sign(made, padding.PKCS1v15(), SHA512),
    "PKCS#1 v1.5 of the digest": lambda key, made: key.sign(peer.sha512(made), padding.PKCS1v15(), SHA512),
    "MGF1 with SHA-256": lambda key, made: key.sign(made, padding.PSS(mgf(hashes.SHA256), 64), SHA512),
    "SHA-256": lambda key, made: key.sign(made, padding.PSS(mgf(), 64), hashes.SHA256()),
    "SHA-384": lambda key, made: key.sign(made, padding.PSS(mgf(), 64), hashes.SHA384()),
    "the digest as the message": lambda key, made: key.sign(peer.sha512(made), padding.PSS(mgf(), 64), SHA512),
    "the digest's hex as the message": lambda key, made: key.sign(peer.sha512(made).hex().encode(), padding.PSS(mgf(), 64), SHA512),
    "the document without its text": lambda key, made: key.sign(made.split(b"\0", 1)[1], padding.PSS(mgf(), 64), SHA512),
    "a text without its NUL": lambda key, made: key.sign(made.replace(b"\0", b"", 1), padding.PSS(mgf(), 64), SHA512),
    "the text of the other document": lambda key, made: key.sign(other_text(made), padding.PSS(mgf(), 64), SHA512),
    "the text of the edition before": lambda key, made: key.sign(b"pht-oci/2" + made[9:], padding.PSS(mgf(), 64), SHA512),
}


def other_text(made):
    kind, document = made.split(b"\0", 1)
    return (b"pht-oci/3 build" if kind.endswith(b"stop") else b"pht-oci/3 stop") + b"\0" + document


def made_and_key(train, who):
    """What is signed in these trains by the creator, by the builder, by the second station; its holder and the key."""
    config = train.config
    if who == "creator":
        return peer.message("statement", documents.statement(config)), config, train.keys["creator"]
    if who == "builder":
        record = config["build"]
        return peer.message("build", documents.document_of(config, None, None, record)), record, train.keys["builder"]
    first, second = train.route()[:2]
    document = documents.document_of(config, second, first["signature"]["digest"], second["signature"])
    return peer.message("stop", document), second["signature"], train.keys["station_2"]


CHECKS = {"creator": "creator-signature", "builder": "build-signature", "station_2": "stop-signature"}


def signatures():
    for who, check in CHECKS.items():
        for name, kind in KINDS.items():
            def change(train, who=who, kind=kind):
                made, holder, key = made_and_key(train, who)
                holder["signature"] = kind(key, made).hex()
            yield Row(f"signatures: {who}: {name}", change, 3, check)

        def plain(train, who=who):
            made, holder, key = made_and_key(train, who)
            holder["signature"] = peer.sign(key, made)
        yield Row(f"signatures: {who}: made again as it has to be", plain, 0)

        def foreign(train, who=who):
            made, holder, _ = made_and_key(train, who)
            holder["signature"] = peer.sign(train.keys["stranger"], made)
        yield Row(f"signatures: {who}: by a stranger", foreign, 3, check)
        for name, make in {"a zero byte in front": lambda s: "00" + s, "a zero byte behind": lambda s: s + "00",
                           "a byte less": lambda s: s[2:], "empty": lambda s: "", "the modulus more": more_than_modulus}.items():
            def length(train, who=who, make=make):
                _, holder, key = made_and_key(train, who)
                more = make is more_than_modulus
                holder["signature"] = make(holder["signature"], key) if more else make(holder["signature"])
            yield Row(f"signatures: {who}: {name}", length, (3, 5))

        def digest_too(train, who=who):
            """A wire that would sign digests: what an attacker gets a station to sign is 64 bytes of its choice."""
            made, holder, key = made_and_key(train, who)
            stripped = made.split(b"\0", 1)[1]
            if who == "creator":
                train.config["hash"] = peer.sha512(stripped).hex()
            else:
                holder["digest"] = peer.sha512(stripped).hex()
            holder["signature"] = KINDS["a signature of the older wires over the digest"](key, stripped).hex()
        yield Row(f"signatures: {who}: as the first edition signed", digest_too, 3)


def more_than_modulus(signature, key):
    """The same number modulo the modulus."""
    return (int(signature, 16) + key.public_key().public_numbers().n).to_bytes(257, "big").hex()


# States and records of this train and of others ---------------------------------------------------------------------

def stranger_added(train):
    stop = copy.deepcopy(train.route()[-1]) | {"station": "stranger", "index": 3}
    stop["rsa_public_key"] = peer.pem_hex_of(train.keys["stranger"])
    stop.pop("encrypted_key")
    train.config["route"].append(stop)


def stop_removed(train):
    route = [stop for stop in train.route() if stop["station"] != 2]
    for index, stop in enumerate(route):
        stop["index"] = index
    route[1]["encrypted_key"] = train.route()[1].get("encrypted_key")
    train.config["route"] = route


def older_payload(train):
    train.payload_tar = train.other("1").payload_tar


def signed_before_its_turn(train):
    train.route()[2]["signature"] = train.route()[1].pop("signature")
    train.route()[1]["encrypted_key"] = train.route()[2].pop("encrypted_key")


def states():
    last, first = (lambda t: t.route()[1]), (lambda t: t.route()[0])
    yield Row("states: a stranger on the route", stranger_added, 3, "statement")
    yield Row("states: a stop removed from the route", stop_removed, (3, 5), tag="1", readers=("station_3", "creator"))
    yield Row("states: the payload of the stop before", older_payload, 3, "payload")
    yield Row("states: the payload of another train", lambda t: setattr(t, "payload_tar", t.other("other-2").payload_tar), 3, "payload")
    yield Row("states: the record of another train", lambda t: last(t).__setitem__("signature", t.other("other-2").last()["signature"]), 3, "stop-digest")
    yield Row("states: the record of another stop", lambda t: last(t).__setitem__("signature", first(t)["signature"]), 3, "stop-digest")
    yield Row("states: the build of another train", lambda t: t.config.__setitem__("build", t.other("other-2").config["build"]), 3, "build-digest")
    yield Row("states: the build as a stop", lambda t: last(t).__setitem__("signature", t.config["build"]), 3, "stop-digest")
    yield Row("states: the statement of another train", lambda t: t.config.update(
        {name: t.other("other-2").config[name] for name in ("hash", "signature")}), 3, "statement")
    yield Row("states: the last record removed", lambda t: last(t).pop("signature"), (3, 5))
    yield Row("states: the last record removed, the key moved", both(
        lambda t: last(t).pop("signature"), lambda t: last(t).__setitem__("encrypted_key", t.route()[2].pop("encrypted_key"))), 3)
    yield Row("states: the first record removed", lambda t: first(t).pop("signature"), 3)
    yield Row("states: the first record null", lambda t: first(t).__setitem__("signature", None), 3)
    yield Row("states: a record that is {}", lambda t: first(t).__setitem__("signature", {}), 5)
    yield Row("states: signed before its turn", signed_before_its_turn, 3)
    yield Row("states: all records removed", lambda t: [stop.pop("signature", None) for stop in t.route()], (3, 5))
    yield Row("states: not this station's turn", lambda train: None, 0, opened=(3, 4), tag="1", readers=("station_3",))
    yield Row("states: a station that has left", lambda train: None, 0, opened=(3, 4), readers=("station_1",))
    yield Row("states: a stranger's key", lambda train: None, 0, opened=4, readers=("stranger",))
    for tag, readers in (("0", ("station_1",)), ("1", ("station_2", "creator")), ("2", ("station_3", "creator")), ("3", ("creator",)),
                         ("bare-0", ("station_1",)), ("bare-3", ("creator",))):
        yield Row(f"states: {tag} as it is", lambda train: None, 0, tag=tag, readers=readers)


def rows():
    yield from payload()
    yield from contents()
    yield from recipients()
    yield from time()
    yield from signatures()
    yield from states()
