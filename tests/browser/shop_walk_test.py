#!/usr/bin/env python3
"""Shops in a trained shop with a real browser: imports a made shop, trains on it, starts the binary, then shop_walk.mjs.

WALK_DATA=data, a data folder as ./dev demo makes it and no server uses now, walks that shop instead, in a copy, with the settings of
./dev demo; SHOPPER="Household 7" says who walks (the first in the list when not said). The screenshots are in build/browser/.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import chromium

sys.path.insert(0, str(chromium.ROOT / "tests"))
import made_shop  # noqa: E402


def starling(*arguments: str) -> None:
    done = subprocess.run([chromium.STARLING, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"starling {arguments[0]} ended with {done.returncode}:\n{done.stdout}")


def trained_shop(folder: str) -> str:
    """A data folder in that one, with a made shop and a model of it."""
    data = folder + "/data"
    for kind, file in made_shop.write(pathlib.Path(folder)):
        starling("import", kind, str(file), "--data", data, "--rejects", folder + "/rejects.csv")
    starling("train", "--data", data)
    return data


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        given = os.environ.get("WALK_DATA")
        if given:
            data = shutil.copytree(given, folder + "/data")
            return chromium.walk("shop_walk.mjs", data, "recommendation.repeats_in=[home, cart]", REPEATS="1")
        return chromium.walk("shop_walk.mjs", trained_shop(folder))


if __name__ == "__main__":
    sys.exit(main())
