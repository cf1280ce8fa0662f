"""Logins of registries in a file, where no list of processes and no log shows them."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import tempfile
from typing import Iterator, Mapping, Optional, Tuple


@contextlib.contextmanager
def auth_file(logins: Mapping[str, Tuple[str, str]], directory: Optional[str] = None) -> Iterator[str]:
    """A credentials file of mode 0600 with a user name and a password for each registry; it goes away at the end.

        with auth_file({"harbor.example": (user, password)}) as file:
            pht_oci.copy("docker://harbor.example/station/train", "oci:./train", common=Options(authfile=file))
    """
    auths = {}
    for registry, (user, password) in logins.items():
        if ":" in user:
            raise ValueError(f"the user name for {registry} holds a colon, which ends it in a credentials file")
        auths[registry] = {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
    descriptor, path = tempfile.mkstemp(prefix="pht-auth-", suffix=".json", dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"auths": auths}, file)
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
