"""The two halves of a stop, by `pht-oci pre-run` and `pht-oci post-run`."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import IO, Any, List, Mapping, Optional, Sequence, Tuple, Union

import pht_oci
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from train_lib.docker_util import _images
from train_lib.docker_util.docker_ops import extract_archive, files_from_archive
from train_lib.security._config import document, take_over
from train_lib.security.constants import TrainPaths
from train_lib.security.encryption import FileEncryptor
from train_lib.security.errors import BadSignature, Invalid, ValidationError, error_of
from train_lib.security.hashing import hash_immutable_files, hash_results
from train_lib.security.key_manager import KeyManager
from train_lib.security.train_config import HexString, Identifier, RouteEntry, StationSignature, TrainConfig

_CONFIG_PATH = str(TrainPaths.CONFIG_PATH.value)


class SecurityProtocol:
    """A station's view of a train."""

    def __init__(
        self,
        station_id: Identifier,
        config: Union[TrainConfig, Mapping[str, Any]],
        results_dir: Optional[str] = None,
        train_dir: Optional[str] = None,
        docker_client: Any = None,
    ) -> None:
        self.station_id = station_id
        self.config = config if isinstance(config, TrainConfig) else TrainConfig.parse_obj(config)
        self.route_stop = self._stop()
        self.key_manager = KeyManager(train_config=self.config)
        self.results_dir = results_dir
        self.train_dir = train_dir
        self.docker_client = docker_client

    def _stop(self) -> RouteEntry:
        for stop in self.config.route:
            if str(stop.station) == str(self.station_id):
                return stop
        raise ValidationError(f"the route of the train has no station {self.station_id!r}")

    def pre_run_protocol(
        self,
        img: Optional[str] = None,
        private_key_path: Optional[str] = None,
        private_key_password: Optional[str] = None,
        immutable_dir: str = "/opt/pht_train",
        mutable_dir: str = "/opt/pht_results",
    ) -> None:
        """Verifies the train and opens it, in its place.

        The config that this object was made with counts: the image is read as if that config were in it.
        """
        if (immutable_dir, mutable_dir) != (TrainPaths.IMMUTABLE_DIR.value, TrainPaths.RESULT_DIR.value):
            raise ValueError("a train has its files in /opt/pht_train and its results in /opt/pht_results")
        with _images.opened(_given(img), self.docker_client) as place:
            if document(self._config_in(place)) == document(self.config):
                self._stage(pht_oci.pre_run, place, place.source, place.base, private_key_path, private_key_password)
                return
            with _images.with_files(place, self._config_archive(), "/opt") as (changed, base):
                # Pre-run begins again from the closed image where one lies beside an open one, and that has not this config.
                self._check(changed)
                self._stage(pht_oci.pre_run, place, changed, base, private_key_path, private_key_password)

    def post_run_protocol(
        self,
        img: Optional[str] = None,
        private_key_path: Optional[str] = None,
        private_key_password: Optional[str] = None,
        rebase: bool = True,
    ) -> None:
        """Signs and encrypts the results, in their place, and brings the config of this object up to date.

        What the run changed elsewhere is always dropped, as with `rebase`: without that the image would carry plaintext.
        """
        with _images.opened(_given(img), self.docker_client) as place:
            if document(self._config_in(place)) != document(self.config):
                raise Invalid(
                    f"the train config that was given is not the one in {img}, which post-run signs; "
                    "read it from the opened image by extract_train_config"
                )
            new = self._stage(pht_oci.post_run, place, place.source, place.base, private_key_path, private_key_password)
        take_over(self.config, new)
        self.route_stop = self._stop()

    def _stage(
        self,
        stage: Any,
        place: _images.Place,
        source: str,
        base: Optional[str],
        private_key_path: Optional[str],
        private_key_password: Optional[str],
    ) -> TrainConfig:
        """Runs a stage; the config that the image has then."""
        try:
            with place.destination() as destination:
                # Who calls this means its place, an archive as well, and that is said.
                if destination is None:
                    destination = place.source
                stage(
                    source,
                    destination,
                    station=self.station_id,
                    private_key=private_key_path,
                    passphrase=private_key_password,
                    base=base,
                )
                return self._config_in(_images.Place(place.name, destination, None, place.work))
        except pht_oci.PhtOciError as error:
            raised = error_of(error, _failed_check(error, source))
            raise raised from (None if raised is error else error)

    @staticmethod
    def _check(source: str) -> None:
        try:
            pht_oci.verify(source)
        except pht_oci.PhtOciError as error:
            raise error_of(error, error.check if isinstance(error, pht_oci.Refused) else None) from error

    def _config_in(self, place: _images.Place) -> TrainConfig:
        try:
            return TrainConfig.parse_raw(place.file(_CONFIG_PATH))
        except pht_oci.PhtOciError as error:
            raise error_of(error) from error

    def _config_archive(self) -> io.BytesIO:
        archive = io.BytesIO()
        data = self.config.json(indent=2, by_alias=True).encode()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            member = tarfile.TarInfo("train_config.json")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        archive.seek(0)
        return archive

    # What follows are the steps of the protocol one by one, of wire 1.1.2 and 2.0, on files that the caller has.

    def _get_previous_station(self) -> RouteEntry:
        for stop in self.config.route:
            if stop.index == self.route_stop.index - 1:
                return stop
        raise ValidationError(f"the route of the train has no stop before station {self.station_id!r}")

    def extract_immutable_files(
        self,
        img: str,
        directory: str,
        symmetric_key: Optional[bytes] = None,
        query: Optional[bytes] = None,
        decrypt: bool = True,
    ) -> Tuple[Sequence[IO[bytes]], List[str], Optional[bytes]]:
        """The train's files but for the query, their names, and the query."""
        files, names = files_from_archive(extract_archive(img, directory))
        if query:
            where = names.index("query.json")
            del files[where], names[where]
        if not decrypt:
            return files, names, query
        if not symmetric_key:
            raise ValueError("without the symmetric key the files cannot be decrypted")
        opened, query = self.decrypt_immutable_files(files, symmetric_key, query)
        return opened, names, query

    def encrypt_immutable_files(
        self, files: Sequence[IO[bytes]], symmetric_key: bytes, query: Optional[bytes] = None
    ) -> Tuple[List[io.BytesIO], Optional[bytes]]:
        """Ciphertexts of the files and of the query."""
        encryptor = FileEncryptor(symmetric_key)
        return encryptor.encrypt_files(files, binary_files=True) or [], encryptor.encrypt(query) if query else None

    def decrypt_immutable_files(
        self, immutable_files: Sequence[IO[bytes]], symmetric_key: bytes, query: Optional[bytes] = None
    ) -> Tuple[List[io.BytesIO], Optional[bytes]]:
        """Plaintexts of the files and of the query."""
        encryptor = FileEncryptor(symmetric_key)
        return (
            encryptor.decrypt_files(immutable_files, binary_files=True) or [],
            encryptor.decrypt(query) if query else None,
        )

    def validate_immutable_files(
        self,
        files: Sequence[IO[bytes]],
        ordered_file_list: Optional[Sequence[str]] = None,
        immutable_file_names: Optional[List[str]] = None,
        query: Optional[bytes] = None,
    ) -> None:
        """Raises unless the files are those that the creator has signed."""
        found = hash_immutable_files(
            immutable_files=files,
            user_id=str(self.config.creator.id),
            session_id=bytes.fromhex(self.config.session_id),
            binary_files=True,
            ordered_file_list=ordered_file_list,
            immutable_file_names=immutable_file_names,
            query=query,
        )
        if found.hex() != (self.config.hash or "").lower():
            raise Invalid("the train's files have changed", "immutable-hash")
        creator = self.key_manager.load_public_key(self.config.creator.rsa_public_key)
        try:
            creator.verify(bytes.fromhex(self.config.signature or ""), found, padding.PKCS1v15(), hashes.SHA512())
        except InvalidSignature:
            raise BadSignature("the creator's signature does not hold", "creator-signature") from None
        self.validate_build_signature(found.hex())

    def validate_build_signature(self, immutable_file_hash: str) -> None:
        """Raises unless the builder has signed hash and creator's signature; wire 1.1 has no builder."""
        build = self.config.build
        if build is None:
            return
        signed = bytes.fromhex(immutable_file_hash) + bytes.fromhex(self.config.signature or "")
        builder = self.key_manager.load_public_key(build.rsa_public_key or "")
        try:
            builder.verify(bytes.fromhex(build.signature), signed, padding.PKCS1v15(), hashes.SHA512())
        except InvalidSignature:
            raise Invalid("the builder's signature does not hold", "build-signature") from None

    def validate_previous_results(self, files: Sequence[IO[bytes]]) -> None:
        """Raises unless the results are those that the station before has signed."""
        found = hash_results(files, session_id=bytes.fromhex(self.config.session_id), binary_files=True)
        if found.hex() != (self.config.result_hash or "").lower():
            raise Invalid("the results of the station before have changed", "results")
        self._verify(self._get_previous_station(), self.config.result_signature or "", found, "result-signature")

    def verify_digital_signature(self) -> None:
        """Raises unless every stop before this one has signed its digest."""
        for stop in self._earlier():
            if stop.signature is None:
                raise Invalid(f"station {stop.station!r} has not signed", "stop-signature")
            self._verify(stop, stop.signature.signature, bytes.fromhex(stop.signature.digest), "stop-signature")

    def sign_digital_signature(self, sk: RSAPrivateKey) -> None:
        """Signs the results, and with them what the stops before have signed."""
        earlier = [bytes.fromhex(stop.signature.digest) for stop in self._earlier() if stop.signature]
        if len(earlier) != len(self._earlier()):
            raise Invalid("a station before this one has not signed", "stop-signature")
        signed = b"".join(earlier) or bytes.fromhex(self.config.session_id)
        digest = hashlib.sha512(signed + bytes.fromhex(self.config.result_hash or "")).digest()
        signature = sk.sign(digest, _pss(), utils.Prehashed(hashes.SHA512()))
        self.route_stop.signature = StationSignature(
            digest=HexString(digest.hex()), signature=HexString(signature.hex())
        )
        self.config.route = sorted(self.config.route, key=lambda stop: stop.index)
        self.route_stop = self._stop()

    def _earlier(self) -> List[RouteEntry]:
        route = sorted(self.config.route, key=lambda stop: stop.index)
        return [stop for stop in route if stop.index < self.route_stop.index]

    def _verify(self, stop: RouteEntry, signature: str, digest: bytes, check: str) -> None:
        key = self.key_manager.load_public_key(stop.rsa_public_key)
        try:
            key.verify(bytes.fromhex(signature), digest, _pss(), utils.Prehashed(hashes.SHA512()))
        except InvalidSignature:
            raise Invalid(f"the signature of station {stop.station!r} does not hold", check) from None


def _pss() -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=padding.PSS.MAX_LENGTH)


def _given(img: Optional[str]) -> str:
    if img is None:
        raise TypeError("the protocol needs the name of an image")
    return img


def _failed_check(error: pht_oci.PhtOciError, source: str) -> Optional[str]:
    """The id of the check that failed. Where the program does not say, `verify` does, of those that need no key."""
    if not isinstance(error, pht_oci.Refused):
        return None
    if error.check is not None:
        return error.check
    try:
        pht_oci.verify(source)
    except pht_oci.Refused as refused:
        return refused.check
    except pht_oci.PhtOciError:
        pass
    return None
