#!/usr/bin/env python3
"""OWASP API Security Top 10 (2023) against the real binary: what an attacker tries, and that it is refused. Routes come from the OpenAPI
document that the process serves, so a new route is tried too. docs/conformance/owasp.md says which risk is tried where."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

from gateway_process import free_ports

STARLING = pathlib.Path(os.environ.get("STARLING_BINARY", "build/release/starling")).resolve()
ROOT = pathlib.Path(__file__).resolve().parent.parent
SECRET = "a-shared-secret-of-32-bytes-or-more"
PASSWORD = "correct horse battery"

# What users may do on routes that name no user. Any other route must refuse them.
FOR_USERS = {
    ("get", "/v1/products"), ("get", "/v1/products/{product_id}"), ("get", "/v1/products/{product_id}/similar"),
    ("get", "/v1/products:batchGet"), ("get", "/v1/recommendations"), ("post", "/v1/events"), ("delete", "/v1/sessions/current"),
    ("get", "/v1/features/popular"),
}
problems: list[str] = []


def expect(good: bool, what: str) -> None:
    if not good:
        problems.append(what)
        print(f"not so: {what}")


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode("utf-8", "replace")


class Starling:
    def __init__(self, folder: pathlib.Path, name: str, settings: dict):
        self.port = free_ports(3)  # admin and gRPC are on the next two
        config = folder / f"{name}.yaml"
        config.write_text(json.dumps({"http": {"port": self.port}, "training": {"every": "0s"}, "log": {"level": "warning"}, **settings}))
        self.out = (folder / f"{name}.out").open("w+")
        self.process = subprocess.Popen([STARLING, "up", "--data", folder / name, "--config", config], stdout=self.out, stderr=self.out)
        end = time.monotonic() + 60
        while "\nready" not in pathlib.Path(self.out.name).read_text():
            if time.monotonic() > end or self.process.poll() is not None:
                sys.exit(f"starling did not start: {pathlib.Path(self.out.name).read_text()}")
            time.sleep(0.05)
        self.admin = re.search(r"sk_\S+", pathlib.Path(self.out.name).read_text())[0]

    def ask(self, verb: str, path: str, token: str = "", body=None, headers=None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        fields = dict(headers or {})
        if token:
            fields["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, (str, bytes)):
            fields.setdefault("Content-Type", "application/json")
            body = json.dumps(body)
        try:
            connection.request(verb.upper(), path, body, fields)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def raw(self, text: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), 10) as one:
            one.sendall(text)
            one.shutdown(socket.SHUT_WR)
            read = b""
            while piece := one.recv(65536):
                read += piece
            return read

    def user(self, user_id: str) -> str:
        """Makes a user; a session of it."""
        made = self.ask("patch", f"/v1/users/{user_id}", self.admin, {"display_name": user_id.title(), "attributes": {"secret": f"of {user_id}"}})
        assert made.status == 200, made.text
        assert self.ask("post", f"/v1/users/{user_id}:setPassword", self.admin, {"password": PASSWORD}).status < 300
        signed_in = self.ask("post", "/v1/sessions", "", {"user_id": user_id, "password": PASSWORD})
        assert signed_in.status == 201, signed_in.text
        return json.loads(signed_in.text)["access_token"]

    def routes(self):
        """(verb, path template, operation) of all there are."""
        document = json.loads(self.ask("get", "/openapi.json").text)
        found = [(verb, path, operation) for path, verbs in document["paths"].items() for verb, operation in verbs.items()]
        expect(len(found) >= 30, f"the OpenAPI document has the routes, not {len(found)}")
        return found

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def concrete(path: str, user: str) -> str:
    """A path with its variables filled in: the user's id where one is asked for."""
    return re.sub(r"\{([^}]*)\}", lambda match: user if "user" in match[1] else "x-1", path)


def encode(data) -> str:
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


def jwt(claims: dict, secret: str = SECRET, algorithm: str = "HS256") -> str:
    text = encode({"alg": algorithm}) + "." + encode(claims)
    return text + "." + encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


def api1_objects_of_others(shop: Starling, eve: str) -> None:
    tried = 0
    for verb, path, _ in shop.routes():
        if "user" not in "".join(re.findall(r"\{([^}]*)\}", path)):
            continue
        tried += 1
        body = {} if verb in ("patch", "post", "put") else None
        theirs = shop.ask(verb, concrete(path, "ada"), eve, body)
        nobodys = shop.ask(verb, concrete(path, "nobody"), eve, body)
        expect(theirs.status in (403, 404), f"{verb} {path} of another user is refused, not {theirs.status}")
        expect("of ada" not in theirs.text, f"{verb} {path} says nothing of another user")
        expect(theirs.status == nobodys.status, f"{verb} {path} does not say who is a user: {theirs.status}, {nobodys.status}")
        if verb == "get" and shop.ask(verb, concrete(path, "eve"), eve).status == 200:
            expect(theirs.status == 404, f"{verb} {path}: another user's is not there, but {theirs.status}")
    expect(tried >= 6, f"routes with a user in them were tried: {tried}")
    # The user may also stand in the body.
    event = {"events": [{"user_id": "ada", "product_id": "p", "type": "view"}]}
    expect(shop.ask("post", "/v1/events", eve, event).status in (403, 404, 400), "an event in another user's name is refused")
    still = json.loads(shop.ask("get", "/v1/users/ada", shop.admin).text)
    expect(still.get("display_name") == "Ada", "nothing of the other user has changed")


def api2_authentication(shop: Starling, eve: str) -> None:
    now = int(time.time())
    good = {"sub": "eve", "iss": "https://id.example", "exp": now + 60}
    expect(shop.ask("get", "/v1/users/eve", jwt(good)).status == 200, "a good token is taken, so that the bad ones say something")
    session = shop.ask("post", "/v1/sessions", "", {"user_id": "eve", "password": PASSWORD})
    ended = json.loads(session.text)["access_token"]
    shop.ask("delete", "/v1/sessions/current", ended)
    bad = {
        "nothing": "x", "an ended session": ended, "a session that nobody has": "st_" + "A" * 43, "a key that nobody has": "sk_" + "A" * 43,
        "no signature": jwt(good, algorithm="none"), "another secret": jwt(good, "another-secret-of-32-bytes-or-more"),
        "expired": jwt({**good, "exp": now - 120}), "no end": jwt({"sub": "eve", "iss": good["iss"]}), "another issuer": jwt({**good, "iss": "x"}),
        "not yet": jwt({**good, "nbf": now + 600}), "cut": jwt(good)[:-2], "changed": jwt(good).replace(encode(good), encode({**good, "sub": "ada"})),
    }
    for name, token in bad.items():
        status = shop.ask("get", "/v1/users/eve", token).status
        expect(status == 401, f"a credential with {name} is refused, not {status}")
    for header in ("", "Basic YTpi", "Bearer", "Bearer ", f"bearer{eve}", f"Token {eve}"):
        expect(shop.ask("get", "/v1/users/eve", headers={"Authorization": header}).status == 401, f"Authorization '{header[:9]}' is refused")
    for place in (f"?access_token={eve}", f"?token={eve}"):
        expect(shop.ask("get", "/v1/users/eve" + place).status in (400, 401), "a token in an URL is none")
    # Every route that does not say that anyone may.
    for verb, path, operation in shop.routes():
        if operation["security"]:
            status = shop.ask(verb, concrete(path, "eve"), body={} if verb in ("post", "put", "patch") else None).status
            expect(status == 401, f"{verb} {path} needs credentials, but {status}")


def api3_properties(shop: Starling, eve: str) -> None:
    before = json.loads(shop.ask("get", "/v1/users/eve", eve).text)
    for body in ({"is_admin": True}, {"scopes": ["admin"]}, {"password": "x" * 10}, {"__proto__": {"admin": True}}):
        expect(shop.ask("patch", "/v1/users/eve", eve, body).status == 400, f"a field that is none is refused: {body}")
    changed = shop.ask("patch", "/v1/users/eve", eve, {"display_name": "Eve", "create_time": "2001-01-01T00:00:00Z", "update_time": "2001-01-01T00:00:00Z"})
    after = json.loads(shop.ask("get", "/v1/users/eve", eve).text)
    expect(changed.status in (200, 400) and after["create_time"] == before["create_time"], "what the service sets cannot be set")
    expect(not after["update_time"].startswith("2001"), "nor when it was changed")
    other = shop.ask("patch", "/v1/users/eve", eve, {"user_id": "ada", "display_name": "Mallory"})
    expect(json.loads(shop.ask("get", "/v1/users/ada", shop.admin).text)["display_name"] == "Ada", f"the body names no other user ({other.status})")
    documented = set(json.loads(shop.ask("get", "/openapi.json").text)["components"]["schemas"]["starling.profile.v1.User"]["properties"])
    expect(set(after) <= documented, f"a user has the documented fields alone: {set(after) - documented}")
    for text in (json.dumps(after), shop.ask("get", "/v1/users", shop.admin).text):
        expect("password" not in text and "argon2" not in text and "token" not in re.sub("next_page_token", "", text), "no secret is shown")


def api4_resources(shop: Starling, limited: Starling, eve: str) -> None:
    expect(shop.ask("post", "/v1/products", shop.admin, "x" * (2 << 20), {"Content-Type": "application/json"}).status == 413, "a body above http.max_body")
    expect(b" 431 " in shop.raw(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n")[:40], "a head that is too large")
    deep = shop.ask("post", "/v1/products", shop.admin, "[" * 100_000, {"Content-Type": "application/json"}).status
    expect(deep == 400, f"JSON that is too deep is refused, not {deep}")
    tried = 0
    for verb, path, operation in shop.routes():
        for name in {p["name"] for p in operation.get("parameters", [])} & {"page_size", "limit"}:
            for value in ("1000000000", "-1", "99999999999999999999"):
                tried += 1
                caller = eve if path == "/v1/recommendations" else shop.admin
                status = shop.ask(verb, f"{concrete(path, 'ada')}?{name}={value}", caller).status
                expect(status == 400, f"{verb} {path}?{name}={value} is refused, not {status}")
    expect(tried >= 12, f"page sizes were tried: {tried}")
    names = "&".join(f"product_ids=p{i}" for i in range(5000))
    expect(shop.ask("get", f"/v1/products:batchGet?{names}", shop.admin).status in (400, 414, 431), "a batch that is too large")
    answers = [limited.ask("get", "/v1/products", limited.admin) for _ in range(40)]
    refused = [answer for answer in answers if answer.status == 429]
    expect(bool(refused), "more requests than gateway.rate_limit allows are refused")
    expect(all(answer.headers["Retry-After"] for answer in refused), "and told when to come back")


def api5_functions(shop: Starling, eve: str) -> None:
    refused = 0
    for verb, path, operation in shop.routes():
        if not operation["security"] or (verb, path) in FOR_USERS or "user" in "".join(re.findall(r"\{([^}]*)\}", path)):
            continue
        status = shop.ask(verb, concrete(path, "eve"), eve, {} if verb in ("post", "put", "patch") else None).status
        expect(status == 403, f"{verb} {path} is not for users, but {status}")
        refused += status == 403
    expect(refused >= 12, f"routes of operators were tried: {refused}")
    for verb, path in (("delete", "/v1/users/eve"), ("post", "/v1/users/eve:setPassword"), ("get", "/v1/users")):
        expect(shop.ask(verb, path, eve, {"password": PASSWORD} if verb == "post" else None).status == 403, f"{verb} {path} is not for users")
    for path in ("/metrics", "/config", "/digest", "/debug/spans", "/sagas"):
        expect(shop.ask("get", path, shop.admin).status == 404, f"{path} is not on the public port")
    for override in ({"X-HTTP-Method-Override": "DELETE"}, {"X-Method-Override": "DELETE"}, {"X-Original-URL": "/v1/users"}):
        expect(shop.ask("get", "/v1/products", eve, headers=override).status == 200, "a header changes neither method nor path")
    expect(shop.ask("get", "/v1/users/eve", eve).status == 200, "the user is still there")


def api6_flows(limited: Starling) -> None:
    statuses = [limited.ask("post", "/v1/sessions", "", {"user_id": f"user-{i}", "password": "guess"}).status for i in range(30)]
    expect(429 in statuses and 201 not in statuses, "passwords are guessed only so often, whoever they are of")
    event = {"events": [{"user_id": "ada", "product_id": "p", "type": "purchase"}]}
    time.sleep(1)
    bought = [limited.ask("post", "/v1/events", limited.admin, event).status for _ in range(60)]
    expect(429 in bought, "purchases by a program are limited as requests are")


class Listener:
    """Counts who connects; answers each with `answer`, as it is."""

    def __init__(self, answer: bytes = b""):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port, self.answer, self.connections = self.server.getsockname()[1], answer, 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while True:
            try:
                one, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            try:
                with one:
                    one.settimeout(5)
                    one.recv(65536)
                    one.sendall(self.answer)
            except OSError:
                pass

    def close(self) -> None:
        self.server.close()


def api7_forgery(shop: Starling, eve: str) -> None:
    inside = Listener()
    try:
        url = f"http://127.0.0.1:{inside.port}/secret"
        product = {"title": "Milk", "image_url": url}
        shop.ask("put", "/v1/products/ssrf", shop.admin, product)
        shop.ask("get", "/v1/products/ssrf", eve)
        for target in (url, f"//127.0.0.1:{inside.port}/secret", f"/v1/products/{url}", f"/auth/login?return_to={url}", f"/auth/callback?iss={url}&code=x"):
            shop.raw(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{inside.port}\r\nConnection: close\r\n\r\n".encode())
        for header in ("X-Forwarded-Host", "X-Forwarded-For", "Forwarded", "Referer", "Origin", "X-Original-URL"):
            shop.ask("get", "/v1/products", eve, headers={header: url})
        claims = {"sub": "eve", "iss": url, "exp": int(time.time()) + 60}
        shop.ask("get", "/v1/users/eve", encode({"alg": "RS256", "jku": url, "x5u": url, "kid": url}) + "." + encode(claims) + ".AAAA")
        shop.raw(f"CONNECT 127.0.0.1:{inside.port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(0.3)
        expect(inside.connections == 0, f"nothing that a request names is fetched, but {inside.connections} times")
    finally:
        inside.close()


def api8_configuration(shop: Starling) -> None:
    for path in ("/", "/v1/products", "/v1/users/x", "/absent"):
        answer = shop.ask("get", path, headers={"Origin": "https://evil.example"})
        expect(not [name for name in answer.headers if name.lower().startswith("access-control-")], f"{path}: no other origin may read it")
        expect("Server" not in answer.headers and "X-Powered-By" not in answer.headers, f"{path}: says not what serves it")
    preflight = shop.ask("options", "/v1/users", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"})
    expect(not [name for name in preflight.headers if name.lower().startswith("access-control-")], "no preflight is granted")
    page = shop.ask("get", "/")
    expect("default-src 'self'" in page.headers["Content-Security-Policy"] and page.headers["X-Content-Type-Options"] == "nosniff", "pages say what they may do")
    for verb in ("TRACE", "TRACK", "CONNECT", "DEBUG", "PROPFIND"):
        status = int(shop.raw(f"{verb} / HTTP/1.1\r\nHost: x\r\nX-Secret: seen\r\nConnection: close\r\n\r\n".encode()).split(b" ")[1])
        expect(status in (400, 405, 501), f"{verb} is refused, not {status}")
    for path in ("/.git/config", "/.env", "/assets/../../etc/passwd", "/assets/%2e%2e/%2e%2e/etc/passwd", "/starling.yaml", "/server-status", "/data/keys.db"):
        expect(shop.ask("get", path).status in (400, 404), f"{path} is not served")
    for body in ("{", '{"title": 1e999}', "\xff", '{"a": "\\ud800"}'):
        text = shop.ask("post", "/v1/products", shop.admin, body.encode("latin-1"), {"Content-Type": "application/json"}).text
        expect(not re.search(r"\.cc|\.h:|/work|/usr|sqlite|0x[0-9a-f]{6}|terminate|exception", text, re.I), f"an error says nothing of the inside: {text[:200]}")


def api9_inventory(shop: Starling) -> None:
    served = {path for _, path, _ in shop.routes()}
    promised = set()
    for proto in ROOT.glob("contracts/*/v1/*.proto"):
        promised |= set(re.findall(r'\b(?:get|put|post|delete|patch): "(/[^"]*)"', proto.read_text()))
    expect(promised and promised <= served, f"every route of a contract is in the OpenAPI document, but {promised - served}")
    documented = (ROOT / "docs/conformance/owasp.md").read_text()
    # Routes that programs add by themselves; those of the admin port stand there too.
    own = set()
    for source in [*ROOT.glob("apps/starling/*.cc"), *ROOT.glob("platform/host/*.cc"), *ROOT.glob("platform/saga/pages.cc")]:
        if not source.name.endswith("_test.cc"):
            own |= set(re.findall(r'Verb::k\w+,\s*"(/[^"?]*)', source.read_text()))
    expect(len(own) >= 10, f"routes were found in the sources: {sorted(own)}")
    for path in sorted(own - served):
        expect(f"`{path}`" in documented, f"{path} is in docs/conformance/owasp.md")


def api10_upstreams(folder: pathlib.Path) -> None:
    hostile = {
        "no-http": b"hello\r\n\r\n", "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "smuggled": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n", "bare-lf": b"HTTP/1.1 200 OK\nX: a\n\n",
        "huge-head": b"HTTP/1.1 200 OK\r\nX: " + b"a" * (4 << 20) + b"\r\n\r\n", "nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "nothing": b"", "status": b"HTTP/1.1 99999 OK\r\nContent-Length: 0\r\n\r\n",
        "named-length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    }
    listeners = {name: Listener(answer) for name, answer in hostile.items()}
    gateway = Starling(folder, "gateway", {"gateway": {
        "upstreams": {name.replace("-", "_"): {"endpoints": [f"127.0.0.1:{one.port}"]} for name, one in listeners.items()},
        "routes": [{"path": f"/{name}", "access": "anyone", "to": {name.replace("-", "_"): 1}, "retries": 0, "timeout": "5s"} for name in listeners]}})
    try:
        for name in hostile:
            answer = gateway.ask("get", f"/{name}")
            expect(answer.status in (502, 503, 504), f"an upstream's answer that is {name} is not passed on, but {answer.status}")
            expect(listeners[name].connections > 0, f"the upstream {name} was asked")
        expect(gateway.ask("get", "/healthz").status == 200, "the gateway goes on")
    finally:
        gateway.stop()
        for one in listeners.values():
            one.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        many = {"failed_credentials": {"burst": 100_000}}
        shop = Starling(folder, "shop", {"gateway": many, "jwt": {"keys": SECRET, "issuer": "https://id.example"}})
        limited = Starling(folder, "limited", {"gateway": {"rate_limit": {"requests_per_second": 5, "burst": 20}, "failed_credentials": {"burst": 5}}})
        try:
            shop.user("ada")
            eve = shop.user("eve")
            for number, risk in enumerate((
                    lambda: api1_objects_of_others(shop, eve), lambda: api2_authentication(shop, eve), lambda: api3_properties(shop, eve),
                    lambda: api4_resources(shop, limited, eve), lambda: api5_functions(shop, eve), lambda: api6_flows(limited),
                    lambda: api7_forgery(shop, eve), lambda: api8_configuration(shop), lambda: api9_inventory(shop),
                    lambda: api10_upstreams(folder)), 1):
                before = len(problems)
                risk()
                print(f"API{number}: {'as it should be' if len(problems) == before else f'{len(problems) - before} not so'}")
        finally:
            shop.stop()
            limited.stop()
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
