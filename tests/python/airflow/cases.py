"""Runs the DAG of scripts/airflow through its cases, all in one process, and prints the outcome of each.

  cases.py DAGS CASES.json

A case has a `name`, the `date` that names its run, a `conf`, and variables (`env`). `kill_when` is a text: when the
train's log has it, the worker is killed; the train waits while there is the file `while_there_is`. `when_held` is a
command that a person gives when the page for review is there. Of each a line goes to standard output: `@` and a document with the run's state, states and tries of its tasks, and what
is left in its directory.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag


def in_time(there, what):
    for _ in range(1800):
        if there():
            return
        time.sleep(0.1)
    raise SystemExit(f"not in time: {what}")


def person(case):
    """Waits for the page, and gives the command with the run's directory as its variable."""
    base = Path(os.environ["PHT_WORK"])
    pages = lambda: [path for path in base.glob("*/review.html") if (path.parent / "approvals").exists()]
    in_time(pages, "the page for review")
    directory = pages()[0].parent
    held = next(iter(directory.glob("*-kept")))
    variables = dict(os.environ, RUN=str(directory), HELD=str(held))
    subprocess.run(["sh", "-euc", case["when_held"]], env=variables, check=True)


def test(dag, case):
    date = datetime.fromisoformat(case["date"]).replace(tzinfo=timezone.utc)
    return dag.test(run_after=date, logical_date=date, run_conf=case["conf"])


def killed(dags, case):
    """The run in a process of its own, which is killed in the middle."""
    Path(case["while_there_is"]).touch()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as own:
        json.dump([{key: value for key, value in case.items() if key not in ("kill_when", "while_there_is")}], own)
        own.flush()
        worker = subprocess.Popen([sys.executable, __file__, dags, own.name])
        logs = Path(os.environ["PHT_WORK"], "logs")
        in_time(lambda: any(case["kill_when"] in log.read_text() for log in logs.glob("*.log")), case["kill_when"])
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    os.remove(case["while_there_is"])


def main():
    dags, cases = sys.argv[1:]
    dag = DagBag(dag_folder=dags).dags["run_pht_train"]
    before = dict(os.environ)
    for case in json.loads(Path(cases).read_text()):
        os.environ.clear()
        os.environ.update(before, **case["env"])
        if "kill_when" in case:
            killed(dags, case)
            continue
        helper = None
        if "when_held" in case:
            helper = threading.Thread(target=person, args=(case,))
            helper.start()
        run = test(dag, case)
        if helper:
            helper.join()
        base = Path(os.environ["PHT_WORK"])
        left = sorted(str(path.relative_to(base)) for path in base.glob("*/*") if path.parent.name != "logs")
        tasks = {one.task_id: [str(one.state), one.try_number] for one in run.get_task_instances()}
        print("\n@" + json.dumps({"case": case["name"], "state": str(run.state), "tasks": tasks, "left": left}), flush=True)


main()
