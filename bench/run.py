#!/usr/bin/env python3
"""Measures Starling beside peers and limits of the same machine, in one run: ./dev bench [calls|http|gateway|events|json|learning|recommend|topology ...]

learning:memory,million runs these parts of it alone, gateway:peers,tls of that; --help has their names. Absolute figures drift from machine
to machine; the ratios are what counts. Results are also written to build/bench/NAME.txt.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

import gateway as of_gateway
import learning as of_learning
from recommend import recommend
from topology import topology

BUILD = pathlib.Path("build/release")


def wrk(url: str, token: str = "", seconds: int = 5) -> tuple[float, str]:
    command = ["wrk", "-t1", "-c32", f"-d{seconds}", "--latency"]
    if token:
        command += ["-H", f"Authorization: Bearer {token}"]
    output = subprocess.check_output(command + [url], text=True)
    if "Non-2xx" in output:
        raise RuntimeError(f"{url} gave errors:\n{output}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]), re.search(r"99%\s+(\S+)", output)[1]


def wait_for(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).read()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def http(report) -> None:
    product = {"title": "Whole milk", "brand": "Meadow", "categories": ["grocery", "dairy", "milk"],
               "price": {"currency_code": "EUR", "units": "1", "nanos": 290000000}}
    with tempfile.TemporaryDirectory() as folder:
        starling = subprocess.Popen([BUILD / "starling", "up", "--data", f"{folder}/data", "--port", "18480", "--set",
                                     "runtime.io_threads=1"], stdout=subprocess.PIPE, text=True)
        token, nginx = "", None
        try:
            for line in starling.stdout:
                if line.startswith("admin key"):
                    token = line.split()[-1]
                if line == "ready\n":
                    break
            url = "http://127.0.0.1:18480/v1/products/p-1"
            request = urllib.request.Request(url, json.dumps(product).encode(), method="PUT", headers={
                "Authorization": f"Bearer {token}", "Content-Type": "application/json"})
            body = urllib.request.urlopen(request).read().decode()
            pathlib.Path(folder, "nginx.conf").write_text(
                f"worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
                "events { worker_connections 1024; }\n"
                "http { access_log off; keepalive_requests 100000000; server { listen 127.0.0.1:18482;\n"
                f"location / {{ default_type application/json; return 200 '{body}'; }} }} }}\n")
            nginx = subprocess.Popen(["nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"])
            wait_for("http://127.0.0.1:18482/")
            rows = []
            for _ in range(3):  # alternating, so that a slow moment hits both
                rows.append((wrk("http://127.0.0.1:18482/"), wrk(url, token), wrk("http://127.0.0.1:18480/healthz")))
            rows.sort(key=lambda row: row[1][0] / row[0][0])
            peer, product_rate, health = rows[1]
            report(f"{'one thread, wrk -t1 -c32, the median of 3 runs':<52} {'requests/s':>12} {'p99':>10} {'ratio':>8}")
            report(f"{'nginx, return 200 with the same body':<52} {peer[0]:>12.0f} {peer[1]:>10} {1:>8.2f}")
            report(f"{'GET /v1/products/{id} with an API key':<52} {product_rate[0]:>12.0f} {product_rate[1]:>10} "
                   f"{product_rate[0] / peer[0]:>8.2f}")
            report(f"{'GET /healthz':<52} {health[0]:>12.0f} {health[1]:>10} {health[0] / peer[0]:>8.2f}")
            rss = re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{starling.pid}/status").read_text())
            report(f"{'resident memory after the load, MB':<52} {int(rss[1]) / 1024:>12.1f}")
        finally:
            starling.terminate()
            starling.wait(30)
            if nginx:
                nginx.terminate()
                nginx.wait(10)


def binary(name: str, *arguments: str):
    def bench(report) -> None:
        report(subprocess.check_output([str(BUILD / "bin" / name), *arguments], text=True,
                                       env=dict(os.environ)).rstrip())
    return bench


BENCHES = {"calls": binary("bench_calls"), "http": http, "gateway": of_gateway.gateway, "events": binary("bench_event_log", "build"),
           "json": binary("bench_json", "--benchmark_min_time=0.3"), "learning": of_learning.learning, "recommend": recommend, "topology": topology}
PARTS = {"gateway": of_gateway.PARTS, "learning": of_learning.PARTS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = "; ".join(f"{name}:PART,PART of {', '.join(known)}" for name, known in PARTS.items())
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHES)}; {parts}")
    args = parser.parse_args()
    for asked in args.names:
        name, _, wanted = asked.partition(":")
        if name not in BENCHES:
            parser.error(f"there is no benchmark {name}; there are {', '.join(BENCHES)}")
        if unknown := set(filter(None, wanted.split(","))) - set(PARTS.get(name, {})):
            parser.error(f"{name} has no part {', '.join(sorted(unknown))}; parts are {parts}")
    folder = pathlib.Path("build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    for asked in args.names or BENCHES:
        name, _, wanted = asked.partition(":")
        lines = []

        def report(line: str) -> None:
            print(line, flush=True)
            lines.append(line)

        if wanted:
            BENCHES[name](report, wanted.split(","))
        else:
            BENCHES[name](report)
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
