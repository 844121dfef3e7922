"""Walks through a shop in Chromium: starts the binary on free ports, then a walk of this folder by Node.js."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
STARLING = ROOT / "build/release/starling"
PACKAGES = ROOT / "build/browser"
CHROMIUM = "/usr/bin/chromium"
PATIENCE = 240


def start(data: str, settings: list[str]) -> tuple[subprocess.Popen, str, str]:
    """The process, its URL and its admin key, "" when the data folder has one already."""
    settings = ["storefront.demo_sign_in=true", *settings]
    starling = subprocess.Popen([STARLING, "up", "--data", data, "--port", "0", *(word for one in settings for word in ("--set", one))],
                                stdout=subprocess.PIPE, text=True)
    url = key = ""
    for line in starling.stdout:
        if line.startswith("API"):
            url = line.split()[-1].replace("127.0.0.1", "localhost")
        if line.startswith("admin key"):
            key = line.split()[-1]
        if line == "ready\n":
            return starling, url, key
    sys.exit(f"starling did not become ready: it ended with {starling.wait()}")


def walk(script: str, data: str, *settings: str, **environment: str) -> int:
    """The exit code of the walk through a shop on this data folder."""
    if not pathlib.Path(CHROMIUM).exists() or not (PACKAGES / "node_modules/playwright-core").is_dir():
        sys.exit(f"{CHROMIUM} or {PACKAGES.relative_to(ROOT)}/node_modules is missing: run ./dev setup, which installs them")
    starling, url, key = start(data, list(settings))
    try:
        done = subprocess.run(["node", ROOT / "tests/browser" / script], stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False,
                              env=dict(os.environ, HOME=str(pathlib.Path(data).parent), SHOP=url, ADMIN_KEY=key, CHROMIUM=CHROMIUM,
                                       PACKAGES=str(PACKAGES), **environment))
    finally:
        starling.terminate()
        ended = starling.wait(60)
    if ended != 0:
        sys.exit(f"starling ended with {ended}")
    return done.returncode
