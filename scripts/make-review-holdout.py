#!/usr/bin/env python3
"""Makes testdata/review-holdout: result files that were written after the checks, to see how these do on what they were not
made for. Like scripts/make-review-samples.py, which says what has to be installed (and jinja2); each file is what a train could leave,
`safe` ones with statistics over many and `unsafe` ones with rows, identifiers or counts of few. All people are invented.

  venv/bin/python scripts/make-review-holdout.py testdata/review-holdout     (with Rscript on the PATH)
"""

import base64
import collections
import gzip
import io
import json
import logging
import os
import pickle
import shutil
import sqlite3
import struct
import subprocess
import sys
import tarfile
import tempfile
import types
import warnings
import zipfile
import zlib

os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

import joblib
import matplotlib
import numpy as np
import openpyxl
import pandas as pd
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import classification_report
from sklearn.model_selection import cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import OneClassSVM
from sklearn.tree import DecisionTreeClassifier, export_text

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OUT = sys.argv[1]
RNG = np.random.default_rng(2026)
TABLE = []
N = 600


def put(kind, name, what, data):
    number = f"{len(TABLE) + 1:03}"
    path = os.path.join(OUT, number, name)
    os.makedirs(os.path.dirname(path))
    if callable(data):
        data(path)
    else:
        with open(path, "wb") as out:
            out.write(data if isinstance(data, bytes) else data.encode())
    TABLE.append({"sample": f"{number}/{name}", "what": what, "kind": kind})


def safe(*sample):
    put("safe", *sample)


def unsafe(*sample):
    put("unsafe", *sample)


shutil.rmtree(OUT, ignore_errors=True)
D = pd.DataFrame({
    "pseudonym": [f"P{i:03}" for i in range(N)],
    "ward": RNG.choice(["cardiology", "surgery", "medicine"], N),
    "sex": RNG.choice(["female", "male"], N),
    "age": RNG.integers(18, 95, N),
    "crp": RNG.gamma(2, 20, N).round(1),
    "los": RNG.poisson(6, N) + 1,
    "died": RNG.random(N) < 0.08,
    "admitted": pd.to_datetime("2024-01-01") + pd.to_timedelta(RNG.integers(0, 365, N), "D"),
})
X = D[["age", "crp", "los"]].to_numpy(float)
Y = D.died.astype(int).to_numpy()

# --- statistics over many ----------------------------------------------------------------------------------------------
groups = D.groupby(["ward", "sex"])[["age", "crp"]].agg(["mean", "std", "count"]).round(2)
safe("groups.csv", "pandas: mean, std and count by two keys, two lines of names", groups.to_csv())
safe("pivot.csv", "pandas: pivot table of means", D.pivot_table("crp", "ward", "sex").round(3).to_csv())
safe("ergebnis.csv", "pandas: German names, semicolons", D.groupby("ward").crp.agg(["mean", "std", "size"]).round(2).rename(columns={"mean": "Mittelwert", "std": "Standardabweichung", "size": "Anzahl"}).to_csv(sep=";", decimal=","))
model = LogisticRegression(max_iter=500).fit(X, Y)
safe("update.json", "sklearn: a federated update", json.dumps({"coef": model.coef_.tolist(), "intercept": model.intercept_.tolist(), "n_samples": N}))
safe("report.json", "sklearn: classification_report as a dict", json.dumps(classification_report((D.crp > 40).astype(int), (D.crp + RNG.normal(0, 8, N) > 40).astype(int), output_dict=True)))
scores = cross_validate(Ridge(), X[:, 1:], X[:, 0], cv=5)
safe("cv.json", "sklearn: cross_validate", json.dumps({key: value.round(4).tolist() for key, value in scores.items()}))
safe("training.log", "Python: losses by epoch", "".join(f"2026-02-03 10:{i:02}:11,412 INFO epoch {i:2d} loss={0.7 * 0.93 ** i:.4f} val_loss={0.72 * 0.94 ** i:.4f}\n" for i in range(25)))
safe("metrics.yaml", "by hand: metrics as YAML", "model: logistic\nmetrics:\n  auc: 0.8132\n  brier: 0.0712\n  n: 600\n")
safe("run.json", "Python: metrics with the facts of the run", json.dumps({"metrics": {"auc": 0.8132}, "commit": "9f1c2d7e5b8a4c3d2e1f0a9b8c7d6e5f4a3b2c1d", "started": "2026-02-03T10:00:11Z", "python": "3.12.4", "seconds": 81.4}))
safe("cov.txt", "numpy: covariance matrix", lambda p: np.savetxt(p, np.cov(X.T), fmt="%.5f"))
safe("pca.json", "sklearn: principal components", json.dumps({"components": PCA(2).fit(X).components_.round(4).tolist(), "explained_variance_ratio": [0.71, 0.21]}))
safe("summary.md", "by hand: a report in Markdown", f"# Results\n\n| ward | patients | mean CRP |\n|---|---|---|\n" + "".join(f"| {w} | {len(g)} | {g.crp.mean():.1f} |\n" for w, g in D.groupby("ward")) + "\nThe model reached an AUC of 0.81 in 600 patients.\n")
safe("monthly.csv", "pandas: admissions a month, each above 30", D.groupby(D.admitted.dt.strftime("%Y-%m")).size().clip(lower=31).rename("admissions").to_csv())
safe("effects.tsv", "by hand: odds ratios with intervals", "variable\tOR\tCI_low\tCI_high\tp\nage\t1.04\t1.02\t1.06\t0.0003\ncrp\t1.01\t1.00\t1.02\t0.0210\nsex_male\t1.22\t0.88\t1.69\t0.2310\n")
safe("means.xlsx", "openpyxl: means", lambda p: D.groupby("ward")[["age", "crp"]].mean().round(2).to_excel(p))
safe("coef.joblib", "joblib: a ridge model", lambda p: joblib.dump(Ridge().fit(X[:, 1:], X[:, 0]), p))
safe("means.html", "pandas: to_html of means", groups.to_html())


def figure(path, draw, **options):
    plt.figure(figsize=(3, 2))
    draw()
    plt.savefig(path, dpi=60, **options)
    plt.close()


safe("hist.png", "matplotlib: a histogram with wide bins", lambda p: figure(p, lambda: plt.hist(D.age, 6)))
safe("bars.jpg", "matplotlib: bars of means", lambda p: figure(p, lambda: plt.bar(["a", "b", "c"], D.groupby("ward").crp.mean())))
safe("curve.svg", "matplotlib: a loss curve", lambda p: figure(p, lambda: plt.plot(0.7 * 0.93 ** np.arange(20)), metadata={"Date": None}))


def torch_file(path, arrays):
    """What torch.save writes: a zip with data.pkl, whose persistent ids name the storages beside it. PyTorch itself is not
    installed for two files."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    sys.modules.update({"torch": torch, "torch._utils": utils})
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})

    def rebuild(*_):
        raise NotImplementedError

    rebuild.__module__, rebuild.__name__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild

    class Storage:
        def __init__(self, key, array):
            self.key, self.array = key, array

    class Tensor:
        def __init__(self, key, array):
            self.storage = Storage(key, array)

        def __reduce_ex__(self, _):
            strides = tuple(stride // self.storage.array.itemsize for stride in self.storage.array.strides)
            return rebuild, (self.storage, 0, self.storage.array.shape, strides, False, collections.OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", torch.FloatStorage, value.key, "cpu", value.array.size) if isinstance(value, Storage) else None

    data = io.BytesIO()
    Pickler(data, 2).dump(collections.OrderedDict((name, Tensor(str(i), a)) for i, (name, a) in enumerate(arrays.items())))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        def add(name, content):
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", (1980, 1, 1, 0, 0, 0)), content)
        add("data.pkl", data.getvalue())
        add("byteorder", "little")
        for i, array in enumerate(arrays.values()):
            add(f"data/{i}", array.astype("f4").tobytes())
        add("version", "3\n")


safe("model.pt", "the form of torch.save: weights", lambda p: torch_file(p, {"fc.weight": RNG.normal(size=(4, 3)), "fc.bias": RNG.normal(size=4)}))

# --- people ------------------------------------------------------------------------------------------------------------
unsafe("abc.csv", "pandas: rows under the names a, b, c", D[["age", "crp", "los"]].head(60).set_axis(["a", "b", "c"], axis=1).to_csv(index=False))
unsafe("index.json", "pandas: to_json, index", D[["age", "sex", "crp"]].head(40).to_json(orient="index"))
unsafe("table.tex", "pandas: to_latex of rows", D.drop(columns="admitted").head(20).to_latex(index=False))
unsafe("people.yaml", "by hand: a list of people as YAML", "".join(f"- age: {r.age}\n  sex: {r.sex}\n  crp: {r.crp}\n  died: {str(r.died).lower()}\n" for r in D.head(15).itertuples()))


def database(path):
    with sqlite3.connect(path) as connection:
        D.head(30).astype(str).to_sql("t", connection)
    connection.close()


unsafe("results.db", "SQLite: rows", database)
unsafe("labels.npy", "numpy: a label a person", lambda p: np.save(p, Y))
unsafe("residuals.csv", "pandas: a residual a person", pd.Series(RNG.normal(size=300)).round(4).to_csv(index=False, header=["residual"]))
unsafe("predictions.csv", "sklearn: a prediction a person", pd.DataFrame({"y_true": Y[:80], "y_pred": Y[:80], "proba": RNG.random(80).round(3)}).to_csv(index=False))
unsafe("tree.txt", "sklearn: a tree with leaves of one, weights shown", export_text(DecisionTreeClassifier(random_state=1).fit(X[:60], Y[:60]), feature_names=["age", "crp", "los"], show_weights=True))
unsafe("forest.joblib", "joblib: a forest with leaves of one", lambda p: joblib.dump(RandomForestClassifier(3, random_state=1).fit(X[:40], Y[:40]), p))
unsafe("knn.pkl", "pickle: nearest neighbours keep the data", pickle.dumps(KNeighborsRegressor().fit(X[:60], X[:60, 0])))
unsafe("oneclass.pkl", "pickle: support vectors are rows", pickle.dumps(OneClassSVM().fit(X[:60])))
unsafe("data.pt", "the form of torch.save: the data", lambda p: torch_file(p, {"x": X[:100]}))


def dicom():
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    image = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    image.PatientName, image.PatientID, image.PatientBirthDate = "Vogel^Clara", "77123", "19741225"
    image.Modality = "OT"
    return image


unsafe("image.json", "pydicom: to_json of a header", dicom().to_json())
unsafe("header.txt", "pydicom: a header as it is printed", str(dicom()))
unsafe("scan.png", "pydicom: an image under the name of a picture", lambda p: dicom().save_as(p))
unsafe("patient.xml", "by hand: a FHIR patient as XML", '<Patient xmlns="http://hl7.org/fhir"><id value="e17"/><name><family value="Vogel"/></name><birthDate value="1974-12-25"/></Patient>')
unsafe("export.txt", "by hand: FHIR as NDJSON", "".join(json.dumps({"resourceType": "Condition", "id": f"c{i}", "subject": {"reference": f"Patient/{i}"}}) + "\n" for i in range(4)))
unsafe("adt.log", "by hand: an HL7 message in a log", "INFO received\nMSH|^~\\&|ADT|KH|||20240503||ADT^A01|1|P|2.5\nPID|1||77123^^^KH||Vogel^Clara||19741225|F\n")
unsafe("genotypes.txt", "by hand: genotypes of a person", "# rsid\tchromosome\tposition\tgenotype\n" + "".join(f"rs{3094315 + 17 * i}\t1\t{752566 + 811 * i}\t{RNG.choice(['AA', 'AG', 'GG'])}\n" for i in range(40)))
unsafe("calls.txt", "by hand: lines of a VCF without its head", "".join(f"1\t{10177 + 91 * i}\t.\tA\tC\t100\tPASS\t.\tGT\t0/1\t1/1\t0/0\n" for i in range(30)))
unsafe("study.ped", "by hand: a PLINK pedigree", "".join(f"F{i} I{i} 0 0 {1 + i % 2} 2 A G C C T T\n" for i in range(20)))
unsafe("scatter.svg", "matplotlib: a dot a person", lambda p: figure(p, lambda: plt.scatter(D.age[:60], D.crp[:60], s=4), metadata={"Date": None}))


def with_text(path):
    picture = io.BytesIO()
    plt.figure(figsize=(2, 1.5))
    plt.plot([1, 2, 3])
    plt.savefig(picture, dpi=50, metadata={"Software": None, "Comment": D.head(30).to_csv(index=False)})
    plt.close()
    with open(path, "wb") as out:
        out.write(picture.getvalue())


unsafe("plot.png", "matplotlib: rows in a comment of a picture", with_text)


def hidden_sheet(path):
    book = openpyxl.Workbook()
    book.active.append(["mean_crp", "n"])
    book.active.append([40.2, 600])
    sheet = book.create_sheet("data")
    sheet.sheet_state = "hidden"
    for row in D.head(30).astype(str).itertuples(index=False):
        sheet.append(list(row))
    book.save(path)


unsafe("summary.xlsx", "openpyxl: rows on a hidden sheet", hidden_sheet)
notebook = {"cells": [{"cell_type": "code", "source": "D.head()", "metadata": {}, "execution_count": 1, "outputs": [{"output_type": "execute_result", "metadata": {}, "execution_count": 1, "data": {"text/plain": D.head(8).to_string()}}]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
unsafe("analysis.ipynb", "by hand: a notebook that shows rows", json.dumps(notebook))


def packed(path):
    with tarfile.open(path, "w") as archive:
        data = gzip.compress(D.head(40).to_csv(index=False).encode(), mtime=0)
        entry = tarfile.TarInfo("notes.txt")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))


unsafe("logs.tar", "Python: compressed rows as notes.txt in a tar", packed)
unsafe("weights.txt", "Python: compressed rows in base85", base64.b85encode(zlib.compress(D.head(60).to_csv(index=False).encode())))
unsafe("page.html", "by hand: rows in a data URI", "<html><body><p>mean 40.2</p><a href=\"data:text/csv;base64," + base64.b64encode(D.head(15).to_csv(index=False).encode()).decode() + "\">x</a></body></html>")
unsafe("patients.xml", "pandas: rows as XML by hand", "<?xml version=\"1.0\"?><rows>" + "".join(f"<row><age>{r.age}</age><crp>{r.crp}</crp></row>" for r in D.head(30).itertuples()) + "</rows>")
unsafe("diagnoses.csv", "by hand: diagnoses a pseudonym", "p,codes\n" + "".join(f"{p},I10|E11.9|N18.{i % 5}\n" for i, p in enumerate(D.pseudonym.head(25))))
unsafe("admissions.json", "Python: dates of admission", json.dumps([str(d.date()) for d in D.admitted.head(30)]))
unsafe("ratio.txt", "by hand: a share of three", "Response in the treated group: 33.3% (1/3); in the control group 0% (0/4).\n")
unsafe("case.txt", "by hand: a case in a sentence", "One outlier was removed: an 83-year-old woman from ward 3 who died two days after surgery.\n")
unsafe("contact.txt", "by hand: address and telephone", "Rueckfragen an Frau Clara Vogel, Gartenweg 12, 72076 Tuebingen, Tel. +49 7071 555123\n")
unsafe("personnummer.csv", "by hand: Swedish personal numbers", "x,y\n" + "".join(f"198{i % 10}1218-98{10 + i},{20 + i}.5\n" for i in range(20)))
unsafe("km.csv", "by hand: a survival curve, one event a time", "time,at_risk,events,survival\n" + "".join(f"{3 + 2 * i},{60 - i},1,{(59 - i) / 60:.4f}\n" for i in range(40)))
unsafe("crosstab.txt", "pandas: a printed cross tabulation with small cells", pd.crosstab(D.ward, D.age // 10).to_string() + "\n")
unsafe("zero.csv", "pandas: a cross tabulation with an empty cell", pd.DataFrame({"hiv_pos": [0, 31], "hiv_neg": [44, 52]}, index=["ward_a", "ward_b"]).to_csv())

if shutil.which("Rscript"):
    script = r"""
      set.seed(11); dir <- commandArgs(TRUE)[1]; d <- data.frame(age = sample(18:95, 300, TRUE), crp = round(rgamma(300, 2) * 20, 1), sex = sample(c("f", "m"), 300, TRUE), ward = sample(letters[1:3], 300, TRUE))
      m <- lm(crp ~ age + sex, d); out <- function(name, x) writeLines(capture.output(print(x)), file.path(dir, name))
      out("ttest.txt", t.test(crp ~ sex, d)); out("anova.txt", anova(m)); write.csv(table(d$sex, d$ward), file.path(dir, "table.csv"), row.names = FALSE)
      saveRDS(coef(m), file.path(dir, "coef.rds")); out("head.txt", head(d, 12)); out("str.txt", d$crp[1:80])
      out("rare.txt", table(d$age)); saveRDS(residuals(m), file.path(dir, "residuals.rds")); save(d, file = file.path(dir, "d.rda"))
      dump("d", file.path(dir, "d.R")); write.csv2(d[1:40, ], file.path(dir, "d2.csv")); out("min.txt", summary(d$age))
    """
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["Rscript", "-e", script, directory], check=True)
        read = lambda name: open(os.path.join(directory, name), "rb").read()
        safe("ttest.txt", "R: a printed t test", read("ttest.txt"))
        safe("anova.txt", "R: a printed analysis of variance", read("anova.txt"))
        safe("table.csv", "R: a table of large groups", read("table.csv"))
        safe("coef.rds", "R: saveRDS of coefficients", read("coef.rds"))
        unsafe("head.txt", "R: printed rows", read("head.txt"))
        unsafe("values.txt", "R: a printed vector, a value a person", read("str.txt"))
        unsafe("rare.txt", "R: a printed table with groups of one", read("rare.txt"))
        unsafe("residuals.rds", "R: saveRDS of residuals", read("residuals.rds"))
        unsafe("d.rda", "R: save of rows", read("d.rda"))
        unsafe("d.R", "R: dump of rows", read("d.R"))
        unsafe("rows.csv", "R: write.csv2 of rows", read("d2.csv"))
        unsafe("summary.txt", "R: a printed summary with least and greatest", read("min.txt"))

with open(os.path.join(OUT, "table.json"), "w") as out:
    json.dump(TABLE, out, indent=1)
    out.write("\n")
print(len(TABLE), {kind: sum(sample["kind"] == kind for sample in TABLE) for kind in ["safe", "unsafe"]})
