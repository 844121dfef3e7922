"""How fast models are fitted and how good they are, beside what people use today: `implicit` and NumPy, from PyPI, in one run.

MovieLens 1M in its fixed split, from ../shared/data (left out when that is absent). The peers are installed once, into
build/bench/peers. Both sides use the same number of threads and take turns.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

DATA = pathlib.Path("../shared/data/ml-1m")
PEERS = pathlib.Path("build/bench/peers")
BUILD = pathlib.Path("build/release")
THREADS, ROUNDS, K = 2, 3, 20

# Run by the peers' Python: reads train, valid and test, prints one JSON line of fit seconds and quality a model.
PEER = """
import json, sys, time
import numpy as np, scipy.sparse as sp
threads, k = int(sys.argv[4]), int(sys.argv[5])
def read(path):
    return {int(w[0]): [int(x) for x in w[1:]] for w in (line.split() for line in open(path)) if len(w) > 1}
train, valid, test = map(read, sys.argv[1:4])
users = max(max(part) for part in (train, valid, test)) + 1
items = max(max(row) for part in (train, valid, test) for row in part.values()) + 1
pairs = [(u, i) for part in (train, valid) for u, row in part.items() for i in row]
x = sp.csr_matrix((np.ones(len(pairs), np.float32), tuple(np.array(pairs).T)), shape=(users, items))
discount = 1 / np.log2(np.arange(2, k + 2))
def quality(score):
    recall, ndcg = [], []
    for u, relevant in test.items():
        s = score(u)
        s[x[u].indices] = -np.inf
        top = np.argpartition(-s, k)[:k]
        top = top[np.argsort(-s[top])]
        hit = np.isin(top, relevant).astype(float)
        recall.append(hit.sum() / len(relevant))
        ndcg.append((hit * discount).sum() / discount[:min(k, len(relevant))].sum())
    return float(np.mean(recall)), float(np.mean(ndcg))
out = {}
from implicit.als import AlternatingLeastSquares
model = AlternatingLeastSquares(factors=64, iterations=15, regularization=0.05, alpha=1.0, num_threads=threads, random_state=1)
begin = time.perf_counter()
model.fit(x, show_progress=False)
out["als"] = [time.perf_counter() - begin, *quality(lambda u: model.user_factors[u] @ model.item_factors.T)]
begin = time.perf_counter()
gram = (x.T @ x).toarray()
gram[np.diag_indices(items)] += 500
inverse = np.linalg.inv(gram)
weights = -inverse / np.diag(inverse)
np.fill_diagonal(weights, 0)
out["ease"] = [time.perf_counter() - begin, *quality(lambda u: np.asarray(x[u] @ weights).ravel())]
print(json.dumps(out))
"""


def install_peers() -> pathlib.Path:
    python = PEERS / "bin/python"
    if not (PEERS / "installed").exists():
        subprocess.check_call([sys.executable, "-m", "venv", PEERS])
        subprocess.check_call([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "implicit==0.7.3",
                               "numpy==2.4.6", "scipy==1.17.1"])
        (PEERS / "installed").touch()
    return python


def ours(files: list[str]) -> dict[str, list[float]]:
    """Fit seconds, recall and NDCG with plain settings: the same work as the peers' (fit_bench.cc)."""
    train, valid, test = files
    return json.loads(subprocess.check_output([BUILD / "bin/bench_fit", str(THREADS), str(K), test, train, valid], text=True))


def retrieval(report) -> None:
    """The ten best of 65,000 items, one thread, beside merely reading their factors in the same run."""
    run = json.loads(subprocess.check_output([BUILD / "bin/bench_retrieval", "--benchmark_format=json", "--benchmark_filter=Read|Exact|By|FoldIn"],
                                             text=True, stderr=subprocess.DEVNULL))
    rows = {row["name"].split("/iterations")[0]: row for row in run["benchmarks"]}
    report("the 10 best of 65,000 items x 64 factors, one thread; shop: norms as popularity makes them, isotropic: all alike")
    report(f"{'':<44}{'us':>9}{'recall@10':>12}{'to exact':>10}")
    for made in ("Shop", "Isotropic"):
        exact = rows[f"Exact/{made}"]["real_time"]
        for name, key in (("merely reading", f"Read/{made}"), ("exact", f"Exact/{made}"), ("int8, rescored", f"By/{made}_int8"),
                          ("HNSW", f"By/{made}_hnsw")):
            row = rows[key]
            report(f"{made.lower() + ', ' + name:<44}{row['real_time'] / 1e3:>9.1f}{row.get('recall', 1):>12.4f}{exact / row['real_time']:>10.1f}")
    report(f"{'fold-in of 50 events, 64 factors':<44}{rows['FoldIn50Events']['real_time'] / 1e3:>9.1f}   goal 50")


def learning(report) -> None:
    retrieval(report)
    if not DATA.exists():
        report(f"learning: left out, {DATA} is not there")
        return
    python = install_peers()
    peers: list[dict] = []
    own: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for part in ("train", "valid", "test"):
            plain = pathlib.Path(folder, f"{part}.txt")
            plain.write_bytes(subprocess.check_output(["zstd", "-dc", DATA / f"{part}.txt.zst"]))
            files.append(str(plain))
        environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS=str(THREADS))
        for _ in range(ROUNDS):
            own.append(ours(files))
            peers.append(json.loads(subprocess.check_output([python, "-c", PEER, *files, str(THREADS), str(K)], text=True, env=environment,
                                                            stderr=subprocess.DEVNULL)))
    report(f"MovieLens 1M, train and valid to test, {THREADS} threads, the best of {ROUNDS} rounds")
    report(f"{'':<44}{'fit s':>9}{f'recall@{K}':>12}{f'ndcg@{K}':>10}{'ratio':>8}")
    for model, peer, goal in (("als", "implicit 0.7.3, 64 factors, 15 iterations", 1.5), ("ease", "NumPy, inv(X'X + 500 I)", 1.5)):
        theirs = min((one[model] for one in peers), key=lambda row: row[0])
        mine = min((one[model] for one in own), key=lambda row: row[0])
        report(f"{peer:<44}{theirs[0]:>9.2f}{theirs[1]:>12.4f}{theirs[2]:>10.4f}{1:>8.2f}")
        report(f"{'Starling, the same':<44}{mine[0]:>9.2f}{mine[1]:>12.4f}{mine[2]:>10.4f}{theirs[0] / mine[0]:>8.2f}   goal {goal}")
    start = time.monotonic()
    chosen = json.loads(subprocess.check_output(
        [BUILD / "starling", "evaluate", "--format", "adjacency", "--train", DATA / "train.txt.zst", "--valid", DATA / "valid.txt.zst",
         "--test", DATA / "test.txt.zst", "--k", str(K), "--json"], text=True, stderr=subprocess.DEVNULL))
    report(f"starling evaluate: every model's settings chosen on valid, in {time.monotonic() - start:.0f} s")
    for model in chosen["models"]:
        metrics = model["metrics"]
        mark = "   chosen; goal .295 / .400" if model["name"] == chosen["chosen"] else ""
        report(f"{model['name']:<44}{model['fit_seconds']:>9.2f}{metrics[f'recall@{K}']:>12.4f}{metrics[f'ndcg@{K}']:>10.4f}{mark}")
