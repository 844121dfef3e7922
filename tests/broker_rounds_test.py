#!/usr/bin/env python3
"""The broker killed (SIGKILL) and started again, BROKER_ROUNDS rounds (3), under a load of events through the API of a shop in eight
processes on Kafka: every event that was acknowledged counts exactly once in the API's own count, and is once in its user's history.

An event that is refused, or whose answer does not come, is sent again with the same event_id until it is acknowledged: so the count of
clicks must be the number of events, no less and no more.
"""
import http.client
import json
import os
import pathlib
import random
import sys
import tempfile
import threading
import time

import made_shop
from topology_test import expect, run, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import cluster  # noqa: E402

ROUNDS = int(os.environ.get("BROKER_ROUNDS", "3"))
ENGINES = os.environ.get("ENGINES", "kafka").split(",")
WRITERS, BATCH = 4, 5
AT_LEAST = 50  # events that each round acknowledges before the broker is killed
EVENTS_OF_A_USER = 400  # less than a history shows
CATCH_UP = 120  # seconds


class Writer(threading.Thread):
    """Sends clicks, a batch after the other, each until it is acknowledged."""

    def __init__(self, shop: cluster.Cluster, number: int, answer: dict):
        super().__init__()
        self.shop, self.number = shop, number
        self.recommendation, self.product = answer["recommendation_id"], answer["items"][0]["product"]["product_id"]
        self.acknowledged: dict[str, list[str]] = {}
        self.again = 0  # times that a batch was sent again
        self.wrong: list[str] = []
        self.ending = False
        self.start()

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.shop.url.removeprefix("http://"), timeout=15)
        sent = 0
        while not self.ending:
            user = f"clicks-{self.number}-{sent // EVENTS_OF_A_USER}"
            names = [f"click-{self.number}-{sent + i}" for i in range(BATCH)]
            sent += BATCH
            body = json.dumps({"events": [{"user_id": user, "product_id": self.product, "type": "click", "event_id": name,
                                           "recommendation_id": self.recommendation} for name in names]})
            while not self.acknowledge(connection, body):
                if self.ending and self.shop.processes[self.shop.gateway].popen.poll() is not None:
                    return
                self.again += 1
                time.sleep(0.1)
            self.acknowledged.setdefault(user, []).extend(names)
            time.sleep(0.02)

    def acknowledge(self, connection: http.client.HTTPConnection, body: str) -> bool:
        try:
            connection.request("POST", "/v1/events", body, {"Authorization": f"Bearer {self.shop.admin_key}",
                                                            "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self.wrong.append(repr(error))
            return False
        if answer.status not in (202, 503, 504):
            self.wrong.append(f"{answer.status} {text[:300]}")
        return answer.status == 202


def clicks(shop: cluster.Cluster) -> int:
    status, answer = shop.ask("/v1/analytics/recommendations?group_by=context")
    return sum(int(row.get("clicks", 0)) for row in answer.get("statistics", [])) if status == 200 else -1


def history(shop: cluster.Cluster, user: str) -> list[str]:
    return [one["event_id"] for one in shop.ask(f"/v1/users/{user}/history?limit=500")[1].get("interactions", [])]


def main() -> None:
    draw = random.Random(5)
    with tempfile.TemporaryDirectory() as place:
        files = pathlib.Path(place) / "files"
        files.mkdir()
        made_shop.write(files)
        shop = cluster.Cluster(pathlib.Path(place) / "shop", ENGINES, settings={"training": {"every": "0s"}})
        writers: list[Writer] = []
        try:
            own = ["--data", shop.folder / "data", "--topology", shop.topology]
            for kind in made_shop.FILES:
                run("import", kind, files / f"{kind}.csv", *own, "--rejects", shop.folder / "rejects.csv")
            shop.start()
            answer = wait_for("a recommendation", lambda: (lambda said: said if said.get("items") else None)(
                shop.ask("/v1/users/ada/recommendations?limit=5")[1]))
            writers = [Writer(shop, number, answer) for number in range(WRITERS)]
            begun = time.monotonic()

            def acknowledged() -> int:
                return sum(len(names) for writer in writers for names in list(writer.acknowledged.values()))

            for number in range(ROUNDS):
                goes_on = acknowledged() + AT_LEAST
                wait_for(f"acknowledged events in round {number + 1}", lambda goes_on=goes_on: acknowledged() >= goes_on)
                time.sleep(draw.uniform(0, 1))
                shop.engines["kafka"].tell("kill")
                time.sleep(draw.uniform(0, 1))
                shop.engines["kafka"].tell("start")
                ended = [name for name, process in shop.processes.items() if process.popen.poll() is not None]
                expect(not ended, f"no process ends, but in round {number + 1}: {ended}")
                if number % 10 == 9:
                    print(f"{number + 1} rounds, {time.monotonic() - begun:.0f} s: {acknowledged()} acknowledged, {clicks(shop)} counted", flush=True)
            for writer in writers:
                writer.ending = True
            for writer in writers:
                writer.join()
            ended = time.monotonic()
            sent = acknowledged()
            again = sum(writer.again for writer in writers)
            wrong = [what for writer in writers for what in writer.wrong]
            expect(not wrong, f"refused with 503 or 504 only, but {len(wrong)} times not: {wrong[:3]}")
            wait_for(f"{sent} clicks in the count", lambda: clicks(shop) >= sent, CATCH_UP, lambda: f"counted are {clicks(shop)}")
            print(f"{ROUNDS} rounds in {ended - begun:.0f} s: {sent} events acknowledged, {again} batches sent again, all counted "
                  f"{time.monotonic() - ended:.1f} s after the last", flush=True)
            for writer in writers:
                for user, names in writer.acknowledged.items():
                    wait_for(f"the history of {user}", lambda user=user, names=names: set(names) <= set(history(shop, user)), CATCH_UP,
                             lambda user=user, names=names: sorted(set(names) - set(history(shop, user)))[:5])
                    there = history(shop, user)
                    expect(len(there) == len(names), f"{user} did {len(names)} things once, but has {len(there)}")
            time.sleep(2)  # one that came twice would be counted by now: it was read before
            expect(clicks(shop) == sent, f"{sent} clicks count once, but counted are {clicks(shop)}")
        finally:
            for writer in writers:
                writer.ending = True
            shop.close()
            for writer in writers:
                writer.join()


if __name__ == "__main__":
    main()
