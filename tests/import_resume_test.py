#!/usr/bin/env python3
"""An import that kill -9 cut goes on, and ends with the reject file, the counts and the findings of one that nothing cut: each bad
row once, also those that were told before the kill and past the last checkpoint. Begun anew, it has a reject file of its own."""
import contextlib
import csv
import pathlib
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
STARLING = ROOT / "build/release/starling"
ROWS = 60_000


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


def make_events(path: pathlib.Path) -> None:
    """Every tenth row is bad, of two kinds."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "product_id", "type", "occurred_at", "quantity"])
        for number in range(ROWS):
            kind = "veiw" if number % 20 == 3 else "view"
            quantity = "-1" if number % 20 == 13 else "1"
            time_of_day = f"{number // 6000:02d}:{number // 100 % 60:02d}:00"
            rows.writerow([f"u{number % 300}", f"p{number % 50}", kind, f"2026-01-02T{time_of_day}Z", quantity])


def make_retail(path: pathlib.Path) -> None:
    """All is told by the first of its stages, which is run again when a later one goes on."""
    draw = random.Random(3)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"])
        for number in range(ROWS):
            stock = "POST" if number % 50 == 7 else str(20_000 + draw.randrange(400))
            rows.writerow([500_000 + number // 4, stock, "A THING TO BUY", "five" if number % 10 == 3 else 2,
                           f"2010-{1 + number * 11 // ROWS:02d}-11 10:00:00", 1.5, 12_000 + number // 4 % 300, "France"])


def command(kind: str, file: pathlib.Path, data: pathlib.Path, rejects: pathlib.Path, *options: str) -> list:
    return [STARLING, "import", kind, file, "--data", data, "--rejects", rejects,
            "--set", "messaging.max_lag=1000", *options]  # no faster than it is taken in, so that there is a middle to be cut in


def bring_in(*arguments) -> str:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"the import ends well, but it says:\n{done.stdout}{done.stderr}")
    return done.stdout


def summary(said: str) -> str:
    """Without what differs from run to run: the path, the time, and which products a repeated batch found as they were."""
    lines = [re.sub(r"written to .*", "", line) for line in said.splitlines()]
    return "\n".join(line for line in lines if not line.startswith(("admin key", "products", "done in")))


def checkpoint(data: pathlib.Path) -> tuple[str, str, int]:
    """Stage, position and bytes of the reject file, as the ledger has them."""
    with contextlib.suppress(sqlite3.OperationalError):
        with contextlib.closing(sqlite3.connect(f"file:{data}/import/import.sqlite?mode=ro", uri=True)) as ledger:
            for row in ledger.execute("SELECT stage, position, reject_bytes FROM imports"):
                return row
    return "", "", 0


def cut(kind: str, file: pathlib.Path, data: pathlib.Path, rejects: pathlib.Path, when) -> None:
    """Begins the import and kills it when `when` says so of a checkpoint."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command(kind, file, data, rejects), stdout=said, stderr=said)
        try:
            while not when(*checkpoint(data)):
                if process.poll() is not None:
                    said.seek(0)
                    sys.exit(f"the import of {kind} ended before it could be cut:\n{said.read()}")
                time.sleep(0.005)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def goes_on(folder: pathlib.Path, kind: str, file: pathlib.Path, when) -> None:
    whole, rejects = folder / f"{kind}.whole.csv", folder / f"{kind}.csv"
    expected = summary(bring_in(kind, file, folder / f"{kind}.whole", whole))
    data = folder / kind
    for _ in range(2):
        cut(kind, file, data, rejects, when(rejects))
    said = bring_in(kind, file, data, rejects)
    expect("begins anew" not in said, f"it goes on:\n{said}")
    expect(rejects.read_bytes() == whole.read_bytes(),
           f"{kind}: the reject file is that of an import that nothing cut: {rejects.stat().st_size} and {whole.stat().st_size} bytes")
    expect(summary(said) == expected, f"{kind}: so is the summary:\n{summary(said)}\nand\n{expected}")

    # What is begun anew has nothing of before in its file, whatever stands there.
    bring_in(kind, file, data, rejects, "--again")
    expect(rejects.read_bytes() == whole.read_bytes(), f"{kind}: --again writes a new file")


def told_past_it(rejects: pathlib.Path):
    """Of events: at a checkpoint that is not the one before, when rows past it are in the reject file."""
    before = checkpoint(rejects.with_suffix(""))[1]
    return lambda stage, position, told: position not in ("", before) and rejects.exists() and rejects.stat().st_size > told > 0


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        events, retail = folder / "shop.csv", folder / "retail.csv"
        make_events(events)
        make_retail(retail)
        goes_on(folder, "events", events, told_past_it)
        goes_on(folder, "online-retail", retail, lambda _: lambda stage, *_: stage == "events")

        # Without the rows of before it cannot go on, and begins anew.
        whole, rejects = folder / "events.whole.csv", folder / "lost.csv"
        cut("events", events, folder / "lost", rejects, told_past_it(rejects))
        rejects.write_text("of another import\n")
        said = bring_in("events", events, folder / "lost", rejects)
        expect("so it begins anew" in said, f"it says that it begins anew:\n{said}")
        expect(rejects.read_bytes() == whole.read_bytes(), "a reject file that was overwritten is whole again")
    print(f"{ROWS} rows, cut twice: as if never")
    return 0


if __name__ == "__main__":
    sys.exit(main())
