"""Where the program is found, what is handed to it, and what is made of its reports."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import pht_oci
from pht_oci import _program
from pht_oci._reports import read_report

PACKAGE = Path(pht_oci.__file__).parent


class Finding(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)

    def program(self, directory: str, text: str = "exit 0") -> str:
        (self.path / directory).mkdir()
        program = self.path / directory / "pht-oci"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        return str(program)

    def test_the_variable_then_the_package_then_the_path(self) -> None:
        packaged, in_path, named = (self.program(name) for name in ("packaged", "path", "named"))
        with mock.patch.object(_program, "_script_directories", return_value=[str(self.path / "packaged")]):
            with mock.patch.dict(os.environ, {"PATH": str(self.path / "path"), "PHT_OCI_BIN": named}):
                self.assertEqual(pht_oci.find_pht_oci_bin(), named)
                del os.environ["PHT_OCI_BIN"]
                self.assertEqual(pht_oci.find_pht_oci_bin(), packaged)
                os.unlink(packaged)
                self.assertEqual(pht_oci.find_pht_oci_bin(), in_path)
                os.unlink(in_path)
                with self.assertRaises(pht_oci.ProgramMissing):
                    pht_oci.find_pht_oci_bin()
                os.environ["PHT_OCI_BIN"] = in_path
                with self.assertRaises(pht_oci.ProgramMissing):
                    pht_oci.find_pht_oci_bin()

    def test_the_module_is_the_program(self) -> None:
        named = self.program("named", 'echo "$@"; exit 6')
        environment = {**os.environ, "PHT_OCI_BIN": named, "PYTHONPATH": str(PACKAGE.parent)}
        line = [sys.executable, "-m", "pht_oci", "inspect", "a b"]
        done = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (6, "inspect a b\n"))

    def test_newer_options_are_used_where_they_are(self) -> None:
        told = self.path / "told"
        report = '{"stage": "copy", "private_key": "", "public_key": "", "fingerprint": ""}'
        for name, known in (("older", ""), ("newer", "--allow-open and --no-passphrase")):
            of_help = f"if [ \"$2\" = --help ]; then echo '{known}'; exit; fi"
            named = self.program(name, f"{of_help}\necho \"$@\" > '{told}'\necho '{report}'")
            with mock.patch.dict(os.environ, {"PHT_OCI_BIN": named}):
                pht_oci.copy("a", "b", allow_open=True)
                self.assertEqual("--allow-open" in told.read_text(), name == "newer")
                pht_oci.keygen("x")
                self.assertEqual("--no-passphrase" in told.read_text(), name == "newer")
                pht_oci.copy("a", "b")
                self.assertNotIn("--allow-open", told.read_text())

    def test_what_a_train_is_told_is_on_no_command_line(self) -> None:
        report = '{"stage": "run"}'
        told = self.path / "told"
        named = self.program("named", f"echo \"$@\" > '{told}'; echo \"$TOKEN\" >> '{told}'; echo '{report}'")
        with mock.patch.dict(os.environ, {"PHT_OCI_BIN": named}):
            pht_oci.run("a", "b", engine="podman", env={"TOKEN": "secret", "PATH": "/x"}, volumes=["/a:/b", "/c:/d"])
        line, token = told.read_text().splitlines()
        self.assertEqual(
            line.split(" --format")[0],
            "run --engine=podman --volume=/a:/b --volume=/c:/d --env=TOKEN --env=PATH=/x a b",
        )
        self.assertEqual(token, "secret")


class Reading(unittest.TestCase):
    def test_members_that_are_new_are_kept_and_those_that_lack_are_told(self) -> None:
        document = {"removed": {"blobs": 2, "bytes": 3, "seconds": 4}, "new": [1]}
        found = read_report(pht_oci.Collection, json.dumps(document).encode())
        self.assertEqual(found.removed, pht_oci.Removed(blobs=2, bytes=3))
        self.assertEqual(found.raw, document)
        for wrong in ("", "[]", "{}", '{"removed": null}', '{"removed": {"blobs": 1}}'):
            with self.assertRaises(pht_oci.Failed, msg=wrong):
                read_report(pht_oci.Collection, wrong.encode())
        with self.assertRaises(pht_oci.Failed):
            read_report(pht_oci.Report, b'{"stage": "build", "checks": {}}')


class Source(unittest.TestCase):
    def test_it_is_python_3_9(self) -> None:
        files = sorted(PACKAGE.glob("*.py"))
        self.assertGreater(len(files), 4)
        for file in files:
            ast.parse(file.read_text(), feature_version=(3, 9))

    def test_it_needs_nothing_but_python(self) -> None:
        text = "import sys; sys.modules['site'] = None; import pht_oci; print(pht_oci.__name__)"
        line = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); {text}"]
        self.assertEqual(subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout, "pht_oci\n")

    def test_the_program_says_its_version(self) -> None:
        self.assertRegex(pht_oci.version(), r"^[0-9]+\.[0-9]+\.[0-9]+")


if __name__ == "__main__":
    unittest.main()
