"""What distribution costs: one process against eight, the same data, the same load, the same cores.

The shop is the made one of tests/made_shop.py, imported and trained once; one process serves a copy of it, eight (tools/cluster.py) another.
Load alternates between the two, so that a slow moment hits both. CPU is what all processes of the shop have used by /proc, memory the sum
of their resident sets, of which the program's pages are counted in each.

At last a second instance of inference is added to eight processes on PostgreSQL, Kafka and etcd, under the load of tests/replicas_test.py.
"""
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]
import cluster  # noqa: E402
import made_shop  # noqa: E402
import replicas_test  # noqa: E402
from recommend import SCRIPT  # noqa: E402
from topology_test import wait_for  # noqa: E402

CONNECTIONS, SECONDS, ROUNDS = 16, 5, 3
ROUTES = {"GET /v1/users/{id}/recommendations": "recommendations", "GET /v1/products/{id}": "products"}
HEAD = ("requests/s", "p50 ms", "p99 ms", "CPU us/request", "RSS MB")
SETTINGS = {"training": {"every": "0s"}}


def milliseconds(output: str, percentile: str) -> float:
    number, unit = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", output).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def pids(shop: cluster.Cluster) -> list[int]:
    return [process.popen.pid for process in shop.processes.values()]


def cpu_seconds(shop: cluster.Cluster) -> float:
    total = 0
    for pid in pids(shop):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / 100


def megabytes(shop: cluster.Cluster) -> float:
    return sum(int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) for pid in pids(shop)) / 1024


def load(shop: cluster.Cluster, paths: pathlib.Path, script: pathlib.Path, seconds: int = SECONDS) -> tuple[float, ...]:
    before = cpu_seconds(shop)
    output = subprocess.check_output(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--latency", "-s", str(script), "-H", f"Authorization: Bearer {shop.admin_key}",
         shop.url, "--", str(paths)], text=True)
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"{shop.url} gave errors:\n{output}")
    requests = int(re.search(r"(\d+) requests in", output)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    return rate, milliseconds(output, "50"), milliseconds(output, "99"), (cpu_seconds(shop) - before) / requests * 1e6, megabytes(shop)


def open_shop(folder: pathlib.Path, made: pathlib.Path, layout: dict | None, gateway: str) -> cluster.Cluster:
    shop = cluster.Cluster(folder, layout=layout, gateway=gateway, settings=SETTINGS)
    shutil.copytree(made, folder / "data")
    shop.start()
    wait_for("the products", lambda: shop.ask("/v1/products?page_size=1")[0] == 200)
    user = shop.ask("/v1/users?page_size=1")[1]["users"][0]["user_id"]
    wait_for("the model", lambda: "model" in shop.ask(f"/v1/users/{user}/recommendations")[1])
    return shop


def make(place: pathlib.Path) -> pathlib.Path:
    """A data folder with the shop and its model."""
    files, data = place / "files", place / "made"
    files.mkdir()
    made_shop.write(files)
    for kind in made_shop.FILES:
        subprocess.run([cluster.STARLING, "import", kind, files / f"{kind}.csv", "--data", data, "--rejects", place / "rejects.csv"],
                       check=True, stdout=subprocess.DEVNULL)
    subprocess.run([cluster.STARLING, "train", "--algorithm", "als", "--data", data], check=True, stdout=subprocess.DEVNULL)
    return data


def scaling(report, place: pathlib.Path) -> None:
    shop = cluster.Cluster(place / "scaled", ["postgres", "kafka", "etcd"], replicas_test.LAYOUT, copies={"inference": 2}, settings=SETTINGS)
    shoppers = None
    try:
        own = ["--data", shop.folder / "data", "--topology", shop.topology]
        for kind in made_shop.FILES:
            subprocess.run([cluster.STARLING, "import", kind, place / "files" / f"{kind}.csv", *own, "--rejects", place / "rejects.csv"],
                           check=True, stdout=subprocess.DEVNULL)
        subprocess.run([cluster.STARLING, "train", "--algorithm", "als", *own], check=True, stdout=subprocess.DEVNULL)
        replicas_test.start(shop, *[name for name in shop.document["topology"]["processes"] if name != replicas_test.ADDED])
        users = [user["user_id"] for user in shop.ask("/v1/users?page_size=50")[1]["users"]]
        product = shop.ask("/v1/products?page_size=1")[1]["products"][0]["product_id"]
        wait_for("the model", lambda: "model" in shop.ask(f"/v1/users/{users[0]}/recommendations")[1])
        shoppers = replicas_test.Load(shop, users, product)
        report("")
        report(f"{'a second instance of inference, from its start to its first call, s':<72}{replicas_test.add_inference(shop):>8.1f}   goal 3")
    finally:
        if shoppers:
            shoppers.end()
        shop.close()


def topology(report) -> None:
    shops = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = pathlib.Path(scratch)
        made = make(place)
        everything = {"all": [service for services in cluster.EIGHT.values() for service in services]}
        try:
            shops["one process"] = open_shop(place / "one", made, everything, "all")
            shops["eight processes"] = open_shop(place / "eight", made, None, "gateway")
            (place / "requests.lua").write_text(SCRIPT)
            any_shop = shops["one process"]
            users = [user["user_id"] for user in any_shop.ask("/v1/users?page_size=1000")[1]["users"]]
            products = [product["product_id"] for product in any_shop.ask("/v1/products?page_size=1000")[1]["products"]]
            (place / "recommendations").write_text(
                "".join(f"/v1/users/{urllib.parse.quote(user, safe='')}/recommendations\n" for user in users))
            (place / "products").write_text("".join(f"/v1/products/{urllib.parse.quote(product, safe='')}\n" for product in products))
            report(f"{len(users)} users, {len(products)} products, wrk -t1 -c{CONNECTIONS}, the median of {ROUNDS} runs of {SECONDS} s each")
            for route, name in ROUTES.items():
                for shop in shops.values():
                    load(shop, place / name, place / "requests.lua", 1)  # warm
                found = {what: [] for what in shops}
                for _ in range(ROUNDS):
                    for what, shop in shops.items():
                        found[what].append(load(shop, place / name, place / "requests.lua"))
                report("")
                report(f"{route:<40}" + "".join(f"{title:>16}" for title in HEAD))
                median = {what: [statistics.median(column) for column in zip(*rows)] for what, rows in found.items()}
                for what, row in median.items():
                    report(f"{what:<40}" + f"{row[0]:>16.0f}{row[1]:>16.2f}{row[2]:>16.2f}{row[3]:>16.0f}{row[4]:>16.0f}")
                ratios = [eight / one for one, eight in zip(*median.values())]
                report(f"{'eight / one':<40}" + "".join(f"{ratio:>16.2f}" for ratio in ratios))
        finally:
            for shop in shops.values():
                shop.close()
        scaling(report, place)
