"""The mean weight, which one of the stations does not know."""
import os

import pandas

patients = pandas.read_csv(os.path.join(os.environ["TRAIN_DATA_PATH"], "patients.csv"))
print(f"columns: {', '.join(patients.columns)}")
with open("/opt/pht_results/weights.txt", "a") as file:
    file.write(f"{patients['weight'].mean():.3f}\n")
