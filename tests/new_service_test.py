#!/usr/bin/env python3
"""Runs the commands of docs/add-a-service.md in a copy of this checkout and asks the new service over HTTP.

Also counts what an author must write beside the logic. The copy's build takes its objects from ccache.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
MOST_LINES = 60


def run(command: str, folder: pathlib.Path) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, check=False)
    print(f"$ {command}\n{done.stdout}", flush=True)
    if done.returncode != 0:
        sys.exit(f"'{command}' ended with {done.returncode}")
    return done.stdout


def copy_checkout(to: pathlib.Path) -> None:
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    (to / "build").mkdir()
    (to / "build/venv").symlink_to(ROOT / "build/venv")


def documented_commands() -> list[str]:
    text = (ROOT / "docs/add-a-service.md").read_text(encoding="utf-8")
    return re.search(r"```sh\n(.*?)```", text, re.S)[1].strip().splitlines()


def code_lines(name: str, text: str) -> int:
    comment = "//" if name.endswith((".h", ".cc", ".proto")) else "#"
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith(comment))


def lines_beside_logic(checkout: pathlib.Path) -> int:
    count = 0
    for path in checkout.rglob("*"):
        name = path.relative_to(checkout).as_posix()
        if name.startswith("build/") or not path.is_file() or re.search(r"_service(_test)?\.cc$", name):
            continue
        old = ROOT / name
        try:
            new_text = path.read_text(encoding="utf-8")
            old_text = old.read_text(encoding="utf-8") if old.exists() else ""
        except UnicodeDecodeError:
            continue
        if new_text == old_text:
            continue
        added = code_lines(name, new_text) - code_lines(name, old_text)
        print(f"{added:4} lines in {name}")
        count += added
    return count


def ask(checkout: pathlib.Path) -> str:
    starling = subprocess.Popen([checkout / "build/release/starling", "up", "--data", checkout / "build/data", "--port", "0"],
                                stdout=subprocess.PIPE, text=True)
    try:
        url = key = ""
        for line in starling.stdout:
            if line == "ready\n":
                break
            if line.startswith("API"):
                url = line.split()[-1]
            if line.startswith("admin key"):
                key = line.split()[-1]
        request = urllib.request.Request(url + "/v1/greeting/Ada:hello", headers={"Authorization": f"Bearer {key}"})
        return urllib.request.urlopen(request, timeout=10).read().decode()
    finally:
        starling.terminate()
        starling.wait(30)


def main() -> int:
    commands = documented_commands()
    with tempfile.TemporaryDirectory() as folder:
        checkout = pathlib.Path(folder) / "starling"
        copy_checkout(checkout)
        run("./dev build starling", checkout)
        output = ""
        for command in commands:
            output = run(command, checkout)
        closing = re.search(r"^(\d+) passed, 0 failed$", output, re.M)
        if not closing or int(closing[1]) == 0:
            sys.exit("the new service's test did not pass")
        lines = lines_beside_logic(checkout)
        if not 0 < lines < MOST_LINES:
            sys.exit(f"{lines} lines beside the logic; there should be fewer than {MOST_LINES}")
        answer = ask(checkout)
        if answer != '{"greeting":"Hello, Ada!"}':
            sys.exit(f"the new service answered {answer}")
        print(f"{lines} lines beside the logic; it answers {answer}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
