#!/usr/bin/env python3
"""Runs every test and ends with 'N passed, N failed'.

Tests are what CTest knows of each build folder (GoogleTest binaries, counted case by case), the Python tests of tools/
and tests/, and the fuzzers. A failed, crashed, hanging or skipped case is a failure, and so is a process that a test leaves behind.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid


@dataclasses.dataclass
class Outcome:
    name: str
    passed: int = 0
    failed: list = dataclasses.field(default_factory=list)
    log: str = ""
    seconds: float = 0


def leftovers(mark: str) -> list[int]:
    """Processes whose environment carries the mark of a test that has ended."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if f"STARLING_TEST_RUN={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                if (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                    found.append(int(entry.name))
        except (OSError, IndexError):
            continue
    return found


def run(command: list[str], timeout: float, extra: dict[str, str]) -> tuple[int, str, list[int]]:
    """Exit code (None-like -1000 for a timeout), output, and what was left behind (and is then killed)."""
    mark = uuid.uuid4().hex
    environment = dict(os.environ, STARLING_TEST_RUN=mark, **extra)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory() as scratch:
        environment["TEST_TMPDIR"] = environment["TMPDIR"] = scratch
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
                                   start_new_session=True)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = -1000
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        deadline = time.monotonic() + 2
        left = leftovers(mark)
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = leftovers(mark)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        output.seek(0)
        return code, output.read().decode(errors="replace"), left if code != -1000 else []


def describe(code: int) -> str:
    if code == -1000:
        return "did not end in time"
    return f"ended by signal {-code}" if code < 0 else f"exit code {code}"


def run_gtest(name: str, command: list[str], timeout: float, extra: dict[str, str]) -> Outcome:
    start = time.monotonic()
    outcome = Outcome(name)
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        code, outcome.log, left = run(command + [f"--gtest_output=json:{report.name}"], timeout, extra)
        try:
            suites = json.load(open(report.name, encoding="utf-8")).get("testsuites", [])
        except ValueError:
            suites = []
    for suite in suites:
        for case in suite.get("testsuite", []):
            if case.get("failures"):
                outcome.failed.append(f"{name}: {case['classname']}.{case['name']}")
            elif case.get("status") != "RUN" or case.get("result") != "COMPLETED":
                outcome.failed.append(f"{name}: {case['classname']}.{case['name']} was skipped")
            else:
                outcome.passed += 1
    if code != 0 and not outcome.failed:
        outcome.failed.append(f"{name}: {describe(code)}")
    if code == 0 and not suites:
        outcome.failed.append(f"{name}: ran no test")
    if left:
        outcome.failed.append(f"{name}: left {len(left)} processes behind")
    outcome.seconds = time.monotonic() - start
    return outcome


def run_plain(name: str, command: list[str], timeout: float, extra: dict[str, str]) -> Outcome:
    start = time.monotonic()
    code, log, left = run(command, timeout, extra)
    outcome = Outcome(name, log=log)
    if code != 0:
        outcome.failed.append(f"{name}: {describe(code)}")
    elif left:
        outcome.failed.append(f"{name}: left {len(left)} processes behind")
    else:
        outcome.passed = 1
    outcome.seconds = time.monotonic() - start
    return outcome


def ctest_jobs(build: str, only: str) -> list[tuple[bool, object]]:
    listing = json.loads(subprocess.check_output(["ctest", "--test-dir", build, "--show-only=json-v1"]))
    preset = pathlib.Path(build).name
    sanitized = preset in ("asan", "tsan")
    jobs = []
    for test in listing["tests"]:
        if "command" not in test or (only and not re.search(only, test["name"])):
            continue
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        extra = dict(pair.split("=", 1) for pair in properties.get("ENVIRONMENT", []))
        # What the sanitizers find in libraries that were built without them is named there, with the reason.
        suppressions = os.path.abspath(f"tools/{preset}_suppressions.txt")
        if preset == "tsan":
            extra["TSAN_OPTIONS"] = f"halt_on_error=1 second_deadlock_stack=1 die_after_fork=0 suppressions={suppressions}"
        if preset == "asan":
            extra["ASAN_OPTIONS"] = "detect_leaks=1:detect_stack_use_after_return=1"
            extra["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1"
        timeout = float(properties.get("TIMEOUT", 120)) * (6 if sanitized else 1)
        name = test["name"] if preset == "release" else f"{test['name']} ({preset})"
        command = test["command"]
        jobs.append((bool(properties.get("RUN_SERIAL")),
                     lambda n=name, c=command, t=timeout, e=extra: run_gtest(n, c, t, e)))
    return jobs


def fuzz_jobs(build: str, seconds: int) -> list[tuple[bool, object]]:
    jobs = []
    for binary in sorted(pathlib.Path(build, "bin").glob("*_fuzz")):
        corpus = pathlib.Path(build, "corpus", binary.name)
        corpus.mkdir(parents=True, exist_ok=True)
        seeds = [str(path) for top in ("platform", "codegen") for path in pathlib.Path(top).rglob(f"fuzz_seeds/{binary.name}")]
        artifacts = pathlib.Path(build, "findings")
        artifacts.mkdir(exist_ok=True)
        command = [str(binary), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1",
                   f"-artifact_prefix={artifacts}/{binary.name}-", str(corpus), *seeds]
        jobs.append((False, lambda n=binary.name, c=command: run_plain(n, c, seconds + 120, {})))
    return jobs


def python_jobs(only: str) -> list[tuple[bool, object]]:
    """Those of tools/ beside the others, those of tests/, which build or drive a browser, alone."""
    jobs = []
    for folder, alone, timeout in (("tools", False, 120), ("tests", True, 1800), ("tests/browser", True, 300)):
        for path in sorted(pathlib.Path(folder).glob("*_test.py")):
            if not only or re.search(only, path.stem):
                jobs.append((alone, lambda p=path, t=timeout: run_plain(str(p), [sys.executable, str(p)], t, {})))
    return jobs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="append", default=[], help="a build folder; may be repeated")
    parser.add_argument("--fuzz", help="the fuzzers' build folder")
    parser.add_argument("--fuzz-seconds", type=int, default=60)
    parser.add_argument("--only", default="", help="a regular expression over test names")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()

    # What Python runs has no sanitizer: once, with the plain build.
    jobs = python_jobs(args.only) if "build/release" in args.build else []
    for build in args.build:
        jobs += ctest_jobs(build, args.only)
    if args.fuzz:
        jobs += fuzz_jobs(args.fuzz, args.fuzz_seconds)

    passed, failed = 0, []

    def report(outcome: Outcome) -> None:
        nonlocal passed
        passed += outcome.passed
        failed.extend(outcome.failed)
        if outcome.failed:
            print(f"--- {outcome.name}\n{outcome.log[-6000:]}")
            for name in outcome.failed:
                print(f"failed  {name}")
        else:
            print(f"ok      {outcome.name}: {outcome.passed} in {outcome.seconds:.1f}s", flush=True)

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(job) for serial, job in jobs if not serial]):
            report(future.result())
    for serial, job in jobs:
        if serial:
            report(job())
    for name in failed:
        print(f"failed  {name}")
    print(f"{passed} passed, {len(failed)} failed", flush=True)
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
