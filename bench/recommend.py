"""Personal recommendations beside nginx, on real data, stage by stage, and again while a training runs.

The data folders are made once, under build/bench/recommend: Online Retail from ../shared/data (left out when that is absent),
Complete Journey from its package. Remove a folder to have it made anew.
"""
import http.client
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request

from learning_peers import fetch_journey

STARLING = pathlib.Path("build/release/starling")
FOLDER = pathlib.Path("build/bench/recommend")
PORT, NGINX_PORT = 18490, 18493
CONNECTIONS, SECONDS, USERS = 16, 6, 2_000

# What performance.md allows a stage, in microseconds; profile and catalogue share one line there.
STAGES = [("profile", "GetHistory", "the user's newest events", 1.5), ("inference", "Recommend", "fold in, score, top k", 15),
          ("features", "ListPopular", "popular products, to fill up", 0), ("catalog", "BatchGetProducts", "details", 1.5)]
EDGE_BUDGET, COMPOSE_BUDGET = 20, 6

# Each request is for another user at random, from a list that is made ready beforehand.
SCRIPT = """
local requests = {}
function init(args)
  for path in io.lines(args[1]) do requests[#requests + 1] = wrk.format("GET", path) end
  math.randomseed(42)
end
function request() return requests[math.random(#requests)] end
"""


def wrk(port: int, paths: pathlib.Path, script: pathlib.Path, token: str, seconds: int = SECONDS) -> tuple[float, float]:
    """Requests per second and p99 in milliseconds."""
    output = subprocess.check_output(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--latency", "-s", str(script), "-H", f"Authorization: Bearer {token}",
         f"http://127.0.0.1:{port}", "--", str(paths)], text=True)
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"port {port} gave errors:\n{output}")
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", output).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]), float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


class Server:
    def __init__(self, data: pathlib.Path, threads: int, *settings: str) -> None:
        self.key = subprocess.check_output([STARLING, "keys", "create", "--scope", "admin", "--label", "bench", "--data", data],
                                           text=True).split()[-1]
        command = [STARLING, "up", "--data", data, "--port", str(PORT), "--set", f"runtime.io_threads={threads}",
                   "--set", "training.every=0s"]  # none but the one that is measured
        for setting in settings:
            command += ["--set", setting]
        begin = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if line == "ready\n":
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.ask("/v1/users?page_size=1")
        while not self.ask("/v1/inference/models").get("models"):
            if time.monotonic() - begin > 60:
                raise RuntimeError(f"no model serves after 60 s; remove {data}, it is made anew")
            time.sleep(0.01)
        self.ready = time.monotonic() - begin

    def ask(self, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
        return json.loads(urllib.request.urlopen(request, timeout=30).read())

    def users(self) -> list[str]:
        users, token = [], ""
        while len(users) < 20_000:
            page = self.ask(f"/v1/users?page_size=1000&page_token={urllib.parse.quote(token)}")
            users += [user["user_id"] for user in page.get("users", [])]
            token = page.get("next_page_token", "")
            if not token:
                break
        step = max(1, len(users) // USERS)
        return users[::step][:USERS]

    def methods(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Seconds and calls of each method so far."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{PORT + 1}/metrics", timeout=10).read().decode()
        found: dict[tuple[str, str], list[float]] = {}
        for what, service, method, value in re.findall(
                r'starling_rpc_duration_seconds_(sum|count)\{service="(\w+)",method="(\w+)"\} (\S+)', text):
            found.setdefault((service, method), [0, 0])[0 if what == "sum" else 1] = float(value)
        return {key: (value[0], value[1]) for key, value in found.items()}

    def cpu(self) -> tuple[float, float]:
        """Seconds in user code and in the kernel so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) / 100, int(fields[12]) / 100

    def megabytes(self) -> float:
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def prepare(report, name: str) -> pathlib.Path | None:
    data = FOLDER / name
    if (data / "ready").exists():
        return data
    if name == "online-retail":
        folder = pathlib.Path("../shared/data/online-retail")
        sources = sorted(folder.glob("*.csv.zst")) if folder.is_dir() else []
        if not sources:
            report("online-retail is left out: ../shared/data/online-retail is not there")
            return None
        kind, source = "online-retail", sources[0]
    else:
        kind, source = "completejourney", fetch_journey()
    data.mkdir(parents=True, exist_ok=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.check_call([STARLING, "import", kind, source, "--data", data, "--rejects", data / "rejects.csv"], **quiet)
    subprocess.check_call([STARLING, "train", "--data", data], **quiet)
    (data / "ready").touch()
    return data


def measure(report, name: str, goal: float, p99_goal: float, *settings: str) -> None:
    data = prepare(report, name)
    if data is None:
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "nginx.conf").write_text(
            f"worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; keepalive_requests 100000000; server {{ listen 127.0.0.1:{NGINX_PORT};\n"
            "location / { default_type application/json; return 200 '{\"status\":\"SERVING\"}'; } } }\n")
        (folder / "requests.lua").write_text(SCRIPT)
        server = Server(data, 1, *settings)
        nginx = subprocess.Popen(["nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"])
        try:
            users = server.users()
            paths = folder / "paths"
            paths.write_text("".join(f"/v1/users/{urllib.parse.quote(user, safe='')}/recommendations\n" for user in users))

            def load(port: int, seconds: int = SECONDS) -> tuple[float, float]:
                return wrk(port, paths, folder / "requests.lua", server.key, seconds)

            def rounds() -> tuple:
                load(PORT, 3)  # what is read on the first request of a user
                found = []
                for _ in range(3):  # alternating, so that a slow moment hits both
                    before, cpu_before = server.methods(), server.cpu()
                    peer, own = load(NGINX_PORT), load(PORT)
                    found.append((own[0] / peer[0], peer, own, before, server.methods(), cpu_before, server.cpu()))
                return sorted(found, key=lambda row: row[0])[1]

            ratio, peer, own, before, after, cpu_before, cpu_after = rounds()
            answer = server.ask(f"/v1/users/{urllib.parse.quote(users[0], safe='')}/recommendations")
            report(f"{name}: {len(users)} users at random, wrk -t1 -c{CONNECTIONS}, the median of 3 runs")
            report(f"{'':<52} {'requests/s':>12} {'p99 ms':>10} {'ratio':>8}")
            report(f"{'nginx, one worker, return 200':<52} {peer[0]:>12.0f} {peer[1]:>10.2f} {1:>8.2f}")
            report(f"{'GET /v1/users/{id}/recommendations, one io thread':<52} {own[0]:>12.0f} {own[1]:>10.2f} {ratio:>8.3f}"
                   f"   goal {goal}, {p99_goal} ms")
            during = training(server, load)
            if during is None:
                report("while training: the training ended before it could be measured")
            else:
                report(f"{'the same while a training runs':<52} {during[0]:>12.0f} {during[1]:>10.2f} {during[0] / peer[0]:>8.3f}"
                       f"   {during[0] / own[0]:.2f} of its own rate, goal 0.7; in the slowest two seconds {during[2] / own[0]:.2f}")
            stages(report, before, after, cpu_before, cpu_after)
            server.stop()
            server = Server(data, 2, *settings)
            ratio, peer, own = rounds()[:3]
            report(f"{'two io threads (on two cores with wrk)':<52} {own[0]:>12.0f} {own[1]:>10.2f} {ratio:>8.3f}   goal {goal}, {p99_goal} ms")
            report(f"{'start to a loaded model, s':<52} {server.ready:>12.2f}")
            report(f"{'resident memory after the load, MB':<52} {server.megabytes():>12.0f}")
            report(f"{'bytes of an answer of ' + str(len(answer['items'])) + ' products':<52} {len(json.dumps(answer)):>12}")
        finally:
            nginx.terminate()
            nginx.wait(10)
            server.stop()


def training(server: Server, load) -> tuple[float, float, float] | None:
    """Rate, worst p99 and lowest rate while the model is trained; nothing when that is over before it could be measured."""
    operation = server.ask("/v1/models/recommender:train", {"promotion": "PROMOTION_NEVER"})
    measured = []
    while True:
        rate = load(PORT, 2)
        if server.ask(f"/v1/operations/{operation['operation_id']}").get("done"):
            break
        measured.append(rate)
    if not measured:
        return None
    rates = [rate for rate, _ in measured]
    return sum(rates) / len(rates), max(p99 for _, p99 in measured), min(rates)


def freshness(report, name: str) -> None:
    """How long after its acknowledgement a purchase changes the shopper's answer, while 16 connections read."""
    if not (FOLDER / name / "ready").exists():
        return
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        data = pathlib.Path(scratch, "data")  # a copy: shoppers are to be at rest the next time
        shutil.copytree(FOLDER / name, data)
        (pathlib.Path(scratch) / "requests.lua").write_text(SCRIPT)
        server = Server(data, 2)
        readers = None
        try:
            users = server.users()
            paths = pathlib.Path(scratch, "paths")
            paths.write_text("".join(f"/v1/users/{urllib.parse.quote(user, safe='')}/recommendations\n" for user in users))
            readers = subprocess.Popen(["wrk", "-t1", f"-c{CONNECTIONS}", "-d600", "-s", pathlib.Path(scratch, "requests.lua"), "-H",
                                        f"Authorization: Bearer {server.key}", f"http://127.0.0.1:{PORT}", "--", paths],
                                       stdout=subprocess.DEVNULL)
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)

            def ask(method: str, path: str, body: str | None = None) -> dict:
                connection.request(method, path, body, {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status not in (200, 202):
                    raise RuntimeError(f"{path}: {answer.status} {text!r}")
                return json.loads(text)

            waits = []
            for number in range(1_000):
                path = f"/v1/users/{urllib.parse.quote(users[number % len(users)], safe='')}/recommendations"
                product = ask("GET", path)["items"][0]["product"]["product_id"]
                event = {"user_id": users[number % len(users)], "product_id": product, "type": "purchase"}
                ask("POST", "/v1/events", json.dumps({"events": [event]}))
                begin = time.monotonic()
                while any(item["product"]["product_id"] == product for item in ask("GET", path)["items"]):
                    if time.monotonic() - begin > 30:
                        raise RuntimeError(f"{event} is acknowledged and not known after 30 s")
                waits.append((time.monotonic() - begin) * 1e3)
            waits.sort()
            report(f"{'1,000 purchases: from acknowledged to known, ms':<52} {waits[500]:>9.1f} p50 {waits[990]:>7.1f} p99 {waits[-1]:>7.1f} max"
                   "   goal p99 100 ms")
        finally:
            if readers:
                readers.terminate()
                readers.wait(10)
            server.stop()


def stages(report, before, after, cpu_before, cpu_after) -> None:
    def spent(service: str, method: str) -> tuple[float, float]:
        a, b = after.get((service, method), (0, 0)), before.get((service, method), (0, 0))
        return a[0] - b[0], a[1] - b[1]

    total, answers = spent("recommendation", "RecommendForUser")
    report(f"{'stage':<52} {'us':>12} {'budget':>10}")
    inner = 0.0
    for service, method, what, budget in STAGES:
        seconds, calls = spent(service, method)
        inner += seconds
        if calls:
            report(f"{service + '.' + method + ': ' + what:<52} {seconds / answers * 1e6:>12.1f} {budget:>10}")
    report(f"{'recommendation: rules, reasons, the answer':<52} {(total - inner) / answers * 1e6:>12.1f} {COMPOSE_BUDGET:>10}")
    user, kernel = cpu_after[0] - cpu_before[0], cpu_after[1] - cpu_before[1]
    report(f"{'edge and off the path: HTTP, key, JSON, events':<52} {(user - total) / answers * 1e6:>12.1f} {EDGE_BUDGET:>10}")
    report(f"{'kernel':<52} {kernel / answers * 1e6:>12.1f} {'':>10}")
    report(f"{'in all, processor time an answer':<52} {(user + kernel) / answers * 1e6:>12.1f} {45:>10}")


def recommend(report) -> None:
    measure(report, "online-retail", 0.2, 5)
    freshness(report, "online-retail")
    report("")
    measure(report, "completejourney", 0.08, 10, "recommendation.repeats_in=[home]")
