"""An image by any name: where `pht-oci` reads it, and where what becomes of it goes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import posixpath
import re
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Optional, Tuple

import pht_oci

from ._engine import Engine, EngineError, ImageNotFound, engine

_TRANSPORT = re.compile(r"(oci|oci-archive|docker-archive|dir):|docker://|[./~]")
_OF_DAEMON = "docker-daemon:"


def is_direct(name: str) -> bool:
    """Whether `pht-oci` itself reads the image of this name; else a daemon has it."""
    return _TRANSPORT.match(name) is not None


def with_tag(name: str) -> str:
    """A name in a daemon, with the tag that it means; an id or a digest stays as it is."""
    last = name.rsplit("/", 1)[-1]
    return name if ":" in last or "@" in last else f"{name}:latest"


def repository(name: str) -> str:
    """A name without its tag."""
    head, slash, last = name.rpartition("/")
    return head + slash + last.split("@", 1)[0].split(":", 1)[0]


class Place:
    """An image that is open for the program."""

    def __init__(self, name: str, source: str, base: Optional[str], work: Path) -> None:
        #: The name that the caller gave.
        self.name = name
        #: What the program reads.
        self.source = source
        #: The train as it was built, where that lies beside it and the program would not find it.
        self.base = base
        #: A directory for files on the way, removed at the end.
        self.work = work
        #: The archive of a daemon that the image is in, and its name there.
        self.archive: Optional[Tuple[Path, str]] = None
        #: The digest of its manifest, once it was copied.
        self.digest: Optional[str] = None

    def extract(self, path: str) -> "tarfile.TarFile":
        """A file or directory as Docker's archive has it: names begin with the last part of `path`."""
        whole, archive = self.work / "extracted", self.work / "archive.tar"
        with whole.open("wb") as file:
            pht_oci.extract(self.source, path, stdout=file)
        top = posixpath.normpath(path).strip("/")
        with archive.open("wb") as file:
            if self._is_directory(whole, top):
                with whole.open("rb") as extracted:
                    _from_the_last_part(extracted, file, top)
            else:
                with tarfile.open(fileobj=file, mode="w") as tar:
                    tar.add(whole, posixpath.basename(top))
        whole.unlink()
        # It is read after the directory has gone, and its space is free once it is closed.
        return tarfile.open(archive)

    def _is_directory(self, extracted: Path, top: str) -> bool:
        """Whether a directory was extracted, as an archive, and not a file that is an archive itself."""
        try:
            with tarfile.open(extracted, "r:") as tar:
                members = tar.getmembers()
        except tarfile.ReadError:
            return False
        names = [member.name.strip("/") for member in members]
        if not names or any(name != top and not name.startswith(f"{top}/") for name in names):
            return False
        below = next((name for name in names if name != top), None)
        if below is None:
            return members[0].isdir()
        # Below a file there is nothing.
        try:
            with open(os.devnull, "wb") as nowhere:
                pht_oci.extract(self.source, f"/{below}", stdout=nowhere)
        except pht_oci.WrongUsage:
            return False
        return True

    def file(self, path: str) -> bytes:
        """The bytes of a file."""
        with self.extract(path) as tar:
            name = posixpath.basename(posixpath.normpath(path))
            file = tar.extractfile(name) if tar.getnames() == [name] else None
            if file is None:
                raise ValueError(f"{path} of {self.name} is not a file")
            return file.read()

    @contextlib.contextmanager
    def destination(self) -> Iterator[Optional[str]]:
        """Where the program writes what becomes of the image; None is in its place."""
        yield None


class _InDaemon(Place):
    """An image that was saved from a daemon, and is loaded into it."""

    def __init__(self, name: str, stored: str, source: str, base: Optional[str], work: Path, daemon: Engine) -> None:
        super().__init__(name, source, base, work)
        self._stored = stored
        self._daemon = daemon

    @contextlib.contextmanager
    def destination(self) -> Iterator[Optional[str]]:
        if "@" in self._stored or ":" not in self._stored:
            raise ValueError(f"{self.name} has no tag that could be moved to the new image")
        out = self.work / "out.tar"
        yield f"docker-archive:{out}:{self._stored}"
        with out.open("rb") as file:
            self._daemon.load(file)
        out.unlink()


@contextlib.contextmanager
def opened(name: str, client: Any = None) -> Iterator[Place]:
    """An image for as long as it is needed, with the train as built beside it if there is one."""
    with tempfile.TemporaryDirectory(prefix="train-lib-") as directory:
        work = Path(directory)
        if is_direct(name):
            yield Place(name, os.path.expanduser(name), None, work)
            return
        daemon = engine(client)
        wanted = with_tag(name[len(_OF_DAEMON) :] if name.startswith(_OF_DAEMON) else name)
        if not daemon.has(wanted):
            raise ImageNotFound(f"the daemon has no image {wanted!r}; pull it first, or name it as pht-oci does")
        base = f"{repository(wanted)}:base"
        there = [wanted] + ([base] if base != wanted and daemon.has(base) else [])
        stored = _saved(daemon, there, work / "in.tar")
        references = [reference for _, reference in stored]
        yield _InDaemon(name, stored[0][0], references[0], references[1] if len(there) > 1 else None, work, daemon)


@contextlib.contextmanager
def both(one: str, other: str, client: Any = None) -> Iterator[Tuple[Place, Place]]:
    """Two images. If a daemon has both, they are saved in one archive, in which common layers are there once."""
    if is_direct(one) or is_direct(other):
        with opened(one, client) as first, opened(other, client) as second:
            yield first, second
        return
    daemon = engine(client)
    with tempfile.TemporaryDirectory(prefix="train-lib-") as directory:
        names = [with_tag(one), with_tag(other)]
        for name in names:
            if not daemon.has(name):
                raise ImageNotFound(f"the daemon has no image {name!r}; pull it first, or name it as pht-oci does")
        stored = _saved(daemon, list(dict.fromkeys(names)), Path(directory) / "in.tar")
        works = [Path(directory) / str(number) for number in range(2)]
        for work in works:
            work.mkdir()
        places = Place(one, stored[0][1], None, works[0]), Place(other, stored[-1][1], None, works[1])
        for place, (tag, _) in zip(places, (stored[0], stored[-1])):
            place.archive = (Path(directory) / "in.tar", tag)
        yield places


def _saved(daemon: Engine, names: List[str], file: Path) -> List[Tuple[str, str]]:
    """Saves images; for each the name that the archive has for it, and how the program is told."""
    with file.open("wb") as out:
        daemon.save(names, out)
    with tarfile.open(file) as archive:
        try:
            member = archive.extractfile("manifest.json")
            manifest: List[Dict[str, Any]] = json.load(member) if member else []
            tags = [tag for image in manifest for tag in image["RepoTags"] or []]
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(f"the daemon has saved no archive with a manifest.json: {error!r}") from error
    stored = []
    for name in names:
        # Podman stores `NAME` as `localhost/NAME`, and pulls it as `docker.io/library/NAME`.
        spellings = [name, f"localhost/{name}", f"docker.io/library/{name}", f"docker.io/{name}"]
        tag = next((spelling for spelling in spellings if spelling in tags), None)
        if tag is not None:
            stored.append((tag, f"docker-archive:{file}:{tag}"))
        elif len(names) == 1 and len(manifest) == 1:
            stored.append((name, f"docker-archive:{file}"))
        else:
            raise EngineError(f"the archive of the daemon holds {tags}, and not {name!r}")
    return stored


def removed(archive: Path, name: str, above: int) -> List[str]:
    """Paths that the layers of an image remove, but for so many of its lowest ones."""
    paths = []
    with tarfile.open(archive) as images:
        member = images.extractfile("manifest.json")
        manifest: List[Dict[str, Any]] = json.load(member) if member else []
        image = next((image for image in manifest if name in (image["RepoTags"] or [])), manifest[0])
        for layer in image["Layers"][above:]:
            with tarfile.open(fileobj=images.extractfile(layer), mode="r:*") as entries:
                for entry in entries:
                    directory, base = posixpath.split(posixpath.normpath(entry.name))
                    if base.startswith(".wh.") and base != ".wh..wh..opq":
                        paths.append(posixpath.join("/", directory, base[len(".wh.") :]))
    return paths


def _from_the_last_part(whole: IO[bytes], archive: IO[bytes], path: str) -> None:
    """The archive with names from the last part of `path` on; hard links name their files as those are named."""
    parent = posixpath.dirname(path)
    cut = len(parent) + 1 if parent else 0
    with tarfile.open(fileobj=whole, mode="r") as old, tarfile.open(fileobj=archive, mode="w") as new:
        for member in old:
            name = member.name.strip("/")
            if name != path and not name.startswith(f"{path}/"):
                raise ValueError(f"pht-oci has extracted {member.name!r}, which is not below {path!r}")
            data = old.extractfile(member) if member.isreg() else None
            member.name = name[cut:]
            if member.islnk():
                member.linkname = member.linkname.lstrip("/")[cut:]
            _forget_names(member)
            new.addfile(member, data)


def _forget_names(member: tarfile.TarInfo) -> None:
    """Long names that were read with a member would be written in the place of those that it has now."""
    member.pax_headers = {key: value for key, value in member.pax_headers.items() if key not in ("path", "linkpath")}


@contextlib.contextmanager
def with_files(place: Place, archive: IO[bytes], path: str) -> Iterator[Tuple[str, Optional[str]]]:
    """A copy of the image with one layer more: the entries of a tar archive, below the directory `path`.

    How the program is told, and the train as built beside it if there is one.
    """
    layout = place.work / "changed"
    place.digest = pht_oci.copy(place.source, f"oci:{layout}:changed", allow_open=True).digest.before
    _append_layer(layout, _layer(archive, path))
    base = place.base or _base_beside(place.source, layout)
    yield f"oci:{layout}:changed", base


def _base_beside(source: str, layout: Path) -> Optional[str]:
    """A copy of the tag `base` that lies in the same layout or repository."""
    transport, _, rest = source.rpartition(":")
    if not transport.startswith(("oci:", "docker://")) or "/" in rest:
        return None
    try:
        pht_oci.copy(f"{transport}:base", f"oci:{layout}:base")
    except pht_oci.PhtOciError:
        return None
    return f"oci:{layout}:base"


def _layer(archive: IO[bytes], path: str) -> bytes:
    """A layer with what the archive holds, below `path`."""
    layer = io.BytesIO()
    top = posixpath.normpath(path).strip("/")
    with tarfile.open(fileobj=archive, mode="r") as old, tarfile.open(fileobj=layer, mode="w") as new:
        for member in old:
            name = posixpath.normpath(f"{top}/{member.name}")
            if name == top:
                continue
            if not name.startswith(f"{top}/"):
                raise ValueError(f"{member.name!r} of the archive would lie outside of {path}")
            data = old.extractfile(member) if member.isreg() else None
            member.name = name
            if member.islnk():
                member.linkname = posixpath.normpath(f"{top}/{member.linkname}")
            _forget_names(member)
            new.addfile(member, data)
    return layer.getvalue()


def _append_layer(layout: Path, layer: bytes) -> None:
    """Puts a layer on the one image of a layout that is tagged `changed`."""
    index = json.loads((layout / "index.json").read_bytes())
    name = "org.opencontainers.image.ref.name"
    entry = next(entry for entry in index["manifests"] if entry.get("annotations", {}).get(name) == "changed")
    manifest = json.loads(_blob(layout, entry["digest"]).read_bytes())
    config = json.loads(_blob(layout, manifest["config"]["digest"]).read_bytes())
    docker = "docker" in manifest["config"]["mediaType"]
    descriptor = _write_blob(layout, layer)
    config["rootfs"]["diff_ids"].append(descriptor["digest"])
    if config.get("history"):
        config["history"].append({"created_by": "train_lib add_archive"})
    kind = "application/vnd.docker.image.rootfs.diff.tar" if docker else "application/vnd.oci.image.layer.v1.tar"
    manifest["layers"].append({"mediaType": kind, **descriptor})
    manifest["config"].update(_write_blob(layout, json.dumps(config).encode()))
    entry.update(_write_blob(layout, json.dumps(manifest).encode()))
    (layout / "index.json").write_text(json.dumps(index))


def _blob(layout: Path, digest: str) -> Path:
    algorithm, _, value = digest.partition(":")
    return layout / "blobs" / algorithm / value


def _write_blob(layout: Path, data: bytes) -> Dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    _blob(layout, digest).write_bytes(data)
    return {"digest": digest, "size": len(data)}
