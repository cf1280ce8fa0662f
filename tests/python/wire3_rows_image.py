"""Attacks on the image around the train config: image config, names that Go reads alike, base layers, annotations, the
control layer."""
import copy
import gzip
import subprocess
import tarfile

import wire3_image as images
from wire3_documents import CONFIG_MEMBERS
from wire3_fixture import entry, tar_of
from wire3_rows_config import ABSENT, Row, both, member, resign, set_at

EMPTIES = (None, "", [], {}, 0, False)
# By another value of the same form.
OTHER = {
    "User": "0", "ExposedPorts": {"22/tcp": {}}, "Env": ["PATH=/bin", "LD_PRELOAD=/opt/pht_results/x.so"],
    "Entrypoint": ["/bin/cp"], "Cmd": ["-c", "cp /data/* /opt/pht_results/"], "Volumes": {"/opt/pht_results": {}},
    "WorkingDir": "/opt/pht_results", "StopSignal": "SIGKILL", "Labels": {"org.example": "other"},
}
UNSIGNED = {
    "Healthcheck": {"Test": ["CMD", "x"]}, "OnBuild": ["RUN x"], "Shell": ["/bin/x"], "Hostname": "x", "Domainname": "x",
    "Tty": True, "OpenStdin": True, "AttachStdout": True, "Image": "x", "MacAddress": "02:42:ac:11:00:02",
    "ArgsEscaped": True, "NetworkDisabled": True, "StopTimeout": 1, "Memory": 1, "unknown": "x",
}
TOP = {"os.version": "1", "os.features": ["x"], "container_config": {"Cmd": ["x"]}, "container": "ab", "docker_version": "1",
       "id": "x", "parent": "x", "Size": 1, "unknown": [0]}


def image(path, value):
    return lambda train: set_at(train.image_config, path, copy.deepcopy(value))


def manifest(path, value):
    return lambda train: set_at(train.manifest, path, copy.deepcopy(value))


# The image config ---------------------------------------------------------------------------------------------------

def image_config():
    check = "image-config"
    for name, value in OTHER.items():
        yield Row(f"image config: {name} changed", image(f"config/{name}", value), 3, check)
        yield Row(f"image config: {name} changed, as built", image(f"config/{name}", value), 3, check, tag="0",
                  readers=("station_1", "creator"))
        yield Row(f"image config: {name} removed", image(f"config/{name}", ABSENT), 3, check)
        yield Row(f"image config: {name} added", image(f"config/{name}", value), 3, check, tag="bare-2")
        for empty in EMPTIES:
            yield Row(f"image config: {name} is {empty!r}", image(f"config/{name}", empty), 3, check)
            yield Row(f"image config: {name} is {empty!r} for absent", image(f"config/{name}", empty), 0, tag="bare-2")
    for name, value in UNSIGNED.items():
        yield Row(f"image config: {name} added", image(f"config/{name}", value), 3, check)
        for empty in EMPTIES:
            yield Row(f"image config: {name} is {empty!r} for absent", image(f"config/{name}", empty), 0)
    for name, value in TOP.items():
        yield Row(f"image config: {name} at the top", image(name, value), 3, check)
    for name, value in {"created": "2030-01-01T00:00:00Z", "author": "x", "history": [{"created_by": "x"}]}.items():
        yield Row(f"image config: {name} is free", image(name, value), 0)
    yield Row("image config: architecture changed", image("architecture", "s390x"), 3, check, opened=(2, 3))
    yield Row("image config: architecture removed", image("architecture", ABSENT), (3, 5), opened=(2, 3, 5))
    yield Row("image config: os changed", image("os", "plan9"), 3, check, opened=(2, 3))
    yield Row("image config: variant added", image("variant", "v9"), 3, check, opened=(2, 3))
    yield Row("image config: variant empty", image("variant", ""), 0)
    yield Row("image config: config removed", image("config", ABSENT), 3, check)
    yield Row("image config: config is null", image("config", None), 3, check)
    yield Row("image config: config is null for {}", image("config", None), 0, tag="bare-2")
    yield Row("image config: config removed for {}", image("config", ABSENT), 0, tag="bare-2")
    for name, value in {
        "Env in another order": ("Env", ["A=1", "PATH=/bin"]), "one variable more": ("Env", ["PATH=/bin", "A=1", "B=1"]),
        "Env with a null": ("Env", ["PATH=/bin", "A=1", None]), "Cmd as a text": ("Cmd", "-c true"),
        "a label more": ("Labels", {"org.example": "kept", "x": "1"}), "an empty label more": ("Labels", {"org.example": "kept", "x": ""}),
        "a null label more": ("Labels", {"org.example": "kept", "x": None}), "no labels": ("Labels", {}),
        "a volume of null": ("Volumes", {"/data": None}), "a null volume more": ("Volumes", {"/data": {}, "/opt/pht_results": None}),
        "a volume with a value": ("Volumes", {"/data": {"x": 1}}), "User as a number": ("User", 1000),
    }.items():
        yield Row(f"image config: {name}", image(f"config/{value[0]}", value[1]), (3, 5) if "as a" in name else 3)
    yield Row("image config: a label of ours", image("config/Labels", {"org.example": "kept", "de.personalhealthtrain.x": "1"}), 0)
    yield Row("image config: a label nearly ours", image("config/Labels", {"org.example": "kept", "de.personalhealthtrain": "1"}), 3, check)
    # What is null is in no statement: the same change in the train config costs no signature.
    for name, value in (("Volumes", {"/data": {}, "/opt/pht_results": None}), ("ExposedPorts", {"80/tcp": {}, "1/tcp": None}),
                        ("Labels", {"org.example": "kept", "x": None})):
        yield Row(f"image config: a null more in {name}, in the train config too", both(
            image(f"config/{name}", value), lambda t, n=name, v=value: t.config["image"]["config"].__setitem__(n, v)),
            (3, 5))
    yield Row("image config: another base's diff ID", image("rootfs/diff_ids/0", "sha256:" + "0" * 64), (3, 5))


# Names --------------------------------------------------------------------------------------------------------------

def renamed(document, path, other):
    def change(train):
        *parents, name = path.split("/")
        holder = train.manifest if document == "manifest" else train.image_config
        for parent in parents:
            holder = holder[int(parent) if isinstance(holder, list) else parent]
        holder[other] = holder.pop(name)
    return change


def names():
    config = {name: "config/" for name in CONFIG_MEMBERS} | {"config": "", "rootfs": "", "architecture": "", "os": ""}
    for name, place in config.items():
        for other in {name.upper(), name.lower(), name.swapcase(), name.replace("s", "\u017f"), name.replace("k", "\u212a")} - {name}:
            yield Row(f"names: image config, {other} beside {name}", image(place + other, "x"), 5)
            yield Row(f"names: image config, {other} for {name}", renamed("image config", place + name, other), 5)
    for name in ("Healthcheck", "ArgsEscaped", "created", "author", "history", "variant"):
        place = "config/" if name[0].isupper() else ""
        yield Row(f"names: image config, {name.swapcase()} alone", image(place + name.swapcase(), ""), 5)
    yield Row("names: image config, diff_IDs", image("rootfs/diff_IDs", []), 5)
    yield Row("names: image config, Type in rootfs", image("rootfs/Type", "layers"), 5)
    yield Row("names: image config, empty_Layer in history", image("history", [{"empty_Layer": True}]), 5)
    for document in ("config", "manifest", "index", "image config"):
        two = member(document, b'"x":{"ab":1,"Ab":2}')
        yield Row(f"names: {document}, two that nobody knows", two, 3 if document == "config" else 5)
        deep = member(document, b'"x":[[{"y":{"ab":1,"aB":2}}]]')
        yield Row(f"names: {document}, two that nobody knows, deeper", deep, 3 if document == "config" else 5)
    for name in ("Layers", "CONFIG", "mediatype", "schemaversion", "Annotations", "Subject", "artifacttype", "layer\u017f"):
        yield Row(f"names: manifest, {name}", manifest(name, None), 5)
    for name in ("Digest", "SIZE", "mediatype", "URLs", "Data", "dige\u017ft", "Platform"):
        yield Row(f"names: layer descriptor, {name}", manifest(f"layers/0/{name}", None), 5)
        yield Row(f"names: config descriptor, {name}", manifest(f"config/{name}", None), 5)
        yield Row(f"names: index descriptor, {name}", lambda t, n=name: t.descriptor.__setitem__(n, None), 5)
    for name in ("Manifests", "MediaType", "schemaversion"):
        yield Row(f"names: index, {name}", lambda t, n=name: t.index.__setitem__(n, None), 5)
    yield Row("names: platform, OS", lambda t: t.descriptor.__setitem__("platform", platform(t) | {"OS": "x"}), 5)
    yield Row("names: platform", lambda t: t.descriptor.__setitem__("platform", platform(t)), 0)
    for place in ("config", "layers/0"):
        yield Row(f"names: annotations of {place} may differ by case", manifest(f"{place}/annotations", {"a": "1", "A": "1"}), 0)
    yield Row("names: annotations may differ by case", manifest("annotations", {"a": "1", "A": "1", "Layers": "x"}), 0)
    yield Row("names: labels may differ by case", lambda t: labelled(t, {"a": "1", "A": "1", "Cmd": "x"}), 0)
    yield Row("names: volumes may differ by case", lambda t: both_configs(t, "Volumes", {"/a": {}, "/A": {}}), 0)


def platform(train):
    return {name: train.image_config[name] for name in ("architecture", "os")}


def labelled(train, labels):
    both_configs(train, "Labels", labels)


def both_configs(train, name, value):
    train.image_config["config"][name] = train.config["image"]["config"][name] = value
    resign(train)


# Base layers --------------------------------------------------------------------------------------------------------

EVIL = images.write_tar([("usr", 0o755, None), ("usr/python3", 0o755, b"evil\n")])
TYPE = images.OCI + "layer.v1.tar"


def blob(make, kind="+gzip", more=None):
    """Layer 1 as `make` packs it from its contents."""
    def change(train):
        train.blobs[1] = make(train.image.tar(1))
        train.manifest["layers"][1]["mediaType"] = TYPE + kind
        if more:
            more(train)
    return change


def zstd(data):
    return subprocess.run(["zstd", "-cq"], input=data, stdout=subprocess.PIPE, check=True).stdout


def skippable(data):
    return b"\x50\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


def media_type(kind, recompressed=False):
    def change(train):
        if recompressed:
            train.blobs[1] = gzip.compress(train.image.tar(1), 1, mtime=7)
        train.manifest["layers"][1]["mediaType"] = kind
    return change


def size_kept(train):
    """The descriptor has the signed digest and another size."""
    train.manifest["layers"][1] |= {"size": train.manifest["layers"][1]["size"] + 1, "fixed size": True}


def base():
    same, check = (lambda data: gzip.compress(data, 1, mtime=7)), "base"
    yield Row("base: other contents under the diff ID, gzip", blob(lambda data: gzip.compress(EVIL)), 3, check)
    yield Row("base: other contents under the diff ID, plain", blob(lambda data: EVIL, ""), 3, check)
    yield Row("base: other contents under the diff ID, zstd", blob(lambda data: zstd(EVIL), "+zstd"), 3, check)
    yield Row("base: other contents, as built", blob(lambda data: gzip.compress(EVIL)), 3, check, tag="0",
              readers=("station_1", "creator"))
    yield Row("base: nothing under the diff ID", blob(lambda data: gzip.compress(b"")), (3, 5))
    yield Row("base: recompressed, gzip", blob(same), 0)
    yield Row("base: recompressed, as built", blob(same), 0, tag="0", readers=("station_1",))
    yield Row("base: unpacked", blob(lambda data: data, ""), 0)
    yield Row("base: recompressed, zstd", blob(zstd, "+zstd"), 0)
    yield Row("base: recompressed, zstd with a skippable frame", blob(lambda data: skippable(b"x") + zstd(data), "+zstd"), 0)
    half = lambda pack: lambda data: pack(data[:700]) + pack(data[700:])
    yield Row("base: recompressed, two gzip members", blob(half(gzip.compress)), 0)
    yield Row("base: recompressed, two zstd frames", blob(half(zstd), "+zstd"), 0)
    yield Row("base: a gzip member more", blob(lambda data: gzip.compress(data) + gzip.compress(EVIL)), 3, check)
    for name, pack, kind in (("gzip", gzip.compress, "+gzip"), ("zstd", zstd, "+zstd")):
        for what, behind in (("a text", b"x"), ("NUL", b"\0" * 512), ("a tar", EVIL)):
            yield Row(f"base: {what} behind the {name}", blob(lambda data, p=pack, b=behind: p(data) + b, kind), (3, 5))
        yield Row(f"base: {name} cut", blob(lambda data, p=pack: p(data)[:-3], kind), (3, 5))
    yield Row("base: a tar behind the tar", blob(lambda data: gzip.compress(data + EVIL)), 3, check)
    yield Row("base: zeros behind the tar", blob(lambda data: gzip.compress(data + bytes(512))), 3, check)
    yield Row("base: gzip by its type, plain by its bytes", blob(lambda data: data, "+gzip"), (3, 5))
    yield Row("base: plain by its type, gzip by its bytes", blob(same, ""), (3, 5))
    yield Row("base: zstd by its type, gzip by its bytes", blob(same, "+zstd"), (3, 5))
    docker = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    typed = lambda train: train.manifest["layers"][1].update(mediaType=docker)
    yield Row("base: another type, bound by its digest", media_type(docker), 0)
    yield Row("base: plain, of Docker's type for gzip", blob(lambda data: data, "", typed), 0)
    yield Row("base: zstd by its bytes, of Docker's type for gzip", blob(zstd, "", typed), (3, 5))
    for kind in ("application/vnd.oci.image.layer.v1.tar+brotli", "text/plain", "", TYPE.upper(),
                 "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", TYPE + "+gzip; x=y",
                 "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", TYPE + "+gzip+encrypted"):
        yield Row(f"base: of type {kind!r}", media_type(kind), (3, 5))
        yield Row(f"base: recompressed, of type {kind!r}", media_type(kind, True), (3, 5))
    yield Row("base: another size", size_kept, (3, 5))
    yield Row("base: a layer removed", removed, 3, check)
    yield Row("base: a layer twice", twice, 3, check)
    yield Row("base: a layer added", added, 3)
    yield Row("base: the layers swapped", swapped, 3, check)
    yield Row("base: a layer below a train without a base", added, 3, tag="bare-2")
    yield Row("base: the blobs swapped under their diff IDs", lambda t: t.blobs.reverse(), 3, check)


def removed(train):
    for values in (train.manifest["layers"], train.image_config["rootfs"]["diff_ids"], train.blobs):
        del values[0]
    train.base -= 1


def twice(train):
    for values in (train.manifest["layers"], train.image_config["rootfs"]["diff_ids"], train.blobs):
        values.insert(0, copy.deepcopy(values[0]))
    train.base += 1


def added(train):
    at = train.base
    train.manifest["layers"].insert(at, {"mediaType": TYPE})
    train.image_config["rootfs"]["diff_ids"].insert(at, images.sha256(EVIL))
    train.blobs.insert(at, EVIL)
    train.base += 1


def swapped(train):
    for values in (train.manifest["layers"], train.image_config["rootfs"]["diff_ids"]):
        values[0], values[1] = values[1], values[0]
    train.blobs.reverse()


# What an engine might act on ------------------------------------------------------------------------------------------

def annotations():
    foreign = {"run.oci.handler": "x", "io.containers.x": "1", "containerd.io/snapshot/stargz/toc.digest": "sha256:" + "0" * 64,
               "org.opencontainers.image.title": "kept", "org.opencontainers.imagex": "no"}
    for place in ("annotations", "config/annotations", "layers/0/annotations", "layers/1/annotations", "layers/2/annotations"):
        yield Row(f"annotations: {place}", manifest(place, foreign), 0)
    yield Row("annotations: of the manifest in the index", lambda t: t.descriptor.__setitem__("annotations", foreign), 0)
    yield Row("annotations: of the index", lambda t: t.index.__setitem__("annotations", foreign), 0)
    for place in ("config/urls", "layers/0/urls", "layers/1/urls"):
        yield Row(f"urls: {place}", manifest(place, ["http://127.0.0.1:9/x"]), (0, 5))
    yield Row("urls: of the manifest in the index", lambda t: t.descriptor.__setitem__("urls", ["http://127.0.0.1:9/x"]), (0, 5))


# The control layer --------------------------------------------------------------------------------------------------

CONFIG, KEY = "opt/train_config.json", "opt/user_sym_key.key"


def control(path, **values):
    def change(train):
        found = train.in_control(path)
        for name, value in values.items():
            setattr(found if name == "data" else found.info, name, value)
    return change


def more(added_, first=False):
    def change(train):
        train.control.insert(1 if first else len(train.control), added_())
    return change


def control_layer():
    check = "control"
    for path, right in (("opt", 0o755), (CONFIG, 0o644), (KEY, 0o644)):
        for mode in {0o4777, 0o2755, 0o1755, 0o755, 0o644, 0o666, 0o600, 0o000} - {right}:
            yield Row(f"control: {path} of mode {mode:o}", control(path, mode=mode), (3, 5))
        yield Row(f"control: {path} of another owner", control(path, uid=1000), 3, check)
        yield Row(f"control: {path} of another group", control(path, gid=1000), 3, check)
        yield Row(f"control: {path} of an owner by PAX", control(path, pax_headers={"uid": "1000"}), (3, 5))
        for name in ("SCHILY.xattr.user.note", "SCHILY.xattr.security.capability", "LIBARCHIVE.xattr.user.note", "SCHILY.acl.access"):
            yield Row(f"control: {path} with {name}", control(path, pax_headers={name: "x"}), (3, 5))
        for name in (f"./{path}", f"/{path}", f"opt/./{path[4:]}", f"x/../{path}", f"{path}/."):
            yield Row(f"control: {path} as {name}", control(path, name=name), (3, 5))
        yield Row(f"control: {path} of another time", control(path, mtime=1), 0)
        yield Row(f"control: {path} missing", lambda t, p=path: t.control.remove(t.in_control(p)), (3, 5))
        yield Row(f"control: {path} twice", lambda t, p=path: t.control.append(copy.deepcopy(t.in_control(p))), (3, 5))
    for path in (CONFIG, KEY):
        for kind, link in ((tarfile.SYMTYPE, "x"), (tarfile.LNKTYPE, CONFIG), (tarfile.FIFOTYPE, ""), (tarfile.CHRTYPE, ""), (tarfile.DIRTYPE, "")):
            yield Row(f"control: {path} of type {kind!r}", control(path, type=kind, linkname=link), (3, 5))
    yield Row("control: opt is a link", control("opt", type=tarfile.SYMTYPE, linkname="x", mode=0o777), (3, 5))
    yield Row("control: another key", lambda t: control(KEY, data=b"k" * len(t.in_control(KEY).data))(t), 3, check)
    yield Row("control: another key for the same reader", lambda t: control(KEY, data=bytes.fromhex(
        t.other("other-2").config["creator"]["encrypted_key"]))(t), 3, check)
    yield Row("control: a short key", control(KEY, data=b"another key"), 3, check)
    yield Row("control: an empty key", control(KEY, data=b""), 3, check)
    yield Row("control: the key in hex", lambda t: control(KEY, data=t.in_control(KEY).data.hex().encode())(t), 3, check)
    extra = {
        "a file": entry("opt/x", b"x"), "a program": entry("usr/python3", b"evil", 0o755), "a train file": entry("opt/pht_train/x", b"x"),
        "a directory": entry("opt/x", mode=0o755, kind=tarfile.DIRTYPE), "a result hidden": entry("opt/pht_results/.wh.a.txt"),
        "the train hidden": entry("opt/.wh.pht_train"), "all hidden": entry("opt/.wh..wh..opq"), "a root": entry(".", mode=0o755, kind=tarfile.DIRTYPE),
        "a link": entry("opt/x", kind=tarfile.SYMTYPE, link="/etc"), "a device": entry("opt/x", kind=tarfile.CHRTYPE),
        "a result": entry("opt/pht_results/x", b"x"), "a name by case": entry("opt/Train_Config.json", b"{}"),
    }
    for name, value in extra.items():
        yield Row(f"control: {name} more", more(lambda v=value: copy.deepcopy(v)), (3, 5))
        yield Row(f"control: {name} more, in front", more(lambda v=value: copy.deepcopy(v), True), (3, 5))
    yield Row("control: gone", lambda t: setattr(t, "no_control", True), 5)
    yield Row("control: a layer on top", lambda t: t.top.append(tar_of([entry("etc/x", b"x")])), 5)
    yield Row("control: an empty layer on top", lambda t: t.top.append(tar_of([])), 5)
    yield Row("control: itself on top", lambda t: t.top.append(tar_of(copy.deepcopy(t.control))), 3)


def rows():
    yield from image_config()
    yield from names()
    yield from base()
    yield from annotations()
    yield from control_layer()
