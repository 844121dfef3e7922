#!/usr/bin/env python3
"""clang-tidy on the files that changed (--all: on every file), with the flags of the release build made fit for clang."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

DROP = ("-Winvalid-pch", "-Wno-tsan", "-fno-canonical-system-headers", "-fpch-preprocess")


def for_clang(command: str) -> list[str]:
    arguments = shlex.split(command)
    compiler = next(i for i, argument in enumerate(arguments) if argument.endswith("++"))  # behind ccache and its settings
    arguments = arguments[compiler:]
    result, skip = [], False
    for index, argument in enumerate(arguments):
        if skip:
            skip = False
            continue
        if argument == "-include" and "cmake_pch" in arguments[index + 1]:
            skip = True
            continue
        if argument in DROP:
            continue
        result.append(argument)
    return result


FINDING = r"^(/[^:\n]+):\d+:\d+: (error|warning): .*$"


def findings(output: str, root: str, wanted: set[str] | None) -> list[str]:
    """Those inside the wanted files (None: the whole checkout). What a library's header makes the analyser say is not ours."""
    found = []
    for match in re.finditer(FINDING, output, re.M):
        name = os.path.relpath(match[1], root)
        if not name.startswith((os.pardir, "build" + os.sep)) and (wanted is None or name in wanted):
            found.append(match[0])
    return found


def changed(base: str) -> set[str]:
    names = subprocess.run(["git", "diff", "--name-only", base], capture_output=True, text=True, check=False).stdout.split()
    names += subprocess.check_output(["git", "ls-files", "-o", "--exclude-standard"], text=True).split()
    return set(names)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--base", default="HEAD~1")
    args = parser.parse_args()
    database = pathlib.Path("build/release/compile_commands.json")
    if not database.exists():
        print("lint: there is no build/release yet, so no flags and no generated code; run ./dev build")
        return 1
    root = os.getcwd()
    entries = []
    wanted = changed(args.base)
    for entry in json.loads(database.read_text()):
        name = os.path.relpath(entry["file"], root)
        if name.startswith("build/") or not (args.all or name in wanted):
            continue
        entries.append({"directory": entry["directory"], "file": entry["file"], "arguments": for_clang(entry["command"])})
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "compile_commands.json").write_text(json.dumps(entries))

        def tidy(entry: dict) -> tuple[str, list[str]]:
            done = subprocess.run(["clang-tidy-16", "--quiet", "-p", folder, entry["file"]], capture_output=True, text=True,
                                  check=False)
            found = findings(done.stdout, root, None if args.all else wanted)
            if done.returncode and not re.search(FINDING, done.stdout, re.M):
                found.append(done.stderr)  # it could not run at all
            return entry["file"], found

        told: set[str] = set()  # a header's finding comes with every file that includes it, and is told once
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for done, (name, found) in enumerate(pool.map(tidy, entries), start=1):
                new = [finding for finding in dict.fromkeys(found) if finding not in told]
                told.update(new)
                print("\n".join(new), end="\n" if new else "")
                print(f"lint: {done}/{len(entries)} {os.path.relpath(name, root)}", end="\r", file=sys.stderr, flush=True)
    print(f"lint: {len(entries)} files, {len(told)} findings")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
