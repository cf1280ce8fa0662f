"""An exception for each exit status: from the program itself, and from a stand-in for what it does not do on demand."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import pht_oci
from tests.yard import Yard


class OfTheProgram(Yard):
    def test_a_refused_train_says_which_check(self) -> None:
        self.built("1.1.2")
        trust = self.path / "trust" / "creators"
        trust.mkdir(parents=True)
        shutil.copy(self.path / "builder.pub.pem", trust / "creator.pem")
        with self.assertRaises(pht_oci.Refused) as refused:
            pht_oci.verify(self.image(), trust=trust.parent)
        error = refused.exception
        self.assertEqual((error.status, error.worth_repeating, error.check), (3, False, "creator-key"))
        self.assertIn("creator", error.subject or "")
        self.assertGreater(len(error.checks), 3)

    def test_what_is_no_train_is_told_from_what_is_not_there(self) -> None:
        (self.path / "no-train").mkdir()
        (self.path / "no-train" / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (self.path / "no-train" / "index.json").write_text("{")
        with self.assertRaises(pht_oci.NotATrain) as malformed:
            pht_oci.inspect(self.path / "no-train")
        self.assertEqual(malformed.exception.kind, "malformed")
        self.assertTrue(malformed.exception.where)
        with self.assertRaises(pht_oci.WrongUsage):
            pht_oci.inspect(self.path / "nowhere")

    def test_a_key_of_nobody_is_a_key_problem(self) -> None:
        self.built()
        with self.assertRaises(pht_oci.KeyProblem) as error:
            pht_oci.pre_run(self.image(), private_key=self.key("creator"))
        self.assertIn("give the private key", error.exception.hint or "")

    def test_a_registry_that_is_down_is_worth_repeating(self) -> None:
        with self.assertRaises(pht_oci.RegistryDown) as error:
            pht_oci.inspect("docker://127.0.0.1:9/train", common=pht_oci.Options(src_tls_verify=False))
        self.assertTrue(error.exception.worth_repeating)


class OfAStandIn(unittest.TestCase):
    """A program that prints what it is told and ends as it is told."""

    def stand_in(self, status: int, stderr: str, stdout: str = "") -> pht_oci.PhtOciError:
        directory = Path(self.enter(tempfile.TemporaryDirectory()))
        (directory / "stdout").write_text(stdout)
        (directory / "stderr").write_text(stderr)
        program = directory / "pht-oci"
        ends = f"kill -{-status} $$" if status < 0 else f"exit {status}"
        program.write_text(f"#!/bin/sh\ncd '{directory}'\ncat stdout\ncat stderr >&2\n{ends}\n")
        program.chmod(0o755)
        with mock.patch.dict(os.environ, {"PHT_OCI_BIN": str(program)}):
            with self.assertRaises(pht_oci.PhtOciError) as raised:
                pht_oci.run("./train", engine="podman")
        return raised.exception

    def enter(self, context: "tempfile.TemporaryDirectory[str]") -> str:
        self.addCleanup(context.cleanup)
        return context.name

    def test_every_status_has_its_exception(self) -> None:
        kinds = {
            1: pht_oci.Failed,
            2: pht_oci.WrongUsage,
            3: pht_oci.Refused,
            4: pht_oci.KeyProblem,
            5: pht_oci.NotATrain,
            6: pht_oci.RegistryDown,
            7: pht_oci.DecisionNeeded,
            8: pht_oci.TrainFailed,
            130: pht_oci.Interrupted,
            99: pht_oci.PhtOciError,
            -9: pht_oci.Interrupted,
        }
        for status, kind in kinds.items():
            with self.subTest(status=status):
                error = self.stand_in(status, "something\n")
                self.assertIs(type(error), kind)
                self.assertEqual((error.status, error.message.endswith(": something")), (status, True))
                self.assertEqual(error.worth_repeating, status in (1, 6, 130, -9))

    def test_a_failed_train_has_its_status_and_log(self) -> None:
        train = {"exit_status": 7, "log": "train.run.log"}
        for status in (1, 8):
            error = self.stand_in(status, json.dumps({"error": {"message": "the train failed", "train": train}}))
            self.assertIsInstance(error, pht_oci.TrainFailed)
            assert isinstance(error, pht_oci.TrainFailed)
            self.assertEqual((error.train_status, error.log, error.worth_repeating), (7, "train.run.log", False))

    def test_a_check_in_the_error_comes_first_and_hints_are_told(self) -> None:
        told = {"message": "m", "hint": "do this", "check": "payload", "subject": "payload layer", "where": ["x", "y"]}
        error = self.stand_in(3, "a warning\n" + json.dumps({"error": told}) + "\n", '{"checks": [{"id": "other"}]}')
        assert isinstance(error, pht_oci.Refused)
        self.assertEqual((error.check, error.subject, error.where), ("payload", "payload layer", ("x", "y")))
        self.assertEqual(str(error), "m (do this)")


if __name__ == "__main__":
    unittest.main()
