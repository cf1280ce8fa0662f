"""Keys of a train: RSA keys of its parties, and the symmetric key of a stage."""

from __future__ import annotations

import os
from io import BytesIO
from typing import Dict, Optional

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from train_lib.security.train_config import Identifier, TrainConfig

SYMMETRIC_KEY_LENGTH = 32


def oaep() -> padding.OAEP:
    """How symmetric keys are wrapped."""
    return padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA512()), algorithm=hashes.SHA512(), label=None)


class KeyManager:
    """The keys of one train."""

    def __init__(self, train_config: TrainConfig) -> None:
        self.config = train_config

    def save_config(self, path: Optional[str] = None, binary_file: bool = False) -> Optional[BytesIO]:
        """Writes the config to a file, or gives it as one."""
        text = self.config.json(indent=2, by_alias=True)
        if binary_file:
            return BytesIO(text.encode("utf-8"))
        if path is None:
            raise ValueError("save_config needs a path, or binary_file=True")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return None

    @staticmethod
    def generate_symmetric_key() -> bytes:
        """A new key for AES-256."""
        return os.urandom(SYMMETRIC_KEY_LENGTH)

    def decrypt_symmetric_key(
        self,
        encrypted_key: Optional[str],
        private_key_path: str,
        private_key_password: Optional[str] = None,
    ) -> bytes:
        """The symmetric key that is wrapped for the owner of the private key."""
        if not encrypted_key:
            raise ValueError("the train config has no encrypted_key for this station")
        private_key = self.load_private_key(key_path=private_key_path, password=private_key_password)
        return private_key.decrypt(bytes.fromhex(encrypted_key), oaep())

    def generate_encrypted_keys(self, symmetric_key: bytes) -> Dict[Identifier, str]:
        """The symmetric key, wrapped for each station of the route."""
        return {stop.station: self.encrypt_symmetric_key(symmetric_key, stop.rsa_public_key) for stop in self.config.route}

    def encrypt_symmetric_key(self, sym_key: bytes, public_key_hex: str) -> str:
        """The symmetric key, wrapped for the owner of the public key."""
        return self.load_public_key(public_key_hex).encrypt(sym_key, oaep()).hex()

    @staticmethod
    def load_private_key(
        env_key: Optional[str] = None, key_path: Optional[str] = None, password: Optional[str] = None
    ) -> RSAPrivateKey:
        """The private key in a file, or as hex in an environment variable."""
        if env_key and key_path:
            raise ValueError("load_private_key takes an environment variable or a file, not both")
        if env_key:
            text = os.environ.get(env_key)
            if text is None:
                raise ValueError(f"the environment variable {env_key}, for the private key, is not set")
            pem = bytes.fromhex(text)
        elif key_path:
            with open(key_path, "rb") as file:
                pem = file.read()
        else:
            raise ValueError("load_private_key needs an environment variable or a file")
        key = serialization.load_pem_private_key(pem, password.encode() if password else None)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("the private key is not one of RSA")
        return key

    @staticmethod
    def load_public_key(key: str) -> RSAPublicKey:
        """A public key of the train config."""
        public_key = serialization.load_pem_public_key(bytes.fromhex(key))
        if not isinstance(public_key, RSAPublicKey):
            raise ValueError("the public key is not one of RSA")
        return public_key
