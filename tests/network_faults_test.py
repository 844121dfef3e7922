#!/usr/bin/env python3
"""A shop in eight processes on PostgreSQL, Redis and Kafka, under load, whose network fails: before services and engines stand proxies
(tools/fault_proxy.py) that in turn answer 300 ms late, lose 5 % of what is sent, and let nothing through. Recommendations never fail; a
write is done or refused in its time with 503 or 504; what was acknowledged is there at the end; all is whole soon after.

Prints a table; docs/topology.md has one run of it. FAULT_SECONDS=how long each fault lasts (2); PARTITION_SECONDS=a partition (3; the
long run: 20); TARGETS (services and engines) and FAULTS choose others.
"""
import os
import pathlib
import sys
import tempfile

import shop_under_load

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import cluster  # noqa: E402

SECONDS = float(os.environ.get("FAULT_SECONDS", "2"))
PARTITION = float(os.environ.get("PARTITION_SECONDS", "3"))
TARGETS = os.environ.get("TARGETS", "profile,inference,postgres,redis,kafka").split(",")
FAULTS = {"300 ms late": ("delay 300", SECONDS), "5 % lost": ("lose 5", SECONDS), "cut off": ("partition", PARTITION)}
CHOSEN = os.environ.get("FAULTS", ",".join(FAULTS)).split(",")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        shop = cluster.Cluster(folder / "shop", ["postgres", "redis", "kafka"], settings={"training": {"every": "0s"}}, proxied=TARGETS)
        load = None
        try:
            (folder / "files").mkdir()
            load = shop_under_load.begin(shop, folder, folder / "files")
            print(shop_under_load.HEAD)
            for name in TARGETS:
                proxy = shop.proxies[name]
                for fault in CHOSEN:
                    command, lasts = FAULTS[fault]
                    shop_under_load.through(load, f"{name} {fault}", lambda: proxy.tell(command), lambda: proxy.tell("heal"), lasts)
            load.end()
            print(f"{load.check_acknowledged()} events were acknowledged, and each is there once", flush=True)
        finally:
            if load:
                load.end()
            shop.close()


if __name__ == "__main__":
    main()
