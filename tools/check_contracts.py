#!/usr/bin/env python3
"""Lints the contracts and refuses changes that break who uses them.

Lint: every service, method, message, field and value has a comment; names follow protobuf's style; packages are
starling.NAME.vN in contracts/NAME/vN. Breaking: against the contracts of a commit (HEAD~1 when there is one), a field,
value, method or message may not go, change its number or its type.
"""
import argparse
import glob
import pathlib
import re
import subprocess
import sys
import tempfile

TOKEN = re.compile(r"(message|enum|service)\s+(\w+)\s*\{")


def parse(text: str) -> tuple[dict[str, str], list[str]]:
    """The elements of a .proto as {path: signature}, and what has no comment above it."""
    elements, bare = {}, []
    scope: list[tuple[str, str]] = []
    depth_of: list[int] = []
    depth = 0
    commented = False
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("//"):
            commented = True
            continue
        code = stripped.split("//")[0].strip()
        if not code:
            commented = False
            continue
        path = ".".join(name for _, name in scope)
        inside = scope[-1][0] if scope and depth_of and depth == depth_of[-1] + 1 else ""
        start = re.match(r"(message|enum|service)\s+(\w+)", code)
        rpc = re.match(r"rpc\s+(\w+)\s*\(\s*(stream\s+)?([\w.]+)\s*\)\s*returns\s*\(\s*(stream\s+)?([\w.]+)", code)
        field = re.match(r"(?:(optional|repeated)\s+)?(map<[^>]+>|[\w.]+)\s+(\w+)\s*=\s*(\d+)", code)
        value = re.match(r"(\w+)\s*=\s*(-?\d+)", code)
        key = ""
        if start:
            key, signature = f"{path}.{start[2]}".lstrip("."), start[1]
        elif rpc and inside == "service":
            key, signature = f"{path}.{rpc[1]}", f"({rpc[2] or ''}{rpc[3]}) -> ({rpc[4] or ''}{rpc[5]})"
        elif inside == "message" and field:
            key, signature = f"{path}.{field[3]}", f"{field[1] or ''} {field[2]} = {field[4]}".strip()
        elif inside == "enum" and value:
            key, signature = f"{path}.{value[1]}", value[2]
        if key:
            elements[key] = signature
            if not commented:
                bare.append(key)
        if start:
            scope.append((start[1], start[2]))
            depth_of.append(depth)
        depth += code.count("{") - code.count("}")
        while depth_of and depth <= depth_of[-1]:
            depth_of.pop()
            scope.pop()
        commented = False
    return elements, bare


def lint(root: pathlib.Path) -> list[str]:
    found = []
    for path in sorted((root / "contracts").rglob("*.proto")):
        text = path.read_text(encoding="utf-8")
        name, version = path.parts[-3], path.parts[-2]
        if f"package starling.{name}.{version};" not in text:
            found.append(f"{path}: its package must be starling.{name}.{version}")
        elements, bare = parse(text)
        found += [f"{path}: {key} has no comment; say what it is" for key in bare]
        for key, signature in elements.items():
            last = key.rsplit(".", 1)[-1]
            if " = " in signature and not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", last):
                found.append(f"{path}: field {key} must be lower_snake_case")
    return found


def breaking(old_text: str, new_text: str, name: str) -> list[str]:
    old, _ = parse(old_text)
    new, _ = parse(new_text)
    found = []
    for key, signature in old.items():
        if key not in new:
            found.append(f"{name}: {key} is gone; deprecate it, or make a new version of the contract")
        elif new[key] != signature:
            found.append(f"{name}: {key} was '{signature}' and is '{new[key]}'; add a new one instead")
    return found


def compile_all(root: pathlib.Path) -> list[str]:
    apis = glob.glob(str(root / "build/venv/lib/python3*/site-packages"))
    protos = [str(path) for path in sorted((root / "contracts").rglob("*.proto"))]
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(["protoc", f"-I{root}", *[f"-I{api}" for api in apis], f"--descriptor_set_out={out.name}",
                               *protos], capture_output=True, text=True, check=False)
    return done.stderr.splitlines() if done.returncode else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default="HEAD~1")
    args = parser.parse_args()
    root = pathlib.Path(".")
    found = lint(root) + compile_all(root)
    listing = subprocess.run(["git", "ls-tree", "-r", "--name-only", args.against, "contracts/"], capture_output=True,
                             text=True, check=False)
    for name in listing.stdout.split():
        if not name.endswith(".proto"):
            continue
        old = subprocess.check_output(["git", "show", f"{args.against}:{name}"], text=True)
        if not pathlib.Path(name).exists():
            found.append(f"{name} is gone; other services may stand on it")
            continue
        found += breaking(old, pathlib.Path(name).read_text(encoding="utf-8"), name)
    print("\n".join(found) if found else "contracts: clean, and nothing broken")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
