#!/usr/bin/env python3
"""Configuration of eight processes on a real etcd, while shoppers ask without a pause: a key changed in etcd reaches every process, a
wrong value is refused by every one and named by log, metric and doctor, and a process whose own file was edited is named with its key.
No request fails meanwhile.

Prints how long each change took to reach all.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import made_shop
from cascade_test import Load, shown
from topology_test import STARLING, expect, run, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import cluster  # noqa: E402

KEY = "tracing.sampling_ratio"
SECRET = "of-this-machine-alone"  # as tools/cluster.py has it


class Shop(cluster.Cluster):
    def digest(self, name: str) -> dict:
        return json.loads(self.admin(name, "/digest"))

    def values(self, key: str) -> dict[str, str]:
        return {name: self.digest(name)["config"].get(key) for name in self.processes}

    def metric(self, name: str, series: str) -> float:
        """The sum of what begins so."""
        lines = [line for line in self.admin(name, "/metrics").splitlines() if line.startswith(series)]
        return sum(float(line.split()[-1]) for line in lines)

    def doctor(self, *more: str) -> tuple[int, str]:
        done = subprocess.run([STARLING, "doctor", "--cluster", *more], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def log(self, name: str) -> str:
        return (self.logs / f"{name}.log").read_text(errors="replace")


def changes(shop: Shop, own: list) -> None:
    start = time.monotonic()
    shop.put(KEY, "0.25")
    wait_for("the new value in every process", lambda: set(shop.values(KEY).values()) == {"0.25"}, otherwise=lambda: shop.values(KEY))
    print(f"a changed key is in all eight processes after {time.monotonic() - start:.2f} s", flush=True)
    code, said = shop.doctor(*own)
    expect(code == 0 and "all alike" in said, f"doctor is content, but says:\n{said}")
    gauges = {shop.metric(name, "starling_config_digest ") for name in shop.processes}
    expect(len(gauges) == 1, f"one digest of all: {gauges}")


def refuses(shop: Shop, own: list) -> None:
    start = time.monotonic()
    shop.put(KEY, "lots")
    refused = f'starling_config_refused{{key="{KEY}"}}'
    wait_for("the refusal of every process", lambda: all(shop.metric(name, refused) == 1 for name in shop.processes))
    print(f"a wrong value is refused by all after {time.monotonic() - start:.2f} s", flush=True)
    expect(set(shop.values(KEY).values()) == {"0.25"}, f"the old value stays: {shop.values(KEY)}")
    code, said = shop.doctor(*own)
    expect(code == 1, f"doctor finds it, but says:\n{said}")
    for name in shop.processes:
        expect(f"{name} refused a change, the old stays in force: {KEY}" in said, f"doctor names {name}:\n{said}")
        expect(KEY in shop.log(name) and "the change was refused" in shop.log(name), f"the log of {name} names it")
        expect(shop.metric(name, 'starling_config_reloads_total{result="refused"}') >= 1, f"{name} counts it")
    shop.put(KEY, "0.25")
    wait_for("the end of the refusal", lambda: all(shop.metric(name, refused) == 0 for name in shop.processes))


def drifts(shop: Shop, own: list) -> None:
    start = time.monotonic()
    shop.own_file("catalog").write_text("log: {format: json}\n")
    wait_for("the edited file in its process", lambda: shop.values("log.format")["catalog"] == "json",
             otherwise=lambda: shop.values("log.format"))
    print(f"an edited file is in its process after {time.monotonic() - start:.2f} s", flush=True)
    code, said = shop.doctor(*own)
    expect(code == 1, f"doctor finds the drift, but says:\n{said}")
    expect("drift, config log.format: json at catalog; human at 7 others" in said, f"doctor names process, key and values:\n{said}")
    expect(SECRET not in said, "doctor shows no secret")
    print(said, end="", flush=True)
    code, said = shop.doctor(*own, "--json")
    answer = json.loads(said)
    expect(code == 1 and not answer["well"], "it is told as JSON too")
    expect([(one["part"], one["key"]) for one in answer["drift"]] == [("config", "log.format")], f"one key, but: {answer['drift']}")
    expect(SECRET not in said, "and shows no secret")
    gauges = {shop.metric(name, "starling_config_digest ") for name in shop.processes}
    expect(len(gauges) == 2, f"the metric tells it too: {gauges}")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        files = pathlib.Path(place) / "files"
        files.mkdir()
        made_shop.write(files)
        shop = Shop(pathlib.Path(place) / "shop", ["etcd"], settings={"training": {"every": "0s"}}, own_files=True, etcd_config=True)
        load = None
        try:
            own = ["--data", shop.folder / "data", "--topology", shop.topology]
            for kind in made_shop.FILES:
                run("import", kind, files / f"{kind}.csv", *own, "--rejects", shop.folder / "rejects.csv")
            run("train", "--algorithm", "als", *own)
            shop.start()
            status, page = shop.ask("/v1/users?page_size=50")
            expect(status == 200, f"users are listed, but: {status} {page}")
            users = [user["user_id"] for user in page["users"]]
            wait_for("the model", lambda: "model" in shop.ask(f"/v1/users/{users[0]}/recommendations")[1])
            load = Load(shop, users)
            begun = time.monotonic()
            changes(shop, own)
            refuses(shop, own)
            drifts(shop, own)
            shop.own_file("catalog").write_text("{}\n")
            wait_for("the end of the drift", lambda: shop.doctor(*own)[0] == 0, otherwise=lambda: shop.doctor(*own)[1])
            # Without a topology, etcd knows where the processes are.
            code, said = shop.doctor("--set", "discovery.engine=etcd", "--set", f"discovery.urls=[{shop.engines['etcd'].url}]")
            expect(code == 0 and all(name in said for name in shop.layout if shop.layout[name]), f"by discovery alone:\n{said}")
            shop.kill("analytics")
            code, said = shop.doctor(*own)
            expect(code == 1 and "analytics cannot be asked" in said, f"who is gone is named:\n{said}")
            load.end()
            answers = load.between(begun, time.monotonic())
            print(f"load: {shown(answers)} of {len(answers)} answers failed, p99", flush=True)
            expect(len(answers) > 100 and all(one[2] == 200 for one in answers), "every request was answered 200")
        finally:
            if load:
                load.end()
            shop.close()


if __name__ == "__main__":
    main()
