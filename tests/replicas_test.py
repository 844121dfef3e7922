#!/usr/bin/env python3
"""Two instances of every service, on PostgreSQL, Kafka and etcd, under load: one of each killed (SIGKILL) in turn, every process restarted
in turn (SIGTERM), and a second instance of inference added. No request fails.

Shoppers ask for recommendations; others buy, and look until the next answer of the history knows it; an operator changes a product
and reads it at once. All of them ask two gateways in turn, as a load balancer would: when one does not answer, the other is asked.
Prints a table, docs/topology.md has one run of it.
"""
import collections
import http.client
import json
import pathlib
import sys
import tempfile
import threading
import time
import urllib.error

import made_shop
from topology_test import expect, run, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import cluster  # noqa: E402

LAYOUT = {**{name: services for name, services in cluster.EIGHT.items() if name != "analytics"}, "training": ["training", "analytics"]}
ADDED = "inference-2"
SHOPPERS = 3
BEFORE, AWAY, AFTER = 0.7, 1.2, 0.7  # seconds
GOOD = (200, 202)
Done = collections.namedtuple("Done", "start seconds status degraded kind")


class Client:
    """One connection to each gateway; a request that one does not answer goes to the other."""

    def __init__(self, shop: cluster.Cluster, first: int):
        hosts = [entry["http"] for entry in shop.document["topology"]["processes"].values() if "http" in entry]
        self.connections = [http.client.HTTPConnection(host, timeout=30) for host in hosts]
        self.headers = {"Authorization": f"Bearer {shop.admin_key}", "Content-Type": "application/json"}
        self.turn = first

    def ask(self, method: str, path: str, body=None, key: str | None = None) -> tuple[int, dict]:
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        self.turn += 1
        for attempt in range(2 * len(self.connections)):  # a kept connection may have ended with its gateway
            connection = self.connections[(self.turn + attempt) % len(self.connections)]
            try:
                connection.request(method, path, json.dumps(body) if body else None, headers)
                answer = connection.getresponse()
                text = answer.read()
                return answer.status, json.loads(text) if text else {}
            except (OSError, http.client.HTTPException):
                connection.close()
        return 0, {}


class Load:
    def __init__(self, shop: cluster.Cluster, users: list[str], product: str):
        self.shop, self.users, self.product = shop, users, product
        self.done: list[Done] = []
        self.known: list[float] = []  # seconds from a purchase's acknowledgement to the history that has it
        self.wrong: list[str] = []
        self.ending = False
        work = [(self.ask_for_recommendations, number) for number in range(SHOPPERS)] + [(self.buy, 0), (self.operate, 1)]
        self.threads = [threading.Thread(target=what, args=(number,)) for what, number in work]
        for thread in self.threads:
            thread.start()

    def tell(self, client: Client, kind: str, method: str, path: str, body=None, key=None) -> dict:
        start = time.monotonic()
        status, answer = client.ask(method, path, body, key)
        self.done.append(Done(start, time.monotonic() - start, status, tuple(answer.get("degraded", [])), kind))
        if status not in GOOD:
            self.wrong.append(f"{method} {path}: {status} {answer}")
        return answer

    def ask_for_recommendations(self, number: int) -> None:
        client = Client(self.shop, number)
        while not self.ending:
            number += SHOPPERS
            self.tell(client, "recommendations", "GET", f"/v1/users/{self.users[number % len(self.users)]}/recommendations?limit=10")
            time.sleep(0.004)

    def buy(self, number: int) -> None:
        client = Client(self.shop, number)
        while not self.ending:
            number += 1
            user, event = self.users[number % len(self.users)], f"buys-{number}"
            self.tell(client, "events", "POST", "/v1/events", {"events": [
                {"user_id": user, "product_id": self.product, "type": "purchase", "event_id": event}]}, event)
            bought = time.monotonic()
            while not self.ending:
                history = self.tell(client, "history", "GET", f"/v1/users/{user}/history?limit=5")
                if any(one["event_id"] == event for one in history.get("interactions", [])):
                    self.known.append(time.monotonic() - bought)
                    break
                time.sleep(0.002)
            time.sleep(0.02)

    def operate(self, number: int) -> None:
        client = Client(self.shop, number)
        while not self.ending:
            number += 1
            title = f"Changed {number} times"
            self.tell(client, "products", "PUT", f"/v1/products/{self.product}", {
                "title": title, "categories": ["New"], "availability": "AVAILABILITY_IN_STOCK"})
            read = self.tell(client, "products", "GET", f"/v1/products/{self.product}")
            if read and read.get("title") != title:
                self.wrong.append(f"wrote '{title}', read '{read.get('title')}'")
            time.sleep(0.05)

    def between(self, start: float, end: float) -> list[Done]:
        return [one for one in self.done if start <= one.start < end]

    def end(self) -> None:
        self.ending = True
        for thread in self.threads:
            thread.join()


def p99(seconds: list[float]) -> str:
    return f"{1000 * sorted(seconds)[int(0.99 * len(seconds))]:.0f} ms" if seconds else "-"


def times(answers: list[Done]) -> str:
    return p99([one.seconds for one in answers if one.kind == "recommendations"])


def ready(shop: cluster.Cluster, name: str) -> bool:
    try:
        return json.loads(shop.admin(name, "/readyz"))["status"] == "ready"
    except (urllib.error.URLError, OSError):
        return False


def start(shop: cluster.Cluster, *names: str) -> None:
    shop.start(*names)
    for name in names or tuple(shop.processes):
        wait_for(f"{name} is ready", lambda name=name: ready(shop, name))


def row(load: Load, what: str, before: float, begin: float, back: float, end: float) -> None:
    """What was asked before, while something was away, and after it was back."""
    parts = [load.between(before, begin), load.between(begin, back), load.between(back, end)]
    failed = sum(one.status not in GOOD for part in parts for one in part)
    without = collections.Counter(part for one in parts[1] + parts[2] for part in one.degraded)
    print(f"{what:22} {len(parts[1]):6} {failed:6}   {', '.join(times(part) for part in parts):26} {dict(without) or ''}", flush=True)
    expect(not load.wrong, f"nothing fails, but with {what}: {load.wrong[:3]} and {len(load.wrong)} in all")
    expect(len(parts[1]) > 10, f"with {what} it goes on")


def add_inference(shop: cluster.Cluster) -> float:
    """Starts it; the seconds until it took its first call."""
    def served() -> bool:
        try:
            return any(line.startswith("starling_rpc_requests_total") and "Recommend" in line and float(line.split()[-1]) > 0
                       for line in shop.admin(ADDED, "/metrics").splitlines())
        except (urllib.error.URLError, OSError):
            return False

    begun = time.monotonic()
    shop.start(ADDED)
    started = time.monotonic()
    wait_for("a call to the instance that was added", served)
    taken = time.monotonic() - begun
    print(f"{ADDED} took its first call {taken:.1f} s after its start, of which it was starting {started - begun:.1f} s", flush=True)
    return taken


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        files = pathlib.Path(place) / "files"
        files.mkdir()
        made_shop.write(files)
        shop = cluster.Cluster(pathlib.Path(place) / "shop", ["postgres", "kafka", "etcd"], LAYOUT,
                               copies=dict.fromkeys(LAYOUT, 2), settings={"training": {"every": "0s"}})
        load = None
        try:
            own = ["--data", shop.folder / "data", "--topology", shop.topology]
            run("topology", "check", "--topology", shop.topology)
            for kind in made_shop.FILES:
                run("import", kind, files / f"{kind}.csv", *own, "--rejects", shop.folder / "rejects.csv")
            run("train", "--algorithm", "als", *own)
            everybody = list(shop.document["topology"]["processes"])
            begun = time.monotonic()
            start(shop, *[name for name in everybody if name != ADDED])
            print(f"{len(shop.processes)} processes are ready after {time.monotonic() - begun:.1f} s", flush=True)
            users = [user["user_id"] for user in shop.ask("/v1/users?page_size=50")[1]["users"]]
            product = shop.ask("/v1/products?page_size=1")[1]["products"][0]["product_id"]
            wait_for("the model", lambda: "model" in shop.ask(f"/v1/users/{users[0]}/recommendations")[1])
            load = Load(shop, users, product)
            time.sleep(1)
            add_inference(shop)
            time.sleep(1)
            print(f"a purchase is known after: {p99(load.known)} (p99 of {len(load.known)})")
            print(f"{'':22} {'asked':>6} {'failed':>6}   p99 before, while, after   did without")
            for name in LAYOUT:
                before = time.monotonic()
                time.sleep(BEFORE)
                begin = time.monotonic()
                shop.kill(name)
                time.sleep(AWAY)
                start(shop, name)
                back = time.monotonic()
                time.sleep(AFTER)
                row(load, f"{name} killed", before, begin, back, time.monotonic())
            before = time.monotonic()
            time.sleep(BEFORE)
            begin = time.monotonic()
            for name in everybody:
                codes = shop.stop(name)
                expect(codes == {name: 0}, f"{name} ends well: {codes}")
                start(shop, name)
            back = time.monotonic()
            time.sleep(AFTER)
            row(load, "each restarted", before, begin, back, time.monotonic())
            print(f"the rolling restart of {len(everybody)} processes took {back - begin:.0f} s; a purchase was known after: "
                  f"{p99(load.known)} (p99 of {len(load.known)}, all of the time)")
        finally:
            if load:
                load.end()
            shop.close()
        expect(not load.wrong, f"nothing fails: {load.wrong[:3]}")
        expect(len(load.known) > 20, f"purchases are known: {len(load.known)}")


if __name__ == "__main__":
    main()
