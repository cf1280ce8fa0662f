"""A classifier that each station trains further, and hands on."""
import os
import pickle

import pandas
from sklearn.linear_model import SGDClassifier

PLACE = "/opt/pht_results/model.pkl"
patients = pandas.read_csv(os.path.join(os.environ["TRAIN_DATA_PATH"], "patients.csv"))
model = SGDClassifier(random_state=7)
if os.path.exists(PLACE):
    with open(PLACE, "rb") as file:
        model = pickle.load(file)
model.partial_fit(patients[["age", "pressure"]].to_numpy(), patients["ill"].to_numpy(), classes=[0, 1])
print(f"{model.t_ - 1:.0f} patients seen")
with open(PLACE, "wb") as file:
    pickle.dump(model, file, protocol=4)
