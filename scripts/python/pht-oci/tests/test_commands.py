"""Every command on real images."""

from __future__ import annotations

import io
import os
import tarfile
import unittest
from pathlib import Path

import pht_oci
from tests.yard import Yard


class Commands(Yard):
    def test_a_journey(self) -> None:
        built = self.built()
        self.assertEqual((built.stage, built.wire, built.destination), ("build", "3", self.image()))
        state = pht_oci.inspect(self.image())
        self.assertEqual((state.next, state.digest, state.stage), ("a", built.digest.after, "built"))
        self.assertEqual([stop.station for stop in state.route], ["a", "b"])

        for number, station in enumerate(("a", "b")):
            results = self.path / f"results-{station}"
            opened = pht_oci.pre_run(self.image(), private_key=self.key(station), results=results)
            self.assertEqual((opened.station, opened.ran), (station, None))
            self.assertIn("trust", [check.id for check in opened.weak])
            (results / station).write_text(str(number))
            closed = pht_oci.post_run(self.image(), private_key=self.key(station), results=results)
            self.assertEqual(closed.digest.before, opened.digest.after)

        found = pht_oci.verify(self.image())
        self.assertEqual((found.verdict, [stop.signature for stop in found.stops]), ("weak", ["sound", "sound"]))
        self.assertIsNone(pht_oci.inspect(self.image()).next)
        pht_oci.results(self.image(), self.path / "out", private_key=self.key("creator"))
        self.assertEqual({file.name: file.read_text() for file in (self.path / "out").iterdir()}, {"a": "0", "b": "1"})

    def test_the_command_of_a_train_may_look_like_options(self) -> None:
        self.built()
        pht_oci.copy(self.image(), f"oci-archive:{self.path / 'train.tar'}:latest")
        with tarfile.open(self.path / "train.tar") as archive:
            texts = [archive.extractfile(member) for member in archive if member.isfile()]
            self.assertTrue(any(text and b'"Cmd":["sh","-c","--format text"]' in text.read() for text in texts))

    def test_files_come_as_bytes_as_archives_and_on_disk(self) -> None:
        self.built("1.1.2")
        self.assertEqual(pht_oci.extract(self.image(), "/opt/pht_train/run.sh"), b"echo ran\n")
        with tarfile.open(fileobj=io.BytesIO(pht_oci.extract(self.image(), "/opt/pht_train"))) as archive:
            self.assertIn("opt/pht_train/run.sh", archive.getnames())
        with (self.path / "streamed").open("wb") as file:
            self.assertEqual(pht_oci.extract(self.image(), "/opt/pht_train/run.sh", stdout=file), b"")
        self.assertEqual((self.path / "streamed").read_bytes(), b"echo ran\n")
        pht_oci.extract(self.image(), "/opt/pht_train", self.path / "code")
        self.assertEqual((self.path / "code" / "run.sh").read_text(), "echo ran\n")

    def test_an_image_is_copied_collected_and_held_against_its_master(self) -> None:
        self.built("2.0")
        copied = pht_oci.copy(self.image(), self.image("copy"))
        self.assertIsNone(copied.wire)
        self.assertEqual(pht_oci.gc(self.path / "copy").removed, pht_oci.Removed(blobs=0, bytes=0))
        valid = pht_oci.validate(self.image("copy"), master="scratch")
        self.assertTrue(valid.valid)
        with self.assertRaises(pht_oci.Refused) as refused:
            pht_oci.validate(self.image("copy"), master=self.other_master())
        self.assertEqual(refused.exception.report["valid"], False)
        self.assertTrue(refused.exception.report["differences"])

    def other_master(self) -> str:
        """An image with a file that trains on the empty image do not have."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            member = tarfile.TarInfo("etc/os-release")
            member.size = 3
            tar.addfile(member, io.BytesIO(b"ID\n"))
        archive = self.path / "master.tar"
        with tarfile.open(archive, "w") as tar:
            config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' % (
                __import__("hashlib").sha256(layer.getvalue()).hexdigest().encode()
            )
            manifest = b'[{"Config":"config.json","RepoTags":["master:latest"],"Layers":["layer.tar"]}]'
            for name, data in {"layer.tar": layer.getvalue(), "config.json": config, "manifest.json": manifest}.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return f"docker-archive:{archive}"

    def test_a_passphrase_unlocks_a_key_and_shows_nowhere(self) -> None:
        secret = self.path / "secret"
        secret.write_text("open sesame\n")
        pair = pht_oci.keygen(self.path / "locked", bits=2048, passphrase_file=secret)
        self.assertTrue(pair.fingerprint.upper().startswith("SHA256:"))
        os.replace(self.path / "locked.pub.pem", self.path / "a.pub.pem")
        self.built()
        dest = self.image("work")
        for wrong in ({"passphrase": "open barley"}, {"passphrase": "open sesame", "station": "b"}):
            with self.assertRaises(pht_oci.KeyProblem) as error:
                pht_oci.pre_run(self.image(), dest, private_key=self.key("locked"), **wrong)  # type: ignore[arg-type]
            self.assertNotIn("sesame", str(error.exception))
        pht_oci.pre_run(self.image(), dest, private_key=self.key("locked"), passphrase="open sesame")

    def test_options_reach_the_program(self) -> None:
        self.built()
        offline = pht_oci.Options(offline=True, tmpdir=self.path, registry_timeout=5)
        with self.assertRaises(pht_oci.PhtOciError) as error:
            pht_oci.inspect("docker://registry.example/train", common=offline)
        self.assertIn("offline", str(error.exception))
        with self.assertRaises(pht_oci.WrongUsage):
            pht_oci.inspect(self.image(), common=pht_oci.Options(further=["--no-such-option"]))

    def test_a_login_lies_in_a_file_for_its_owner_alone(self) -> None:
        with pht_oci.auth_file({"harbor.example": ("robot$a", "secret:")}) as path:
            file = Path(path)
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)
            self.assertEqual(file.read_text(), '{"auths": {"harbor.example": {"auth": "cm9ib3QkYTpzZWNyZXQ6"}}}')
        self.assertFalse(file.exists())
        with self.assertRaises(ValueError):
            pht_oci.auth_file({"harbor.example": ("a:b", "")}).__enter__()


if __name__ == "__main__":
    unittest.main()
