#!/usr/bin/env python3
"""kill -9 during import, training and serving, KILL_ROUNDS rounds (6 when not said): every acknowledged event is there once, the
registry of models is whole, and the shop comes back."""
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

ROOT = pathlib.Path(__file__).resolve().parents[1]
STARLING = ROOT / "build/release/starling"
ROUNDS = int(os.environ.get("KILL_ROUNDS", "6"))
CUSTOMERS, ROWS = 300, 40_000


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


def make_retail(path: pathlib.Path, draw: random.Random) -> dict[str, int]:
    """A retail file; how many purchases each customer has in it."""
    purchases: dict[str, int] = {}
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"])
        for number in range(ROWS):
            customer = str(12_000 + (number // 4) % CUSTOMERS)
            shelf = int(customer) % 5
            rows.writerow([500_000 + number // 4, 20_000 + shelf * 100 + draw.randrange(100), "A THING TO BUY", 1,
                           f"2010-{1 + number * 11 // ROWS:02d}-{1 + number * 7 % 27:02d} 10:00:00", 1.5, customer, "France"])
            purchases[customer] = purchases.get(customer, 0) + 1
    return purchases


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


def serve(data: pathlib.Path, number: int, draw: random.Random, acknowledged: dict[str, set[str]]) -> None:
    """Serves, writes events while a training runs, and kills it."""
    server = Server(data)
    try:
        write(server, number, draw, acknowledged)
    finally:
        server.kill()


def write(server: Server, number: int, draw: random.Random, acknowledged: dict[str, set[str]]) -> None:
    server.ask("/v1/models/recommender:train", {"algorithm": "item_knn"})
    stop = time.monotonic() + draw.uniform(0.1, 1.2)
    for batch in range(1_000):
        if time.monotonic() > stop:
            break
        events = [{"event_id": f"round-{number}-{batch}-{i}", "user_id": f"late-{number}-{i}", "product_id": f"{20_000 + i}",
                   "type": "purchase"} for i in range(10)]
        server.ask("/v1/events", {"events": events})
        for event in events:
            acknowledged.setdefault(event["user_id"], set()).add(event["event_id"])


def look(server: Server, purchases: dict[str, int], acknowledged: dict[str, set[str]]) -> None:
    """Everything that was promised is there."""
    for user, promised in acknowledged.items():
        for _ in range(300):  # consumers catch up
            there = [one["event_id"] for one in server.ask(f"/v1/users/{user}/history?limit=500").get("interactions", [])]
            if promised <= set(there) or len(promised) > 500:
                break
            time.sleep(0.1)
        expect(len(there) == len(set(there)), f"{user} has no event twice")
        expect(len(there) >= min(500, len(promised)), f"{user} has what was acknowledged, {len(promised)} events: {len(there)}")
        expect(promised <= set(there) or len(promised) > 500, f"each of them; missing: {sorted(promised - set(there))[:5]}")
    for customer in list(purchases)[:40]:
        history = server.ask(f"/v1/users/{customer}/history?limit=500").get("interactions", [])
        expect(len(history) == min(500, purchases[customer]), f"{customer} bought {purchases[customer]} times, and has {len(history)}")
        expect(len({one["event_id"] for one in history}) == len(history), f"{customer} has each once")
    versions = server.ask("/v1/models/recommender/versions").get("versions", [])
    expect(all(not version.get("problem") for version in versions), f"every registered version is whole: {versions}")
    expect(sum(1 for version in versions if version.get("serving")) == 1, f"one version serves: {versions}")
    for _ in range(100):
        if server.ask("/v1/inference/models").get("models"):
            break
        time.sleep(0.1)
    answer = server.ask("/v1/users/12000/recommendations")
    expect(len(answer["items"]) == 10 and "degraded" not in answer, f"the shop recommends again: {answer}")


def main() -> int:
    draw = random.Random(9)
    counted = {"import": 0, "train": 0, "serve": 0}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        purchases = make_retail(folder / "retail.csv", draw)
        acknowledged: dict[str, set[str]] = {}
        data = folder / "data"
        bring_in = [STARLING, "import", "online-retail", folder / "retail.csv", "--data", data, "--rejects", folder / "rejects.csv"]
        train = [STARLING, "train", "--data", data, "--algorithm", "item_knn", "--promote", "always"]
        # How long they take when nothing happens to them.
        alone = folder / "alone"
        import_takes = finish([part if part != data else alone for part in bring_in])
        train_takes = finish([part if part != data else alone for part in train])
        third = max(1, ROUNDS // 3)
        for number in range(third):  # one goes on where the last was killed, the next looks at all again
            again = ["--again"] if number % 2 else []
            counted["import"] += killed([*bring_in, *again], draw.uniform(0.05, import_takes))
        finish(bring_in)
        for _ in range(third):
            counted["train"] += killed(train, draw.uniform(0.05, train_takes))
        finish(train)
        for number in range(ROUNDS - 2 * third):
            serve(data, number, draw, acknowledged)
            counted["serve"] += 1
            if number % 5 == 4:
                finish([*bring_in, "--again"])
        server = Server(data)
        try:
            look(server, purchases, acknowledged)
        finally:
            ended = server.stop()
        expect(ended == 0, f"starling ends well, not with {ended}")
    print(f"killed at work: {counted}; {sum(map(len, acknowledged.values()))} events acknowledged while serving, {ROWS} rows imported")
    expect(all(count > 0 for count in counted.values()), f"each was killed at work at least once: {counted}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
