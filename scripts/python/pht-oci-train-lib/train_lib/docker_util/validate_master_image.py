"""Whether a train is its master image but for its own files."""

from __future__ import annotations

import io
import tarfile
from typing import Any, Iterable, List, Optional, Union

import pht_oci

from train_lib.docker_util import _images
from train_lib.security.errors import Invalid
from train_lib.security.stand_in import stand_in_config

#: What of an image is the train's.
OF_A_TRAIN = ("opt/pht_train", "opt/pht_results", "opt/train_config.json", "opt/user_sym_key.key")


def validate_train_image(
    master_image_name: Optional[str] = None,
    train_image_name: Optional[str] = None,
    path_exceptions: Optional[Iterable[Union[str, bytes]]] = None,
    docker_client: Any = None,
    num_cpus: int = 4,
    *,
    train_img: Optional[str] = None,
    master_image: Optional[str] = None,
) -> None:
    """Raises ValueError unless the train differs from its master image only where a train may.

    Versions before 2.0 took the train first: give their arguments by the names `train_img` and `master_image`.
    `path_exceptions` are paths in which anything may differ, besides those of every train. `num_cpus` is not needed.
    """
    master, train = master_image_name or master_image, train_image_name or train_img
    if master is None or train is None:
        raise TypeError("validate_train_image needs a master image and a train")
    exceptions = [path.decode() if isinstance(path, bytes) else path for path in path_exceptions or ()]
    with _images.both(master, train, docker_client) as (first, second):
        try:
            _validate(first, second, exceptions)
        except (pht_oci.NotATrain, pht_oci.WrongUsage) as error:
            raise Invalid(f"{train} cannot be held against {master}: {error}") from error


def _validate(master: _images.Place, train: _images.Place, exceptions: List[str]) -> None:
    try:
        found = pht_oci.validate(train.source, master=master.source)
        _check_descent(found, found.layers, found.digest, train)
        _check_removed(found, train, exceptions)
        return
    except pht_oci.Refused as refused:
        _check_differences(refused, exceptions)
        return
    except (pht_oci.NotATrain, pht_oci.WrongUsage):
        # Files are what is compared here, whether or not there is a train config that can be read.
        pass
    config = io.BytesIO()
    with tarfile.open(fileobj=config, mode="w") as tar:
        member = tarfile.TarInfo("train_config.json")
        data = stand_in_config()
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    config.seek(0)
    with _images.with_files(train, config, "/opt") as (changed, _):
        try:
            found = pht_oci.validate(changed, master=master.source)
        except pht_oci.Refused as refused:
            _check_differences(refused, exceptions)
            return
        _check_descent(found, None if found.layers is None else found.layers - 1, train.digest, train)
        _check_removed(found, train, exceptions)


def _check_descent(
    found: pht_oci.Validation, layers: Optional[int], digest: Optional[str], train: _images.Place
) -> None:
    """A train has a layer of its own: an image that ends among the layers of the other is that one's ancestor."""
    if layers is not None and found.common_layers == layers and digest != found.master.digest:
        raise Invalid(f"{train.name} has no layer besides those of the other image: it was not built on it")


def _check_removed(found: pht_oci.Validation, train: _images.Place, exceptions: List[str]) -> None:
    """A run may remove only what is the train's, be it something that the master image does not have.

    Docker puts `/.dockerenv` into each container: no image has it, and yet a layer tells that a run has removed it.
    """
    if train.archive is None or found.common_layers is None:
        return
    for path in _images.removed(*train.archive, found.common_layers):
        if not any(_is_below(path, allowed) for allowed in (*OF_A_TRAIN, *exceptions)):
            raise Invalid(f"{train.name} removes {path}, which is not one of a train's own files")


def _check_differences(refused: pht_oci.Refused, exceptions: List[str]) -> None:
    """Raises what was refused, unless all of it lies where anything may differ."""
    differences = refused.report.get("differences")
    if exceptions and isinstance(differences, list) and differences:
        left = [
            difference
            for difference in differences
            if difference.get("area") != "files"
            or not any(_is_below(difference.get("subject", ""), path) for path in exceptions)
        ]
        if not left:
            return
    raise Invalid(str(refused), check=refused.check) from refused


def _is_below(subject: str, path: str) -> bool:
    top = path.strip("/")
    return subject.strip("/") == top or subject.strip("/").startswith(f"{top}/")
