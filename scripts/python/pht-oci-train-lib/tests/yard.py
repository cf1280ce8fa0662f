"""Trains in layouts, without any daemon."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
import unittest
from pathlib import Path
from typing import Dict, List
from unittest import mock

import pht_oci

from train_lib.docker_util.docker_ops import add_archive, extract_train_config
from train_lib.security.protocol import SecurityProtocol
from train_lib.security.train_config import TrainConfig

STATIONS = ("station_1", "station_2", "station_3")
WIRES = ("1.1.1", "1.1.2", "2.0", "3")


def archive(files: Dict[str, bytes]) -> io.BytesIO:
    """A tar archive with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    out.seek(0)
    return out


class Yard(unittest.TestCase):
    """A directory with keys, the files of a train and its master image; no daemon can be reached."""

    keys: "tempfile.TemporaryDirectory[str]"

    @classmethod
    def setUpClass(cls) -> None:
        cls.keys = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.keys.cleanup)
        for name in (*STATIONS, "user", "builder"):
            pht_oci.keygen(Path(cls.keys.name) / name, bits=2048)

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        nowhere = {"DOCKER_HOST": f"unix://{self.path}/no-daemon", "PATH": "/nonexistent"}
        patched = mock.patch.dict(os.environ, {**nowhere, "PHT_OCI_BIN": pht_oci.find_pht_oci_bin()})
        patched.start()
        self.addCleanup(patched.stop)
        files = {"entrypoint.py": b"print('run')\n", "lib/file_1.py": b"pass\n", "r_script.r": b"1\n"}
        for name, data in files.items():
            (self.path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / "files" / name).write_bytes(data)
        (self.path / "query.json").write_text('{"query": {"resource": "Patient"}, "data": {"filename": "p.json"}}')
        route = [{"station": name, "public_key_file": f"{self.keys.name}/{name}.pub.pem"} for name in STATIONS]
        (self.path / "route.json").write_text(json.dumps(route))

    def key(self, name: str) -> str:
        return f"{self.keys.name}/{name}.pem"

    def built(self, wire: str = "2.0", base: str = "scratch") -> str:
        """A new train; the name of its image."""
        image = f"oci:{self.path}/train-{wire}:latest"
        pht_oci.build(
            image,
            base=base,
            files=self.path / "files",
            query=self.path / "query.json",
            route=self.path / "route.json",
            creator="test-user",
            creator_key=self.key("user"),
            builder_key=None if wire.startswith("1.") else self.key("builder"),
            wire=wire,
            command=["python", "/opt/pht_train/entrypoint.py"],
        )
        return image

    def protocol(self, station: str, config: TrainConfig) -> SecurityProtocol:
        return SecurityProtocol(station, config=config)

    def pre_run(self, image: str, station: str, key: str = "") -> SecurityProtocol:
        protocol = self.protocol(station, extract_train_config(image))
        protocol.pre_run_protocol(image, private_key_path=self.key(key or station))
        return protocol

    def run_train(self, image: str, files: Dict[str, bytes]) -> None:
        """What a run leaves: results."""
        add_archive(image, archive(files), "/opt/pht_results")

    def stop(self, image: str, station: str) -> SecurityProtocol:
        protocol = self.pre_run(image, station)
        self.run_train(image, {station: station.encode()})
        protocol.post_run_protocol(image, private_key_path=self.key(station))
        return protocol

    def results(self, image: str) -> List[str]:
        out = self.path / "out"
        pht_oci.results(image, out, private_key=self.key("user"))
        return sorted(str(file.relative_to(out)) for file in out.rglob("*"))
