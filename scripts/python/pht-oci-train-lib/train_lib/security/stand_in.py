"""A train config for images that have none, where only files are compared."""

from __future__ import annotations

import json
import os

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def stand_in_config() -> bytes:
    """A config in the form of wire 1.1.2 that vouches for nothing: its key is thrown away, its signature random."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    public_key = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).hex()
    config = {
        "@id": "none",
        "source": {"type": "docker_repository", "address": "none"},
        "creator": {"id": "none", "rsa_public_key": public_key},
        "proposal_id": "none",
        "session_id": os.urandom(64).hex(),
        "route": [{"station": "none", "eco_system": "tue", "rsa_public_key": public_key, "index": 0}],
        "file_list": ["none"],
        "hash": os.urandom(64).hex(),
        "signature": os.urandom(256).hex(),
    }
    return json.dumps(config).encode()
