#!/usr/bin/env python3
"""Draws docs/storefront.svg, the picture of the README: a made shop, trained on, as one of its shoppers sees it. No arguments."""
import sys
import tempfile

import chromium
from shop_walk_test import trained_shop

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(chromium.walk("screenshot.mjs", trained_shop(folder), PICTURE=str(chromium.ROOT / "docs/storefront.svg")))
