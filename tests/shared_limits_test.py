#!/usr/bin/env python3
"""Two gateways, each a process, hold one limit of a caller together, exactly; with Redis killed each holds it alone and no request fails;
once it is back they hold it together again.
"""
import concurrent.futures
import pathlib
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import cluster  # noqa: E402

BURST = 40
ALL = ["profile", "catalog", "ingestion", "events", "features", "training", "inference", "recommendation", "analytics"]


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


def status(gateway: str) -> int:
    """Of a call without a credential: 429 when the address is limited, 401 when it is not."""
    try:
        with urllib.request.urlopen(f"http://{gateway}/v1/products", timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def admitted(gateways: list[str], calls: int) -> int:
    """How many of the calls, all at once and to the gateways in turn, are not answered 429; none may fail by the limit."""
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda number: status(gateways[number % len(gateways)]), range(calls)))
    expect(set(codes) <= {401, 429}, f"calls are answered 401 or 429, not {set(codes)}")
    return codes.count(401)


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        # No token comes back while the test runs.
        shop = cluster.Cluster(pathlib.Path(place), ["redis"], {"gateway": [], "all": ALL}, copies={"gateway": 2}, settings={
            "gateway": {"rate_limit": {"requests_per_second": 0.001, "burst": BURST}, "failed_credentials": {"per_minute": 0}}})
        try:
            shop.start()
            gateways = [shop.entry("gateway")["http"], shop.entry("gateway-2")["http"]]
            together = admitted(gateways, 4 * BURST)
            expect(together == BURST, f"two gateways admit {BURST}, not {together}")
            shop.engines["redis"].tell("kill")
            for gateway in gateways:
                alone = admitted([gateway], 2 * BURST)
                expect(alone == BURST, f"without Redis a gateway admits {BURST}, not {alone}")
            expect("starling_gateway_limits_degraded 1" in shop.admin("gateway", "/metrics"), "the metric says that it is degraded")
            shop.engines["redis"].tell("start")
            end = time.monotonic() + 30
            while any("starling_gateway_limits_degraded 0" not in shop.admin(name, "/metrics") for name in ("gateway", "gateway-2")):
                expect(time.monotonic() < end, "the gateways find Redis again")
                admitted(gateways, 8)
                time.sleep(0.1)
            again = admitted(gateways, BURST)
            expect(again == 0, f"Redis has kept what was taken, but {again} were admitted")
            print(f"{together} of {4 * BURST} by two gateways; {BURST} by each alone; none once they are together again")
        finally:
            shop.close()


if __name__ == "__main__":
    main()
