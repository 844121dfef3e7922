#!/usr/bin/env python3
"""`starling evaluate` by the command line, on made files and on a made shop: the documented JSON, the table with every model, and
the page of --plot, which is well-formed, names every model and fetches nothing. What cannot be used is refused before the work;
what was begun to ignore ctrl-C goes on."""
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import made_shop

ROOT = pathlib.Path(__file__).resolve().parents[1]
STARLING = ROOT / "build/release/starling"
ACCURACY = ("recall", "ndcg", "precision", "hit_rate", "map", "mrr")
BEYOND = ("novelty", "diversity", "popularity", "popularity_lift", "gini", "calibration")


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


def starling(*words) -> str:
    done = subprocess.run([STARLING, *map(str, words)], capture_output=True, text=True)
    expect(done.returncode == 0, f"starling {' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


def write_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Users of six tastes; what each has of it is divided into train, valid and test."""
    draw = random.Random(5)
    lines: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for user in range(300):
        items = [f"i{user % 6}-{number}" for number in range(20) if draw.random() < 0.6]
        draw.shuffle(items)
        parts = {"train": items[4:] + [f"i{draw.randrange(6)}-{draw.randrange(20)}"], "valid": items[:2], "test": items[2:4]}
        for part, had in parts.items():
            lines[part].append(" ".join([f"u{user}", *had]))
    paths = []
    for part, text in lines.items():
        paths.append(folder / f"{part}.txt")
        paths[-1].write_text("\n".join(text) + "\n", encoding="utf-8")
    return paths


def check_page(path: pathlib.Path, models: list[str], charts: int) -> None:
    text = path.read_text(encoding="utf-8")
    page = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    words = {"".join(node.itertext()).strip() for node in page.iter()}
    for model in models:
        expect(model in words, f"{model} is named in {path.name}")
    expect(len(list(page.iter("svg"))) == charts, f"{charts} charts in {path.name}, not {len(list(page.iter('svg')))}")
    expect(not re.search(r"https?:|src=|href=|url\(|@import|<script", text), f"{path.name} needs nothing from outside")
    for mark in page.iter():
        for name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy"):
            place = mark.get(name)
            expect(place is None or -1 <= float(place) <= 521, f"{name} {place} is inside the chart")


def check_json(found: dict, prefixes: list[str], k: int) -> None:
    models = [model for model in found["models"] if "error" not in model]
    expect(found["chosen"] in [model["name"] for model in models], "chosen is one of the models")
    for model in models:
        for prefix in prefixes:
            for metric in ACCURACY:
                name = f"{prefix}{metric}@{k}"
                low, high = model["intervals"][name]
                expect(0 <= low <= model["metrics"][name] <= high <= 1, f"{model['name']}: {name} is inside its interval")
            for metric in BEYOND:
                expect(f"{prefix}{metric}@{k}" in model["metrics"], f"{model['name']} has {prefix}{metric}@{k}")
            expect(0 < model["metrics"][f"{prefix}coverage"] <= 1, "coverage is a share")
        expect(model["fit_seconds"] > 0 and model["peak_bytes"] >= 0, f"{model['name']} has seconds and bytes")
    metrics = {model["name"]: model["metrics"] for model in models}
    pairs = {(one["name"], one["metric"]): one for one in found["paired"]}
    others = [name for name in metrics if name != found["chosen"]]
    expect(len(pairs) == len(others) * 2 * len(prefixes), "every other model is compared by NDCG and recall")
    for (name, metric), one in pairs.items():
        expect(one["against"] == found["chosen"], "compared with the chosen")
        expect(abs(one["difference"] - metrics[name][metric] + metrics[found["chosen"]][metric]) < 1e-4, f"{name}, {metric}: the difference")
        low, high = one["interval"]
        expect(low <= one["difference"] <= high and 0 < one["p"] <= one["p_holm"] <= 1, f"{name}, {metric}: interval and p")


def on_files(folder: pathlib.Path) -> None:
    train, valid, test = write_files(folder)
    files = ["evaluate", "--format", "adjacency", "--train", train, "--valid", valid, "--k", 5]
    page = folder / "page & more.html"
    found = json.loads(starling(*files, "--test", test, "--json", "--plot", page))
    check_json(found, [""], 5)
    expect(found["data"]["users"] == 300 and found["data"]["items"] == 120, "the data is told")
    names = [model["name"] for model in found["models"]]
    expect({"popularity", "ease", "als", "blend"} <= set(names), f"all models: {names}")
    popularity = next(one for one in found["paired"] if one["name"] == "popularity" and one["metric"] == "ndcg@5")
    expect(popularity["p_holm"] < 0.001 and popularity["interval"][1] < 0, "popularity is surely worse where tastes differ")
    check_page(page, names, 6)

    table = starling(*files, "--test", test, "--model", "popularity", "--model", "item_knn")
    expect("item_knn *" in table and "popularity" in table and "novelty@5" in table and "300 users" in table, f"the table:\n{table}")
    without = json.loads(starling(*files, "--model", "popularity", "--json"))
    expect("for want of a --test" in without["chosen_by"], "says that the figures are of what it chose by")

    refused = subprocess.run([STARLING, *map(str, files), "--plot", "chart.png"], capture_output=True, text=True)
    expect(refused.returncode == 1 and "ends in .html" in refused.stderr, f"a page only: {refused.stderr}")


def told_to_end(files: list, ignored: bool) -> subprocess.CompletedProcess:
    """A run that finds ctrl-C waiting when it begins, as one in the background of a script does when it was begun to ignore it."""

    def begin() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        os.kill(os.getpid(), signal.SIGINT)

    return subprocess.run([STARLING, *map(str, files)], capture_output=True, text=True, preexec_fn=begin)


def on_interrupts(folder: pathlib.Path) -> None:
    train, valid, test = write_files(folder)
    files = ["evaluate", "--format", "adjacency", "--train", train, "--valid", valid, "--test", test, "--model", "slim"]
    ended = told_to_end(files, ignored=False)
    expect(ended.returncode == 1 and "ctrl-C or SIGTERM ended it at slim" in ended.stderr, f"says what ended it: {ended.stderr}")
    ignored = told_to_end(files, ignored=True)
    expect(ignored.returncode == 0 and "slim *" in ignored.stdout, f"what is ignored ends nothing: {ignored.stderr}")


def on_a_shop(folder: pathlib.Path) -> None:
    data = folder / "data"
    for kind, path in made_shop.write(folder):
        starling("import", kind, path, "--data", data)
    page = folder / "shop.html"
    command = ["evaluate", "--data", data, "--plot", page, "--set", "jwt.issuer=who-must-not-be-told", "--set", "training.history=500"]
    found = json.loads(starling(*command, "--json", "--algorithm", "popularity", "--algorithm", "ease", "--algorithm", "auto"))
    check_json(found, ["", "all."] if "all.ndcg@10" in found["models"][0]["metrics"] else [""], 10)
    expect(found["chosen"] == "auto", "what a training chooses is the chosen one")
    expect(found["data"]["calibration_by"] == "categories", "the catalogue has categories")
    check_page(page, ["popularity", "ease", "auto"], 12)
    text = page.read_text(encoding="utf-8")
    expect("who-must-not-be-told" not in text and "jwt.issuer=..." in text and "training.history=500" in text, "only the training's settings are shown")

    best = json.loads(starling("evaluate", "--data", data, "--json", "--algorithm", "popularity", "--algorithm", "ease"))
    expect(best["chosen"] == "ease" and "not among them" in best["chosen_by"], "without auto the best, and says so")
    expect("Products new to their user" in starling("evaluate", "--data", data, "--algorithm", "popularity"), "the table has both tasks")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        on_files(pathlib.Path(folder))
        on_interrupts(pathlib.Path(folder))
        on_a_shop(pathlib.Path(folder))


if __name__ == "__main__":
    main()
