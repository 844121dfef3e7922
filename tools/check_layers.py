#!/usr/bin/env python3
"""Names every #include that points the wrong way: folders depend on those before them, services never on each other."""
import pathlib
import re
import sys

# Bottom first; a folder may include itself and what stands before it.
LAYERS = ["platform/base", "platform/testing", "platform/async", "platform/telemetry", "platform/config", "platform/json", "platform/tabular",
          "platform/storage/file", "platform/storage/sql", "platform/resilience", "platform/storage/redis", "platform/storage/kv", "platform/storage/vector",
          "platform/http", "platform/storage/blob", "platform/security", "platform/identity", "platform/discovery", "platform/rpc", "platform/gateway", "platform/messaging", "platform/saga", "platform/host", "contracts", "learning", "services", "apps", "bench", "tests"]
INCLUDE = re.compile(r'^\s*#include "([^"]+)"')


def layer_of(path: str) -> int:
    best = -1
    for index, layer in enumerate(LAYERS):
        if path.startswith(layer + "/") and (best < 0 or len(layer) > len(LAYERS[best])):
            best = index
    return best


def violations(root: pathlib.Path) -> list[str]:
    found = []
    tops = [root / top for top in ("platform", "learning", "services", "apps") if (root / top).exists()]
    for path in sorted(path for top in tops for path in [*top.rglob("*.h"), *top.rglob("*.cc")]):
        name = path.relative_to(root).as_posix()
        own = layer_of(name)
        if own < 0:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match.group(1)
            below = layer_of(target)
            if below > own:
                found.append(f"{name}:{number}: {LAYERS[own]} may not include {target}: folders point one way, {LAYERS}")
            if LAYERS[own] == "learning" and not target.startswith(("learning/", "platform/base/")):
                found.append(f"{name}:{number}: learning is pure: it may include platform/base alone, not {target}")
            if LAYERS[own] == "services" and target.startswith("services/"):
                if target.split("/")[1] != name.split("/")[1]:
                    found.append(f"{name}:{number}: a service may not include another ({target}): ask by contract")
    return found


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = violations(root)
    print("\n".join(found) if found else "layers: every include points down")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
