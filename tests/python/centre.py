"""The way of a train through a central service whose registry counts and deletes images by digest.

    centre.py PROGRAM DIRECTORY      DIRECTORY is empty

The registry is a small one of the distribution specification, with the rules of the field's registry beside it: a
repository has as many images as digests, whatever their tags; to copy or to delete an image takes all its tags along. The
service's own rules are those of its router: a train with fewer than two images counts as not built yet; `base` is moved
before `latest`.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOBS = {}  # digest: bytes
LINKED = set()  # (repository, digest)
IMAGES = {}  # repository: {digest: (media type, bytes, set of tags)}
PUSHED = []  # (repository, tag), in order
UPLOADS = {}


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image(repository, reference):
    for digest, found in IMAGES.get(repository, {}).items():
        if reference == digest or reference in found[2]:
            return digest, found
    return None, None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, data=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status, code):
        self.answer(status, json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode())

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def handle_any(self):
        parts = urllib.parse.urlsplit(self.path)
        query, body = dict(urllib.parse.parse_qsl(parts.query)), self.body()
        for pattern, act in ROUTES:
            if found := re.fullmatch(pattern, parts.path):
                return act(self, found.groups(), query, body)
        self.refuse(404, "NOT_FOUND")

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

    def root(self, _groups, _query, _body):
        self.answer(200)

    def blob(self, groups, _query, _body):
        repository, digest = groups
        if (repository, digest) not in LINKED:
            return self.refuse(404, "BLOB_UNKNOWN")
        data = BLOBS[digest]
        self.answer(200, data, [("Content-Length", str(len(data)))] if self.command == "HEAD" else [])

    def begin(self, groups, query, _body):
        (repository,) = groups
        if (query.get("from"), query.get("mount")) in LINKED:
            LINKED.add((repository, query["mount"]))
            return self.answer(201, headers=[("Location", f"/v2/{repository}/blobs/{query['mount']}")])
        name = str(len(UPLOADS))
        UPLOADS[name] = b""
        self.answer(202, headers=[("Location", f"/v2/{repository}/blobs/uploads/{name}"), ("Range", "0-0")])

    def upload(self, groups, query, body):
        repository, name = groups
        UPLOADS[name] += body
        if self.command == "PATCH":
            place = [("Location", f"/v2/{repository}/blobs/uploads/{name}"), ("Range", f"0-{len(UPLOADS[name]) - 1}")]
            return self.answer(202, headers=place)
        if self.command != "PUT":
            return self.answer(204, headers=[("Range", f"0-{len(UPLOADS[name]) - 1}")])
        data = UPLOADS.pop(name)
        if digest_of(data) != query["digest"]:
            return self.refuse(400, "DIGEST_INVALID")
        BLOBS[query["digest"]] = data
        LINKED.add((repository, query["digest"]))
        self.answer(201, headers=[("Location", f"/v2/{repository}/blobs/{query['digest']}")])

    def manifest(self, groups, _query, body):
        repository, reference = groups
        if self.command == "PUT":
            document = json.loads(body)
            for blob in [document["config"], *document["layers"]]:
                if (repository, blob["digest"]) not in LINKED:
                    return self.refuse(404, "MANIFEST_BLOB_UNKNOWN")
            there = IMAGES.setdefault(repository, {})
            for _, _, tags in there.values():
                tags.discard(reference)
            digest = digest_of(body)
            tags = there[digest][2] if digest in there else set()
            there[digest] = (self.headers["Content-Type"], body, tags)
            if not reference.startswith("sha256:"):
                tags.add(reference)
                PUSHED.append((repository, reference))
            return self.answer(201, headers=[("Docker-Content-Digest", digest)])
        digest, found = image(repository, reference)
        if found is None:
            return self.refuse(404, "MANIFEST_UNKNOWN")
        media_type, data, _ = found
        headers = [("Content-Type", media_type), ("Docker-Content-Digest", digest)]
        self.answer(200, data, headers + [("Content-Length", str(len(data)))] * (self.command == "HEAD"))


ROUTES = [
    (r"/v2/", Handler.root),
    (r"/v2/(.+)/blobs/uploads/", Handler.begin),
    (r"/v2/(.+)/blobs/uploads/([0-9]+)", Handler.upload),
    (r"/v2/(.+)/blobs/(sha256:[0-9a-f]+)", Handler.blob),
    (r"/v2/(.+)/manifests/([^/]+)", Handler.manifest),
]


# The registry's own interface, by its documented rules.


def artifact_count(repository):
    return len(IMAGES.get(repository, {}))


def copy_artifact(source, reference, destination):
    """Copies the image, and with it every tag that it has."""
    digest, found = image(source, reference)
    assert found, f"404: {source} has no image {reference}"
    there = IMAGES.setdefault(destination, {})
    for tags in (entry[2] for entry in there.values()):
        tags -= found[2]
    there[digest] = (found[0], found[1], set(found[2]))
    document = json.loads(found[1])
    LINKED.update((destination, blob["digest"]) for blob in [document["config"], *document["layers"]])


def delete_artifact(repository, reference):
    """Deletes the image, and with it every tag that it has."""
    digest, found = image(repository, reference)
    assert found, f"404: {repository} has no image {reference}"
    del IMAGES[repository][digest]


# The service's own rules.


def start(repository):
    """Whether the train is sent on its way; else it is built first."""
    return artifact_count(repository) >= 2


def move(source, destination):
    for tag in ("base", "latest"):
        copy_artifact(source, tag, destination)
        delete_artifact(source, tag)


class Walk:
    def __init__(self, program, directory):
        self.program, self.dir = program, directory
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.host = f"127.0.0.1:{server.server_port}"

    def path(self, name):
        return os.path.join(self.dir, name)

    def at(self, repository, tag=None):
        return f"docker://{self.host}/{repository}" + (f":{tag}" if tag else "")

    def run(self, *line):
        plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
        command = [line[0], *plain, *line[1:]]
        done = subprocess.run([self.program, *command], capture_output=True, check=False)
        assert done.returncode == 0, f"{line}: {done.returncode} {done.stderr.decode()}"
        return done.stdout

    def prepare(self):
        for name in ("alice", "builder", "a", "b", "c"):
            self.run("keygen", self.path(name), "--bits", "2048")
        os.mkdir(self.path("files"))
        with open(self.path("files/main.py"), "w", encoding="utf-8") as file:
            file.write("print(1)\n")
        route = [{"station": name, "public_key_file": self.path(f"{name}.pub.pem")} for name in "abc"]
        with open(self.path("route.json"), "w", encoding="utf-8") as file:
            json.dump(route, file)

    def tags(self, repository):
        """Both tags, each with its digest; no image without a tag, and none with two."""
        found = {}
        for digest, (_, _, tags) in IMAGES[repository].items():
            assert len(tags) == 1, f"{repository}: {digest} has the tags {tags}"
            found[next(iter(tags))] = digest
        assert sorted(found) == ["base", "latest"], f"{repository}: {found}"
        return found


def layers(repository, tag):
    return [blob["digest"] for blob in json.loads(image(repository, tag)[1][1])["layers"]]


def walk(place, wire):
    name = "t" + wire.replace(".", "")
    incoming = f"incoming/{name}"
    del PUSHED[:]
    build = ["build", place.at(incoming), "--base", "scratch", "--files", place.path("files")]
    build += ["--route", place.path("route.json"), "--creator", "alice", "--creator-key", place.path("alice.pem")]
    place.run(*build, "--builder-key", place.path("builder.pem"), "--wire", wire, "--cmd", "python", "/opt/pht_train/main.py")
    assert PUSHED == [(incoming, "base"), (incoming, "latest")], PUSHED
    built = place.tags(incoming)
    assert layers(incoming, "base") == layers(incoming, "latest")
    assert start(incoming), "the train counts as not built yet"
    here, latest = incoming, built["latest"]
    for station in "abc":
        there = f"station_{station}/{name}"
        move(here, there)
        assert artifact_count(here) == 0
        assert place.tags(there) == {"base": built["base"], "latest": latest}
        work, results = f"oci:{place.path(f'{name}-{station}')}", place.path(f"results-{name}-{station}")
        key = ["--private-key", place.path(f"{station}.pem")]
        place.run("pre-run", place.at(there, "latest"), f"{work}:open", "--results", results, *key)
        with open(os.path.join(results, f"{station}.txt"), "w", encoding="utf-8") as file:
            file.write(f"result of {station}\n")
        place.run("post-run", f"{work}:open", place.at(there, "latest"), "--results", results, *key)
        for stale in [digest for digest, found in IMAGES[there].items() if not found[2]]:
            del IMAGES[there][stale]  # as the registry's retention does
        found = place.tags(there)
        assert found["base"] == built["base"] and found["latest"] != latest, found
        here, latest = there, found["latest"]
    # The train goes to another network, by the program itself.
    outgoing = f"outgoing/{name}"
    del PUSHED[:]
    place.run("copy", "--tags", "latest,base", place.at(here), place.at(outgoing))
    assert PUSHED == [(outgoing, "base"), (outgoing, "latest")], PUSHED
    assert place.tags(outgoing) == {"base": built["base"], "latest": latest}
    handout = place.path(f"handout-{name}.tar")
    line = ["extract", place.at(outgoing, "latest"), "/opt/pht_results", "/opt/train_config.json", "--out"]
    data = place.run(*line, "-")
    with open(handout, "wb") as file:
        file.write(data)
    place.run(*line, handout + ".again")
    with open(handout + ".again", "rb") as file:
        assert file.read() == data
    members = subprocess.run(["tar", "tf", handout], capture_output=True, check=True).stdout.decode().split("\n")
    assert members == ["pht_results/", *(f"pht_results/{x}.txt" for x in "abc"), "train_config.json", ""], members
    out = place.path(f"out-{name}")
    place.run("results", handout, "--private-key", place.path("alice.pem"), "--out", out)
    for station in "abc":
        with open(os.path.join(out, f"{station}.txt"), encoding="utf-8") as file:
            assert file.read() == f"result of {station}\n"


def rules_bite():
    """One digest for both tags is what the rules above refuse."""
    IMAGES["one"] = {"sha256:1": ("", b'{"config": {"digest": ""}, "layers": []}', {"base", "latest"})}
    assert not start("one")
    try:
        move("one", "two")
    except AssertionError as missing:
        assert "404" in str(missing)
    else:
        raise AssertionError("the second copy found its image")


def main():
    place = Walk(sys.argv[1], sys.argv[2])
    rules_bite()
    place.prepare()
    for wire in ("1.1.2", "2.0", "3"):
        walk(place, wire)
        print(wire)


main()
