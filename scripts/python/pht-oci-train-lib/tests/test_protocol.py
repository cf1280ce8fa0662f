"""The journeys of the reference's protocol tests, and more, on layouts and archives without a daemon."""

from __future__ import annotations

import os
import unittest

import pht_oci
from cryptography.exceptions import InvalidSignature

from tests.yard import STATIONS, WIRES, Yard, archive
from train_lib.docker_util.docker_ops import (
    add_archive,
    extract_archive,
    extract_query_json,
    extract_train_config,
    files_from_archive,
)
from train_lib.security.errors import Invalid, UnfitKey, ValidationError
from train_lib.security.hashing import hash_results
from train_lib.security.protocol import SecurityProtocol
from train_lib.security.train_config import TrainConfig


class Journeys(Yard):
    def test_every_wire_version_travels(self) -> None:
        for wire in WIRES:
            with self.subTest(wire=wire):
                image = self.built(wire)
                for number, station in enumerate(STATIONS):
                    config = extract_train_config(image)
                    protocol = self.stop(image, station)
                    self.assertNotEqual(protocol.config, config)
                    after = extract_train_config(image)
                    self.assertEqual(protocol.config, after)
                    self.assertEqual([bool(stop.signature) for stop in after.route], [n <= number for n in range(3)])
                    self.assertEqual(bool(protocol.route_stop.signature), True)
                self.assertEqual(self.results(image), sorted(STATIONS))
                os.rename(self.path / "out", self.path / f"out-{wire}")

    def test_what_pre_run_opens_can_be_read(self) -> None:
        image = self.built()
        self.assertNotEqual(extract_query_json(image), (self.path / "query.json").read_bytes())
        self.pre_run(image, "station_1")
        self.assertEqual(extract_query_json(image), (self.path / "query.json").read_bytes())
        files, names = files_from_archive(extract_archive(image, "/opt/pht_train"))
        found = {name: file.read() for name, file in zip(names, files)}
        self.assertEqual(sorted(found), ["entrypoint.py", "lib/file_1.py", "query.json", "r_script.r"])
        self.assertEqual(found["entrypoint.py"], b"print('run')\n")

    def test_from_an_archive_into_a_layout_nothing_else_is_needed(self) -> None:
        image = self.built()
        packed = f"oci-archive:{self.path}/train.tar:latest"
        pht_oci.copy(image, packed)
        self.assertEqual(extract_train_config(packed), extract_train_config(image))
        self.stop(packed, "station_1")
        self.assertEqual(self.results(packed), ["station_1"])

    def test_a_key_with_a_passphrase(self) -> None:
        secret = self.path / "secret"
        secret.write_text("sesame\n")
        pht_oci.keygen(self.path / "locked", bits=2048, passphrase_file=secret)
        route = (self.path / "route.json").read_text()
        (self.path / "route.json").write_text(route.replace(f"{self.keys.name}/station_1", f"{self.path}/locked"))
        image = self.built()
        protocol = SecurityProtocol("station_1", extract_train_config(image))
        locked = str(self.path / "locked.pem")
        with self.assertRaises(UnfitKey):
            protocol.pre_run_protocol(image, locked, "barley")
        protocol.pre_run_protocol(image, locked, "sesame")
        protocol.post_run_protocol(image, locked, "sesame")

    def test_members_that_nobody_knows_survive(self) -> None:
        image = self.built()
        config = extract_train_config(image)
        config_text = extract_archive(image, "/opt/train_config.json").extractfile("train_config.json")
        assert config_text is not None
        changed = config_text.read().replace(b'"file_list"', b'"unknown": {"a": [null, 1]}, "file_list"', 1)
        add_archive(image, archive({"train_config.json": changed}), "/opt")
        self.stop(image, "station_1")
        self.assertIn('"unknown":{"a":[null,1]}', extract_train_config(image).json().replace(" ", ""))
        self.assertNotEqual(config, extract_train_config(image))


class Refusals(Yard):
    """Nothing of a refused train changes."""

    def refused(self, image: str, station: str, config: TrainConfig, kind: type = ValidationError, key: str = "") -> Exception:
        before = pht_oci.inspect(image).digest
        with self.assertRaises(kind) as raised:
            SecurityProtocol(station, config).pre_run_protocol(image, private_key_path=self.key(key or station))
        self.assertEqual(pht_oci.inspect(image).digest, before)
        return raised.exception

    def changed(self, image: str, **values: object) -> TrainConfig:
        config = extract_train_config(image)
        for name, value in values.items():
            setattr(config, name, value)
        return config

    def test_a_config_that_was_changed(self) -> None:
        image = self.built()
        self.refused(image, "station_1", self.changed(image, session_id=os.urandom(64).hex()))
        self.refused(image, "station_1", self.changed(image, file_list=["lib/file_1.py", "r_script.r", "query.json"]))
        for signature in (os.urandom(64).hex(), os.urandom(256).hex()):
            error = self.refused(image, "station_1", self.changed(image, signature=signature), InvalidSignature)
            self.assertIsInstance(error, ValidationError)
            self.assertIsInstance(error, ValueError)

    def test_a_file_that_was_changed(self) -> None:
        image = self.built()
        add_archive(image, archive({"r_script.r": os.urandom(6000)}), "/opt/pht_train")
        self.refused(image, "station_1", extract_train_config(image))

    def test_keys_and_stations_that_are_not_those_of_the_route(self) -> None:
        image = self.built()
        config = extract_train_config(image)
        self.refused(image, "station_1", config, ValueError, "user")
        self.refused(image, "station_1", config, UnfitKey, "station_2")
        with self.assertRaises(ValidationError):
            SecurityProtocol("station_9", config)

    def test_results_that_were_changed(self) -> None:
        image = self.built()
        self.stop(image, "station_1")
        closed = extract_train_config(image)
        wrong = {"result_hash": os.urandom(64).hex(), "result_signature": os.urandom(256).hex()}
        for name, value in wrong.items():
            # Of the wrong length it is malformed, of the right one it does not hold: both are refused in one way.
            for changed in (value, value[:104]):
                error = self.refused(image, "station_2", self.changed(image, **{name: changed}), ValidationError)
                self.assertIsInstance(error, ValueError)
        unsigned = self.changed(image)
        unsigned.route[0].signature = None
        self.refused(image, "station_2", unsigned)
        add_archive(image, archive({"station_1": os.urandom(64)}), "/opt/pht_results")
        self.assertIsInstance(self.refused(image, "station_2", closed), ValueError)

    def test_a_config_that_changes_between_the_stages(self) -> None:
        image = self.built()
        protocol = self.pre_run(image, "station_1")
        protocol.config.proposal_id = "another"
        with self.assertRaises(Invalid):
            protocol.post_run_protocol(image, self.key("station_1"))

    def test_what_is_no_train(self) -> None:
        image = self.built()
        config = extract_train_config(image)
        add_archive(image, archive({"train_config.json": b"{"}), "/opt")
        with self.assertRaises(ValueError):
            extract_train_config(image)
        with self.assertRaises(ValueError):
            SecurityProtocol("station_1", config).post_run_protocol(image, self.key("station_1"))
        with self.assertRaises(TypeError):
            SecurityProtocol("station_1", config).pre_run_protocol(private_key_path=self.key("station_1"))
        with self.assertRaises(ValueError):
            SecurityProtocol("station_1", config).pre_run_protocol(image, self.key("station_1"), mutable_dir="/opt/other")


class Steps(Yard):
    """The steps of the protocol one by one agree with the program."""

    def test_they_take_what_the_program_makes(self) -> None:
        image = self.built()
        for station in STATIONS[:2]:
            self.stop(image, station)
        protocol = SecurityProtocol("station_3", extract_train_config(image))
        self.assertEqual(protocol._get_previous_station().station, "station_2")
        protocol.verify_digital_signature()
        key = protocol.key_manager.decrypt_symmetric_key(protocol.route_stop.encrypted_key, self.key("station_3"))
        query = extract_query_json(image)
        files, names, query = protocol.extract_immutable_files(image, "/opt/pht_train", key, query)
        protocol.validate_immutable_files(files, protocol.config.file_list, names, query)
        results, _ = files_from_archive(extract_archive(image, "/opt/pht_results"))
        opened, _ = protocol.decrypt_immutable_files(results, key)
        protocol.validate_previous_results(opened)

        with self.assertRaises(ValidationError):
            protocol.validate_immutable_files(files, protocol.config.file_list, names, b"{}")
        with self.assertRaises(ValidationError):
            protocol.validate_previous_results(opened[:1])
        protocol.config.route[0].signature = protocol.config.route[1].signature
        with self.assertRaises(ValidationError):
            protocol.verify_digital_signature()
        protocol.config.signature = os.urandom(256).hex()  # type: ignore[assignment]
        with self.assertRaises(InvalidSignature):
            protocol.validate_immutable_files(files, protocol.config.file_list, names, query)
        with self.assertRaises(ValidationError):
            protocol.validate_build_signature(protocol.config.hash or "")

    def test_the_program_takes_what_they_sign(self) -> None:
        image = self.built()
        for station in STATIONS[:2]:
            self.stop(image, station)
        config = extract_train_config(image)
        protocol = SecurityProtocol("station_2", config)
        signed = config.copy(deep=True)
        protocol.sign_digital_signature(protocol.key_manager.load_private_key(key_path=self.key("station_2")))
        self.assertEqual(config.route[1].signature and config.route[1].signature.digest, signed.route[1].signature.digest)
        add_archive(image, archive({"train_config.json": config.json(by_alias=True).encode()}), "/opt")
        self.assertEqual([stop.signature for stop in pht_oci.verify(image).stops], ["sound", "sound", None])

    def test_the_hash_of_results_is_the_programs(self) -> None:
        image = self.built()
        protocol = self.pre_run(image, "station_1")
        self.run_train(image, {"b": b"2", "a": b"1"})
        files, _ = files_from_archive(extract_archive(image, "/opt/pht_results"))
        session = bytes.fromhex(protocol.config.session_id)
        protocol.post_run_protocol(image, self.key("station_1"))
        self.assertEqual(hash_results(files, session, True).hex(), protocol.config.result_hash)


if __name__ == "__main__":
    unittest.main()
