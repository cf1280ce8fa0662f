"""Files of images, the names of images, and trains held against their master images."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import unittest
from typing import Dict

import pht_oci

from tests.yard import Yard, archive
from train_lib.docker_util import _images
from train_lib.docker_util.docker_ops import (
    NothingThere,
    add_archive,
    extract_archive,
    extract_query_json,
    extract_train_config,
    files_from_archive,
    repository_from_image,
    result_files_from_archive,
)
from train_lib.docker_util.validate_master_image import validate_train_image

LONG = "d" * 90 + "/" + "f" * 90


class Names(unittest.TestCase):
    def test_what_the_program_reads_itself(self) -> None:
        for name in ("oci:x:y", "oci-archive:x", "docker-archive:x", "dir:x", "docker://host/x", "./x", "../x", "/x", "~/x"):
            self.assertTrue(_images.is_direct(name), name)
        for name in ("sp-test", "sp-test:latest", "harbor.example/a/b", "localhost:5000/a:b", "docker-daemon:a", "dir/a"):
            self.assertFalse(_images.is_direct(name), name)

    def test_without_a_tag_it_is_latest(self) -> None:
        tagged = {
            "sp-test": "sp-test:latest",
            "sp-test:base": "sp-test:base",
            "localhost:5000/a/b": "localhost:5000/a/b:latest",
            "localhost:5000/a/b:c": "localhost:5000/a/b:c",
            "a/b@sha256:00": "a/b@sha256:00",
        }
        for name, expected in tagged.items():
            self.assertEqual(_images.with_tag(name), expected)
        for name, expected in {"a:b": "a", "h:5/a": "h:5/a", "h:5/a:b": "h:5/a", "h/a@sha256:0": "h/a"}.items():
            self.assertEqual(repository_from_image(name), expected)


class Files(Yard):
    def test_an_archive_has_dockers_names(self) -> None:
        image = self.built("1.1.2")
        content = {LONG: b"long", "x.tar": archive({"opt/pht_results/x.tar/inner": b"1"}).getvalue(), "empty": b""}
        add_archive(image, self.with_links(content), "/opt/pht_results")
        with extract_archive(image, "/opt/pht_results/") as tar:
            found = {member.name: member for member in tar.getmembers()}
            self.assertEqual(found["pht_results/hard"].linkname, f"pht_results/{LONG}")
            self.assertEqual(found["pht_results/soft"].linkname, "empty")
            files, names = files_from_archive(tar)
            read = {name: file.read() for name, file in zip(names, files)}
            self.assertEqual(read, content)
            again, members, everything = result_files_from_archive(tar)
            self.assertEqual((len(again), len(members)), (len(files), len(files)))
            self.assertGreater(len(everything), len(members))

    def with_links(self, content: Dict[str, bytes]) -> io.BytesIO:
        out = archive(content)
        with tarfile.open(fileobj=out, mode="a") as tar:
            for name, kind, to in (("hard", tarfile.LNKTYPE, LONG), ("soft", tarfile.SYMTYPE, "empty")):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, to
                tar.addfile(member)
        out.seek(0)
        return out

    def test_a_file_that_is_an_archive_is_a_file(self) -> None:
        image = self.built("1.1.2")
        data = archive({"opt/pht_results/x.tar/inner": b"1"}).getvalue()
        add_archive(image, archive({"x.tar": data}), "/opt/pht_results")
        with extract_archive(image, "/opt/pht_results/x.tar") as tar:
            self.assertEqual(tar.getnames(), ["x.tar"])
            file = tar.extractfile("x.tar")
            self.assertEqual(file and file.read(), data)

    def test_what_is_not_there(self) -> None:
        image = self.built()
        with self.assertRaises(NothingThere):
            extract_archive(image, "/opt/nothing")
        with self.assertRaises(NothingThere):
            extract_train_config(image, "/opt/nothing.json")
        self.assertIsNone(extract_query_json(image, "/opt/pht_train/no-query.json"))
        with self.assertRaises(pht_oci.WrongUsage):
            extract_query_json(f"oci:{self.path}/no-layout:latest")
        with self.assertRaises(ValueError):
            extract_query_json(image, "/opt/pht_train")

    def test_an_archive_stays_below_its_directory(self) -> None:
        image = self.built()
        for name in ("../x", "a/../../x"):
            with self.assertRaises(ValueError):
                add_archive(image, archive({name: b""}), "/opt/pht_results")
        add_archive(image, archive({"./a/b": b"1", "/c": b"2"}), "/opt/pht_results")
        with extract_archive(image, "/opt/pht_results") as tar:
            self.assertLessEqual({"pht_results/a/b", "pht_results/c"}, set(tar.getnames()))

    def test_without_a_daemon_its_images_are_not_there(self) -> None:
        with self.assertRaises(OSError) as error:
            extract_train_config("sp-test")
        self.assertIn("no-daemon", str(error.exception))
        del os.environ["DOCKER_HOST"]
        if not any(os.path.exists(path) for path in ("/var/run/docker.sock", "/run/podman/podman.sock")):
            with self.assertRaises(OSError) as error:
                extract_train_config("sp-test")
            self.assertIn("oci:DIR:TAG", str(error.exception))


class Masters(Yard):
    """The comparisons of the reference's validation test."""

    def setUp(self) -> None:
        super().setUp()
        self.master = self.imported({"bin/sh": b"#!", "etc/conf": b"1"}, "master")
        self.train = self.built("2.0", self.master)

    def imported(self, files: Dict[str, bytes], name: str) -> str:
        """An image with these files."""
        layer = archive(files).getvalue()
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
        manifest = [{"Config": "config.json", "RepoTags": [f"{name}:latest"], "Layers": ["layer.tar"]}]
        whole = {
            "layer.tar": layer,
            "config.json": json.dumps(config).encode(),
            "manifest.json": json.dumps(manifest).encode(),
        }
        (self.path / f"{name}.tar").write_bytes(archive(whole).getvalue())
        image = f"oci:{self.path}/{name}:latest"
        pht_oci.copy(f"docker-archive:{self.path}/{name}.tar", image, common=pht_oci.Options(platform="linux/amd64"))
        return image

    def refused(self, master: str, train: str, **options: object) -> None:
        with self.assertRaises(ValueError):
            validate_train_image(master, train, **options)  # type: ignore[arg-type]

    def test_a_train_and_what_it_may_change(self) -> None:
        validate_train_image(self.master, self.train)
        validate_train_image(train_img=self.train, master_image=self.master)
        validate_train_image(master_image_name=self.master, train_image_name=self.train, num_cpus=1)
        with self.assertRaises(TypeError):
            validate_train_image(self.master)
        for name, data in {"pht_results/file": b"", "train_config.json": b"{.", "user_sym_key.key": b"1"}.items():
            with self.subTest(changed=name):
                add_archive(self.train, archive({name: data}), "/opt")
                validate_train_image(self.master, self.train)

    def test_no_config_is_needed(self) -> None:
        add_archive(self.train, archive({".wh.train_config.json": b""}), "/opt")
        validate_train_image(self.master, self.train)
        validate_train_image(self.master, self.master)

    def test_what_is_not_its_own(self) -> None:
        self.refused(self.master, self.imported({"hello": b"1"}, "other"))
        self.refused(self.train, self.master)
        for name in ("opt/file", "etc/conf", "etc/.wh.conf", ".dockerenv"):
            with self.subTest(changed=name):
                train = self.built("2.0", self.master)
                add_archive(train, archive({name: b"2"}), "/")
                self.refused(self.master, train)
                self.refused(self.master, train, path_exceptions=[b"opt/file/below", "et"])
                validate_train_image(self.master, train, path_exceptions=[b"opt/file", "etc", ".dockerenv"])


if __name__ == "__main__":
    unittest.main()
