#!/usr/bin/env python3
"""The gateway in front of real servers, under load: routes changed RELOADS times (100), a server restarted, and every request that its
log has is one that a server has seen."""
import http.client
import json
import multiprocessing
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from gateway_process import free_ports

STARLING = pathlib.Path(os.environ.get("STARLING_BINARY", "build/release/starling")).resolve()
RELOADS = int(os.environ.get("RELOADS", "100"))
CLIENTS = 4
QUIET = 2  # seconds of load before and after the reloads, for their p99
GROWTH = 40  # MB that reloads may add, beside what the load itself makes at first


def expect(good: bool, what: str) -> None:
    if not good:
        print(f"not so: {what}")
        sys.exit(1)


def wait_for(what: str, done, seconds: float = 30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if result := done():
                return result
        except OSError:
            pass
        time.sleep(0.05)
    expect(False, f"{what} within {seconds} s")


class Server:
    """An nginx that says its name, and logs each request line that it got."""

    def __init__(self, folder: pathlib.Path, name: str):
        self.folder, self.name, self.port = folder, name, free_ports(1)
        self.log = folder / f"{name}.seen"
        (folder / f"{name}.conf").write_text(
            f"master_process off; daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.log;\nevents {{ worker_connections 1024; }}\n"
            f"http {{ log_format seen '$request'; access_log {self.log} seen; keepalive_requests 1000000;\n"
            f"server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 '{name}'; }} }} }}\n")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(["nginx", "-e", self.folder / f"{self.name}.log", "-c", self.folder / f"{self.name}.conf"])
        wait_for(f"an answer of {self.name}", lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.port}/up", timeout=1).read())

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(30)


class Gateway:
    def __init__(self, folder: pathlib.Path, servers: dict[str, list[Server]]):
        self.servers, self.port = servers, free_ports(3)
        self.config, self.log = folder / "gateway.yaml", folder / "access.jsonl"
        self.route("a")
        self.process = subprocess.Popen([STARLING, "up", "--data", folder / "data", "--config", self.config], stdout=subprocess.DEVNULL,
                                        stderr=(folder / "gateway.log").open("w"))
        wait_for("the gateway", lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=1).read())

    def route(self, to: str, path: str = "/to/{rest=**}", config: pathlib.Path | None = None) -> None:
        upstreams = {name: {"endpoints": [f"127.0.0.1:{server.port}" for server in servers]} for name, servers in self.servers.items()}
        text = json.dumps({
            "http": {"port": self.port}, "training": {"every": "0s"},
            "gateway": {"access_log": {"file": str(self.log)}, "upstreams": upstreams,
                        "routes": [{"path": path, "access": "anyone", "to": {to: 1}},
                                   {"path": "/both/{rest=**}", "access": "anyone", "to": {"both": 1}, "retries": 3}]}})
        new = self.config.with_suffix(".new")
        new.write_text(text)
        new.rename(config or self.config)

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def metric(self, name: str) -> float:
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.port + 1}/metrics", timeout=5).read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))

    def megabytes(self) -> float:
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


class Load:
    """Clients that ask again and again on one connection each, in a process of their own: times are not those of who shares an interpreter."""

    def __init__(self, port: int, prefix: str, answers: set[str]):
        self.port, self.prefix, self.answers = port, prefix, answers
        self.times: list[tuple[float, float]] = []  # when a request was sent, and the seconds that it took
        self.wrong: list[str] = []
        self.ending = multiprocessing.Event()
        self.found, found = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.Process(target=self.work, args=(found,))
        self.process.start()

    def work(self, found) -> None:
        threads = [threading.Thread(target=self.ask, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found.send((self.times, self.wrong))

    def ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        count = 0
        while not self.ending.is_set():
            count += 1
            path = f"{self.prefix}/{number}-{count}"
            begin = time.monotonic()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.status != 200 or text not in self.answers:
                    self.wrong.append(f"{path}: {answer.status} {text[:200]}")
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(f"{path}: {error!r}")
                connection.close()
            self.times.append((begin, time.monotonic() - begin))

    def end(self) -> None:
        self.ending.set()
        self.times, self.wrong = self.found.recv()
        self.process.join()

    def p99(self, begin: float = 0, end: float = float("inf")) -> float:
        """In ms, of the requests that were sent in between."""
        seconds = sorted(took for sent, took in self.times if begin <= sent < end)
        return seconds[int(len(seconds) * 0.99)] * 1e3 if seconds else 0


def like_reloads(gateway: Gateway) -> None:
    """What reloads cost whoever asks for them: another file is written, and the metrics are asked."""
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        gateway.route("a", config=gateway.config.with_suffix(".unread"))
        gateway.metric("starling_config_reloads_total")
        time.sleep(0.05)
        gateway.metric("starling_config_reloads_total")


def reloads(gateway: Gateway) -> None:
    load = Load(gateway.port, "/to", {"a", "b"})
    try:
        like_reloads(gateway)
        first, begin = None, time.monotonic()
        taken = gateway.metric("starling_config_reloads_total")
        for number in range(RELOADS):
            gateway.route("b" if number % 2 == 0 else "a")
            gateway.reload()
            taken += 1
            wait_for(f"reload {number + 1}", lambda: gateway.metric("starling_config_reloads_total") >= taken, 10)
            if number == RELOADS // 10:
                first = gateway.megabytes()
        grown, end = gateway.megabytes() - first, time.monotonic()
        like_reloads(gateway)
    finally:
        load.end()
    print(f"{RELOADS} reloads in {end - begin:.1f} s, {len(load.times)} requests, p99 {load.p99(0, begin):.1f} ms before, {load.p99(begin, end):.1f} ms meanwhile, "
          f"{load.p99(end):.1f} ms after, {grown:+.1f} MB after the first tenth")
    expect(not load.wrong, f"no request fails while routes change, but {len(load.wrong)} did: {load.wrong[:3]}")
    expect(grown < GROWTH, f"reloads leave nothing behind, but {grown:.0f} MB")
    # A wrong file changes nothing.
    good = gateway.config.read_text()
    for bad in ('"access": "anyone"', '"access": ""'), ('"to": {"a": 1}', '"to": {"c": 1}'), ('/to/', 'to/'):
        refused = gateway.metric("starling_config_problems")
        gateway.config.write_text(good.replace(*bad))
        gateway.reload()
        wait_for(f"a refusal of {bad[1]}", lambda: gateway.metric("starling_config_problems") > 0, 10)
        expect(urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/to/x").status == 200, "what was right goes on")
        gateway.config.write_text(good)
        gateway.reload()
        wait_for("the right file", lambda: gateway.metric("starling_config_problems") == 0, 10)


def restarts(gateway: Gateway, server: Server) -> None:
    load = Load(gateway.port, "/both", {"a", "b"})
    try:
        for how in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            time.sleep(0.5)
            server.stop(how)
            time.sleep(0.5)
            server.start()
    finally:
        load.end()
    print(f"a server was restarted four times under {len(load.times)} requests, p99 {load.p99():.1f} ms")
    expect(not load.wrong, f"no GET fails while one of two servers restarts, but {len(load.wrong)} did: {load.wrong[:3]}")


def logged(gateway: Gateway, servers: list[Server]) -> None:
    """What servers saw is what the log says, request by request, but for those that were tried twice."""
    log = [json.loads(line) for line in gateway.log.read_text().splitlines()]
    of_log = sorted(line["path"] for line in log if line["path"].startswith("/to/"))
    seen = sorted(line.split()[1] for server in servers for line in server.log.read_text().splitlines() if line.startswith("GET /to/"))
    expect(of_log == seen, f"log and servers agree on {len(of_log)} and {len(seen)} requests")
    expect(all(len(line["trace_id"]) == 32 for line in log if line["path"].startswith(("/to/", "/both/"))), "each line has its trace")
    print(f"{len(of_log)} lines of the access log are the requests that the servers saw")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        servers = [Server(folder, name) for name in ("a", "b")]
        gateway = None
        try:
            gateway = Gateway(folder, {"a": servers[:1], "b": servers[1:], "both": servers})
            reloads(gateway)
            restarts(gateway, servers[0])
            gateway.stop()
            logged(gateway, servers)
        finally:
            if gateway and gateway.process.poll() is None:
                gateway.stop()
            for server in servers:
                if server.process.poll() is None:
                    server.stop()


if __name__ == "__main__":
    main()
