#!/usr/bin/env python3
"""A shop in eight processes on PostgreSQL, Redis, Kafka and etcd, under load: each engine in turn is stopped (SIGTERM), killed (SIGKILL)
and hung (SIGSTOP), stays away, and comes back. Recommendations never fail; a write that needs the engine is done or refused in its time
with 503 or 504; what was acknowledged is there at the end; all is whole soon after the return. Then all engines are killed, and every
process still ends well when it is told to.

Prints a table; docs/topology.md has one run of it. AWAY=seconds an engine stays away (2); ENGINES and FAULTS choose some.
"""
import os
import pathlib
import sys
import tempfile
import time

import shop_under_load
from topology_test import expect

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import cluster  # noqa: E402

AWAY = float(os.environ.get("AWAY", "2"))
ENGINES = os.environ.get("ENGINES", "postgres,redis,kafka,etcd").split(",")
FAULTS = {"stopped": ("stop", "start"), "killed": ("kill", "start"), "hung": ("pause", "resume")}
CHOSEN = os.environ.get("FAULTS", ",".join(FAULTS)).split(",")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        shop = cluster.Cluster(folder / "shop", ["postgres", "redis", "kafka", "etcd"], settings={"training": {"every": "0s"}})
        load = None
        try:
            (folder / "files").mkdir()
            load = shop_under_load.begin(shop, folder, folder / "files")
            print(shop_under_load.HEAD)
            for name in ENGINES:
                for fault in CHOSEN:
                    begin, end = FAULTS[fault]
                    engine = shop.engines[name]
                    shop_under_load.through(load, f"{name} {fault}", lambda: engine.tell(begin), lambda: engine.tell(end), AWAY)
            load.end()
            print(f"{load.check_acknowledged()} events were acknowledged, and each is there once", flush=True)
            for engine in shop.engines.values():
                engine.tell("kill")
            started = time.monotonic()
            codes = shop.stop()
            expect(all(code == 0 for code in codes.values()), f"all end well without engines: {codes}")
            print(f"without engines all processes ended well in {time.monotonic() - started:.1f} s", flush=True)
        finally:
            if load:
                load.end()
            shop.close()


if __name__ == "__main__":
    main()
