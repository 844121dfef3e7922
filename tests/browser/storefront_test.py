#!/usr/bin/env python3
"""Shops in the storefront with a real browser: starts the binary on free ports and an empty folder, then storefront_walk.mjs.

The screenshots it makes are in build/browser/.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "build/browser"
CHROMIUM = "/usr/bin/chromium"
PATIENCE = 240


def start(data: str) -> tuple[subprocess.Popen, str, str]:
    """The process, its URL and its admin key."""
    starling = subprocess.Popen([ROOT / "build/release/starling", "up", "--data", data, "--port", "0",
                                 "--set", "storefront.demo_sign_in=true"], stdout=subprocess.PIPE, text=True)
    url = key = ""
    for line in starling.stdout:
        if line.startswith("API"):
            url = line.split()[-1].replace("127.0.0.1", "localhost")
        if line.startswith("admin key"):
            key = line.split()[-1]
        if line == "ready\n":
            return starling, url, key
    sys.exit(f"starling did not become ready: it ended with {starling.wait()}")


def main() -> int:
    if not pathlib.Path(CHROMIUM).exists() or not (PACKAGES / "node_modules/playwright-core").is_dir():
        sys.exit(f"{CHROMIUM} or {PACKAGES.relative_to(ROOT)}/node_modules is missing: run ./dev setup, which installs them")
    with tempfile.TemporaryDirectory() as folder:
        starling, url, key = start(folder + "/data")
        try:
            walk = subprocess.run(["node", ROOT / "tests/browser/storefront_walk.mjs"], stdin=subprocess.DEVNULL,
                                  timeout=PATIENCE, check=False,
                                  env=dict(os.environ, HOME=folder, SHOP=url, ADMIN_KEY=key, CHROMIUM=CHROMIUM, PACKAGES=str(PACKAGES)))
        finally:
            starling.terminate()
            ended = starling.wait(60)
        if ended != 0:
            sys.exit(f"starling ended with {ended}")
        return walk.returncode


if __name__ == "__main__":
    sys.exit(main())
