// The catalogue by category, page after page.
import { get, query } from "./api.js";
import { card, grid } from "./cards.js";
import { el, later, notice, problem, skeleton } from "./dom.js";

const PAGE = 24;
const SAMPLE = 500; // products that the list of categories is taken from; it is a way in, not an inventory
const CHIPS = 24;

let counted;
// The widest categories, the most used first: [name, products]. Asked once.
async function categories() {
  counted ??= get(`/v1/products${query({ page_size: SAMPLE })}`).then((page) => {
    const counts = new Map();
    for (const product of page.products ?? []) {
      const widest = product.categories?.[0];
      if (widest) counts.set(widest, (counts.get(widest) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  }).catch((error) => {
    counted = undefined;
    throw error;
  });
  const found = await counted;
  if (found.length === 0) counted = undefined; // there may be some the next time
  return found;
}

export const categoryLink = (name) => `#/browse?category=${encodeURIComponent(name)}`;

// `current`: the category that is shown, "" for all of them.
export async function categoryLinks(current) {
  const found = (await categories()).slice(0, CHIPS);
  if (found.length === 0) return null;
  const chip = (name, href, on) => el("li", {}, el("a", { class: "chip", href, "aria-current": on ? "page" : null }, name));
  return el("nav", { "aria-label": "Categories" }, el("ul", { class: "chips", role: "list" },
    chip("All", "#/browse", current === ""), found.map(([name]) => chip(name, categoryLink(name), name === current))));
}

export const noProducts = () => notice("The shelves are empty",
  el("p", {}, "There are no products yet. With the admin key that Starling printed at its first start, import some, up to "
    + "1,000 at a time:"),
  el("pre", {}, `curl ${location.origin}/v1/products:import -H "Authorization: Bearer $KEY" \\\n`
    + "     -H 'Content-Type: application/json' -d '{\"products\": [\n"
    + "       {\"product_id\": \"p-1\", \"title\": \"Whole milk\", \"brand\": \"Meadow\", \"categories\": [\"dairy\", \"milk\"],\n"
    + "        \"price\": {\"currency_code\": \"EUR\", \"units\": 1, \"nanos\": 290000000}}]}'"),
  el("p", {}, "Then load this page again. A product without image_url gets a picture drawn for it."));

// The first page, and a button that appends the next.
async function products(category) {
  const ask = (token) => get(`/v1/products${query({ page_size: PAGE, page_token: token, category })}`);
  const first = await ask("");
  if (!first.products?.length) {
    return category === "" ? noProducts() : notice(`Nothing in “${category}”`, el("p", {}, el("a", { href: "#/browse" }, "See all products")));
  }
  const list = grid(first.products.map((product) => card(product)));
  const count = el("p", { class: "quiet-text", role: "status" });
  const said = el("div");
  const more = el("button", { type: "button", class: "more" }, "Show more");
  const place = (page) => {
    count.textContent = `${list.children.length} of ${page.total_size} products`;
    more.hidden = !page.next_page_token;
    more.onclick = async () => {
      more.disabled = true;
      try {
        const next = await ask(page.next_page_token);
        said.replaceChildren();
        const cards = (next.products ?? []).map((product) => card(product));
        list.append(...cards);
        place(next);
        cards[0]?.querySelector("a").focus({ preventScroll: true });
      } catch (error) {
        said.replaceChildren(problem(error));
      }
      more.disabled = false;
    };
  };
  place(first);
  return [list, el("div", { class: "pager" }, count, more), said];
}

export function page({ query: parameters }) {
  const category = parameters.get("category") ?? "";
  return {
    title: category || "Browse",
    content: [
      el("h1", { tabindex: "-1" }, category || "All products"),
      later(() => categoryLinks(category), { waiting: null, failed: () => el("span") }),
      later(() => products(category), { waiting: skeleton(8), failed: problem }),
    ],
  };
}
