#!/usr/bin/env python3
"""The way of a recommendation, through HTTP, step by step: each step's effect is looked at where it shows.

1 a shopper signs in and asks          the answer's status, trace and type
2 the gateway lets in who may          401, 403 and 404 for who may not
3 profile and catalog are asked        what was just bought is in the history and not in the answer
4 inference ranks                      the answer names the model's version, and other users get other products
5 details, rules, reasons              titles and prices as the catalogue has them; a reason is true of the history
6 the answer goes out                  as JSON, with the id that names it
7 the event log is told                analytics counts the answer, the click and the purchase, joined by that id

Then 200 purchases, each followed by the shopper's next answer: none may offer what was just bought, and every one of the
events is in the history once. With ../shared/data/online-retail these are real customers and products; without, made ones.
"""
import csv
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
STARLING = ROOT / "build/release/starling"
REAL = ROOT.parent / "shared/data/online-retail/online_retail_2009_2010.csv.zst"
PURCHASES = 200


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


def made_retail(path: pathlib.Path) -> pathlib.Path:
    """Like the UCI file: customers of three kinds, who buy from three shelves."""
    print("made data: ../shared/data/online-retail is not there")
    draw = random.Random(7)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"])
        for invoice in range(1_500):
            customer = draw.randrange(120)
            day = 1 + invoice * 27 // 1_500
            for _ in range(4):
                shelf = customer % 3 if draw.random() < 0.9 else draw.randrange(3)
                product = shelf * 40 + min(int(draw.expovariate(0.1)), 39)
                rows.writerow([500_000 + invoice, 20_000 + product, f"PRODUCT {product} OF SHELF {shelf}", draw.randint(1, 6),
                               f"2010-11-{day:02d} 1{draw.randrange(10)}:00:00", 0.5 + product % 7, 12_000 + customer, "United Kingdom"])
    return path


def lower(headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class Shop:
    def __init__(self, data: str) -> None:
        self.process = subprocess.Popen([STARLING, "up", "--data", data, "--port", "0", "--set", "storefront.demo_sign_in=true"],
                                        stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("API"):
                self.url = line.split()[-1]
            if line == "ready\n":
                return
        sys.exit(f"starling did not become ready: it ended with {self.process.wait()}")

    def ask(self, path: str, token: str = "", body: dict | None = None, method: str | None = None) -> tuple[int, dict, dict]:
        """Status, headers and answer."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return answer.status, lower(answer.headers), json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            return error.code, lower(error.headers), json.loads(error.read())


def run(*arguments: str) -> None:
    done = subprocess.run([STARLING, *arguments], capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"starling {arguments[0]} ends well, but it says:\n{done.stdout}{done.stderr}")


def wait_for(what: str, look) -> dict:
    """What look gives, as soon as it gives something: what travels by the event log takes a moment."""
    for _ in range(300):
        found = look()
        if found:
            return found
        time.sleep(0.1)
    sys.exit(f"did not come: {what}")


def key_for(data: str, scope: str) -> str:
    return subprocess.check_output([STARLING, "keys", "create", "--data", data, "--scope", scope], text=True,
                                   stderr=subprocess.DEVNULL).split()[-1]


def ids(answer: dict) -> list[str]:
    return [item["product"]["product_id"] for item in answer["items"]]


def walk(shop: Shop, admin: str, reader: str) -> None:
    _, _, page = shop.ask("/v1/users?page_size=1000", admin)
    shoppers = [user["user_id"] for user in page["users"]]
    random.Random(11).shuffle(shoppers)
    history = lambda user: shop.ask(f"/v1/users/{user}/history?limit=500", admin)[2].get("interactions", [])
    shopper = next(user for user in shoppers if len({one["product_id"] for one in history(user)}) >= 15)

    # 1, 2
    status, _, session = shop.ask("/demo/sessions", body={"user_id": shopper})
    expect(status in (200, 201), f"the shopper signs in, but: {status} {session}")
    token = session["access_token"]
    expect(shop.ask("/v1/recommendations")[0] == 401, "nobody is let in without credentials")
    expect(shop.ask("/v1/models", token)[0] == 403, "a shopper may not see the models")
    other = next(user for user in shoppers if user != shopper)
    status, _, refused = shop.ask(f"/v1/users/{other}/recommendations", token)
    expect(status == 404, f"for a shopper there is nobody else, but: {status} {refused}")
    expect(shop.ask(f"/v1/users/{other}/recommendations", reader)[0] == 200, "a key with the scope may")
    status, headers, first = shop.ask("/v1/recommendations?limit=10", token)
    expect(status == 200 and "degraded" not in first, f"the answer is whole, but: {status} {first}")
    # 6
    expect(headers["content-type"].startswith("application/json"), f"it is JSON, not {headers}")
    expect(len(first["items"]) == 10 and bool(first["recommendation_id"]), "ten products, and a name for the answer")

    # 4
    serving = shop.ask("/v1/models", admin)[2]["models"][0]["serving_version"]
    expect(first["model"] == {"name": "recommender", "version": serving}, f"version {serving} ranked, not {first.get('model')}")
    expect(any(ids(shop.ask(f"/v1/users/{user}/recommendations", reader)[2]) != ids(first) for user in shoppers[:5] if user != shopper),
           "other shoppers get other products")

    # 5
    titles = {}
    for item in first["items"]:
        product = shop.ask(f"/v1/products/{item['product']['product_id']}", admin)[2]
        for field in ("title", "price", "categories", "availability", "etag"):
            expect(item["product"].get(field) == product.get(field), f"{field} is as the catalogue has it: {item['product']} {product}")
    done = history(shopper)
    for one in done:
        titles[shop.ask(f"/v1/products/{one['product_id']}", admin)[2].get("title")] = one["type"]
    expect(not {one["product_id"] for one in done if one["type"] == "purchase"} & set(ids(first)), "nothing that was bought is offered")
    reasons = [item["reason"] for item in first["items"]]
    because = [reason.removeprefix("because you bought ") for reason in reasons if reason.startswith("because you bought ")]
    expect(len(because) > 0, f"some are there because of what was bought: {reasons}")
    expect(all(titles.get(title) == "purchase" for title in because), f"and that is true: {because}")

    # 3: the very next answer knows.
    bought = first["items"][0]["product"]["product_id"]
    click = first["items"][1]["product"]["product_id"]
    event = lambda kind, product, event_id: {"event_id": event_id, "user_id": shopper, "product_id": product, "type": kind,
                                             "recommendation_id": first["recommendation_id"]}
    status, _, taken = shop.ask("/v1/events", token, {"events": [event("impression", one, f"seen-{one}") for one in ids(first)] +
                                                     [event("click", click, "click-1"), event("purchase", bought, "bought-1")]})
    expect(status == 202 and taken["accepted"] == 12, f"twelve events are taken, but: {status} {taken}")
    wait_for("the purchase in the history", lambda: any(one["event_id"] == "bought-1" for one in history(shopper)))
    second = shop.ask("/v1/recommendations?limit=10", token)[2]
    expect(bought not in ids(second), "what was just bought is not offered again")
    expect(ids(second) != ids(first), "the next answer is another one")

    # 7
    def counted() -> dict:
        rows = shop.ask("/v1/analytics/recommendations?group_by=model_version&group_by=context", admin)[2].get("statistics", [])
        home = [row for row in rows if row["context"] == "home" and row["model_version"] == f"recommender/{serving}"]
        return home[0] if home and int(home[0].get("clicks", 0)) and int(home[0].get("purchases", 0)) else {}

    row = wait_for("the click and the purchase in the statistics", counted)
    expect(int(row["served"]) >= 3 and int(row["impressions"]) == 10, f"answers and impressions are counted: {row}")
    expect(int(row["clicks"]) == 1 and int(row["purchases"]) == 1, f"one click, one purchase: {row}")
    shop.ask("/v1/events", token, {"events": [event("purchase", bought, "bought-1")]})  # once more: the same event
    again(shop, admin, shoppers, history)
    row = counted()
    expect(int(row["purchases"]) == 1, f"an event that comes twice counts once: {row}")


def again(shop: Shop, admin: str, shoppers: list[str], history) -> None:
    """Purchases, each followed by the next answer."""
    draw = random.Random(3)
    written: dict[str, list[str]] = {}
    for number in range(PURCHASES):
        user = draw.choice(shoppers[:40])
        offered = ids(shop.ask(f"/v1/users/{user}/recommendations", admin)[2])
        event = {"event_id": f"flow-{number}", "user_id": user, "product_id": offered[0], "type": "purchase"}
        expect(shop.ask("/v1/events", admin, {"events": [event]})[0] == 202, "the purchase is taken")
        written.setdefault(user, []).append(event["event_id"])
        wait_for("an answer without what was bought",
                 lambda: offered[0] not in ids(shop.ask(f"/v1/users/{user}/recommendations", admin)[2]))
    for user, events in written.items():
        there = [one["event_id"] for one in history(user) if one["event_id"].startswith("flow-")]
        expect(sorted(there) == sorted(events), f"the history of {user} has each of its purchases once: {there}")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        data = folder + "/data"
        source = REAL if REAL.exists() else made_retail(pathlib.Path(folder, "retail.csv"))
        run("import", "online-retail", str(source), "--data", data, "--rejects", folder + "/rejects.csv")
        run("train", "--data", data, "--algorithm", "item_knn")
        admin, reader = key_for(data, "admin"), key_for(data, "recommendations.read")
        shop = Shop(data)
        try:
            wait_for("the model", lambda: shop.ask("/v1/inference/models", admin)[2].get("models"))
            walk(shop, admin, reader)
        finally:
            shop.process.terminate()
            ended = shop.process.wait(60)
        expect(ended == 0, f"starling ends well, not with {ended}")
    print(f"seven steps and {PURCHASES} purchases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
