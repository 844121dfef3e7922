#!/usr/bin/env python3
"""The storefront at its edges, in a real browser, from an empty data folder: storefront_walk.mjs.

The screenshots it makes are in build/browser/.
"""
import sys
import tempfile

import chromium


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        return chromium.walk("storefront_walk.mjs", folder + "/data")


if __name__ == "__main__":
    sys.exit(main())
