"""A station's trains in Apache Airflow, from registry to registry, without a Docker daemon.

One task a step: pull, validate, pre-run, run, post-run, push. Copy this file into the DAG folder of Airflow 3; workers
need `pht-oci` and `podman` in their PATH and, in their environment, what the program itself looks at: STATION_ID,
PRIVATE_KEY_PATH, PRIVATE_KEY_PASSWORD, PHT_TRUST_DIR, REGISTRY_AUTH_FILE. All tasks of a run work in one directory below
PHT_WORK (default /var/lib/pht), so they belong on one worker; it holds plaintext and goes away with the run's end.

    airflow dags trigger pht_station --conf '{"source": "docker://registry.example/station_a/TRAIN"}'

Exit statuses of pht-oci decide what Airflow repeats: a registry that is down (6) or input/output (1) may get better, a
train that is refused (3), a wrong key (4) or a malformed image (5) will not.
"""

import os
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import Param, dag, get_current_context, task

WORTH_REPEATING = (1, 6)


def work() -> Path:
    """The run's directory, for this user only."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", get_current_context()["dag_run"].run_id)
    directory = Path(os.environ.get("PHT_WORK", "/var/lib/pht")) / name
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def param(name: str):
    return get_current_context()["params"][name]


def call(*line: str, may_fail: bool = False) -> None:
    """Runs a command with its output in the task's log."""
    print("+", *line, flush=True)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        for told in running.stdout:
            print(told, end="", flush=True)
    status = running.returncode
    if status == 0 or may_fail:
        return
    told = f"{line[0]} {line[1]} ended with exit status {status}"
    raise AirflowException(told) if status in WORTH_REPEATING else AirflowFailException(told)


def pht(command: str, *arguments: str, **options) -> None:
    call("pht-oci", command, *arguments, *param("options"), **options)


def train(tag: str = "latest") -> str:
    return f"oci:{work()}/train:{tag}"


@dag(
    schedule=None,
    catchup=False,
    tags=["pht"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "source": Param(type="string", description="The train's repository, docker://HOST/REPO, without a tag"),
        "destination": Param(None, type=["null", "string"], description="Where it goes on; else back to its source"),
        "master": Param(None, type=["null", "string"], description="The master image; else the one the train names"),
        "volumes": Param([], type="array", description="What the train may read, HOST:PATH"),
        "options": Param([], type="array", description="Further options of pht-oci, --src-tls-verify=false say"),
    },
)
def pht_station():
    @task
    def pull():
        shutil.rmtree(work())  # of an earlier try
        pht("copy", f"{param('source')}:latest", train())
        # Older builders tag the train as it was built; the program can do without.
        pht("copy", f"{param('source')}:base", train("base"), may_fail=True)

    @task
    def validate():
        pht("validate", train(), *(["--master", param("master")] if param("master") else []))

    @task
    def pre_run():
        pht("pre-run", train(), "--results", f"{work()}/results")

    @task(retries=0)
    def run():
        # Podman makes a name of the path, so a short one.
        pull = ["podman", "pull", "--quiet", "oci:train:latest"]
        image = subprocess.run(pull, cwd=work(), check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        volumes = [f"--volume={volume}:ro" for volume in param("volumes")]
        try:
            results = f"--volume={work()}/results:/opt/pht_results"
            call("podman", "run", "--rm", "--network=none", results, *volumes, image)
        finally:
            call("podman", "rmi", "--force", image, may_fail=True)

    @task
    def post_run():
        pht("post-run", train(), "--results", f"{work()}/results")

    @task
    def push():
        pht("copy", train(), f"{param('destination') or param('source')}:latest")

    @task
    def clean():
        shutil.rmtree(work())

    # A teardown runs whatever has failed before it, and does not make a failed run a success.
    first, last = pull(), push()
    first >> validate() >> pre_run() >> run() >> post_run() >> last >> clean().as_teardown(setups=first)


pht_station()
