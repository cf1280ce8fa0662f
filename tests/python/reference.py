#!/usr/bin/env python3
"""Runs stages of the reference implementation on the tags of an OCI layout.

A stage loads LAYOUT:TAG into the private Docker daemon, runs the reference's own code on it there and exports what
came out to LAYOUT:OUT, so that its stages mix freely with anybody else's.

  reference.py V build   LAYOUT OUT --keys DIR --base LAYOUT:TAG [--spec FILE]   a train, as the central services build it
  reference.py V pre     LAYOUT TAG OUT --station S --key PEM [--password P]     the protocol before the run
  reference.py V run     LAYOUT TAG OUT                                          docker run, no network; docker commit
  reference.py V put     LAYOUT TAG OUT --results DIR                            docker commit of the train with these results
  reference.py V post    LAYOUT TAG OUT --station S --key PEM [--password P]     the protocol after the run
  reference.py V station LAYOUT TAG OUT --station S --key PEM --results DIR      pre, put and post in one
  reference.py V config  LAYOUT TAG                                              /opt/train_config.json on stdout

V is 1.1.1 (Fernet), 1.1.2 (AES-256-CBC) or 2.0.5 (AES-256-CBC, train files too, build signature). The environment is
that of scripts/setup-reference.sh. Exit status 0, or 1 with the reference's own exception on stderr.

The spec (JSON; every field may be left out): stations [id...], indexes [the stations' places on the route], creator,
key_bits, key_password, pkcs1_public_keys, query (null for none), files {name: text}, file_prefix ("./"), cmd [...].
Key files that lie in --keys already (NAME.pem, NAME.pub.pem for each station, `user` and `builder`) are used as they
are, so one set of keys serves trains of different builders.
"""
import argparse
import contextlib
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import uuid

VERSIONS = ("1.1.1", "1.1.2", "2.0.5")
ENTRYPOINT = "#!/bin/sh\necho RESULT-PLAINTEXT-MARKER >> /opt/pht_results/result.txt\n"
FILES = {"entrypoint.sh": ENTRYPOINT, "lib/helper.py": "print('help')\n" * 20}
QUERY = {"query": {"resource": "Patient"}, "data": {"filename": "patients.json"}}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", choices=VERSIONS)
    commands = parser.add_subparsers(dest="command", required=True)
    words = {"build": "out", "pre": "tag out", "run": "tag out", "put": "tag out", "post": "tag out",
             "station": "tag out", "config": "tag"}
    for command, positional in words.items():
        sub = commands.add_parser(command)
        for word in ["layout", *positional.split()]:
            sub.add_argument(word)
        if command == "build":
            sub.add_argument("--keys", required=True)
            sub.add_argument("--base", required=True)
            sub.add_argument("--spec")
        if command in ("pre", "post", "station"):
            sub.add_argument("--station", required=True)
            sub.add_argument("--key", required=True)
            sub.add_argument("--password")
        if command in ("put", "station"):
            sub.add_argument("--results", required=True)
    return parser.parse_args()


ARGS = arguments()
sys.path.insert(0, os.path.join(os.environ["PHT_REFERENCE_HOME"], "lib", ARGS.version))
import docker  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils  # noqa: E402
from loguru import logger  # noqa: E402
from train_lib.docker_util.docker_ops import extract_train_config  # noqa: E402
from train_lib.security.encryption import FileEncryptor  # noqa: E402
from train_lib.security.hashing import hash_immutable_files  # noqa: E402
from train_lib.security.protocol import SecurityProtocol  # noqa: E402
from train_lib.security.train_config import TrainConfig  # noqa: E402

logger.remove()
CLIENT = docker.from_env(timeout=1200)
V1, V2 = ARGS.version == "1.1.1", ARGS.version.startswith("2.")
# One repository for each call: several may run at the same time.
REPOSITORY = f"localhost/pht-reference/{uuid.uuid4().hex}"
IMAGE = f"{REPOSITORY}:latest"
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=padding.PSS.MAX_LENGTH)
OAEP = padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA512()), algorithm=hashes.SHA512(), label=None)

# The reference forgets to remove some of the containers that it creates, and all of the images that it outdates.
CONTAINERS, COMMITTED = [], []


def note_answers(method, notes):
    call = getattr(docker.APIClient, method)

    def call_and_note(*args, **kwargs):
        answer = call(*args, **kwargs)
        notes.append(answer["Id"])
        return answer

    setattr(docker.APIClient, method, call_and_note)


note_answers("create_container_from_config", CONTAINERS)
note_answers("commit", COMMITTED)


# Between the layout and the daemon ----------------------------------------------------------------------------------

def skopeo(source, destination):
    host = os.environ["DOCKER_HOST"]
    daemon = ["--src-daemon-host", host, "--dest-daemon-host", host]
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", *daemon, source, destination], check=True)


def tags(layout):
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as index:
        manifests = json.load(index)["manifests"]
    return [m.get("annotations", {}).get("org.opencontainers.image.ref.name") for m in manifests]


def load(image):
    skopeo(f"oci:{image}", f"docker-daemon:{IMAGE}")
    if V2 and ARGS.command != "build" and "base" in tags(ARGS.layout):  # what 2.0 puts /opt back onto
        skopeo(f"oci:{ARGS.layout}:base", f"docker-daemon:{REPOSITORY}:base")


def export():
    skopeo(f"docker-daemon:{IMAGE}", f"oci:{ARGS.layout}:{ARGS.out}")


@contextlib.contextmanager
def workplace():
    """Images that two calls load are one image for Docker, and removing it for one takes it from the other. So every
    call writes down what it leaves behind, and a call that finds itself alone clears away what they all have left."""
    home = os.environ["PHT_REFERENCE_HOME"]
    with open(os.path.join(home, "images.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield
        finally:
            with open(os.path.join(home, "left-behind"), "a+", encoding="utf-8") as left:
                names = [name for image in CLIENT.images.list(REPOSITORY) for name in image.tags]
                things = [*(("container", c) for c in CONTAINERS), *(("image", i) for i in [*names, *COMMITTED[::-1]])]
                left.writelines(f"{kind} {thing}\n" for kind, thing in things)
                left.flush()
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    clear_away(left)


def clear_away(left):
    left.seek(0)
    things = [line.split() for line in left]
    remove = {"container": CLIENT.api.remove_container, "image": CLIENT.api.remove_image}
    for kind in remove:
        for thing in (name for of, name in things if of == kind):
            with contextlib.suppress(docker.errors.NotFound):  # gone with another one
                remove[kind](thing, force=True)
    left.truncate(0)


def archive(entries, mode):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = mode, int(time.time())
            if data is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


# Building -----------------------------------------------------------------------------------------------------------

class Keys:
    """The key pairs of everybody in a train, from a directory; those that are missing are made."""

    def __init__(self, directory, names, spec):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.password = spec["key_password"].encode() if spec["key_password"] else None
        self.private = {name: self.read(name) or self.make(name, spec) for name in names}

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        if not os.path.exists(self.path(f"{name}.pem")):
            return None
        with open(self.path(f"{name}.pem"), "rb") as pem:
            data = pem.read()
        return serialization.load_pem_private_key(data, self.password if b"ENCRYPTED" in data else None)

    def make(self, name, spec):
        key = rsa.generate_private_key(public_exponent=65537, key_size=spec["key_bits"])
        if self.password:
            form, lock = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(self.password)
        else:
            form, lock = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        public = serialization.PublicFormat
        public = public.PKCS1 if spec["pkcs1_public_keys"] else public.SubjectPublicKeyInfo
        with open(os.open(self.path(f"{name}.pem"), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as pem:
            pem.write(key.private_bytes(serialization.Encoding.PEM, form, lock))
        with open(self.path(f"{name}.pub.pem"), "wb") as pem:
            pem.write(key.public_key().public_bytes(serialization.Encoding.PEM, public))
        return key

    def public_hex(self, name):
        with open(self.path(f"{name}.pub.pem"), "rb") as pem:
            return pem.read().hex()


def read_spec():
    spec = {"stations": ["station_1", "station_2", "station_3"], "creator": "test-user-id", "key_bits": 2048,
            "key_password": None, "pkcs1_public_keys": False, "query": QUERY, "files": FILES, "file_prefix": "",
            "cmd": ["/bin/sh", "/opt/pht_train/entrypoint.sh"]}
    if ARGS.spec:
        with open(ARGS.spec, encoding="utf-8") as given:
            spec |= json.load(given)
    spec.setdefault("indexes", list(range(len(spec["stations"]))))
    return spec


def sign_config(spec, keys, payload):
    """The train config as the central services write it, and what goes under pht_train in clear or sealed."""
    names = list(spec["files"])
    hashed = [*names, "query.json"] if "query.json" in payload else names
    session = os.urandom(64)
    digest = hash_immutable_files(
        immutable_files=[io.BytesIO(payload[n]) for n in hashed], binary_files=True, user_id=str(spec["creator"]),
        session_id=session, ordered_file_list=hashed, immutable_file_names=hashed)
    user = keys.private["user"]
    signature = (user.sign(digest, PSS, utils.Prehashed(hashes.SHA512())) if V1
                 else user.sign(digest, padding.PKCS1v15(), hashes.SHA512()))
    route = [{"station": s, "eco_system": "tue", "rsa_public_key": keys.public_hex(str(s)), "index": i}
             for s, i in zip(spec["stations"], spec["indexes"], strict=True)]
    config = {
        "@id": "5e0e2ab0-2b0a-4b55-8a3e-9c4f7ad5a111", "@context": {"link": "https://www.w3.org/2018/credentials/v1"},
        "session_id": session.hex(), "proposal_id": 7, "route": route,
        "source": {"type": "docker_repository", "tag": "latest", "address": "localhost/pht-reference/master"},
        "creator": {"id": spec["creator"], "rsa_public_key": keys.public_hex("user")},
        "file_list": [spec["file_prefix"] + n for n in (names if V2 else hashed)],
    }
    kind = ("immutable_file_hash", "immutable_file_signature") if V1 else ("hash", "signature")
    config |= dict(zip(kind, (digest.hex(), signature.hex()), strict=True))
    if V2:
        payload = seal(keys, config, route, payload, digest + signature)
    return TrainConfig(**config), payload


def seal(keys, config, route, payload, built):
    key = os.urandom(32)
    first = next(stop for stop in route if stop["index"] == 0)
    first["encrypted_key"] = keys.private[str(first["station"])].public_key().encrypt(key, OAEP).hex()
    signature = keys.private["builder"].sign(built, padding.PKCS1v15(), hashes.SHA512())
    config["build"] = {"signature": signature.hex(), "rsa_public_key": keys.public_hex("builder")}
    cipher = FileEncryptor(key)
    return {name: cipher.encrypt(data) for name, data in payload.items()}


def build():
    spec = read_spec()
    keys = Keys(ARGS.keys, [*map(str, spec["stations"]), "user", "builder"], spec)
    payload = {name: text.encode() for name, text in spec["files"].items()}
    if spec["query"] is not None:
        payload["query.json"] = json.dumps(spec["query"], indent=2).encode()
    config, payload = sign_config(spec, keys, payload)
    load(ARGS.base)
    container = CLIENT.containers.create(IMAGE, command=spec["cmd"], network_mode="none")
    container.put_archive("/", archive(dict.fromkeys(("opt", "opt/pht_train", "opt/pht_results")), 0o755))
    text = config.json(indent=2, by_alias=True).encode()
    container.put_archive("/opt", archive({"train_config.json": text}, 0o644))
    container.put_archive("/opt", archive({f"pht_train/{name}": data for name, data in payload.items()}, 0o755))
    container.commit(repository=REPOSITORY, tag="latest", conf={"Cmd": spec["cmd"]})
    container.remove()
    os.makedirs(ARGS.layout, exist_ok=True)
    export()


# Stages -------------------------------------------------------------------------------------------------------------

def protocol(which):
    config = extract_train_config(IMAGE)
    # Ids that are numbers in the config are numbers for the reference, too.
    station = next((stop.station for stop in config.route if str(stop.station) == ARGS.station), ARGS.station)
    stage = SecurityProtocol(station, config=config, docker_client=CLIENT)
    if V1 and ARGS.password:
        sys.exit("1.1.1 cannot read a private key with a passphrase")
    more = {} if V1 else {"private_key_password": ARGS.password}
    begin = time.monotonic()
    (stage.pre_run_protocol if which == "pre" else stage.post_run_protocol)(IMAGE, private_key_path=ARGS.key, **more)
    if note := os.environ.get("PHT_REFERENCE_SECONDS"):  # for scripts/bench.sh
        with open(note, "w", encoding="ascii") as out:
            out.write(f"{time.monotonic() - begin}\n")


def run():
    container = CLIENT.containers.run(IMAGE, detach=True, network_mode="none")
    status = container.wait()["StatusCode"]
    if status:
        sys.exit(f"the train exited with {status}: {container.logs().decode(errors='replace')}")
    container.commit(repository=REPOSITORY, tag="latest")
    container.remove()


def names_in_results(container):
    stream, _ = container.get_archive("/opt/pht_results")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        return [name.partition("/")[2] for name in tar.getnames() if "/" in name]


def put():
    """What `run` would leave if the train had written these results: additions, changes and deletions."""
    container = CLIENT.containers.create(IMAGE, network_mode="none")
    gone = [n for n in names_in_results(container) if not os.path.lexists(os.path.join(ARGS.results, n))]
    if gone:
        command = CLIENT.images.get(IMAGE).attrs["Config"]["Cmd"]
        container.remove()
        delete = ["/bin/busybox", "rm", "-rf", *(f"/opt/pht_results/{name}" for name in gone)]
        container = CLIENT.containers.create(IMAGE, command=delete, entrypoint=[], network_mode="none")
        container.start()
        if container.wait()["StatusCode"]:
            sys.exit(f"cannot delete in the image: {container.logs().decode(errors='replace')}")
    else:
        command = None
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(ARGS.results, "pht_results")
    container.put_archive("/opt", out.getvalue())
    container.commit(repository=REPOSITORY, tag="latest", conf={"Cmd": command} if command else None)
    container.remove()


def main():
    if ARGS.command == "build":
        return build()
    load(f"{ARGS.layout}:{ARGS.tag}")
    if ARGS.command == "config":
        return print(extract_train_config(IMAGE).json(indent=2, by_alias=True))
    steps = {"station": ["pre", "put", "post"]}.get(ARGS.command, [ARGS.command])
    for step in steps:
        {"run": run, "put": put}.get(step, lambda: protocol(step))()
    return export()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and clear away all the same
    with workplace():
        main()
