"""Images of a Docker or Podman daemon, through its archive stream: what `docker save` writes and `docker load` reads."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, Any, Iterable, Optional, Sequence
from urllib.parse import quote, urlencode, urlsplit

#: Saving and loading wait for disks, not for answers.
_TIMEOUT = 1200
_CHUNK = 1 << 20


class EngineError(OSError):
    """The daemon cannot be reached, or does not do what it is asked for."""


class ImageNotFound(ValueError):
    """The daemon has no image of this name."""


class Engine(ABC):
    """A place of images that can be saved from it and loaded into it."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is an image of this name."""

    @abstractmethod
    def save(self, names: Sequence[str], file: IO[bytes]) -> None:
        """Writes one archive with these images."""

    @abstractmethod
    def load(self, file: IO[bytes]) -> None:
        """Takes the images of an archive."""


def engine(client: Any = None) -> Engine:
    """The daemon of a client of the package `docker`; else that of `DOCKER_HOST`, else the one that is found here."""
    if client is not None:
        return _Client(client)
    host = os.environ.get("DOCKER_HOST")
    if host:
        if host.startswith("ssh://") or os.environ.get("DOCKER_TLS_VERIFY"):
            return _program("docker", "podman")
        return _Socket(host)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    sockets = ["/var/run/docker.sock"] + ([f"{runtime}/podman/podman.sock"] if runtime else []) + ["/run/podman/podman.sock"]
    for path in sockets:
        if os.access(path, os.R_OK | os.W_OK) and Path(path).is_socket():
            return _Socket(f"unix://{path}")
    return _program("podman", "docker")


def _program(*names: str) -> Engine:
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return _Program(found)
    raise EngineError(
        "there is neither a socket of Docker or Podman here nor a program to reach one; name the image as "
        "oci:DIR:TAG, oci-archive:FILE or docker://HOST/REPO:TAG, which need no daemon"
    )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Socket(Engine):
    """The HTTP interface of a daemon."""

    def __init__(self, host: str) -> None:
        self._host = host

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._host)
        if parts.scheme == "unix":
            return _UnixConnection(parts.netloc + parts.path)
        if parts.scheme in ("tcp", "http") and parts.hostname:
            return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=_TIMEOUT)
        raise EngineError(f"DOCKER_HOST is {self._host!r}; expected unix://PATH or tcp://HOST:PORT")

    def _ask(self, method: str, path: str, file: Optional[IO[bytes]] = None) -> http.client.HTTPResponse:
        connection = self._connection()
        headers = {"Connection": "close"}
        if file is not None:
            headers["Content-Type"] = "application/x-tar"
            headers["Content-Length"] = str(os.fstat(file.fileno()).st_size)
        try:
            connection.request(method, path, body=file, headers=headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise EngineError(f"the daemon at {self._host} does not answer: {error}") from error

    def has(self, name: str) -> bool:
        with self._ask("GET", f"/images/{quote(name, safe='/:@')}/json") as response:
            response.read()
            if response.status not in (200, 404):
                raise EngineError(f"the daemon at {self._host} answers {response.status} when asked for {name!r}")
            return response.status == 200

    def save(self, names: Sequence[str], file: IO[bytes]) -> None:
        query = urlencode({"names": list(names)}, doseq=True)
        with self._ask("GET", f"/images/get?{query}") as response:
            if response.status != 200:
                _raise(f"the daemon at {self._host} does not save {', '.join(names)}", response.read())
            try:
                shutil.copyfileobj(response, file, _CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise EngineError(f"the daemon at {self._host} breaks off while it saves an image: {error}") from error

    def load(self, file: IO[bytes]) -> None:
        with self._ask("POST", "/images/load?quiet=1", file) as response:
            said = response.read()
            if response.status != 200:
                _raise(f"the daemon at {self._host} does not load the image", said)
            _check_progress(said.splitlines())


def _raise(what: str, said: bytes) -> None:
    try:
        message = json.loads(said)["message"]
    except (ValueError, KeyError, TypeError):
        message = said.decode("utf-8", "replace")[:500]
    raise EngineError(f"{what}: {message}")


def _check_progress(lines: Iterable[bytes]) -> None:
    """A daemon that fails while it loads says so in a line, after status 200."""
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and told.get("error"):
            raise EngineError(f"the daemon does not load the image: {told['error']}")


class _Client(Engine):
    """A client of the package `docker`, which knows how to reach its daemon."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def has(self, name: str) -> bool:
        response = self._get(f"/images/{quote(name, safe='/:@')}/json")
        with response:
            if response.status_code not in (200, 404):
                raise EngineError(f"the daemon answers {response.status_code} when asked for {name!r}")
            return bool(response.status_code == 200)

    def save(self, names: Sequence[str], file: IO[bytes]) -> None:
        with self._get(f"/images/get?{urlencode({'names': list(names)}, doseq=True)}") as response:
            if response.status_code != 200:
                _raise(f"the daemon does not save {', '.join(names)}", response.content)
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)

    def load(self, file: IO[bytes]) -> None:
        self._client.images.load(file)

    def _get(self, path: str) -> Any:
        api = self._client.api
        return api.get(f"{api.base_url}/v{api.api_version}{path}", stream=True, timeout=_TIMEOUT)


class _Program(Engine):
    """`docker` or `podman`, for daemons that only their program reaches, and for Podman without one."""

    def __init__(self, program: str) -> None:
        self._program = program

    def _run(self, *arguments: str, file: Optional[IO[bytes]] = None, out: Optional[IO[bytes]] = None) -> int:
        done = subprocess.run(
            [self._program, *arguments],
            stdin=subprocess.DEVNULL if file is None else file,
            stdout=subprocess.DEVNULL if out is None else out,
            stderr=subprocess.PIPE,
            check=False,
        )
        self._said = done.stderr.decode("utf-8", "replace").strip()
        return done.returncode

    def has(self, name: str) -> bool:
        return self._run("image", "inspect", "--", name) == 0

    def save(self, names: Sequence[str], file: IO[bytes]) -> None:
        several = ["--multi-image-archive"] if "podman" in Path(self._program).name else []
        if self._run("save", *several, "--", *names, out=file) != 0:
            raise EngineError(f"{self._program} does not save {', '.join(names)}: {self._said}")

    def load(self, file: IO[bytes]) -> None:
        if self._run("load", "--quiet", file=file) != 0:
            raise EngineError(f"{self._program} does not load the image: {self._said}")
