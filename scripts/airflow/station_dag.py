"""A station's trains in Apache Airflow, from registry to registry, without a Docker daemon.

Id and conf are those that the field's station interface sends, which needs no change:

    airflow dags trigger run_pht_train --conf '{"repository": "registry.example/station_a/TRAIN", "tag": "latest",
      "env": {"FHIR_SERVER_URL": "https://fhir.example"}, "volumes": {"/srv/data": {"bind": "/data", "mode": "ro"}},
      "gpus": ["0"]}'

One task a step: pull, validate, run (with the query), review, approval, release, push, clean. Copy this file into the DAG
folder of Airflow 3; workers need `pht-oci` and a container engine in their PATH. All tasks of a run work in one directory
below PHT_WORK, so they belong on one worker.

What the program itself looks at is in the environment of the workers, or in its settings (station.toml: key, pins,
journal, limits): PHT_CONFIG, STATION_ID, PRIVATE_KEY_PATH, PRIVATE_KEY_PASSWORD, PHT_TRUST_DIR, REGISTRY_AUTH_FILE. And
for this file:

    HARBOR_URL, HARBOR_USER, HARBOR_PW   the login, instead of REGISTRY_AUTH_FILE
    PHT_WORK          the directory for trains under way [/var/lib/pht]; logs of trains go into its `logs`
    PHT_ENGINE        podman, docker, runc or charliecloud [podman]
    PHT_MASTER        the master image to validate against, else the one that the train names; `none` leaves it out
    PHT_PREPARE       the command that answers a train's query, as of `pht-oci run --prepare`
    PHT_REVIEW        `yes`: the results are held until reviewers have approved them
    PHT_REVIEWERS     how many approvals there have to be before they are looked at [1]
    PHT_DESTINATION   where trains go on: docker://HOST/REPO with {train} for the last part of the repository, else back
                      to where they came from
    PHT_OPTIONS       further options of pht-oci, --src-tls-verify=false say
    PHT_RETRIES       how often a task is tried again [2], and PHT_RETRY_SECONDS the time between two tries [60]

Exit statuses decide what is repeated: a registry that is down (6) or input/output (1) may get better; a train that is
refused (3), a wrong key (4), a malformed image (5) or a train that fails (8) will not. What was done is not done again:
a task that is repeated, because its worker was killed for instance, goes on from what is there. What the train prints
stays in its log, and no secret is in a command line. If the push fails, the closed train stays, and so do results that
nobody has decided on; clear the failed task, and the run goes on.
"""

import base64
import ctypes
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from datetime import timedelta
from pathlib import Path

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import Param, dag, get_current_context, task

WORTH_REPEATING = (1, 6)
DECISION = 7
RETRY = timedelta(seconds=float(os.environ.get("PHT_RETRY_SECONDS", "60")))
# How long a person may take.
PATIENCE = timedelta(days=30)


def setting(name: str, default: str = "") -> str:
    return os.environ.get(name) or default


def param(name: str):
    return get_current_context()["params"][name]


def root() -> Path:
    return Path(setting("PHT_WORK", "/var/lib/pht"))


def run_name() -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", get_current_context()["dag_run"].run_id)


def work() -> Path:
    """The run's directory, for this user only."""
    directory = root() / run_name()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def log_of_train() -> Path:
    directory = root() / "logs"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory / f"{run_name()}.log"


def incoming() -> str:
    return f"oci:{work()}/train:latest"


def closed() -> str:
    return f"oci:{work()}/closed:latest"


def is_closed() -> bool:
    # The index is written last: where it is, the train is whole.
    return (work() / "closed/index.json").exists()


def held() -> "Path | None":
    """Where a run has left results that it could not or was not to close."""
    return next(iter(sorted(work().glob("pht-oci-run-*-kept"))), None)


def is_reviewed() -> bool:
    return setting("PHT_REVIEW") == "yes"


def environment(login_file) -> dict:
    """That of the program; a login goes into the file, which is for this user only."""
    variables = dict(os.environ)
    user, password = setting("HARBOR_USER"), setting("HARBOR_PW")
    if user and not setting("REGISTRY_AUTH_FILE"):
        host = re.sub(r"^https?://", "", setting("HARBOR_URL", setting("HARBOR_API_URL"))).split("/")[0]
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        json.dump({"auths": {host: {"auth": login}}}, login_file)
        login_file.flush()
        variables["REGISTRY_AUTH_FILE"] = login_file.name
    return variables


def end_with_worker() -> None:
    """In the program, before it starts: if the worker is killed, it gets a signal, and cleans up."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def documents(text: str) -> list:
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            # What no document of the program is, is not for the log of a task.
            continue
    return [document for document in found if isinstance(document, dict)]


def pht(command: str, *arguments: str, may_end_with=(), extra: "dict | None" = None) -> int:
    """Runs the program; its report, warnings and errors go to the task's log, what the train prints does not."""
    line = ["pht-oci", command, *arguments, *shlex.split(setting("PHT_OPTIONS")), "--format=json"]
    print("+", shlex.join(line), flush=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as login_file:
        variables = environment(login_file) | (extra or {})
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": end_with_worker}
        done = subprocess.run(line, env=variables, text=True, check=False, **pipes)
    for report in documents(done.stdout):
        shown = ("stage", "station", "wire", "source", "destination", "digest", "verdict", "valid", "warnings", "notes")
        print(json.dumps({key: report[key] for key in shown if key in report}), flush=True)
    errors = documents(done.stderr)
    for document in errors:
        if "train" not in document and "progress" not in document:
            error = document.get("error", document)
            print(*(f"{key}: {error[key]}" for key in ("message", "hint") if error.get(key)), sep="\n", flush=True)
    if done.returncode == 0 or done.returncode in may_end_with:
        return done.returncode
    told = f"pht-oci {command} ended with exit status {done.returncode}"
    raise AirflowException(told) if done.returncode in WORTH_REPEATING else AirflowFailException(told)


def data_for_train() -> "tuple[list, dict]":
    """Options of `run` from the conf, and the values of variables, which are not for a command line."""
    options, values = [], {}
    for name, value in (param("env") or {}).items():
        if name in os.environ and name.startswith(("PRIVATE_KEY", "HARBOR_", "AIRFLOW", "PHT_")):
            raise AirflowFailException(f"{name} is a variable of the station, not of a train")
        options.append(f"--env={name}")
        values[name] = str(value)
    for host, mount in (param("volumes") or {}).items():
        if isinstance(mount, str):
            mount = {"bind": mount}
        # A train can only read, unless the station says so in as many words.
        options.append(f"--volume={host}:{mount['bind']}" + (":rw" if mount.get("mode") == "rw" else ""))
    gpus = param("gpus") or []
    gpus = [gpus] if isinstance(gpus, (str, int)) else gpus
    if gpus:
        ids = ",".join(str(gpu) for gpu in gpus)
        is_docker = setting("PHT_ENGINE") == "docker" and ids != "all"
        options.append(f'--gpus="device={ids}"' if is_docker else f"--gpus={ids}")
    if setting("PHT_PREPARE"):
        options.append(f"--prepare={setting('PHT_PREPARE')}")
    return options, values


def destination() -> str:
    repository = param("repository").removeprefix("docker://")
    to = setting("PHT_DESTINATION", f"docker://{repository}")
    return f"{to.replace('{train}', repository.rsplit('/', 1)[-1])}:{param('tag')}"


@dag(
    dag_id="run_pht_train",
    schedule=None,
    catchup=False,
    tags=["pht"],
    default_args={"retries": int(setting("PHT_RETRIES", "2")), "retry_delay": RETRY},
    params={
        "repository": Param(type="string", description="The train's repository, HOST/REPO"),
        "tag": Param("latest", type="string"),
        "env": Param({}, type=["null", "object"], description="Variables for the train"),
        "volumes": Param({}, type=["null", "object"], description="HOST: PATH, or HOST: {bind: PATH, mode: ro}"),
        "gpus": Param([], type=["null", "array", "string", "integer"], description="GPUs for the train, or `all`"),
    },
)
def run_pht_train():
    @task
    def pull():
        if is_closed() or held():
            print("the train has run already")
            return
        shutil.rmtree(work() / "train", ignore_errors=True)  # of an earlier try
        repository = param("repository").removeprefix("docker://")
        pht("copy", f"docker://{repository}:{param('tag')}", incoming())

    @task
    def validate():
        master = setting("PHT_MASTER")
        if master == "none" or is_closed() or held():
            return
        pht("validate", incoming(), *([f"--master={master}"] if master else []))

    @task
    def run():
        if is_closed() or held() and is_reviewed():
            print("the train has run already")
            return
        kept = held()
        if kept:
            # It has run, and could not be closed.
            line = [f"{kept}/opened", closed(), f"--base={incoming()}", f"--results={kept}/results"]
            pht("post-run", *line)
            shutil.rmtree(kept)
            return
        options, values = data_for_train()
        engine = setting("PHT_ENGINE", "podman")
        line = [incoming(), closed(), f"--engine={engine}", f"--log={log_of_train()}", *options]
        hold = ["--hold"] if is_reviewed() else []
        log_of_train().unlink(missing_ok=True)  # of an earlier try
        pht("run", *line, *hold, may_end_with=(DECISION,) if hold else (), extra=values)
        if hold and not held() and not is_closed():
            raise AirflowFailException("pht-oci run ended with exit status 7, and holds no results: it was refused")

    @task
    def review():
        kept = held()
        if not kept or is_closed():
            return
        page = work() / "review.html"
        page.unlink(missing_ok=True)
        (work() / "approvals").mkdir(mode=0o700, exist_ok=True)
        # What is found is for the reviewer to decide.
        line = [f"{kept}/opened", f"--results={kept}/results", f"--html={page}"]
        pht("review", *line, may_end_with=(DECISION,))
        print(f"look at {page}; then approve:")
        approval = work() / "approvals/NAME.json"
        print(f"  pht-oci approve {line[0]} {line[1]} --reviewer-key NAME.pem --out {approval}")
        print(f"or write the reason of a rejection into {work()}/approvals/rejected")

    @task.sensor(poke_interval=min(RETRY.total_seconds(), 60), timeout=PATIENCE.total_seconds(), mode="reschedule")
    def approval() -> bool:
        kept, approvals = held(), work() / "approvals"
        if not kept or is_closed():
            return True
        if (approvals / "rejected").exists():
            pht("reject", f"{kept}/opened", f"--results={kept}/results")
            shutil.rmtree(kept, ignore_errors=True)
            raise AirflowFailException("the results were rejected and erased; nothing leaves")
        needed = int(setting("PHT_REVIEWERS", "1"))
        return len(list(approvals.glob("*.json"))) >= needed

    @task
    def release():
        kept = held()
        if not kept or is_closed():
            return
        approvals = [f"--approval={path}" for path in sorted((work() / "approvals").glob("*.json"))]
        line = [f"{kept}/opened", closed(), f"--base={incoming()}", f"--results={kept}/results"]
        pht("release", *line, *approvals)
        shutil.rmtree(kept)

    @task
    def push():
        pht("copy", closed(), destination())
        (work() / "pushed").touch()

    @task
    def clean():
        if (work() / "pushed").exists() or not (is_closed() or held()):
            shutil.rmtree(work())
            return
        what = closed() if is_closed() else held()
        print(f"kept: {what}; when the reason is gone, clear the failed task, and this run goes on")

    # A teardown runs whatever has failed before it, and does not make a failed run a success.
    first, last = pull(), push()
    first >> validate() >> run() >> review() >> approval() >> release() >> last >> clean().as_teardown(setups=first)


run_pht_train()
