#!/usr/bin/env python3
"""A shop spread over processes on this machine, with the engines it stands on: for tests, benchmarks and ./dev demo --distributed.

  tools/cluster.py run --data data/distributed --engines postgres,kafka,redis,etcd --port 8080

starts the engines, then eight processes, prints where the API is, and keeps all of it until ctrl-C. What a process or an
engine says goes to DATA/logs.
"""
import argparse
import base64
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import engines

ROOT = pathlib.Path(__file__).resolve().parent.parent
STARLING = ROOT / "build/release/starling"

# What each process runs. The gateway runs nothing: it calls the others.
EIGHT = {
    "gateway": [],
    "catalog": ["catalog"],
    "profile": ["profile"],
    "ingestion": ["ingestion", "events"],
    "features": ["features"],
    "inference": ["inference"],
    "recommendation": ["recommendation"],
    "analytics": ["training", "analytics"],
}


class Engine:
    """A real server, kept by tools/engines.py."""

    def __init__(self, name: str, folder: pathlib.Path | None, log, proxied: bool = False):
        command = [sys.executable, str(ROOT / "tools/engines.py"), "run", name]
        if folder:
            command += ["--dir", str(folder)]
        self.proxy = None
        if proxied:
            port = engines.free_port()
            self.proxy = Proxy(f"127.0.0.1:{port}", log)
            command += ["--port", str(port), "--told", str(self.proxy.port)]
        self.name = name
        self.keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.keeper.stdout.readline()
        if not line:
            raise RuntimeError(f"{name} did not start; its log says why: {log.name}")
        self.about = json.loads(line)
        self.url = self.about["url"]

    def tell(self, command: str) -> None:
        """stop, kill, pause, resume or start."""
        self.keeper.stdin.write(command + "\n")
        self.keeper.stdin.flush()
        answer = self.keeper.stdout.readline().strip()
        if answer != "ok":
            raise RuntimeError(f"{self.name}: {command}: {answer}")

    def close(self) -> None:
        self.keeper.stdin.close()
        self.keeper.wait()


class Proxy:
    """Stands before an address and fails on command: tools/fault_proxy.py says how."""

    def __init__(self, to: str, log):
        self.port = engines.free_port()
        self.address = f"127.0.0.1:{self.port}"
        command = [sys.executable, str(ROOT / "tools/fault_proxy.py"), str(self.port), to]
        self.popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        if self.popen.stdout.readline() != "ready\n":
            raise RuntimeError(f"the proxy before {to} did not start; its log says why: {log.name}")

    def tell(self, command: str) -> None:
        """delay MS, lose PERCENT, partition or heal."""
        self.popen.stdin.write(command + "\n")
        self.popen.stdin.flush()
        answer = self.popen.stdout.readline().strip()
        if answer != "ok":
            raise RuntimeError(f"{command}: {answer}")

    def close(self) -> None:
        self.popen.stdin.close()
        self.popen.wait()
        self.popen.stdout.close()


@dataclasses.dataclass
class Process:
    name: str
    popen: subprocess.Popen | None = None


class Cluster:
    """Processes of one topology. `copies` starts a process more than once: {"recommendation": 2}. With `own_files` each has a
    configuration file of its own, FOLDER/NAME.yaml, and with `etcd_config` a part of it is in etcd. Before each service and
    engine that `proxied` names stands a proxy.
    """

    def __init__(self, folder: pathlib.Path, engine_names=(), layout=None, copies=None, port: int = 0, settings=None,
                 gateway: str = "gateway", keep_engines: bool = False, own_files: bool = False, etcd_config: bool = False,
                 proxied=()):
        self.folder = folder
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.engines = {name: Engine(name, folder / "engines" / name if keep_engines else None,
                                     open(self.logs / f"engine-{name}.log", "a"), name in proxied)
                        for name in engine_names}
        self.layout = dict(layout or EIGHT)
        self.gateway = gateway  # the process that serves HTTP
        self.topology = folder / "topology.yaml"
        self.processes: dict[str, Process] = {}
        self.admin_key = ""
        self.own_files, self.etcd_config = own_files, etcd_config
        self.proxies = {name: engine.proxy for name, engine in self.engines.items() if engine.proxy}
        self.describe(copies or {}, port, settings or {})
        self.put_proxies(proxied)

    def describe(self, copies: dict, port: int, settings: dict) -> None:
        """Writes the topology. JSON is YAML."""
        document = {"grpc": {"cluster_key": "of-this-machine-alone"}, "log": {"level": "info"}, **settings}
        broker = next((name for name in ("kafka", "rabbitmq") if name in self.engines), None)
        if broker:
            document["messaging"] = {"engine": broker, "url": self.engines[broker].url}
        if "postgres" in self.engines:
            document["storage"] = {"sql": {"url": self.engines["postgres"].url}, "vector": {"engine": "pgvector"}}
        if "redis" in self.engines:
            document.setdefault("storage", {})["kv"] = {"engine": "redis", "url": self.engines["redis"].url}
            document["gateway"] = {"limit_store": "redis", **document.get("gateway", {})}
        if "s3" in self.engines:
            document.setdefault("storage", {})["blob"] = {
                "engine": "s3", "url": self.engines["s3"].url, "bucket": "starling", "access_key": "starling",
                "secret_key": "only-for-tests"}
        if "etcd" in self.engines:
            document["discovery"] = {"engine": "etcd", "urls": [self.engines["etcd"].url]}
            if self.etcd_config:
                document["config"] = {"etcd": {"urls": [self.engines["etcd"].url]}}
        processes = {}
        for name, services in self.layout.items():
            if broker:
                services = [service for service in services if service != "events"]
            for copy in range(copies.get(name, 1)):
                entry = {"admin": self.address()}
                if services:
                    entry |= {"services": services, "grpc": self.address()}
                if name == self.gateway:
                    entry["http"] = f"127.0.0.1:{port}" if port and copy == 0 else self.address()
                if copy:
                    entry["data"] = str(self.folder / f"data-{copy + 1}")
                processes[f"{name}-{copy + 1}" if copy else name] = entry
        document["topology"] = {"processes": processes}
        self.document = document
        self.topology.write_text(json.dumps(document, indent=1))

    def put_proxies(self, services) -> None:
        """Before services; who calls one is told the proxy's address, but for a command that runs them itself."""
        self.offline = self.topology
        if not any(service in services for names in self.layout.values() for service in names):
            return
        self.offline = self.folder / "offline.yaml"
        self.offline.write_text(self.topology.read_text())
        for entry in list(self.document["topology"]["processes"].values()):
            for service in set(services) & set(entry.get("services", [])):
                self.proxies[service] = Proxy(entry["grpc"], open(self.logs / f"proxy-{service}.log", "a"))
                peers = self.document.setdefault("peers", {}).setdefault("services", {})
                peers.setdefault(service, {"addresses": []})["addresses"].append(self.proxies[service].address)
        self.topology.write_text(json.dumps(self.document, indent=1))

    @staticmethod
    def address() -> str:
        return f"127.0.0.1:{engines.free_port()}"

    def start(self, *names: str) -> None:
        """Starts these, or all, and waits until they are ready."""
        chosen = names or tuple(self.document["topology"]["processes"])
        if not self.admin_key:
            self.make_key()
        for name in chosen:
            log = open(self.logs / f"{name}.log", "a")
            command = [STARLING, "serve", "--topology", self.topology, "--process", name, "--data", self.folder / "data"]
            if self.own_files:
                own = self.own_file(name)
                if not own.exists():
                    own.write_text("{}\n")
                command += ["--config", own]
            popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
            self.processes[name] = Process(name, popen)
        for name in chosen:
            process = self.processes[name]
            for line in process.popen.stdout:
                if line == "ready\n":
                    break
            else:
                log = (self.logs / f"{name}.log").read_text(errors="replace")
                raise RuntimeError(f"{name} did not become ready, it ended with {process.popen.wait()}:\n{log[-3000:]}")

    def own_file(self, name: str) -> pathlib.Path:
        return self.folder / f"{name}.yaml"

    def put(self, key: str, value: str | None) -> None:
        """Sets a key of the configuration in etcd; None takes it away."""
        named = base64.b64encode(f"/starling/config/{key}".encode()).decode()
        body = {"key": named} if value is None else {"key": named, "value": base64.b64encode(value.encode()).decode()}
        what = "deleterange" if value is None else "put"
        request = urllib.request.Request(f"{self.engines['etcd'].url}/v3/kv/{what}", json.dumps(body).encode())
        urllib.request.urlopen(request, timeout=10).close()

    def tool(self, *arguments, **options) -> None:
        """A command of starling that works on the data itself, while no process runs."""
        subprocess.run([STARLING, *arguments, "--topology", self.offline, "--data", self.folder / "data"], check=True, **options)

    def fill(self, imports: list[tuple[str, str]]) -> None:
        """Imports and trains, once."""
        imported, trained = self.folder / "demo.imported", self.folder / "demo.trained"
        if imports and not imported.exists():
            for kind, file in imports:
                self.tool("import", kind, file, "--rejects", self.folder / f"{kind}.rejects.csv")
            imported.touch()
        if imported.exists() and not trained.exists():
            print("training", flush=True)
            self.tool("train", "--set", f"training.threads={os.cpu_count()}")
            trained.touch()

    def make_key(self) -> None:
        """An administrator's key, made while nothing runs and kept for the next start."""
        kept = self.folder / "admin.key"
        if not kept.exists():
            made = subprocess.run([STARLING, "keys", "create", "--scope", "admin", "--topology", self.offline, "--data",
                                   self.folder / "data"], capture_output=True, text=True, check=False)
            if made.returncode != 0:
                raise RuntimeError(f"starling keys create: {made.stdout}{made.stderr}")
            kept.touch(0o600)
            kept.write_text(made.stdout.split()[-1])
        self.admin_key = kept.read_text()

    def pid(self, name: str) -> int:
        return self.processes[name].popen.pid

    def kill(self, name: str) -> None:
        self.processes[name].popen.kill()
        self.processes[name].popen.wait()

    def stop(self, *names: str, patience: float = 60) -> dict[str, int]:
        """As an operator would; the exit codes. The gateway first, so that nobody calls who is gone."""
        chosen = [name for name in (names or self.processes) if self.processes[name].popen.poll() is None]
        chosen.sort(key=lambda name: not name.startswith(self.gateway))
        codes = {}
        for name in chosen:
            self.processes[name].popen.send_signal(signal.SIGTERM)
            if name.startswith(self.gateway):
                codes[name] = self.processes[name].popen.wait(patience)
        for name in chosen:
            codes[name] = self.processes[name].popen.wait(patience)
        return codes

    def close(self) -> None:
        try:
            self.stop()
        finally:
            for process in self.processes.values():
                if process.popen.poll() is None:
                    process.popen.kill()
                    process.popen.wait()
            for engine in self.engines.values():
                engine.close()
            for proxy in self.proxies.values():
                proxy.close()

    def entry(self, name: str) -> dict:
        return self.document["topology"]["processes"][name]

    @property
    def url(self) -> str:
        return "http://" + self.entry(self.gateway)["http"]

    def admin(self, name: str, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.entry(name)['admin']}{path}", timeout=10) as answer:
            return answer.read().decode()

    def ask(self, path: str, body=None, method: str | None = None, token: str | None = None, patience: float = 30,
            headers=None) -> tuple[int, dict]:
        """Status and answer of a call to the gateway, as the administrator when no token is given."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        token = self.admin_key if token is None else token
        if token:
            sent["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=patience) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text else {}


def run(args) -> int:
    def end(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    names = [name for name in args.engines.split(",") if name]
    print(f"starting {', '.join(names) or 'no engines'}", flush=True)
    cluster = Cluster(args.data.resolve(), names, port=args.port, keep_engines=True,
                      settings={"storefront": {"demo_sign_in": True}, "recommendation": {"repeats_in": ["home", "cart"]}})
    try:
        cluster.fill(args.imports)
        cluster.start()
        print(f"eight processes, as {cluster.topology} says\nshop    {cluster.url}/\nready", flush=True)
        while all(process.popen.poll() is None for process in cluster.processes.values()):
            time.sleep(0.5)
        gone = [name for name, process in cluster.processes.items() if process.popen.poll() is not None]
        print(f"{', '.join(gone)} ended; see {cluster.logs}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        cluster.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="start all of it and keep it")
    runner.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data/distributed"))
    runner.add_argument("--engines", default="", help="postgres (with pgvector),kafka,rabbitmq,redis,etcd,s3, one broker of both; none: embedded stores")
    runner.add_argument("--port", type=int, default=8080)
    runner.add_argument("--import", dest="imports", nargs=2, action="append", default=[], metavar=("KIND", "FILE"),
                        help="filled with this at the first start, and trained on it; as starling import has it")
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
