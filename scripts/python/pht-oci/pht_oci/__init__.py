"""The Personal Health Train security protocol on OCI images, without a container daemon: `pht-oci` from Python.

A function for each command, which runs the program and returns its report:

    import pht_oci

    print(pht_oci.inspect("./train").next)
    try:
        report = pht_oci.pre_run("./train", private_key="hospital_a.pem", trust="/etc/pht/trust")
    except pht_oci.Refused as refused:
        print(refused.check, refused.subject, refused)

`python -m pht_oci` is the program itself.
"""

from ._auth import auth_file
from ._commands import (
    Options,
    build,
    copy,
    extract,
    gc,
    inspect,
    keygen,
    post_run,
    pre_run,
    rebase,
    results,
    run,
    tool_image,
    validate,
    verify,
    version,
)
from ._errors import (
    DecisionNeeded,
    Failed,
    Interrupted,
    KeyProblem,
    NotATrain,
    PhtOciError,
    ProgramMissing,
    Refused,
    RegistryDown,
    TrainFailed,
    WrongUsage,
)
from ._program import call, find_pht_oci_bin
from ._reports import (
    Aspect,
    Bytes,
    Check,
    Collection,
    Difference,
    Digests,
    Document,
    Inspection,
    KeyPair,
    Layers,
    Master,
    Ran,
    Removed,
    Report,
    Stop,
    Validation,
    Verification,
)

__all__ = [
    "Aspect",
    "Bytes",
    "Check",
    "Collection",
    "DecisionNeeded",
    "Difference",
    "Digests",
    "Document",
    "Failed",
    "Inspection",
    "Interrupted",
    "KeyPair",
    "KeyProblem",
    "Layers",
    "Master",
    "NotATrain",
    "Options",
    "PhtOciError",
    "ProgramMissing",
    "Ran",
    "Refused",
    "RegistryDown",
    "Removed",
    "Report",
    "Stop",
    "TrainFailed",
    "Validation",
    "Verification",
    "WrongUsage",
    "auth_file",
    "build",
    "call",
    "copy",
    "extract",
    "find_pht_oci_bin",
    "gc",
    "inspect",
    "keygen",
    "post_run",
    "pre_run",
    "rebase",
    "results",
    "run",
    "tool_image",
    "validate",
    "verify",
    "version",
]
