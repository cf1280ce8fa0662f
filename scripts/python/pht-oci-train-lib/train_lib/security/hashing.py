"""What creator and stations sign, of wire 1.1 and 2.0."""

from __future__ import annotations

import hashlib
from typing import IO, List, Optional, Sequence, Union


def hash_immutable_files(
    immutable_files: Union[Sequence[IO[bytes]], Sequence[str]],
    user_id: str,
    session_id: bytes,
    binary_files: bool = False,
    ordered_file_list: Optional[Sequence[str]] = None,
    immutable_file_names: Optional[List[str]] = None,
    query: Optional[bytes] = None,
) -> bytes:
    """SHA-512 of the creator's id, the files in the order of the file list, the session id, and the query.

    `query.json` stands at the end, whether it is among the files or given as `query`. Raises ValueError if a file of the
    list is missing.
    """
    digest = hashlib.sha512(str(user_id).encode())
    listed_query: Optional[bytes] = None
    if binary_files and immutable_file_names:
        for name in ordered_file_list or ():
            name = name[2:] if name.startswith("./") else name
            if name not in immutable_file_names:
                raise ValueError(f"the file {name!r} of the file list is missing")
            data = _read(immutable_files[immutable_file_names.index(name)])
            if name == "query.json":
                listed_query = data
            else:
                digest.update(data)
    else:
        # Open files stand in their order; of files on the disk the list has the paths.
        for file in immutable_files if binary_files or ordered_file_list is None else ordered_file_list:
            digest.update(_read(file))
    digest.update(session_id)
    for last in (listed_query, query):
        if last:
            digest.update(last)
    return digest.digest()


def hash_results(
    result_files: Union[Sequence[str], Sequence[IO[bytes]]], session_id: bytes, binary_files: bool = False
) -> bytes:
    """SHA-512 of the result files and the session id."""
    digest = hashlib.sha512()
    for file in result_files:
        digest.update(_read(file))
    digest.update(session_id)
    return digest.digest()


def _read(file: Union[str, IO[bytes]]) -> bytes:
    if isinstance(file, str):
        with open(file, "rb") as opened:
            return opened.read()
    if file.seekable():
        file.seek(0)
    return file.read()
