#!/usr/bin/env python3
"""Names each lambda with copies among its captures that is written inside a co_await expression.

GCC 12 destroys such a temporary twice (GCC bug 99576): a shared_ptr in it loses a reference too many each time, and what it holds goes
while it is used. Captures by reference and `this` do no harm. The remedy: give the lambda a name in a statement before, and move it in.
The same holds for temporary aggregates whose members own something, which text alone does not tell.
"""
import pathlib
import re
import sys

COMMENT_OR_STRING = re.compile(r'//[^\n]*|"(?:\\.|[^"\\\n])*"')
LAMBDA = re.compile(r"(?<=[(,={\s&])\[([^\[\]]*)\]\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)\s*)?(?:mutable\s*)?(?:noexcept\s*)?"
                    r"(?:->\s*[\w:<>,&*\s]+?)?\{")


def operand(text: str, begin: int) -> str:
    """What is awaited: up to the ';' or the closing bracket that is not its own."""
    depth = 0
    for end in range(begin, len(text)):
        if text[end] in "([{":
            depth += 1
        elif text[end] in ")]}":
            depth -= 1
            if depth < 0:
                return text[begin:end]
        elif text[end] == ";" and depth == 0:
            return text[begin:end]
    return text[begin:]


def parts(captures: str) -> list[str]:
    found, depth, one = [], 0, ""
    for letter in captures + ",":
        depth += (letter in "({<") - (letter in ")}>")
        if letter == "," and depth == 0:
            found.append(one.strip())
            one = ""
        else:
            one += letter
    return [part for part in found if part]


def copies(expression: str) -> list[str]:
    """The captures by copy of lambdas in it, those inside a lambda's body left out: they are not awaited here."""
    found, at = [], 0
    while match := LAMBDA.search(expression, at):
        found += [part for part in parts(match[1]) if not part.startswith("&") and part != "this"]
        depth, at = 1, match.end()
        while at < len(expression) and depth:
            depth += (expression[at] == "{") - (expression[at] == "}")
            at += 1
    return found


def violations(root: pathlib.Path) -> list[str]:
    found = []
    tops = [root / top for top in ("platform", "services", "apps", "tests", "bench") if (root / top).exists()]
    for path in sorted(path for top in tops for path in [*top.rglob("*.h"), *top.rglob("*.cc")]):
        text = COMMENT_OR_STRING.sub(lambda match: " " * len(match[0]), path.read_text(encoding="utf-8"))
        for match in re.finditer(r"\bco_await\b", text):
            if captured := copies(operand(text, match.end())):
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{path.relative_to(root).as_posix()}:{line}: the lambda with {', '.join(captured)} inside co_await is destroyed "
                             "twice by GCC 12; name it before and move it in")
    return found


def main() -> int:
    found = violations(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    print("\n".join(found) if found else "awaits: no temporary lambda with copies is awaited")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
