#!/usr/bin/env python3
"""Runs tests of the reference implementation, as its package on PyPI has them, against `train_lib` of this project.

  run.py TESTS_DIR NAME... [-- PYTEST_ARGUMENTS]

TESTS_DIR is the directory `train_lib/tests` of the installed package; it is copied, and in `conftest.py` the name of the
master image and `pull=True` are changed, nothing else. The Docker daemon is that of DOCKER_HOST; in it a master image is
made of this machine's own Python. `docker` and `pytest` have to be there for this Python, and `train_lib` on its path.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MASTER = "localhost/pht-oci-test/python:latest"
CHANGES = {
    "dev-harbor.personalhealthtrain.de/master/python/base:latest": MASTER,
    "pull=True": "pull=False",
}


def prepared(source, names, target):
    """Copies the tests, with the two changes, each of which occurs once."""
    conftest = (source / "conftest.py").read_text()
    for old, new in CHANGES.items():
        if conftest.count(old) != 1:
            sys.exit(f"conftest.py of the reference has {conftest.count(old)} times {old!r}; expected once")
        conftest = conftest.replace(old, new)
    (target / "conftest.py").write_text(conftest)
    for name in names:
        (target / name).write_bytes((source / name).read_bytes())


def master_image():
    """The master image, unless the daemon has it."""
    if subprocess.run(["docker", "image", "inspect", MASTER], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        # Of the system's Python: a virtual environment has no library.
        python = os.path.join(sys.base_prefix, "bin", "python3")
        with subprocess.Popen([python, HERE.parent / "python_image.py"], stdout=subprocess.PIPE) as made:
            # Every image that Docker builds has a PATH, and so has what is built on it.
            line = ["docker", "import", "--change", "ENV PATH=/usr/bin:/bin", "-", MASTER]
            subprocess.run(line, stdin=made.stdout, stdout=subprocess.DEVNULL, check=True)


def main():
    asked = sys.argv[1:]
    own = asked[asked.index("--") + 1 :] if "--" in asked else []
    source, *names = asked[: asked.index("--")] if "--" in asked else asked
    if os.environ.get("DOCKER_HOST"):
        master_image()
    with tempfile.TemporaryDirectory() as directory:
        prepared(Path(source), names, Path(directory))
        line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "around", *own, *names]
        path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
        sys.exit(subprocess.run(line, cwd=directory, env={**os.environ, "PYTHONPATH": path}).returncode)


if __name__ == "__main__":
    main()
