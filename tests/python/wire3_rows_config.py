"""Attacks on the documents and on every member of the train config."""
import base64
import copy
import json
import re

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import wire3_peer as peer


class ABSENT:
    """In place of a value: the member is removed."""


class Row:
    """`verify` and `opened` are the exit statuses that will do; `check` is the one that has to notice."""

    def __init__(self, name, change, verify, check="", opened=None, tag="2", readers=("station_3", "creator")):
        as_tuple = lambda status: status if isinstance(status, tuple) else (status,)
        self.name, self.change, self.check, self.tag, self.readers = name, change, check, tag, readers
        self.verify = as_tuple(verify)
        self.opened = self.verify if opened is None else as_tuple(opened)


def step(value, name):
    return value[int(name)] if isinstance(value, list) else value[name]


def at(document, path):
    """The object or list that holds the last part of a path, and that part."""
    *parts, last = path.split("/")
    for part in parts:
        document = step(document, part)
    return document, int(last) if isinstance(document, list) else last


def set_at(document, path, value):
    holder, last = at(document, path)
    if value is ABSENT:
        del holder[last]
    elif isinstance(holder, list) and last == len(holder):
        holder.append(value)
    else:
        holder[last] = value


def get_at(document, path):
    holder, last = at(document, path)
    return holder[last]


def config(path, value, then=None):
    """A change of one member of the train config; `value` may be made from the train."""
    def change(train):
        new = value(train) if callable(value) and value is not ABSENT else value
        set_at(train.config, path, copy.deepcopy(new))
        if then:
            then(train)
    return change


def flipped(path):
    """Another first digit of a hex value, or of the digest behind `sha256:`."""
    def change(train):
        text = get_at(train.config, path)
        head, digits = (text[:7], text[7:]) if text.startswith("sha256:") else ("", text)
        set_at(train.config, path, head + ("0" if digits[0] != "0" else "1") + digits[1:])
    return change


def raw(name, old, new):
    """A change of a document's bytes."""
    def change(train):
        def replaced(data):
            assert old in data, (old, data[:200])
            return data.replace(old, new, 1)
        train.texts[name] = replaced
    return change


def stranger(train):
    return peer.pem_hex_of(train.keys["stranger"])


def both(*changes):
    def change(train):
        for one in changes:
            one(train)
    return change


def resign(train):
    train.sign_all()


# Documents ----------------------------------------------------------------------------------------------------------

def nested(levels):
    """A value so deep that a document of which it is a member has this many levels."""
    return b"[" * (levels - 1) + b"]" * (levels - 1)


def member(name, text):
    """One more member at the beginning of a document."""
    return lambda train: train.texts.__setitem__(name, lambda data: b"{" + text + b"," + data[1:])


def appended(name, text):
    return lambda train: train.texts.__setitem__(name, lambda data: data + text)


def documents():
    for name, harmless in (("config", 3), ("image config", 3), ("manifest", 0), ("index", 0)):
        bom = lambda train, name=name: train.texts.__setitem__(name, lambda data: b"\xef\xbb\xbf" + data)
        yield Row(f"{name}: byte order mark", bom, 5)
        yield Row(f"{name}: 64 levels", member(name, b'"x":' + nested(64)), harmless)
        yield Row(f"{name}: 65 levels", member(name, b'"x":' + nested(65)), 5)
        yield Row(f"{name}: 65 levels of objects", member(name, b'"x":' + b'{"a":' * 64 + b"1" + b"}" * 64), 5)
        yield Row(f"{name}: 100000 levels", member(name, b'"x":' + nested(100_000)), 5)
        yield Row(f"{name}: brackets in a text", member(name, b'"x":"' + b"[" * 100 + b'\\"[["'), harmless)
        for kind, text in (("high", b'"\\ud83d"'), ("low", b'"\\ude82"'), ("reversed", b'"\\ude82\\ud83d"'),
                           ("high before a letter", b'"\\ud83da"'), ("raw", b'"\xed\xa0\xbd"')):
            yield Row(f"{name}: unpaired surrogate, {kind}", member(name, b'"x":' + text), 5)
            yield Row(f"{name}: unpaired surrogate in a name, {kind}", member(name, text + b":1"), 5)
        yield Row(f"{name}: a pair of surrogates", member(name, b'"x":"\\ud83d\\ude82"'), harmless)
        yield Row(f"{name}: no UTF-8", member(name, b'"x":"\xff"'), 5)
        yield Row(f"{name}: overlong UTF-8", member(name, b'"x":"\xc0\xaf"'), 5)
        yield Row(f"{name}: a member twice", member(name, b'"x":1,"x":1'), 5)
        yield Row(f"{name}: a member twice, once by an escape", member(name, b'"x":1,"\\u0078":1'), 5)
        yield Row(f"{name}: a member twice, deeper", member(name, b'"x":[{"y":{"b":1,"c":2,"b":1}}]'), 5)
        for what, text in (("a second document", b"{}"), ("a word", b"x"), ("NUL", b"\0"), ("a comma", b",")):
            yield Row(f"{name}: {what} behind it", appended(name, text), 5)
        yield Row(f"{name}: white space behind it", appended(name, b" \r\n\t"), 0)
        yield Row(f"{name}: a form feed behind it", appended(name, b"\f"), 5)
        yield Row(f"{name}: a comment", lambda t, n=name: t.texts.__setitem__(n, lambda data: b"{/**/" + data[1:]), 5)
        yield Row(f"{name}: NaN", member(name, b'"x":NaN'), 5)
        yield Row(f"{name}: a control character in a text", member(name, b'"x":"\x01"'), 5)
        yield Row(f"{name}: a list", lambda t, n=name: t.texts.__setitem__(n, lambda data: b"[" + data + b"]"), 5)
        yield Row(f"{name}: empty", lambda t, n=name: t.texts.__setitem__(n, lambda data: b""), 5)
        yield Row(f"{name}: null", lambda t, n=name: t.texts.__setitem__(n, lambda data: b"null"), 5)
    for text in ("7.0", "7e0", "7E0", "70e-1", "-0", "-0.0", "0.0", "07", "+7", "9007199254740992", "-9007199254740992",
                 "1e400", "123456789012345678901234567890"):
        yield Row(f"config: the number {text}", raw("config", b'"proposal_id": 7', b'"proposal_id": ' + text.encode()), 5)
        yield Row(f"config: the number {text} in an unknown member", member("config", b'"x":[{"y":%s}]' % text.encode()), 5)
    for text in ("9007199254740991", "-9007199254740991", "0", "-7"):
        name = f"config: the number {text}, by the creator"
        yield Row(name, config("proposal_id", int(text), resign), 0)


# Every member of the train config -------------------------------------------------------------------------------------

# What the creator has signed, by another value of the same form.
SIGNED = {
    "@id": "other", "@context": {"x": 1}, "proposal_id": 8, "source/type": "git_repository", "source/address": "other",
    "source/tag": "x", "source/branch": "x", "source/more": 1, "creator/id": "mallory", "creator/rsa_public_key": stranger,
    "creator/paillier_public_key": {"n": "15", "g": "16"}, "creator/more": [], "builder/rsa_public_key": stranger,
    "route/0/station": "mallory", "route/1/station": "2", "route/2/station": 3, "route/2/eco_system": "padme",
    "route/0/rsa_public_key": stranger, "route/2/rsa_public_key": stranger, "route/2/more": "x", "files/0/mode": 0o777,
    "files/1/size": 7, "image/architecture": "s390x", "image/os": "plan9", "image/variant": "v7", "more": {"x": [None, 1]},
    "base_layers/0/size": 7, "image/config/User": "0", "image/config/Cmd": ["-c", "cp /data/* /opt/pht_results"],
    "image/config/Env": ["PATH=/bin", "LD_PRELOAD=/opt/pht_results/x.so"], "image/config/Entrypoint": ["/bin/cp"],
    "image/config/WorkingDir": "/", "image/config/StopSignal": "SIGKILL", "image/config/Volumes": {"/opt": {}},
    "image/config/ExposedPorts": {"22/tcp": {}}, "image/config/Labels": {"org.example": "other"},
}
FLIPPED = ["session_id", "hash", "files/0/sha512", "base_layers/0/diff_id", "base_layers/1/digest"]
REQUIRED = """wire @id source source/type source/address proposal_id session_id creator creator/id creator/rsa_public_key
creator/encrypted_key builder builder/rsa_public_key route route/0/station route/1/eco_system route/2/rsa_public_key
route/1/index route/2/encrypted_key files files/0/path files/0/mode files/1/size files/2/sha512 file_list base_layers
base_layers/0/diff_id base_layers/0/digest base_layers/1/size image image/architecture image/os image/config hash build
""".split()
RECORD = "payload key_commitment recipients time digest signature".split()
HEX = """session_id creator/rsa_public_key creator/encrypted_key builder/rsa_public_key route/0/rsa_public_key
route/2/encrypted_key files/0/sha512 hash signature""".split()
CLOSED = ["builder", "build", "route/0/signature", "route/1/signature", "files/0", "base_layers/0", "image", "image/config"]
GONE = {"result_hash": "00" * 64, "result_signature": "00" * 256, "base_chain": "sha256:" + "00" * 32,
        "build/rsa_public_key": stranger}
OBJECTS = ["", "source/", "creator/", "builder/", "route/0/", "route/0/signature/", "files/0/", "base_layers/0/", "image/",
           "image/config/", "build/"]


def wrong_kinds(path):
    """Values of another JSON type than a member's."""
    integers = ("route/1/index", "files/0/mode", "files/1/size", "base_layers/1/size")
    ids = ("proposal_id", "creator/id", "route/0/station")
    texts = [True, [], {}, 1.5, ""] + ([] if path in ids else [1])
    if path in integers:
        return [True, [], {}, "1", -1]
    if path in ("route", "files", "file_list", "base_layers"):
        return [True, 1, "x", {}, [1]]
    if path in ("source", "creator", "builder", "image", "image/config", "build"):
        return [True, 1, "x", [], [{}]]
    return texts


def double(path):
    """One member a second time, first in its object, with the value that it has or with another."""
    def change(same):
        def run(train):
            holder, last = at(train.config, path)
            inner = json.dumps({last: holder[last] if same else "other"}).encode()[1:-1]
            holder_text = json.dumps(holder, ensure_ascii=False).encode()
            train.texts["config"] = lambda data: replace_once(data, holder_text, b"{" + inner + b", " + holder_text[1:])
        return run
    return change


def replace_once(data, old, new):
    assert old in data, old[:100]
    return data.replace(old, new, 1)


def members():
    for path, value in SIGNED.items():
        yield Row(f"config: {path} changed", config(path, value), 3, "statement")
    for path in FLIPPED:
        yield Row(f"config: {path} changed", flipped(path), 3, "statement")
    yield Row("config: the statement made again without a key", both(config("files/0/mode", 0o777), forged_hash), 3,
              "creator-signature")
    for path in REQUIRED:
        yield Row(f"config: {path} removed", config(path, ABSENT), (3, 5) if path == "wire" else 5)
        yield Row(f"config: {path} is null", config(path, None), (3, 5) if path == "wire" else 5)
        for value in wrong_kinds(path):
            yield Row(f"config: {path} is {json.dumps(value)}", config(path, value), (3, 5) if path == "wire" else 5)
    for path in ("builder", "build", "hash", "image", "files", "base_layers", "session_id"):
        other = path.swapcase()
        yield Row(f"config: {path} under the name {other}", both(moved(path, other)), 5)
    for record in ("build", "route/0/signature", "route/1/signature"):
        kind = "build" if record == "build" else "stop"
        for name in RECORD:
            path = f"{record}/{name}"
            yield Row(f"config: {path} removed", config(path, ABSENT), 5)
            yield Row(f"config: {path} is null", config(path, None), 5)
            yield Row(f"config: {path} is 1", config(path, 1), 5)
            if name == "time":
                yield Row(f"config: {path} changed", config(path, "2026-01-01T00:00:00Z"), 3, f"{kind}-digest")
            else:
                check = f"{kind}-signature" if name == "signature" else f"{kind}-digest"
                yield Row(f"config: {path} changed", flipped(path), 3, check)
                yield Row(f"config: {path} too long", config(path, lambda t, p=path: get_at(t.config, p) + "00"),
                          (3, 5) if name == "signature" else 5)
                upper = lambda t, p=path: re.sub("[a-f]", lambda d: d[0].upper(), get_at(t.config, p).removeprefix("sha256:"))
                prefix = "sha256:" if name == "payload" else ""
                yield Row(f"config: {path} in upper case", config(path, lambda t, u=upper, x=prefix: x + u(t)), 5)
    for path in HEX:
        yield Row(f"config: {path} in upper case", config(path, lambda t, p=path: get_at(t.config, p).upper()), 5)
        yield Row(f"config: {path} with half a byte", config(path, lambda t, p=path: get_at(t.config, p) + "0"), 5)
        yield Row(f"config: {path} with a blank", config(path, lambda t, p=path: get_at(t.config, p) + " "), 5)
        yield Row(f"config: {path} with 0x", config(path, lambda t, p=path: "0x" + get_at(t.config, p)), 5)
    for path in OBJECTS:
        closed = path.rstrip("/") in CLOSED
        yield Row(f"config: {path}unknown added", config(path + "unknown", 1), 5 if closed else 3,
                  "" if closed else "statement")
        yield Row(f"config: {path}unknown added, null", config(path + "unknown", None), 0)
        for name in list_of(path):
            other = name.swapcase()
            if other != name:
                yield Row(f"config: {path}{other} beside {name}", config(path + other, "x"), 5 if closed else 3)
            for same in (True, False):
                how = "alike" if same else "with another value"
                yield Row(f"config: {path}{name} twice, {how}", double(path + name)(same), 5)
    for path, value in GONE.items():
        yield Row(f"config: {path} does not occur", config(path, value), 5)
        yield Row(f"config: {path} does not occur, by the creator", config(path, value, resign), 5)
        yield Row(f"config: {path} is null, which is absent", config(path, None), 0)


def list_of(path):
    """The members that each object of the config has in these trains."""
    return {
        "": "wire @id session_id source creator builder route file_list files base_layers image hash signature build",
        "source/": "type address", "creator/": "id rsa_public_key encrypted_key", "builder/": "rsa_public_key",
        "route/0/": "station eco_system index rsa_public_key signature", "route/0/signature/": " ".join(RECORD),
        "files/0/": "path mode size sha512", "base_layers/0/": "diff_id digest size", "image/": "architecture os config",
        "image/config/": "User Cmd Env Entrypoint Volumes", "build/": " ".join(RECORD),
    }[path].split()


def moved(path, other):
    def change(train):
        set_at(train.config, other, get_at(train.config, path))
        set_at(train.config, path, ABSENT)
    return change


def forged_hash(train):
    import wire3_documents as documents
    made = peer.message("statement", documents.statement(train.config))
    train.config["hash"] = peer.sha512(made).hex()


# The form of what is signed, even if everybody signs it -----------------------------------------------------------------

def form():
    def row(name, path, value, status=5):
        return Row(f"form: {name}", config(path, value, resign), status)

    for value in ("1.1.1", "2.0", "4", "3 ", "03", "3.0", 3):
        yield Row(f"form: wire {value!r}", config("wire", value), (3, 5))
    for name, value in {"one byte less": "ab" * 63, "one byte more": "ab" * 65, "empty": ""}.items():
        yield row(f"session_id {name}", "session_id", value)
    for value in ("", ".", "..", "./main.py", "/main.py", "a//b", "a/", "a/../b", "a/.", "../x", "a\0b"):
        yield Row(f"form: files[0].path {value!r}", both(renamed(0, value), resign), 5)
    for value in (512, 0o4755, 2 ** 31, -1, "420"):
        yield row(f"files[0].mode {value!r}", "files/0/mode", value)
    yield row("files[0].size -1", "files/0/size", -1)
    yield row("files[0].sha512 of 63 bytes", "files/0/sha512", "ab" * 63)
    yield Row("form: files not in walk order", both(reordered, resign), 5)
    yield Row("form: a file twice", both(file_twice, resign), 5)
    yield Row("form: a file below a file", both(below_a_file, resign), 5)
    yield Row("form: no files", both(config("files", []), config("file_list", []), resign), 5)
    yield Row("form: file_list in another order", both(lambda t: t.config["file_list"].reverse(), resign), 5)
    yield Row("form: file_list with ./", both(lambda t: t.config["file_list"].__setitem__(0, "./" + t.config["file_list"][0]),
                                              resign), 5)
    yield row("file_list shorter", "file_list", lambda t: t.config["file_list"][1:])
    yield row("no route", "route", [])
    yield row("index from 1", "route/2/index", 3)
    yield row("index twice", "route/2/index", 1)
    yield Row("form: index as a text", config("route/2/index", "2"), 5)
    for value in ("station_1", "2", "02", "+2", 2):
        yield row(f"a station twice, as {value!r}", "route/2/station", value)
    yield row("a station that is empty", "route/2/station", "")
    for name in ("SHA256:" + "0" * 64, "sha512:" + "0" * 128, "sha256:" + "0" * 63, "sha256:" + "A" * 64, "0" * 64, ""):
        yield row(f"base_layers[0].diff_id {name[:12]!r}, {len(name)} long", "base_layers/0/diff_id", name)
        yield row(f"base_layers[0].digest {name[:12]!r}, {len(name)} long", "base_layers/0/digest", name)
    yield row("base_layers[0].size -1", "base_layers/0/size", -1)
    yield row("image.architecture is empty", "image/architecture", "")
    yield row("image.os is empty", "image/os", "")
    yield row("image.variant is empty", "image/variant", "")
    yield row("image.variant is null, which is absent", "image/variant", None, 0)
    for name in ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "StopSignal", "Labels"):
        for value in ("", [], {}, 0, False):
            yield row(f"image.config.{name} is {json.dumps(value)}", f"image/config/{name}", value)
    for name in ("Healthcheck", "OnBuild", "Shell", "cmd", "Hostname"):
        yield row(f"image.config.{name}", f"image/config/{name}", ["x"])
    yield row("a label of ours", "image/config/Labels", {"de.personalhealthtrain.x": "1"})
    yield Row("form: a train of the first edition", first_edition, 5)
    yield Row("form: not signed by the creator", config("signature", ABSENT), 3, "creator-signature")
    yield Row("form: the creator's signature is null", config("signature", None), 3, "creator-signature")
    yield Row("form: all signed again", resign, 0)
    yield Row("form: the route in another order", lambda t: t.config["route"].reverse(), 0)
    yield Row("form: the members in another order", backwards, 0)


def renamed(at_index, path):
    def change(train):
        train.config["files"][at_index]["path"] = path
        train.config["file_list"][at_index] = path
    return change


def reordered(train):
    for name in ("files", "file_list"):
        train.config[name].reverse()


def file_twice(train):
    for name in ("files", "file_list"):
        train.config[name].insert(0, train.config[name][0])


def below_a_file(train):
    train.config["files"].insert(1, train.config["files"][0] | {"path": train.config["files"][0]["path"] + "/x"})
    train.config["file_list"].insert(1, train.config["files"][1]["path"])


def backwards(train):
    train.config = dict(reversed(train.config.items()))


def first_edition(train):
    """As the first edition had it: signatures over bare digests apart, members that are gone, and none of the new."""
    config_ = train.config
    for name in ("base_layers", "image", "builder"):
        config_.pop(name)
    config_["base_chain"] = "sha256:" + "00" * 32
    config_["build"]["rsa_public_key"] = peer.pem_hex_of(train.keys["builder"])
    for record in [config_["build"], *(stop["signature"] for stop in config_["route"] if stop.get("signature"))]:
        for name in ("recipients", "time"):
            record.pop(name)


# Keys ---------------------------------------------------------------------------------------------------------------

def tlv(kind, value):
    if len(value) < 128:
        length = bytes([len(value)])
    else:
        digits = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
        length = bytes([0x80 | len(digits)]) + digits
    return bytes([kind]) + length + value


def integer(number):
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")


def pem(der, label="PUBLIC KEY"):
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[start:start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()


def spki(n, e, inner=b"", behind=b""):
    return pem(tlv(0x30, ALGORITHM + tlv(3, b"\0" + tlv(0x30, integer(n) + integer(e) + inner))) + behind)


def numbers(train):
    return train.keys["station_3"].public_key().public_numbers().n


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def keys():
    bad = {
        "of 1024 bits": lambda n: spki(n >> 1024 | 1, 65537), "of 2047 bits": lambda n: spki(n >> 1 | 1, 65537),
        "of 16385 bits": lambda n: spki(1 << 16384 | 1, 65537), "with an even modulus": lambda n: spki(n + 1, 65537),
        "2^2048 - 1": lambda n: spki((1 << 2048) - 1, 65537), "2^3072 - 1": lambda n: spki((1 << 3072) - 1, 65537),
        "with the exponent 2^32 + 1": lambda n: spki(n, (1 << 32) + 1), "with an exponent above the modulus":
        lambda n: spki(n, n + 2), "with a third number": lambda n: spki(n, 65537, integer(5)),
        "with bytes behind its DER": lambda n: spki(n, 65537, behind=b"\0\1\2"),
        "with a NUL behind its DER": lambda n: spki(n, 65537, behind=b"\0"), "twice": lambda n: spki(n, 65537) * 2,
        "with a text before it": lambda n: b"x\n" + spki(n, 65537), "with a text behind it": lambda n: spki(n, 65537) + b"x\n",
        "with a header": lambda n: spki(n, 65537).replace(b"-----\n", b"-----\nX: y\n\n", 1),
        "under another label": lambda n: spki(n, 65537).replace(b"PUBLIC KEY", b"EC PUBLIC KEY"),
        "as a certificate": lambda n: spki(n, 65537).replace(b"PUBLIC KEY", b"CERTIFICATE"),
        "without its end": lambda n: spki(n, 65537).split(b"-----END")[0], "of an elliptic curve": lambda n: public_pem(
            ec.generate_private_key(ec.SECP256R1())), "that is a text": lambda n: b"ssh-rsa AAAA", "that is empty DER":
        lambda n: pem(b"0\0"), "with a negative modulus": lambda n: pem(tlv(0x30, ALGORITHM + tlv(3, b"\0" + tlv(0x30, tlv(
            2, n.to_bytes(256, "big")) + integer(65537))))),
    }
    for exponent in (0, 1, 2, 3, 17, 65535, 65538):
        bad[f"with the exponent {exponent}"] = lambda n, e=exponent: spki(n, e)
    for factor in (3, 5, 17, 257, 65521):
        bad[f"with the factor {factor}"] = lambda n, f=factor: spki(n * f, 65537)
    owners = ("creator/rsa_public_key", "builder/rsa_public_key", "route/0/rsa_public_key", "route/2/rsa_public_key")
    for name, make in bad.items():
        for owner in owners if "factor 3" in name or "exponent 3" in name or "1024" in name else owners[3:]:
            yield Row(f"keys: {owner} {name}", config(owner, lambda t, m=make: m(numbers(t)).hex()), 5)
    pkcs1 = lambda n: pem(tlv(0x30, integer(n) + integer(65537)), "RSA PUBLIC KEY")
    good = {"with CRLF": lambda n: spki(n, 65537).replace(b"\n", b"\r\n"), "as PKCS#1": pkcs1,
            "with white space around it": lambda n: b" \n\t" + spki(n, 65537) + b"\n \r\n"}
    for name, make in good.items():
        yield Row(f"keys: {owners[3]} {name}", config(owners[3], lambda t, m=make: m(numbers(t)).hex(), resign), 0)
    other = lambda n: spki(n, 65537).replace(b"\n", b"\r\n")
    yield Row("keys: the same key in other letters", config(owners[3], lambda t: other(numbers(t)).hex()), 3, "statement")


def rows():
    yield from documents()
    yield from members()
    yield from form()
    yield from keys()
