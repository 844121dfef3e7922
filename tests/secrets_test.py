#!/usr/bin/env python3
"""No secret leaves: the real binary at its most verbose, with credentials of every kind in good and in bad places, and calls that fail in every
way; then every file it wrote, what it printed, its answers, its admin pages, its metrics and its traces are searched for each secret, as it
is and in the usual encodings."""
import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import secrets
import socket
import tempfile
import threading
import time
import urllib.parse

from gateway_process import Gateway, Server, ask, expect, make_certificate, wait_for

ALGORITHM = {"alg": "HS256", "typ": "JWT"}


class Secrets:
    """By what they are; each has a text of its own that nothing else contains."""

    def __init__(self):
        self.texts: dict[str, str] = {}

    def new(self, what: str) -> str:
        return self.add(what, "zq" + secrets.token_hex(16))

    def add(self, what: str, text: str) -> str:
        self.texts[what] = text
        return text

    def found_in(self, text: bytes) -> list[str]:
        found = []
        for what, secret in self.texts.items():
            raw = secret.encode()
            forms = {raw, urllib.parse.quote(secret, safe="").encode(), raw.hex().encode()}
            # Base64 of it inside of something longer begins at one of three places.
            for shift in range(3):
                whole = base64.b64encode(b"x" * shift + raw)
                forms.add(whole[4 if shift else 0:len(whole) // 4 * 4 - 8])
            if any(form in text for form in forms):
                found.append(what)
        return found


class Collector:
    """Takes spans as an OTLP collector does."""

    def __init__(self):
        self.bodies = bodies = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def jwt(key: str, claims: dict) -> str:
    text = encoded(json.dumps(ALGORITHM).encode()) + "." + encoded(json.dumps(claims).encode())
    return text + "." + encoded(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())


def raw(port: int, text: bytes) -> bytes:
    """The answer to bytes that may be no request at all."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
        try:
            one.sendall(text)
            one.shutdown(socket.SHUT_WR)
            while piece := one.recv(65536):
                answer += piece
        except OSError:
            pass
    return answer


def places(credential: str) -> list[tuple[str, dict, bytes]]:
    """Where a credential may be found in a request: path with query, fields, body."""
    body = json.dumps({"user_id": "ada", "password": credential}).encode()
    quoted = urllib.parse.quote(credential, safe="")
    return [("", {"Authorization": f"Bearer {credential}"}, b""),
            ("", {"Authorization": f"bearer  {credential}"}, b""),
            ("", {"Authorization": f"Basic {base64.b64encode(f'ada:{credential}'.encode()).decode()}"}, b""),
            ("", {"Authorization": credential}, b""),
            ("", {"Authorization": f"Bearer {credential} {credential}"}, b""),
            ("", {"Authorization": f"Bearer {credential}" + "x" * 9000}, b""),
            ("", {"Authorization": f"Bearer {credential}" + "x" * 40000}, b""),
            ("", {"X-API-Key": credential, "Cookie": f"session={credential}; a={credential}", "Proxy-Authorization": f"Bearer {credential}"}, b""),
            ("", {"Idempotency-Key": f'"{credential}', "X-Request-Timeout": "x"}, b""),
            (f"?access_token={quoted}&key={quoted}", {}, b""),
            (f"?{quoted}=%zz", {}, b""),
            ("", {"Content-Type": "application/json"}, body),
            ("", {"Content-Type": f"text/{credential[:8]}"}, body),
            ("", {"Content-Type": "application/json"}, body[:-9])]


def send_everywhere(gateway: Gateway, credentials: list[str], admin_paths: list[str]) -> bytes:
    """What was answered, together."""
    answers = b""
    public = [("GET", "/v1/products"), ("GET", "/v1/users"), ("POST", "/v1/sessions"), ("GET", "/up/x"), ("POST", "/up/x"), ("POST", "/once"),
              ("GET", "/gone/x"), ("GET", "/bad/x"), ("GET", "/slow/x"), ("GET", "/nothing/here"), ("DELETE", "/v1/products/none")]
    for credential in credentials:
        for query, fields, body in places(credential):
            for method, path in public:
                if method == "GET" and body:
                    continue
                try:
                    answer = ask(gateway.port, method, path + query, fields, body)
                    answers += repr(answer.headers).encode() + answer.body
                except OSError:
                    pass
                except Exception as error:  # http.client refuses to read some answers
                    answers += repr(error).encode()
            for path in admin_paths:
                try:
                    answer = ask(gateway.admin_port, "GET", path + query, fields)
                    answers += repr(answer.headers).encode() + (b"" if answer.status == 200 else answer.body)
                except OSError:
                    pass
        head = f"Authorization: Bearer {credential}\r\nCookie: s={credential}\r\n".encode()
        for text in (b"GET / HTTP/1.1\r\n" + head, b"GET /v1/products HTTP/1.1\r\nHost: x\r\n" + head + b"Bad Field: x\r\n\r\n",
                     b"GET /v1/products HTTP/9.9\r\n" + head + b"\r\n", b"\x16\x03\x01" + head,
                     b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n" + head + b"\r\n",
                     b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\nTransfer-Encoding: chunked\r\n" + head + b"\r\n",
                     b"GET http://" + credential.encode()[:40] + b":@x/ HTTP/1.1\r\nHost: x\r\n\r\n"):
            answers += raw(gateway.port, text)
    return answers


def files_of(folder: pathlib.Path, but: set[pathlib.Path]) -> list[pathlib.Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path not in but]


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        work = folder / "work"
        work.mkdir()
        hidden, collector = Secrets(), Collector()
        jwt_key = hidden.new("the key of JWTs") + "0" * 32
        redis_password, cluster_key = hidden.new("the password of Redis"), hidden.new("the cluster's key")
        secret_files = folder / "secrets"
        secret_files.mkdir()
        certificate, tls_key = make_certificate(secret_files, "shop.example", 30)
        hidden.add("the key of TLS", "".join(tls_key.read_text().splitlines()[1:-1])[:64])
        (secret_files / "cluster_key").write_text(cluster_key)
        up, bad = Server("up"), Server("bad")
        bad.status = 500
        silent = socket.socket()
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        gateway = Gateway(work, {
            "log": {"level": "debug", "format": "json"}, "tracing": {"sampling_ratio": 1.0, "otlp_url": collector.url},
            "jwt": {"keys": jwt_key, "issuer": "https://id.example"},
            "grpc": {"enabled": True, "cluster_key_file": str(secret_files / "cluster_key")},
            # Nobody is there: each limit fails, and says so.
            "gateway": {"rate_limit": {"requests_per_second": 100000}, "failed_credentials": {"per_minute": 0}, "limit_store": "redis",
                        "limit_url": f"redis://gateway:{redis_password}@127.0.0.1:1/0",
                        "access_log": {"file": str(work / "access.jsonl")},
                        "tls": {"certificates": [{"certificate": str(certificate), "key": str(tls_key)}], "port": 0},
                        "upstreams": {"up": {"endpoints": [up.address]}, "bad": {"endpoints": [bad.address]},
                                      "gone": {"endpoints": ["127.0.0.1:1"]},
                                      "slow": {"endpoints": [f"127.0.0.1:{silent.getsockname()[1]}"]}},
                        "routes": [{"path": "/up/{rest=**}", "access": "anyone", "to": {"up": 1}},
                                   {"path": "/once", "access": "anyone", "to": {"up": 1}, "idempotency": "required"},
                                   {"path": "/gone/{rest=**}", "access": "anyone", "to": {"gone": 1}},
                                   {"path": "/bad/{rest=**}", "access": "anyone", "to": {"bad": 1}},
                                   {"path": "/slow/{rest=**}", "access": "anyone", "to": {"slow": 1}, "timeout": "20ms"}]}})
        try:
            # The key of the first start is shown there, once, and is looked for nowhere else.
            printed = wait_for("the first key", lambda: [word for word in (gateway.out.read_text() + gateway.err.read_text()).split()
                                                         if word.startswith("sk_")])
            first_key = printed[0].strip('",')
            admin_key = hidden.add("a key for the gateway", gateway.key("gateway.admin"))
            reader = hidden.add("a key that reads", gateway.key("catalog.read"))
            password = hidden.new("a password")
            session = hidden.add("a session", gateway.session("ada", password))
            claims = {"sub": "ada", "iss": "https://id.example", "exp": int(time.time()) + 600}
            good = hidden.add("a JWT", jwt(jwt_key, claims))
            expect(ask(gateway.port, "GET", "/v1/users/ada", {"Authorization": f"Bearer {good}"}).status == 200, "the JWT is good")
            ended = hidden.add("a JWT that has ended", jwt(jwt_key, claims | {"exp": 1}))
            forged = hidden.add("a JWT that is forged", jwt("x" * 40, claims))
            stranger = hidden.new("what is no credential")
            unknown = hidden.add("a key that is not known", "sk_" + secrets.token_urlsafe(32))
            admin_paths = ["/gateway/routes", "/gateway/limits", "/config", "/sagas"]
            answers = send_everywhere(gateway, [admin_key, reader, password, session, good, ended, forged, stranger, unknown], admin_paths)
            # Changes of the configuration that are refused, with secrets in them.
            short = hidden.add("a key of JWTs that is too short", "zq" + secrets.token_hex(12))
            for section, key, value in (("gateway", "limit_url", {"wrong": redis_password}), ("gateway", "limit_url", f"redis//{redis_password}"),
                                        ("jwt", "keys", short)):
                wrong = json.loads(json.dumps(gateway.settings))
                wrong[section][key] = value
                before = len(gateway.err.read_bytes())
                gateway.write(wrong)
                wait_for(f"a line of the log on {section}.{key}", lambda: len(gateway.err.read_bytes()) > before)
                gateway.write(gateway.settings)
                time.sleep(1.5)  # until it has been looked at, so that the next one is another change
            pages = b""
            for path in ("/metrics", "/config", "/digest", "/debug/spans", "/healthz", "/readyz", "/sagas"):
                pages += ask(gateway.admin_port, "GET", path).body
            for path in ("routes", "upstreams", "certificates", "limits", "cache"):
                shown = ask(gateway.admin_port, "GET", f"/gateway/{path}", {"Authorization": f"Bearer {admin_key}"})
                expect(shown.status == 200, f"/gateway/{path}: {shown.status}")
                pages += shown.body
            wrong_command = gateway.command("routes", key=unknown)
            pages += (wrong_command.stdout + wrong_command.stderr).encode()
            wait_for("spans", lambda: collector.bodies)
            expect(gateway.stop() == 0, "it stops")
            # What was tested is there to be searched.
            log, access = gateway.err.read_bytes(), (work / "access.jsonl").read_bytes()
            expect(log.count(b'"level":"debug"') + log.count(b'"level":"warning"') > 10, "the log says little")
            expect(access.count(b"\n") > 500, f"the access log has {access.count(bytes([10]))} lines")
            traces = b"".join(collector.bodies)
            expect(b"/up/{rest=**}" in traces and b"starling_gateway" in pages, "spans and metrics are there")
            # The configuration file itself, and what a first start prints, are where secrets belong; the shop's data keeps passwords as
            # hashes and keys as digests, so it is searched too.
            mine = {gateway.config, gateway.config.with_suffix(".new")}
            leaks = []
            for what, text in [("answers", answers), ("admin pages", pages), ("traces", traces)] + \
                    [(str(path.relative_to(work)), path.read_bytes()) for path in files_of(work, mine)]:
                leaks += [f"{secret} is in {what}" for secret in hidden.found_in(text)]
            expect(not leaks, "; ".join(leaks))
            everything = log + access + traces + pages
            expect(everything.count(first_key.encode()) <= 1, "the first key is printed again")
            print(f"{len(hidden.texts)} secrets in none of {len(files_of(work, mine))} files, {len(answers) >> 10} KiB of answers, "
                  f"{len(pages) >> 10} KiB of admin pages, {len(traces) >> 10} KiB of traces")
        finally:
            if gateway.process.poll() is None:
                gateway.process.kill()
                gateway.process.wait()


if __name__ == "__main__":
    # The search itself finds what is there.
    probe = Secrets()
    text = probe.new("probe")
    for form in (text, text.encode().hex(), base64.b64encode(f"ada:{text}".encode()).decode()):
        expect(probe.found_in(f"a {form} b".encode()) == ["probe"], f"{form} is not found")
    expect(not probe.found_in(b"nothing"), "nothing is found")
    main()
