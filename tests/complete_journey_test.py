#!/usr/bin/env python3
"""`starling import completejourney` on a folder of small Parquet files: titles, categories and prices are as a shop shows them."""
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
STARLING = ROOT / "build/release/starling"
# Run by build/venv's Python, which has pyarrow.
WRITE = """
import json, sys
import pyarrow, pyarrow.parquet
for name, rows in json.load(sys.stdin).items():
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), f"{sys.argv[1]}/{name}.parquet")
"""


def product(number: str, department: str, category: str, kind: str, size: str | None) -> dict:
    return {"product_id": number, "manufacturer_id": "69", "department": department, "brand": "National", "product_category": category,
            "product_type": kind, "package_size": size}


def line(basket: int, number: str, quantity: int, value: float, discount: float = 0) -> dict:
    return {"household_id": "1", "basket_id": str(basket), "product_id": number, "quantity": quantity, "sales_value": value,
            "retail_disc": discount, "transaction_timestamp": f"2017-01-{basket:02d} 10:00:00"}


FILES = {
    "products": [product("10", "GROCERY", "FLUID MILK PRODUCTS", "FLUID MILK WHITE ONLY", "1 GA"),
                 product("20", "FUEL", "FUEL", "GASOLINE-REG UNLEADED", None),
                 product("30", "COUPON", "COUPON/MISC ITEMS", "COUPONS/STORE & MFG", None),
                 product("40", "PRODUCE", "SALAD MIX", "DRESSINGS", "8 OZ"),
                 product("50", "GROCERY", "SOAP", "NEVER BOUGHT", None)],
    "demographics": [{"household_id": "1", "age": "65+", "income": None, "home_ownership": None, "marital_status": None,
                      "household_size": "2", "household_comp": None, "kids_count": "0"}],
    "transactions": [line(1, "10", 2, 5.00), line(2, "10", 2, 5.50, 0.50), line(3, "20", 14_000, 31.36), line(4, "30", 1, 0),
                     line(5, "40", 1, 3.19), line(6, "40", 1, 0)],
}
# Title, widest category and price.
SHOWN = {
    "10": ("Fluid Milk White Only, 1 GA", "Grocery", 3.00),  # the last one, before the discount
    "20": ("Gasoline-Reg Unleaded", "Fuel", 2.24),  # of a gallon: fuel is counted in thousandths
    "30": ("Coupons/Store & Mfg", "Coupon", None),  # costs nothing, so it is not for sale
    "40": ("Dressings, 8 OZ", "Produce", 3.19),  # what was given away once still has its price
    "50": ("Never Bought", "Grocery", None),
}


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"not so: {what}")


def price(one: dict) -> float | None:
    if "price" not in one:
        return None
    expect(one["price"]["currency_code"] == "USD", f"prices are in dollars: {one}")
    return round(int(one["price"].get("units", 0)) + one["price"].get("nanos", 0) / 1e9, 9)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([ROOT / "build/venv/bin/python", "-c", WRITE, folder], input=json.dumps(FILES), text=True, check=True)
        data = folder + "/data"
        done = subprocess.run([STARLING, "import", "completejourney", folder, "--data", data, "--rejects", folder + "/rejects.csv"],
                              capture_output=True, text=True, check=False)
        expect(done.returncode == 0 and "products           5 added" in done.stdout, f"five products come in:\n{done.stdout}{done.stderr}")
        key = subprocess.check_output([STARLING, "keys", "create", "--data", data, "--scope", "catalog.read"], text=True,
                                      stderr=subprocess.DEVNULL).split()[-1]
        server = subprocess.Popen([STARLING, "up", "--data", data, "--port", "0"], stdout=subprocess.PIPE, text=True)
        try:
            url = ""
            for said in server.stdout:
                if said.startswith("API"):
                    url = said.split()[-1]
                if said == "ready\n":
                    break
            request = urllib.request.Request(url + "/v1/products", headers={"Authorization": f"Bearer {key}"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                products = json.loads(answer.read())["products"]
        finally:
            server.terminate()
            server.wait(60)
        shown = {one["product_id"]: (one["title"], one["categories"][0], price(one)) for one in products}
        expect(shown == SHOWN, f"products are as they should be:\n{shown}\n{SHOWN}")
    print(f"{len(SHOWN)} products")
    return 0


if __name__ == "__main__":
    sys.exit(main())
