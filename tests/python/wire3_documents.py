"""The documents of wire 3, as sections 2 to 6 of its specification (src/manual/wire-3.md) have them: JSON without two
readings, the train config and its form, the documents that are signed."""
import base64
import calendar
import functools
import json
import math
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

LEVELS = 64
LIMIT = 2 ** 53 - 1
OWN_LABELS = "de.personalhealthtrain."
CONFIG_MEMBERS = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "StopSignal", "Labels")
RECORD = ("payload", "key_commitment", "recipients", "time", "digest", "signature")
EMPTY = (None, "", 0, [], {}, False)


class Refused(Exception):
    def __init__(self, status, check, what):
        super().__init__(f"{check}: {what}")
        self.status = status


def verified(holds, check, what):
    if not holds:
        raise Refused(3, check, what)


def formed(holds, what):
    if not holds:
        raise Refused(5, "form", what)


# JSON ---------------------------------------------------------------------------------------------------------------

def parse(data, what, integers=False):
    """A document, each of whose objects has every name once."""
    def refuse(literal):
        raise Refused(5, "form", f"{what}: the number {literal}")

    def integer(literal):
        if integers and (not re.fullmatch("0|-?[1-9][0-9]*", literal) or abs(int(literal)) > LIMIT):
            refuse(literal)
        return int(literal)

    def members(pairs):
        formed(len({name for name, _ in pairs}) == len(pairs), f"{what}: a member twice")
        return dict(pairs)

    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(5, "form", f"{what}: {error}") from None
    formed(depth(text) <= LEVELS, f"{what}: too deep")
    try:
        value = json.loads(text, object_pairs_hook=members, parse_int=integer, parse_constant=refuse,
                           parse_float=refuse if integers else float)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refused(5, "form", f"{what}: {error}") from None
    formed(isinstance(value, dict), f"{what}: not an object")
    return value


def depth(text):
    """The levels of brackets, those within texts left out."""
    deepest = level = 0
    for bracket in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text, re.S):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket[0], 0)
        deepest = max(deepest, level)
    return deepest


def jcs(value):
    """RFC 8785; its numbers are integers here."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return b"{" + b",".join(jcs(name) + b":" + jcs(inner) for name, inner in members) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(jcs, value)) + b"]"
    return json.dumps(value, ensure_ascii=False).encode()


# Names that Go reads alike ------------------------------------------------------------------------------------------

PLATFORM = {name: None for name in ("architecture", "os", "os.version", "os.features", "variant")}
FREE = "free"
DESCRIPTOR = {name: None for name in ("mediaType", "digest", "size", "urls", "data", "artifactType")}
DESCRIPTOR |= {"annotations": FREE, "platform": PLATFORM | {"features": None}}
INDEX = {"schemaVersion": None, "mediaType": None, "artifactType": None, "manifests": [DESCRIPTOR],
         "subject": DESCRIPTOR, "annotations": FREE}
MANIFEST = {"schemaVersion": None, "mediaType": None, "artifactType": None, "config": DESCRIPTOR,
            "layers": [DESCRIPTOR], "subject": DESCRIPTOR, "annotations": FREE}
HISTORY = {name: None for name in ("created", "author", "created_by", "comment", "empty_layer")}
EXECUTION = {name: None for name in CONFIG_MEMBERS + ("ArgsEscaped", "Memory", "MemorySwap", "CpuShares", "Healthcheck")}
EXECUTION |= {"Labels": FREE, "Volumes": FREE, "ExposedPorts": FREE}
IMAGE_CONFIG = PLATFORM | {"created": None, "author": None, "config": EXECUTION, "history": [HISTORY],
                           "rootfs": {"type": None, "diff_ids": None}}


def fold(name):
    """Simple case folding: one character for one."""
    def one(char):
        return next((f for f in (char.casefold(), char.lower()) if len(f) == 1), char)
    return "".join(map(one, name))


def check_names(value, known, what):
    """No two names differ by case alone, nor one from a name that is known at this place."""
    if isinstance(value, list):
        inner = known[0] if isinstance(known, list) else None
        for element in value:
            check_names(element, inner, what)
    elif isinstance(value, dict) and known == FREE:
        for element in value.values():
            check_names(element, None, what)
    elif isinstance(value, dict):
        known = known if isinstance(known, dict) else {}
        names = {fold(name): name for name in known}
        seen = set()
        for name, inner in value.items():
            formed(names.get(fold(name), name) == name, f"{what}: {name!r} for {names.get(fold(name))!r}")
            formed(fold(name) not in seen, f"{what}: {name!r} twice but for case")
            seen.add(fold(name))
            check_names(inner, known.get(name), what)


def image_document(data, known, what):
    value = parse(data, what)
    check_names(value, known, what)
    return value


# Keys ---------------------------------------------------------------------------------------------------------------

SMALL = math.prod(n for n in range(3, 65536, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2)))


def good_numbers(numbers):
    n, e = numbers.n, numbers.e
    good = 2048 <= n.bit_length() <= 16384 and n % 2 and math.gcd(n, SMALL) == 1
    return bool(good and e % 2 and 65537 <= e < 2 ** 32)


def der_length(der):
    """How many bytes a DER value has with its header."""
    if der[1] < 0x80:
        return 2 + der[1]
    count = der[1] & 0x7F
    return 2 + count + int.from_bytes(der[2:2 + count], "big")


def der_modulus(n):
    """A modulus of 2048 bits or more as DER writes it: with a zero before a bit that would make it negative."""
    content = n.to_bytes(n.bit_length() // 8 + 1, "big")
    return b"\x02\x82" + len(content).to_bytes(2, "big") + content


@functools.lru_cache(1024)
def public_of_text(pem_hex, what):
    formed(re.fullmatch("([0-9a-f]{2})+", pem_hex), f"{what}: not hex")
    text = bytes.fromhex(pem_hex)
    block = re.fullmatch(rb"\s*-----BEGIN ((?:RSA )?PUBLIC KEY)-----\s([A-Za-z0-9+/=\s]+)-----END \1-----\s*", text)
    formed(block, f"{what}: not one PEM block")
    try:
        key = serialization.load_pem_public_key(text.strip())
        der = base64.b64decode(b"".join(block[2].split()), validate=True)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refused(5, "form", f"{what}: {error}") from None
    formed(isinstance(key, rsa.RSAPublicKey) and good_numbers(key.public_numbers()), f"{what}: a weak key or none")
    formed(der_length(der) == len(der), f"{what}: something behind the key")
    # Older OpenSSL reads a negative modulus as if it were none.
    formed(der_modulus(key.public_numbers().n) in der, f"{what}: the modulus is not a positive number")
    return key


def public_of(pem_hex, what="rsa_public_key"):
    formed(isinstance(pem_hex, str), f"{what}: not a text")
    return public_of_text(pem_hex, what)


# The train config ---------------------------------------------------------------------------------------------------

def is_text(value):
    return isinstance(value, str) and value != ""


def is_integer(value):
    return type(value) is int


def is_id(value):
    return is_integer(value) or is_text(value)


def is_hex(value, length=None):
    return is_text(value) and bool(re.fullmatch("([0-9a-f]{2})+", value)) and length in (None, len(value) // 2)


def is_digest(value):
    return is_text(value) and bool(re.fullmatch("sha256:[0-9a-f]{64}", value))


def is_object(value):
    return isinstance(value, dict)


def is_time(value):
    if not is_text(value) or not re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z", value):
        return False
    year, month, day, hour, minute, second = (int(part) for part in re.findall("[0-9]+", value))
    dates = 1 <= month <= 12 and year >= 1 and 1 <= day <= calendar.monthrange(year, month)[1]
    return dates and hour < 24 and minute < 60 and second < 60


def is_path(value):
    return is_text(value) and "\0" not in value and not {"", ".", ".."} & set(value.split("/"))


def walk(path):
    """Sorts as files are walked: depth first, the names of each directory in byte order."""
    return [part.encode("utf-8", "surrogateescape") for part in path.split("/")]


def named(station):
    """`1`, "1" and "01" are one station."""
    text = str(station).strip()
    return str(int(text)) if re.fullmatch("[+-]?[0-9]+(_[0-9]+)*", text) else str(station)


def members_of(value, what, required, optional=(), closed=False):
    """Checks an object: {name: test} of members that must be there, and that may; null is as good as absent."""
    formed(is_object(value), f"{what}: not an object")
    for name, holds in required.items():
        formed(value.get(name) is not None, f"{what}.{name} is missing")
        formed(holds(value[name]), f"{what}.{name} is not of its form")
    for name, holds in dict(optional).items():
        formed(value.get(name) is None or holds(value[name]), f"{what}.{name} is not of its form")
    extra = [name for name in value if value[name] is not None and name not in required and name not in dict(optional)]
    formed(not closed or not extra, f"{what} has {extra}")


def check_form(config):
    """Section 3, and the form of what sections 5 and 6 add; the stops by their index."""
    formed(config.get("wire") == "3", "wire is not 3")
    a_list = lambda value: isinstance(value, list)
    members_of(config, "config", {
        "@id": is_text, "source": is_object, "proposal_id": is_id, "creator": is_object, "builder": is_object,
        "session_id": lambda v: is_hex(v, 64), "route": a_list, "files": a_list, "file_list": a_list,
        "base_layers": a_list, "image": is_object, "hash": lambda v: is_hex(v, 64), "build": is_object,
    }, {"@context": is_object, "signature": is_hex})
    for gone in ("result_hash", "result_signature", "base_chain"):
        formed(config.get(gone) is None, f"{gone} does not occur")
    members_of(config["source"], "source", {"type": is_text, "address": is_text}, {"tag": is_text, "branch": is_text})
    members_of(config["creator"], "creator", {"id": is_id, "rsa_public_key": public_of, "encrypted_key": is_hex},
               {"paillier_public_key": lambda v: is_object(v) or is_text(v)})
    members_of(config["builder"], "builder", {"rsa_public_key": public_of}, closed=True)
    check_record(config["build"], "build")
    check_files(config)
    for layer in config["base_layers"]:
        members_of(layer, "base_layers", {"diff_id": is_digest, "digest": is_digest,
                                          "size": lambda v: is_integer(v) and v >= 0}, closed=True)
    check_image(config["image"])
    return check_route(config["route"])


def check_route(route):
    formed(route, "the route has no stop")
    for stop in route:
        members_of(stop, "route", {"station": is_id, "eco_system": is_text, "rsa_public_key": public_of,
                                   "index": is_integer}, {"signature": is_object, "encrypted_key": is_hex})
        if stop.get("signature") is not None:
            check_record(stop["signature"], "route.signature")
    stops = sorted(route, key=lambda stop: stop["index"])
    formed([stop["index"] for stop in stops] == list(range(len(stops))), "indexes run from 0 on")
    formed(len({named(stop["station"]) for stop in stops}) == len(stops), "a station twice")
    signed = len([stop for stop in stops if stop.get("signature") is not None])
    in_turn = all(stop.get("signature") is not None for stop in stops[:signed])
    formed(not in_turn or signed == len(stops) or stops[signed].get("encrypted_key"), "no key for the next stop")
    return stops


def check_record(record, what):
    members_of(record, what, {"payload": is_digest, "key_commitment": lambda v: is_hex(v, 32), "time": is_time,
                              "recipients": lambda v: is_hex(v, 64), "digest": lambda v: is_hex(v, 64),
                              "signature": is_hex}, closed=True)


def check_files(config):
    for file in config["files"]:
        members_of(file, "files", {"path": is_path, "mode": lambda v: is_integer(v) and 0 <= v <= 0o777,
                                   "size": lambda v: is_integer(v) and v >= 0,
                                   "sha512": lambda v: is_hex(v, 64)}, closed=True)
    paths = [file["path"] for file in config["files"]]
    formed(paths and paths == sorted(paths, key=walk) and len(set(paths)) == len(paths), "files are not in walk order")
    formed(not any(after.startswith(path + "/") for path in paths for after in paths), "a file lies below a file")
    formed(config["file_list"] == paths, "file_list is not that of files")


def check_image(image):
    not_empty = lambda value: value not in EMPTY
    members_of(image, "image", {"architecture": is_text, "os": is_text, "config": is_object}, {"variant": is_text}, True)
    members_of(image["config"], "image.config", {}, {name: not_empty for name in CONFIG_MEMBERS}, True)
    own = [name for name in image["config"].get("Labels") or {} if name.startswith(OWN_LABELS)]
    formed(not own, f"image.config.Labels has {own}")


# What is signed -----------------------------------------------------------------------------------------------------

def without_null(value):
    if isinstance(value, dict):
        return {name: without_null(inner) for name, inner in value.items() if inner is not None}
    return [without_null(element) for element in value] if isinstance(value, list) else value


def without(value, *names):
    return {name: inner for name, inner in value.items() if name not in names}


def statement(config):
    stops = sorted(config["route"], key=lambda stop: stop["index"])
    return without_null(without(config, "hash", "signature", "build") | {
        "creator": without(config["creator"], "encrypted_key"),
        "route": [without(stop, "encrypted_key", "signature") for stop in stops],
    })


def document_of(config, stop, previous, record):
    """What a build (no stop) or a stop signs."""
    document = {"train": config["hash"]} | {name: record[name] for name in RECORD[:4]}
    if stop is not None:
        document |= {"station": stop["station"], "index": stop["index"], "previous": previous}
    return document


def message(kind, document):
    return f"pht-oci/3 {kind}".encode() + b"\0" + jcs(document)


def image_values(config):
    """What of an image config is signed: those that are not empty."""
    found = {name: value for name, value in (config.get("config") or {}).items() if value not in EMPTY}
    labels = found.pop("Labels", {})
    if is_object(labels):
        labels = {name: value for name, value in labels.items() if not name.startswith(OWN_LABELS)}
    found |= {"Labels": labels} if labels else {}
    platform = {name: config[name] for name in ("architecture", "os", "variant") if config.get(name) not in EMPTY}
    return platform | {"config": found}
