#!/usr/bin/env python3
"""Makes testdata/review-torch: what PyTorch itself writes, as trains of federated learning leave it. `safe` are weights, their
changes and statistics over many, `unsafe` is what holds single records. All data are invented.

  apt-get install python3-torch && /usr/bin/python3 scripts/make-review-torch.py testdata/review-torch
"""

import collections
import json
import os
import shutil
import sys

import torch
from torch import nn

OUT = sys.argv[1]
TABLE = []
torch.manual_seed(7)
N = 400
X = torch.randn(N, 6)
Y = (X[:, 0] + 0.3 * torch.randn(N) > 0).float()
IDS = [f"PAT-1{i:04}" for i in range(N)]


def put(kind, name, what, value, **options):
    directory = os.path.join(OUT, f"{len(TABLE) + 1:03}")
    os.makedirs(directory)
    path = os.path.join(directory, name)
    value(path) if callable(value) and not isinstance(value, nn.Module) else torch.save(value, path, **options)
    TABLE.append({"sample": os.path.relpath(path, OUT), "what": f"torch {torch.__version__}: {what}", "kind": kind})


def safe(*sample, **options):
    put("safe", *sample, **options)


def unsafe(*sample, **options):
    put("unsafe", *sample, **options)


class Lookup(nn.Module):
    """Keeps what it was trained on, as memory-based models do."""

    def __init__(self):
        super().__init__()
        self.register_buffer("train_x", X[:120])
        self.register_buffer("train_y", Y[:120])

    def forward(self, x):
        return self.train_y[torch.cdist(x, self.train_x).argmin(1)]


def trained():
    torch.manual_seed(8)
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(X)[:, 0], Y)
        loss.backward()
        optimizer.step()
    return model, optimizer, loss.item()


shutil.rmtree(OUT, ignore_errors=True)
model, optimizer, loss = trained()
safe("weights.pt", "state_dict of a small network", model.state_dict())
safe("weights.pth", "state_dict in the old form, which is no ZIP", model.state_dict(), _use_new_zipfile_serialization=False)
safe("update.pt", "difference of two states, with the number of records", {"n_samples": N, "delta": {k: v * 0.1 for k, v in model.state_dict().items()}})
safe("gradients.pt", "gradients summed over all records", [p.grad for p in model.parameters()])
safe("checkpoint.pt", "state of model and optimizer", {"epoch": 30, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "loss": loss})
safe("moments.pt", "means and deviations over all records", {"n": N, "mean": X.mean(0), "std": X.std(0)})
safe("half.pt", "weights as half floats", collections.OrderedDict((k, v.half()) for k, v in model.state_dict().items()))
safe("script.pt", "a scripted model", lambda p: torch.jit.script(nn.Linear(6, 1)).save(p))
safe("model.pt", "a whole module, pickled", nn.Linear(6, 1))
safe("metrics.json", "losses by epoch, from tensors", lambda p: open(p, "w").write(json.dumps({"n": N, "loss": [round(0.7 * 0.95 ** i, 4) for i in range(20)]})))

unsafe("batch.pt", "the tensor of the records", X[:60])
unsafe("batch-old.pth", "the same in the old form", X[:60], _use_new_zipfile_serialization=False)
unsafe("dataset.pt", "a TensorDataset", torch.utils.data.TensorDataset(X[:60], Y[:60]))
unsafe("lookup.pt", "a model whose buffers are records", Lookup())
unsafe("lookup-state.pt", "its state_dict", Lookup().state_dict())
unsafe("predictions.pt", "a prediction for each record", {"id": IDS[:60], "p": torch.sigmoid(model(X[:60])[:, 0]).detach()})
unsafe("activations.pt", "the layer before the last, for each record", model[1](model[0](X[:60])).detach())
unsafe("embedding.pt", "an embedding with a row for each patient", {"weight": nn.Embedding(200, 4).weight, "index": {name: i for i, name in enumerate(IDS[:200])}})
unsafe("per-sample.pt", "gradients for each record", [X[i] * Y[i] for i in range(40)])
unsafe("scripted-lookup.pt", "the same model, scripted", lambda p: torch.jit.script(Lookup()).save(p))
unsafe("losses.csv", "a loss for each record", lambda p: open(p, "w").write("i,loss\n" + "".join(f"{i},{v:.5f}\n" for i, v in enumerate(nn.functional.binary_cross_entropy_with_logits(model(X)[:, 0], Y, reduction="none").tolist()[:60]))))

with open(os.path.join(OUT, "table.json"), "w") as out:
    json.dump(TABLE, out, indent=1)
    out.write("\n")
print(len(TABLE), {kind: sum(sample["kind"] == kind for sample in TABLE) for kind in ["safe", "unsafe"]})
