#!/usr/bin/env python3
"""A retail file with 1,000 bad rows of ten kinds among 20,000 good ones: the good ones are imported as if they were alone, each
bad one is named with line, column, value and reason, and a second import changes nothing."""
import csv
import pathlib
import random
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
STARLING = ROOT / "build/release/starling"
HEADER = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"
GOOD, BAD = 20_000, 1_000


def good(number: int, draw: random.Random) -> list[str]:
    return [str(500_000 + number // 4), str(20_000 + draw.randrange(400)), f"PRODUCT {number % 97}", str(draw.randint(1, 9)),
            f"2010-{1 + number * 11 // GOOD:02d}-{draw.randint(1, 28):02d} 1{draw.randrange(10)}:00:00",
            f"{draw.randint(50, 900) / 100:.2f}", str(12_000 + draw.randrange(500)), "France"]


# Each spoils a good row; what the reject file must say of it: column, and the value or a part of it.
KINDS = [
    ("no number", lambda row: row.__setitem__(3, "five"), "Quantity", "five"),
    ("no day", lambda row: row.__setitem__(4, "2010-13-01 10:00:00"), "InvoiceDate", "2010-13-01"),
    ("no price", lambda row: row.__setitem__(5, "cheap"), "Price", "cheap"),
    ("too few fields", lambda row: row.__delitem__(slice(6, 8)), "", ""),
    ("too many fields", lambda row: row.append("more"), "", ""),
    ("no invoice", lambda row: row.__setitem__(0, ""), "Invoice", ""),
    ("nothing bought", lambda row: row.__setitem__(3, "0"), "Quantity", "0"),
    ("a negative price", lambda row: row.__setitem__(5, "-1.50"), "Price", "-1.5"),
    ("a day to come", lambda row: row.__setitem__(4, "2210-01-01 10:00:00"), "InvoiceDate", "2210"),
    ("no UTF-8", lambda row: row.__setitem__(2, "GLASS \udcff"), "Description", "GLASS"),
]


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


def bring_in(file: pathlib.Path, data: pathlib.Path, rejects: pathlib.Path, *options: str) -> str:
    done = subprocess.run([STARLING, "import", "online-retail", file, "--data", data, "--rejects", rejects, *options],
                          capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"the import ends well, but it says:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def counts(said: str) -> dict[str, int]:
    """What the summary says was brought in."""
    return {what: int(number.replace(",", "")) for what, number in re.findall(r"^(products|users|events) +([\d,]+)", said, re.M)}


def main() -> int:
    draw = random.Random(5)
    rows = [good(number, draw) for number in range(GOOD)]
    spoiled = {}
    for number, place in enumerate(sorted(draw.sample(range(GOOD), BAD))):
        spoiled[place] = number % len(KINDS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        clean, dirty = folder / "clean.csv", folder / "dirty.csv"
        expected = {}  # by line
        with clean.open("w") as a, dirty.open("w", errors="surrogateescape") as b:
            a.write(HEADER + "\n")
            b.write(HEADER + "\n")
            line = 1
            for place, row in enumerate(rows):
                a.write(",".join(row) + "\n")
                if place in spoiled:
                    bad = good(place, draw)
                    KINDS[spoiled[place]][1](bad)
                    b.write(",".join(bad) + "\n")
                    line += 1
                    expected[line] = KINDS[spoiled[place]]
                b.write(",".join(row) + "\n")
                line += 1
        told = counts(bring_in(clean, folder / "clean", folder / "clean.rejects.csv"))
        expect(told.get("events", 0) > 15_000, f"the good rows are events: {told}")
        said = bring_in(dirty, folder / "dirty", folder / "rejects.csv")
        expect(counts(said) == told, f"beside the bad rows the good ones are as if alone: {counts(said)} and {told}\n{said}")
        with (folder / "rejects.csv").open(newline="") as file:
            rejected = list(csv.DictReader(file))
        expect(len(rejected) == BAD, f"{BAD} rows are rejected, not {len(rejected)}")
        for entry in rejected:
            kind, _, column, value = expected.pop(int(entry["line"]), (None, None, None, None))
            expect(kind is not None, f"line {entry['line']} is a bad one: {entry}")
            expect(entry["column"] == column and value in entry["value"], f"{kind}: {entry}")
            expect(len(entry["reason"]) > 5, f"{kind} has a reason: {entry}")
        expect(not expected, f"none is forgotten: {expected}")
        again = bring_in(dirty, folder / "dirty", folder / "again.csv")
        expect("imported before; nothing to do" in again, f"a second import has nothing to do, and says so:\n{again}")
        again = bring_in(dirty, folder / "dirty", folder / "again.csv", "--again")
        expect("0 added, 0 changed" in again, f"one that looks at every row changes nothing:\n{again}")
    print(f"{BAD} bad rows of {len(KINDS)} kinds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
