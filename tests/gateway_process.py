"""A gateway of the real binary in front of servers of the test's own, for tests that ask it over HTTP."""
import http.client
import http.server
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import threading
import time

STARLING = pathlib.Path(os.environ.get("STARLING_BINARY", "build/release/starling")).resolve()


def expect(good: bool, what: str) -> None:
    if not good:
        raise AssertionError(what)


def wait_for(what: str, done, seconds: float = 30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if result := done():
                return result
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    expect(False, f"{what} within {seconds} s")


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody uses; below those that the kernel gives to clients, so that none of them takes one."""
    for _ in range(200):
        port = random.randrange(20000, 32000)
        try:
            for number in range(port, port + count):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", number))
            return port
        except OSError:
            continue
    raise AssertionError("no free ports")


class Answer:
    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    def json(self):
        return json.loads(self.body)


def ask(port: int, method: str, path: str, headers: dict | None = None, body: bytes | None = None, timeout: float = 15) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()


class Server:
    """Answers with its name and what `fields` says; counts what it is asked."""

    def __init__(self, name: str, fields: dict | None = None):
        self.name, self.fields, self.asked, self.wait, self.status = name, fields or {}, [], 0.0, 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length", 0))
                self.rfile.read(length)
                outer.asked.append(f"{self.command} {self.path}")
                time.sleep(outer.wait)
                body = f"{outer.name}{len(outer.asked)}".encode()
                self.send_response(outer.status)
                for name, value in outer.fields.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Gateway:
    def __init__(self, folder: pathlib.Path, config: dict, environment: dict | None = None):
        self.folder, self.port = folder, free_ports(3)
        self.admin_port = self.port + 1
        self.config = folder / "gateway.yaml"
        self.settings = {"http": {"port": self.port}, "training": {"every": "0s"}} | config
        self.write(self.settings)
        self.out, self.err = folder / "stdout.txt", folder / "stderr.txt"
        self.process = subprocess.Popen([STARLING, "up", "--data", folder / "data", "--config", self.config], stdout=self.out.open("w"),
                                        stderr=self.err.open("w"), env=os.environ | (environment or {}))
        try:
            wait_for("the gateway", lambda: ask(self.port, "GET", "/readyz").status == 200)
        except AssertionError:
            print(self.err.read_text()[-4000:], file=sys.stderr)
            self.process.kill()
            raise

    def write(self, settings: dict) -> None:
        new = self.config.with_suffix(".new")
        new.write_text(json.dumps(settings))
        new.rename(self.config)

    def key(self, *scopes: str, user: str = "") -> str:
        return subprocess.run([STARLING, "keys", "create", "--data", self.folder / "data", "--config", self.config, "--scope",
                               ",".join(scopes), *(["--user", user] if user else [])], capture_output=True, text=True, check=True).stdout.strip()

    def session(self, user: str, password: str) -> str:
        """Of a user who is made for it."""
        by = {"Authorization": f"Bearer {self.key('admin')}", "Content-Type": "application/json"}
        expect(ask(self.port, "PATCH", f"/v1/users/{user}", by, json.dumps({"display_name": user}).encode()).status == 200, "a user is made")
        expect(ask(self.port, "POST", f"/v1/users/{user}:setPassword", by, json.dumps({"password": password}).encode()).status < 300, "a password")
        made = ask(self.port, "POST", "/v1/sessions", {"Content-Type": "application/json"},
                   json.dumps({"user_id": user, "password": password}).encode())
        expect(made.status == 201, f"a session: {made.status} {made.body}")
        return made.json()["access_token"]

    def command(self, *words: str, key: str = "") -> subprocess.CompletedProcess:
        return subprocess.run([STARLING, "gateway", *words, "--config", self.config], capture_output=True, text=True,
                              env=os.environ | ({"GATEWAY_ADMIN_KEY": key} if key else {}))

    def metric(self, name: str) -> list[float]:
        text = ask(self.admin_port, "GET", "/metrics").body.decode()
        return [float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M)]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


def make_certificate(folder: pathlib.Path, name: str, days: int) -> tuple[pathlib.Path, pathlib.Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
                    certificate, "-days", str(days), "-subj", f"/O=Test Shop/CN={name}", "-addext", f"subjectAltName=DNS:{name},DNS:*.{name}"],
                   check=True, capture_output=True)
    return certificate, key
