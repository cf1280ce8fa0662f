"""The mean age, over all stations."""
import json
import os

import pandas

PLACE = "/opt/pht_results/mean.json"
patients = pandas.read_csv(os.path.join(os.environ["TRAIN_DATA_PATH"], "patients.csv"))
before = {"patients": 0, "sum": 0}
if os.path.exists(PLACE):
    with open(PLACE) as file:
        before = json.load(file)
number, total = before["patients"] + len(patients), before["sum"] + float(patients["age"].sum())
print(patients["age"].describe().round(3).to_string())
with open(PLACE, "w") as file:
    json.dump({"patients": number, "sum": total, "mean": total / number}, file)
