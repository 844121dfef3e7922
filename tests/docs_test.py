#!/usr/bin/env python3
"""Holds the documentation against the binary: docs/configuration.md lists every key, as `starling config keys` prints them."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def main() -> int:
    printed = subprocess.check_output([ROOT / "build/release/starling", "config", "keys"], text=True)
    if printed.strip() not in (ROOT / "docs/configuration.md").read_text(encoding="utf-8"):
        sys.exit("docs/configuration.md differs from what `starling config keys` prints; put its output there again:\n" + printed)
    print("docs/configuration.md lists every key")
    return 0


if __name__ == "__main__":
    sys.exit(main())
