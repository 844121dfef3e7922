// The shop's API as an operator's program calls it, for filling a shop and for looking at what a walk has left there.
const SHOP = process.env.SHOP;
const KEY = process.env.ADMIN_KEY;

export async function api(method, path, body) {
  const response = await fetch(SHOP + path, {
    method,
    headers: { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

export const EVIL = "<img src=x onerror=alert(1)><b>Bold</b> cheese";

// 40 products in four categories; p-03 is out of stock, p-04's title looks like markup. A crowd has bought some of them, so
// that something is popular; two users are there to shop.
export async function fill() {
  const kinds = [["dairy", "milk", "Whole milk"], ["bakery", "bread", "Rye bread"], ["fruit", "apples", "Red apples"],
    ["pantry", "coffee", "Espresso beans"]];
  const products = Array.from({ length: 40 }, (_, i) => {
    const [widest, narrowest, title] = kinds[i % kinds.length];
    return {
      product_id: `p-${String(i).padStart(2, "0")}`,
      title: i === 4 ? EVIL : i < 4 ? title : `${title} no. ${i}`,
      brand: i % 2 ? "Meadow" : "Hill",
      description: `${title}, as it should be.`,
      categories: [widest, narrowest],
      attributes: { weight: "500 g" },
      price: { currency_code: "EUR", units: 1 + (i % 5), nanos: 250000000 },
      availability: i === 3 ? "AVAILABILITY_OUT_OF_STOCK" : "AVAILABILITY_IN_STOCK",
    };
  });
  await api("POST", "/v1/products:import", { products });
  const bought = Array.from({ length: 80 }, (_, i) => ({ user_id: `crowd-${i % 10}`, type: "purchase",
    product_id: products[(i * i + (i % 10)) % 40].product_id }));
  await api("POST", "/v1/events", { events: bought });
  for (const [id, display_name] of [["ada", "Ada"], ["bob", "Bob"]]) await api("PATCH", `/v1/users/${id}`, { display_name });
  return products;
}

// The user's history once `enough` holds of it: events travel to it by the event log.
export async function history(user, enough) {
  let found = [];
  for (let i = 0; i < 100; i += 1) {
    found = (await api("GET", `/v1/users/${user}/history?limit=500`)).interactions ?? [];
    if (enough(found)) return found;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  throw new Error(`the history of ${user} never came to hold what was done: ${JSON.stringify(found)}`);
}
