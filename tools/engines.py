#!/usr/bin/env python3
"""Starts the engines that Starling can stand on, for tests and for the demo: real servers, on loopback, on free ports.

  tools/engines.py run redis                     starts one, prints a line of JSON when it answers, and keeps it until its
                                                 input ends or SIGTERM comes
  tools/engines.py run postgres --dir D --port P keeps its data in D (otherwise in a folder that goes with it)
  tools/engines.py list                          the engines, and whether each is installed

The line: {"engine": "redis", "host": "127.0.0.1", "port": 40123, "url": "redis://127.0.0.1:40123"}.

While it runs, a line of input is a command, answered by a line: "ok" or "error: ...".

  stop     ends the engine as an operator would; its data stays
  kill     ends it at once (SIGKILL of all its processes)
  pause    stops its processes where they are (SIGSTOP), as a machine that hangs
  resume   lets them go on
  start    starts it again, on the same port and data
"""
import argparse
import ctypes
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS = 90
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def free_port() -> int:
    """A port that nobody has now. Below what the kernel gives to clients, so that none of them takes it meanwhile."""
    for attempt in range(200):
        port = 20000 + (os.getpid() * 37 + attempt * 101 + time.monotonic_ns() // 1000) % 11000
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port between 20000 and 31000")


def answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), 1):
            return True
    except OSError:
        return False


def alive(pid: int) -> bool:
    """Whether the process is there and no mere entry that nobody has asked for yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Engine:
    """One server. `command` starts it in the foreground; `ready` says that it serves."""

    name = ""
    binary = ""
    package = ""
    scheme = ""
    user = None  # another user that root runs it as, because the server refuses root
    stop_signal = signal.SIGTERM
    temporary = False  # its folder goes with it

    def __init__(self, folder: pathlib.Path, port: int | None):
        self.folder = folder
        self.port = port or free_port()
        self.told = self.port  # what clients are told
        self.process = None
        self.log = folder / f"{self.name}.log"

    @classmethod
    def find(cls) -> str | None:
        return shutil.which(cls.binary) or shutil.which(cls.binary, path="/usr/sbin:/usr/lib/rabbitmq/bin")

    @classmethod
    def missing(cls) -> str | None:
        """What to do when it cannot be started here; None when it can."""
        return None if cls.find() else f"{cls.name} is not installed ({cls.package}): run ./dev setup"

    def prepare(self) -> None:
        """Makes what the first start needs; runs before each start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def ready(self) -> bool:
        return answers(self.port)

    def initialise(self) -> None:
        """Runs once, after the first start."""

    def run_as(self):
        """What the child does before it becomes the server: it dies with this process, and is not root where refused."""
        user = pwd.getpwnam(self.user) if self.user and os.getuid() == 0 else None

        def before() -> None:
            if user:
                os.setgroups([])
                os.setgid(user.pw_gid)
                os.setuid(user.pw_uid)
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        return before

    def own(self) -> None:
        if self.user and os.getuid() == 0:
            for parent in self.folder.parents:
                if not parent.stat().st_mode & 1:
                    raise RuntimeError(f"{self.name} does not run as root, and {self.user} may not pass {parent}: choose --dir "
                                       "below a folder open to all")
            for path in [self.folder, *self.folder.rglob("*")]:
                shutil.chown(path, self.user)

    def tool(self, *command: str) -> None:
        done = subprocess.run(command, preexec_fn=self.run_as(), capture_output=True, text=True, cwd=self.folder,
                              env={**os.environ, **self.environment()}, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")

    def start(self) -> None:
        first = not (self.folder / "initialised").exists()
        self.own()
        self.prepare()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                            env={**os.environ, **self.environment()}, preexec_fn=self.run_as(),
                                            process_group=0)
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                what = "ended" if self.process.poll() is not None else f"did not answer in {START_SECONDS} s"
                self.kill()
                raise RuntimeError(f"{self.name} {what}; the end of its log:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)
        if first:
            self.initialise()
            (self.folder / "initialised").touch()

    def signal(self, number: int) -> None:
        if self.process:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                pass

    def stop(self) -> None:
        if not self.process:
            return
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.process:
            self.process.wait()
        self.process = None

    def close(self) -> None:
        self.signal(signal.SIGCONT)
        self.stop()

    def about(self) -> dict:
        return {"engine": self.name, "host": HOST, "port": self.told, "url": f"{self.scheme}://{HOST}:{self.told}"}


class Redis(Engine):
    name, binary, package, scheme = "redis", "redis-server", "Debian redis-server", "redis"

    def command(self) -> list[str]:
        return [self.find(), "--bind", HOST, "--port", str(self.port), "--dir", str(self.folder), "--appendonly", "yes",
                "--appendfsync", "everysec", "--save", ""]

    def ready(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class RedisNode(Redis):
    """One of a cluster."""

    def command(self) -> list[str]:
        self.bus_port = getattr(self, "bus_port", None) or free_port()
        return [*super().command(), "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port",
                str(self.bus_port), "--cluster-node-timeout", "2000"]


class RedisCluster(Engine):
    """Three masters that share the slots; a command is for all of them."""

    name, binary, package, scheme = "redis-cluster", "redis-server", "Debian redis-server", "redis"

    def __init__(self, folder: pathlib.Path, port: int | None):
        super().__init__(folder, port)
        self.nodes = []
        for number in range(3):
            place = folder / f"node-{number + 1}"
            place.mkdir(exist_ok=True)
            self.nodes.append(RedisNode(place, self.port if number == 0 else None))

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        if not (self.folder / "initialised").exists():
            self.tool("redis-cli", "--cluster", "create", *(f"{HOST}:{node.port}" for node in self.nodes), "--cluster-yes")
            (self.folder / "initialised").touch()
        deadline = time.monotonic() + START_SECONDS
        while not all(self.whole(node) for node in self.nodes):
            if time.monotonic() > deadline:
                raise RuntimeError("the nodes of Redis do not agree on a cluster")
            time.sleep(0.05)

    @staticmethod
    def whole(node: Engine) -> bool:
        with socket.create_connection((HOST, node.port), 1) as connection:
            connection.sendall(b"CLUSTER INFO\r\n")
            return b"cluster_state:ok" in connection.recv(4096)

    def signal(self, number: int) -> None:
        for node in self.nodes:
            node.signal(number)

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def about(self) -> dict:
        return {**super().about(), "url": "redis://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes)}


class Etcd(Engine):
    name, binary, package, scheme = "etcd", "etcd", "Debian etcd-server", "http"

    def __init__(self, folder: pathlib.Path, port: int | None):
        super().__init__(folder, port)
        self.peer_port = free_port()

    def command(self) -> list[str]:
        peer = f"http://{HOST}:{self.peer_port}"
        return [self.find(), "--name", "starling", "--data-dir", str(self.folder / "data"), "--listen-client-urls", self.url(),
                "--advertise-client-urls", self.url(), "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", f"starling={peer}", "--logger", "zap", "--log-level", "warn"]

    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url()}/health", timeout=1) as answer:
                return json.load(answer).get("health") == "true"
        except (OSError, ValueError):
            return False


class Postgres(Engine):
    name, binary, package, scheme = "postgres", "postgres", "PyPI pgserver", "postgresql"
    user = "nobody"  # PostgreSQL refuses root
    stop_signal = signal.SIGINT  # the fast way: clients are told, what was committed is kept

    @classmethod
    def find(cls) -> str | None:
        found = sorted((ROOT / "build/venv/lib").glob("python3*/site-packages/pgserver/pginstall/bin/postgres"))
        return str(found[0]) if found else None

    def prepare(self) -> None:
        if not (self.folder / "data" / "PG_VERSION").exists():
            initdb = str(pathlib.Path(self.find()).with_name("initdb"))
            self.tool(initdb, "-D", str(self.folder / "data"), "-U", "starling", "--auth=trust", "--encoding=UTF8", "--locale=C",
                      "--no-sync")

    def command(self) -> list[str]:
        return [self.find(), "-D", str(self.folder / "data"), "-c", f"listen_addresses={HOST}", "-c", f"port={self.port}", "-c",
                "unix_socket_directories=", "-c", "max_connections=200"]

    def ready(self) -> bool:
        probe = str(pathlib.Path(self.find()).with_name("pg_isready"))
        return subprocess.run([probe, "-q", "-h", HOST, "-p", str(self.port)], check=False).returncode == 0

    def close(self) -> None:
        """At once where nobody keeps its data: an orderly end writes all of it to the disk before."""
        if self.temporary:
            self.kill()
        else:
            super().close()

    def signal(self, number: int) -> None:
        """To its backends too, each of which leads a process group of its own; none is started meanwhile."""
        if not self.process or self.process.poll() is not None:
            return
        children = []
        try:
            self.process.send_signal(signal.SIGSTOP)
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for pid in [*map(int, children), self.process.pid]:
                os.kill(pid, number)  # a child that ended is an entry until its parent goes on
            if number not in (signal.SIGSTOP, signal.SIGKILL):
                self.process.send_signal(signal.SIGCONT)
        except (ProcessLookupError, FileNotFoundError):
            pass
        # Those that were killed are gone once nobody has their memory: the next start refuses before.
        if number == signal.SIGKILL:
            while any(alive(int(pid)) for pid in children):
                time.sleep(0.01)

    def about(self) -> dict:
        return {**super().about(), "url": f"postgresql://starling@{HOST}:{self.told}/postgres"}


class Kafka(Engine):
    name, binary, package, scheme = "kafka", "java", "Debian default-jre-headless and maven", "kafka"
    LIBS = ROOT / "build/engines/kafka/libs"

    def __init__(self, folder: pathlib.Path, port: int | None):
        super().__init__(folder, port)
        self.controller_port = free_port()

    @classmethod
    def missing(cls) -> str | None:
        if not any(cls.LIBS.glob("kafka_*.jar")):
            return "kafka's jars are not there: run ./dev setup"
        return super().missing()

    def environment(self) -> dict[str, str]:
        return {"LOG_DIR": str(self.folder)}

    def prepare(self) -> None:
        properties = self.folder / "server.properties"
        properties.write_text(f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{HOST}:{self.controller_port}
listeners=PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.controller_port}
advertised.listeners=PLAINTEXT://{HOST}:{self.told}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={self.folder}/data
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.min.isr=1
broker.session.timeout.ms=3000
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.flush.interval.messages=1
""")
        if not (self.folder / "data" / "meta.properties").exists():
            self.tool(*self.java("256m"), "kafka.tools.StorageTool", "format", "--config", str(properties), "--cluster-id",
                      "c3RhcmxpbmctY2x1c3Rlcg", "--ignore-formatted")

    def java(self, heap: str) -> list[str]:
        return [self.find(), f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{self.LIBS}/*"]

    def command(self) -> list[str]:
        return [*self.java("384m"), "kafka.Kafka", str(self.folder / "server.properties")]

    def about(self) -> dict:
        return {**super().about(), "url": f"{HOST}:{self.told}"}


class RabbitMq(Engine):
    name, binary, package, scheme = "rabbitmq", "rabbitmq-server", "Debian rabbitmq-server", "amqp"

    def __init__(self, folder: pathlib.Path, port: int | None):
        super().__init__(folder, port)
        self.epmd_port, self.node_port = free_port(), free_port()
        self.mapper = None

    @classmethod
    def find(cls) -> str | None:
        script = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # Debian's own start, without its change of user
        return script if os.access(script, os.X_OK) else None

    def environment(self) -> dict[str, str]:
        folder = str(self.folder)
        return {"HOME": folder, "RABBITMQ_NODENAME": f"starling{self.port}@localhost", "RABBITMQ_MNESIA_BASE": f"{folder}/data",
                "RABBITMQ_LOG_BASE": f"{folder}/logs", "RABBITMQ_LOGS": "-", "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
                "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins", "ERL_EPMD_PORT": str(self.epmd_port),
                "ERL_EPMD_ADDRESS": HOST, "RABBITMQ_DIST_PORT": str(self.node_port),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none"}

    def prepare(self) -> None:
        (self.folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = {HOST}:{self.port}\nloopback_users = none\n")
        (self.folder / "enabled_plugins").write_text("[].\n")

    def start(self) -> None:
        # Erlang's port mapper: one of our own in the foreground, or RabbitMQ starts a daemon that outlives it.
        if not self.mapper or self.mapper.poll() is not None:
            self.mapper = subprocess.Popen(["epmd"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL, env={**os.environ, **self.environment()},
                                           preexec_fn=self.run_as())
            while not answers(self.epmd_port):
                if self.mapper.poll() is not None:
                    raise RuntimeError("epmd ended: is another at its port?")
                time.sleep(0.02)
        super().start()

    def close(self) -> None:
        super().close()
        if self.mapper:
            self.mapper.kill()
            self.mapper.wait()

    def command(self) -> list[str]:
        return [self.find()]

    def ready(self) -> bool:
        """It has said who it is, which it does once its queues are back: a port alone is open before."""
        try:
            with socket.create_connection((HOST, self.port), 1) as connection:
                connection.settimeout(1)
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def about(self) -> dict:
        return {**super().about(), "url": f"amqp://guest:guest@{HOST}:{self.told}/"}


class S3(Engine):
    """MinIO, one node, with a bucket `starling`; its access key is `starling`, its secret key `only-for-tests`."""

    name, binary, package, scheme = "s3", "minio", "the Go module github.com/minio/minio", "http"
    BINARY = ROOT / "build/engines/minio/minio"

    def __init__(self, folder: pathlib.Path, port: int | None):
        super().__init__(folder, port)
        self.console_port = free_port()

    def prepare(self) -> None:
        (self.folder / "data" / "starling").mkdir(parents=True, exist_ok=True)  # a folder there is a bucket

    @classmethod
    def find(cls) -> str | None:
        return str(cls.BINARY) if cls.BINARY.exists() else None

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.folder), "MINIO_ROOT_USER": "starling", "MINIO_ROOT_PASSWORD": "only-for-tests",
                "MINIO_BROWSER": "off", "MINIO_UPDATE": "off", "MINIO_CI_CD": "on"}

    def command(self) -> list[str]:
        return [self.find(), "server", str(self.folder / "data"), "--address", f"{HOST}:{self.port}", "--console-address",
                f"{HOST}:{self.console_port}", "--quiet"]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/minio/health/ready", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False


ENGINES = {engine.name: engine for engine in (Redis, RedisCluster, Etcd, Postgres, Kafka, RabbitMq, S3)}


def run(engine: Engine) -> int:
    """Keeps the engine until the input ends."""
    def end(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    actions = {"stop": engine.stop, "kill": engine.kill, "start": engine.start,
               "pause": lambda: engine.signal(signal.SIGSTOP), "resume": lambda: engine.signal(signal.SIGCONT)}
    try:
        engine.start()
        print(json.dumps(engine.about()), flush=True)
        for line in sys.stdin:
            action = actions.get(line.strip())
            try:
                if not action:
                    raise RuntimeError(f"there is no command '{line.strip()}'; there are {', '.join(actions)}")
                action()
                print("ok", flush=True)
            except RuntimeError as error:
                print("error:", str(error).replace("\n", " | "), flush=True)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        engine.close()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="start one and keep it")
    runner.add_argument("engine", choices=ENGINES)
    runner.add_argument("--dir", type=pathlib.Path, help="where its data is; made when absent, kept")
    runner.add_argument("--port", type=int)
    runner.add_argument("--told", type=int, help="the port that clients are told: of a proxy before it")
    commands.add_parser("list", help="the engines, and whether each is installed")
    args = parser.parse_args()
    if args.command == "list":
        for engine in ENGINES.values():
            print(f"{engine.name:10} {engine.missing() or 'ready'}")
        return 0
    kind = ENGINES[args.engine]
    if kind.missing():
        print(kind.missing(), file=sys.stderr)
        return 1
    if args.dir:
        args.dir.mkdir(parents=True, exist_ok=True)
        engine = kind(args.dir.resolve(), args.port)
        engine.told = args.told or engine.port
        return run(engine)
    # A test's own folder is closed to others, which who does not run as root could not pass.
    place = "/var/tmp" if kind.user and os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix=f"starling-{args.engine}-", dir=place) as folder:
        engine = kind(pathlib.Path(folder), args.port)
        engine.temporary = True
        engine.told = args.told or engine.port
        return run(engine)


if __name__ == "__main__":
    sys.exit(main())
