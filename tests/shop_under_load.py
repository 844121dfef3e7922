"""Callers of a shop that goes through a fault, and what they were answered: for tests that print a table of before, while and after.

Shoppers ask for recommendations; writers send events, each with its own id, and remember which were acknowledged; an operator changes a
product and remembers the last change that was acknowledged. Nobody tries again by himself.
"""
import collections
import http.client
import json
import threading
import time

from topology_test import expect, wait_for

SHOPPERS, WRITERS = 3, 2
DEADLINE = 1  # of a recommendation, seconds, as its contract says
PATIENCE = 8  # of a caller: the deadline of a write is 5 s, an answer that is not there after this never came
PATIENT = 30  # seconds from the return until all must be whole; printed is how many it took
SPAN, STRAY = 1.2, 0.05  # whole: of what began in the last seconds, so much at most is not, as on a machine that is busy
EVENTS_OF_A_USER = 400  # less than a history shows

Done = collections.namedtuple("Done", "start seconds status degraded kind")


class Load:
    def __init__(self, shop, users: list[str], product: str):
        self.shop, self.users, self.product = shop, users, product
        self.done: list[Done] = []
        self.wrong: list[str] = []  # what nobody may be answered, whatever is gone
        self.acknowledged: dict[str, set[str]] = collections.defaultdict(set)  # of a user, events
        self.title = 0  # number of the last change that was acknowledged
        self.ending = False
        work = [(self.shop_around, n) for n in range(SHOPPERS)] + [(self.write, n) for n in range(WRITERS)] + [(self.operate, 0)]
        self.threads = [threading.Thread(target=what, args=(number,)) for what, number in work]
        for thread in self.threads:
            thread.start()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.shop.url.removeprefix("http://"), timeout=PATIENCE)

    def ask(self, connection: http.client.HTTPConnection, kind: str, method: str, path: str, body=None) -> int:
        start = time.monotonic()
        status, degraded, said = 0, (), ""
        try:
            connection.request(method, path, json.dumps(body) if body else None,
                               {"Authorization": f"Bearer {self.shop.admin_key}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            status = answer.status
            if status == 200 and kind == "recommendations":
                degraded = tuple(json.loads(text).get("degraded", []))
            allowed = status in (200, 202) or kind != "recommendations" and (
                status == 503 and answer.headers["Retry-After"] or status == 504)
            said = "" if allowed else text[:300].decode(errors="replace") + f", Retry-After: {answer.headers['Retry-After']}"
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            said = repr(error)
        self.done.append(Done(start, time.monotonic() - start, status, degraded, kind))
        if said:
            self.wrong.append(f"{method} {path} after {time.monotonic() - start:.2f} s: {status} {said}")
        return status

    def shop_around(self, number: int) -> None:
        connection = self.connect()
        while not self.ending:
            number += SHOPPERS
            self.ask(connection, "recommendations", "GET", f"/v1/users/{self.users[number % len(self.users)]}/recommendations?limit=10")
            time.sleep(0.005)

    def write(self, number: int) -> None:
        connection, sent = self.connect(), 0
        while not self.ending:
            user, event = f"writer-{number}-{sent // EVENTS_OF_A_USER}", f"write-{number}-{sent}"
            sent += 1
            if self.ask(connection, "events", "POST", "/v1/events", {"events": [
                    {"user_id": user, "product_id": self.product, "type": "view", "event_id": event}]}) == 202:
                self.acknowledged[user].add(event)
            time.sleep(0.02)

    def operate(self, number: int) -> None:
        connection = self.connect()
        while not self.ending:
            number += 1
            if self.ask(connection, "products", "PUT", f"/v1/products/{self.product}",
                        {"title": f"Changed {number}", "categories": ["New"], "availability": "AVAILABILITY_IN_STOCK"}) == 200:
                self.title = number
            time.sleep(0.05)

    def between(self, start: float, end: float, *kinds: str) -> list[Done]:
        return [one for one in self.done if start <= one.start < end and one.kind in (kinds or ("recommendations",))]

    def whole_since(self, back: float) -> float:
        """Seconds after `back` at which the last answer began that failed or did without something."""
        return max((one.start - back for one in self.done if one.start >= back and (one.degraded or one.status not in (200, 202))), default=0.0)

    def troubled(self) -> float:
        """The share of the last answers that failed or did without something."""
        last = [one for one in list(self.done) if one.start > time.monotonic() - SPAN]
        return sum(bool(one.degraded) or one.status not in (200, 202) for one in last) / len(last) if last else 1.0

    def end(self) -> None:
        self.ending = True
        for thread in self.threads:
            thread.join()

    def check_acknowledged(self) -> int:
        """Everything that was acknowledged is there, once; how many events."""
        def history(user: str) -> list[str]:
            return [one["event_id"] for one in self.shop.ask(f"/v1/users/{user}/history?limit=500")[1].get("interactions", [])]

        for user, events in self.acknowledged.items():
            wait_for(f"the events of {user}", lambda user=user, events=events: events <= set(history(user)),
                     otherwise=lambda user=user, events=events: f"missing: {sorted(events - set(history(user)))[:5]} of {len(events)}")
            there = history(user)
            expect(len(there) == len(set(there)), f"{user} has each event once")
        status, product = self.shop.ask(f"/v1/products/{self.product}")
        shown = int(product["title"].removeprefix("Changed "))
        expect(status == 200 and shown >= self.title, f"change {self.title} was acknowledged, but shown is {product['title']}")
        return sum(map(len, self.acknowledged.values()))


def retries(shop) -> float:
    """Of all processes, since they began."""
    total = 0.0
    for name in shop.processes:
        total += sum(float(line.split()[-1]) for line in shop.admin(name, "/metrics").splitlines()
                     if line.startswith("starling_client_retries_total"))
    return total


def p99(answers: list[Done]) -> str:
    times = sorted(one.seconds for one in answers)
    return f"{1000 * times[min(len(times) - 1, int(0.99 * len(times)))]:.0f}" if times else "-"


HEAD = (f"{'':24} {'away':>6} {'asked':>6} {'failed':>6} {'p99 before, while, after, ms':>28} {'writes':>7} {'refused':>7} {'slowest':>8} "
        f"{'retries':>8} {'whole':>7}  did without")


def through(load: Load, what: str, begin, end, away: float, before: float = 0.7) -> None:
    """One fault: begins it, waits, ends it, waits until all is whole, prints a row, and says what was not as promised."""
    started, counted = time.monotonic(), retries(load.shop)
    time.sleep(before)
    gone = time.monotonic()
    begin()
    time.sleep(away)
    end()
    back = time.monotonic()
    time.sleep(SPAN)
    while load.troubled() > STRAY and time.monotonic() - back < PATIENT:
        time.sleep(0.05)
    troubled = load.troubled()
    parts = [load.between(started, gone), load.between(gone, back), load.between(back, time.monotonic())]
    writes = load.between(gone, time.monotonic(), "events", "products")
    refused = sum(one.status not in (200, 202) for one in writes)
    failed = sum(one.status != 200 for part in parts for one in part)
    asked = len(load.between(started, time.monotonic(), "recommendations", "events", "products"))
    tried_again = retries(load.shop) - counted
    without = collections.Counter(part for one in parts[1] + parts[2] for part in one.degraded)
    whole = load.whole_since(back)
    print(f"{what:24} {back - gone:4.1f} s {len(parts[1]):6} {failed:6} {', '.join(map(p99, parts)):>28} {len(writes):7} {refused:7} "
          f"{max((one.seconds for one in writes), default=0):6.2f} s {100 * tried_again / asked:6.1f} % {whole:5.1f} s  {dict(without) or ''}", flush=True)
    expect(not load.wrong, f"with {what}: {load.wrong[:3]}, {len(load.wrong)} in all")
    expect(len(parts[1]) > 10, f"with {what} recommendations go on: {len(parts[1])}")
    expect(tried_again <= 0.1 * asked, f"with {what} at most a tenth is tried again: {tried_again} of {asked}")
    expect(troubled <= STRAY, f"after {what} all is whole again, but of the last answers {troubled:.0%} are not")
    ended = [name for name, process in load.shop.processes.items() if process.popen.poll() is not None]
    expect(not ended, f"with {what} no process ends: {ended}")


def begin(shop, place, files) -> Load:
    """Imports, trains, starts, asks each user once, and lets the callers loose."""
    import made_shop
    from topology_test import run
    made_shop.write(files)
    own = ["--data", shop.folder / "data", "--topology", shop.offline]
    for kind in made_shop.FILES:
        run("import", kind, files / f"{kind}.csv", *own, "--rejects", place / "rejects.csv")
    run("train", "--algorithm", "als", *own)
    started = time.monotonic()
    shop.start()
    print(f"{len(shop.processes)} processes are ready after {time.monotonic() - started:.1f} s", flush=True)
    users = [user["user_id"] for user in shop.ask("/v1/users?page_size=50")[1]["users"]]
    product = shop.ask("/v1/products?page_size=1")[1]["products"][0]["product_id"]
    wait_for("the model", lambda: "model" in shop.ask(f"/v1/users/{users[0]}/recommendations")[1])
    for user in users:
        shop.ask(f"/v1/users/{user}/recommendations?limit=10")
    load = Load(shop, users, product)
    time.sleep(1)
    return load
