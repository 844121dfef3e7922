"""What learning promises, line by line, in one table: quality, speed beside `implicit` and NumPy, retrieval, memory.

./dev bench learning runs all parts, learning:memory,million those named. Both sides of a comparison use the same number
of threads and take turns. What needs ../shared/data is left out, and says so, where that is absent.
"""
import dataclasses
import json
import pathlib
import shlex
import statistics
import subprocess
import time

import learning_peers as peers
import recommend

BUILD = pathlib.Path("build/release")
STARLING = BUILD / "starling"
THREADS, ROUNDS, K = 2, 3, 20
FITS = ["als", "autoencoder", "ease", "local_ease", "slim", "item_knn", "low_pass", "boosted_trees"]


@dataclasses.dataclass
class Line:
    what: str
    figure: str
    goal: str  # or what it stands beside
    met: bool | None  # None: there is no goal
    command: str


def run(command: list, log=subprocess.DEVNULL):
    return json.loads(subprocess.check_output(list(map(str, command)), text=True, stderr=log))


def shown(command: list) -> str:
    return shlex.join(map(str, command))


def retrieval(report) -> list[Line]:
    """The ten best of 65,000 items, one thread, beside merely reading their factors in the same run."""
    command = [BUILD / "bin/bench_retrieval", "--benchmark_format=json", "--benchmark_filter=Read|Exact|By|FoldIn"]
    rows = {row["name"].split("/iterations")[0]: row for row in run(command)["benchmarks"]}
    report("the 10 best of 65,000 items x 64 factors, one thread; shop: norms as popularity makes them, isotropic: all alike")
    report(f"{'':<44}{'us':>9}{'recall@10':>12}{'to exact':>10}")
    lines = []
    for made in ("Shop", "Isotropic"):
        exact = rows[f"Exact/{made}"]["real_time"]
        reading = rows[f"Read/{made}"]["real_time"]
        for name, key in (("merely reading", f"Read/{made}"), ("exact", f"Exact/{made}"), ("int4, rescored", f"By/{made}_int4"),
                          ("HNSW", f"By/{made}_hnsw")):
            row = rows[key]
            ratio, recall = exact / row["real_time"], row.get("recall", 1)
            report(f"{made.lower() + ', ' + name:<44}{row['real_time'] / 1e3:>9.1f}{recall:>12.4f}{ratio:>10.1f}")
            if name == "exact":
                lines.append(Line(f"retrieval, {made.lower()}, exact", f"{exact / 1e3:.0f} us, {exact / reading:.2f} x reading",
                                  f"1.3 x reading, {reading / 1e3:.0f} us", exact <= 1.3 * reading, shown(command)))
            elif name != "merely reading":
                goal = f"exact {exact / 1e3:.0f} us"
                if name.startswith("int4"):
                    goal = f"5 x as fast as exact, {exact / 1e3:.0f} us, recall .99"
                lines.append(Line(f"retrieval, {made.lower()}, {name}", f"{row['real_time'] / 1e3:.1f} us, recall@10 {recall:.3f}, {ratio:.1f} x",
                                  goal, ratio >= 5 and recall >= 0.99 if name.startswith("int4") else None, shown(command)))
    fold_in = rows["FoldIn50Events"]["real_time"] / 1e3
    lines.append(Line("fold-in of 50 events, 64 factors", f"{fold_in:.1f} us", "50 us", fold_in <= 50, shown(command)))
    return lines


def speed(report) -> list[Line]:
    """The same work as the peers', on the same data: one fit, and the ranking it gives.

    Settings of ALS were chosen by NDCG@20 alike for both sides, on valid of MovieLens, on November of Complete Journey: of
    ours the regularisation and unobserved_weight, of the peer's the regularisation and alpha. Ours of MovieLens are plain.
    ALS begins at random: each round has a seed of its own, and what is compared is the mean of the rounds, to one standard
    error of their difference.
    """
    lines = []
    report(f"one fit, {THREADS} threads, the best time and the mean ranking of all rounds")
    report(f"{'':<60}{'fit s':>9}{f'recall@{K}':>12}{f'ndcg@{K}':>10}{'ratio':>8}")
    for data, name, model, settings, peer, peer_settings, seeds in (
            (peers.movies, "MovieLens 1M", "als", "0.005,0.5,1", "implicit 0.7.3, 64 factors, 15 iterations", "20,2", 3),
            (peers.movies, "MovieLens 1M", "ease", "500", "NumPy, inv(X'X + 500 I)", "500", 0),
            (peers.journey, "Complete Journey", "als", "22,100,0", "implicit 0.7.3, 64 factors, 15 iterations", "22,1", 6)):
        files = data()
        if files is None:
            report(f"{name} is left out: {peers.MOVIES} is not there")
            continue
        test, train = files
        rounds = []
        for seed in range(1, (seeds or ROUNDS) + 1):
            suffix = f",{seed}" if seeds else ""
            command = [BUILD / "bin/bench_fit", model, settings + suffix, THREADS, K, test, *train]
            rounds.append((run(command), peers.fit(model, peer_settings + suffix, THREADS, K, test, train)))
        (own_s, own_recall, own_ndcg), (peer_s, peer_recall, peer_ndcg) = (
            (min(r[side][0] for r in rounds), *(statistics.mean(r[side][i] for r in rounds) for i in (1, 2))) for side in (0, 1))
        differences = [own[2] - peer[2] for own, peer in rounds]
        error = statistics.stdev(differences) / len(rounds) ** 0.5 if seeds else 5e-5
        ratio = peer_s / own_s
        report(f"{name + ': ' + peer:<60}{peer_s:>9.2f}{peer_recall:>12.4f}{peer_ndcg:>10.4f}{1:>8.2f}")
        report(f"{name + ': Starling, the same':<60}{own_s:>9.2f}{own_recall:>12.4f}{own_ndcg:>10.4f}{ratio:>8.2f}")
        lines.append(Line(f"{model} on {name}", f"{own_s:.2f} s, {ratio:.2f} x, ndcg@{K} {own_ndcg:.4f}",
                          f"1.5 x {peer.split(',')[0]}, {peer_s:.2f} s, ndcg {peer_ndcg:.4f} or better, to {error:.4f}",
                          ratio >= 1.5 and own_ndcg >= peer_ndcg - error, shown(command)))
    return lines


def quality(report) -> list[Line]:
    """MovieLens 1M: every model's settings chosen on valid, measured on test."""
    if not peers.MOVIES.is_dir():
        report(f"quality is left out: {peers.MOVIES} is not there")
        return []
    command = [STARLING, "evaluate", "--format", "adjacency", *(word for part in ("train", "valid", "test")
                                                                for word in (f"--{part}", peers.MOVIES / f"{part}.txt.zst")),
               "--k", K, "--json"]
    start = time.monotonic()
    chosen = run(command)
    report(f"MovieLens 1M: every model's settings chosen on valid, in {time.monotonic() - start:.0f} s")
    report(f"{'':<44}{'fit s':>9}{f'recall@{K}':>12}{f'ndcg@{K}':>10}")
    lines = []
    for model in chosen["models"]:
        metrics = model["metrics"]
        recall, ndcg = metrics[f"recall@{K}"], metrics[f"ndcg@{K}"]
        report(f"{model['name']:<44}{model['fit_seconds']:>9.2f}{recall:>12.4f}{ndcg:>10.4f}")
        if model["name"] == chosen["chosen"]:
            lines.append(Line(f"MovieLens 1M, recall@{K} / ndcg@{K}", f"{recall:.4f} / {ndcg:.4f}", ".295 / .400",
                              recall >= 0.295 and ndcg >= 0.4, shown(command)))
    return lines


def shops(report) -> list[Line]:
    """Both shops as if it were the day of the cut: what a training would have chosen, beside what was aimed at, or popularity."""
    lines = []
    goals = {("online-retail", ""): (0.145, 0.140), ("completejourney", ""): (0.065, 0.067), ("completejourney", "all."): (0.44, 0.475)}
    for name, cut in (("online-retail", "2010-11-01"), ("completejourney", "2017-12-01")):
        data = recommend.prepare(report, name)
        if data is None:
            continue
        command = [STARLING, "evaluate", "--data", data, "--cut", cut, "--algorithm", "popularity", "auto", "--json",
                   "--set", f"training.threads={THREADS}"]
        start = time.monotonic()
        models = {model["name"]: model for model in run(command)["models"]}
        report(f"{name}: evaluated in {time.monotonic() - start:.0f} s, auto came to {models['auto']['settings']}")
        for task, prefix in (("new products", ""), ("all products", "all.")):
            recall, ndcg, floor_recall, floor_ndcg = (models[model]["metrics"][f"{prefix}{metric}@10"]
                                                      for model in ("auto", "popularity") for metric in ("recall", "ndcg"))
            goal = goals.get((name, prefix))
            lines.append(Line(f"{name}, {task}, recall@10 / ndcg@10", f"{recall:.4f} / {ndcg:.4f}",
                              f"{goal[0]} / {goal[1]}" if goal else f"popularity {floor_recall:.4f} / {floor_ndcg:.4f}",
                              recall >= goal[0] and ndcg >= goal[1] if goal else recall > floor_recall and ndcg > floor_ndcg, shown(command)))
    return lines


def memory(report) -> list[Line]:
    """What fits take at their peak beside what they said before, on made data."""
    lines = []
    report(f"{'made data':<44}{'threads':>9}{'estimate MB':>13}{'peak MB':>9}{'ratio':>8}{'s':>8}")
    for name in FITS:
        for threads in (1, 2):
            command = [BUILD / "bin/bench_memory", name, threads]
            row = run(command)
            ratio = row["peak"] / row["estimate"]
            report(f"{name:<44}{threads:>9}{row['estimate'] / 1e6:>13.0f}{row['peak'] / 1e6:>9.0f}{ratio:>8.2f}{row['seconds']:>8.1f}")
            lines.append(Line(f"memory of {name}, {threads} thread{'s' if threads > 1 else ''}", f"peak {row['peak'] / 1e6:.0f} MB",
                              f"estimate {row['estimate'] / 1e6:.0f} MB, within 10 %", abs(ratio - 1) <= 0.1, shown(command)))
    return lines


def million(report) -> list[Line]:
    """ALS of 1,000,000 items, 500,000 users, 10,000,000 interactions, 64 factors, 15 iterations."""
    command = [BUILD / "bin/bench_memory", "million", THREADS]
    row = run(command)
    report(f"ALS of 1,000,000 items: {row['seconds']:.0f} s, peak {row['peak'] / 1e6:.0f} MB, the process with its data "
           f"{row['process'] / 1e6:.0f} MB")
    return [Line("ALS, 1,000,000 items, 10 M interactions", f"{row['seconds']:.0f} s, peak {row['peak'] / 1e6:.0f} MB, process "
                 f"{row['process'] / 1e6:.0f} MB", "8 GiB", row["process"] <= 8 << 30, shown(command)),
            Line("the same, its estimate", f"peak {row['peak'] / 1e6:.0f} MB", f"estimate {row['estimate'] / 1e6:.0f} MB, within 10 %",
                 abs(row["peak"] / row["estimate"] - 1) <= 0.1, shown(command))]


PARTS = {"retrieval": retrieval, "speed": speed, "quality": quality, "shops": shops, "memory": memory, "million": million}


def table(report, lines: list[Line]) -> None:
    rows = [("", "figure", "goal, or beside", "met"),
            *((line.what, line.figure, line.goal, {True: "yes", False: "NO", None: "-"}[line.met]) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row, command in zip(rows, ["command", *(line.command for line in lines)]):
        report("  ".join(cell.ljust(width) for cell, width in zip(row, widths)) + "  " + command)


def learning(report, parts=PARTS) -> None:
    lines: list[Line] = []
    for part in parts:
        lines += PARTS[part](report)
        report("")
    table(report, lines)
