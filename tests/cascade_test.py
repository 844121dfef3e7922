#!/usr/bin/env python3
"""No cascade: while shoppers ask for recommendations, each other service of a shop in eight processes is killed (SIGKILL), stays away, and
comes back. The route never answers 5xx, answers in time, says what it did without, and is whole again soon after the return.

Prints a table of what was answered before, during and after. AWAY=seconds a service stays away (2).
"""
import collections
import http.client
import json
import os
import pathlib
import sys
import tempfile
import threading
import time

import made_shop
from topology_test import expect, run

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import cluster  # noqa: E402

AWAY = float(os.environ.get("AWAY", "2"))
RECOVERY = 5  # seconds
WORKERS = 4
DEADLINE = 5  # of the route, seconds


class Load:
    """Workers that ask, one request after the other, and what each was answered."""

    def __init__(self, shop: cluster.Cluster, users: list[str]):
        self.shop, self.users = shop, users
        self.done: list[tuple[float, float, int, tuple]] = []  # when it was asked, seconds, status, degraded
        self.ending = False
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(WORKERS)]
        for thread in self.threads:
            thread.start()

    def work(self, number: int) -> None:
        host = self.shop.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        headers = {"Authorization": f"Bearer {self.shop.admin_key}"}
        while not self.ending:
            user = self.users[number % len(self.users)]
            number += WORKERS
            start = time.monotonic()
            try:
                connection.request("GET", f"/v1/users/{user}/recommendations?limit=10", headers=headers)
                answer = connection.getresponse()
                text = answer.read()
                degraded = tuple(json.loads(text).get("degraded", [])) if answer.status == 200 else ()
                self.done.append((start, time.monotonic() - start, answer.status, degraded))
            except (OSError, http.client.HTTPException):
                connection.close()
                self.done.append((start, time.monotonic() - start, 0, ()))
            time.sleep(0.002)

    def between(self, start: float, end: float) -> list[tuple[float, float, int, tuple]]:
        return [one for one in self.done if start <= one[0] < end]

    def end(self) -> None:
        self.ending = True
        for thread in self.threads:
            thread.join()


def shown(answers: list) -> str:
    if not answers:
        return "-"
    times = sorted(one[1] for one in answers)
    failed = sum(one[2] != 200 for one in answers)
    return f"{len(answers):6} {100 * failed / len(answers):5.1f} % {1000 * times[min(len(times) - 1, int(0.99 * len(times)))]:7.1f} ms"


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        files = pathlib.Path(place) / "files"
        files.mkdir()
        made_shop.write(files)
        shop = cluster.Cluster(pathlib.Path(place) / "shop", settings={"training": {"every": "0s"}})
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
            for user in users:
                shop.ask(f"/v1/users/{user}/recommendations?limit=10")
            load = Load(shop, users)
            print(f"{'killed':14} {'before: answers, failed, p99':>28} {'during':>28} {'after':>28}  whole again, did without")
            for name in [name for name, services in shop.layout.items() if services and name != "recommendation"]:
                time.sleep(1)
                before = time.monotonic()
                time.sleep(1)
                killed = time.monotonic()
                shop.kill(name)
                time.sleep(AWAY)
                shop.start(name)
                back = time.monotonic()
                time.sleep(RECOVERY)
                end = time.monotonic()
                during, after = load.between(killed, back), load.between(back, end)
                missed = collections.Counter(part for one in during + after for part in one[3])
                late = [one[0] - back for one in after if one[3] or one[2] != 200]
                whole = max(late, default=0.0)
                print(f"{name:14} {shown(load.between(before, killed)):>28} {shown(during):>28} {shown(after):>28}"
                      f"  {whole:.1f} s, {dict(missed) or 'nothing'}", flush=True)
                for what, answers in (("before", load.between(before, killed)), ("during", during), ("after", after)):
                    wrong = collections.Counter(one[2] for one in answers if one[2] != 200)
                    expect(not wrong, f"without {name} all are answered, but {what}: {dict(wrong)}")
                    expect(len(answers) > 10, f"without {name} the route goes on: {len(answers)} answers {what}")
                expect(max(one[1] for one in during) < DEADLINE, f"without {name} it answers within its deadline")
                expect(whole < RECOVERY - 0.5, f"after {name} is back, answers are whole within {RECOVERY} s, but some are not after {whole:.1f}")
        finally:
            if load:
                load.end()
            shop.close()


if __name__ == "__main__":
    main()
