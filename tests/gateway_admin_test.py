#!/usr/bin/env python3
"""The gateway's admin API and `starling gateway`, through the real binary: who may ask, what is shown, what is changed."""
import json
import pathlib
import tempfile
import threading
import time

from gateway_process import Gateway, Server, ask, expect, make_certificate, wait_for

SLOW = 0.001  # a token in 1000 s: none comes back while the test runs


def bearer(key: str) -> dict:
    return {"Authorization": f"Bearer {key}"}


class Shop:
    def __init__(self, folder: pathlib.Path):
        self.a, self.b = Server("a"), Server("b")
        self.kept = Server("kept", {"Cache-Control": "public, max-age=600", "Surrogate-Key": "product-7 all", "Cache-Tag": "page,home"})
        self.certificate, key = make_certificate(folder, "shop.example", 30)
        self.routes = [
            {"path": "/both/{rest=**}", "access": "anyone", "to": {"both": 9, "kept": 0}},
            {"path": "/few", "access": "anyone", "to": {"both": 1}, "max_concurrent": 1, "priority": "sheddable"},
            {"path": "/slow", "access": "caller", "to": {"both": 1}, "rate_limit": {"requests_per_second": SLOW, "burst": 2}},
            {"path": "/kept/{rest=**}", "access": "anyone", "to": {"kept": 1}, "cache": True},
            {"path": "/pay", "access": "anyone", "to": {"both": 1}, "methods": ["POST"], "idempotency": "required"}]
        self.gateway = Gateway(folder, {
            "gateway": {"upstreams": {"both": {"endpoints": [self.a.address, self.b.address]}, "kept": {"endpoints": [self.kept.address]}},
                        "routes": self.routes,
                        "tls": {"certificates": [{"certificate": str(self.certificate), "key": str(key)}], "port": 0}}})
        self.key = self.gateway.key("gateway.admin")

    def admin(self, method: str, path: str, key: str | None = None):
        return ask(self.gateway.admin_port, method, path, bearer(self.key if key is None else key))

    def get(self, path: str, **more):
        return ask(self.gateway.port, "GET", path, **more)

    def endpoint(self, server: Server) -> dict:
        for upstream in self.admin("GET", "/gateway/upstreams").json()["upstreams"]:
            for endpoint in upstream["endpoints"]:
                if endpoint["address"] == server.address:
                    return endpoint
        raise AssertionError(f"{server.address} is not shown")


def only_a_key_of_the_operator(shop: Shop) -> None:
    paths = [("GET", f"/gateway/{what}") for what in ("routes", "upstreams", "certificates", "limits", "cache")]
    paths += [("POST", "/gateway/cache:purge?all=true"), ("POST", "/gateway:drain"),
              ("POST", f"/gateway/upstreams/both/endpoints/{shop.a.address}:drain"),
              ("POST", f"/gateway/upstreams/both/endpoints/{shop.a.address}:undrain")]
    gateway = shop.gateway
    of_user = gateway.key("gateway.admin", "admin", user="ada")
    other = gateway.key("catalog.read", "gateway.read")
    admin = gateway.key("admin")
    session = gateway.session("ada", "correct horse battery")
    for method, path in paths:
        for headers, status in [({}, 401), (bearer("sk_none"), 401), (bearer("x.y.z"), 401), ({"Authorization": "Basic eDp5"}, 401),
                                (bearer(session), 403), (bearer(of_user), 403), (bearer(other), 403)]:
            answer = ask(gateway.admin_port, method, path, headers)
            expect(answer.status == status, f"{method} {path} with {headers}: {answer.status}, not {status}")
        expect(ask(gateway.port, method, path, bearer(shop.key)).status == 404, f"{path} is on the public port")
    expect(shop.admin("GET", "/gateway/routes", admin).status == 200, "the admin scope holds gateway.admin")
    expect(not shop.endpoint(shop.a)["drained"], "who was refused has drained")
    expect(shop.get("/readyz").status == 200, "who was refused has drained the gateway")
    log = gateway.err.read_text()
    expect("an admin request is refused" in log and all(secret not in log for secret in (of_user, other, session)), "refusals are logged, keys are not")


def routes_and_counters(shop: Shop) -> None:
    for _ in range(3):
        shop.get("/both/x")
    routes = {route["path"]: route for route in shop.admin("GET", "/gateway/routes").json()["routes"]}
    expect(len(routes) == len(shop.routes), f"routes {routes}")
    both = routes["/both/{rest=**}"]
    expect(both["requests"] >= 3 and both["errors"] == 0, f"{both}")
    expect({"upstream": "both", "weight": 9} in both["to"] and {"upstream": "kept", "weight": 0} in both["to"], f"{both}")
    expect(routes["/slow"]["rate_limit"] == {"policy": "/slow", "per": "caller", "requests_per_second": SLOW, "burst": 2}, f"{routes['/slow']}")
    expect(routes["/few"]["max_concurrent"] == 1 and routes["/few"]["priority"] == "sheddable", f"{routes['/few']}")
    expect(routes["/pay"]["idempotency"] == "required" and routes["/kept/{rest=**}"]["cache"] is True, "idempotency and cache")
    table = shop.gateway.command("routes", key=shop.key)
    expect(table.returncode == 0 and "both:9,kept:0" in table.stdout and "/s per caller" in table.stdout, f"{table}")


def endpoints_are_drained(shop: Shop) -> None:
    def asked(server: Server) -> int:
        before = len(server.asked)
        for _ in range(20):
            expect(shop.get("/both/x").status == 200, "a request fails")
        return len(server.asked) - before
    expect(asked(shop.a) > 0, "a gets requests")
    shop.a.wait = shop.b.wait = 1.5
    slow = threading.Thread(target=lambda: shop.get("/both/slow"))
    slow.start()
    busy = wait_for("a request under way", lambda: next((s for s in (shop.a, shop.b) if shop.endpoint(s)["in_flight"] == 1), None))
    shop.a.wait = shop.b.wait = 0
    drained = shop.gateway.command("drain", "both", busy.address, key=shop.key)
    expect(drained.returncode == 0 and "drained" in drained.stdout, f"{drained}")
    expect(shop.endpoint(busy)["state"] == "drained" and shop.endpoint(busy)["in_flight"] == 1, "what runs goes on, and is counted")
    slow.join()
    wait_for("nothing under way", lambda: shop.endpoint(busy)["in_flight"] == 0)
    expect(asked(busy) == 0, "a drained endpoint is asked")
    # Routes that change do not bring it back.
    settings = json.loads(json.dumps(shop.gateway.settings))
    settings["gateway"]["upstreams"]["both"]["connect_timeout"] = "2s"
    settings["gateway"]["routes"].append({"path": "/new", "access": "anyone", "to": {"both": 1}})
    shop.gateway.write(settings)
    wait_for("the new route", lambda: shop.get("/new").status == 200)
    expect(shop.endpoint(busy)["drained"] and asked(busy) == 0, "a change of the configuration undrains")
    back = shop.admin("POST", f"/gateway/upstreams/both/endpoints/{busy.address}:undrain")
    expect(back.status == 200, f"undrain: {back.status}")
    expect(asked(busy) > 0, "it is not back")
    for path in ("none/endpoints/" + shop.a.address, "both/endpoints/127.0.0.1:1"):
        expect(shop.admin("POST", f"/gateway/upstreams/{path}:drain").status == 404, f"{path} is there")
    log = wait_for("the log", lambda: text if "an endpoint is back" in (text := shop.gateway.err.read_text()) else None)
    expect("an endpoint is drained" in log and "by=key:" in log.replace('"', ""), "who drained is not in the log")


def certificates(shop: Shop) -> None:
    shown = shop.admin("GET", "/gateway/certificates").json()["certificates"]
    expect(len(shown) == 1, f"{shown}")
    expect(shown[0]["names"] == ["shop.example", "*.shop.example"] and shown[0]["file"] == str(shop.certificate), f"{shown}")
    expect("O=Test Shop" in shown[0]["issuer"] and 29 < shown[0]["days_left"] <= 30, f"{shown}")
    days = shop.gateway.metric("starling_tls_certificate_days_left")
    expect(len(days) == 1 and 29 < days[0] <= 30, f"metric {days}")
    table = shop.gateway.command("certificates", key=shop.key)
    expect("shop.example,*.shop.example" in table.stdout, f"{table}")


def limits(shop: Shop) -> None:
    statuses = [shop.get("/slow", headers=bearer(shop.key)).status for _ in range(4)]
    expect(statuses == [200, 200, 429, 429], f"{statuses}")
    shown = shop.admin("GET", "/gateway/limits").json()
    expect(shown["store"] == "local" and not shown["degraded"], f"{shown}")
    expect({"failed-credentials", "/slow"} <= {policy["policy"] for policy in shown["policies"]}, f"{shown}")
    near = [one for one in shown["nearest"] if one["policy"] == "/slow"]
    expect(len(near) == 1 and near[0]["caller"].startswith("key:") and near[0]["remaining"] == 0 and near[0]["refused"] == 2, f"{near}")
    expect("/slow" in shop.gateway.command("limits", key=shop.key).stdout, "the table of limits")


def cache_is_purged(shop: Shop) -> None:
    host = {"Host": "Shop.Example"}
    def fetched(path: str) -> int:
        before = len(shop.kept.asked)
        expect(shop.get(path, headers=host).status == 200, path)
        return len(shop.kept.asked) - before
    def purge(*words: str) -> int:
        done = shop.gateway.command("purge", *words, "--json", key=shop.key)
        expect(done.returncode == 0, f"purge {words}: {done}")
        return json.loads(done.stdout)["purged"]
    pages = ["/kept/a?x=1", "/kept/a", "/kept/b/c"]
    def fill() -> None:
        for page in pages:
            fetched(page)
            expect(fetched(page) == 0, f"{page} is not kept")
    fill()
    shown = shop.admin("GET", "/gateway/cache").json()
    expect(shown["entries"] == 3 and shown["bytes"] > 0 and 0 < shown["hit_rate"] < 1, f"{shown}")
    expect(purge("--url", "http://shop.example/kept/a") == 1, "one URL")
    expect([fetched(page) for page in pages] == [0, 1, 0], "one URL, and no other")
    expect(purge("--prefix", "SHOP.example/kept/a") == 2, "a prefix")
    expect([fetched(page) for page in pages] == [1, 1, 0], "a prefix")
    for tag, count in (("product-7", 3), ("home", 3), ("product", 0), ("page", 3)):
        fill()
        expect(purge("--tag", tag) == count, f"the tag {tag}")
    fill()
    expect(purge("--all") == 3 and shop.admin("GET", "/gateway/cache").json()["entries"] == 0, "all")
    for bad in ("", "?all=false", "?all=true&tag=x", "?url=", "?tag=a%20b", "?other=1", "?url=/kept/a"):
        expect(shop.admin("POST", f"/gateway/cache:purge{bad}").status == 400, f"purge{bad}")


def idempotency(shop: Shop) -> None:
    expect(ask(shop.gateway.port, "POST", "/pay", body=b"1").status == 400, "without a key")
    first = ask(shop.gateway.port, "POST", "/pay", {"Idempotency-Key": '"k-1"'}, b"1")
    again = ask(shop.gateway.port, "POST", "/pay", {"Idempotency-Key": '"k-1"'}, b"1")
    expect(first.status == 200 and again.body == first.body and again.header("Idempotent-Replayed") == "true", "the answer again")
    expect(ask(shop.gateway.port, "POST", "/pay", {"Idempotency-Key": '"k-1"'}, b"2").status == 422, "another body")


def command_line(shop: Shop) -> None:
    gateway = shop.gateway
    without = gateway.command("routes")
    expect(without.returncode == 1 and "gateway.admin" in without.stderr + without.stdout, f"{without}")
    wrong = gateway.command("routes", key="sk_wrong")
    expect(wrong.returncode == 1 and "sk_wrong" not in wrong.stderr + wrong.stdout, f"{wrong}")
    for words in (("purge",), ("drain",), ("drain", "both"), ("drain", "--gateway", "both", "x")):
        expect(gateway.command(*words, key=shop.key).returncode == 1, f"{words}")
    for what in ("routes", "upstreams", "certificates", "limits", "cache"):
        shown = gateway.command(what, "--json", key=shop.key)
        expect(shown.returncode == 0 and isinstance(json.loads(shown.stdout), dict), f"{what} --json: {shown}")
    shown = gateway.command("cache", key=shop.key)
    expect("hit_rate" in shown.stdout, f"{shown}")


def whole_gateway(shop: Shop) -> None:
    for bad in ("?grace=x", "?grace=-1s", "?grace=1h", "?x=1"):
        expect(shop.admin("POST", f"/gateway:drain{bad}").status == 400, bad)
    done = shop.gateway.command("drain", "--gateway", "--grace", "1500ms", key=shop.key)
    expect(done.returncode == 0, f"{done}")
    expect(ask(shop.gateway.admin_port, "GET", "/readyz").status == 503, "it is still ready")
    expect(shop.get("/both/x").status == 200, "within the grace connections are taken")
    def refused() -> bool:
        try:
            shop.get("/both/x", timeout=2)
        except ConnectionRefusedError:
            return True
        return False
    wait_for("no connection is taken", refused)
    expect(shop.admin("GET", "/gateway/routes").status == 200, "the admin port is there")
    expect(shop.gateway.process.poll() is None, "the process has ended")
    expect(shop.gateway.stop() == 0, "it stops as usual")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(pathlib.Path(folder))
        try:
            for step in (only_a_key_of_the_operator, routes_and_counters, endpoints_are_drained, certificates, limits, cache_is_purged,
                         idempotency, command_line, whole_gateway):
                begin = time.monotonic()
                step(shop)
                print(f"{step.__name__}: good ({time.monotonic() - begin:.1f} s)")
        finally:
            if shop.gateway.process.poll() is None:
                shop.gateway.process.kill()
                shop.gateway.process.wait()


if __name__ == "__main__":
    main()
