"""A made shop as files for `starling import`: 96 products on six shelves, 241 shoppers, and what they bought in the last ninety days.

Each shelf has four kinds of four products that are bought together, and each shopper buys of three kinds, hardly of others: who
buys one of a kind is sure to be offered the rest. Ada, the first in the list of shoppers, knows two kinds so far.
"""
import csv
import datetime
import pathlib
import random

SHELVES = {
    "Bakery": {
        "Bread": ["Rye bread", "Sourdough loaf", "Seeded rolls", "Baguette"],
        "Cakes": ["Carrot cake", "Lemon drizzle cake", "Chocolate brownies", "Apple strudel"],
        "Biscuits": ["Oat biscuits", "Shortbread fingers", "Ginger snaps", "Almond cantuccini"],
        "Flour": ["Strong white flour", "Wholemeal flour", "Dried yeast", "Baking powder"],
    },
    "Coffee and tea": {
        "Espresso": ["Espresso beans", "Descaler for coffee machines", "Cleaning tablets", "Milk jug"],
        "Filter coffee": ["Ground filter coffee", "Paper filters no. 4", "Coffee scoop", "Glass coffee pot"],
        "Black tea": ["Earl Grey", "Assam tea", "English breakfast tea, 80 bags", "Tea strainer"],
        "Herbal tea": ["Peppermint tea", "Camomile tea", "Rooibos", "Fennel, aniseed and caraway tea"],
    },
    "Garden": {
        "Seeds": ["Tomato seeds", "Basil seeds", "Sunflower seeds", "Lettuce seeds"],
        "Pots": ["Terracotta pot, 20 cm", "Saucer for pots, 20 cm", "Potting soil, 20 l", "Expanded clay"],
        "Tools": ["Hand trowel", "Secateurs", "Gardening gloves", "Watering can"],
        "Birds": ["Bird feeder", "Fat balls", "Sunflower hearts for wild birds", "Nest box for starlings, with a hole of 45 mm, of untreated larch"],
    },
    "Kitchen": {
        "Pasta": ["Spaghetti", "Tomato sauce with basil", "Parmesan", "Olive oil"],
        "Curry": ["Basmati rice", "Coconut milk", "Red curry paste", "Lime leaves"],
        "Breakfast": ["Porridge oats", "Blueberries, dried", "Maple syrup", "Crunchy peanut butter without palm oil or added sugar"],
        "Soup": ["Red lentils", "Vegetable stock", "Canned tomatoes", "Smoked paprika"],
    },
    "Stationery": {
        "Writing": ["Fountain pen", "Blue ink", "Blotting paper", "Writing pad, A4"],
        "Drawing": ["Sketch book", "Pencils, 2B to 8B", "Kneadable eraser", "Charcoal sticks"],
        "Painting": ["Watercolours, 12 pans", "Round brush no. 8", "Watercolour paper", "Masking tape"],
        "Parcels": ["Cardboard boxes", "Parcel tape", "Bubble wrap", "Address labels"],
    },
    "Bicycles": {
        "Punctures": ["Inner tube, 28 inch", "Tyre levers", "Puncture repair kit", "Hand pump"],
        "Chain": ["Chain, 9 speed", "Chain oil", "Chain tool", "Degreaser"],
        "Light": ["Front light", "Rear light", "Reflective bands", "Batteries, AAA"],
        "Rain": ["Rain jacket", "Rain trousers", "Saddle cover", "Mudguards"],
    },
}
SHOPPERS, BASKETS, DAYS = 240, 6, 90
ADA = "ada"
ADAS_KINDS = ("Espresso", "Bread")
# One product has a picture of its own, one that the shop itself serves.
PICTURED = "Espresso beans"
FILES = ("products", "users", "events")


def products() -> list[dict]:
    made = []
    for shelf, kinds in SHELVES.items():
        for kind, titles in kinds.items():
            for number, title in enumerate(titles):
                made.append({"product_id": f"{kind.lower().replace(' ', '-')}-{number + 1}", "title": title, "categories": f"{shelf}|{kind}",
                             "brand": ("Meadow", "Hill", "Harbour")[len(made) % 3], "price": 1.25 + len(made) * 7 % 40, "currency": "EUR",
                             "description": f"{title}, as it should be.", "image_url": "/assets/favicon.svg" if title == PICTURED else ""})
    return made


def write(folder: pathlib.Path) -> list[tuple[str, pathlib.Path]]:
    """products.csv, users.csv and events.csv in the folder; (KIND, FILE) of each, in the order in which to import them."""
    draw = random.Random(11)
    of_kind: dict[str, list[dict]] = {}
    for product in products():
        of_kind.setdefault(product["categories"].split("|")[1], []).append(product)
    kinds = list(of_kind)
    users = [{"user_id": ADA, "display_name": "Ada Lane"}]
    events: list[dict] = []
    start = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(days=DAYS)

    def buys(user: str, product: dict, day: float) -> None:
        when = start + datetime.timedelta(days=day)
        events.append({"event_id": f"made-{len(events)}", "user_id": user, "product_id": product["product_id"], "type": "purchase",
                       "occurred_at": when.isoformat(), "quantity": 1, "price": product["price"]})

    for number in range(SHOPPERS):
        user = f"shopper-{number:03d}"
        users.append({"user_id": user, "display_name": f"Shopper {number}"})
        favourites = draw.sample(kinds, 3)
        for basket in range(BASKETS):
            kind = draw.choice(favourites) if draw.random() < 0.9 else draw.choice(kinds)
            day = (basket + draw.random()) * (DAYS - 1) / BASKETS
            for product in draw.sample(of_kind[kind], 3):
                buys(user, product, day)
    for number, kind in enumerate(ADAS_KINDS):
        for product in of_kind[kind][:2]:
            buys(ADA, product, DAYS - 20 + number)
    written = []
    for name, rows in zip(FILES, (products(), users, events)):
        path = folder / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.DictWriter(file, rows[0])
            out.writeheader()
            out.writerows(rows)
        written.append((name, path))
    return written
