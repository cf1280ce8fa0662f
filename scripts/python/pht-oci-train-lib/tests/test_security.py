"""Configs, files and hashes, and sums under a Paillier key."""

from __future__ import annotations

import json
import math
import os
import tempfile
import unittest
from io import BytesIO
from pathlib import Path
from unittest import mock

import pht_oci

from tests.yard import Yard
from train_lib.docker_util.docker_ops import extract_train_config
from train_lib.security import HomomorphicAddition, homomorphic_addition, primes
from train_lib.security.encryption import FileEncryptor
from train_lib.security.hashing import hash_immutable_files, hash_results
from train_lib.security.homomorphic_addition import secure_addition
from train_lib.security.key_manager import KeyManager
from train_lib.security.train_config import Ecosystem, HexString, TrainConfig


class Configs(Yard):
    def test_every_version_comes_back_as_it_was(self) -> None:
        for wire in ("1.1.1", "1.1.2", "2.0", "3"):
            with self.subTest(wire=wire):
                image = self.built(wire)
                text = pht_oci.extract(image, "/opt/train_config.json")
                config = extract_train_config(image)
                again = json.loads(config.json(indent=2, by_alias=True))
                self.assertEqual(without_null(again), without_null(json.loads(text)))
                self.assertEqual(TrainConfig(**config.dict(by_alias=True)), config)
                self.assertEqual(TrainConfig.parse_obj(json.loads(text)), config)
                self.assertIs(config.route[0].eco_system, Ecosystem.TUE)

    def test_numbers_and_texts_stay_what_they_are(self) -> None:
        config = extract_train_config(self.built())
        config.proposal_id = 7
        config.route[0].station = "7"
        again = TrainConfig.parse_raw(config.json(by_alias=True))
        self.assertEqual((again.proposal_id, again.route[0].station), (7, "7"))
        copied = config.copy()
        copied.session_id = HexString("00")
        self.assertNotEqual(copied, config)

    def test_hexadecimal_digits(self) -> None:
        self.assertEqual(HexString.validate(b"\x01"), "01")
        self.assertEqual(HexString("ff").get_bytes(), b"\xff")
        for wrong in ("0", "xy", 1, None):
            with self.assertRaises(ValueError):
                HexString.validate(wrong)
        config = extract_train_config(self.built())
        with self.assertRaises(ValueError):
            config.session_id = "no hex"  # type: ignore[assignment]

    def test_a_key_manager_wraps_and_writes(self) -> None:
        config = extract_train_config(self.built())
        keys = KeyManager(config)
        symmetric = keys.generate_symmetric_key()
        wrapped = keys.generate_encrypted_keys(symmetric)
        self.assertEqual(keys.decrypt_symmetric_key(wrapped["station_2"], self.key("station_2")), symmetric)
        with self.assertRaises(ValueError):
            keys.decrypt_symmetric_key(wrapped["station_2"], self.key("station_1"))
        keys.save_config(str(self.path / "config.json"))
        file = keys.save_config(binary_file=True)
        self.assertEqual(file and file.read(), (self.path / "config.json").read_bytes())
        pem = Path(self.key("user")).read_bytes()
        with mock.patch.dict(os.environ, {"KEY": pem.hex()}):
            self.assertEqual(keys.load_private_key(env_key="KEY").key_size, 2048)
        for wrong in ({}, {"env_key": "KEY"}, {"env_key": "KEY", "key_path": "x"}):
            with self.assertRaises(ValueError):
                keys.load_private_key(**wrong)


def without_null(value: object) -> object:
    if isinstance(value, dict):
        return {name: without_null(member) for name, member in value.items() if member is not None}
    return [without_null(item) for item in value] if isinstance(value, list) else value


class Files(unittest.TestCase):
    def test_open_files_and_paths(self) -> None:
        encryptor = FileEncryptor(os.urandom(32))
        files = [BytesIO(b"one"), BytesIO(b"")]
        closed = encryptor.encrypt_files(files, binary_files=True)
        assert closed is not None
        self.assertEqual(len({file.getvalue()[:16] for file in closed}), 2, "each file has its own vector")
        opened = encryptor.decrypt_files(closed, binary_files=True)
        self.assertEqual([file.read() for file in opened or []], [b"one", b""])
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "file"
            path.write_bytes(b"data")
            self.assertIsNone(encryptor.encrypt_files([str(path)]))
            self.assertEqual(encryptor.decrypt(path.read_bytes()), b"data")
            encryptor.decrypt_files([str(path)])
            self.assertEqual(path.read_bytes(), b"data")

    def test_hashes(self) -> None:
        files = {"a": b"1", "query.json": b"{}", "b": b"2"}
        given = {"immutable_files": [BytesIO(data) for data in files.values()], "binary_files": True}
        names = {"immutable_file_names": list(files), "ordered_file_list": ["./b", "query.json", "a"]}
        found = hash_immutable_files(user_id="u", session_id=b"s", **given, **names)  # type: ignore[arg-type]
        import hashlib

        self.assertEqual(found, hashlib.sha512(b"u21s{}").digest())
        names["ordered_file_list"].append("c")
        with self.assertRaises(ValueError):
            hash_immutable_files(user_id="u", session_id=b"s", **given, **names)  # type: ignore[arg-type]
        self.assertEqual(hash_results([BytesIO(b"1")], b"s", True), hashlib.sha512(b"1s").digest())


class Sums(unittest.TestCase):
    """A Paillier key with a generator of its own, as the desktop client makes it."""

    @classmethod
    def setUpClass(cls) -> None:
        p, q = primes.generate_prime(1024, 8), primes.generate_prime(1024, 8)
        while (p * q).bit_length() < 2048:
            q = primes.generate_prime(1024, 8)
        cls.n, cls.secret = p * q, math.lcm(p - 1, q - 1)
        cls.g = pow(1 + cls.n, 5, cls.n**2) * pow(3, cls.n, cls.n**2) % cls.n**2

    def decrypt(self, number: int, g: int) -> int:
        square = self.n**2
        of_g = (pow(g, self.secret, square) - 1) // self.n
        return (pow(number, self.secret, square) - 1) // self.n * pow(of_g, -1, self.n) % self.n

    def test_three_stations(self) -> None:
        for g in (self.g, self.n + 1):
            total = None
            for number in (40, 0, 2):
                total = secure_addition(number, total, self.n, g)
            self.assertEqual(self.decrypt(total or 0, g), 42)
        self.assertEqual(self.decrypt(secure_addition(2, str(total), str(self.n), str(g)), g), 44)
        self.assertEqual(self.decrypt(secure_addition(-1, secure_addition(3, None, self.n, g), self.n, g), g), 2)
        self.assertEqual(self.decrypt(HomomorphicAddition.secure_addition(7, None, self.n), self.n + 1), 7)

    def test_the_same_number_never_looks_the_same(self) -> None:
        self.assertNotEqual(secure_addition(1, None, self.n, self.g), secure_addition(1, None, self.n, self.g))

    def test_another_implementation_agrees(self) -> None:
        try:
            from phe import paillier
        except ImportError:
            self.skipTest("the package phe is not here")
        public, private = paillier.generate_paillier_keypair(n_length=2048)
        total = secure_addition(12, secure_addition(30, None, public.n, public.g), public.n, public.g)
        self.assertEqual(private.raw_decrypt(total), 42)
        self.assertEqual(private.raw_decrypt(secure_addition(2, public.raw_encrypt(40), public.n, public.g)), 42)

    def test_what_is_no_key_no_number_and_no_sum(self) -> None:
        n, g, square = self.n, self.g, self.n**2
        wrong = [
            (1, None, None, None),
            (1, None, n, None),
            (1, None, n >> 1 | 1, g),
            (1, None, n + 1, g),
            (1, None, n, 1),
            (1, None, n, square - 1),
            (1, None, n, n),
            (1, 0, n, g),
            (1, n, n, g),
            (1, square + 1, n, g),
            (n, None, n, g),
        ]
        for arguments in wrong:
            with self.subTest(arguments=[str(argument)[:20] for argument in arguments]):
                with self.assertRaises(ValueError):
                    secure_addition(*arguments)
        for number in (1.5, "1", None):
            with self.assertRaises(TypeError):
                secure_addition(number, None, n, g)  # type: ignore[arg-type]

    def test_a_short_key_only_if_told(self) -> None:
        n = 1009 * 1013
        with self.assertRaises(ValueError) as error:
            secure_addition(1, None, n, n + 1)
        self.assertIn("20 bits", str(error.exception))
        self.assertTrue(secure_addition(1, None, n, n + 1, allow_short=True))
        with mock.patch.dict(os.environ, {homomorphic_addition.ALLOW_SHORT: "1"}):
            self.assertTrue(secure_addition(1, None, n, n + 1))
        with mock.patch.dict(os.environ, {homomorphic_addition.ALLOW_SHORT: "no"}), self.assertRaises(ValueError):
            secure_addition(1, None, n, n + 1)

    def test_primes(self) -> None:
        small = [number for number in range(2, 2000) if primes.is_probably_prime(number)]
        self.assertEqual(small, [n for n in range(2, 2000) if all(n % d for d in range(2, math.isqrt(n) + 1))])
        for carmichael in (561, 41041, 825265, 321197185):
            self.assertFalse(primes.is_probably_prime(carmichael))
        self.assertEqual(primes.generate_prime(64).bit_length(), 64)
        with self.assertRaises(ValueError):
            primes.generate_prime(7)


if __name__ == "__main__":
    unittest.main()
