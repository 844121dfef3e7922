#!/usr/bin/env python3
"""Names every link in a Markdown file that leads to no file or no heading."""
import pathlib
import re
import subprocess
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    found = set()
    for line in re.sub(r"```.*?```", "", text, flags=re.S).splitlines():
        if line.startswith("#"):
            title = re.sub(r"[`*_]", "", line.lstrip("#").strip()).lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


def dead_links(files: list[pathlib.Path]) -> list[str]:
    dead = []
    for path in files:
        text = path.read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            for target in LINK.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                file, _, anchor = target.partition("#")
                there = path if not file else path.parent / file
                if not there.exists():
                    dead.append(f"{path}:{number}: {target} leads to no file")
                elif anchor and there.suffix == ".md" and anchor not in anchors(there.read_text(encoding="utf-8")):
                    dead.append(f"{path}:{number}: {target} leads to no heading")
    return dead


def main() -> int:
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "*.md"], text=True).split()
    dead = dead_links([pathlib.Path(name) for name in names if pathlib.Path(name).exists()])
    print("\n".join(dead) if dead else "links: all lead somewhere")
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(main())
