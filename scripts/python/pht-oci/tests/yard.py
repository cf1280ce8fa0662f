"""Keys, files and a train for the tests."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

import pht_oci


class Yard(unittest.TestCase):
    """A directory with the keys of two stations, a creator and a builder, and the files of a train."""

    path: Path

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        for name in ("a", "b", "creator", "builder"):
            pht_oci.keygen(self.path / name, bits=2048)
        (self.path / "files").mkdir()
        (self.path / "files" / "run.sh").write_text("echo ran\n")
        route = [{"station": name, "public_key_file": f"{name}.pub.pem"} for name in ("a", "b")]
        (self.path / "route.json").write_text(json.dumps(route))

    def key(self, name: str) -> Path:
        return self.path / f"{name}.pem"

    def image(self, name: str = "train", tag: str = "latest") -> str:
        return f"oci:{self.path / name}:{tag}"

    def built(self, wire: str = "3") -> pht_oci.Report:
        return pht_oci.build(
            self.image(),
            base="scratch",
            files=self.path / "files",
            route=self.path / "route.json",
            creator="creator",
            creator_key=self.key("creator"),
            builder_key=self.key("builder"),
            wire=wire,
            command=["sh", "-c", "--format text"],
        )
