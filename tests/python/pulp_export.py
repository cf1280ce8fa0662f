"""Has Pulp export a repository in its own form: pulp_export.py HOST USER:PASSWORD DIRECTORY REPOSITORY OUT.tar"""
import base64
import glob
import json
import shutil
import sys
import time
import urllib.request

host, login, directory, repository, out = sys.argv[1:]


def call(path, document=None):
    request = urllib.request.Request(f"http://{host}{path}")
    request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    if document is not None:
        request.data = json.dumps(document).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


(found,) = call(f"/pulp/api/v3/repositories/?name={repository}")["results"]
name = repository.replace("/", "-")
place = f"{directory}/{name}"
exporter = call("/pulp/api/v3/exporters/core/pulp/", {"name": name, "path": place, "repositories": [found["pulp_href"]]})
task = call(exporter["pulp_href"] + "exports/", {})["task"]
end = time.monotonic() + 120
while (state := call(task))["state"] not in ("completed", "failed", "canceled"):
    if time.monotonic() > end:
        sys.exit("Pulp does not get done")
    time.sleep(0.2)
if state["state"] != "completed":
    sys.exit(f"Pulp: {state}")
(archive,) = glob.glob(f"{place}/*.tar")
shutil.copy(archive, out)
shutil.rmtree(place)
