"""A train in the daemons that are here: through the socket, by the client of the package `docker`, by their programs.

    PYTHONPATH=... python -m unittest tests.daemon      ENGINES (default: all): socket client docker podman
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import unittest
from pathlib import Path
from typing import Any, Iterator, Optional
from unittest import mock

import pht_oci

from tests.yard import STATIONS, Yard, archive
from train_lib.docker_util import _engine
from train_lib.docker_util.docker_ops import add_archive, extract_archive, extract_train_config
from train_lib.docker_util.validate_master_image import validate_train_image
from train_lib.security.errors import UnfitKey
from train_lib.security.protocol import SecurityProtocol

ENGINES = os.environ.get("ENGINES", "socket client docker podman").split()
NAME = f"localhost/pht-oci-test/train-{os.getpid()}"
HERE = dict(os.environ)


def forget(program: str, name: str) -> None:
    """Removes what a test has left in a daemon."""
    line = [program, "rmi", "--force", f"{name}:latest", f"{name}:base"]
    subprocess.run(line, env=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


class OfADaemon(Yard):
    @contextlib.contextmanager
    def engine(self, name: str) -> Iterator[Any]:
        """An engine as the one that a bare name means; the client to hand over."""
        with self.subTest(engine=name), contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, {**HERE, "PHT_OCI_BIN": os.environ["PHT_OCI_BIN"]}))
            client = None
            if name == "client":
                import docker

                client = docker.from_env()
                stack.callback(client.close)
                # Without the client the daemon is not found.
                os.environ["DOCKER_HOST"] = f"unix://{self.path}/no-daemon"
            elif name in ("docker", "podman"):
                engine = _engine._Program(shutil.which(name) or name)
                stack.enter_context(mock.patch.object(_engine, "engine", lambda _client=None: engine))
                stack.enter_context(mock.patch("train_lib.docker_util._images.engine", lambda _client=None: engine))
            yield client

    def load(self, image: str, name: str, client: Any) -> None:
        out = self.path / "load.tar"
        pht_oci.copy(image, f"docker-archive:{out}:{name}")
        with out.open("rb") as file:
            _engine.engine(client).load(file)
        out.unlink()

    def test_a_train_travels_under_its_name(self) -> None:
        for engine in ENGINES:
            with self.engine(engine) as client:
                self.addCleanup(forget, "podman" if engine == "podman" else "docker", f"{NAME}-{engine}")
                self.travel(f"{NAME}-{engine}", client)

    def travel(self, name: str, client: Any) -> None:
        image = self.built()
        for tag in ("latest", "base"):
            self.load(image, f"{name}:{tag}", client)
        shutil.rmtree(self.path / "train-2.0")
        for station in STATIONS:
            config = self.config(name, client)
            protocol = SecurityProtocol(station, config, docker_client=client)
            protocol.pre_run_protocol(name, self.key(station))
            if client is None:
                add_archive(name, archive({station: station.encode()}), "/opt/pht_results")
                with extract_archive(f"{name}:latest", "/opt/pht_results") as tar:
                    self.assertIn(f"pht_results/{station}", tar.getnames())
            protocol.post_run_protocol(f"{name}:latest", self.key(station))
            self.assertTrue(protocol.route_stop.signature)
        self.assertEqual(protocol.config, self.config(name, client))
        validate_train_image(f"{name}:base", name, docker_client=client)
        with self.assertRaises(UnfitKey):
            SecurityProtocol("station_1", protocol.config, docker_client=client).pre_run_protocol(
                name, self.key("station_2")
            )

    def config(self, name: str, client: Optional[Any]) -> Any:
        if client is None:
            return extract_train_config(name)
        with mock.patch.dict(os.environ, HERE):
            return extract_train_config(name)

    def test_what_is_not_there_is_told(self) -> None:
        for engine in ENGINES:
            with self.engine(engine) as client, self.assertRaises(ValueError) as error:
                validate_train_image(f"{NAME}-no-master", f"{NAME}-no-train", docker_client=client)
            self.assertIn("no-master:latest", str(error.exception))

    def test_what_is_no_archive_is_told(self) -> None:
        file = Path(self.path / "no-archive")
        file.write_bytes(b"no archive")
        for engine in ENGINES:
            kind = Exception if engine == "client" else _engine.EngineError
            with self.engine(engine) as client, file.open("rb") as opened, self.assertRaises(kind):
                _engine.engine(client).load(opened)


if __name__ == "__main__":
    unittest.main()
