"""Files of images."""

from __future__ import annotations

import contextlib
import tarfile
from io import BytesIO
from typing import IO, Iterator, List, Optional, Tuple

import pht_oci

from train_lib.docker_util import _images
from train_lib.security.errors import Invalid
from train_lib.security.train_config import TrainConfig


def extract_train_config(img: str, config_path: str = "/opt/train_config.json") -> TrainConfig:
    """The train config of an image."""
    return TrainConfig.parse_raw(_file(img, config_path))


def extract_query_json(img: str, query_file_path: str = "/opt/pht_train/query.json") -> Optional[bytes]:
    """The query of a train as it stands in the image; None if there is none. A closed train of wire 2.0 has it encrypted."""
    try:
        return _file(img, query_file_path)
    except NothingThere:
        return None


def extract_archive(img: str, extract_path: str) -> tarfile.TarFile:
    """A file or directory of an image, as a tar archive whose names begin with the last part of the path."""
    with _images.opened(img) as place, _named(img, extract_path):
        return place.extract(extract_path)


def add_archive(img: str, archive: IO[bytes], path: str) -> None:
    """Puts the entries of a tar archive into an image, below the directory `path`, as one layer more."""
    with _images.opened(img) as place, _images.with_files(place, archive, path) as (changed, _):
        with place.destination() as destination:
            pht_oci.copy(changed, destination or place.source, allow_open=True)


def files_from_archive(tar_archive: tarfile.TarFile) -> Tuple[List[IO[bytes]], List[str]]:
    """The regular files of an archive, and their names without the first part."""
    members = _files(tar_archive)
    return [_open(tar_archive, member) for member in members], [member.name.partition("/")[2] for member in members]


def result_files_from_archive(
    tar_archive: tarfile.TarFile,
) -> Tuple[List[IO[bytes]], List[tarfile.TarInfo], List[tarfile.TarInfo]]:
    """The regular files of an archive, their members, and all members."""
    members = _files(tar_archive)
    return [_open(tar_archive, member) for member in members], members, tar_archive.getmembers()


def repository_from_image(img: str) -> str:
    """The name of an image without its tag."""
    return img if _images.is_direct(img) else _images.repository(img)


class NothingThere(Invalid):
    """The image has nothing at the path that was asked for."""


@contextlib.contextmanager
def _named(img: str, path: str) -> Iterator[None]:
    try:
        yield
    except pht_oci.WrongUsage as error:
        if any(place.rstrip("/") == path.rstrip("/") for place in error.where):
            raise NothingThere(f"{img} has nothing at {path}") from error
        raise


def _file(img: str, path: str) -> bytes:
    with _images.opened(img) as place, _named(img, path):
        return place.file(path)


def _files(tar_archive: tarfile.TarFile) -> List[tarfile.TarInfo]:
    return [member for member in tar_archive.getmembers() if member.isreg()]


def _open(tar_archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tar_archive.extractfile(member)
    return BytesIO() if file is None else file
