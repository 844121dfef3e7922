#!/usr/bin/env python3
"""./dev demo on a small made shop: it imports, trains and serves, says where, shows the admin key once, ends by ctrl-C, and starts
again in seconds with what was bought. Runs without network when ./dev setup and ./dev build ran before."""
import json
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

import made_shop

ROOT = pathlib.Path(__file__).resolve().parents[1]
KEY = re.compile(r"^admin key \(shown only now\): (sk_\S+)$", re.M)
PATIENCE = 240  # for the first start, which trains: a training takes only what nobody else wants of the processor
SECONDS = 30  # for the second; it takes two on an idle machine


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


def wait_for(what: str, look):
    """What look gives, as soon as it gives something."""
    for _ in range(300):
        found = look()
        if found:
            return found
        time.sleep(0.1)
    sys.exit(f"did not come: {what}")


class Demo:
    """./dev demo as in a terminal: a process group of its own, and what it printed until it was ready."""

    def __init__(self, log: pathlib.Path, patience: float, *arguments: str) -> None:
        started = time.monotonic()
        with log.open("w") as errors:
            self.process = subprocess.Popen([ROOT / "dev", "demo", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=errors, text=True, start_new_session=True)
        late = threading.Timer(patience, lambda: os.killpg(self.process.pid, signal.SIGKILL))
        late.start()
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if line == "ready\n":
                break
        late.cancel()
        self.seconds = time.monotonic() - started
        if not self.said.endswith("\nready\n"):
            self.process.wait()
            sys.exit(f"./dev demo was not ready after {self.seconds:.0f} s:\n{self.said}{log.read_text()}")

    def address(self, name: str) -> str:
        found = re.findall(rf"^{name} +(http://\S+)$", self.said, re.M)
        expect(len(found) == 1, f"one line says where {name} is:\n{self.said}")
        return found[0]

    def ask(self, path: str, token: str = "", body: dict | None = None) -> dict:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        request = urllib.request.Request(self.address("API") + path, None if body is None else json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        ended = self.process.wait(30)
        expect(ended == 0, f"ctrl-C ends it well, not with {ended}")
        rest = self.process.stdout.read()
        expect(not KEY.search(rest), "no key is shown at the end")


def first_start(demo: Demo) -> tuple[str, str]:
    """The admin key, and the product that was bought."""
    keys = KEY.findall(demo.said)
    expect(len(keys) == 1, f"the admin key is shown once:\n{demo.said}")
    for line in (r"^products +96 added", r"^users +241$", r"^events +[1-9][\d,]+$", r"^version 1: ", r"^it serves$"):
        expect(re.search(line, demo.said, re.M) is not None, f"a line says {line}:\n{demo.said}")
    api = demo.address("API")
    expect(demo.address("shop") == f"{api}/", "the shop is where the API is")
    with urllib.request.urlopen(demo.address("shop"), timeout=30) as page:
        expect(b"<title>Starling</title>" in page.read(), "there is the shop's page")
    with urllib.request.urlopen(demo.address("admin"), timeout=30) as page:
        expect(b"# HELP" in page.read(), "there are metrics")
    expect(demo.ask("/v1/products?page_size=1", keys[0])["total_size"] == 96, "the admin key opens the catalogue")
    expect(demo.ask("/demo/users?limit=1")["users"][0]["display_name"] == "Ada Lane", "a shopper may be chosen")
    ada = demo.ask("/demo/sessions", body={"user_id": made_shop.ADA})["access_token"]
    # On a machine that is busy with something else an answer may come from a fallback, in time, and says so.
    def whole() -> dict | None:
        found = demo.ask("/v1/recommendations?limit=10", ada)
        return None if "degraded" in found else found

    answer = wait_for("an answer that is whole", whole)
    expect(len(answer["items"]) == 10 and answer["model"]["version"] == "1",
           f"the model that was trained recommends ten products: {answer}")
    expect(all(item["reason"] and item["product"]["title"] and item["product"]["price"] for item in answer["items"]), f"all of them whole: {answer}")
    bought = answer["items"][0]["product"]["product_id"]
    demo.ask("/v1/events", ada, {"events": [{"event_id": "bought", "user_id": made_shop.ADA, "product_id": bought, "type": "purchase"}]})
    return keys[0], bought


def second_start(demo: Demo, key: str, bought: str) -> None:
    expect("admin key" not in demo.said, f"the admin key is not shown again:\n{demo.said}")
    for done in ("training", "version 1", "added"):
        expect(done not in demo.said, f"nothing is imported or trained again:\n{demo.said}")
    history = lambda: demo.ask(f"/v1/users/{made_shop.ADA}/history?limit=10", key).get("interactions", [])
    wait_for("what was bought, in the history", lambda: [one for one in history() if (one["event_id"], one["product_id"]) == ("bought", bought)])


def refused(*arguments: str) -> None:
    done = subprocess.run([ROOT / "dev", "demo", *arguments], capture_output=True, text=True, check=False)
    expect(done.returncode == 2 and arguments[0] in done.stdout, f"{arguments} is refused by name: {done}")


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where it is ignored, as in the background of a script
    refused("--prot", "1")
    refused("--data")
    refused("--import", "products")
    demo = None
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        files = [word for kind, file in made_shop.write(folder) for word in ("--import", kind, str(file))]
        place = ("--data", str(folder / "data"), "--port", "0")
        try:
            demo = Demo(folder / "log", PATIENCE, *place, *files)
            first = demo.seconds
            key, bought = first_start(demo)
            demo.ctrl_c()
            demo = Demo(folder / "log", SECONDS, *place)
            second_start(demo, key, bought)
            demo.ctrl_c()
        finally:
            if demo is not None and demo.process.poll() is None:
                os.killpg(demo.process.pid, signal.SIGKILL)
                demo.process.wait()
    print(f"the first start took {first:.1f} s, the second {demo.seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
