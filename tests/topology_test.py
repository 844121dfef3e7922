#!/usr/bin/env python3
"""The same shop, spread differently, answers the same: in one process, in eight on embedded stores, in eight on PostgreSQL with pgvector, Redis,
Kafka and etcd, and in eight on PostgreSQL with pgvector, RabbitMQ and etcd. What is imported, trained on and asked is the same; answers are compared byte for byte, where no clock and no random
name is in them. Then a shopper buys, and the very next answers are compared too.

TOPOLOGIES=one,eight chooses some of: one, eight, engines, rabbitmq.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import made_shop

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import cluster  # noqa: E402

STARLING = ROOT / "build/release/starling"
TOPOLOGIES = os.environ.get("TOPOLOGIES", "one,eight,engines,rabbitmq").split(",")
# Named anew each time, or told by a clock.
CHANGING = {"recommendation_id", "trace_id", "etag", "create_time", "update_time", "created_at", "updated_at", "expires_at",
            "access_token", "event_time", "instance", "next_page_token", "time", "scores", "as_of"}


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


def without_changing(value):
    if isinstance(value, dict):
        return {key: without_changing(item) for key, item in value.items() if key not in CHANGING}
    if isinstance(value, list):
        return [without_changing(item) for item in value]
    return value


class Answers:
    """What was asked, and what came back."""

    def __init__(self, shop: cluster.Cluster):
        self.shop = shop
        self.lines: list[str] = []

    def ask(self, path: str, body=None, method=None, token=None, headers=None) -> dict:
        status, answer = self.shop.ask(path, body, method, token, headers=headers)
        self.lines.append(f"{method or ('POST' if body is not None else 'GET')} {path} -> {status} "
                          + json.dumps(without_changing(answer), sort_keys=True))
        return answer


def wait_for(what: str, look, seconds: float = 60, otherwise=lambda: ""):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"did not come: {what}; {otherwise()}")


def walk(shop: cluster.Cluster) -> list[str]:
    answers = Answers(shop)
    products = [product["product_id"] for product in answers.ask("/v1/products?page_size=20")["products"]]
    for product in products[:5]:
        answers.ask(f"/v1/products/{product}")
    answers.ask("/v1/products/no-such-thing")
    answers.ask("/v1/products?page_size=100000")
    answers.ask("/v1/products", token="")
    users = [user["user_id"] for user in shop.ask("/v1/users?page_size=40")[1]["users"]]
    for user in users:
        answers.ask(f"/v1/users/{user}/recommendations?limit=10")
        answers.ask(f"/v1/users/{user}/history?limit=20")
    for product in products[:10]:
        answers.ask(f"/v1/users/{users[0]}/recommendations?limit=8&context=product&product_id={product}")
    # More than the model has to say, so that the nearest by vectors follow: those that it has no word for but "goes with".
    for product in products[:10]:
        similar = answers.ask(f"/v1/products/{product}/similar?limit=60")
        expect(any(item["reason"].startswith("goes with ") for item in similar["items"]),
               f"what is nearest to {product} is among {[item['reason'] for item in similar['items']]}")
    answers.ask(f"/v1/users/{users[0]}/recommendations?limit=1000")
    put = {"title": "A new thing", "categories": ["New"], "price": {"currency_code": "EUR", "units": "3"}, "availability": "IN_STOCK"}
    answers.ask("/v1/products/new-thing", put, "PUT")
    answers.ask("/v1/products/new-thing")
    answers.ask("/v1/products/new-thing", {"title": ""}, "PUT")
    # What was just bought is in the history, and not in the next answer.
    for user in users[:10]:
        _, before = shop.ask(f"/v1/users/{user}/recommendations?limit=5")
        bought = before["items"][0]["product"]["product_id"]
        event = {"events": [{"user_id": user, "product_id": bought, "type": "purchase", "event_id": f"buys-{user}"}]}
        status, answer = shop.ask("/v1/events", event, headers={"Idempotency-Key": f"buys-{user}"})
        expect(status in (200, 202), f"the purchase is taken, but: {status} {answer}")
        wait_for("the purchase in the history", lambda: any(
            one["product_id"] == bought and one["type"] == "purchase"
            for one in shop.ask(f"/v1/users/{user}/history?limit=5")[1].get("interactions", [])[:1]))
        wait_for("an answer without it", lambda: bought not in [
            item["product"]["product_id"] for item in shop.ask(f"/v1/users/{user}/recommendations?limit=10")[1].get("items", [])])
        answers.ask(f"/v1/users/{user}/recommendations?limit=10")
    return answers.lines


def run(*arguments) -> None:
    done = subprocess.run([STARLING, *arguments], capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"starling {arguments[0]} ends well, but it says:\n{done.stdout}{done.stderr}")


def answers_of(name: str, folder: pathlib.Path, files: pathlib.Path) -> list[str]:
    layouts = {"one": {"all": ["profile", "catalog", "ingestion", "events", "features", "training", "inference", "recommendation",
                               "analytics"]}}
    engines = {"engines": ["postgres", "redis", "kafka", "etcd"], "rabbitmq": ["postgres", "rabbitmq", "etcd"]}.get(name, [])
    layout = layouts.get(name)
    shop = cluster.Cluster(folder, engines, layout, gateway="all" if layout else "gateway", settings={"training": {"every": "0s"}})
    try:
        own = ["--data", folder / "data", "--topology", shop.topology]
        for kind in made_shop.FILES:
            run("import", kind, files / f"{kind}.csv", *own, "--rejects", folder / "rejects.csv")
        run("train", "--algorithm", "als", *own)
        start = time.monotonic()
        shop.start()
        print(f"{name}: {len(shop.processes)} processes are ready after {time.monotonic() - start:.1f} s", flush=True)
        wait_for("the model", lambda: "model" in shop.ask("/v1/users/ada/recommendations")[1],
                 otherwise=lambda: shop.ask("/v1/users/ada/recommendations"))
        wait_for("the vectors", lambda: "degraded" not in shop.ask("/v1/products/bread-1/similar?limit=60")[1],
                 otherwise=lambda: shop.ask("/v1/products/bread-1/similar?limit=60"))
        lines = walk(shop)
        codes = shop.stop()
        expect(all(code == 0 for code in codes.values()), f"all end well: {codes}")
        return lines
    finally:
        shop.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        files = pathlib.Path(place) / "files"
        files.mkdir()
        made_shop.write(files)
        first: list[str] = []
        for name in TOPOLOGIES:
            lines = answers_of(name, pathlib.Path(place) / name, files)
            if not first:
                first = lines
                continue
            expect(len(lines) == len(first), f"as many answers: {len(lines)} and {len(first)}")
            different = [(a, b) for a, b in zip(first, lines) if a != b]
            for a, b in different[:3]:
                print(f"{TOPOLOGIES[0]}: {a[:1500]}\n{name}: {b[:1500]}")
            expect(not different, f"{name} answers as {TOPOLOGIES[0]} does; {len(different)} of {len(lines)} differ")
            print(f"{name}: {len(lines)} answers are those of {TOPOLOGIES[0]}")


if __name__ == "__main__":
    main()
