"""A function for each command of the program.

Images are named as on the command line: `oci:DIR[:TAG]`, `oci-archive:FILE`, `docker-archive:FILE[:NAME]`, `dir:DIR`,
`docker://HOST/REPO[:TAG]` or a path. Each function returns the report of the command, and raises one of the exceptions of
this package if the program ends with a status other than 0.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, Dict, Iterable, List, Mapping, Optional, Sequence, Union

from ._program import PathLike, call, knows
from ._reports import Collection, Inspection, KeyPair, Report, Validation, Verification, read_report

Argument = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Options:
    """What every command takes: places, registries, and options of the program that this package does not name."""

    platform: Optional[str] = None
    tmpdir: Optional[PathLike] = None
    no_wait: bool = False
    authfile: Optional[PathLike] = None
    src_tls_verify: bool = True
    dest_tls_verify: bool = True
    src_cert_dir: Optional[PathLike] = None
    dest_cert_dir: Optional[PathLike] = None
    offline: bool = False
    #: In seconds.
    registry_timeout: Optional[int] = None
    #: Further options, word for word.
    further: Sequence[str] = ()

    def line(self) -> List[Argument]:
        """The options as they stand on the command line."""
        line = _options(
            platform=self.platform,
            tmpdir=self.tmpdir,
            no_wait=self.no_wait,
            authfile=self.authfile,
            src_cert_dir=self.src_cert_dir,
            dest_cert_dir=self.dest_cert_dir,
            offline=self.offline,
            registry_timeout=self.registry_timeout,
        )
        line += [] if self.src_tls_verify else ["--src-tls-verify=false"]
        line += [] if self.dest_tls_verify else ["--dest-tls-verify=false"]
        return [*line, *self.further]


_Value = Union[None, bool, int, str, "os.PathLike[str]", Iterable[str]]


def _options(**values: _Value) -> List[Argument]:
    """Options by their names; what is None, False or empty is left out, and a list repeats its option.

    The value is one word with the option's name, so that it may begin with a dash.
    """
    line: List[Argument] = []
    for name, value in values.items():
        option = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            line.append(option)
        elif isinstance(value, (str, int, os.PathLike)):
            line.append(f"{option}={os.fspath(value) if isinstance(value, os.PathLike) else value}")
        else:
            line += [f"{option}={item}" for item in value]
    return line


def _run(
    command: str,
    places: Sequence[Optional[Argument]],
    line: Sequence[Argument],
    common: Optional[Options],
    *,
    passphrase: Optional[str] = None,
    last: Sequence[Argument] = (),
    stdout: Optional[IO[bytes]] = None,
) -> bytes:
    environment: Dict[str, str] = {} if passphrase is None else {"PRIVATE_KEY_PASSWORD": passphrase}
    there = [place for place in places if place is not None]
    options = [*(common or Options()).line(), *line]
    if last:
        # What follows `--cmd` is the train's command, so `call` cannot add its own options behind it.
        options = [*options, "--format", "json", "--quiet"]
    return call([command, *options, *there, *last], environment=environment, stdout=stdout, own_options=not last)


def keygen(
    name: PathLike,
    *,
    bits: Optional[int] = None,
    passphrase_file: Optional[PathLike] = None,
    common: Optional[Options] = None,
) -> KeyPair:
    """Makes a key pair, `name.pem` (mode 0600) and `name.pub.pem`; without a passphrase it is not encrypted."""
    line = _options(bits=bits, passphrase_file=passphrase_file)
    if passphrase_file is None and knows("keygen", "--no-passphrase"):
        # Nobody is asked at the terminal of a program that makes keys.
        line.append("--no-passphrase")
    return read_report(KeyPair, _run("keygen", [name], line, common))


def build(
    dest: Argument,
    *,
    base: Argument,
    files: PathLike,
    route: PathLike,
    creator: Union[str, int],
    creator_key: Optional[PathLike] = None,
    builder_key: Optional[PathLike] = None,
    query: Optional[PathLike] = None,
    wire: Optional[str] = None,
    train_id: Optional[str] = None,
    proposal: Union[str, int, None] = None,
    paillier_public_key: Optional[PathLike] = None,
    command: Sequence[str] = (),
    passphrase: Optional[str] = None,
    common: Optional[Options] = None,
) -> Report:
    """Builds a train from the master image `base` and the directory `files`; `command` runs it."""
    line = _options(
        base=base,
        files=files,
        route=route,
        creator=str(creator),
        creator_key=creator_key,
        builder_key=builder_key,
        query=query,
        wire=wire,
        id=train_id,
        proposal=None if proposal is None else str(proposal),
        paillier_public_key=paillier_public_key,
    )
    last = ["--cmd", *command] if command else []
    return read_report(Report, _run("build", [dest], line, common, passphrase=passphrase, last=last))


def inspect(src: Argument, *, common: Optional[Options] = None) -> Inspection:
    """The state of a train: wire version, route, who has signed, what comes next. Nothing is verified."""
    return read_report(Inspection, _run("inspect", [src], [], common))


def verify(
    src: Argument, *, trust: Optional[PathLike] = None, strict: bool = False, common: Optional[Options] = None
) -> Verification:
    """Every check that needs no private key. A check that is broken raises `Refused`, which has all rows in `checks`."""
    return read_report(Verification, _run("verify", [src], _options(trust=trust, strict=strict), common))


def validate(src: Argument, *, master: Optional[Argument] = None, common: Optional[Options] = None) -> Validation:
    """Holds a train against its master image. A difference raises `Refused`, which has them all in its `report`."""
    return read_report(Validation, _run("validate", [src], _options(master=master), common))


def pre_run(
    src: Argument,
    dest: Optional[Argument] = None,
    *,
    private_key: Optional[PathLike] = None,
    passphrase: Optional[str] = None,
    passphrase_file: Optional[PathLike] = None,
    station: Union[str, int, None] = None,
    trust: Optional[PathLike] = None,
    strict: bool = False,
    base: Optional[Argument] = None,
    results: Optional[PathLike] = None,
    keep_initial_results: bool = False,
    common: Optional[Options] = None,
) -> Report:
    """Before the run: verifies the train, decrypts the previous results; in place without `dest`."""
    line = _stage_options(private_key, passphrase_file, station, trust, strict, base)
    line += _options(results=results, keep_initial_results=keep_initial_results)
    return read_report(Report, _run("pre-run", [src, dest], line, common, passphrase=passphrase))


def post_run(
    src: Argument,
    dest: Optional[Argument] = None,
    *,
    private_key: Optional[PathLike] = None,
    passphrase: Optional[str] = None,
    passphrase_file: Optional[PathLike] = None,
    station: Union[str, int, None] = None,
    trust: Optional[PathLike] = None,
    strict: bool = False,
    base: Optional[Argument] = None,
    results: Optional[PathLike] = None,
    common: Optional[Options] = None,
) -> Report:
    """After the run: hashes, signs and encrypts the new results; in place without `dest`."""
    line = _stage_options(private_key, passphrase_file, station, trust, strict, base)
    line += _options(results=results)
    return read_report(Report, _run("post-run", [src, dest], line, common, passphrase=passphrase))


def run(
    src: Argument,
    dest: Optional[Argument] = None,
    *,
    engine: str,
    private_key: Optional[PathLike] = None,
    passphrase: Optional[str] = None,
    passphrase_file: Optional[PathLike] = None,
    station: Union[str, int, None] = None,
    trust: Optional[PathLike] = None,
    strict: bool = False,
    base: Optional[Argument] = None,
    volumes: Iterable[str] = (),
    env: Optional[Mapping[str, str]] = None,
    gpus: Optional[str] = None,
    timeout: Optional[str] = None,
    log: Optional[PathLike] = None,
    keep_initial_results: bool = False,
    common: Optional[Options] = None,
) -> Report:
    """A whole stop: pre-run, the train in a container without a network, post-run.

    The values of `env` are handed to the program in its environment, where the list of processes does not show them.
    A train that fails raises `TrainFailed`.
    """
    variables = dict(env or {})
    line = _stage_options(private_key, passphrase_file, station, trust, strict, base)
    line += _options(
        engine=engine,
        volume=list(volumes),
        gpus=gpus,
        timeout=timeout,
        log=log,
        keep_initial_results=keep_initial_results,
    )
    hidden, shown = _variables(variables)
    line += shown
    if passphrase is not None:
        hidden["PRIVATE_KEY_PASSWORD"] = passphrase
    there = [place for place in (src, dest) if place is not None]
    return read_report(Report, call(["run", *(common or Options()).line(), *line, *there], environment=hidden))


#: Variables that the program or what it starts acts on itself; a train's value must not become theirs.
_OF_THE_PROGRAM = frozenset(
    ("PATH", "HOME", "TMPDIR", "STATION_ID", "SOURCE_DATE_EPOCH", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "NO_COLOR")
)
_PREFIXES_OF_THE_PROGRAM = ("LD_", "PHT_", "PRIVATE_KEY_", "DOCKER_", "CONTAINER", "XDG_", "SSL_", "RUST_", "NO_PROXY")


def _variables(variables: Mapping[str, str]) -> "tuple[Dict[str, str], List[Argument]]":
    hidden: Dict[str, str] = {}
    line: List[Argument] = []
    for name, value in variables.items():
        upper = name.upper()
        own = upper in _OF_THE_PROGRAM or upper.startswith(_PREFIXES_OF_THE_PROGRAM) or upper.endswith("_PROXY")
        if own:
            line.append(f"--env={name}={value}")
        else:
            hidden[name] = value
            line.append(f"--env={name}")
    return hidden, line


def _stage_options(
    private_key: Optional[PathLike],
    passphrase_file: Optional[PathLike],
    station: Union[str, int, None],
    trust: Optional[PathLike],
    strict: bool,
    base: Optional[Argument],
) -> List[Argument]:
    return _options(
        private_key=private_key,
        passphrase_file=passphrase_file,
        station=None if station is None else str(station),
        trust=trust,
        strict=strict,
        base=base,
    )


def results(
    src: Argument,
    out: PathLike,
    *,
    private_key: Optional[PathLike] = None,
    passphrase: Optional[str] = None,
    passphrase_file: Optional[PathLike] = None,
    trust: Optional[PathLike] = None,
    strict: bool = False,
    paillier_key: Optional[PathLike] = None,
    common: Optional[Options] = None,
) -> Report:
    """The creator's plaintext results, in the new directory or archive (`FILE.tar`) `out`."""
    line = _options(
        private_key=private_key,
        passphrase_file=passphrase_file,
        trust=trust,
        strict=strict,
        paillier_key=paillier_key,
        out=out,
    )
    return read_report(Report, _run("results", [src], line, common, passphrase=passphrase))


def rebase(
    src: Argument,
    dest: Optional[Argument] = None,
    *,
    base: Argument,
    old_base: Optional[Argument] = None,
    trust: Optional[PathLike] = None,
    strict: bool = False,
    common: Optional[Options] = None,
) -> Report:
    """A closed train on a newer master image; not possible with wire 3, whose creator signs the base."""
    line = _options(base=base, old_base=old_base, trust=trust, strict=strict)
    return read_report(Report, _run("rebase", [src, dest], line, common))


def extract(
    src: Argument,
    path: str,
    out: Optional[PathLike] = None,
    *,
    stdout: Optional[IO[bytes]] = None,
    common: Optional[Options] = None,
) -> bytes:
    """A file of the image, or a directory, to the new file or directory `out`.

    Without `out` the bytes of a file, or a tar archive of a directory, are written to the file `stdout` or returned.
    """
    return _run("extract", [src, path], _options(out="-" if out is None else out), common, stdout=stdout)


def copy(
    src: Argument,
    dest: Argument,
    *,
    all_platforms: bool = False,
    allow_open: bool = False,
    common: Optional[Options] = None,
) -> Report:
    """An image as it is, between any two places; every blob is verified.

    `allow_open` is for a train that pre-run has opened, whose results are plaintext.
    """
    line = _options(all=all_platforms, allow_open=allow_open and knows("copy", "--allow-open"))
    return read_report(Report, _run("copy", [src, dest], line, common))


def gc(layout: PathLike, *, common: Optional[Options] = None) -> Collection:
    """Removes the blobs of a layout that no tag reaches."""
    return read_report(Collection, _run("gc", [layout], [], common))


def tool_image(
    dest: Argument, *, certificates: Optional[PathLike] = None, common: Optional[Options] = None
) -> Report:
    """A container image of the program."""
    return read_report(Report, _run("tool-image", [dest], _options(certificates=certificates), common))


def version() -> str:
    """The version of the program, as in `0.1.0`."""
    return call(["--version"], own_options=False).decode().split()[-1]
