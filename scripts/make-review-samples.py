#!/usr/bin/env python3
"""Makes testdata/review: small result files by real programs, safe and unsafe, and table.json with what each is.

Each file is what a train at a station could leave. `safe` ones hold statistics over many; `unsafe` ones hold rows of
people, identifiers, counts of few, or what runs when it is loaded. All people are invented. The verdicts are added by
`BLESS=1 cargo test --test it review_samples`, which also says what has changed.

  python3 -m venv venv && venv/bin/pip install pandas numpy scikit-learn matplotlib pydicom openpyxl acro nibabel h5py \\
      pyarrow joblib safetensors xlsxwriter
  venv/bin/python scripts/make-review-samples.py testdata/review     (with Rscript on the PATH, for what R writes)
"""

import base64
import bz2
import gzip
import io
import json
import logging
import lzma
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile

os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

import h5py
import joblib
import matplotlib
import nibabel
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import safetensors.numpy
import sklearn.datasets
from pydicom.dataset import FileDataset, FileMetaDataset
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import classification_report, confusion_matrix, roc_curve
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, export_text

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OUT = sys.argv[1]
RNG = np.random.default_rng(7)
TABLE = []
N = 400


def put(name, what, data, safe):
    """One sample: its directory is its number, so that names are free."""
    kind = "safe" if safe else "unsafe"
    number = f"{len(TABLE) + 1:03}"
    path = os.path.join(OUT, number, name)
    os.makedirs(os.path.dirname(path))
    if callable(data):
        data(path)
    else:
        with open(path, "wb") as out:
            out.write(data if isinstance(data, bytes) else data.encode())
    TABLE.append({"sample": f"{number}/{name}", "what": what, "kind": kind})


def safe(name, what, data):
    put(name, what, data, True)


def unsafe(name, what, data):
    put(name, what, data, False)


shutil.rmtree(OUT, ignore_errors=True)
FIRST = ["Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hans", "Ida", "Jonas"]
LAST = ["Meier", "Schulz", "Vogel", "Krause", "Lang", "Winter", "Busch", "Horn", "Peters", "Roth"]


def people(count):
    """Invented patients."""
    return pd.DataFrame({
        "patient_id": [f"PAT-{100000 + 37 * i}" for i in range(count)],
        "name": [f"{LAST[i % 10]}, {FIRST[i // 3 % 10]}" for i in range(count)],
        "birthdate": pd.to_datetime("1940-01-01") + pd.to_timedelta(RNG.integers(0, 20000, count), "D"),
        "sex": RNG.choice(["f", "m"], count),
        "age": RNG.integers(20, 90, count),
        "bmi": RNG.normal(26, 4, count).round(1),
        "glucose": RNG.normal(100, 20, count).round(1),
        "diagnosis": RNG.choice(["I10", "E11.9", "I25.1", "N18.3"], count),
    })


DF = people(N)
MEASURES = DF[["sex", "age", "bmi", "glucose"]]
X = DF[["age", "bmi", "glucose"]].to_numpy()
Y = (DF.glucose + RNG.normal(0, 10, N) > 105).astype(int).to_numpy()

# --- tables by pandas: statistics --------------------------------------------------------------------------------------
stats = MEASURES.groupby("sex").agg(n=("age", "size"), age_mean=("age", "mean"), age_std=("age", "std"), bmi_mean=("bmi", "mean"))
safe("summary.csv", "pandas: means and counts of groups of more than a hundred", stats.round(3).to_csv())
safe("summary.tsv", "pandas: the same with tabs", stats.round(3).to_csv(sep="\t"))
safe("summary_de.csv", "pandas: the same with semicolons and decimal commas", stats.round(3).to_csv(sep=";", decimal=","))
safe("mean.csv", "pandas: mean, std and quartiles, no least and no greatest value", MEASURES.describe().drop(["min", "max"]).round(3).to_csv())
safe("describe.csv", "pandas: describe() with least and greatest value", MEASURES.describe().round(3).to_csv())
safe("correlation.csv", "pandas: correlation matrix", MEASURES.drop(columns="sex").corr().round(4).to_csv())
safe("sex_counts.csv", "pandas: value_counts of two large groups", DF.sex.value_counts().to_csv())
safe("diagnosis_counts.csv", "pandas: value_counts of four large groups", DF.diagnosis.value_counts().to_csv())
safe("crosstab.csv", "pandas: cross tabulation of large groups", pd.crosstab(DF.sex, DF.diagnosis).to_csv())
safe("mean_age.json", "pandas: mean age as JSON", json.dumps({"mean_age": DF.age.mean(), "n": N}))
safe("stats.json", "pandas: to_json of means", stats.round(3).to_json(indent=1))
safe("stats_nan.json", "Python: JSON with NaN", json.dumps({"mean": float("nan"), "std": 3.25, "n": 400}))
safe("proportions.csv", "pandas: proportions of groups", DF.diagnosis.value_counts(normalize=True).round(4).to_csv())
safe("quantiles.json", "pandas: quartiles", DF.age.quantile([0.25, 0.5, 0.75]).to_json())
safe("means.md", "pandas: a table in Markdown", "| sex | age_mean | n |\n|:----|---------:|----:|\n" + "".join(f"| {i} | {r.age_mean:.2f} | {int(r.n)} |\n" for i, r in stats.iterrows()))
safe("means.txt", "pandas: to_string of means", stats.round(3).to_string())
safe("histogram.csv", "numpy: histogram with large bins", pd.DataFrame({"bin_left": np.histogram(DF.age, 5)[1][:-1].round(1), "count": np.histogram(DF.age, 5)[0]}).to_csv(index=False))

# --- tables by pandas: people ------------------------------------------------------------------------------------------
unsafe("patients.csv", "pandas: all rows with identifiers", DF.head(60).to_csv(index=False))
unsafe("patients.tsv", "pandas: the same with tabs", DF.head(40).to_csv(index=False, sep="\t"))
unsafe("patients_de.csv", "pandas: semicolons, Latin-1, German names of columns", DF.head(40).rename(columns={"patient_id": "Fallnummer", "name": "Nachname", "birthdate": "Geburtsdatum"}).to_csv(index=False, sep=";", decimal=",").replace("Vogel", "Vögel").encode("latin-1"))
unsafe("utf16.csv", "pandas: UTF-16", DF.head(20).to_csv(index=False).encode("utf-16"))
unsafe("rows.csv", "pandas: rows without identifiers", MEASURES.head(80).to_csv(index=False))
unsafe("rows_few.csv", "pandas: five rows without identifiers", MEASURES.head(5).to_csv(index=False))
unsafe("rows_noheader.csv", "pandas: rows without a head", MEASURES.head(50).to_csv(index=False, header=False))
unsafe("long.csv", "pandas: more than 5000 rows", pd.concat([MEASURES] * 14).to_csv(index=False))
unsafe("weights.csv", "pandas: weight and heart rate a person", pd.DataFrame({"weight": RNG.normal(80, 12, 90).round(1), "heart_rate": RNG.integers(55, 100, 90)}).to_csv(index=False))
unsafe("ids_only.csv", "pandas: a list of identifiers under a harmless name", pd.DataFrame({"value": DF.patient_id.head(30)}).to_csv(index=False))
unsafe("numbers_only.csv", "pandas: a list of case numbers", pd.DataFrame({"x": RNG.integers(10**7, 10**8, 30)}).to_csv(index=False))
unsafe("uuids.csv", "pandas: FHIR ids", pd.DataFrame({"ref": [f"Patient/{i}a7f" for i in range(20)], "score": RNG.random(20).round(3)}).to_csv(index=False))
unsafe("births.csv", "pandas: dates of birth under another name", pd.DataFrame({"d": DF.birthdate.head(20).dt.strftime("%d.%m.%Y"), "group": DF.sex.head(20)}).to_csv(index=False))
unsafe("emails.csv", "pandas: e-mail addresses", pd.DataFrame({"contact": [f"{a.lower()}.{b.lower()}@klinik.example.org" for a, b in zip(FIRST, LAST)]}).to_csv(index=False))
unsafe("kvnr.txt", "Python: a health insurance number in a note", "excluded: A123456780 withdrew consent\n")
unsafe("rare.csv", "pandas: value_counts with groups of one", DF.age.value_counts().sort_index().to_csv())
unsafe("small_crosstab.csv", "pandas: cross tabulation with small cells", pd.crosstab(DF.age // 10, DF.diagnosis).head(8).to_csv() if (pd.crosstab(DF.age // 10, DF.diagnosis) < 10).any().any() else "age,I10,E11.9\n20,3,17\n30,22,8\n")
unsafe("small_n.json", "Python: a mean of three", json.dumps({"group_a": {"mean_age": 41.3, "n": 3}}))
unsafe("small_text.txt", "Python: few patients in a sentence", "mean age 44.2 in group B (n = 4)\n")
unsafe("min_max.json", "Python: the oldest and the youngest", json.dumps({"age_min": 20, "age_max": 89, "age_mean": 54.1}))
unsafe("patients.json", "pandas: to_json, records", DF.head(30).to_json(orient="records", date_format="iso"))
unsafe("patients_columns.json", "pandas: to_json, columns", MEASURES.head(60).to_json())
unsafe("patients_split.json", "pandas: to_json, split", MEASURES.head(60).to_json(orient="split"))
unsafe("patients.jsonl", "pandas: to_json, lines", DF.head(30).to_json(orient="records", lines=True, date_format="iso"))
unsafe("ages.json", "Python: all ages as a list", json.dumps({"ages": [int(a) for a in DF.age]}))
unsafe("by_patient.json", "Python: an object keyed by patient", json.dumps({i: round(float(g), 1) for i, g in zip(DF.patient_id.head(40), DF.glucose)}))
unsafe("nested_csv.json", "Python: a CSV in a string of JSON", json.dumps({"status": "ok", "detail": DF.head(15).to_csv(index=False)}))
unsafe("duplicate_key.json", "by hand: a key twice, rows under the first", '{"mean": [' + ", ".join(str(v) for v in DF.bmi.head(80)) + '], "values": ' + json.dumps([int(a) for a in DF.age.head(60)]) + ', "values": 1}')
unsafe("head.txt", "pandas: print(df.head())", DF.head().to_string())
unsafe("rows.txt", "pandas: to_string of rows", MEASURES.head(40).to_string())
unsafe("debug.log", "Python: a log that prints rows", "".join(f"INFO row {i}: age={r.age} bmi={r.bmi} glucose={r.glucose}\n" for i, r in MEASURES.head(40).iterrows()))
unsafe("note.txt", "by hand: a doctor's letter", "Sehr geehrte Kollegen, wir berichten ueber Herrn Meier, der sich am 3. Mai vorstellte. Die Anamnese war unauffaellig.\n")
unsafe("prose.txt", "by hand: running text about a person", "the patient came with pain in the chest that had begun two days before and went on to say that the pain had been worse at night and after meals while walking was possible without any trouble and nobody in the family had ever had such pain before this year\n")
unsafe("fhir.json", "by hand: a FHIR patient", json.dumps({"resourceType": "Patient", "id": "ex-17", "gender": "female", "birthDate": "1974-12-25", "name": [{"family": "Vogel", "given": ["Clara"]}]}))
unsafe("bundle.json", "by hand: a FHIR bundle", json.dumps({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Observation", "id": f"o{i}", "valueQuantity": {"value": 5.1 + i}}} for i in range(5)]}))
unsafe("page.html", "pandas: to_html of rows", DF.head(10).to_html())
safe("page.html", "pandas: to_html of means", stats.round(2).to_html())

# --- spreadsheets and columnar files -----------------------------------------------------------------------------------
unsafe("patients.xlsx", "openpyxl: rows with identifiers", lambda p: DF.head(20).to_excel(p, index=False))
safe("means.xlsx", "openpyxl: means", lambda p: stats.to_excel(p))
unsafe("rows.parquet", "pyarrow: rows", lambda p: pq.write_table(pa.Table.from_pandas(MEASURES.head(50)), p))
unsafe("rows.feather", "pyarrow: rows", lambda p: MEASURES.head(50).to_feather(p))
unsafe("rows.h5", "h5py: rows", lambda p: h5py.File(p, "w").create_dataset("x", data=X[:60]).file.close())
unsafe("rows.dta", "pandas: Stata", lambda p: MEASURES.head(40).to_stata(p))
unsafe("renamed.csv", "pyarrow: parquet under the name of CSV", lambda p: pq.write_table(pa.Table.from_pandas(MEASURES.head(20)), p))

# --- numpy -------------------------------------------------------------------------------------------------------------
safe("weights.npy", "numpy: weights", lambda p: np.save(p, RNG.normal(size=(8, 4))))
safe("gradients.npz", "numpy: gradients by layer", lambda p: np.savez(p, layer1=RNG.normal(size=(4, 8)), layer2=RNG.normal(size=8)))
unsafe("data.npy", "numpy: the data", lambda p: np.save(p, X[:200]))
unsafe("data.npz", "numpy: the data, compressed", lambda p: np.savez_compressed(p, x=X[:200], y=Y[:200]))
unsafe("objects.npy", "numpy: an array of objects, a pickle", lambda p: np.save(p, DF.head(10).to_numpy(), allow_pickle=True))
unsafe("data.txt", "numpy: savetxt of the data", lambda p: np.savetxt(p, X[:100], fmt="%.1f"))
safe("coef.txt", "numpy: savetxt of four coefficients", lambda p: np.savetxt(p, [[0.1234, -0.5], [1.5, 0.25]], header="coef std_error"))
safe("weights.safetensors", "safetensors: weights", lambda p: safetensors.numpy.save_file({"w": RNG.normal(size=(4, 4)).astype("f4")}, p))

# --- pickles -----------------------------------------------------------------------------------------------------------
for protocol in [0, 1, 2, 3, 4, 5]:
    safe(f"mean_{protocol}.pkl", f"pickle protocol {protocol}: a dict of numbers", pickle.dumps({"mean": 54.25, "n": 400}, protocol))
safe("value_counts.pkl", "pickle: value_counts of two groups", pickle.dumps(DF.sex.value_counts()))
safe("array.pkl", "pickle: a short array", pickle.dumps(np.array([0.5, 0.25, 0.125])))
unsafe("frame.pkl", "pickle: a data frame", pickle.dumps(MEASURES))
unsafe("frame_ids.pkl", "pickle: a data frame with identifiers", pickle.dumps(DF.head(30)))
unsafe("frame.pkl.gz", "pandas: to_pickle, gzip", lambda p: MEASURES.to_pickle(p))
unsafe("frame.pkl.bz2", "pandas: to_pickle, bz2", lambda p: MEASURES.head(50).to_pickle(p))
unsafe("frame.pkl.xz", "pandas: to_pickle, xz", lambda p: MEASURES.head(50).to_pickle(p))
unsafe("series.pkl", "pickle: a series of 2000 values", pickle.dumps(pd.concat([DF.bmi] * 5)))
unsafe("list.pkl", "pickle: a list of rows", pickle.dumps(MEASURES.head(50).values.tolist()))
unsafe("patients.pkl", "pickle: a list of dicts", pickle.dumps(DF.head(20).astype(str).to_dict("records")))
unsafe("frame.csv", "pickle under the name of CSV", pickle.dumps(MEASURES.head(50)))
unsafe("frame_base64.json", "pickle in base64 in JSON", json.dumps({"model": base64.b64encode(pickle.dumps(MEASURES.head(20))).decode()}))
unsafe("frame_base64.txt", "pickle in base64 in lines", base64.encodebytes(pickle.dumps(MEASURES.head(20))))
unsafe("frame_hex.json", "pickle in hexadecimal digits", json.dumps({"blob": pickle.dumps(MEASURES.head(5)).hex()}))


class Runs:
    def __reduce__(self):
        return (os.system, ("true",))


unsafe("runs.pkl", "pickle: runs a command when loaded", pickle.dumps(Runs()))
unsafe("runs_0.pkl", "pickle protocol 0: runs a command when loaded", pickle.dumps(Runs(), 0))
unsafe("runs.txt", "pickle protocol 0 under the name of text", pickle.dumps(Runs(), 0))
unsafe("runs.joblib", "joblib: runs a command when loaded", lambda p: joblib.dump(Runs(), p))

# --- scikit-learn ------------------------------------------------------------------------------------------------------
models = {
    "logistic": LogisticRegression(max_iter=500).fit(X, Y),
    "linear": LinearRegression().fit(X, DF.bmi),
    "tree": DecisionTreeClassifier(max_depth=3, min_samples_leaf=20).fit(X, Y),
    "forest": RandomForestClassifier(n_estimators=4, max_depth=3, min_samples_leaf=20).fit(X, Y),
    "mlp": MLPClassifier((6,), max_iter=50).fit(X, Y),
    "scaler": StandardScaler().fit(X),
}
for name, model in models.items():
    safe(f"{name}.pkl", f"scikit-learn: {name}, pickle", pickle.dumps(model))
safe("logistic.joblib", "joblib: logistic regression", lambda p: joblib.dump(models["logistic"], p))
safe("mlp.joblib", "joblib: multi-layer perceptron", lambda p: joblib.dump(models["mlp"], p))
safe("forest.joblib.gz", "joblib: random forest, gzip", lambda p: joblib.dump(models["forest"], p, compress=("gzip", 3)))
safe("linear.joblib", "joblib: linear regression, zlib", lambda p: joblib.dump(models["linear"], p, compress=3))
unsafe("knn.pkl", "scikit-learn: nearest neighbours keep the data", pickle.dumps(KNeighborsClassifier().fit(X, Y)))
unsafe("knn.joblib", "joblib: nearest neighbours", lambda p: joblib.dump(KNeighborsClassifier().fit(X, Y), p))
unsafe("svc.pkl", "scikit-learn: support vectors are rows", pickle.dumps(SVC().fit(X[:120], Y[:120])))
unsafe("svc.joblib", "joblib: support vectors, zlib", lambda p: joblib.dump(SVC().fit(X[:120], Y[:120]), p, compress=3))
unsafe("gp.pkl", "scikit-learn: a Gaussian process keeps the data", pickle.dumps(GaussianProcessRegressor().fit(X[:40], Y[:40])))
unsafe("data.joblib", "joblib: the data", lambda p: joblib.dump(X, p))
unsafe("frame.joblib", "joblib: a data frame", lambda p: joblib.dump(MEASURES, p))
predicted = models["logistic"].predict(X)
safe("report.txt", "scikit-learn: classification_report", classification_report(Y, predicted))
safe("report.json", "scikit-learn: classification_report as JSON", json.dumps(classification_report(Y, predicted, output_dict=True)))
safe("confusion.csv", "scikit-learn: confusion matrix of large cells", pd.DataFrame(np.maximum(confusion_matrix(Y, predicted), 25)).to_csv())
safe("tree.txt", "scikit-learn: export_text", export_text(models["tree"], feature_names=["age", "bmi", "glucose"]))
fpr, tpr, thresholds = roc_curve(Y, models["logistic"].predict_proba(X)[:, 1])
curve = pd.DataFrame({"fpr": fpr, "tpr": tpr})[::4].round(3)
safe("roc.csv", "scikit-learn: a ROC curve", curve.to_csv(index=False))
safe("roc.json", "scikit-learn: a ROC curve as JSON", json.dumps({"auc": 0.87, "roc": {"fpr": curve.fpr.tolist(), "tpr": curve.tpr.tolist()}}))
safe("coef.csv", "scikit-learn: coefficients", pd.DataFrame({"feature": ["age", "bmi", "glucose"], "coef": models["logistic"].coef_[0].round(4)}).to_csv(index=False))
safe("metrics.json", "scikit-learn: metrics", json.dumps({"accuracy": 0.91, "precision": 0.88, "recall": 0.9, "f1": 0.89, "support": 400}))
safe("metrics.csv", "scikit-learn: metrics, one a row", "metric,value\naccuracy,0.91\nauc,0.874\nbrier,0.112\n")
safe("cv.json", "scikit-learn: scores by fold", json.dumps({"cv_scores": [0.81, 0.84, 0.79, 0.83, 0.8], "mean": 0.814, "std": 0.018}))
safe("params.json", "scikit-learn: parameters", json.dumps({k: v for k, v in models["forest"].get_params().items() if v is not None}))
safe("losses.csv", "scikit-learn: loss by epoch", pd.DataFrame({"epoch": range(1, 51), "loss": np.round(models["mlp"].loss_curve_[:50], 4)}).to_csv(index=False))
safe("importance.csv", "scikit-learn: importances", pd.DataFrame({"feature": ["age", "bmi", "glucose"], "importance": models["forest"].feature_importances_.round(4)}).to_csv(index=False))
safe("centers.json", "scikit-learn: centres of large clusters", json.dumps({"mean_of_cluster": KMeans(3, n_init=2).fit(X).cluster_centers_.round(2).tolist()}))
unsafe("predictions.csv", "scikit-learn: a prediction a person", pd.DataFrame({"patient_id": DF.patient_id.head(50), "prob": models["logistic"].predict_proba(X)[:50, 1].round(4)}).to_csv(index=False))
unsafe("labels.json", "scikit-learn: a label a person", json.dumps({"labels": predicted.tolist()}))

# --- matplotlib --------------------------------------------------------------------------------------------------------


def figure(draw, **options):
    def save(path):
        fig, ax = plt.subplots(figsize=(2, 1.5), dpi=50)
        draw(ax)
        fig.savefig(path, **options)
        plt.close(fig)
    return save


bars = figure(lambda ax: ax.bar(["f", "m"], [203, 197]))
safe("bars.png", "matplotlib: bars", bars)
safe("bars.jpg", "matplotlib: bars as JPEG", bars)
safe("bars.pdf", "matplotlib: bars as PDF", figure(lambda ax: ax.bar(["f", "m"], [203, 197]), metadata={"CreationDate": None}))
safe("bars.svg", "matplotlib: bars as SVG", figure(lambda ax: ax.bar(["f", "m"], [203, 197]), metadata={"Date": None}))
safe("roc.png", "matplotlib: a ROC curve", figure(lambda ax: ax.plot(fpr, tpr)))
unsafe("scatter.png", "matplotlib: a point a person", figure(lambda ax: ax.scatter(DF.age, DF.bmi, s=1)))
unsafe("scatter.svg", "matplotlib: a point a person, as SVG", figure(lambda ax: ax.scatter(DF.age[:60], DF.bmi[:60], s=1), metadata={"Date": None}))


def png_with(extra=b"", metadata=None):
    path = tempfile.mktemp(suffix=".png")
    figure(lambda ax: ax.bar(["f"], [203]), metadata=metadata)(path)
    with open(path, "rb") as drawn:
        return drawn.read() + extra


unsafe("appended.png", "matplotlib: rows after the end of the picture", png_with(DF.head(5).to_csv().encode()))
unsafe("comment.png", "matplotlib: rows in the metadata of the picture", png_with(metadata={"Description": DF.head(5).to_csv()}))
unsafe("picture.png", "CSV under the name of a picture", DF.head(5).to_csv())

# --- medical -----------------------------------------------------------------------------------------------------------


def dicom(path):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    image = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    image.PatientName, image.PatientID, image.Rows, image.Columns = "Vogel^Clara", "PAT-100000", 4, 4
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.SamplesPerPixel, image.PixelRepresentation = 7, 1, 0
    image.PhotometricInterpretation, image.PixelData = "MONOCHROME2", bytes(16)
    image.save_as(path)


def zipped(*files):
    def save(path):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files:
                archive.writestr(zipfile.ZipInfo(name, (2023, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return save


unsafe("image.dcm", "pydicom: an image", dicom)
unsafe("image.bin", "pydicom: an image under another name", dicom)
with tempfile.TemporaryDirectory() as dir:
    dicom(os.path.join(dir, "image.dcm"))
    with open(os.path.join(dir, "image.dcm"), "rb") as image:
        DICOM = image.read()
unsafe("image.zip", "pydicom: an image in an archive", zipped(("series/1.dcm", DICOM)))
unsafe("image.nii.gz", "nibabel: an image", lambda p: nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), "i2"), np.eye(4)), p))
unsafe("image.nii", "nibabel: an image, not compressed", lambda p: nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), "i2"), np.eye(4)), p))
unsafe("variants.vcf", "by hand: variants of a person", "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n1\t1000\trs1\tA\tG\t50\tPASS\t.\tGT\t0/1\n")
unsafe("variants.vcf.gz", "gzip: variants of a person", gzip.compress(b"##fileformat=VCFv4.2\n1\t1000\trs1\tA\tG\n", mtime=0))
unsafe("reads.fastq", "by hand: reads", "@read1\nACGTACGTAC\n+\nIIIIIIIIII\n")
unsafe("message.hl7", "by hand: a message with a patient", "MSH|^~\\&|LAB|H|||20230101||ORU^R01|1|P|2.5\rPID|1||PAT-100000||Vogel^Clara\r")

# --- archives ----------------------------------------------------------------------------------------------------------
safe("results.zip", "zipfile: means and a picture", zipped(("means.csv", stats.round(2).to_csv()), ("bars.png", png_with())))
unsafe("rows.zip", "zipfile: rows", zipped(("a/rows.csv", DF.head(20).to_csv(index=False))))
inner = io.BytesIO()
zipped(("rows.csv", DF.head(20).to_csv(index=False)))(inner)
unsafe("nested.zip", "zipfile: rows in an archive in an archive", zipped(("inner.zip", inner.getvalue())))


def tarred(*files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


safe("results.tar.gz", "tarfile: means, gzip", gzip.compress(tarred(("means.csv", stats.round(2).to_csv().encode())), mtime=0))
unsafe("rows.tar.gz", "tarfile: rows, gzip", gzip.compress(tarred(("rows.csv", DF.head(20).to_csv(index=False).encode())), mtime=0))
unsafe("rows.csv.gz", "pandas: to_csv, gzip", gzip.compress(DF.head(20).to_csv(index=False).encode(), mtime=0))
safe("means.csv.gz", "pandas: means, gzip", gzip.compress(stats.round(2).to_csv().encode(), mtime=0))
unsafe("trailing.gz", "gzip: bytes after the end", gzip.compress(b"mean,n\n1.5,400\n", mtime=0) + DF.head(3).to_csv().encode())
unsafe("rows.csv.xz", "lzma: rows", lzma.compress(DF.head(20).to_csv(index=False).encode()))
unsafe("rows.csv.bz2", "bz2: rows", bz2.compress(DF.head(20).to_csv(index=False).encode()))
hidden = io.BytesIO()
zipped(("means.csv", stats.round(2).to_csv()))(hidden)
unsafe("prefixed.zip", "zipfile: rows before the archive", DF.head(3).to_csv().encode() + hidden.getvalue())
unsafe("noise.bin", "os.urandom: as of an encryption", RNG.bytes(3000))
unsafe("noise.csv", "as of an encryption, under the name of CSV", RNG.bytes(3000))
safe("sum.he.json", "Paillier: a sum encrypted to the creator", json.dumps({"sum": "".join(str(d) for d in RNG.integers(0, 10, 600))}))

# --- notebooks ---------------------------------------------------------------------------------------------------------


def notebook(output):
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1, "source": ["df"], "outputs": [{"output_type": "display_data", "metadata": {}, "data": {"text/plain": output}}]}]})


safe("means.ipynb", "a notebook with means", notebook(stats.round(2).to_string()))
unsafe("rows.ipynb", "a notebook that shows rows", notebook(DF.head(10).to_string()))

# --- ACRO --------------------------------------------------------------------------------------------------------------


def acro(columns):
    from acro import ACRO
    there = os.getcwd()
    with tempfile.TemporaryDirectory() as dir:
        os.chdir(dir)
        try:
            session = ACRO(suppress=False)
            out, sys.stdout = sys.stdout, io.StringIO()
            session.crosstab(DF.sex, columns)
            session.add_exception("output_0", "needed")
            session.finalise("out", "json")
            sys.stdout = out
            return {name: open(os.path.join("out", name), "rb").read() for name in ["results.json", "output_0_0.csv", "checksums/output_0_0.csv.txt"]}
        finally:
            sys.stdout = sys.__stdout__
            os.chdir(there)


def acro_sample(name, what, files, is_safe):
    put("results.json", what, files["results.json"], is_safe)
    number = TABLE[-1]["sample"].split("/")[0]
    for file in ["output_0_0.csv", "checksums/output_0_0.csv.txt"]:
        path = os.path.join(OUT, number, file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "wb").write(files[file])
    TABLE[-1]["directory"] = True


few = DF.diagnosis.where(RNG.random(N) > 0.01, "Z99")
acro_sample("fails", "ACRO: a cross tabulation that fails", acro(few), False)
changed = acro(DF.diagnosis)
changed["output_0_0.csv"] += b"x,1,2,3,4\n"
acro_sample("changed", "ACRO: changed after it was checked", changed, False)

# --- R -----------------------------------------------------------------------------------------------------------------
if shutil.which("Rscript"):
    script = """
      args <- commandArgs(TRUE); dir <- args[1]; set.seed(1)
      d <- data.frame(age = round(rnorm(60, 55, 12)), bmi = round(rnorm(60, 26, 4), 1), sex = sample(c("f", "m"), 60, TRUE))
      saveRDS(d, file.path(dir, "rows.rds")); save(d, file = file.path(dir, "rows.RData"))
      saveRDS(lm(bmi ~ age, d), file.path(dir, "lm.rds"))
      saveRDS(list(mean = mean(d$age), n = 400L), file.path(dir, "mean.rds"))
      write.csv(d, file.path(dir, "rows.csv")); write.table(d, file.path(dir, "rows.txt"))
      write.csv(data.frame(term = c("intercept", "age"), estimate = c(1.5, .25), std_error = c(.1, .02), p_value = c(.01, .04)), file.path(dir, "coef.csv"), row.names = FALSE)
      writeLines(capture.output(print(coef(summary(lm(bmi ~ age, d))))), file.path(dir, "coef.txt"))
      dput(d, file.path(dir, "rows.R"))
    """
    with tempfile.TemporaryDirectory() as dir:
        subprocess.run(["Rscript", "-e", script, dir], check=True)
        read = lambda name: open(os.path.join(dir, name), "rb").read()
        unsafe("rows.rds", "R: saveRDS of rows", read("rows.rds"))
        unsafe("rows.RData", "R: save of rows", read("rows.RData"))
        unsafe("lm.rds", "R: a linear model with its data", read("lm.rds"))
        safe("mean.rds", "R: saveRDS of a mean", read("mean.rds"))
        unsafe("rows.csv", "R: write.csv of rows", read("rows.csv"))
        unsafe("rows.txt", "R: write.table of rows", read("rows.txt"))
        safe("coef.csv", "R: coefficients", read("coef.csv"))
        safe("coef.txt", "R: printed coefficients", read("coef.txt"))
        unsafe("rows.R", "R: dput of rows", read("rows.R"))

with open(os.path.join(OUT, "table.json"), "w") as out:
    json.dump(TABLE, out, indent=1)
    out.write("\n")
counts = {kind: sum(sample["kind"] == kind for sample in TABLE) for kind in ["safe", "unsafe"]}
print(len(TABLE), counts)
